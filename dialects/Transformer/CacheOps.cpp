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
  // C1
  for (int64_t dim : {1, 3})
    if (failed(requireEqualDims(*this, "C1", {"cache", getCache(), dim}, {"x", getX(), dim})))
      return failure();
  // C2
  OperandDim batch{"x", getX(), 0};
  if (failed(requireEqualDims(*this, "C2", batch, {"block_table", getBlockTable(), 0})) ||
      failed(requireEqualDims(*this, "C2", batch, {"past", getPast(), 0})) ||
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
