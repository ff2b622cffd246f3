//===- Activations.cpp - Formulas of the activation functions -------------===//
#include "dialects/Transformer/Activations.h"
#include "dialects/Transformer/DecomposeUtils.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace ingot::transformer {

namespace {
/// Scalar f32 arithmetic at one place, so that formulas below read as formulas.
struct Scalar {
  OpBuilder &b;
  Location loc;

  Value c(double value) const { return constantF32(b, loc, value); }
  Value add(Value x, Value y) const { return arith::AddFOp::create(b, loc, x, y); }
  Value sub(Value x, Value y) const { return arith::SubFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) const { return arith::MulFOp::create(b, loc, x, y); }
  Value div(Value x, Value y) const { return arith::DivFOp::create(b, loc, x, y); }
  Value max(Value x, Value y) const { return arith::MaximumFOp::create(b, loc, x, y); }
  Value min(Value x, Value y) const { return arith::MinimumFOp::create(b, loc, x, y); }
  Value neg(Value x) const { return arith::NegFOp::create(b, loc, x); }
  Value exp(Value x) const { return math::ExpOp::create(b, loc, x); }
  Value erf(Value x) const { return math::ErfOp::create(b, loc, x); }
  Value tanh(Value x) const { return math::TanhOp::create(b, loc, x); }
  Value log1p(Value x) const { return math::Log1pOp::create(b, loc, x); }
  Value greater(Value x, Value y) const {
    return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OGT, x, y);
  }
  Value select(Value condition, Value x, Value y) const {
    return arith::SelectOp::create(b, loc, condition, x, y);
  }

  /// x / (1 + exp(-x))-style quotient; exp(-x) may be infinite, the quotient is then zero.
  Value overLogistic(Value numerator, Value x) const {
    return div(numerator, add(c(1), exp(neg(x))));
  }
  Value gelu(Value x) const {
    return mul(mul(c(0.5), x), add(c(1), erf(mul(x, c(0.70710678118654752)))));
  }
  Value geluTanh(Value x) const {
    Value inner = add(x, mul(c(0.044715), mul(x, mul(x, x))));
    return mul(mul(c(0.5), x), add(c(1), tanh(mul(c(0.79788456080286536), inner))));
  }
  Value mish(Value x) const {
    // log(1 + exp(x)) is x itself, to f32, long before exp overflows.
    Value softplus = select(greater(x, c(20)), x, log1p(exp(min(x, c(20)))));
    return mul(x, tanh(softplus));
  }
  Value laplace(Value x) const {
    Value scaled = div(sub(x, c(0.707107)), c(0.282095 * 1.4142135623730951));
    return mul(c(0.5), add(c(1), erf(scaled)));
  }

  Value activation(ActivationKind kind, Value x) const {
    switch (kind) {
    case ActivationKind::Linear:
      return x;
    case ActivationKind::Gelu:
      return gelu(x);
    case ActivationKind::GeluTanh:
      return geluTanh(x);
    case ActivationKind::Gelu10:
      return max(min(gelu(x), c(10)), c(-10));
    case ActivationKind::QuickGelu:
      return overLogistic(x, mul(c(1.702), x));
    case ActivationKind::Silu:
      return overLogistic(x, x);
    case ActivationKind::Relu:
      return max(x, c(0));
    case ActivationKind::Relu2: {
      Value relu = max(x, c(0));
      return mul(relu, relu);
    }
    case ActivationKind::Relu6:
      return min(max(x, c(0)), c(6));
    case ActivationKind::LeakyRelu:
      return select(greater(x, c(0)), x, mul(x, c(0.01)));
    case ActivationKind::Tanh:
      return tanh(x);
    case ActivationKind::Sigmoid:
      return overLogistic(c(1), x);
    case ActivationKind::Mish:
      return mish(x);
    case ActivationKind::Laplace:
      return laplace(x);
    }
    return {};
  }
};
} // namespace

Value createActivation(OpBuilder &builder, Location loc, ActivationKind kind, Value x) {
  return Scalar{builder, loc}.activation(kind, x);
}

} // namespace ingot::transformer
