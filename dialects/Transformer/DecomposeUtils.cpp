//===- DecomposeUtils.cpp - Building blocks of decompositions -------------===//
#include "dialects/Transformer/DecomposeUtils.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

LoopOperand identity(Value value) {
  LoopOperand operand{value, {}};
  for (int64_t i = 0, e = cast<RankedTensorType>(value.getType()).getRank(); i < e; ++i)
    operand.loops.push_back(i);
  return operand;
}

SmallVector<Value> createGeneric(OpBuilder &builder, Location loc, int64_t numLoops,
                                 ArrayRef<int64_t> reductions, ArrayRef<LoopOperand> inputs,
                                 ArrayRef<LoopOperand> outputs, BodyFn body) {
  SmallVector<utils::IteratorType> iterators(numLoops, utils::IteratorType::parallel);
  for (int64_t loop : reductions)
    iterators[loop] = utils::IteratorType::reduction;
  SmallVector<AffineMap> maps;
  SmallVector<Value> ins, outs;
  auto add = [&](const LoopOperand &operand, SmallVector<Value> &values) {
    SmallVector<AffineExpr> exprs;
    for (int64_t loop : operand.loops)
      exprs.push_back(builder.getAffineDimExpr(loop));
    maps.push_back(AffineMap::get(numLoops, 0, exprs, builder.getContext()));
    values.push_back(operand.value);
  };
  for (const LoopOperand &input : inputs)
    add(input, ins);
  for (const LoopOperand &output : outputs)
    add(output, outs);
  auto generic =
      linalg::GenericOp::create(builder, loc, TypeRange(ValueRange(outs)), ins, outs, maps,
                                iterators, [&](OpBuilder &b, Location l, ValueRange elements) {
                                  linalg::YieldOp::create(b, l, body(b, l, elements));
                                });
  return generic.getResults();
}

Value createPointwise(OpBuilder &builder, Location loc, ArrayRef<OpFoldResult> sizes,
                      Type elementType, ArrayRef<LoopOperand> inputs,
                      function_ref<Value(OpBuilder &, Location, ValueRange)> body) {
  Value init = tensor::EmptyOp::create(builder, loc, sizes, elementType);
  return createGeneric(builder, loc, sizes.size(), {}, inputs, {identity(init)},
                       [&](OpBuilder &b, Location l, ValueRange elements) -> SmallVector<Value> {
                         return {fromF32(b, l, body(b, l, elements.drop_back()), elementType)};
                       })
      .front();
}

Value createLastAxisReduction(OpBuilder &builder, Location loc, ArrayRef<LoopOperand> inputs,
                              TypedAttr init,
                              function_ref<Value(OpBuilder &, Location, ValueRange, Value)> body) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, inputs.front().value);
  int64_t last = sizes.size() - 1;
  sizes.pop_back();
  Value filled = createFilled(builder, loc, sizes, init);
  return createGeneric(builder, loc, last + 1, {last}, inputs, {identity(filled)},
                       [&](OpBuilder &b, Location l, ValueRange elements) -> SmallVector<Value> {
                         return {body(b, l, elements.drop_back(), elements.back())};
                       })
      .front();
}

Value createFilled(OpBuilder &builder, Location loc, ArrayRef<OpFoldResult> sizes,
                   TypedAttr value) {
  Value constant = arith::ConstantOp::create(builder, loc, value);
  Value empty = tensor::EmptyOp::create(builder, loc, sizes, value.getType());
  return linalg::FillOp::create(builder, loc, constant, empty).getResult(0);
}

Value constantF32(OpBuilder &builder, Location loc, double value) {
  return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value));
}

Value constantI32(OpBuilder &builder, Location loc, int64_t value) {
  return arith::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(value));
}

Value toF32(OpBuilder &builder, Location loc, Value value) {
  if (!isa<FloatType>(value.getType()) || value.getType().isF32())
    return value;
  return arith::ExtFOp::create(builder, loc, builder.getF32Type(), value);
}

Value fromF32(OpBuilder &builder, Location loc, Value value, Type type) {
  if (value.getType() == type)
    return value;
  return arith::TruncFOp::create(builder, loc, type, value);
}

Value tensorFromF32(OpBuilder &builder, Location loc, Value value, Type type) {
  if (cast<RankedTensorType>(value.getType()).getElementType() == type)
    return value;
  return createPointwise(builder, loc, tensor::getMixedSizes(builder, loc, value), type,
                         {identity(value)},
                         [](OpBuilder &, Location, ValueRange elements) { return elements[0]; });
}

Value sizeAsF32(OpBuilder &builder, Location loc, Value value, int64_t dim) {
  int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(dim);
  if (!ShapedType::isDynamic(size))
    return constantF32(builder, loc, size);
  Value index = tensor::DimOp::create(builder, loc, value, dim);
  Value integer = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
  return arith::SIToFPOp::create(builder, loc, builder.getF32Type(), integer);
}

Value clampedIndex(OpBuilder &builder, Location loc, Value i, Value size) {
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value last = arith::SubIOp::create(builder, loc, size, one);
  Value index = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), i);
  index = arith::MinSIOp::create(builder, loc, index, last);
  return arith::MaxSIOp::create(builder, loc, index, zero);
}

SmallVector<OpFoldResult> resultSizes(OpBuilder &builder, Operation *op, unsigned index) {
  ReifiedRankedShapedTypeDims shapes;
  // Operand ranks are the verifier's business, so reification cannot fail on a valid op.
  if (failed(cast<ReifyRankedShapedTypeOpInterface>(op).reifyResultShapes(builder, shapes)))
    return {};
  // A size that is known though the result's type does not say so is a constant here.
  for (OpFoldResult &size : shapes[index])
    size = getAsOpFoldResult(getValueOrCreateConstantIndexOp(builder, op->getLoc(), size));
  return shapes[index];
}

/// Axes [0, rank) each by itself, but the last `merged` ones together.
static SmallVector<ReassociationIndices> lastAxesTogether(int64_t rank, int64_t merged) {
  SmallVector<ReassociationIndices> groups(rank - merged + 1);
  for (int64_t i = 0; i < rank; ++i)
    groups[std::min(i, rank - merged)].push_back(i);
  return groups;
}

Value splitLastAxis(OpBuilder &builder, Location loc, Value value, int64_t count) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, loc, value);
  OpFoldResult n = affine::makeComposedFoldedAffineApply(
      builder, loc, builder.getAffineDimExpr(0).floorDiv(count), {sizes.back()});
  sizes.back() = builder.getIndexAttr(count);
  sizes.push_back(n);
  Type elementType = cast<RankedTensorType>(value.getType()).getElementType();
  return tensor::ExpandShapeOp::create(builder, loc, tensorType(sizes, elementType), value,
                                       lastAxesTogether(sizes.size(), 2), sizes);
}

Value mergeLastAxes(OpBuilder &builder, Location loc, Value value) {
  int64_t rank = cast<RankedTensorType>(value.getType()).getRank();
  return tensor::CollapseShapeOp::create(builder, loc, value, lastAxesTogether(rank, 2));
}

RankedTensorType tensorType(ArrayRef<OpFoldResult> sizes, Type elementType) {
  SmallVector<int64_t> shape;
  SmallVector<Value> dynamic;
  dispatchIndexOpFoldResults(sizes, dynamic, shape);
  return RankedTensorType::get(shape, elementType);
}

} // namespace ingot::transformer
