//===- F64Math.cpp - f64 functions in plain arithmetic --------------------===//
#include "dialects/Transformer/F64Math.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/bit.h"

using namespace mlir;

namespace ingot::transformer {

namespace {
struct F64 {
  OpBuilder &b;
  Location loc;

  Value c(double value) const {
    return arith::ConstantOp::create(b, loc, b.getF64FloatAttr(value));
  }
  Value i(int64_t value) const {
    return arith::ConstantOp::create(b, loc, b.getI64IntegerAttr(value));
  }
  Value add(Value x, Value y) const { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, loc, x, y); }
  Value bits(Value x) const { return arith::BitcastOp::create(b, loc, b.getI64Type(), x); }
  Value fromBits(Value x) const { return arith::BitcastOp::create(b, loc, b.getF64Type(), x); }
  Value isBitSet(Value x, int64_t bit) const {
    Value masked = arith::AndIOp::create(b, loc, x, i(bit));
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, masked, i(0));
  }
  Value select(Value condition, Value x, Value y) const {
    return arith::SelectOp::create(b, loc, condition, x, y);
  }

  /// coefficients[0] + x * (coefficients[1] + x * …)
  Value polynomial(Value x, ArrayRef<double> coefficients) const {
    Value result = c(coefficients.back());
    for (double coefficient : llvm::reverse(coefficients.drop_back()))
      result = add(mul(result, x), c(coefficient));
    return result;
  }
};

// Adding this to a small f64 rounds it to an integer, which then is in the low bits of the sum.
constexpr double kRounder = 6755399441055744.0; // 1.5 * 2^52

constexpr double kHalfPi = 1.57079632679489661923;
constexpr double kHalfPiRest = 6.123233995736766036e-17; // pi / 2 - kHalfPi
constexpr double kLn2 = 0.69314718055994530942;
constexpr double kLn2Rest = 2.319046813846299558e-17; // ln 2 - kLn2

/// The leading 22 bits of `x`: multiplied by an integer below 2^31 they lose nothing.
double leading22(double x) {
  return llvm::bit_cast<double>(llvm::bit_cast<uint64_t>(x) & ~((uint64_t(1) << 31) - 1));
}

/// x - k * (value + rest), for an integer k below 2^31, without cancellation.
Value reduce(const F64 &f, Value x, Value k, double value, double rest) {
  double first = leading22(value), second = leading22(value - first);
  double third = (value - first - second) + rest;
  for (double part : {first, second, third})
    x = f.sub(x, f.mul(k, f.c(part)));
  return x;
}
} // namespace

std::pair<Value, Value> emitCosSin(OpBuilder &builder, Location loc, Value angle) {
  F64 f{builder, loc};
  // angle = quadrant * pi/2 + r with |r| <= pi/4
  Value rounded = f.add(f.mul(angle, f.c(1 / kHalfPi)), f.c(kRounder));
  Value quadrant = f.bits(rounded);
  Value r = reduce(f, angle, f.sub(rounded, f.c(kRounder)), kHalfPi, kHalfPiRest);

  // Taylor series; the first term left out is below 1e-16 there.
  SmallVector<double> sinTerms, cosTerms;
  double factorial = 1; // of n
  for (int n = 0; n <= 16; ++n) {
    factorial *= n ? n : 1;
    double term = (n / 2 % 2 ? -1.0 : 1.0) / factorial;
    (n % 2 ? sinTerms : cosTerms).push_back(term);
  }
  Value square = f.mul(r, r);
  Value cosR = f.polynomial(square, cosTerms);
  Value sinR = f.mul(r, f.polynomial(square, sinTerms));

  Value odd = f.isBitSet(quadrant, 1);
  Value next = arith::AddIOp::create(builder, loc, quadrant, f.i(1));
  auto negateIf = [&](Value condition, Value x) -> Value {
    Value negated = arith::NegFOp::create(builder, loc, x);
    return f.select(condition, negated, x);
  };
  Value cos = negateIf(f.isBitSet(next, 2), f.select(odd, sinR, cosR));
  Value sin = negateIf(f.isBitSet(quadrant, 2), f.select(odd, cosR, sinR));
  return {cos, sin};
}

Value emitExp(OpBuilder &builder, Location loc, Value x) {
  F64 f{builder, loc};
  // e^x = 2^k * e^r with |r| <= ln(2) / 2
  Value rounded = f.add(f.mul(x, f.c(1 / kLn2)), f.c(kRounder));
  Value r = reduce(f, x, f.sub(rounded, f.c(kRounder)), kLn2, kLn2Rest);
  SmallVector<double> terms{1.0};
  for (int n = 1; n <= 13; ++n)
    terms.push_back(terms.back() / n);
  // The exponent field of 2^k; what the rounder left above it is shifted out.
  Value biased = arith::AddIOp::create(builder, loc, f.bits(rounded), f.i(1023));
  Value power = arith::ShLIOp::create(builder, loc, biased, f.i(52));
  return f.mul(f.polynomial(r, terms), f.fromBits(power));
}

Value emitLog(OpBuilder &builder, Location loc, Value x) {
  F64 f{builder, loc};
  // x = 2^k * m with m in [sqrt(1/2), sqrt(2))
  Value bits = f.bits(x);
  Value above = arith::SubIOp::create(builder, loc, bits,
                                      f.i(llvm::bit_cast<int64_t>(0.70710678118654752440)));
  Value k = arith::ShRSIOp::create(builder, loc, above, f.i(52));
  Value exponent = arith::ShLIOp::create(builder, loc, k, f.i(52));
  Value m = f.fromBits(arith::SubIOp::create(builder, loc, bits, exponent));
  // ln m = 2 artanh(s), s = (m - 1) / (m + 1), |s| < 0.172
  Value s = arith::DivFOp::create(builder, loc, f.sub(m, f.c(1)), f.add(m, f.c(1)));
  SmallVector<double> terms;
  for (int n = 1; n <= 19; n += 2)
    terms.push_back(2.0 / n);
  Value lnM = f.mul(s, f.polynomial(f.mul(s, s), terms));
  Value kFloat = arith::SIToFPOp::create(builder, loc, builder.getF64Type(), k);
  return f.add(f.mul(kFloat, f.c(kLn2)), lnM);
}

} // namespace ingot::transformer
