//===- EmbeddingOps.cpp - Tokens and positions ----------------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

#include <limits>

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult PositionsOp::verify() {
  // C1
  auto check = [&](StringRef name, int64_t value) -> LogicalResult {
    if (value >= 0 && value <= std::numeric_limits<int32_t>::max())
      return success();
    return emitOpError() << "C1: " << name << " must be in [0, 2^31), got " << value;
  };
  if (failed(check("offset", getOffset())))
    return failure();
  return getPaddingPosition() ? check("padding_position", *getPaddingPosition()) : success();
}

LogicalResult TokenPositionsOp::verify() {
  // C1
  return requireEqualDims(*this, "C1", {"past", getPast(), 0}, {"like", getLike(), 0});
}

LogicalResult ContextPositionsOp::verify() {
  // C1
  return requireAtLeast(*this, "C1", "block_size", getBlockSize(), 1);
}

LogicalResult RopeTableOp::verify() {
  // C1
  if (getInvFreq().getType().getRank() == 2 &&
      failed(requireEqualDims(*this, "C1", {"positions", getPositions(), 0},
                              {"inv_freq", getInvFreq(), 0})))
    return failure();
  // C2
  if (!getAttentionFactor().isFinite())
    return emitOpError("C2: attention_factor must be finite");
  return success();
}

LogicalResult DynamicRopeFrequenciesOp::verify() {
  // C1
  if (getDim() < 4 || getDim() % 2 != 0)
    return emitOpError() << "C1: dim must be even and at least 4, got " << getDim();
  // C2
  if (failed(requireFinite(*this, "C2", "base", getBase(), 1.0, /*strict=*/true)) ||
      failed(requireFinite(*this, "C2", "factor", getFactor(), 1.0, /*strict=*/false)))
    return failure();
  // C3
  if (getMaxPosition() < 1 || getMaxPosition() > std::numeric_limits<int32_t>::max())
    return emitOpError() << "C3: max_position must be in [1, 2^31), got " << getMaxPosition();
  return success();
}

LogicalResult RopeOp::verify() {
  RankedTensorType x = getX().getType(), cos = getCos().getType();
  int64_t rank = x.getRank(), tableRank = rank == 2 ? 2 : 3;
  // C1
  if (getSin().getType().getRank() != cos.getRank())
    return emitOpError() << "C1: cos and sin must have the same shape, got " << cos << " and "
                         << getSin().getType();
  for (int64_t dim = 0; dim < cos.getRank(); ++dim)
    if (failed(requireEqualDims(*this, "C1", {"cos", getCos(), dim}, {"sin", getSin(), dim})))
      return failure();
  // C2
  if (cos.getRank() != tableRank)
    return emitOpError() << "C2: cos must be of rank " << tableRank << " for x of " << x
                         << ", got " << cos;
  for (int64_t dim = 0; dim < tableRank - 1; ++dim)
    if (failed(requireEqualDims(*this, "C2", {"x", getX(), rank == 4 ? 2 * dim : dim},
                                {"cos", getCos(), dim})))
      return failure();
  // C4, before C3 which needs D
  if (getHeads().has_value() == (rank == 4))
    return emitOpError() << "C4: heads must be given unless x is of rank 4, got x of " << x;
  int64_t heads = getHeads().value_or(1), width = x.getDimSize(rank - 1);
  if (failed(requireAtLeast(*this, "C4", "heads", heads, 1)))
    return failure();
  if (!ShapedType::isDynamic(width) && width % heads != 0)
    return emitOpError() << "C4: the last axis of x must be a multiple of heads = " << heads
                         << ", got " << width;
  // C3
  int64_t half = cos.getDimSize(tableRank - 1);
  if (!ShapedType::isDynamic(width) && !ShapedType::isDynamic(half) && 2 * half > width / heads)
    return emitOpError() << "C3: twice the last dimension of cos must be at most D = "
                         << width / heads << ", got " << 2 * half;
  return success();
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> EmbeddingOp::resultShapes(Adaptor op) {
  SmallVector<ResultDim, 4> dims = leadingDims(op.getIds());
  dims.push_back(ResultDim::of(op.getTable(), 1));
  return ResultShapes{{elementTypeOf(op.getTable()), dims}};
}

FailureOr<ResultShapes> PositionsOp::resultShapes(Adaptor op) {
  return ResultShapes{{IntegerType::get(op.getMask().getContext(), 32), leadingDims(op.getMask())}};
}

FailureOr<ResultShapes> TokenPositionsOp::resultShapes(Adaptor op) {
  return ResultShapes{
      {elementTypeOf(op.getPast()),
       {ResultDim::of(op.getPast(), 0).sameAs(op.getLike(), 0), ResultDim::of(op.getLike(), 1)}}};
}

FailureOr<ResultShapes> ContextPositionsOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getBlockTable()),
                       {ResultDim::of(op.getBlockTable(), 0),
                        ResultDim::of(op.getBlockTable(), 1).times(op.getBlockSize())}}};
}

FailureOr<ResultShapes> RopeTableOp::resultShapes(Adaptor op) {
  ResultShape shape{elementTypeOf(op.getInvFreq()), leadingDims(op.getPositions())};
  shape.dims.push_back(ResultDim::of(op.getInvFreq(), -1));
  return ResultShapes{shape, shape};
}

FailureOr<ResultShapes> DynamicRopeFrequenciesOp::resultShapes(Adaptor op) {
  return ResultShapes{
      {Float32Type::get(op.getPositions().getContext()),
       {ResultDim::of(op.getPositions(), 0), ResultDim::constant(op.getDim() / 2)}}};
}

FailureOr<ResultShapes> RopeOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getX()), leadingDims(op.getX())}};
}

} // namespace ingot::transformer
