//===- EmbeddingDecompose.cpp - Decompositions of tokens and positions ----===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/F64Math.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

FailureOr<SmallVector<Value>> EmbeddingOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  int64_t last = getIds().getType().getRank();
  Value vocabulary = tensor::DimOp::create(b, loc, getTable(), 0);
  return SmallVector<Value>{
      createPointwise(b, loc, resultSizes(b, *this), getType().getElementType(),
                      {identity(getIds())}, [&](OpBuilder &b, Location l, ValueRange e) -> Value {
                        Value row = clampedIndex(b, l, e[0], vocabulary);
                        Value column = linalg::IndexOp::create(b, l, last);
                        return tensor::ExtractOp::create(b, l, getTable(), ValueRange{row, column});
                      })};
}

//===----------------------------------------------------------------------===//
// Positions
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> PositionsOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  // Loops (b, s, t): count[b, s] is the number of t <= s with mask[b, t]. Quadratic in S, but
  // integer, free of a carried dependence, and once a program.
  Value zero = createFilled(b, loc, sizes, b.getI32IntegerAttr(0));
  Value counts = createGeneric(b, loc, 3, {2}, {{getMask(), {0, 2}}}, {{zero, {0, 1}}},
                               [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                                 Value s = linalg::IndexOp::create(b, l, 1);
                                 Value t = linalg::IndexOp::create(b, l, 2);
                                 Value before =
                                     arith::CmpIOp::create(b, l, arith::CmpIPredicate::ule, t, s);
                                 Value counted = arith::AndIOp::create(b, l, before, e[0]);
                                 Value one = arith::ExtUIOp::create(b, l, b.getI32Type(), counted);
                                 return {arith::AddIOp::create(b, l, e[1], one)};
                               })
                     .front();
  return SmallVector<Value>{createPointwise(
      b, loc, sizes, b.getI32Type(), {identity(counts), identity(getMask())},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value position = arith::SubIOp::create(b, l, e[0], constantI32(b, l, 1));
        position = arith::MaxSIOp::create(b, l, position, constantI32(b, l, 0));
        position = arith::AddIOp::create(b, l, position, constantI32(b, l, getOffset()));
        if (!getPaddingPosition())
          return position;
        return arith::SelectOp::create(b, l, e[1], position,
                                       constantI32(b, l, *getPaddingPosition()));
      })};
}

/// The loop index `loop` as i32.
static Value indexI32(OpBuilder &b, Location loc, int64_t loop) {
  Value index = linalg::IndexOp::create(b, loc, loop);
  return arith::IndexCastOp::create(b, loc, b.getI32Type(), index);
}

FailureOr<SmallVector<Value>> TokenPositionsOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{
      createPointwise(b, getLoc(), resultSizes(b, *this), b.getI32Type(), {{getPast(), {0}}},
                      [](OpBuilder &b, Location l, ValueRange e) -> Value {
                        return arith::AddIOp::create(b, l, e[0], indexI32(b, l, 1));
                      })};
}

FailureOr<SmallVector<Value>> ContextPositionsOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{
      createPointwise(b, getLoc(), resultSizes(b, *this), b.getI32Type(), {},
                      [](OpBuilder &b, Location l, ValueRange) { return indexI32(b, l, 1); })};
}

//===----------------------------------------------------------------------===//
// Rotary positions
//===----------------------------------------------------------------------===//

FailureOr<SmallVector<Value>> RopeTableOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  Type f32 = b.getF32Type(), f64 = b.getF64Type();
  Value cosInit = tensor::EmptyOp::create(b, loc, sizes, f32);
  Value sinInit = tensor::EmptyOp::create(b, loc, sizes, f32);
  Value scale = constantF32(b, loc, getAttentionFactor().convertToDouble());
  bool isScaled = !getAttentionFactor().isExactlyValue(1.0);
  // Loops (b, s, j), or (t, j).
  int64_t j = getPositions().getType().getRank();
  LoopOperand frequencies{getInvFreq(), {j}};
  if (getInvFreq().getType().getRank() == 2)
    frequencies.loops = {0, j};
  return createGeneric(
      b, loc, j + 1, {}, {identity(getPositions()), frequencies},
      {identity(cosInit), identity(sinInit)},
      [&](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
        Value position = arith::SIToFPOp::create(b, l, f32, e[0]);
        Value angle = arith::MulFOp::create(b, l, position, e[1]);
        auto [cos, sin] = emitCosSin(b, l, arith::ExtFOp::create(b, l, f64, angle));
        SmallVector<Value> results;
        for (Value wide : {cos, sin}) {
          Value value = arith::TruncFOp::create(b, l, f32, wide);
          results.push_back(isScaled ? arith::MulFOp::create(b, l, value, scale).getResult()
                                     : value);
        }
        return results;
      });
}

FailureOr<SmallVector<Value>> DynamicRopeFrequenciesOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  double base = getBase().convertToDouble(), factor = getFactor().convertToDouble();
  double dim = getDim(), maxPosition = getMaxPosition();
  Type f32 = b.getF32Type(), f64 = b.getF64Type();
  auto c = [&](double value) -> Value {
    return arith::ConstantOp::create(b, loc, b.getF64FloatAttr(value));
  };

  // The last position, from max_position - 1 on.
  Value lastPosition = createLastAxisReduction(
      b, loc, {identity(getPositions())}, b.getI32IntegerAttr(getMaxPosition() - 1),
      [](OpBuilder &b, Location l, ValueRange e, Value last) -> Value {
        return arith::MaxSIOp::create(b, l, last, e[0]);
      });

  // base' of each row, rounded to f32.
  Value cBase = c(base), cFactor = c(factor), cMax = c(maxPosition), cRest = c(factor - 1);
  Value cExponent = c(dim / (dim - 2)), cOne = c(1);
  Value rowBase = createPointwise(
      b, loc, tensor::getMixedSizes(b, loc, lastPosition), f32, {identity(lastPosition)},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value length = arith::AddFOp::create(b, l, arith::SIToFPOp::create(b, l, f64, e[0]), cOne);
        Value ratio = arith::MulFOp::create(b, l, cFactor, length);
        ratio = arith::DivFOp::create(b, l, ratio, cMax);
        ratio = arith::SubFOp::create(b, l, ratio, cRest);
        Value power = emitExp(b, l, arith::MulFOp::create(b, l, emitLog(b, l, ratio), cExponent));
        return arith::TruncFOp::create(b, l, f32, arith::MulFOp::create(b, l, cBase, power));
      });

  // Loops (b, j).
  Value cDim = constantF32(b, loc, dim), cTwo = constantF32(b, loc, 2),
        one = constantF32(b, loc, 1);
  return SmallVector<Value>{createPointwise(
      b, loc, resultSizes(b, *this), f32, {{rowBase, {0}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value j = arith::SIToFPOp::create(b, l, f32, indexI32(b, l, 1));
        Value exponent = arith::DivFOp::create(b, l, arith::MulFOp::create(b, l, j, cTwo), cDim);
        Value log = emitLog(b, l, arith::ExtFOp::create(b, l, f64, e[0]));
        Value wide = arith::MulFOp::create(b, l, arith::ExtFOp::create(b, l, f64, exponent), log);
        Value power = arith::TruncFOp::create(b, l, f32, emitExp(b, l, wide));
        return arith::DivFOp::create(b, l, one, power);
      })};
}

/// One generic gives both halves of the rotated part, as [..., 2, R/2] (or [..., R/2, 2] if
/// interleaved), which collapses to [..., R]. By token, heads are first made an axis.
FailureOr<SmallVector<Value>> RopeOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value x = getX();
  Type elementType = getType().getElementType();
  int64_t tableRank = getCos().getType().getRank();
  OpFoldResult half = tensor::getMixedSize(b, loc, getCos(), tableRank - 1);
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1), two = b.getIndexAttr(2);
  // The loops of x that index the tables.
  SmallVector<int64_t, 5> tableLoops{0, 2};
  if (getHeads()) {
    x = splitLastAxis(b, loc, x, *getHeads());
    tableLoops.clear();
    for (int64_t i = 0; i < tableRank - 1; ++i)
      tableLoops.push_back(i);
  }
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x);
  int64_t last = sizes.size() - 1;

  SmallVector<OpFoldResult> partSizes(sizes), zeros(sizes.size(), zero), ones(sizes.size(), one);
  partSizes[last] = half;
  auto part = [&](OpFoldResult offset) -> Value {
    SmallVector<OpFoldResult> offsets(zeros), strides(ones);
    offsets[last] = offset;
    strides[last] = getInterleaved() ? two : one;
    return tensor::ExtractSliceOp::create(b, loc, x, offsets, partSizes, strides);
  };
  Value low = part(zero);
  Value high = part(getInterleaved() ? one : half);

  // The last loops are (p, j) or (j, p); p = 0 is the low element of the pair.
  int64_t pairLoop = getInterleaved() ? last + 1 : last, j = 2 * last + 1 - pairLoop;
  SmallVector<OpFoldResult> pairSizes(ArrayRef(sizes).drop_back());
  pairSizes.push_back(getInterleaved() ? half : two);
  pairSizes.push_back(getInterleaved() ? two : half);
  tableLoops.push_back(j);
  SmallVector<int64_t, 5> partLoops = identity(x).loops;
  partLoops[last] = j;
  Value rotated = createPointwise(
      b, loc, pairSizes, elementType,
      {{low, partLoops}, {high, partLoops}, {getCos(), tableLoops}, {getSin(), tableLoops}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value lo = toF32(b, l, e[0]), hi = toF32(b, l, e[1]);
        Value p = linalg::IndexOp::create(b, l, pairLoop);
        Value isLow = arith::CmpIOp::create(b, l, arith::CmpIPredicate::eq, p,
                                            arith::ConstantIndexOp::create(b, l, 0));
        Value self = arith::SelectOp::create(b, l, isLow, lo, hi);
        Value other = arith::SelectOp::create(b, l, isLow, arith::NegFOp::create(b, l, hi), lo);
        Value byCos = arith::MulFOp::create(b, l, self, e[2]);
        Value bySin = arith::MulFOp::create(b, l, other, e[3]);
        return arith::AddFOp::create(b, l, byCos, bySin);
      });
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i < last; ++i)
    groups.push_back({i});
  groups.push_back({last, last + 1});
  Value result = tensor::CollapseShapeOp::create(b, loc, rotated, groups);

  auto type = cast<RankedTensorType>(result.getType());
  if (type.isDynamicDim(last) ||
      type.getDimSize(last) != cast<RankedTensorType>(x.getType()).getDimSize(last)) {
    SmallVector<OpFoldResult> rotatedSizes(sizes);
    rotatedSizes[last] = tensor::getMixedSize(b, loc, result, last);
    result = tensor::InsertSliceOp::create(b, loc, result, x, zeros, rotatedSizes, ones);
  }
  return SmallVector<Value>{getHeads() ? mergeLastAxes(b, loc, result) : result};
}

} // namespace ingot::transformer
