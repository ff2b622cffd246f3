//===- KernelFunction.cpp - A kernel body ready to be printed ---------------===//
#include "codegen/cuda/KernelFunction.h"

#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::cuda;

std::string cuda::bufferName(unsigned buffer) { return "b" + std::to_string(buffer); }

std::string cuda::sizeName(exec::KernelOp kernel, unsigned size) {
  return cast<exec::SymbolAttr>(kernel.getSizes()[size]).getName().str();
}

bool cuda::hasName(StringRef text, StringRef name) {
  auto isPart = [](char c) { return llvm::isAlnum(c) || c == '_'; };
  for (size_t at = text.find(name); at != StringRef::npos; at = text.find(name, at + 1)) {
    size_t end = at + name.size();
    if ((at == 0 || !isPart(text[at - 1])) && (end == text.size() || !isPart(text[end])))
      return true;
  }
  return false;
}

std::string cuda::printSize(exec::SizeAttr size) {
  std::string text = std::to_string(size.getFactor());
  for (StringAttr symbol : size.getSymbols())
    text += " * " + symbol.str();
  if (size.getDivisor() != 1)
    text = "ingot::ceil_div<ingot::i64>(" + text + ", " + std::to_string(size.getDivisor()) + ")";
  return text;
}

//===----------------------------------------------------------------------===//
// Paged caches
//===----------------------------------------------------------------------===//

/// cache_gather as one generic op that extracts.
static void replaceGather(transformer::CacheGatherOp op) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  auto cacheType = cast<RankedTensorType>(op.getCache().getType());
  auto type = cast<RankedTensorType>(op->getResult(0).getType());
  Value block = arith::ConstantIndexOp::create(b, loc, cacheType.getDimSize(2));
  Value last = arith::SubIOp::create(b, loc, tensor::DimOp::create(b, loc, op.getCache(), 0),
                                     arith::ConstantIndexOp::create(b, loc, 1));
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value context =
      arith::MulIOp::create(b, loc, tensor::DimOp::create(b, loc, op.getBlockTable(), 1), block);
  SmallVector<OpFoldResult> sizes{tensor::getMixedSize(b, loc, op.getBlockTable(), 0),
                                  tensor::getMixedSize(b, loc, op.getCache(), 1),
                                  getAsOpFoldResult(context),
                                  tensor::getMixedSize(b, loc, op.getCache(), 3)};
  Value empty = tensor::EmptyOp::create(b, loc, sizes, type.getElementType());
  Value cast = empty.getType() == type ? empty : tensor::CastOp::create(b, loc, type, empty);
  AffineMap map = b.getMultiDimIdentityMap(4);
  SmallVector<utils::IteratorType> loops(4, utils::IteratorType::parallel);
  auto generic = linalg::GenericOp::create(
      b, loc, TypeRange{type}, ValueRange{}, ValueRange{cast}, ArrayRef<AffineMap>{map}, loops,
      [&](OpBuilder &b, Location l, ValueRange) {
        auto index = [&](int64_t dim) -> Value { return linalg::IndexOp::create(b, l, dim); };
        Value entry = arith::DivUIOp::create(b, l, index(2), block);
        Value physical =
            tensor::ExtractOp::create(b, l, op.getBlockTable(), ValueRange{index(0), entry});
        physical = arith::IndexCastOp::create(b, l, b.getIndexType(), physical);
        physical = arith::MaxSIOp::create(b, l, arith::MinSIOp::create(b, l, physical, last), zero);
        Value slot = arith::RemUIOp::create(b, l, index(2), block);
        Value element = tensor::ExtractOp::create(b, l, op.getCache(),
                                                  ValueRange{physical, index(1), slot, index(3)});
        linalg::YieldOp::create(b, l, element);
      });
  op->getResult(0).replaceAllUsesWith(generic.getResult(0));
  op.erase();
}

namespace {

/// An append that became an output of the appended tokens. Arguments are those of the function.
struct Append {
  unsigned result;
  unsigned cache, table, past;
  unsigned count; // num_tokens, or cu_seqlens if packed
  bool packed;
  SmallVector<int64_t> cacheShape, shape; // of what is appended
  unsigned like = 0;                      // an argument with its dynamic dimensions
};

} // namespace

static std::optional<unsigned> argumentNumber(func::FuncOp func, Value value) {
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument || argument.getOwner() != &func.getBody().front())
    return std::nullopt;
  return argument.getArgNumber();
}

/// An argument whose dynamic dimensions are those of `value`, which is elementwise (or RoPE, or
/// columns) of it.
static std::optional<unsigned> findLike(func::FuncOp func, Value value) {
  if (auto number = argumentNumber(func, value))
    return number;
  Operation *op = value.getDefiningOp();
  auto type = cast<RankedTensorType>(value.getType());
  for (Value operand : op->getOperands()) {
    auto operandType = dyn_cast<RankedTensorType>(operand.getType());
    if (!operandType || operandType.getRank() != type.getRank())
      continue;
    bool same = true;
    for (int64_t i = 0; i < type.getRank(); ++i)
      same &= operandType.isDynamicDim(i) == type.isDynamicDim(i);
    if (same)
      return findLike(func, operand);
  }
  return std::nullopt;
}

static std::optional<std::string> replaceAppends(func::FuncOp func,
                                                 SmallVectorImpl<Append> &appends) {
  SmallVector<transformer::CacheAppendOp> ops(func.getOps<transformer::CacheAppendOp>());
  Operation *returned = func.getBody().front().getTerminator();
  for (transformer::CacheAppendOp op : ops) {
    Value result = op->getResult(0);
    if (!result.hasOneUse() || *result.getUsers().begin() != returned)
      return "the cache that was appended to is used in the same kernel";
    unsigned position = result.getUses().begin()->getOperandNumber();
    auto cache = argumentNumber(func, op.getCache());
    auto table = argumentNumber(func, op.getBlockTable());
    auto past = argumentNumber(func, op.getPast());
    bool packed = bool(op.getCuSeqlens());
    auto count = argumentNumber(func, packed ? op.getCuSeqlens() : op.getNumTokens());
    auto alias = func.getResultAttrOfType<IntegerAttr>(position, "ingot.alias");
    if (!cache || !table || !past || !count || !alias || alias.getInt() != *cache)
      return "the cache, its block table or its lengths are computed in the same kernel";
    appends.push_back({position, *cache, *table, *past, *count, packed,
                       llvm::to_vector(cast<RankedTensorType>(op.getCache().getType()).getShape()),
                       llvm::to_vector(cast<RankedTensorType>(op.getX().getType()).getShape())});
    // The output is now what is appended, with the extents of its type.
    returned->setOperand(position, op.getX());
    func.removeResultAttr(position, StringAttr::get(func.getContext(), "ingot.alias"));
    SmallVector<Type> results(returned->getOperandTypes());
    func.setFunctionType(FunctionType::get(func.getContext(), func.getArgumentTypes(), results));
    // Its leading dimensions are those of the argument that it is made of.
    std::optional<unsigned> like = findLike(func, op.getX());
    if (!like)
      return "what is appended is computed in the same kernel from something of another shape";
    appends.back().like = *like;
    func.setResultAttr(position, "ingot.sizes", func.getArgAttr(*like, "ingot.sizes"));
    op.erase();
  }
  return std::nullopt;
}

/// The indices of an element of `append.shape` out of those in the normal form, which may have
/// split or joined dimensions.
static std::vector<Index> reshapeIndices(Printer &printer, const Append &append,
                                         ArrayRef<std::string> extents, ArrayRef<Index> indices) {
  size_t rank = append.shape.size();
  auto divide = [&](Scalar &rest, const std::string &by) {
    Scalar divisor = printer.literal(by);
    Index index = printer.define("ingot::i64", rest.text + " % " + by, {&rest, &divisor});
    rest = printer.define("ingot::i64", rest.text + " / " + by, {&rest, &divisor});
    return index;
  };
  std::vector<Index> result(rank);
  // The last dimensions that make the last one.
  size_t kept = indices.size();
  int64_t product = 1, extent = 0;
  while (kept > 0 && product < append.shape.back() &&
         !StringRef(extents[kept - 1]).getAsInteger(10, extent)) {
    product *= extent;
    --kept;
  }
  Scalar rest;
  if (product == append.shape.back()) {
    result[rank - 1] = printer.linearize(extents.drop_front(kept), indices.drop_front(kept));
    rest = printer.linearize(extents.take_front(kept), indices.take_front(kept));
    if (kept == rank - 1) {
      llvm::copy(indices.take_front(kept), result.begin());
      return result;
    }
  } else {
    rest = printer.linearize(extents, indices);
    result[rank - 1] = divide(rest, std::to_string(append.shape.back()));
  }
  for (size_t i = rank - 1; i-- > 1;)
    result[i] = divide(rest, ShapedType::isDynamic(append.shape[i])
                                 ? printer.getBufferExtent(append.like, i)
                                 : std::to_string(append.shape[i]));
  result[0] = rest;
  return result;
}

/// Stores elements of x at their places in the cache, if they have any: one, or `width` that are in
/// `value` and begin at `given`.
static void writeAppended(Printer &printer, const KernelFunction &function, const Append &append,
                          ArrayRef<std::string> extents, ArrayRef<Index> given, const Scalar &value,
                          int width) {
  const std::string &cache = function.buffers[append.cache].name;
  const std::string &table = function.buffers[append.table].name;
  const std::string &past = function.buffers[append.past].name;
  const std::string &count = function.buffers[append.count].name;
  std::string heads = std::to_string(append.cacheShape[1]);
  std::string block = std::to_string(append.cacheShape[2]);
  std::string size = std::to_string(append.cacheShape[3]);
  std::string tableBlocks = printer.getBufferExtent(append.table, 1);
  std::vector<Index> indices = reshapeIndices(printer, append, extents, given);
  // Row b, its token s, head h and element d; `known` says whether there is such a row.
  Index b = indices[0], s, h, d;
  Scalar known = printer.literal("true");
  const Index &last = indices.back();
  if (indices.size() == 4) {
    h = indices[1];
    s = indices[2];
    d = indices[3];
  } else {
    h = printer.define("ingot::i64", last.text + " / " + size, {&last});
    d = printer.define("ingot::i64", last.text + " % " + size, {&last});
    if (append.packed) {
      const Index token = indices[0];
      std::string rows = printer.getBufferExtent(append.past, 0);
      b = printer.define("ingot::i64",
                         "ingot::find_row(" + count + ", " + rows + ", " + token.text + ")",
                         {&token});
      known = printer.define("bool", b.text + " < " + rows, {&b});
      s = printer.define("ingot::i64",
                         known.text + " ? " + token.text + " - " + count + "[" + b.text + "] : 0",
                         {&known, &token, &b});
      b = printer.define("ingot::i64", known.text + " ? " + b.text + " : 0", {&known, &b});
    } else {
      s = indices[1];
    }
  }
  Scalar start = printer.define("ingot::i64",
                                "ingot::max_of<ingot::i64>(" + past + "[" + b.text + "], 0)", {&b});
  Scalar position = printer.define("ingot::i64", start.text + " + " + s.text, {&start, &s});
  std::string within = append.packed ? known.text : s.text + " < " + count + "[" + b.text + "]";
  Scalar valid =
      printer.define("bool", within + " && " + position.text + " < " + tableBlocks + " * " + block,
                     {&position, &s, &b, &known});
  CodeBlock *place = printer.deepest({&valid, &value, &h, &d});
  std::string slot = "ingot::paged_slot<" + std::to_string(append.cacheShape[0]) + ", " + heads +
                     ", " + block + ", " + size + ">(" + cache + ", " + table + " + " + b.text +
                     " * " + tableBlocks + ", " + position.text + ", " + h.text + ")";
  printer.statement(place, "if (" + valid.text + ")");
  printer.statement(place, width > 1 ? "  ingot::store_pack(" + slot + " + " + d.text + ", " +
                                           value.text + ");"
                                     : "  " + slot + "[" + d.text + "] = " + value.text + ";");
}

//===----------------------------------------------------------------------===//
// Preparation
//===----------------------------------------------------------------------===//

Result<std::unique_ptr<KernelFunction>> cuda::prepareKernelFunction(exec::KernelOp kernel,
                                                                    const FunctionEdit &edit) {
  auto function = std::make_unique<KernelFunction>();
  Result<codegen::KernelModule> module =
      codegen::parseKernelFunction(codegen::printKernelFunction(kernel, /*mayAlias=*/false));
  if (!module.ok())
    return module.status();
  function->module = std::move(*module);
  func::FuncOp func = function->func = *function->module.module->getOps<func::FuncOp>().begin();
  std::string diagnostics;
  ScopedDiagnosticHandler handler(func.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostics.empty())
      diagnostics = diagnostic.str();
    return success();
  });
  auto unsupported = [](const std::string &reason) {
    return Status(ExitCode::Unsupported, reason);
  };
  unsigned numInputs = func.getNumArguments();
  if (edit)
    if (std::optional<std::string> reason = edit(func))
      return unsupported(*reason);
  SmallVector<Append> appends;
  if (std::optional<std::string> reason = replaceAppends(func, appends))
    return unsupported(*reason);
  // Attention that comes here is made by its scores, one row at a time.
  for (auto op : func.getOps<transformer::AttentionOp>())
    op.setBackend(transformer::AttentionBackend::Math);
  SmallVector<transformer::CacheGatherOp> gathers(func.getOps<transformer::CacheGatherOp>());
  for (transformer::CacheGatherOp op : gathers)
    replaceGather(op);

  // The buffers of the entry point: inputs, then the outputs that update nothing.
  unsigned numArguments = func.getNumArguments();
  for (unsigned i = 0; i < numInputs; ++i)
    function->buffers.push_back({nullptr, nullptr, bufferName(i)});
  for (unsigned i = numInputs; i < numArguments; ++i)
    function->buffers.push_back({});
  unsigned next = numInputs;
  for (unsigned i = 0; i < func.getNumResults(); ++i) {
    if (func.getResultAttr(i, "ingot.alias"))
      continue;
    BufferHooks hooks;
    auto append = llvm::find_if(appends, [&](const Append &known) { return known.result == i; });
    if (append == appends.end()) {
      hooks.name = bufferName(next++);
    } else {
      KernelFunction *self = function.get();
      hooks.write = [self, append = *append](Printer &printer, ArrayRef<std::string> extents,
                                             ArrayRef<Index> indices, const Scalar &value,
                                             int width) {
        writeAppended(printer, *self, append, extents, indices, value, width);
      };
      function->scatters = true;
      function->appendedLike = append->like;
      function->appendedShape = append->shape;
      function->appendedWidth = append->cacheShape[3];
    }
    function->buffers.push_back(std::move(hooks));
  }
  for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
    function->sizes.push_back(sizeName(kernel, i));
  FailureOr<host::KernelAbi> abi = host::readAbi(func);
  if (failed(abi) || failed(host::bindBuffers(func, *abi)))
    return unsupported("its signature has no form: " + diagnostics);
  function->abi = *abi;
  // Columns of a known number are whole vectors; of one dimension that isn't known, none are.
  bool keepColumns = bool(edit);
  if (!kernel.getOwnOutputs().empty()) {
    ArrayRef<exec::SizeAttr> shape =
        kernel.getOutputType(kernel.getOwnOutputs().front()).getShape();
    keepColumns |= shape.size() > 1 && shape.back().isStatic();
  }
  if (failed(host::normalizeKernel(func, function->abi, keepColumns)) || failed(verify(func)))
    return unsupported("it has no normal form: " + diagnostics);
  return function;
}
