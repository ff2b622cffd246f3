//===- MathExpansion.cpp - Math functions as arithmetic -------------------===//
//
// A host image links no libm, and a vector of 16 must not become 16 calls. So every math op is written
// out, on scalars and vectors alike:
//
//   exp, tanh, erf on f32   range reduction and a polynomial in f32, about 1-2 ulp
//   all others on f32       computed in f64 and rounded once: correctly rounded but for rare ties
//   f64                     series good to about 1e-15 relative
//
// Upstream's polynomial approximations are not used: their exp and tanh clamp away the denormal and
// saturated ends and sin/cos lose all digits for the large angles of rotary embeddings.
//
// Polynomial coefficients: exp and tanh as in the Cephes library (S. Moshier, public constants); erf
// fitted for this file (erf(x)/x in x^2 below 1, -log(erfc(x)) above, both minimax); f64 functions are
// Taylor series on the reduced argument.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/PatternMatch.h"

#include <cmath>
#include <limits>

using namespace mlir;

namespace ingot::host {

namespace {

/// Arithmetic on values of one floating-point type, scalar or vector.
class Build {
public:
  Build(OpBuilder &builder, Location loc, Type type, bool hasFma)
      : builder(builder), loc(loc), type(type), hasFma(hasFma) {}

  Type floatType() const { return type; }
  /// The integer type of the same width and shape.
  Type intType() const {
    Type element = builder.getIntegerType(getElementTypeOrSelf(type).getIntOrFloatBitWidth());
    if (auto vector = dyn_cast<VectorType>(type))
      return vector.clone(element);
    return element;
  }
  Value c(double value) {
    return constant(type, builder.getFloatAttr(getElementTypeOrSelf(type), value));
  }
  Value ci(int64_t value) {
    Type ints = intType();
    return constant(ints, builder.getIntegerAttr(getElementTypeOrSelf(ints), value));
  }
  Value add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
  Value div(Value a, Value b) { return arith::DivFOp::create(builder, loc, a, b); }
  Value neg(Value a) { return arith::NegFOp::create(builder, loc, a); }
  Value abs(Value a) { return math::AbsFOp::create(builder, loc, a); }
  Value sqrt(Value a) { return math::SqrtOp::create(builder, loc, a); }
  Value floor(Value a) { return math::FloorOp::create(builder, loc, a); }
  Value roundEven(Value a) { return math::RoundEvenOp::create(builder, loc, a); }
  Value copySign(Value a, Value sign) { return math::CopySignOp::create(builder, loc, a, sign); }
  Value fma(Value a, Value b, Value acc) {
    if (hasFma)
      return math::FmaOp::create(builder, loc, a, b, acc);
    return add(mul(a, b), acc);
  }
  Value cmp(arith::CmpFPredicate predicate, Value a, Value b) {
    return arith::CmpFOp::create(builder, loc, predicate, a, b);
  }
  Value less(Value a, Value b) { return cmp(arith::CmpFPredicate::OLT, a, b); }
  Value select(Value condition, Value a, Value b) {
    return arith::SelectOp::create(builder, loc, condition, a, b);
  }
  /// `x` limited to [low, high]; NaN stays NaN.
  Value clamp(Value x, double low, double high) {
    x = select(less(x, c(low)), c(low), x);
    return select(cmp(arith::CmpFPredicate::OGT, x, c(high)), c(high), x);
  }
  Value bits(Value a) { return arith::BitcastOp::create(builder, loc, intType(), a); }
  Value fromBits(Value a) { return arith::BitcastOp::create(builder, loc, type, a); }
  Value addi(Value a, Value b) { return arith::AddIOp::create(builder, loc, a, b); }
  Value subi(Value a, Value b) { return arith::SubIOp::create(builder, loc, a, b); }
  Value andi(Value a, Value b) { return arith::AndIOp::create(builder, loc, a, b); }
  Value ori(Value a, Value b) { return arith::OrIOp::create(builder, loc, a, b); }
  Value shl(Value a, int64_t n) { return arith::ShLIOp::create(builder, loc, a, ci(n)); }
  Value shr(Value a, int64_t n) { return arith::ShRSIOp::create(builder, loc, a, ci(n)); }
  Value toFloat(Value ints) { return arith::SIToFPOp::create(builder, loc, type, ints); }
  /// c[0] + c[1] x + c[2] x^2 + ...
  Value poly(Value x, ArrayRef<double> coefficients) {
    Value result = c(coefficients.back());
    for (double next : llvm::reverse(coefficients.drop_back()))
      result = fma(result, x, c(next));
    return result;
  }

private:
  Value constant(Type of, TypedAttr element) {
    if (auto vector = dyn_cast<VectorType>(of))
      return arith::ConstantOp::create(builder, loc, DenseElementsAttr::get(vector, element));
    return arith::ConstantOp::create(builder, loc, element);
  }

  OpBuilder &builder;
  Location loc;
  Type type;
  bool hasFma;
};

constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double inf = std::numeric_limits<double>::infinity();

/// p * 2^n for an integral float `shifted` = n + magic, in two steps so that the results' denormal
/// and infinite ends come out right.
Value scaleByPowerOfTwo(Build &b, Value p, Value shifted, Value magic, int64_t bias, int64_t mantissa) {
  Value n = b.subi(b.bits(shifted), b.bits(magic));
  Value half = b.shr(n, 1);
  Value rest = b.subi(n, half);
  auto power = [&](Value exponent) {
    return b.fromBits(b.shl(b.addi(exponent, b.ci(bias)), mantissa));
  };
  return b.mul(b.mul(p, power(half)), power(rest));
}

Value exp32(Build &b, Value x) {
  // Below the lower end the result is 0, above the upper one inf.
  Value limited = b.clamp(x, -105.0, 90.0);
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low mantissa bits.
  Value magic = b.c(12582912.0);
  Value shifted = b.add(b.mul(limited, b.c(1.44269504088896341)), magic);
  Value n = b.sub(shifted, magic);
  Value r = b.fma(n, b.c(-0.693359375), limited);
  r = b.fma(n, b.c(2.12194440e-4), r);
  Value p = b.poly(r, {5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3,
                       1.3981999507e-3, 1.9875691500e-4});
  p = b.fma(p, b.mul(r, r), r);
  return scaleByPowerOfTwo(b, b.add(p, b.c(1.0)), shifted, magic, 127, 23);
}

Value tanh32(Build &b, Value x) {
  Value a = b.abs(x);
  Value u = b.mul(x, x);
  Value small = b.poly(u, {-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2,
                           2.06390887954e-2, -5.70498872745e-3});
  small = b.fma(b.mul(small, u), a, a);
  Value e = exp32(b, b.add(a, a));
  Value large = b.sub(b.c(1.0), b.div(b.c(2.0), b.add(e, b.c(1.0))));
  return b.copySign(b.select(b.less(a, b.c(0.625)), small, large), x);
}

Value erf32(Build &b, Value x) {
  Value a = b.abs(x);
  Value u = b.mul(x, x);
  Value small = b.mul(b.poly(u, {1.1283791065216064, -0.3761262595653534, 0.1128358542919159,
                                 -0.026853810995817184, 0.005188326351344585,
                                 -0.0008010182064026594, 7.853823626646772e-05}),
                      a);
  Value t = b.clamp(a, 0.0, 4.0);
  Value q = b.poly(t, {-0.00029105713474564254, 1.130119800567627, 0.6320132613182068,
                       0.10990989953279495, -0.02632761560380459, 0.004727719351649284,
                       -0.0005902095581404865, 4.5298816985450685e-05, -1.599854158484959e-06});
  Value large = b.sub(b.c(1.0), exp32(b, b.neg(q)));
  return b.copySign(b.select(b.less(a, b.c(1.0)), small, large), x);
}

Value exp64(Build &b, Value x) {
  Value limited = b.clamp(x, -746.0, 711.0);
  Value magic = b.c(6755399441055744.0); // 1.5 * 2^52
  Value shifted = b.add(b.mul(limited, b.c(1.44269504088896340736)), magic);
  Value n = b.sub(shifted, magic);
  Value r = b.sub(limited, b.mul(n, b.c(6.93145751953125e-1)));
  r = b.sub(r, b.mul(n, b.c(1.42860682030941723212e-6)));
  SmallVector<double> series{1.0};
  for (int i = 1; i <= 13; ++i)
    series.push_back(series.back() / i);
  return scaleByPowerOfTwo(b, b.poly(r, series), shifted, magic, 1023, 52);
}

Value log64(Build &b, Value x) {
  // x = m * 2^e with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh((m - 1) / (m + 1)).
  Value tiny = b.less(x, b.c(2.2250738585072014e-308));
  Value scaled = b.select(tiny, b.mul(x, b.c(18014398509481984.0)), x); // 2^54
  Value bits = b.bits(scaled);
  // Moving the exponent's origin to sqrt(1/2) makes the shift round the way we need.
  Value moved = b.subi(bits, b.ci(0x3FE6A09E667F3BCDLL));
  Value e = b.toFloat(b.shr(moved, 52));
  Value m = b.fromBits(b.addi(b.andi(moved, b.ci(0x000FFFFFFFFFFFFFLL)), b.ci(0x3FE6A09E667F3BCDLL)));
  e = b.sub(e, b.select(tiny, b.c(54.0), b.c(0.0)));
  Value s = b.div(b.sub(m, b.c(1.0)), b.add(m, b.c(1.0)));
  SmallVector<double> series;
  for (int i = 0; i <= 11; ++i)
    series.push_back(2.0 / (2 * i + 1));
  Value result = b.mul(s, b.poly(b.mul(s, s), series));
  result = b.add(b.mul(e, b.c(1.42860682030941723212e-6)), result);
  result = b.add(b.mul(e, b.c(6.93145751953125e-1)), result);
  result = b.select(b.cmp(arith::CmpFPredicate::OEQ, x, b.c(inf)), b.c(inf), result);
  result = b.select(b.cmp(arith::CmpFPredicate::OEQ, x, b.c(0.0)), b.c(-inf), result);
  return b.select(b.cmp(arith::CmpFPredicate::UGE, x, b.c(0.0)), result, b.c(nan));
}

/// sin(x + quarter * pi / 2). Exact reduction for |x| up to 1e6 turns; beyond, digits are lost slowly.
Value sine64(Build &b, Value x, double quarter) {
  Value n = b.roundEven(b.mul(x, b.c(6.36619772367581382433e-01)));
  // pi / 2 in three pieces of 33 bits: the products with n < 2^20 are exact.
  Value r = b.sub(x, b.mul(n, b.c(1.57079632673412561417e+00)));
  r = b.sub(r, b.mul(n, b.c(6.07710050630396597660e-11)));
  r = b.sub(r, b.mul(n, b.c(2.02226624871116645580e-21)));
  Value turn = b.add(n, b.c(quarter));
  Value q = b.sub(turn, b.mul(b.c(4.0), b.floor(b.mul(turn, b.c(0.25)))));
  SmallVector<double> sines, cosines;
  double factorial = 1;
  for (int i = 0; i <= 8; ++i) {
    cosines.push_back((i % 2 ? -1 : 1) / factorial);
    factorial *= 2 * i + 1;
    sines.push_back((i % 2 ? -1 : 1) / factorial);
    factorial *= 2 * i + 2;
  }
  Value u = b.mul(r, r);
  Value sine = b.mul(r, b.poly(u, sines));
  Value cosine = b.poly(u, cosines);
  Value odd = b.cmp(arith::CmpFPredicate::OEQ,
                    b.sub(q, b.mul(b.c(2.0), b.floor(b.mul(q, b.c(0.5))))), b.c(1.0));
  Value result = b.select(odd, cosine, sine);
  return b.select(b.cmp(arith::CmpFPredicate::OGE, q, b.c(2.0)), b.neg(result), result);
}

Value pow64(Build &b, Value x, Value y) {
  // Enough for bases and exponents of frequency tables; a negative base has no real power here
  // unless the exponent is integral.
  Value magnitude = exp64(b, b.mul(y, log64(b, b.abs(x))));
  Value integral = b.cmp(arith::CmpFPredicate::OEQ, y, b.floor(y));
  Value halfY = b.mul(y, b.c(0.5));
  Value even = b.cmp(arith::CmpFPredicate::OEQ, halfY, b.floor(halfY));
  Value signedResult = b.select(integral, b.select(even, magnitude, b.neg(magnitude)), b.c(nan));
  Value result = b.select(b.less(x, b.c(0.0)), signedResult, magnitude);
  return b.select(b.cmp(arith::CmpFPredicate::OEQ, y, b.c(0.0)), b.c(1.0), result);
}

using Unary = Value (*)(Build &, Value);

/// Rewrites `Op` by `narrow` on f32 if there is one, else by `wide` on f64 (f32 through f64).
template <typename Op> struct ExpandUnary : OpRewritePattern<Op> {
  ExpandUnary(MLIRContext *context, bool hasFma, Unary wide, Unary narrow = nullptr)
      : OpRewritePattern<Op>(context), hasFma(hasFma), wide(wide), narrow(narrow) {}

  LogicalResult matchAndRewrite(Op op, PatternRewriter &rewriter) const override {
    Type type = op.getType();
    Type element = getElementTypeOrSelf(type);
    if (!isa<FloatType, VectorType>(type) || !isa<Float32Type, Float64Type>(element))
      return rewriter.notifyMatchFailure(op, "expanded on f32 and f64 only");
    Location loc = op.getLoc();
    if (element.isF64() || narrow) {
      Build b(rewriter, loc, type, hasFma);
      rewriter.replaceOp(op, (element.isF64() ? wide : narrow)(b, op.getOperand()));
      return success();
    }
    Type wideType = rewriter.getF64Type();
    if (auto vector = dyn_cast<VectorType>(type))
      wideType = vector.clone(wideType);
    Build b(rewriter, loc, wideType, hasFma);
    Value result = wide(b, arith::ExtFOp::create(rewriter, loc, wideType, op.getOperand()));
    rewriter.replaceOpWithNewOp<arith::TruncFOp>(op, type, result);
    return success();
  }

  bool hasFma;
  Unary wide, narrow;
};

struct ExpandPow : OpRewritePattern<math::PowFOp> {
  ExpandPow(MLIRContext *context, bool hasFma) : OpRewritePattern(context), hasFma(hasFma) {}

  LogicalResult matchAndRewrite(math::PowFOp op, PatternRewriter &rewriter) const override {
    Type type = op.getType(), wideType = rewriter.getF64Type();
    Location loc = op.getLoc();
    Value x = op.getLhs(), y = op.getRhs();
    if (auto vector = dyn_cast<VectorType>(type))
      wideType = vector.clone(wideType);
    if (type != wideType) {
      x = arith::ExtFOp::create(rewriter, loc, wideType, x);
      y = arith::ExtFOp::create(rewriter, loc, wideType, y);
    }
    Build b(rewriter, loc, wideType, hasFma);
    Value result = pow64(b, x, y);
    if (type != wideType)
      result = arith::TruncFOp::create(rewriter, loc, type, result);
    rewriter.replaceOp(op, result);
    return success();
  }

  bool hasFma;
};

/// Without an FMA instruction LLVM would call fma().
struct ExpandFma : OpRewritePattern<math::FmaOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(math::FmaOp op, PatternRewriter &rewriter) const override {
    Value product = arith::MulFOp::create(rewriter, op.getLoc(), op.getA(), op.getB());
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, product, op.getC());
    return success();
  }
};
struct ExpandVectorFma : OpRewritePattern<vector::FMAOp> {
  using OpRewritePattern::OpRewritePattern;
  LogicalResult matchAndRewrite(vector::FMAOp op, PatternRewriter &rewriter) const override {
    Value product = arith::MulFOp::create(rewriter, op.getLoc(), op.getLhs(), op.getRhs());
    rewriter.replaceOpWithNewOp<arith::AddFOp>(op, product, op.getAcc());
    return success();
  }
};

} // namespace

void populateMathExpansionPatterns(RewritePatternSet &patterns, bool hasFma) {
  MLIRContext *context = patterns.getContext();
  auto add = [&]<typename Op>(Unary wide, Unary narrow = nullptr) {
    patterns.add<ExpandUnary<Op>>(context, hasFma, wide, narrow);
  };
  add.template operator()<math::ExpOp>(exp64, exp32);
  add.template operator()<math::LogOp>(log64);
  add.template operator()<math::SinOp>([](Build &b, Value x) { return sine64(b, x, 0); });
  add.template operator()<math::CosOp>([](Build &b, Value x) { return sine64(b, x, 1); });
  add.template operator()<math::TanOp>(
      [](Build &b, Value x) { return b.div(sine64(b, x, 0), sine64(b, x, 1)); });
  add.template operator()<math::Exp2Op>([](Build &b, Value x) {
    return exp64(b, b.mul(x, b.c(0.693147180559945309417)));
  });
  add.template operator()<math::ExpM1Op>([](Build &b, Value x) {
    Value series = b.mul(x, b.poly(x, {1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120}));
    return b.select(b.less(b.abs(x), b.c(1e-3)), series, b.sub(exp64(b, x), b.c(1.0)));
  });
  add.template operator()<math::Log2Op>(
      [](Build &b, Value x) { return b.mul(log64(b, x), b.c(1.44269504088896340736)); });
  add.template operator()<math::Log10Op>(
      [](Build &b, Value x) { return b.mul(log64(b, x), b.c(0.434294481903251827651)); });
  add.template operator()<math::Log1pOp>([](Build &b, Value x) {
    Value series = b.mul(x, b.poly(x, {1.0, -1.0 / 2, 1.0 / 3, -1.0 / 4, 1.0 / 5}));
    return b.select(b.less(b.abs(x), b.c(1e-3)), series, log64(b, b.add(x, b.c(1.0))));
  });
  add.template operator()<math::TanhOp>(
      [](Build &b, Value x) {
        Value e = exp64(b, b.mul(b.abs(x), b.c(2.0)));
        Value large = b.sub(b.c(1.0), b.div(b.c(2.0), b.add(e, b.c(1.0))));
        Value u = b.mul(x, x);
        Value small = b.mul(b.abs(x), b.poly(u, {1.0, -1.0 / 3, 2.0 / 15, -17.0 / 315}));
        return b.copySign(b.select(b.less(b.abs(x), b.c(1e-2)), small, large), x);
      },
      tanh32);
  add.template operator()<math::RsqrtOp>(
      [](Build &b, Value x) { return b.div(b.c(1.0), b.sqrt(x)); },
      [](Build &b, Value x) { return b.div(b.c(1.0), b.sqrt(x)); });
  add.template operator()<math::RoundOp>(
      [](Build &b, Value x) {
        return b.copySign(b.floor(b.add(b.abs(x), b.c(0.5))), x);
      });
  patterns.add<ExpandUnary<math::ErfOp>>(context, hasFma, nullptr, erf32);
  patterns.add<ExpandPow>(context, hasFma);
  if (!hasFma)
    patterns.add<ExpandFma, ExpandVectorFma>(context);
}

} // namespace ingot::host
