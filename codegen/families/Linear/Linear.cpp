//===- Linear.cpp - Linear layers on a GPU ----------------------------------===//
#include "codegen/families/Linear/Linear.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/families/Linear/LinearDesc.h"
#include "dialects/Exec/SizeExpr.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

/// Rows of gate and of up that stand together in a gated weight: half a tile of eight columns.
static constexpr int64_t kGateRows = 4;

//===----------------------------------------------------------------------===//
// Desc
//===----------------------------------------------------------------------===//

static bool isRoot(Operation &op) {
  return isa<transformer::LinearOp, transformer::GatedLinearOp>(op);
}

/// The argument that a weight operand is, seen through what undoes its layout.
static BlockArgument traceWeight(Value value) {
  for (;;) {
    if (auto argument = dyn_cast<BlockArgument>(value))
      return argument;
    Operation *op = value.getDefiningOp();
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp, linalg::TransposeOp>(
            op))
      return {};
    value = op->getOperand(0);
  }
}

std::string LinearDesc::str() const {
  std::string type;
  llvm::raw_string_ostream(type) << elementType;
  return std::string(gated ? "gated_linear" : "linear") + ", M=" + rows.str() +
         " N=" + std::to_string(gated ? columns / 2 : columns) + " K=" + std::to_string(k) + ", " +
         type;
}

std::variant<LinearDesc, std::string> codegen::describeLinear(exec::KernelOp kernel) {
  LinearDesc desc;
  for (Operation &op : kernel.getBody().front())
    if (isRoot(op)) {
      if (desc.root)
        return std::string("it has two linear layers");
      desc.root = &op;
    }
  if (!desc.root)
    return std::string("it has no linear layer");
  desc.gated = isa<transformer::GatedLinearOp>(desc.root);
  desc.activated = desc.gated || llvm::any_of(kernel.getBody().front(), [](Operation &op) {
                     return isa<transformer::ActivationOp>(op);
                   });
  BlockArgument weight = traceWeight(desc.root->getOperand(1));
  if (!weight)
    return std::string("the weight is computed in the kernel");
  auto weightType = cast<RankedTensorType>(desc.root->getOperand(1).getType());
  if (!weightType.hasStaticShape())
    return std::string("the weight's shape is not static");
  desc.elementType = weightType.getElementType();
  desc.columns = weightType.getDimSize(0);
  desc.k = weightType.getDimSize(1);
  desc.weight = weight.getArgNumber();
  int64_t perChunk = 16 / (desc.elementType.getIntOrFloatBitWidth() / 8);

  Value x = desc.root->getOperand(0);
  while (auto cast = x.getDefiningOp<tensor::CastOp>())
    x = cast.getSource();
  if (auto slice = x.getDefiningOp<tensor::ExtractSliceOp>()) {
    auto source = cast<RankedTensorType>(slice.getSource().getType());
    unsigned last = source.getRank() - 1;
    if (!slice.getDroppedDims().none() || !slice.hasUnitStride() ||
        ShapedType::isDynamic(slice.getStaticOffset(last)) || source.isDynamicDim(last))
      return std::string("x is a slice of other than its columns");
    for (unsigned i = 0; i < last; ++i)
      if (slice.getStaticOffset(i) != 0)
        return std::string("x is a slice of other than its columns");
    desc.offset = slice.getStaticOffset(last);
    desc.rowStride = source.getDimSize(last);
    x = slice.getSource();
  } else {
    desc.rowStride = desc.k;
  }
  auto argument = dyn_cast<BlockArgument>(x);
  if (!argument)
    return std::string("x is computed in the kernel");
  desc.x = argument.getArgNumber();
  if (desc.k % perChunk || desc.rowStride % perChunk || desc.offset % perChunk)
    return "K=" + std::to_string(desc.k) + " and the row stride " + std::to_string(desc.rowStride) +
           " are no multiples of " + std::to_string(perChunk) + " elements (16 bytes)";
  if (desc.gated && desc.columns / 2 % kGateRows)
    return "F=" + std::to_string(desc.columns / 2) + " is no multiple of 4";
  ArrayRef<exec::SizeAttr> shape = kernel.getInputType(desc.x).getShape();
  desc.rows = exec::countElements(kernel.getContext(), shape.drop_back());
  if (!desc.rows)
    return std::string("the number of rows has no form");
  for (unsigned i = 0; i < kernel.getNumOutputs(); ++i)
    if (kernel.getUpdates()[i] >= 0)
      return std::string("it updates an input");
  return desc;
}

//===----------------------------------------------------------------------===//
// Epilogue
//===----------------------------------------------------------------------===//

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
    if (isRoot(op))
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

/// How many columns of the result the epilogue makes at once: a 16-byte vector of the widest type.
static int epilogueColumns(exec::KernelOp kernel, const LinearDesc &desc) {
  int64_t bytes = 2;
  for (exec::BufferType type : kernel.getBufferTypes())
    bytes = std::max(bytes, type.getElementBytes());
  if (desc.gated)
    return kGateRows;
  int vector = std::min<int64_t>(8, 16 / bytes);
  while (desc.columns % vector)
    vector /= 2;
  return vector;
}

/// Prints the epilogue's statements; nothing (with `problem`) if they have no form.
static std::optional<std::string> printEpilogue(exec::KernelOp kernel, const LinearDesc &desc,
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

//===----------------------------------------------------------------------===//
// The family
//===----------------------------------------------------------------------===//

Match LinearFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  if (!cuda::getArchInfo(target.arch))
    return Match::no("architecture " + target.arch + " is not known");
  if (llvm::none_of(kernel.getBody().front(), isRoot))
    return Match::unrelated("it has no linear layer");
  std::variant<LinearDesc, std::string> desc = describeLinear(kernel);
  if (auto *reason = std::get_if<std::string>(&desc))
    return Match::no(*reason);
  std::string problem;
  if (!printEpilogue(kernel, std::get<LinearDesc>(desc), problem))
    return Match::no(problem);
  return Match::yes();
}

/// W[2F, K], gate rows first, with four rows of each in turn.
static WeightLayout interleaveGate(exec::KernelOp kernel, const LinearDesc &desc) {
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

Result<Selection> LinearFamily::select(exec::KernelOp kernel, const SelectContext &context) const {
  LinearDesc desc = std::get<LinearDesc>(describeLinear(kernel));
  cuda::ArchInfo arch = *cuda::getArchInfo(context.target.arch);
  exec::SizeBounds bounds = exec::SizeBounds::get(kernel.getSizes());
  int64_t mostRows = bounds.maximum(desc.rows).value_or(1 << 20);
  LinearConfig config = chooseLinearConfig(desc, mostRows, arch);
  Builder builder(kernel.getContext());
  Selection selection;
  selection.desc.text = desc.str();
  auto number = [&](StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  };
  selection.config.attributes = builder.getDictionaryAttr(
      {number("threads", config.threads), number("tile_m", config.tileM),
       number("tile_n", config.tileN), number("stages", config.stages),
       number("warps_m", config.warpsM), number("tiles_at_once", config.tilesAtOnce),
       number("ring_stages", config.ringStages),
       builder.getNamedAttr("warpgroups", builder.getBoolAttr(config.warpgroups)),
       number("cluster", config.cluster), number("lead", config.lead),
       builder.getNamedAttr("in_turn", builder.getBoolAttr(config.inTurn)),
       builder.getNamedAttr("columns_in_order", builder.getBoolAttr(config.columnsInOrder)),
       number("blocks", config.blocksPerMultiprocessor), number("shared", config.sharedBytes)});
  selection.config.text = config.str();
  if (desc.gated) {
    if (!context.weightInputs[desc.weight])
      return Status(ExitCode::Unsupported, "the weight of a gated linear layer is no weight");
    selection.weightLayouts.push_back(interleaveGate(kernel, desc));
  }
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  selection.launch.grid = {
      exec::SizeAttr::get(kernel.getContext(),
                          arch.multiprocessors * config.blocksPerMultiprocessor),
      one, one};
  selection.launch.block = {config.threads, 1, 1};
  return selection;
}

/// Columns [offset, offset + K) of a buffer's rows, in boxes of 64 x `boxRows`.
static TensorMapCode makeMap(MLIRContext *context, unsigned buffer, Type type, int64_t k,
                             int64_t stride, int64_t offset, exec::SizeAttr rows,
                             uint32_t boxRows) {
  TensorMapCode map;
  map.buffer = buffer;
  map.offset = offset * 2;
  map.elementType = type;
  map.dims = {exec::SizeAttr::get(context, k), rows};
  map.strides = {exec::SizeAttr::get(context, stride * 2)};
  map.box = {64, boxRows};
  return map;
}

/// W with its rows 32g + 8c + 2j + e as dimensions K, e, j, c, g: what gemm_sm90.cuh calls
/// kColumnsInOrder copies of them in boxes of one j.
static TensorMapCode makeOrderedMap(MLIRContext *context, unsigned buffer, Type type, int64_t k,
                                    int64_t columns, uint32_t boxRows) {
  TensorMapCode map;
  map.buffer = buffer;
  map.elementType = type;
  for (int64_t size : {k, int64_t(2), int64_t(4), int64_t(4), columns / 32})
    map.dims.push_back(exec::SizeAttr::get(context, size));
  for (int64_t rows : {1, 2, 8, 32})
    map.strides.push_back(exec::SizeAttr::get(context, rows * k * 2));
  map.box = {64, 2, 1, 4, boxRows / 32};
  return map;
}

static std::string elementName(Type type) {
  return type.isInteger(1) ? "ingot::i8" : cuda::Printer::typeName(type);
}

Result<Code> LinearFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    auto described = describeLinear(kernel);
    std::string problem;
    LinearDesc desc;
    std::optional<std::string> epilogue;
    if (auto *reason = std::get_if<std::string>(&described)) {
      problem = *reason;
    } else {
      desc = std::get<LinearDesc>(described);
      epilogue = printEpilogue(kernel, desc, problem);
    }
    if (!epilogue)
      return Status(ExitCode::Internal, "kernel @" + kernel.getSymName().str() +
                                            " was selected but has no form: " + problem);
    auto config = [&](StringRef name) {
      return std::to_string(kernel.getConfig()->getAs<IntegerAttr>(name).getInt());
    };
    auto flag = [&](StringRef name) {
      return kernel.getConfig()->getAs<BoolAttr>(name).getValue();
    };
    cuda::Stub stub;
    bool warpgroups = flag("warpgroups"), ordered = flag("columns_in_order");
    stub.includes = {warpgroups ? "codegen/cuda/kernels/linear_sm90.cuh"
                                : "codegen/cuda/kernels/linear.cuh"};
    stub.threads = kernel.getConfig()->getAs<IntegerAttr>("threads").getInt();
    stub.blocksPerMultiprocessor = kernel.getConfig()->getAs<IntegerAttr>("blocks").getInt();
    stub.sharedBytes = kernel.getConfig()->getAs<IntegerAttr>("shared").getInt();
    stub.cluster = kernel.getConfig()->getAs<IntegerAttr>("cluster").getInt();
    int values = desc.gated ? 2 * kGateRows : epilogueColumns(kernel, desc);
    stub.constants = {{"int kN", std::to_string(desc.columns)},
                      {"int kK", std::to_string(desc.k)},
                      {"int kRowStride", std::to_string(desc.rowStride)},
                      {"int kTileM", config("tile_m")},
                      {"int kTileN", config("tile_n")},
                      {"int kStages", config("stages")},
                      {"int kWarpsM", config("warps_m")},
                      {"int kTilesAtOnce", config("tiles_at_once")},
                      {"int kRingStages", config("ring_stages")},
                      {"int kEpilogueVector", std::to_string(values)},
                      {"int kCluster", config("cluster")},
                      {"bool kInTurn", flag("in_turn") ? "true" : "false"},
                      {"int kLead", config("lead")},
                      {"bool kColumnsInOrder", ordered ? "true" : "false"},
                      {"int kSharedBytes", config("shared")}};
    // The epilogue: a functor with the kernel's parameters.
    std::string members, arguments, rows = std::to_string(desc.rows.getFactor()), most = rows;
    SmallVector<bool> written = kernel.getWrittenBuffers();
    for (auto [i, type] : llvm::enumerate(kernel.getBufferTypes())) {
      std::string name = cuda::bufferName(i);
      members += std::string("  ") + (written[i] ? "" : "const ") +
                 elementName(type.getElementType()) + " *" + name + ";\n";
      arguments += (i ? ", " : "") + name;
      // What only the epilogue knows: no output is written over an input (Selection::inPlace is
      // empty). Loads of x stay where the skinny path has them.
      if (i != desc.x && i != desc.weight)
        stub.restricted.push_back(i);
    }
    for (unsigned i = 0; i < kernel.getSizes().size(); ++i) {
      members += "  ingot::i64 " + cuda::sizeName(kernel, i) + ";\n";
      arguments += ", " + cuda::sizeName(kernel, i);
      stub.deviceSizes.push_back(i);
    }
    for (StringAttr symbol : desc.rows.getSymbols()) {
      rows += " * " + symbol.str();
      most += " * " + symbol.str() + "_most";
    }
    stub.declarations =
        "/// What is made of the sums of neighbouring columns" +
        std::string(desc.gated ? ": four of gate, four of up" : "") + ".\nstruct Epilogue {\n" +
        members + "\n  INGOT_DEVICE void operator()(const ingot::i64 row, const int " +
        (desc.gated ? "interleaved" : "column") + ", const float (&values)[" +
        std::to_string(values) + "]) const {\n" +
        (desc.gated ? "    const int column = interleaved / 2;\n" : "") + *epilogue + "  }\n};\n\n";
    stub.waitsItself = true;
    if (warpgroups) {
      MLIRContext *context = kernel.getContext();
      uint32_t boxRows = kernel.getConfig()->getAs<IntegerAttr>("tile_n").getInt() / stub.cluster;
      stub.tensorMaps = {makeMap(context, desc.x, desc.elementType, desc.k, desc.rowStride,
                                 desc.offset, desc.rows, 128),
                         ordered ? makeOrderedMap(context, desc.weight, desc.elementType, desc.k,
                                                  desc.columns, boxRows)
                                 : makeMap(context, desc.weight, desc.elementType, desc.k, desc.k,
                                           0, exec::SizeAttr::get(context, desc.columns), boxRows)};
    }
    std::string element = elementName(desc.elementType);
    stub.prologue = "  const ingot::i64 most = " + most + ";\n  ingot::LinearStart<Config, " +
                    element + "> start(" + cuda::bufferName(desc.weight) + ", most);\n";
    stub.body = std::string("  ingot::linear") + (warpgroups ? "_sm90" : "") + "<Config, " +
                element + ">(start, " + cuda::bufferName(desc.x) +
                (desc.offset ? " + " + std::to_string(desc.offset) : std::string()) + ", " +
                cuda::bufferName(desc.weight) + ", " + (warpgroups ? "&map0, &map1, " : "") + rows +
                ", most, Epilogue{" + arguments + "});\n";
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
