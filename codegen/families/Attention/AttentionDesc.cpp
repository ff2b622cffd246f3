//===- AttentionDesc.cpp - What an attention kernel computes ----------------===//
#include "codegen/families/Attention/AttentionDesc.h"

#include "dialects/Exec/SizeExpr.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

static constexpr int64_t kMostBatch = 4096;
static constexpr int64_t kMostWidth = 256;

// The accessors of an op are no const functions; reading is.
std::string AttentionDesc::str(const std::string &more) const {
  transformer::AttentionOp attention = op;
  std::string type;
  llvm::raw_string_ostream(type) << elementType;
  return std::string("attention, ") + (attention.isPacked() ? "packed" : "padded") +
         (attention.isPaged() ? ", paged" : "") + more +
         ", heads=" + std::to_string(attention.getHeads()) + "/" +
         std::to_string(attention.getKvHeads()) + " D=" + std::to_string(width) + ", " + type;
}

std::string AttentionDesc::key() const {
  transformer::AttentionOp attention = op;
  std::string more = attention.getCausal() ? ", causal" : "";
  if (attention.getWindow())
    more += ", window=" + std::to_string(*attention.getWindow());
  if (attention.getSoftcap())
    more += ", softcap";
  if (slopes)
    more += ", alibi";
  if (sinks)
    more += ", sinks";
  return str(more + ", B<=" + std::to_string(mostRows) + " T<=" + std::to_string(mostTokens) +
             (paged ? " block=" + std::to_string(block) : ""));
}

/// The argument (and its columns) that an operand is.
static std::optional<AttentionOperand> traceColumns(Value value) {
  AttentionOperand operand;
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  auto type = cast<RankedTensorType>(value.getType());
  operand.stride = type.getDimSize(type.getRank() - 1);
  if (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>()) {
    auto source = cast<RankedTensorType>(slice.getSource().getType());
    unsigned last = source.getRank() - 1;
    if (!slice.getDroppedDims().none() || !slice.hasUnitStride() || source.isDynamicDim(last))
      return std::nullopt;
    for (unsigned i = 0; i < last; ++i)
      if (slice.getStaticOffset(i) != 0)
        return std::nullopt;
    if (ShapedType::isDynamic(slice.getStaticOffset(last)))
      return std::nullopt;
    operand.offset = slice.getStaticOffset(last);
    operand.stride = source.getDimSize(last);
    value = slice.getSource();
  }
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return std::nullopt;
  operand.buffer = argument.getArgNumber();
  return operand;
}

namespace {

/// The values that attention would have as operands without the appends and rotations in its
/// kernel.
struct AttentionValues {
  Value q, k, v;
};

} // namespace

/// The rotation that makes `value`, which then is what it rotates; else why it is none for this.
static std::string takeRotation(Value &value, int64_t heads, transformer::RopeOp &rotation) {
  auto rope = value.getDefiningOp<transformer::RopeOp>();
  if (!rope)
    return "";
  if (rope.getInterleaved())
    return "neighbouring elements are rotated";
  if (rope.getHeads().value_or(0) != heads || !isa<BlockArgument>(rope.getCos()) ||
      !isa<BlockArgument>(rope.getSin()))
    return "the rotation's tables are computed in the kernel";
  rotation = rope;
  value = rope.getX();
  return "";
}

/// Reads the appends in front of `op`; a problem if they are none that its kernel can make.
static std::string describeAppend(exec::KernelOp kernel, transformer::AttentionOp op,
                                  AttentionValues &values, AttentionAppend &append) {
  auto appendK = op.getK().getDefiningOp<transformer::CacheAppendOp>();
  auto appendV = op.getV().getDefiningOp<transformer::CacheAppendOp>();
  if (!appendK || !appendV)
    return "keys and values are not both appended in the kernel";
  SmallVector<Value> yielded{op.getOut()};
  for (auto cache : {appendK, appendV}) {
    if (cache.getBlockTable() != op.getBlockTable() || cache.getPast() != op.getPast() ||
        cache.getCuSeqlens() != op.getCuSeqlens() || !isa<BlockArgument>(cache.getCache()) ||
        !llvm::all_of(cache.getResult().getUsers(), [&](Operation *user) {
          return user == op || user->hasTrait<OpTrait::IsTerminator>();
        }))
      return "what is appended is not what attention reads";
    yielded.push_back(cache.getResult());
  }
  Operation *yield = kernel.getBody().front().getTerminator();
  if (yield->getNumOperands() != 3 || !llvm::all_of(yielded, [&](Value value) {
        return llvm::is_contained(yield->getOperands(), value);
      }))
    return "it gives more than the attention's output and the caches";
  values = {op.getQ(), appendK.getX(), appendV.getX()};
  transformer::RopeOp ropeQ, ropeK;
  for (std::string problem : {takeRotation(values.q, op.getHeads(), ropeQ),
                              takeRotation(values.k, op.getKvHeads(), ropeK)})
    if (!problem.empty())
      return problem;
  if (!ropeQ != !ropeK ||
      (ropeQ && (ropeQ.getCos() != ropeK.getCos() || ropeQ.getSin() != ropeK.getSin())))
    return "queries and keys are not rotated alike";
  if (ropeQ) {
    append.cos = cast<BlockArgument>(ropeQ.getCos()).getArgNumber();
    append.sin = cast<BlockArgument>(ropeQ.getSin()).getArgNumber();
    auto tables = cast<RankedTensorType>(ropeQ.getCos().getType());
    append.rotated = 2 * tables.getDimSize(tables.getRank() - 1);
  }
  auto k = traceColumns(values.k), v = traceColumns(values.v);
  if (!k || !v)
    return "new keys or values are computed in the kernel";
  append.k = *k;
  append.v = *v;
  values.k = appendK.getCache();
  values.v = appendV.getCache();
  return "";
}

std::variant<AttentionDesc, std::string>
codegen::describeAttention(exec::KernelOp kernel, std::optional<AttentionAppend> *append) {
  AttentionDesc desc;
  bool appends = append && hasAnyOp<transformer::CacheAppendOp>(kernel);
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
      if (desc.op)
        return std::string("it has two attentions");
      desc.op = attention;
    } else if (!(appends && isa<transformer::CacheAppendOp, transformer::RopeOp>(op)) &&
               !isa<tensor::ExtractSliceOp, tensor::CastOp, tensor::DimOp>(op) &&
               !op.hasTrait<OpTrait::ConstantLike>()) {
      return "it has " + op.getName().getStringRef().str() + " besides attention";
    }
  }
  transformer::AttentionOp op = desc.op;
  if (!op)
    return std::string("it has no attention");
  AttentionValues values{op.getQ(), op.getK(), op.getV()};
  Operation *yield = kernel.getBody().front().getTerminator();
  if (appends) {
    std::string problem = describeAppend(kernel, op, values, append->emplace());
    if (!problem.empty())
      return problem;
  } else if (yield->getNumOperands() != 1 || yield->getOperand(0) != op.getOut()) {
    return std::string("it gives more than the attention's output");
  }
  if (op.getBackend() == transformer::AttentionBackend::Math)
    return std::string("the math back end makes the scores as a tensor");
  if (!op.isPaged() && !op.isPacked())
    return std::string("its rows are padded; packed rows are what a GPU runs fast");
  if (op.getBias() || op.getHeadMask() || op.getProbabilities())
    return std::string("it has a bias or a head mask, or returns probabilities");
  desc.elementType = cast<RankedTensorType>(op.getQ().getType()).getElementType();
  auto qType = cast<RankedTensorType>(op.getQ().getType());
  int64_t queryWidth = qType.getDimSize(qType.getRank() - 1);
  if (ShapedType::isDynamic(queryWidth))
    return std::string("the width is not static");
  desc.width = queryWidth / op.getHeads();
  if (op.getValueWidth() != desc.width)
    return std::string("keys and values have different widths");
  if (desc.width > kMostWidth)
    return "D=" + std::to_string(desc.width) + " is more than " + std::to_string(kMostWidth);
  if (!(op.getScale().convertToDouble() > 0))
    return std::string("the scale is not positive");
  auto q = traceColumns(values.q), k = traceColumns(values.k), v = traceColumns(values.v);
  if (!q || !k || !v)
    return std::string("queries, keys or values are computed in the kernel");
  desc.q = *q;
  desc.k = *k;
  desc.v = *v;
  desc.chunkBytes = 16;
  SmallVector<int64_t> multiples{desc.width,    desc.q.stride, desc.q.offset, desc.k.stride,
                                 desc.k.offset, desc.v.stride, desc.v.offset};
  if (appends)
    multiples.append(
        {(*append)->k.stride, (*append)->k.offset, (*append)->v.stride, (*append)->v.offset});
  for (int64_t elements : multiples)
    while (elements * desc.elementType.getIntOrFloatBitWidth() / 8 % desc.chunkBytes)
      desc.chunkBytes /= 2;
  std::string computed;
  auto argument = [&](Value value, std::optional<unsigned> &number) {
    if (!value)
      return;
    if (auto block = dyn_cast<BlockArgument>(value))
      number = block.getArgNumber();
    else
      computed = "lengths, tables or slopes are computed in the kernel";
  };
  argument(op.getCuSeqlens(), desc.cu);
  argument(op.getBlockTable(), desc.table);
  argument(op.getPast(), desc.past);
  argument(op.getAlibiSlopes(), desc.slopes);
  argument(op.getSinks(), desc.sinks);
  if (!computed.empty())
    return computed;
  if (desc.sinks && !kernel.getInputType(*desc.sinks).getElementType().isF32())
    return std::string("sinks are not f32");
  MLIRContext *context = kernel.getContext();
  exec::SizeBounds bounds = exec::SizeBounds::get(kernel.getSizes());
  ArrayRef<exec::SizeAttr> queries = kernel.getInputType(desc.q.buffer).getShape();
  desc.queryRows = exec::countElements(context, queries.drop_back());
  desc.mostTokens = desc.queryRows ? bounds.maximum(desc.queryRows).value_or(0) : 0;
  desc.tokens = desc.tableBlocks = exec::SizeAttr::get(context, 0);
  desc.paged = op.isPaged();
  if (desc.paged) {
    ArrayRef<exec::SizeAttr> table = kernel.getInputType(*desc.table).getShape();
    desc.rows = table[0];
    desc.tableBlocks = table[1];
    auto cache = cast<RankedTensorType>(op.getK().getType());
    desc.blocks = cache.getDimSize(0);
    desc.block = cache.getDimSize(2);
    if (!op.isPacked())
      desc.tokens = kernel.getInputType(desc.q.buffer).getShape()[1];
  } else {
    exec::SizeAttr entries = kernel.getInputType(*desc.cu).getShape()[0];
    if (!entries.isStatic())
      return std::string("the number of rows is not static");
    desc.rows = exec::SizeAttr::get(context, entries.getFactor() - 1);
  }
  desc.mostRows = bounds.maximum(desc.rows).value_or(kMostBatch + 1);
  if (desc.mostRows > kMostBatch)
    return "up to " + std::to_string(desc.mostRows) + " rows, past " + std::to_string(kMostBatch);
  return desc;
}
