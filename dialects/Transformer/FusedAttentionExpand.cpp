//===- FusedAttentionExpand.cpp - Attention by its parts ------------------===//
//
// Every form is made into heads [B, H, S, D] and a mask [B, S, C], where the packed forms are one row
// of B = 1 whose mask keeps sequences apart.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/FusedAttention.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

namespace {

/// One op being expanded.
class Expansion {
public:
  Expansion(OpBuilder &b, AttentionOp op) : b(b), loc(op.getLoc()), op(op) {}

  SmallVector<Value> run();

private:
  void padded();
  void paddedPaged();
  void packed();
  void packedPaged();

  Value splitHeads(Value x, int64_t heads) {
    return SplitHeadsOp::create(b, loc, x, b.getI64IntegerAttr(heads));
  }
  /// `x` as the only row of a batch.
  Value oneRow(Value x);
  /// `value` at the shape of `like`.
  Value splatLike(double value, Value like);
  Value scores();

  /// The row of each packed token, [T] i32.
  Value tokenRows(Value tokens, int64_t tokensAxis);
  /// [T] or [B, C] of each element's index along `axis`.
  Value iota(ArrayRef<OpFoldResult> sizes, int64_t axis);

  OpBuilder &b;
  Location loc;
  AttentionOp op;
  // By head, keys and values still one a key/value head.
  Value q, k, v;
  Value queryPositions, keyPositions; // [B, S], [B, C]
  Value mask;                         // [B, S, C], or null where all is seen
};

} // namespace

Value Expansion::oneRow(Value x) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x);
  sizes.insert(sizes.begin(), b.getIndexAttr(1));
  SmallVector<ReassociationIndices> groups{{0, 1}};
  for (int64_t i = 2, e = sizes.size(); i < e; ++i)
    groups.push_back({i});
  return tensor::ExpandShapeOp::create(b, loc, tensorType(sizes, elementTypeOf(x)), x, groups,
                                       sizes);
}

Value Expansion::splatLike(double value, Value like) {
  auto type = cast<RankedTensorType>(like.getType());
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.isDynamicDim(i))
      sizes.push_back(tensor::DimOp::create(b, loc, like, i));
  Value scalar =
      arith::ConstantOp::create(b, loc, b.getFloatAttr(type.getElementType(), value));
  return tensor::SplatOp::create(b, loc, type, scalar, sizes);
}

Value Expansion::iota(ArrayRef<OpFoldResult> sizes, int64_t axis) {
  return createPointwise(b, loc, sizes, b.getI32Type(), {},
                         [&](OpBuilder &b, Location l, ValueRange) -> Value {
                           return arith::IndexCastOp::create(
                               b, l, b.getI32Type(), linalg::IndexOp::create(b, l, axis));
                         });
}

Value Expansion::tokenRows(Value tokens, int64_t tokensAxis) {
  // Loops (t, n): one less than the number of sequences that have begun at t; empty ones too, so
  // that it is the last of them.
  SmallVector<OpFoldResult> sizes{tensor::getMixedSize(b, loc, tokens, tokensAxis)};
  Value init = createFilled(b, loc, sizes, b.getI32IntegerAttr(-1));
  return createGeneric(b, loc, 2, {1}, {{op.getCuSeqlens(), {1}}}, {{init, {0}}},
                       [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                         Value t = arith::IndexCastOp::create(b, l, b.getI32Type(),
                                                              linalg::IndexOp::create(b, l, 0));
                         Value begun =
                             arith::CmpIOp::create(b, l, arith::CmpIPredicate::sle, e[0], t);
                         Value one = arith::ExtUIOp::create(b, l, b.getI32Type(), begun);
                         return {arith::AddIOp::create(b, l, e[1], one)};
                       })
      .front();
}

//===----------------------------------------------------------------------===//
// The forms
//===----------------------------------------------------------------------===//

void Expansion::padded() {
  q = splitHeads(op.getQ(), op.getHeads());
  k = splitHeads(op.getK(), op.getKvHeads());
  v = splitHeads(op.getV(), op.getKvHeads());
  queryPositions = op.getQueryPositions();
  keyPositions = op.getKeyPositions();
  if (op.getKeyValid() || op.getCausal() || op.getWindow())
    mask = AttentionMaskOp::create(b, loc, queryPositions, keyPositions, op.getKeyValid(),
                                   op.getCausalAttr(), op.getWindowAttr());
}

void Expansion::paddedPaged() {
  q = splitHeads(op.getQ(), op.getHeads());
  k = CacheGatherOp::create(b, loc, op.getK(), op.getBlockTable());
  v = CacheGatherOp::create(b, loc, op.getV(), op.getBlockTable());
  queryPositions = TokenPositionsOp::create(b, loc, op.getPast(), op.getQ());
  keyPositions = ContextPositionsOp::create(
      b, loc, op.getBlockTable(), b.getI64IntegerAttr(op.getK().getType().getDimSize(2)));
  mask = AttentionMaskOp::create(b, loc, queryPositions, keyPositions, Value(),
                                 op.getCausalAttr(), op.getWindowAttr());
}

/// The condition that a query at `q` sees a key at `k`, both i32, given `visible`.
static Value andInReach(OpBuilder &b, Location l, AttentionOp op, Value visible, Value q, Value k) {
  if (op.getCausal()) {
    Value past = arith::CmpIOp::create(b, l, arith::CmpIPredicate::sle, k, q);
    visible = arith::AndIOp::create(b, l, visible, past);
  }
  if (op.getWindow()) {
    int64_t window = std::min<int64_t>(*op.getWindow(), std::numeric_limits<int32_t>::max());
    Value distance = arith::SubIOp::create(b, l, q, k);
    Value near = arith::CmpIOp::create(b, l, arith::CmpIPredicate::slt, distance,
                                       constantI32(b, l, window));
    visible = arith::AndIOp::create(b, l, visible, near);
  }
  return visible;
}

void Expansion::packed() {
  q = splitHeads(oneRow(op.getQ()), op.getHeads());
  k = splitHeads(oneRow(op.getK()), op.getKvHeads());
  v = splitHeads(oneRow(op.getV()), op.getKvHeads());
  // Tokens of a row are neighbours, so their distance is that of their indices.
  OpFoldResult tokens = tensor::getMixedSize(b, loc, op.getQ(), 0);
  Value indices = iota({tokens}, 0), rows = tokenRows(op.getQ(), 0);
  queryPositions = keyPositions = oneRow(indices);
  mask = oneRow(createPointwise(
      b, loc, {tokens, tokens}, b.getI1Type(),
      {{rows, {0}}, {rows, {1}}, {indices, {0}}, {indices, {1}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value same = arith::CmpIOp::create(b, l, arith::CmpIPredicate::eq, e[0], e[1]);
        return andInReach(b, l, op, same, e[2], e[3]);
      }));
}

void Expansion::packedPaged() {
  q = splitHeads(oneRow(op.getQ()), op.getHeads());
  // The contexts of all rows, one behind the other.
  auto gather = [&](Value cache) -> Value {
    Value rows = CacheGatherOp::create(b, loc, cache, op.getBlockTable());
    SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, rows);
    std::swap(sizes[0], sizes[1]);
    Value empty = tensor::EmptyOp::create(b, loc, sizes, elementTypeOf(rows));
    Value byHead = linalg::TransposeOp::create(b, loc, rows, empty, ArrayRef<int64_t>{1, 0, 2, 3})
                       ->getResult(0);
    return oneRow(tensor::CollapseShapeOp::create(
        b, loc, byHead, SmallVector<ReassociationIndices>{{0}, {1, 2}, {3}}));
  };
  k = gather(op.getK());
  v = gather(op.getV());
  OpFoldResult tokens = tensor::getMixedSize(b, loc, op.getQ(), 0);
  Value rows = tokenRows(op.getQ(), 0);
  Value lastRow = tensor::DimOp::create(b, loc, op.getPast(), 0);
  auto elementOf = [&](OpBuilder &b, Location l, Value values, Value at) -> Value {
    return tensor::ExtractOp::create(b, l, values, ValueRange{at});
  };
  Value positions = createPointwise(
      b, loc, {tokens}, b.getI32Type(), {{rows, {0}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value row = clampedIndex(b, l, e[0], lastRow);
        Value t = arith::IndexCastOp::create(b, l, b.getI32Type(),
                                             linalg::IndexOp::create(b, l, 0));
        Value offset = arith::SubIOp::create(b, l, t, elementOf(b, l, op.getCuSeqlens(), row));
        return arith::AddIOp::create(b, l, elementOf(b, l, op.getPast(), row), offset);
      });
  queryPositions = oneRow(positions);
  Value slots = ContextPositionsOp::create(
      b, loc, op.getBlockTable(), b.getI64IntegerAttr(op.getK().getType().getDimSize(2)));
  SmallVector<OpFoldResult> slotSizes = tensor::getMixedSizes(b, loc, slots);
  keyPositions = oneRow(tensor::CollapseShapeOp::create(
      b, loc, slots, SmallVector<ReassociationIndices>{{0, 1}}));
  // Loops (t, b, c).
  Value visible = createPointwise(
      b, loc, {tokens, slotSizes[0], slotSizes[1]}, b.getI1Type(),
      {{rows, {0}}, {positions, {0}}, {slots, {1, 2}}, {op.getPast(), {1}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value row = linalg::IndexOp::create(b, l, 1);
        Value rowI32 = arith::IndexCastOp::create(b, l, b.getI32Type(), row);
        Value seen = arith::CmpIOp::create(b, l, arith::CmpIPredicate::eq, e[0], rowI32);
        if (!op.getCausal()) {
          Value next = arith::AddIOp::create(b, l, row, arith::ConstantIndexOp::create(b, l, 1));
          Value length = arith::SubIOp::create(b, l, elementOf(b, l, op.getCuSeqlens(), next),
                                               elementOf(b, l, op.getCuSeqlens(), row));
          Value end = arith::AddIOp::create(b, l, e[3], length);
          Value there = arith::CmpIOp::create(b, l, arith::CmpIPredicate::slt, e[2], end);
          seen = arith::AndIOp::create(b, l, seen, there);
        }
        return andInReach(b, l, op, seen, e[1], e[2]);
      });
  mask = oneRow(tensor::CollapseShapeOp::create(b, loc, visible,
                                                SmallVector<ReassociationIndices>{{0}, {1, 2}}));
}

//===----------------------------------------------------------------------===//
// What they share
//===----------------------------------------------------------------------===//

Value Expansion::scores() {
  Value s = MatmulOp::create(b, loc, q, k, /*transpose_rhs=*/b.getUnitAttr());
  auto addAlibi = [&]() {
    s = AddAlibiOp::create(b, loc, s, op.getAlibiSlopes(), queryPositions, keyPositions);
  };
  if (op.getAlibiBeforeScale())
    addAlibi();
  if (!op.getScale().isExactlyValue(1.0))
    s = arith::MulFOp::create(b, loc, s, splatLike(op.getScale().convertToDouble(), s));
  if (op.getSoftcap()) {
    Value cap = splatLike(op.getSoftcap()->convertToDouble(), s);
    s = arith::DivFOp::create(b, loc, s, cap);
    s = math::TanhOp::create(b, loc, s);
    s = arith::MulFOp::create(b, loc, s, cap);
  }
  if (op.getAlibiSlopes() && !op.getAlibiBeforeScale())
    addAlibi();
  if (op.getBias())
    s = AddBiasOp::create(b, loc, s, op.getBias());
  if (mask)
    s = ApplyMaskOp::create(b, loc, s, mask);
  return s;
}

SmallVector<Value> Expansion::run() {
  if (op.isPacked())
    op.isPaged() ? packedPaged() : packed();
  else
    op.isPaged() ? paddedPaged() : padded();
  if (op.getHeads() != op.getKvHeads()) {
    auto repeats = b.getI64IntegerAttr(op.getHeads() / op.getKvHeads());
    k = RepeatKvOp::create(b, loc, k, repeats);
    v = RepeatKvOp::create(b, loc, v, repeats);
  }
  Value p = SoftmaxOp::create(b, loc, scores(), op.getSinks());
  if (op.getHeadMask())
    p = ScaleHeadsOp::create(b, loc, p, op.getHeadMask());
  Value mixed = MatmulOp::create(b, loc, p, v, /*transpose_rhs=*/UnitAttr());
  // The head axis is static, whatever the operands' types say.
  auto type = cast<RankedTensorType>(mixed.getType());
  if (type.isDynamicDim(1)) {
    SmallVector<int64_t> shape(type.getShape());
    shape[1] = op.getHeads();
    mixed = tensor::CastOp::create(b, loc, type.clone(shape), mixed);
  }
  mixed = MergeHeadsOp::create(b, loc, mixed);
  if (op.isPacked())
    mixed = tensor::CollapseShapeOp::create(b, loc, mixed,
                                            SmallVector<ReassociationIndices>{{0, 1}, {2}});
  SmallVector<Value> results{mixed};
  if (op.getReturnProbabilities())
    results.push_back(p);
  return results;
}

SmallVector<Value> expandAttention(OpBuilder &b, AttentionOp op) {
  return Expansion(b, op).run();
}

} // namespace ingot::transformer
