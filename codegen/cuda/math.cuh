// math.cuh - What the arith and math dialects mean, where C++ has no operator for it.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot {

/// arith.maximumf and minimumf: NaN if either is.
INGOT_DEVICE float maximum(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
INGOT_DEVICE float minimum(float a, float b) {
  float result;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
INGOT_DEVICE double maximum(double a, double b) { return a != a ? a : b != b ? b : fmax(a, b); }
INGOT_DEVICE double minimum(double a, double b) { return a != a ? a : b != b ? b : fmin(a, b); }
INGOT_DEVICE bf16 maximum(bf16 a, bf16 b) { return bf16(maximum(float(a), float(b))); }
INGOT_DEVICE bf16 minimum(bf16 a, bf16 b) { return bf16(minimum(float(a), float(b))); }
INGOT_DEVICE f16 maximum(f16 a, f16 b) { return f16(maximum(float(a), float(b))); }
INGOT_DEVICE f16 minimum(f16 a, f16 b) { return f16(minimum(float(a), float(b))); }

/// Functions for results that are rounded to 16 bits: a few instructions each, without branches.
/// The error function to 7e-7: log2(1 - erf(|x|)) as a polynomial, fitted by weighted least
/// squares.
INGOT_DEVICE float erf_fast(float x) {
  const float a = fabsf(x);
  float power = fmaf(-0.00294415955f, a, 0.029590048f);
  power = fmaf(power, a, -0.148665637f);
  power = fmaf(power, a, -0.918509364f);
  power = fmaf(power, a, -1.62788904f) * a;
  float rest;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(rest) : "f"(power));
  return copysignf(1.0f - rest, x);
}
/// x (1 + erf(x / sqrt(2))) / 2, GELU, to 3e-6, and 2e-5 of what is past 1e-2: max(x, 0) less |x|
/// times a power of two, whose exponent is a polynomial in |x| that falls without end, in three
/// parts that don't wait for each other. The bound of |x| is for infinities, whose product with the
/// power would be none.
INGOT_DEVICE float gelu_fast(float x) {
  const float a = fabsf(x), square = a * a;
  const float low = fmaf(-1.15079583f, a, -1.0f);
  const float middle = fmaf(-0.0512952843f, a, -0.460360098f);
  const float high = fmaf(-4.36127214e-4f, a, 0.00683589207f);
  const float power = fmaf(fmaf(high, square, middle), square, low);
  float rest;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(rest) : "f"(power));
  return fmaf(-fminf(a, 64.0f), rest, maximum(x, 0.0f));
}
/// e^x to 2^-21 of it for |x| < 80.
INGOT_DEVICE float exp_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.44269504f));
  return result;
}
/// a / b to 2 units in the last place; 0 for b past 2^126.
INGOT_DEVICE float divide_fast(float a, float b) {
  float result;
  asm("div.approx.ftz.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

INGOT_DEVICE bf16 operator+(bf16 a, bf16 b) { return bf16(float(a) + float(b)); }
INGOT_DEVICE bf16 operator-(bf16 a, bf16 b) { return bf16(float(a) - float(b)); }
INGOT_DEVICE bf16 operator*(bf16 a, bf16 b) { return bf16(float(a) * float(b)); }
INGOT_DEVICE bf16 operator/(bf16 a, bf16 b) { return bf16(float(a) / float(b)); }
INGOT_DEVICE f16 operator+(f16 a, f16 b) { return f16(float(a) + float(b)); }
INGOT_DEVICE f16 operator-(f16 a, f16 b) { return f16(float(a) - float(b)); }
INGOT_DEVICE f16 operator*(f16 a, f16 b) { return f16(float(a) * float(b)); }
INGOT_DEVICE f16 operator/(f16 a, f16 b) { return f16(float(a) / float(b)); }

/// Rounds down, and up, where C++ division rounds to zero.
INGOT_DEVICE i64 floor_div(i64 a, i64 b) { return a / b - ((a % b != 0) && ((a < 0) != (b < 0))); }
INGOT_DEVICE i64 ceil_div_signed(i64 a, i64 b) {
  return a / b + ((a % b != 0) && ((a < 0) == (b < 0)));
}

} // namespace ingot
