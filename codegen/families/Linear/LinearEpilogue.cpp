//===- LinearEpilogue.cpp - What follows the sums of a linear layer ---------===//
#include "codegen/families/Linear/LinearEpilogue.h"

#include "codegen/cuda/KernelFunction.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

/// An f32 argument at the end of the function in the shape of `like`, with the extents of `like`'s.
static Value addSums(func::FuncOp func, Value x, RankedTensorType like) {
  auto type = RankedTensorType::get(like.getShape(), Float32Type::get(func.getContext()));
  // Its rows are those of x, its columns static.
  auto argument = cast<BlockArgument>(x);
  DictionaryAttr attributes = DictionaryAttr::get(
      func.getContext(), NamedAttribute(StringAttr::get(func.getContext(), "ingot.sizes"),
                                        func.getArgAttr(argument.getArgNumber(), "ingot.sizes")));
  (void)func.insertArgument(func.getNumArguments(), type, attributes, func.getLoc());
  return func.getArgument(func.getNumArguments() - 1);
}

/// Columns [offset, offset + width) of a bias in f32, added to `value`.
static Value addBias(OpBuilder &b, Location loc, Value value, Value bias, int64_t offset) {
  if (!bias)
    return value;
  auto type = cast<RankedTensorType>(value.getType());
  unsigned rank = type.getRank();
  int64_t width = type.getDimSize(rank - 1);
  Value part = bias;
  if (cast<RankedTensorType>(bias.getType()).getDimSize(0) != width)
    part = tensor::ExtractSliceOp::create(
        b, loc, bias, ArrayRef<OpFoldResult>{b.getIndexAttr(offset)},
        ArrayRef<OpFoldResult>{b.getIndexAttr(width)}, ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
  Value empty =
      tensor::EmptyOp::create(b, loc, tensor::getMixedSizes(b, loc, value), b.getF32Type());
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  AffineMap last = AffineMap::get(rank, 0, b.getAffineDimExpr(rank - 1));
  SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             b, loc, TypeRange{empty.getType()}, ValueRange{value, part}, ValueRange{empty},
             ArrayRef<AffineMap>{identity, last, identity}, loops,
             [](OpBuilder &b, Location l, ValueRange args) {
               Value wide = args[1];
               if (!wide.getType().isF32())
                 wide = arith::ExtFOp::create(b, l, b.getF32Type(), wide);
               linalg::YieldOp::create(b, l,
                                       arith::AddFOp::create(b, l, args[0], wide).getResult());
             })
      .getResult(0);
}

/// The function without its linear layer: the sums become arguments (of gate and up, if gated).
static std::optional<std::string> replaceRoot(func::FuncOp func) {
  Operation *root = nullptr;
  for (Operation &op : func.getBody().front())
    if (isa<transformer::LinearOp, transformer::GatedLinearOp>(op))
      root = &op;
  OpBuilder b(root);
  Location loc = root->getLoc();
  auto type = cast<RankedTensorType>(root->getResult(0).getType());
  Value x = root->getOperand(0);
  while (Operation *op = x.getDefiningOp())
    x = op->getOperand(0);
  Value bias = root->getNumOperands() > 2 ? root->getOperand(2) : Value();
  bool gated = isa<transformer::GatedLinearOp>(root);
  int64_t columns = type.getDimSize(type.getRank() - 1);
  Value value = addBias(b, loc, addSums(func, x, type), bias, 0);
  if (gated) {
    Value up = addBias(b, loc, addSums(func, x, type), bias, columns);
    value = transformer::ActivationOp::create(b, loc, value.getType(), value,
                                              cast<transformer::GatedLinearOp>(root).getKindAttr());
    value = arith::MulFOp::create(b, loc, value, up);
  }
  if (!type.getElementType().isF32())
    value = arith::TruncFOp::create(b, loc, type, value);
  root->getResult(0).replaceAllUsesWith(value);
  root->erase();
  // What undid the weight's layout is dead.
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(func.getBody().front())))
    if (isOpTriviallyDead(&op))
      op.erase();
  return std::nullopt;
}

int codegen::epilogueColumns(exec::KernelOp kernel, const LinearDesc &desc) {
  // Of a vector in f32, two instructions load what is beside 16 bytes of the result.
  int64_t bytes = 2;
  for (exec::BufferType type : kernel.getBufferTypes())
    if (type.getShape().size() > 1)
      bytes = std::max(bytes, type.getElementBytes());
  if (desc.gated)
    return kGateRows;
  int vector = std::min<int64_t>(8, 16 / bytes);
  while (desc.columns % vector)
    vector /= 2;
  return vector;
}

std::optional<std::string> codegen::printEpilogue(exec::KernelOp kernel, const LinearDesc &desc,
                                                  std::string &problem) {
  Result<std::unique_ptr<cuda::KernelFunction>> function =
      cuda::prepareKernelFunction(kernel, replaceRoot);
  if (!function.ok()) {
    problem = function.status().message();
    return std::nullopt;
  }
  unsigned sums = kernel.getNumInputs();
  std::string unexpected;
  for (unsigned part = 0; part < (desc.gated ? 2u : 1u); ++part)
    (*function)->buffers[sums + part].read = [&, part](cuda::Printer &,
                                                       ArrayRef<cuda::Index> indices) {
      const cuda::Index &last = indices.back();
      bool vector = !last.contiguousBase.empty();
      if ((vector ? last.contiguousBase : last.text) != "column")
        unexpected = "an element depends on other columns of the linear layer";
      std::string lane = vector ? StringRef(last.text).drop_front(9).drop_back().str() : "0";
      std::string shift = part ? std::to_string(kGateRows) + " + " : "";
      return cuda::Scalar{"values[" + shift + lane + "]", last.home, {}, nullptr, false};
    };
  bool rounded = true;
  for (auto [type, written] : llvm::zip(kernel.getBufferTypes(), kernel.getWrittenBuffers()))
    rounded &= !written || type.getElementBytes() == 2;
  cuda::Printer printer((*function)->func, (*function)->abi, (*function)->buffers,
                        (*function)->sizes, {std::nullopt, epilogueColumns(kernel, desc), rounded});
  if (!printer.printAt("row", "column", desc.gated ? desc.columns / 2 : desc.columns) ||
      !unexpected.empty()) {
    problem = unexpected.empty() ? printer.getProblem() : unexpected;
    return std::nullopt;
  }
  if (printer.getCosts().serialReductions) {
    problem = "what follows the linear layer reduces over its result";
    return std::nullopt;
  }
  return printer.getText();
}

WeightLayout codegen::interleaveGate(exec::KernelOp kernel, const LinearDesc &desc) {
  MLIRContext *context = kernel.getContext();
  int64_t groups = desc.columns / 2 / kGateRows, k = desc.k;
  auto type = RankedTensorType::get({desc.columns, k}, desc.elementType);
  WeightLayout layout;
  layout.input = desc.weight;
  layout.type = type;
  auto step = [&](exec::RecipeOp op, ArrayRef<int64_t> ints) {
    layout.steps.push_back(
        exec::StepAttr::get(context, op, ints, Builder(context).getF64FloatAttr(0)));
  };
  step(exec::RecipeOp::Reshape, {2, groups, kGateRows, k});
  step(exec::RecipeOp::Transpose, {1, 0, 2, 3});
  step(exec::RecipeOp::Reshape, {desc.columns, k});
  layout.undo = [type, groups, k](OpBuilder &b, Location loc, Value packed) -> Value {
    SmallVector<ReassociationIndices> outer{{0, 1, 2}, {3}};
    Type element = type.getElementType();
    Value expanded = tensor::ExpandShapeOp::create(
        b, loc, RankedTensorType::get({groups, 2, kGateRows, k}, element), packed, outer);
    Value empty =
        tensor::EmptyOp::create(b, loc, ArrayRef<int64_t>{2, groups, kGateRows, k}, element);
    Value transposed =
        linalg::TransposeOp::create(b, loc, expanded, empty, ArrayRef<int64_t>{1, 0, 2, 3})
            ->getResult(0);
    return tensor::CollapseShapeOp::create(b, loc, type, transposed, outer);
  };
  layout.description = "gate and up in turn, 4 rows each";
  return layout;
}

std::string codegen::elementName(Type type) {
  return type.isInteger(1) ? "ingot::i8" : cuda::Printer::typeName(type);
}

/// What is read or written at in the calls of `function` with `buffer`, "function...(buffer + t3":
/// the text behind the plus.
static SmallVector<StringRef> findOffsets(StringRef statements, StringRef function,
                                          StringRef buffer) {
  SmallVector<StringRef> offsets;
  for (size_t at = statements.find(function); at != StringRef::npos;
       at = statements.find(function, at + 1)) {
    StringRef call = statements.drop_front(at);
    call = call.drop_front(call.find('(') + 1);
    if (call.consume_front(buffer) && call.consume_front(" + "))
      offsets.push_back(call.take_until([](char c) { return c == ',' || c == ')'; }));
  }
  return offsets;
}

std::optional<ResultPanels> codegen::findPanels(exec::KernelOp kernel, const LinearDesc &desc,
                                                StringRef statements) {
  ResultPanels panels;
  panels.columns = desc.gated ? desc.columns / 2 : desc.columns;
  if (desc.columns % 32 || statements.count("ingot::store_pack(") != 1 ||
      (!desc.gated && epilogueColumns(kernel, desc) != 8))
    return std::nullopt;
  SmallVector<bool> written = kernel.getWrittenBuffers();
  if (llvm::count(written, true) != 1)
    return std::nullopt;
  panels.result = llvm::find(written, true) - written.begin();
  auto types = llvm::to_vector(kernel.getBufferTypes());
  exec::BufferType type = types[panels.result];
  Type element = type.getElementType();
  if (!element.isBF16() && !element.isF16())
    return std::nullopt;
  // Both are rows of the same number of columns: an element of a row is where the sum is.
  std::string place = "row * " + std::to_string(panels.columns) + " + column";
  auto isPlace = [&](StringRef offset) {
    return offset == place ||
           statements.contains("const ingot::i64 " + offset.str() + " = " + place + ";");
  };
  SmallVector<StringRef> stores =
      findOffsets(statements, "ingot::store_pack(", cuda::bufferName(panels.result));
  if (stores.size() != 1 || !isPlace(stores[0]))
    return std::nullopt;
  for (auto [i, other] : llvm::enumerate(types)) {
    if (i == desc.x || i == desc.weight || written[i] || other.getElementType() != element)
      continue;
    std::string name = cuda::bufferName(i);
    SmallVector<StringRef> loads = findOffsets(statements, "ingot::load_pack<", name);
    if (loads.size() == 1 && isPlace(loads[0]) && !statements.contains(name + "[")) {
      panels.beside = i;
      break;
    }
  }
  return panels;
}

/// What both kinds of functors have: members, and the operator. `name` gives a buffer's type.
static void declareMembers(exec::KernelOp kernel, const LinearDesc &desc,
                           llvm::function_ref<std::string(unsigned)> name,
                           const std::string &statements, EpilogueFunctor &functor) {
  functor.values = desc.gated ? 2 * kGateRows : epilogueColumns(kernel, desc);
  std::string members;
  for (unsigned i = 0; i < kernel.getWrittenBuffers().size(); ++i) {
    members += "  " + name(i) + cuda::bufferName(i) + ";\n";
    functor.arguments += (i ? ", " : "") + cuda::bufferName(i);
  }
  for (unsigned i = 0; i < kernel.getSizes().size(); ++i) {
    members += "  ingot::i64 " + cuda::sizeName(kernel, i) + ";\n";
    functor.arguments += ", " + cuda::sizeName(kernel, i);
  }
  functor.declaration +=
      members + "\n  INGOT_DEVICE void operator()(const ingot::i64 row, const int " +
      (desc.gated ? "interleaved" : "column") + ", const float (&values)[" +
      std::to_string(functor.values) + "]) const {\n" +
      (desc.gated ? "    const int column = interleaved / 2;\n" : "") + statements + "  }\n";
}

/// The comment above a functor.
static std::string describeFunctor(const LinearDesc &desc) {
  return "/// What is made of the sums of neighbouring columns" +
         std::string(desc.gated ? ": four of gate, four of up" : "") + ".\n";
}

EpilogueFunctor codegen::makeEpilogueFunctor(exec::KernelOp kernel, const LinearDesc &desc,
                                             const std::string &statements) {
  EpilogueFunctor functor;
  SmallVector<bool> written = kernel.getWrittenBuffers();
  auto types = llvm::to_vector(kernel.getBufferTypes());
  functor.type = "Epilogue";
  functor.declaration = describeFunctor(desc) + "struct Epilogue {\n";
  declareMembers(
      kernel, desc,
      [&](unsigned i) {
        return (written[i] ? "" : "const ") + elementName(types[i].getElementType()) + " *";
      },
      statements, functor);
  functor.declaration += "  static constexpr bool kBeside = false;\n};\n\n";
  return functor;
}

EpilogueFunctor codegen::makePanelEpilogue(exec::KernelOp kernel, const LinearDesc &desc,
                                           const ResultPanels &panels,
                                           const std::string &statements) {
  EpilogueFunctor functor;
  auto types = llvm::to_vector(kernel.getBufferTypes());
  std::string element = elementName(types[panels.result].getElementType());
  functor.type = "Epilogue<>";
  functor.declaration = describeFunctor(desc) + "template <typename To = " + element +
                        " *, typename From = const " + element + " *> struct Epilogue {\n";
  declareMembers(
      kernel, desc,
      [&](unsigned i) -> std::string {
        if (i == panels.result)
          return "To ";
        return i == panels.beside ? "From "
                                  : "const " + elementName(types[i].getElementType()) + " *";
      },
      statements, functor);
  std::string given, taken;
  for (unsigned i = 0; i < types.size(); ++i) {
    std::string name = i == panels.beside ? "giver" : cuda::bufferName(i);
    given += (i ? ", " : "") + name;
    taken += (i ? ", " : "") + (i == panels.result ? "taker" : name);
  }
  for (unsigned i = 0; i < kernel.getSizes().size(); ++i) {
    given += ", " + cuda::sizeName(kernel, i);
    taken += ", " + cuda::sizeName(kernel, i);
  }
  std::string address = "nullptr";
  if (panels.beside)
    address = cuda::bufferName(*panels.beside) + " + (row * " + std::to_string(panels.columns) +
              " + column" + (desc.gated ? " / 2)" : ")");
  functor.declaration +=
      "  using Result = " + element +
      ";\n  static constexpr int kResults = " + std::to_string(desc.gated ? kGateRows : 8) +
      ";\n  static constexpr bool kBeside = " + (panels.beside ? "true" : "false") +
      ";\n  INGOT_DEVICE const " + element +
      " *beside(const ingot::i64 row, const int column) const {\n    return " + address +
      ";\n  }\n"
      "  INGOT_DEVICE Epilogue<To, ingot::ResultGiver<Result>>\n"
      "  given(ingot::ResultGiver<Result> giver) const {\n"
      "    return {" +
      given +
      "};\n  }\n"
      "  INGOT_DEVICE Epilogue<ingot::ResultTaker<Result>, ingot::ResultGiver<Result>>\n"
      "  staged(ingot::ResultTaker<Result> taker, ingot::ResultGiver<Result> giver) const {\n"
      "    return {" +
      taken + "};\n  }\n};\n\n";
  return functor;
}
