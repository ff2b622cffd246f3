//===- PackingDecompose.cpp - Decompositions of packing -------------------===//
//
// Counting goes along the tokens once, in loops that carry the count; moving is done a token at a time.
// An element is read only where there is one: T may be 0.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

static Value toI32(OpBuilder &b, Location loc, Value index) {
  return arith::IndexCastOp::create(b, loc, b.getI32Type(), index);
}

static Value toIndex(OpBuilder &b, Location loc, Value integer) {
  return arith::IndexCastOp::create(b, loc, b.getIndexType(), integer);
}

static Value compare(OpBuilder &b, Location loc, arith::CmpIPredicate predicate, Value lhs,
                     Value rhs) {
  return arith::CmpIOp::create(b, loc, predicate, lhs, rhs);
}

FailureOr<SmallVector<Value>> LengthMaskOp::decompose(OpBuilder &b) {
  return SmallVector<Value>{
      createPointwise(b, getLoc(), resultSizes(b, *this), b.getI1Type(), {{getLengths(), {0}}},
                      [](OpBuilder &b, Location l, ValueRange e) -> Value {
                        Value s = toI32(b, l, linalg::IndexOp::create(b, l, 1));
                        return compare(b, l, arith::CmpIPredicate::slt, s, e[0]);
                      })};
}

FailureOr<SmallVector<Value>> CuSeqlensOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value counts = createLastAxisReduction(
      b, loc, {identity(getMask())}, b.getI32IntegerAttr(0),
      [](OpBuilder &b, Location l, ValueRange e, Value count) -> Value {
        Value one = arith::ExtUIOp::create(b, l, b.getI32Type(), e[0]);
        return arith::AddIOp::create(b, l, count, one);
      });
  // Loops (n, b): the sum of the rows before n.
  Value zeros = createFilled(b, loc, resultSizes(b, *this), b.getI32IntegerAttr(0));
  return createGeneric(b, loc, 2, {1}, {{counts, {1}}}, {{zeros, {0}}},
                       [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                         Value n = linalg::IndexOp::create(b, l, 0);
                         Value row = linalg::IndexOp::create(b, l, 1);
                         Value before = compare(b, l, arith::CmpIPredicate::ult, row, n);
                         Value count = arith::SelectOp::create(b, l, before, e[0],
                                                               constantI32(b, l, 0));
                         return {arith::AddIOp::create(b, l, e[1], count)};
                       });
}

FailureOr<SmallVector<Value>> TokenIndicesOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value rows = tensor::DimOp::create(b, loc, getMask(), 0);
  Value width = tensor::DimOp::create(b, loc, getMask(), 1);
  Value result = createFilled(b, loc, resultSizes(b, *this), b.getI32IntegerAttr(0));
  Value total = tensor::DimOp::create(b, loc, result, 0);
  auto visitToken = [&](OpBuilder &b, Location l, Value row, Value s, ValueRange carried) {
    Value tokens = carried[0], count = carried[1];
    Value isValid = tensor::ExtractOp::create(b, l, getMask(), ValueRange{row, s});
    Value hasRoom = compare(b, l, arith::CmpIPredicate::ult, count, total);
    Value isKept = arith::AndIOp::create(b, l, isValid, hasRoom);
    auto kept = scf::IfOp::create(
        b, l, isKept,
        [&](OpBuilder &b, Location l) {
          Value begin = arith::MulIOp::create(b, l, row, width);
          Value flat = toI32(b, l, arith::AddIOp::create(b, l, begin, s));
          Value next = tensor::InsertOp::create(b, l, flat, tokens, count);
          Value nextCount = arith::AddIOp::create(b, l, count, one);
          scf::YieldOp::create(b, l, ValueRange{next, nextCount});
        },
        [&](OpBuilder &b, Location l) { scf::YieldOp::create(b, l, ValueRange{tokens, count}); });
    return SmallVector<Value>(kept.getResults());
  };
  auto loop = scf::ForOp::create(
      b, loc, zero, rows, one, ValueRange{result, zero},
      [&](OpBuilder &b, Location l, Value row, ValueRange outer) {
        auto inner = scf::ForOp::create(b, l, zero, width, one, outer,
                                        [&](OpBuilder &b, Location l, Value s, ValueRange carried) {
                                          scf::YieldOp::create(
                                              b, l, visitToken(b, l, row, s, carried));
                                        });
        scf::YieldOp::create(b, l, inner.getResults());
      });
  return SmallVector<Value>{loop.getResult(0)};
}

FailureOr<SmallVector<Value>> TokenSlotsOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value rows = tensor::DimOp::create(b, loc, getMask(), 0);
  Value width = tensor::DimOp::create(b, loc, getMask(), 1);
  Value last = tensor::DimOp::create(b, loc, getCuSeqlens(), 0);
  Value result = tensor::EmptyOp::create(b, loc, resultSizes(b, *this), b.getI32Type());
  auto visitToken = [&](OpBuilder &b, Location l, Value row, Value s, ValueRange carried) {
    Value isValid = tensor::ExtractOp::create(b, l, getMask(), ValueRange{row, s});
    Value slot = arith::SelectOp::create(b, l, isValid, carried[1], constantI32(b, l, -1));
    Value next = tensor::InsertOp::create(b, l, slot, carried[0], ValueRange{row, s});
    Value step = arith::ExtUIOp::create(b, l, b.getI32Type(), isValid);
    return SmallVector<Value>{next, arith::AddIOp::create(b, l, carried[1], step)};
  };
  auto loop = scf::ForOp::create(
      b, loc, zero, rows, one, ValueRange{result},
      [&](OpBuilder &b, Location l, Value row, ValueRange slots) {
        Value entry = clampedIndex(b, l, toI32(b, l, row), last);
        Value begin = tensor::ExtractOp::create(b, l, getCuSeqlens(), entry);
        auto inner = scf::ForOp::create(b, l, zero, width, one, ValueRange{slots[0], begin},
                                        [&](OpBuilder &b, Location l, Value s, ValueRange carried) {
                                          scf::YieldOp::create(
                                              b, l, visitToken(b, l, row, s, carried));
                                        });
        scf::YieldOp::create(b, l, inner.getResult(0));
      });
  return SmallVector<Value>(loop.getResults());
}

//===----------------------------------------------------------------------===//
// Moving tokens
//===----------------------------------------------------------------------===//

/// The loop indices [first, last) of a linalg body.
static SmallVector<Value> loopIndices(OpBuilder &b, Location loc, int64_t first, int64_t last) {
  SmallVector<Value> indices;
  for (int64_t loop = first; loop < last; ++loop)
    indices.push_back(linalg::IndexOp::create(b, loc, loop));
  return indices;
}

FailureOr<SmallVector<Value>> PackOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  int64_t rank = getType().getRank();
  Value rows = tensor::DimOp::create(b, loc, getX(), 0);
  Value width = tensor::DimOp::create(b, loc, getX(), 1);
  Value tokens = arith::MulIOp::create(b, loc, rows, width);
  return SmallVector<Value>{createPointwise(
      b, loc, resultSizes(b, *this), getType().getElementType(), {{getIndices(), {0}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value flat = clampedIndex(b, l, e[0], tokens);
        SmallVector<Value> at{arith::DivUIOp::create(b, l, flat, width),
                              arith::RemUIOp::create(b, l, flat, width)};
        llvm::append_range(at, loopIndices(b, l, 1, rank));
        return tensor::ExtractOp::create(b, l, getX(), at);
      })};
}

/// x[index, ...] if 0 <= index < size, else zero, in a linalg body.
static Value extractOrZero(OpBuilder &b, Location loc, Value x, Value index, Value size,
                           ArrayRef<Value> rest) {
  Value isThere = compare(b, loc, arith::CmpIPredicate::ult, index, size);
  Type elementType = elementTypeOf(x);
  auto choice = scf::IfOp::create(
      b, loc, isThere,
      [&](OpBuilder &b, Location l) {
        SmallVector<Value> at{index};
        llvm::append_range(at, rest);
        scf::YieldOp::create(b, l, tensor::ExtractOp::create(b, l, x, at).getResult());
      },
      [&](OpBuilder &b, Location l) {
        scf::YieldOp::create(
            b, l, arith::ConstantOp::create(b, l, b.getZeroAttr(elementType)).getResult());
      });
  return choice.getResult(0);
}

FailureOr<SmallVector<Value>> UnpackOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value tokens = tensor::DimOp::create(b, loc, getX(), 0);
  Value width = tensor::DimOp::create(b, loc, getSlots(), 1);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  return SmallVector<Value>{createPointwise(
      b, loc, resultSizes(b, *this), getType().getElementType(), {{getSlots(), {0, 1}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value row = linalg::IndexOp::create(b, l, 0), s = linalg::IndexOp::create(b, l, 1);
        Value place = arith::AddIOp::create(b, l, arith::MulIOp::create(b, l, row, width), s);
        Value end = arith::MinUIOp::create(b, l, tokens, arith::AddIOp::create(b, l, place, one));
        return extractOrZero(b, l, getX(), toIndex(b, l, e[0]), end,
                             loopIndices(b, l, 2, getType().getRank()));
      })};
}

//===----------------------------------------------------------------------===//
// Rows of packed tokens
//===----------------------------------------------------------------------===//

/// How many elements of `counted` from `begin` (i32) up to and with t are true, less one; at least 0.
/// Rows are short beside all tokens, so each token looks through its own.
static Value countBefore(OpBuilder &b, Location loc, Value counted, Value begin, Value t) {
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value end = arith::AddIOp::create(b, loc, t, one);
  auto loop = scf::ForOp::create(
      b, loc, toIndex(b, loc, begin), end, one, constantI32(b, loc, -1),
      [&](OpBuilder &b, Location l, Value u, ValueRange sum) {
        Value isCounted = tensor::ExtractOp::create(b, l, counted, u);
        Value step = arith::ExtUIOp::create(b, l, b.getI32Type(), isCounted);
        scf::YieldOp::create(b, l, arith::AddIOp::create(b, l, sum[0], step).getResult());
      });
  return arith::MaxSIOp::create(b, loc, loop.getResult(0), constantI32(b, loc, 0));
}

FailureOr<SmallVector<Value>> PackedPositionsOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  // Loops (t, n): the greatest entry that is at most t is where t's row begins, and the number of
  // such entries, less one, is the row.
  Value begins = createFilled(b, loc, sizes, b.getI32IntegerAttr(0));
  Value rows = createFilled(b, loc, sizes, b.getI32IntegerAttr(-1));
  SmallVector<Value> found = createGeneric(
      b, loc, 2, {1}, {{getCuSeqlens(), {1}}}, {{begins, {0}}, {rows, {0}}},
      [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
        Value t = toI32(b, l, linalg::IndexOp::create(b, l, 0));
        Value before = compare(b, l, arith::CmpIPredicate::sle, e[0], t);
        Value begin = arith::SelectOp::create(b, l, before, e[0], constantI32(b, l, 0));
        Value one = arith::ExtUIOp::create(b, l, b.getI32Type(), before);
        return {arith::MaxSIOp::create(b, l, e[1], begin), arith::AddIOp::create(b, l, e[2], one)};
      });
  Value past = getPast(), counted = getCounted();
  Value pastRows = past ? tensor::DimOp::create(b, loc, past, 0).getResult() : Value();
  SmallVector<LoopOperand> inputs{identity(found[0]), identity(found[1])};
  if (counted)
    inputs.push_back(identity(counted));
  return SmallVector<Value>{createPointwise(
      b, loc, sizes, b.getI32Type(), inputs, [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value t = linalg::IndexOp::create(b, l, 0);
        Value position = counted ? countBefore(b, l, counted, e[0], t)
                                 : arith::SubIOp::create(b, l, toI32(b, l, t), e[0]).getResult();
        position = arith::AddIOp::create(b, l, position, constantI32(b, l, getOffset()));
        if (past) {
          Value row = clampedIndex(b, l, e[1], pastRows);
          position =
              arith::AddIOp::create(b, l, position, tensor::ExtractOp::create(b, l, past, row));
        }
        if (getPaddingPosition())
          position = arith::SelectOp::create(b, l, e[2], position,
                                             constantI32(b, l, *getPaddingPosition()));
        return position;
      })};
}

/// cu_seqlens[b + next] as an index, b being loop 0 of a linalg body.
static Value rowBound(OpBuilder &b, Location loc, Value cuSeqlens, Value row, int64_t next) {
  Value step = arith::ConstantIndexOp::create(b, loc, next);
  Value entry = arith::AddIOp::create(b, loc, row, step);
  return toIndex(b, loc, tensor::ExtractOp::create(b, loc, cuSeqlens, entry));
}

FailureOr<SmallVector<Value>> PackedMeanPoolOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value tokens = tensor::DimOp::create(b, loc, getX(), 0);
  return SmallVector<Value>{createPointwise(
      b, loc, sizes, getType().getElementType(), {},
      [&](OpBuilder &b, Location l, ValueRange) -> Value {
        Value row = linalg::IndexOp::create(b, l, 0), column = linalg::IndexOp::create(b, l, 1);
        Value begin = rowBound(b, l, getCuSeqlens(), row, 0);
        Value end = rowBound(b, l, getCuSeqlens(), row, 1);
        begin = arith::MaxSIOp::create(b, l, begin, zero);
        end = arith::MinSIOp::create(b, l, end, tokens);
        auto loop = scf::ForOp::create(
            b, l, begin, end, one, ValueRange{constantF32(b, l, 0)},
            [&](OpBuilder &b, Location l, Value t, ValueRange sum) {
              Value x = tensor::ExtractOp::create(b, l, getX(), ValueRange{t, column});
              scf::YieldOp::create(
                  b, l, arith::AddFOp::create(b, l, sum[0], toF32(b, l, x)).getResult());
            });
        Value count = arith::MaxSIOp::create(b, l, arith::SubIOp::create(b, l, end, begin), zero);
        Value divisor = arith::SIToFPOp::create(b, l, b.getF32Type(), toI32(b, l, count));
        divisor = arith::MaximumFOp::create(b, l, divisor, constantF32(b, l, 1e-9));
        return arith::DivFOp::create(b, l, loop.getResult(0), divisor);
      })};
}

FailureOr<SmallVector<Value>> PackedTokenOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value tokens = tensor::DimOp::create(b, loc, getX(), 0);
  Value none = arith::ConstantIndexOp::create(b, loc, -1);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  return SmallVector<Value>{createPointwise(
      b, loc, resultSizes(b, *this), getType().getElementType(), {},
      [&](OpBuilder &b, Location l, ValueRange) -> Value {
        Value row = linalg::IndexOp::create(b, l, 0), column = linalg::IndexOp::create(b, l, 1);
        Value begin = rowBound(b, l, getCuSeqlens(), row, 0);
        Value end = rowBound(b, l, getCuSeqlens(), row, 1);
        Value chosen = getLast() ? arith::SubIOp::create(b, l, end, one).getResult() : begin;
        Value isEmpty = compare(b, l, arith::CmpIPredicate::sge, begin, end);
        chosen = arith::SelectOp::create(b, l, isEmpty, none, chosen);
        return extractOrZero(b, l, getX(), chosen, tokens, {column});
      })};
}

} // namespace ingot::transformer
