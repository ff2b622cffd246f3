//===- LinearDecompose.cpp - Decompositions of linear layers, activations -===//
#include "dialects/Transformer/Activations.h"
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Rows are collapsed to one axis, multiplied, and what was made of them expanded back
//===----------------------------------------------------------------------===//

/// A tensor of any rank as rows [M, K] of its last axis.
static Value collapseRows(OpBuilder &b, Location loc, Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t rank = type.getRank();
  if (rank == 1)
    return tensor::ExpandShapeOp::create(
        b, loc, RankedTensorType::get({1, type.getDimSize(0)}, type.getElementType()), x,
        SmallVector<ReassociationIndices>{{0, 1}},
        SmallVector<OpFoldResult>{b.getIndexAttr(1), tensor::getMixedSize(b, loc, x, 0)});
  if (rank == 2)
    return x;
  SmallVector<ReassociationIndices> groups(2);
  for (int64_t i = 0; i < rank - 1; ++i)
    groups[0].push_back(i);
  groups[1].push_back(rank - 1);
  return tensor::CollapseShapeOp::create(b, loc, x, groups);
}

/// Rows [M, N] as a tensor of `sizes`.
static Value expandRows(OpBuilder &b, Location loc, Value y, ArrayRef<OpFoldResult> sizes) {
  if (sizes.size() == 1)
    return tensor::CollapseShapeOp::create(b, loc, y, SmallVector<ReassociationIndices>{{0, 1}});
  if (sizes.size() == 2)
    return y;
  SmallVector<ReassociationIndices> groups(2);
  for (size_t i = 0; i + 1 < sizes.size(); ++i)
    groups[0].push_back(i);
  groups[1].push_back(sizes.size() - 1);
  Type elementType = cast<RankedTensorType>(y.getType()).getElementType();
  return tensor::ExpandShapeOp::create(b, loc, tensorType(sizes, elementType), y, groups, sizes);
}

/// sum_k x[m, k] * weight[n, k], in f32 and of `sizes`.
static Value multiplyRows(OpBuilder &b, Location loc, Value x, Value weight,
                          ArrayRef<OpFoldResult> sizes) {
  Value zero = createFilled(b, loc, sizes, b.getF32FloatAttr(0));
  // Loops (m, n, k).
  return createGeneric(b, loc, 3, {2}, {{x, {0, 2}}, {weight, {1, 2}}}, {{zero, {0, 1}}},
                       [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                         Value product =
                             arith::MulFOp::create(b, l, toF32(b, l, e[0]), toF32(b, l, e[1]));
                         return {arith::AddFOp::create(b, l, e[2], product)};
                       })
      .front();
}

FailureOr<SmallVector<Value>> LinearOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Type elementType = getType().getElementType();
  Value x = collapseRows(b, loc, getX());
  SmallVector<OpFoldResult> outer = resultSizes(b, *this);
  SmallVector<OpFoldResult> sizes{tensor::getMixedSize(b, loc, x, 0), outer.back()};
  Value y = multiplyRows(b, loc, x, getWeight(), sizes);
  if (getBias())
    y = createPointwise(b, loc, sizes, elementType, {identity(y), {getBias(), {1}}},
                        [](OpBuilder &b, Location l, ValueRange e) -> Value {
                          return arith::AddFOp::create(b, l, e[0], toF32(b, l, e[1]));
                        });
  else
    y = tensorFromF32(b, loc, y, elementType);
  return SmallVector<Value>{expandRows(b, loc, y, outer)};
}

//===----------------------------------------------------------------------===//
// gated_linear: the two halves of the weight are multiplied apart, so that a tile of the result
// needs a tile of each and no wide intermediate
//===----------------------------------------------------------------------===//

/// The first or the second half of axis 0.
static Value takeHalf(OpBuilder &b, Location loc, Value value, bool second, OpFoldResult half) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, value);
  SmallVector<OpFoldResult> offsets(sizes.size(), b.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
  sizes[0] = half;
  if (second)
    offsets[0] = half;
  return tensor::ExtractSliceOp::create(b, loc, value, offsets, sizes, strides);
}

FailureOr<SmallVector<Value>> GatedLinearOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value x = collapseRows(b, loc, getX());
  SmallVector<OpFoldResult> outer = resultSizes(b, *this);
  SmallVector<OpFoldResult> sizes{tensor::getMixedSize(b, loc, x, 0), outer.back()};
  SmallVector<LoopOperand> inputs;
  for (bool second : {false, true})
    inputs.push_back(identity(
        multiplyRows(b, loc, x, takeHalf(b, loc, getWeight(), second, outer.back()), sizes)));
  if (getBias())
    for (bool second : {false, true})
      inputs.push_back({takeHalf(b, loc, getBias(), second, outer.back()), {1}});
  Value y = createPointwise(b, loc, sizes, getType().getElementType(), inputs,
                            [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                              Value gate = e[0], up = e[1];
                              if (getBias()) {
                                gate = arith::AddFOp::create(b, l, gate, toF32(b, l, e[2]));
                                up = arith::AddFOp::create(b, l, up, toF32(b, l, e[3]));
                              }
                              gate = createActivation(b, l, getKind(), gate);
                              return arith::MulFOp::create(b, l, gate, up);
                            });
  return SmallVector<Value>{expandRows(b, loc, y, outer)};
}

//===----------------------------------------------------------------------===//
// activation
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> ActivationOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{
      createPointwise(b, getLoc(), resultSizes(b, *this), getType().getElementType(),
                      {identity(getX())}, [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                        return createActivation(b, l, getKind(), toF32(b, l, e[0]));
                      })};
}

} // namespace ingot::transformer
