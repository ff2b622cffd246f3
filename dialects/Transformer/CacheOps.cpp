//===- CacheOps.cpp - The paged key/value cache ---------------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

static LogicalResult requireBlock(Operation *op, StringRef constraint, Value cache) {
  auto type = cast<RankedTensorType>(cache.getType());
  if (!type.isDynamicDim(2) && type.getDimSize(2) > 0)
    return success();
  return op->emitOpError() << constraint
                           << ": the block axis of cache must be static and positive, got " << type;
}

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult CacheAppendOp::verify() {
  RankedTensorType x = getX().getType(), cache = getCache().getType();
  bool isPacked = x.getRank() == 2;
  // C5
  if (bool(getCuSeqlens()) != isPacked || bool(getNumTokens()) == isPacked)
    return emitOpError() << "C5: x of " << x << " needs "
                         << (isPacked ? "cu_seqlens and no num_tokens"
                                      : "num_tokens and no cu_seqlens");
  // C1, and C3 where C1 needs it
  if (x.getRank() == 4) {
    for (int64_t dim : {1, 3})
      if (failed(requireEqualDims(*this, "C1", {"cache", getCache(), dim}, {"x", getX(), dim})))
        return failure();
  } else if (cache.isDynamicDim(1) || cache.isDynamicDim(3)) {
    return emitOpError() << "C3: Hkv and D of cache must be static for x of " << x << ", got "
                         << cache;
  } else {
    int64_t width = x.getDimSize(x.getRank() - 1);
    int64_t expected = cache.getDimSize(1) * cache.getDimSize(3);
    if (!ShapedType::isDynamic(width) && width != expected)
      return emitOpError() << "C1: the last axis of x must be Hkv * D of cache: expected "
                           << expected << ", got " << width;
  }
  // C2
  OperandDim batch{"x", getX(), 0};
  if (isPacked)
    batch = {"block_table", getBlockTable(), 0};
  if (failed(requireEqualDims(*this, "C2", batch, {"block_table", getBlockTable(), 0})) ||
      failed(requireEqualDims(*this, "C2", batch, {"past", getPast(), 0})))
    return failure();
  if (getNumTokens() &&
      failed(requireEqualDims(*this, "C2", batch, {"num_tokens", getNumTokens(), 0})))
    return failure();
  // C3
  if (failed(requireBlock(*this, "C3", getCache())))
    return failure();
  // C4
  return requireSameElementType(*this, "C4", "cache", getCache(), "x", getX());
}

LogicalResult CacheGatherOp::verify() {
  // C1
  return requireBlock(*this, "C1", getCache());
}

// What lowering may write the result over.
MutableOperandRange CacheAppendOp::getDpsInitsMutable() { return getCacheMutable(); }

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> CacheAppendOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getCache()), leadingDims(op.getCache())}};
}

FailureOr<ResultShapes> CacheGatherOp::resultShapes(Adaptor op) {
  Value cache = op.getCache(), table = op.getBlockTable();
  auto type = dyn_cast<RankedTensorType>(cache.getType());
  if (!type || type.getRank() != 4 || type.isDynamicDim(2))
    return failure();
  return ResultShapes{
      {elementTypeOf(cache),
       {ResultDim::of(table, 0), ResultDim::of(cache, 1),
        ResultDim::of(table, 1).times(type.getDimSize(2)), ResultDim::of(cache, 3)}}};
}

} // namespace ingot::transformer
