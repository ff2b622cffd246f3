//===- NormDecompose.cpp - Decompositions of normalizations ---------------===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

/// sum_e(x^2), in f32.
static Value sumOfSquares(OpBuilder &b, Location loc, Value x) {
  return createLastAxisReduction(b, loc, {identity(x)}, b.getF32FloatAttr(0),
                                 [](OpBuilder &b, Location l, ValueRange e, Value sum) -> Value {
                                   Value v = toF32(b, l, e[0]);
                                   Value square = arith::MulFOp::create(b, l, v, v);
                                   return arith::AddFOp::create(b, l, sum, square);
                                 });
}

/// 1 / sqrt(sum / E + eps) of each element of `sum`, E being the last axis of `x`.
static Value inverseDeviation(OpBuilder &b, Location loc, Value sum, Value x, const APFloat &eps) {
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  Value width = sizeAsF32(b, loc, x, rank - 1);
  Value epsValue = constantF32(b, loc, eps.convertToDouble());
  Value one = constantF32(b, loc, 1.0);
  return createPointwise(b, loc, tensor::getMixedSizes(b, loc, sum), b.getF32Type(),
                         {identity(sum)}, [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                           Value mean = arith::DivFOp::create(b, l, e[0], width);
                           Value shifted = arith::AddFOp::create(b, l, mean, epsValue);
                           Value root = math::SqrtOp::create(b, l, shifted);
                           return arith::DivFOp::create(b, l, one, root);
                         });
}

/// rms_norm of `x`, of `sizes` and its element type.
static Value rmsNorm(OpBuilder &b, Location loc, Value x, Value weight, const APFloat &eps,
                     ArrayRef<OpFoldResult> sizes) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t last = type.getRank() - 1;
  Type elementType = type.getElementType();
  Value inverse = inverseDeviation(b, loc, sumOfSquares(b, loc, x), x, eps);
  return createPointwise(b, loc, sizes, elementType,
                         {identity(x), identity(inverse), {weight, {last}}},
                         [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                           Value normal = arith::MulFOp::create(b, l, toF32(b, l, e[0]), e[1]);
                           // As the reference: rounded to the element type before the weight.
                           normal = toF32(b, l, fromF32(b, l, normal, elementType));
                           return arith::MulFOp::create(b, l, normal, toF32(b, l, e[2]));
                         });
}

/// layer_norm of `x`, of `sizes` and its element type; an absent parameter is null.
static Value layerNorm(OpBuilder &b, Location loc, Value x, Value weight, Value bias,
                       const APFloat &eps, ArrayRef<OpFoldResult> sizes) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t last = type.getRank() - 1;
  Value width = sizeAsF32(b, loc, x, last);
  Value sum =
      createLastAxisReduction(b, loc, {identity(x)}, b.getF32FloatAttr(0),
                              [](OpBuilder &b, Location l, ValueRange e, Value sum) -> Value {
                                return arith::AddFOp::create(b, l, sum, toF32(b, l, e[0]));
                              });
  Value mean =
      createPointwise(b, loc, tensor::getMixedSizes(b, loc, sum), b.getF32Type(), {identity(sum)},
                      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                        return arith::DivFOp::create(b, l, e[0], width);
                      });
  // E[(x - mean)^2], not E[x^2] - mean^2: the latter cancels where the mean is large.
  Value squares =
      createLastAxisReduction(b, loc, {identity(x), identity(mean)}, b.getF32FloatAttr(0),
                              [](OpBuilder &b, Location l, ValueRange e, Value sum) -> Value {
                                Value centered =
                                    arith::SubFOp::create(b, l, toF32(b, l, e[0]), e[1]);
                                Value square = arith::MulFOp::create(b, l, centered, centered);
                                return arith::AddFOp::create(b, l, sum, square);
                              });
  Value inverse = inverseDeviation(b, loc, squares, x, eps);
  SmallVector<LoopOperand> inputs{identity(x), identity(mean), identity(inverse)};
  if (weight)
    inputs.push_back({weight, {last}});
  if (bias)
    inputs.push_back({bias, {last}});
  return createPointwise(b, loc, sizes, type.getElementType(), inputs,
                         [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                           Value centered = arith::SubFOp::create(b, l, toF32(b, l, e[0]), e[1]);
                           Value value = arith::MulFOp::create(b, l, centered, e[2]);
                           if (weight)
                             value = arith::MulFOp::create(b, l, value, toF32(b, l, e[3]));
                           if (bias)
                             value = arith::AddFOp::create(b, l, value, toF32(b, l, e.back()));
                           return value;
                         });
}

/// x + residual, rounded to their element type.
static Value residualSum(OpBuilder &b, Location loc, Value x, Value residual,
                         ArrayRef<OpFoldResult> sizes) {
  return createPointwise(b, loc, sizes, cast<RankedTensorType>(x.getType()).getElementType(),
                         {identity(x), identity(residual)},
                         [](OpBuilder &b, Location l, ValueRange e) -> Value {
                           return arith::AddFOp::create(b, l, toF32(b, l, e[0]), toF32(b, l, e[1]));
                         });
}

FailureOr<SmallVector<Value>> RmsNormOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{
      rmsNorm(b, getLoc(), getX(), getWeight(), getEps(), resultSizes(b, *this))};
}

FailureOr<SmallVector<Value>> LayerNormOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{
      layerNorm(b, getLoc(), getX(), getWeight(), getBias(), getEps(), resultSizes(b, *this))};
}

FailureOr<SmallVector<Value>> AddRmsNormOp::decompose(OpBuilder &b) {
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  Value sum = residualSum(b, getLoc(), getX(), getResidual(), sizes);
  return SmallVector<Value>{sum, rmsNorm(b, getLoc(), sum, getWeight(), getEps(), sizes)};
}

FailureOr<SmallVector<Value>> AddLayerNormOp::decompose(OpBuilder &b) {
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  Value sum = residualSum(b, getLoc(), getX(), getResidual(), sizes);
  return SmallVector<Value>{sum,
                            layerNorm(b, getLoc(), sum, getWeight(), getBias(), getEps(), sizes)};
}

FailureOr<SmallVector<Value>> L2NormalizeOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value squares = sumOfSquares(b, loc, getX());
  Value eps = constantF32(b, loc, getEps().convertToDouble());
  Value length =
      createPointwise(b, loc, tensor::getMixedSizes(b, loc, squares), b.getF32Type(),
                      {identity(squares)}, [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                        Value root = math::SqrtOp::create(b, l, e[0]);
                        return arith::MaximumFOp::create(b, l, root, eps);
                      });
  Value result = createPointwise(b, loc, resultSizes(b, *this), getType().getElementType(),
                                 {identity(getX()), identity(length)},
                                 [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                                   return arith::DivFOp::create(b, l, toF32(b, l, e[0]), e[1]);
                                 });
  return SmallVector<Value>{result};
}

} // namespace ingot::transformer
