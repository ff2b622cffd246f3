//===- AttentionDecompose.cpp - Decompositions of the parts of attention --===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Heads
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> SplitHeadsOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this); // B, H, S, D
  Type elementType = getType().getElementType();
  SmallVector<OpFoldResult> expanded{sizes[0], sizes[2], sizes[1], sizes[3]};
  Value heads =
      tensor::ExpandShapeOp::create(b, loc, tensorType(expanded, elementType), getX(),
                                    SmallVector<ReassociationIndices>{{0}, {1}, {2, 3}}, expanded);
  Value empty = tensor::EmptyOp::create(b, loc, sizes, elementType);
  return SmallVector<Value>{
      linalg::TransposeOp::create(b, loc, heads, empty, ArrayRef<int64_t>{0, 2, 1, 3})
          ->getResult(0)};
}

FailureOr<SmallVector<Value>> MergeHeadsOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, getX());
  std::swap(sizes[1], sizes[2]);
  Value empty = tensor::EmptyOp::create(b, loc, sizes, getType().getElementType());
  Value tokens = linalg::TransposeOp::create(b, loc, getX(), empty, ArrayRef<int64_t>{0, 2, 1, 3})
                     ->getResult(0);
  return SmallVector<Value>{tensor::CollapseShapeOp::create(
      b, loc, tokens, SmallVector<ReassociationIndices>{{0}, {1}, {2, 3}})};
}

FailureOr<SmallVector<Value>> RepeatKvOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, getX());
  sizes.insert(sizes.begin() + 2, b.getIndexAttr(getRepeats()));
  Value repeated =
      createPointwise(b, loc, sizes, getType().getElementType(), {{getX(), {0, 1, 3, 4}}},
                      [](OpBuilder &, Location, ValueRange e) { return e[0]; });
  return SmallVector<Value>{tensor::CollapseShapeOp::create(
      b, loc, repeated, SmallVector<ReassociationIndices>{{0}, {1, 2}, {3}, {4}})};
}

//===----------------------------------------------------------------------===//
// Scores
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> MatmulOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value zero = createFilled(b, loc, resultSizes(b, *this), b.getF32FloatAttr(0));
  // Loops (b, h, m, n, k).
  LoopOperand rhs{getRhs(), {0, 1, 4, 3}};
  if (getTransposeRhs())
    std::swap(rhs.loops[2], rhs.loops[3]);
  Value result =
      createGeneric(b, loc, 5, {4}, {{getLhs(), {0, 1, 2, 4}}, rhs}, {{zero, {0, 1, 2, 3}}},
                    [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                      Value product =
                          arith::MulFOp::create(b, l, toF32(b, l, e[0]), toF32(b, l, e[1]));
                      return {arith::AddFOp::create(b, l, e[2], product)};
                    })
          .front();
  return SmallVector<Value>{tensorFromF32(b, loc, result, getType().getElementType())};
}

FailureOr<SmallVector<Value>> AttentionMaskOp::decompose(OpBuilder &b) {
  // Loops (b, s, c).
  SmallVector<LoopOperand> inputs{{getQueryPositions(), {0, 1}}, {getKeyPositions(), {0, 2}}};
  if (getKeyValid())
    inputs.push_back({getKeyValid(), {0, 2}});
  return SmallVector<Value>{createPointwise(
      b, getLoc(), resultSizes(b, *this), b.getI1Type(), inputs,
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value visible;
        auto require = [&](Value condition) {
          visible =
              visible ? arith::AndIOp::create(b, l, visible, condition).getResult() : condition;
        };
        if (getKeyValid())
          require(e[2]);
        if (getCausal())
          require(arith::CmpIOp::create(b, l, arith::CmpIPredicate::sle, e[1], e[0]));
        if (getWindow()) {
          Value distance = arith::SubIOp::create(b, l, e[0], e[1]);
          // No i32 distance reaches a window that i32 cannot hold.
          int64_t window = std::min<int64_t>(*getWindow(), std::numeric_limits<int32_t>::max());
          require(arith::CmpIOp::create(b, l, arith::CmpIPredicate::slt, distance,
                                        constantI32(b, l, window)));
        }
        return visible ? visible : arith::ConstantOp::create(b, l, b.getBoolAttr(true)).getResult();
      })};
}

FailureOr<SmallVector<Value>> ApplyMaskOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  auto elementType = cast<FloatType>(getType().getElementType());
  Value lowest = arith::ConstantOp::create(
      b, loc,
      FloatAttr::get(elementType,
                     APFloat::getLargest(elementType.getFloatSemantics(), /*Negative=*/true)));
  return SmallVector<Value>{createPointwise(
      b, loc, resultSizes(b, *this), elementType, {identity(getScores()), {getMask(), {0, 2, 3}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        return arith::SelectOp::create(b, l, e[1], e[0], lowest);
      })};
}

/// `bias` indexed by loops (b, h, s, c), first axes of one element dropped.
static LoopOperand repeatedBias(OpBuilder &b, Location loc, Value bias) {
  auto type = cast<RankedTensorType>(bias.getType());
  bool hasRows = type.getDimSize(0) != 1, hasHeads = type.getDimSize(1) != 1;
  if (hasRows && hasHeads)
    return identity(bias);
  SmallVector<ReassociationIndices> groups;
  if (hasRows)
    groups = {{0}, {1, 2}, {3}};
  else if (hasHeads)
    groups = {{0, 1}, {2}, {3}};
  else
    groups = {{0, 1, 2}, {3}};
  LoopOperand operand{tensor::CollapseShapeOp::create(b, loc, bias, groups), {}};
  if (hasRows)
    operand.loops.push_back(0);
  if (hasHeads)
    operand.loops.push_back(1);
  operand.loops.append({2, 3});
  return operand;
}

FailureOr<SmallVector<Value>> AddBiasOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{createPointwise(
      b, getLoc(), resultSizes(b, *this), getType().getElementType(),
      {identity(getScores()), repeatedBias(b, getLoc(), getBias())},
      [](OpBuilder &b, Location l, ValueRange e) -> Value {
        return arith::AddFOp::create(b, l, toF32(b, l, e[0]), toF32(b, l, e[1]));
      })};
}

FailureOr<SmallVector<Value>> AddAlibiOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{createPointwise(
      b, getLoc(), resultSizes(b, *this), getType().getElementType(),
      {identity(getScores()),
       {getSlopes(), {1}},
       {getQueryPositions(), {0, 2}},
       {getKeyPositions(), {0, 3}}},
      [](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value distance = arith::SubIOp::create(b, l, e[3], e[2]);
        distance = arith::SIToFPOp::create(b, l, b.getF32Type(), distance);
        Value penalty = arith::MulFOp::create(b, l, e[1], distance);
        return arith::AddFOp::create(b, l, toF32(b, l, e[0]), penalty);
      })};
}

FailureOr<SmallVector<Value>> ScaleHeadsOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{
      createPointwise(b, getLoc(), resultSizes(b, *this), getType().getElementType(),
                      {identity(getX()), {getFactors(), {1}}},
                      [](OpBuilder &b, Location l, ValueRange e) -> Value {
                        return arith::MulFOp::create(b, l, toF32(b, l, e[0]), toF32(b, l, e[1]));
                      })};
}

FailureOr<SmallVector<Value>> SoftmaxOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value x = getX();
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  ArrayRef<OpFoldResult> rowSizes = ArrayRef(sizes).drop_back();
  Type f32 = b.getF32Type();
  APFloat lowest = APFloat::getLargest(APFloat::IEEEsingle(), /*Negative=*/true);
  Value max =
      createLastAxisReduction(b, loc, {identity(x)}, b.getFloatAttr(f32, lowest),
                              [](OpBuilder &b, Location l, ValueRange e, Value max) -> Value {
                                return arith::MaximumFOp::create(b, l, max, toF32(b, l, e[0]));
                              });
  if (getSinks())
    max = createPointwise(b, loc, rowSizes, f32, {identity(max), {getSinks(), {1}}},
                          [](OpBuilder &b, Location l, ValueRange e) -> Value {
                            return arith::MaximumFOp::create(b, l, e[0], toF32(b, l, e[1]));
                          });
  Value exps = createPointwise(b, loc, sizes, f32, {identity(x), identity(max)},
                               [](OpBuilder &b, Location l, ValueRange e) -> Value {
                                 Value shifted =
                                     arith::SubFOp::create(b, l, toF32(b, l, e[0]), e[1]);
                                 return math::ExpOp::create(b, l, shifted);
                               });
  Value sum =
      createLastAxisReduction(b, loc, {identity(exps)}, b.getF32FloatAttr(0),
                              [](OpBuilder &b, Location l, ValueRange e, Value sum) -> Value {
                                return arith::AddFOp::create(b, l, sum, e[0]);
                              });
  if (getSinks())
    sum = createPointwise(b, loc, rowSizes, f32, {identity(sum), identity(max), {getSinks(), {1}}},
                          [](OpBuilder &b, Location l, ValueRange e) -> Value {
                            Value shifted =
                                arith::SubFOp::create(b, l, toF32(b, l, e[2]), e[1]);
                            return arith::AddFOp::create(b, l, e[0],
                                                         math::ExpOp::create(b, l, shifted));
                          });
  return SmallVector<Value>{createPointwise(b, loc, sizes, getType().getElementType(),
                                            {identity(exps), identity(sum)},
                                            [](OpBuilder &b, Location l, ValueRange e) -> Value {
                                              return arith::DivFOp::create(b, l, e[0], e[1]);
                                            })};
}

} // namespace ingot::transformer
