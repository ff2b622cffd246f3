//===- PackingOps.cpp - Between padded batches and packed tokens ----------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

#include <limits>

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult LengthMaskOp::verify() {
  // C1
  return requireEqualDims(*this, "C1", {"lengths", getLengths(), 0}, {"like", getLike(), 0});
}

LogicalResult CuSeqlensOp::verify() {
  // C1
  auto most = static_cast<int64_t>(getRows());
  if (most < 1 || most > std::numeric_limits<int32_t>::max())
    return emitOpError() << "C1: rows must be in [1, 2^31), got " << most;
  // C2
  int64_t rows = getMask().getType().getDimSize(0);
  if (!ShapedType::isDynamic(rows) && rows > most)
    return emitOpError() << "C2: B must be at most rows = " << most << ", got " << rows;
  return success();
}

LogicalResult PackedPositionsOp::verify() {
  // C1
  auto check = [&](StringRef name, int64_t value) -> LogicalResult {
    if (value >= 0 && value <= std::numeric_limits<int32_t>::max())
      return success();
    return emitOpError() << "C1: " << name << " must be in [0, 2^31), got " << value;
  };
  if (failed(check("offset", getOffset())))
    return failure();
  if (getPaddingPosition() && failed(check("padding_position", *getPaddingPosition())))
    return failure();
  // C2
  if (getCounted() &&
      failed(requireEqualDims(*this, "C2", {"counted", getCounted(), 0}, {"like", getLike(), 0})))
    return failure();
  // C3
  if (getPaddingPosition() && !getCounted())
    return emitOpError("C3: padding_position must come with counted: without it every token counts");
  return success();
}

/// The C1 of packed pooling: B is at most N - 1.
static LogicalResult verifyRows(Operation *op, Value result, Value cuSeqlens) {
  int64_t rows = cast<RankedTensorType>(result.getType()).getDimSize(0);
  int64_t entries = cast<RankedTensorType>(cuSeqlens.getType()).getDimSize(0);
  if (ShapedType::isDynamic(entries) || (ShapedType::isDynamic(rows) ? 0 : rows) <= entries - 1)
    return success();
  return op->emitOpError() << "C1: B must be at most N - 1 = " << entries - 1 << ", got "
                           << (ShapedType::isDynamic(rows) ? "?" : std::to_string(rows));
}

LogicalResult PackedMeanPoolOp::verify() {
  // C1
  return verifyRows(*this, getResult(), getCuSeqlens());
}

LogicalResult PackedTokenOp::verify() {
  // C1
  return verifyRows(*this, getResult(), getCuSeqlens());
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> LengthMaskOp::resultShapes(Adaptor op) {
  return ResultShapes{
      {IntegerType::get(op.getLike().getContext(), 1),
       {ResultDim::of(op.getLike(), 0).sameAs(op.getLengths(), 0), ResultDim::of(op.getLike(), 1)}}};
}

FailureOr<ResultShapes> CuSeqlensOp::resultShapes(Adaptor op) {
  return ResultShapes{{IntegerType::get(op.getMask().getContext(), 32),
                       {ResultDim::constant(static_cast<int64_t>(op.getRows()) + 1)}}};
}

FailureOr<ResultShapes> TokenIndicesOp::resultShapes(Adaptor op) {
  return ResultShapes{
      {elementTypeOf(op.getCuSeqlens()),
       {ResultDim::lastElement(op.getCuSeqlens(), {{op.getMask(), 0}, {op.getMask(), 1}})}}};
}

FailureOr<ResultShapes> TokenSlotsOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getCuSeqlens()), leadingDims(op.getMask())}};
}

FailureOr<ResultShapes> PackOp::resultShapes(Adaptor op) {
  ResultShape shape{elementTypeOf(op.getX()), {ResultDim::of(op.getIndices(), 0)}};
  SmallVector<ResultDim, 4> dims = leadingDims(op.getX());
  if (dims.size() < 2)
    return failure();
  llvm::append_range(shape.dims, ArrayRef(dims).drop_front(2));
  return ResultShapes{shape};
}

FailureOr<ResultShapes> UnpackOp::resultShapes(Adaptor op) {
  ResultShape shape{elementTypeOf(op.getX()), leadingDims(op.getSlots())};
  SmallVector<ResultDim, 4> dims = leadingDims(op.getX());
  if (dims.empty())
    return failure();
  llvm::append_range(shape.dims, ArrayRef(dims).drop_front());
  return ResultShapes{shape};
}

FailureOr<ResultShapes> PackedPositionsOp::resultShapes(Adaptor op) {
  ResultDim tokens = ResultDim::of(op.getLike(), 0);
  if (op.getCounted())
    tokens = tokens.sameAs(op.getCounted(), 0);
  return ResultShapes{{elementTypeOf(op.getCuSeqlens()), {tokens}}};
}

/// The B of packed pooling.
static FailureOr<ResultDim> rowsOf(Value like, Value cuSeqlens) {
  if (like)
    return ResultDim::of(like, 0);
  auto type = dyn_cast<RankedTensorType>(cuSeqlens.getType());
  if (!type || type.getRank() != 1 || type.isDynamicDim(0) || type.getDimSize(0) < 1)
    return failure();
  return ResultDim::constant(type.getDimSize(0) - 1);
}

template <typename AdaptorT> static FailureOr<ResultShapes> pooledShape(AdaptorT op) {
  FailureOr<ResultDim> rows = rowsOf(op.getLike(), op.getCuSeqlens());
  if (failed(rows))
    return failure();
  return ResultShapes{{elementTypeOf(op.getX()), {*rows, ResultDim::of(op.getX(), 1)}}};
}

FailureOr<ResultShapes> PackedMeanPoolOp::resultShapes(Adaptor op) { return pooledShape(op); }

FailureOr<ResultShapes> PackedTokenOp::resultShapes(Adaptor op) { return pooledShape(op); }

//===----------------------------------------------------------------------===//
// Folds
//===----------------------------------------------------------------------===//

OpFoldResult PackOp::fold(FoldAdaptor) {
  auto unpack = getX().getDefiningOp<UnpackOp>();
  auto indices = getIndices().getDefiningOp<TokenIndicesOp>();
  if (!unpack || !indices || unpack.getX().getType() != getType())
    return {};
  auto slots = unpack.getSlots().getDefiningOp<TokenSlotsOp>();
  if (!slots || slots.getMask() != indices.getMask() ||
      slots.getCuSeqlens() != indices.getCuSeqlens())
    return {};
  // Without what the mask counts, the two need not be inverse to each other.
  auto counted = indices.getCuSeqlens().getDefiningOp<CuSeqlensOp>();
  return counted && counted.getMask() == indices.getMask() ? unpack.getX() : Value();
}

} // namespace ingot::transformer
