//===- AttentionBlockwise.cpp - Attention in O(S) memory ------------------===//
//
// One parallel loop over key/value heads, rows and blocks of queries. A block is independent of all
// others: its queries, with all heads of the group as further rows of the same matrix, are
// multiplied with the keys of that row alone, a block of keys at a time; each line of scores gets
// its softmax in place; the values are summed in the order of the keys. So a token's result depends
// on its own row only, and local memory is one block of queries by the row's keys.
//
// Where rows lie one behind another (cu_seqlens), one row more takes the tokens behind the last one.
// A block finds its row in cu_seqlens: by the loop's row, all blocks of a batch of one would be next
// to each other, and one thread would take them together. A block without queries does nothing.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/FusedAttention.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

namespace {

/// Lines of a block of scores: queries times the heads of a group.
constexpr int64_t blockLines = 96;
/// Keys that are multiplied at once where the cache's blocks don't say.
constexpr int64_t blockKeys = 32;

class Blockwise {
public:
  Blockwise(OpBuilder &b, AttentionOp op)
      : b(b), loc(op.getLoc()), op(op), packed(op.isPacked()), paged(op.isPaged()),
        kvHeads(op.getKvHeads()), group(op.getHeads() / op.getKvHeads()),
        width(cast<RankedTensorType>(op.getQ().getType()).getShape().back() / op.getHeads()),
        valueWidth(op.getValueWidth()), queries(std::max<int64_t>(1, blockLines / group)),
        keysAtOnce(paged ? cast<RankedTensorType>(op.getK().getType()).getDimSize(2) : blockKeys),
        f32(b.getF32Type()) {}

  Value run();

private:
  //===--------------------------------------------------------------------===//
  // Index arithmetic
  //===--------------------------------------------------------------------===//

  Value c(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) { return arith::SubIOp::create(b, loc, x, y); }
  Value least(Value x, Value y) { return arith::MinSIOp::create(b, loc, x, y); }
  Value most(Value x, Value y) { return arith::MaxSIOp::create(b, loc, x, y); }
  Value asValue(OpFoldResult size) { return getValueOrCreateConstantIndexOp(b, loc, size); }
  /// Element `at` of a tensor of i32, not below zero.
  Value extractSize(Value tensor, ValueRange at) {
    Value value = tensor::ExtractOp::create(b, loc, tensor, at);
    return most(arith::IndexCastOp::create(b, loc, b.getIndexType(), value), c(0));
  }
  Value toI32(Value index) { return arith::IndexCastOp::create(b, loc, b.getI32Type(), index); }

  //===--------------------------------------------------------------------===//
  // Slices
  //===--------------------------------------------------------------------===//

  /// [.., H * D] with its last axis as `inner`.
  Value expandHeads(Value x, ArrayRef<int64_t> inner);
  /// The part of `x` at `offsets` of `sizes`, seen as [leading size, `tail`...].
  Value slice(Value x, ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
              ArrayRef<int64_t> shape);
  SmallVector<OpFoldResult> ones(size_t rank) {
    return SmallVector<OpFoldResult>(rank, b.getIndexAttr(1));
  }
  /// Offsets and sizes of tokens [first, first + count) of a head: of [T, Hkv, ...] or, padded, of
  /// [B, S, Hkv, ...].
  void locate(Value first, OpFoldResult count, ArrayRef<int64_t> tail,
              SmallVector<OpFoldResult> &offsets, SmallVector<OpFoldResult> &sizes);
  /// `count` keys or values [count, width] from key `first` on.
  Value keysAt(Value source, Value first, OpFoldResult count, int64_t width);

  //===--------------------------------------------------------------------===//
  // A block
  //===--------------------------------------------------------------------===//

  void findRow(Value tokens, Value slot);
  void enterBlock(Value tokens);
  Value scaledQueries();
  Value multiply(Value lhs, Value rhs, bool transposed, Value init);
  Value scores();
  /// Each line's softmax without its division; the second result is 1 / sum a line.
  std::pair<Value, Value> softmax(Value scores);
  Value transformLine(Value line, Value visible, Value query, Value head);
  Value sumValues(Value weights);
  /// One value of a line of `count`: `body` of its elements from `init` on.
  Value reduceLine(Value line, double init,
                   llvm::function_ref<Value(OpBuilder &, Location, Value, Value)> body);
  Value fillLine(Value scores, Value line, Value from, Value to);

  bool needsTransform() {
    return op.getSoftcap() || op.getAlibiSlopes() || op.getBias() || isMasked();
  }
  /// The padded form says by tensors what is visible, the others by bounds.
  bool isMasked() { return !packed && !paged; }

  OpBuilder &b;
  Location loc;
  AttentionOp op;
  bool packed, paged;
  int64_t kvHeads, group, width, valueWidth, queries, keysAtOnce;
  Type f32;

  Value allQueries, allKeys, allValues; // with their heads as an axis
  // Of the block at hand:
  Value row, head, first; // its place in the loop; `first` counts from the row's first token
  Value begin;            // the row's first token (packed)
  Value count, lines;     // queries, and times heads of a group
  Value position;         // of the first query
  Value firstKey, endKey; // that any query sees
  Value lineLength;       // of a line of scores in memory
};

Value Blockwise::expandHeads(Value x, ArrayRef<int64_t> inner) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, x);
  int64_t outer = sizes.size() - 1;
  sizes.pop_back();
  SmallVector<ReassociationIndices> groups;
  for (int64_t i = 0; i < outer; ++i)
    groups.push_back({i});
  groups.emplace_back();
  for (int64_t size : inner) {
    groups.back().push_back(sizes.size());
    sizes.push_back(b.getIndexAttr(size));
  }
  Type elementType = cast<RankedTensorType>(x.getType()).getElementType();
  return tensor::ExpandShapeOp::create(b, loc, tensorType(sizes, elementType), x, groups, sizes);
}

Value Blockwise::slice(Value x, ArrayRef<OpFoldResult> offsets, ArrayRef<OpFoldResult> sizes,
                       ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, cast<RankedTensorType>(x.getType()).getElementType());
  return tensor::ExtractSliceOp::create(b, loc, type, x, offsets, sizes, ones(sizes.size()));
}

void Blockwise::locate(Value first, OpFoldResult count, ArrayRef<int64_t> tail,
                       SmallVector<OpFoldResult> &offsets, SmallVector<OpFoldResult> &sizes) {
  if (!packed) {
    offsets.push_back(row);
    sizes.push_back(b.getIndexAttr(1));
  }
  offsets.append({first, head});
  sizes.append({count, b.getIndexAttr(1)});
  for (int64_t size : tail) {
    offsets.push_back(b.getIndexAttr(0));
    sizes.push_back(b.getIndexAttr(size));
  }
}

Value Blockwise::keysAt(Value source, Value first, OpFoldResult count, int64_t width) {
  SmallVector<OpFoldResult> offsets, sizes;
  if (paged) {
    Value table = op.getBlockTable();
    Value last = sub(asValue(tensor::getMixedSize(b, loc, table, 0)), c(1));
    Value entry = arith::DivUIOp::create(b, loc, first, c(keysAtOnce));
    Value physical = tensor::ExtractOp::create(b, loc, table, ValueRange{least(row, last), entry});
    physical = clampedIndex(b, loc, physical, asValue(tensor::getMixedSize(b, loc, source, 0)));
    OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
    offsets = {physical, head, zero, zero};
    sizes = {one, one, count, b.getIndexAttr(width)};
  } else {
    locate(packed ? add(begin, first) : first, count, {width}, offsets, sizes);
  }
  return slice(source, offsets, sizes,
               {getConstantIntValue(count).value_or(ShapedType::kDynamic), width});
}

/// The row and the first query of block `slot` of all rows. A row of n tokens from token t on has
/// the blocks from t / queries + (its number) on, which is room for the ceil(n / queries) that it
/// needs; what is left of the room are blocks without queries.
void Blockwise::findRow(Value tokens, Value slot) {
  auto firstSlot = [&](Value row) {
    Value token = least(extractSize(op.getCuSeqlens(), row), tokens);
    return add(arith::DivUIOp::create(b, loc, token, c(queries)), row);
  };
  Value rows = asValue(tensor::getMixedSize(b, loc, op.getCuSeqlens(), 0));
  auto loop = scf::ForOp::create(
      b, loc, c(1), rows, c(1), c(0), [&](OpBuilder &, Location, Value next, ValueRange found) {
        Value isBefore =
            arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ule, firstSlot(next), slot);
        Value last = arith::SelectOp::create(b, loc, isBefore, next, found[0]);
        scf::YieldOp::create(b, loc, last);
      });
  row = loop.getResult(0);
  first = arith::MulIOp::create(b, loc, most(sub(slot, firstSlot(row)), c(0)), c(queries));
}

/// What the block's place in the loop means.
void Blockwise::enterBlock(Value tokens) {
  Value length = tokens, past;
  begin = c(0);
  if (packed) {
    Value last = sub(asValue(tensor::getMixedSize(b, loc, op.getCuSeqlens(), 0)), c(1));
    Value next = least(add(row, c(1)), last);
    begin = least(extractSize(op.getCuSeqlens(), row), tokens);
    Value end = least(extractSize(op.getCuSeqlens(), next), tokens);
    Value isBehind = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, row, last);
    end = arith::SelectOp::create(b, loc, isBehind, tokens, end);
    length = least(most(sub(end, begin), c(0)), tokens);
  }
  count = least(most(sub(length, first), c(0)), c(queries));
  lines = arith::MulIOp::create(b, loc, count, c(group));
  position = first;
  Value available = length;
  if (paged) {
    Value lastRow = sub(asValue(tensor::getMixedSize(b, loc, op.getPast(), 0)), c(1));
    past = extractSize(op.getPast(), least(row, lastRow));
    position = add(past, first);
    Value capacity = arith::MulIOp::create(
        b, loc, asValue(tensor::getMixedSize(b, loc, op.getBlockTable(), 1)), c(keysAtOnce));
    available = least(add(past, length), capacity);
  } else if (!packed) {
    available = asValue(tensor::getMixedSize(b, loc, op.getK(), 1));
  }
  firstKey = c(0);
  endKey = available;
  if (!isMasked()) {
    if (op.getCausal())
      endKey = least(available, add(position, count));
    if (op.getWindow()) {
      Value from = most(sub(add(position, c(1)), c(*op.getWindow())), c(0));
      from = least(from, endKey);
      firstKey = arith::MulIOp::create(b, loc, arith::DivUIOp::create(b, loc, from, c(keysAtOnce)),
                                       c(keysAtOnce));
    }
  }
  Value isEmpty = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, count, c(0));
  endKey = arith::SelectOp::create(b, loc, isEmpty, firstKey, endKey);
  AffineExpr keys = b.getAffineSymbolExpr(0);
  lineLength = affine::AffineApplyOp::create(
      b, loc, AffineMap::get(0, 1, keys.ceilDiv(keysAtOnce) * keysAtOnce), ValueRange{endKey});
}

/// [lines, D] in f32, times the scale.
Value Blockwise::scaledQueries() {
  SmallVector<OpFoldResult> offsets, sizes;
  Value token =
      least(add(begin, first), asValue(tensor::getMixedSize(b, loc, allQueries, !packed)));
  locate(token, count, {group, width}, offsets, sizes);
  SmallVector<int64_t> shape{ShapedType::kDynamic, group, width};
  SmallVector<OpFoldResult> local{count, b.getIndexAttr(group), b.getIndexAttr(width)};
  if (group == 1) {
    shape.erase(shape.begin() + 1);
    local.erase(local.begin() + 1);
  }
  Value q = slice(allQueries, offsets, sizes, shape);
  // Local memory for a whole block: its lines are then counted by `lines` and nothing else.
  SmallVector<OpFoldResult> whole(local), zeros(local.size(), b.getIndexAttr(0));
  whole.front() = b.getIndexAttr(queries);
  Value block = tensor::EmptyOp::create(b, loc, whole, f32);
  Value part = slice(block, zeros, local, shape);
  Value scale = constantF32(b, loc, op.getScale().convertToDouble());
  part = createGeneric(b, loc, shape.size(), {}, {identity(q)}, {identity(part)},
                       [&](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                         return {arith::MulFOp::create(b, l, toF32(b, l, e[0]), scale)};
                       })
             .front();
  block = tensor::InsertSliceOp::create(b, loc, part, block, zeros, local, ones(local.size()));
  if (group > 1)
    block = tensor::CollapseShapeOp::create(b, loc, block,
                                            SmallVector<ReassociationIndices>{{0, 1}, {2}});
  return slice(block, {b.getIndexAttr(0), b.getIndexAttr(0)}, {lines, b.getIndexAttr(width)},
               {ShapedType::kDynamic, width});
}

/// init + lhs [m, k] * rhs [k, n], or [n, k] if transposed.
Value Blockwise::multiply(Value lhs, Value rhs, bool transposed, Value init) {
  LoopOperand right{rhs, {2, 1}};
  if (transposed)
    right.loops = {1, 2};
  return createGeneric(b, loc, 3, {2}, {{lhs, {0, 2}}, right}, {{init, {0, 1}}},
                       [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                         Value product =
                             arith::MulFOp::create(b, l, toF32(b, l, e[0]), toF32(b, l, e[1]));
                         return {arith::AddFOp::create(b, l, e[2], product)};
                       })
      .front();
}

/// [lines, lineLength]; only [:, firstKey : endKey] is computed.
Value Blockwise::scores() {
  Value q = scaledQueries(), zero = constantF32(b, loc, 0);
  Value empty = tensor::EmptyOp::create(b, loc, ArrayRef<OpFoldResult>{lines, lineLength}, f32);
  auto loop = scf::ForOp::create(
      b, loc, firstKey, endKey, c(keysAtOnce), ValueRange{empty},
      [&](OpBuilder &, Location, Value key, ValueRange carried) {
        // A block of the cache is whole, whatever of it is in use.
        OpFoldResult keys = b.getIndexAttr(keysAtOnce);
        if (!paged) {
          AffineExpr at = b.getAffineDimExpr(0), end = b.getAffineSymbolExpr(0);
          keys = affine::AffineMinOp::create(
                     b, loc,
                     AffineMap::get(1, 1, {b.getAffineConstantExpr(keysAtOnce), end - at},
                                    b.getContext()),
                     ValueRange{key, endKey})
                     .getResult();
        }
        Value k = keysAt(allKeys, key, keys, width);
        SmallVector<OpFoldResult> offsets{b.getIndexAttr(0), key}, sizes{lines, keys};
        Value part =
            slice(carried[0], offsets, sizes,
                  {ShapedType::kDynamic, getConstantIntValue(keys).value_or(ShapedType::kDynamic)});
        part = linalg::FillOp::create(b, loc, zero, part).getResult(0);
        part = multiply(q, k, /*transposed=*/true, part);
        Value all =
            tensor::InsertSliceOp::create(b, loc, part, carried[0], offsets, sizes, ones(2));
        scf::YieldOp::create(b, loc, all);
      });
  return loop.getResult(0);
}

Value Blockwise::reduceLine(Value line, double init,
                            llvm::function_ref<Value(OpBuilder &, Location, Value, Value)> body) {
  Value start = createFilled(b, loc, {}, b.getF32FloatAttr(init));
  Value result = createGeneric(b, loc, 1, {0}, {identity(line)}, {{start, {}}},
                               [&](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                                 return {body(b, l, e[1], e[0])};
                               })
                     .front();
  return tensor::ExtractOp::create(b, loc, result, ValueRange{});
}

/// Zeros in [from, to) of line `line`.
Value Blockwise::fillLine(Value scores, Value line, Value from, Value to) {
  SmallVector<OpFoldResult> offsets{line, from}, sizes{b.getIndexAttr(1), sub(to, from)};
  Value part = slice(scores, offsets, sizes, {ShapedType::kDynamic});
  part = linalg::FillOp::create(b, loc, constantF32(b, loc, 0), part).getResult(0);
  return tensor::InsertSliceOp::create(b, loc, part, scores, offsets, sizes, ones(2));
}

/// What comes between scores and softmax, for the keys from `visible` on.
Value Blockwise::transformLine(Value line, Value visible, Value query, Value head) {
  OpFoldResult one = b.getIndexAttr(1), length = tensor::getMixedSize(b, loc, line, 0);
  SmallVector<LoopOperand> inputs;
  auto addRow = [&](Value tensor, ArrayRef<OpFoldResult> at) {
    SmallVector<OpFoldResult> offsets(at), sizes(at.size(), one);
    offsets.push_back(b.getIndexAttr(0));
    sizes.push_back(length);
    inputs.push_back(identity(slice(tensor, offsets, sizes, {ShapedType::kDynamic})));
    return static_cast<int64_t>(inputs.size()) - 1;
  };
  int64_t keyPosition = -1, valid = -1, bias = -1;
  Value queryPosition, slope;
  bool usesPositions = op.getAlibiSlopes() || op.getCausal() || op.getWindow();
  if (isMasked() && usesPositions) {
    keyPosition = addRow(op.getKeyPositions(), {row});
    queryPosition = tensor::ExtractOp::create(b, loc, op.getQueryPositions(),
                                              ValueRange{row, add(first, query)});
  } else if (usesPositions) {
    queryPosition = toI32(add(position, query));
  }
  if (op.getKeyValid())
    valid = addRow(op.getKeyValid(), {row});
  if (op.getBias()) {
    auto type = cast<RankedTensorType>(op.getBias().getType());
    OpFoldResult zero = b.getIndexAttr(0);
    bias = addRow(op.getBias(),
                  {type.getDimSize(0) == 1 ? zero : OpFoldResult(row),
                   type.getDimSize(1) == 1 ? zero : OpFoldResult(head), add(first, query)});
  }
  if (op.getAlibiSlopes()) {
    slope = tensor::ExtractOp::create(b, loc, op.getAlibiSlopes(), ValueRange{head});
    if (op.getAlibiBeforeScale())
      slope = arith::MulFOp::create(b, loc, slope,
                                    constantF32(b, loc, op.getScale().convertToDouble()));
  }
  Value lowest =
      arith::ConstantOp::create(b, loc,
                                b.getFloatAttr(f32, APFloat::getLargest(APFloat::IEEEsingle(),
                                                                        /*Negative=*/true)));
  Value offset = toI32(visible);
  return createGeneric(
             b, loc, 1, {}, inputs, {identity(line)},
             [&](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
               Value score = e.back(), key;
               if (keyPosition >= 0) {
                 key = e[keyPosition];
               } else if (queryPosition) {
                 Value index = linalg::IndexOp::create(b, l, 0);
                 key = arith::AddIOp::create(
                     b, l, arith::IndexCastOp::create(b, l, b.getI32Type(), index), offset);
               }
               auto addAlibi = [&] {
                 Value behind = arith::SubIOp::create(b, l, key, queryPosition);
                 behind = arith::SIToFPOp::create(b, l, f32, behind);
                 score =
                     arith::AddFOp::create(b, l, score, arith::MulFOp::create(b, l, slope, behind));
               };
               if (slope && op.getAlibiBeforeScale())
                 addAlibi();
               if (op.getSoftcap()) {
                 double cap = op.getSoftcap()->convertToDouble();
                 score = arith::DivFOp::create(b, l, score, constantF32(b, l, cap));
                 score = arith::MulFOp::create(b, l, math::TanhOp::create(b, l, score),
                                               constantF32(b, l, cap));
               }
               if (slope && !op.getAlibiBeforeScale())
                 addAlibi();
               if (bias >= 0)
                 score = arith::AddFOp::create(b, l, score, toF32(b, l, e[bias]));
               if (!isMasked())
                 return {score};
               Value seen = valid >= 0 ? e[valid] : Value();
               auto require = [&](arith::CmpIPredicate predicate, Value x, Value y) {
                 Value met = arith::CmpIOp::create(b, l, predicate, x, y);
                 seen = seen ? arith::AndIOp::create(b, l, seen, met).getResult() : met;
               };
               if (op.getCausal())
                 require(arith::CmpIPredicate::sle, key, queryPosition);
               if (op.getWindow()) {
                 // No i32 distance reaches a window that i32 cannot hold.
                 int64_t window =
                     std::min<int64_t>(*op.getWindow(), std::numeric_limits<int32_t>::max());
                 require(arith::CmpIPredicate::slt, arith::SubIOp::create(b, l, queryPosition, key),
                         constantI32(b, l, window));
               }
               if (seen)
                 score = arith::SelectOp::create(b, l, seen, score, lowest);
               return {score};
             })
      .front();
}

std::pair<Value, Value> Blockwise::softmax(Value scores) {
  Value inverses = tensor::EmptyOp::create(b, loc, ArrayRef<OpFoldResult>{lines}, f32);
  double lowest = -std::numeric_limits<float>::max();
  auto loop = scf::ForOp::create(
      b, loc, c(0), lines, c(1), ValueRange{scores, inverses},
      [&](OpBuilder &, Location, Value line, ValueRange carried) {
        Value query = line, headOfLine = arith::MulIOp::create(b, loc, head, c(group));
        if (group > 1) {
          query = arith::DivUIOp::create(b, loc, line, c(group));
          headOfLine = add(headOfLine, arith::RemUIOp::create(b, loc, line, c(group)));
        }
        // The keys that this query sees.
        Value from = firstKey, to = endKey;
        if (!isMasked() && op.getCausal())
          to = least(endKey, add(add(position, query), c(1)));
        if (!isMasked() && op.getWindow()) {
          from = most(sub(add(add(position, query), c(1)), c(*op.getWindow())), firstKey);
          from = least(from, to);
        }
        SmallVector<OpFoldResult> offsets{line, from}, sizes{b.getIndexAttr(1), sub(to, from)};
        Value x = slice(carried[0], offsets, sizes, {ShapedType::kDynamic});
        if (needsTransform())
          x = transformLine(x, from, query, headOfLine);
        Value max =
            reduceLine(x, lowest, [](OpBuilder &b, Location l, Value max, Value e) -> Value {
              return arith::MaximumFOp::create(b, l, max, e);
            });
        Value sink;
        if (op.getSinks()) {
          sink = toF32(b, loc,
                       tensor::ExtractOp::create(b, loc, op.getSinks(), ValueRange{headOfLine}));
          max = arith::MaximumFOp::create(b, loc, max, sink);
        }
        x = createGeneric(b, loc, 1, {}, {}, {identity(x)},
                          [&](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                            Value shifted = arith::SubFOp::create(b, l, e[0], max);
                            return {math::ExpOp::create(b, l, shifted)};
                          })
                .front();
        Value sum = reduceLine(x, 0, [](OpBuilder &b, Location l, Value sum, Value e) -> Value {
          return arith::AddFOp::create(b, l, sum, e);
        });
        if (sink) {
          Value shifted = arith::SubFOp::create(b, loc, sink, max);
          sum = arith::AddFOp::create(b, loc, sum, math::ExpOp::create(b, loc, shifted));
        }
        Value inverse = arith::DivFOp::create(b, loc, constantF32(b, loc, 1), sum);
        Value all = tensor::InsertSliceOp::create(b, loc, x, carried[0], offsets, sizes, ones(2));
        // Keys of the block that other queries see have no weight here.
        if (!isMasked() && op.getWindow())
          all = fillLine(all, line, firstKey, from);
        if (!isMasked() && op.getCausal())
          all = fillLine(all, line, to, endKey);
        Value inversesNow = tensor::InsertOp::create(b, loc, inverse, carried[1], ValueRange{line});
        scf::YieldOp::create(b, loc, ValueRange{all, inversesNow});
      });
  return {loop.getResult(0), loop.getResult(1)};
}

/// [lines, Dv]: weights times values.
Value Blockwise::sumValues(Value weights) {
  Value zero = createFilled(b, loc, {lines, b.getIndexAttr(valueWidth)}, b.getF32FloatAttr(0));
  auto part = [&](Value from, Value keys, Value init) {
    Value p = slice(weights, {b.getIndexAttr(0), from}, {lines, keys},
                    {ShapedType::kDynamic, ShapedType::kDynamic});
    return multiply(p, keysAt(allValues, from, keys, valueWidth), /*transposed=*/false, init);
  };
  if (!paged)
    return part(firstKey, sub(endKey, firstKey), zero);
  auto loop = scf::ForOp::create(b, loc, firstKey, endKey, c(keysAtOnce), ValueRange{zero},
                                 [&](OpBuilder &, Location, Value key, ValueRange carried) {
                                   Value keys = least(c(keysAtOnce), sub(endKey, key));
                                   scf::YieldOp::create(b, loc, part(key, keys, carried[0]));
                                 });
  return loop.getResult(0);
}

Value Blockwise::run() {
  Value q = op.getQ();
  auto type = cast<RankedTensorType>(q.getType());
  OpFoldResult tokens = tensor::getMixedSize(b, loc, q, !packed);
  OpFoldResult rows = tensor::getMixedSize(b, loc, packed ? Value(op.getCuSeqlens()) : q, 0);
  allQueries = expandHeads(q, {kvHeads, group, width});
  allKeys = paged ? Value(op.getK()) : expandHeads(op.getK(), {kvHeads, width});
  allValues = paged ? Value(op.getV()) : expandHeads(op.getV(), {kvHeads, valueWidth});
  Value tokensValue = asValue(tokens);

  SmallVector<OpFoldResult> outSizes = tensor::getMixedSizes(b, loc, q);
  outSizes.pop_back();
  for (int64_t size : {kvHeads, group, valueWidth})
    outSizes.push_back(b.getIndexAttr(size));
  Value empty = tensor::EmptyOp::create(b, loc, outSizes, type.getElementType());

  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  auto forall = scf::ForallOp::create(
      b, loc, SmallVector<OpFoldResult>{zero, zero, zero},
      SmallVector<OpFoldResult>{b.getIndexAttr(kvHeads), rows, tokens},
      SmallVector<OpFoldResult>{one, one, b.getIndexAttr(queries)}, ValueRange{empty}, std::nullopt,
      [&](OpBuilder &, Location, ValueRange args) {
        head = args[0];
        row = args[1];
        first = args[2];
        Value out = args[3];
        if (packed) {
          // At most the first ceil(tokens / queries) + rows slots have queries. Counted across
          // rows they are spread evenly, so that each thread gets its share.
          Value block = arith::DivUIOp::create(b, loc, first, c(queries));
          findRow(tokensValue, add(arith::MulIOp::create(b, loc, block, asValue(rows)), row));
        }
        enterBlock(tokensValue);
        auto [weights, inverses] = softmax(scores());
        Value sums = sumValues(weights);

        SmallVector<OpFoldResult> offsets, sizes;
        locate(least(add(begin, first), tokensValue), count, {group, valueWidth}, offsets, sizes);
        SmallVector<int64_t> shape{ShapedType::kDynamic, group, valueWidth};
        LoopOperand all{sums, {0, 1}}, scale{inverses, {0}};
        if (group == 1) {
          shape.erase(shape.begin() + 1);
        } else {
          SmallVector<OpFoldResult> local{count, b.getIndexAttr(group), b.getIndexAttr(valueWidth)};
          sums =
              tensor::ExpandShapeOp::create(b, loc, tensorType(local, f32), sums,
                                            SmallVector<ReassociationIndices>{{0, 1}, {2}}, local);
          local.pop_back();
          inverses =
              tensor::ExpandShapeOp::create(b, loc, tensorType(local, f32), inverses,
                                            SmallVector<ReassociationIndices>{{0, 1}}, local);
          all = {sums, {0, 1, 2}};
          scale = {inverses, {0, 1}};
        }
        Value target = slice(out, offsets, sizes, shape);
        Value result =
            createGeneric(b, loc, shape.size(), {}, {all, scale}, {identity(target)},
                          [&](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                            Value value = arith::MulFOp::create(b, l, e[0], e[1]);
                            return {fromF32(b, l, value, type.getElementType())};
                          })
                .front();
        auto done = scf::InParallelOp::create(b, loc);
        b.setInsertionPointToStart(done.getBody());
        tensor::ParallelInsertSliceOp::create(b, loc, result, out, offsets, sizes,
                                              ones(sizes.size()));
      });
  SmallVector<ReassociationIndices> groups;
  int64_t outer = type.getRank() - 1;
  for (int64_t i = 0; i < outer; ++i)
    groups.push_back({i});
  groups.push_back({outer, outer + 1, outer + 2});
  return tensor::CollapseShapeOp::create(b, loc, forall.getResult(0), groups);
}

} // namespace

SmallVector<Value> decomposeAttentionBlockwise(OpBuilder &b, AttentionOp op) {
  // Blocks are cut by the widths of heads and the size of a cache block.
  auto k = cast<RankedTensorType>(op.getK().getType());
  bool isStatic = !cast<RankedTensorType>(op.getQ().getType())
                       .isDynamicDim(cast<RankedTensorType>(op.getQ().getType()).getRank() - 1) &&
                  !ShapedType::isDynamic(op.getValueWidth()) &&
                  (!op.isPaged() || !k.isDynamicDim(2));
  if (!isStatic)
    return expandAttention(b, op);
  return {Blockwise(b, op).run()};
}

} // namespace ingot::transformer
