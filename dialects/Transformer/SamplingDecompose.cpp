//===- SamplingDecompose.cpp - Decompositions of sampling -------------------===//
//
// Loops of scalars, a row behind the other, and nothing kept between them: every loop over the
// vocabulary makes its scores and weights anew. It is what the result means and what kernels are
// compared with, not a way to sample fast. Thresholds are found bit by bit.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using arith::CmpFPredicate;
using arith::CmpIPredicate;

namespace ingot::transformer {

namespace {

/// Scalars of one insertion point.
struct Scalars {
  OpBuilder &b;
  Location loc;

  Value constant(Type type, uint64_t value) {
    return arith::ConstantOp::create(
        b, loc, b.getIntegerAttr(type, APInt(type.getIntOrFloatBitWidth(), value)));
  }
  Value i64(uint64_t value) { return constant(b.getI64Type(), value); }
  Value i32(uint32_t value) { return constant(b.getI32Type(), value); }
  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value f32(double value) { return constantF32(b, loc, value); }

  template <typename Op> Value make(Value left, Value right) {
    return Op::create(b, loc, left, right).getResult();
  }
  Value add(Value left, Value right) { return make<arith::AddIOp>(left, right); }
  Value sub(Value left, Value right) { return make<arith::SubIOp>(left, right); }
  Value mul(Value left, Value right) { return make<arith::MulIOp>(left, right); }
  Value shr(Value left, uint64_t bits) {
    return make<arith::ShRUIOp>(left, constant(left.getType(), bits));
  }
  Value both(Value left, Value right) { return make<arith::AndIOp>(left, right); }
  Value is(CmpIPredicate predicate, Value left, Value right) {
    return arith::CmpIOp::create(b, loc, predicate, left, right);
  }
  Value is(CmpFPredicate predicate, Value left, Value right) {
    return arith::CmpFOp::create(b, loc, predicate, left, right);
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(b, loc, condition, yes, no);
  }
  Value toIndex(Value integer) {
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), integer);
  }
  Value toI32(Value index) { return arith::IndexCastOp::create(b, loc, b.getI32Type(), index); }
  Value at(Value tensor, ValueRange indices) {
    return tensor::ExtractOp::create(b, loc, tensor, indices);
  }

  Value isFinite(Value value) {
    Value exponent = both(arith::BitcastOp::create(b, loc, b.getI32Type(), value), i32(0x7f800000));
    return is(CmpIPredicate::ne, exponent, i32(0x7f800000));
  }

  /// Unsigned keys in the order of floats; both zeros have one.
  Value orderKey(Value value) {
    value = make<arith::AddFOp>(value, f32(0));
    Value bits = arith::BitcastOp::create(b, loc, b.getI32Type(), value);
    Value negative = is(CmpIPredicate::slt, bits, i32(0));
    return select(negative, make<arith::XOrIOp>(bits, i32(~0u)),
                  make<arith::OrIOp>(bits, i32(1u << 31)));
  }
  Value keyValue(Value key) {
    Value positive = is(CmpIPredicate::slt, key, i32(0));
    Value bits = select(positive, both(key, i32(0x7fffffff)),
                        make<arith::XOrIOp>(key, i32(~0u)));
    return arith::BitcastOp::create(b, loc, b.getF32Type(), bits);
  }

  // SamplingRule.h and Random.h of runtime/generate.
  Value weight(Value x) {
    Value isSeen = is(CmpFPredicate::OGE, x, f32(-28));
    Value scaled = make<arith::MulFOp>(make<arith::MaximumFOp>(x, f32(-28)), f32(-0x1p28));
    Value exponent = arith::FPToSIOp::create(b, loc, b.getI64Type(), scaled);
    exponent = shr(mul(exponent, i64(1549082005)), 26);
    Value f = both(exponent, i64(0xffffffff)), sum = i64(0xbdba);
    for (uint64_t coefficient :
         {0x9c23cull, 0x5728f4ull, 0x27641ccull, 0xe35812full, 0x3d7f7bccull, 0xb17217f7ull,
          1ull << 32})
      sum = sub(i64(coefficient), shr(mul(sum, f), 32));
    Value whole = make<arith::ShLIOp>(sum, i64(8));
    return select(isSeen, make<arith::ShRUIOp>(whole, shr(exponent, 32)), i64(0));
  }
  Value shareOf(Value share, Value total) {
    Type f64 = b.getF64Type();
    Value product = make<arith::MulFOp>(arith::ExtFOp::create(b, loc, f64, share),
                                        arith::SIToFPOp::create(b, loc, f64, total));
    Value whole = arith::FPToSIOp::create(b, loc, b.getI64Type(), product);
    Value isLess =
        is(CmpFPredicate::OLT, arith::SIToFPOp::create(b, loc, f64, whole).getResult(), product);
    return add(whole, arith::ExtUIOp::create(b, loc, b.getI64Type(), isLess));
  }
  Value scramble(Value x) {
    x = make<arith::XOrIOp>(x, shr(x, 33));
    x = mul(x, i64(0xd6e8feb86659fd93));
    x = make<arith::XOrIOp>(x, shr(x, 29));
    x = mul(x, i64(0x9e3779b97f4a7c15));
    return make<arith::XOrIOp>(x, shr(x, 32));
  }
  Value uniformBelow(Value seed, Value counter, Value total) {
    Value key = scramble(add(seed, i64(0x9e3779b97f4a7c15)));
    Value bits = scramble(
        make<arith::XOrIOp>(key, scramble(add(counter, i64(0xbb67ae8584caa73b)))));
    bits = both(bits, i64(~uint64_t(0x7ff)));
    return arith::MulUIExtendedOp::create(b, loc, bits, total).getHigh();
  }
};

/// One row of transformer.sample.
class RowSampler {
public:
  RowSampler(SampleOp op, OpBuilder &b, Location loc, Value row) : op(op), row(row) {
    Scalars s{b, loc};
    zero = s.index(0), one = s.index(1);
    vocabulary = op.getLogits().getType().getDimSize(1);
    size = s.index(vocabulary);
    Value slots = tensor::DimOp::create(b, loc, op.getSeen(), 0);
    slot = s.toIndex(s.at(op.getSlot(), row));
    Value isKnown = s.is(CmpIPredicate::ult, slot, slots);
    slot = s.select(isKnown, slot, zero);
    penalty = s.at(op.getRepetitionPenalty(), row);
    isPenalized = s.both(isKnown, s.is(CmpFPredicate::OGT, penalty, s.f32(0)));
    temperature = s.at(op.getTemperature(), row);
  }

  /// The token as i32.
  Value sample(Scalars s);

private:
  using OfToken = llvm::function_ref<Value(Scalars, Value)>;

  Value penalized(Scalars s, Value i) {
    Value logit = s.at(op.getLogits(), {row, i});
    Value applies = s.both(isPenalized, s.at(op.getSeen(), {slot, i}));
    Value lower = s.make<arith::MulFOp>(logit, penalty);
    Value higher = s.make<arith::DivFOp>(logit, penalty);
    Value changed = s.select(s.is(CmpFPredicate::OLT, logit, s.f32(0)), lower, higher);
    return s.select(applies, changed, logit);
  }
  Value score(Scalars s, Value i) { return s.make<arith::DivFOp>(penalized(s, i), temperature); }
  Value key(Scalars s, Value i) { return s.orderKey(score(s, i)); }
  Value weight(Scalars s, Value i) { return s.weight(s.make<arith::SubFOp>(score(s, i), top)); }

  /// Carries values over all tokens.
  SmallVector<Value> overTokens(
      Scalars s, ValueRange init,
      llvm::function_ref<SmallVector<Value>(Scalars, Value, ValueRange)> body) {
    auto loop = scf::ForOp::create(s.b, s.loc, zero, size, one, init,
                                   [&](OpBuilder &b, Location l, Value i, ValueRange carried) {
                                     scf::YieldOp::create(b, l, body({b, l}, i, carried));
                                   });
    return SmallVector<Value>(loop.getResults());
  }
  Value sumOver(Scalars s, OfToken value) {
    return overTokens(s, s.i64(0), [&](Scalars s, Value i, ValueRange sum) -> SmallVector<Value> {
             return {s.add(sum[0], value(s, i))};
           })[0];
  }
  /// The largest key such that value(i) of tokens with it or a larger one add up to `target`.
  Value findKey(Scalars s, Value target, OfToken value);
  SmallVector<Value> ifElse(Scalars s, Value condition,
                            llvm::function_ref<SmallVector<Value>(Scalars)> yes, ValueRange no) {
    auto choice = scf::IfOp::create(
        s.b, s.loc, condition,
        [&](OpBuilder &b, Location l) { scf::YieldOp::create(b, l, yes({b, l})); },
        [&](OpBuilder &b, Location l) { scf::YieldOp::create(b, l, no); });
    return SmallVector<Value>(choice.getResults());
  }
  /// The token that is drawn.
  Value draw(Scalars s);
  /// The least key and, of those that have it, the last token that top-p leaves of those with
  /// `left(i)`.
  SmallVector<Value> keepTopP(Scalars s, Value share, OfToken left);

  SampleOp op;
  int64_t vocabulary;
  Value row, zero, one, size, slot, penalty, isPenalized, temperature, top;
};

} // namespace

Value RowSampler::findKey(Scalars s, Value target, OfToken value) {
  auto loop = scf::ForOp::create(
      s.b, s.loc, zero, s.index(32), one, ValueRange{s.i32(0)},
      [&](OpBuilder &b, Location l, Value bit, ValueRange found) {
        Scalars s{b, l};
        Value next = s.make<arith::ShRUIOp>(s.i32(1u << 31), s.toI32(bit));
        next = s.make<arith::OrIOp>(found[0], next);
        Value sum = sumOver(s, [&](Scalars s, Value i) {
          return s.select(s.is(CmpIPredicate::uge, key(s, i), next), value(s, i), s.i64(0));
        });
        Value reaches = s.is(CmpIPredicate::uge, sum, target);
        scf::YieldOp::create(b, l, s.select(reaches, next, found[0]));
      });
  return loop.getResult(0);
}

SmallVector<Value> RowSampler::keepTopP(Scalars s, Value share, OfToken left) {
  Value target = s.shareOf(share, sumOver(s, left));
  Value least = findKey(s, target, left);
  Value before = sumOver(s, [&](Scalars s, Value i) {
    return s.select(s.is(CmpIPredicate::ugt, key(s, i), least), left(s, i), s.i64(0));
  });
  // All of one key have one weight: those that are needed to reach the target stay.
  Value each = s.weight(s.make<arith::SubFOp>(s.keyValue(least), top));
  Value needed = s.sub(s.add(s.sub(target, before), each), s.i64(1));
  needed = s.make<arith::DivUIOp>(needed, each);
  Value last = overTokens(s, ValueRange{s.i64(0), s.i32(~0u)},
                          [&](Scalars s, Value i, ValueRange carried) -> SmallVector<Value> {
                            Value isOne = s.is(CmpIPredicate::eq, key(s, i), least);
                            Value count = s.add(
                                carried[0],
                                arith::ExtUIOp::create(s.b, s.loc, s.b.getI64Type(), isOne));
                            Value isLast =
                                s.both(isOne, s.is(CmpIPredicate::eq, count, needed));
                            return {count, s.select(isLast, s.toI32(i), carried[1])};
                          })[1];
  return {least, last};
}

Value RowSampler::draw(Scalars s) {
  Value topK = s.at(op.getTopK(), row), topP = s.at(op.getTopP(), row);
  Value minP = s.at(op.getMinP(), row);
  Value limitsCount = s.both(s.is(CmpIPredicate::sgt, topK, s.i32(0)),
                             s.is(CmpIPredicate::slt, topK, s.i32(uint32_t(vocabulary))));
  Value kthKey = ifElse(
      s, limitsCount,
      [&](Scalars s) -> SmallVector<Value> {
        Value target = arith::ExtSIOp::create(s.b, s.loc, s.b.getI64Type(), topK);
        return {findKey(s, target, [](Scalars s, Value) { return s.i64(1); })};
      },
      s.i32(0))[0];
  auto left = [&](Scalars s, Value i) {
    return s.select(s.is(CmpIPredicate::uge, key(s, i), kthKey), weight(s, i), s.i64(0));
  };
  Value limitsShare = s.both(s.is(CmpFPredicate::OGT, topP, s.f32(0)),
                             s.is(CmpFPredicate::OLT, topP, s.f32(1)));
  SmallVector<Value> limits = ifElse(
      s, limitsShare, [&](Scalars s) { return keepTopP(s, topP, left); },
      {kthKey, s.i32(~0u)});
  Value hasMinP = s.is(CmpFPredicate::OGT, minP, s.f32(0));
  minP = s.select(hasMinP, s.make<arith::MinNumFOp>(minP, s.f32(1)), s.f32(0));
  Value leastWeight = s.shareOf(minP, s.i64(uint64_t(1) << 40));
  auto kept = [&](Scalars s, Value i) -> Value {
    Value own = key(s, i);
    Value isEqual = s.both(s.is(CmpIPredicate::eq, own, limits[0]),
                           s.is(CmpIPredicate::ule, s.toI32(i), limits[1]));
    Value stays = s.make<arith::OrIOp>(s.is(CmpIPredicate::ugt, own, limits[0]), isEqual);
    Value all = weight(s, i);
    stays = s.both(stays, s.is(CmpIPredicate::uge, all, leastWeight));
    return s.select(stays, all, s.i64(0));
  };
  Value threshold =
      s.uniformBelow(s.at(op.getSeed(), row), s.at(op.getDraw(), row), sumOver(s, kept));
  return overTokens(s, ValueRange{s.i64(0), s.i32(0)},
                    [&](Scalars s, Value i, ValueRange carried) -> SmallVector<Value> {
                      Value sum = s.add(carried[0], kept(s, i));
                      Value crosses = s.both(s.is(CmpIPredicate::ule, carried[0], threshold),
                                             s.is(CmpIPredicate::ugt, sum, threshold));
                      return {sum, s.select(crosses, s.toI32(i), carried[1])};
                    })[1];
}

Value RowSampler::sample(Scalars s) {
  Value no = arith::ConstantOp::create(s.b, s.loc, s.b.getBoolAttr(false));
  // The first of the largest, and whether there is a NaN.
  SmallVector<Value> best = overTokens(
      s, ValueRange{s.i32(0), s.i32(0), no},
      [&](Scalars s, Value i, ValueRange carried) -> SmallVector<Value> {
        Value value = penalized(s, i), own = s.orderKey(value);
        Value isLarger = s.is(CmpIPredicate::ugt, own, carried[0]);
        return {s.select(isLarger, own, carried[0]), s.select(isLarger, s.toI32(i), carried[1]),
                s.make<arith::OrIOp>(carried[2], s.is(CmpFPredicate::UNO, value, value))};
      });
  Value largest = s.keyValue(best[0]);
  Value isNumber = s.select(best[2], no, s.isFinite(largest));
  top = s.make<arith::DivFOp>(largest, temperature);
  Value draws = s.both(s.is(CmpFPredicate::OGT, temperature, s.f32(0)), s.isFinite(top));
  return ifElse(
      s, s.both(isNumber, draws), [&](Scalars s) -> SmallVector<Value> { return {draw(s)}; },
      s.select(isNumber, best[1], s.i32(~0u)))[0];
}

FailureOr<SmallVector<Value>> SampleOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value zero = arith::ConstantIndexOp::create(b, loc, 0);
  Value one = arith::ConstantIndexOp::create(b, loc, 1);
  Value rows = tensor::DimOp::create(b, loc, getLogits(), 0);
  Value result = tensor::EmptyOp::create(b, loc, resultSizes(b, *this), b.getI32Type());
  auto loop = scf::ForOp::create(
      b, loc, zero, rows, one, ValueRange{result},
      [&](OpBuilder &b, Location l, Value row, ValueRange tokens) {
        Value token = RowSampler(*this, b, l, row).sample({b, l});
        Value next = tensor::InsertOp::create(b, l, token, tokens[0], row);
        scf::YieldOp::create(b, l, next);
      });
  return SmallVector<Value>(loop.getResults());
}

FailureOr<SmallVector<Value>> MarkTokensOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Scalars outer{b, loc};
  Value zero = outer.index(0), one = outer.index(1);
  Value slots = tensor::DimOp::create(b, loc, getSeen(), 0);
  Value vocabulary = tensor::DimOp::create(b, loc, getSeen(), 1);
  Value rows = tensor::DimOp::create(b, loc, getIds(), 0);
  Value width = tensor::DimOp::create(b, loc, getIds(), 1);
  auto set = [&](Scalars s, Value count, Value seen,
                 llvm::function_ref<Value(Scalars, Value, Value)> body) {
    return scf::ForOp::create(s.b, s.loc, zero, count, one, seen,
                              [&](OpBuilder &b, Location l, Value i, ValueRange carried) {
                                scf::YieldOp::create(b, l, body({b, l}, i, carried[0]));
                              })
        .getResult(0);
  };
  Value marked = set(outer, rows, getSeen(), [&](Scalars s, Value row, Value seen) {
    Value slot = s.toIndex(s.at(getSlot(), row));
    Value isKnown = s.is(CmpIPredicate::ult, slot, slots);
    Value begins = s.both(isKnown, s.is(CmpIPredicate::sle, s.at(getPast(), row), s.i32(0)));
    Value yes = arith::ConstantOp::create(s.b, s.loc, s.b.getBoolAttr(true));
    Value no = arith::ConstantOp::create(s.b, s.loc, s.b.getBoolAttr(false));
    Value cleared = s.select(begins, vocabulary, zero);
    seen = set(s, cleared, seen, [&](Scalars s, Value i, Value seen) -> Value {
      return tensor::InsertOp::create(s.b, s.loc, no, seen, ValueRange{slot, i});
    });
    Value count = s.make<arith::MinSIOp>(s.toIndex(s.at(getNumTokens(), row)), width);
    count = s.select(isKnown, count, zero);
    return set(s, count, seen, [&](Scalars s, Value i, Value seen) -> Value {
      Value id = s.toIndex(s.at(getIds(), {row, i}));
      Value isToken = s.is(CmpIPredicate::ult, id, vocabulary);
      auto choice = scf::IfOp::create(
          s.b, s.loc, isToken,
          [&](OpBuilder &b, Location l) {
            Value next = tensor::InsertOp::create(b, l, yes, seen, ValueRange{slot, id});
            scf::YieldOp::create(b, l, next);
          },
          [&](OpBuilder &b, Location l) { scf::YieldOp::create(b, l, seen); });
      return choice.getResult(0);
    });
  });
  return SmallVector<Value>{marked};
}

} // namespace ingot::transformer
