//===- ConvertTest.cpp - Element conversions ------------------------------===//
#include "runtime/weights/Convert.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>
#include <random>
#include <vector>

using namespace ingot;

namespace {

template <typename To, typename From>
std::vector<To> convert(const std::vector<From> &from, ElementType fromType, ElementType toType,
                        std::vector<ElementStep> steps = {}) {
  std::vector<To> to(from.size());
  convertElements(reinterpret_cast<const std::byte *>(from.data()), fromType, steps,
                  reinterpret_cast<std::byte *>(to.data()), toType, from.size());
  return to;
}

/// A 16-bit format with `mantissa` bits and exponent bias `bias`, decoded by its definition.
double decode(uint16_t bits, int mantissa, int bias) {
  int exponentBits = 15 - mantissa;
  int exponent = bits >> mantissa & ((1 << exponentBits) - 1);
  double fraction = bits & ((1 << mantissa) - 1);
  double sign = bits & 0x8000 ? -1 : 1;
  if (exponent == (1 << exponentBits) - 1)
    return fraction ? std::nan("") : sign * HUGE_VAL;
  if (exponent == 0)
    return sign * std::ldexp(fraction, 1 - bias - mantissa);
  return sign * std::ldexp(fraction + std::ldexp(1, mantissa), exponent - bias - mantissa);
}

/// Rounds to nearest even by comparing with both neighbours.
void expectNearest(float value, uint16_t bits, int mantissa, int bias) {
  double got = decode(bits, mantissa, bias);
  if (std::isnan(value)) {
    EXPECT_TRUE(std::isnan(got));
    return;
  }
  EXPECT_EQ(std::signbit(value), std::signbit(got)) << value;
  if (std::isinf(value)) {
    EXPECT_EQ(got, double(value));
    return;
  }
  // Past the largest number the format goes on as if its exponent did.
  int top = (1 << (15 - mantissa)) - 1;
  double beyond = std::copysign(std::ldexp(1, top - bias), value);
  double error = std::fabs((std::isinf(got) ? beyond : got) - double(value));
  for (int step : {-1, 1}) {
    uint16_t next = uint16_t(bits + step);
    if ((bits & 0x7fff) == 0 && step == -1)
      continue;
    double neighbour = decode(next, mantissa, bias);
    if (std::isnan(neighbour))
      continue;
    if (std::isinf(neighbour))
      neighbour = beyond;
    double other = std::fabs(neighbour - double(value));
    EXPECT_LE(error, other) << value;
    if (error == other) {
      EXPECT_EQ(bits & 1, 0) << value;
    }
  }
}

TEST(Convert, EveryF16AndBf16Widens) {
  std::vector<uint16_t> all(65536);
  for (unsigned i = 0; i < 65536; ++i)
    all[i] = uint16_t(i);
  std::vector<float> f16 = convert<float>(all, ElementType::F16, ElementType::F32);
  std::vector<float> bf16 = convert<float>(all, ElementType::BF16, ElementType::F32);
  for (unsigned i = 0; i < 65536; ++i) {
    double half = decode(uint16_t(i), 10, 15), brain = decode(uint16_t(i), 7, 127);
    EXPECT_TRUE(std::isnan(half) ? std::isnan(f16[i]) : half == double(f16[i])) << i;
    EXPECT_TRUE(std::isnan(brain) ? std::isnan(bf16[i]) : brain == double(bf16[i])) << i;
    EXPECT_EQ(bool(i & 0x8000), std::signbit(f16[i])) << i;
    // And back, bit for bit.
    if (!std::isnan(f16[i])) {
      EXPECT_EQ(f32ToF16(f16[i]), i);
    }
    if (!std::isnan(bf16[i])) {
      EXPECT_EQ(f32ToBf16(bf16[i]), i);
    }
  }
}

TEST(Convert, NarrowingRoundsToNearestEven) {
  std::mt19937 random(7);
  std::vector<float> values = {0.0f,
                               -0.0f,
                               65504.0f,
                               65519.9f,
                               65520.0f,
                               65536.0f,
                               1e10f,
                               1e-8f,
                               0x1p-24f,
                               0x1p-25f,
                               0x1.8p-25f,
                               0x1.8p-24f,
                               0x1.ffcp-15f,
                               0x1.ffep-15f,
                               0x1.ffffp-15f,
                               1.0f + 0x1p-11f,
                               1.0f + 0x3p-11f,
                               HUGE_VALF,
                               -HUGE_VALF,
                               std::nanf(""),
                               std::numeric_limits<float>::max(),
                               std::numeric_limits<float>::denorm_min(),
                               1.0f + 0x1p-8f,
                               1.0f + 0x3p-8f};
  for (int i = 0; i < 100000; ++i) {
    values.push_back(std::bit_cast<float>(uint32_t(random())));
    values.push_back(std::ldexp(float(int32_t(random())), -31 - int(random() % 26)) * 4);
  }
  for (float value : values) {
    expectNearest(value, f32ToF16(value), 10, 15);
    expectNearest(value, f32ToBf16(value), 7, 127);
  }
  // The smallest NaN payload must not round to infinity.
  EXPECT_TRUE(std::isnan(bf16ToF32(f32ToBf16(std::bit_cast<float>(0x7f800001u)))));
}

TEST(Convert, DoublesRoundOnce) {
  // Half way between two bf16 after a first rounding to f32, just above before.
  double value = 1.0 + 0x1p-8 + 0x1p-40;
  EXPECT_EQ(convert<uint16_t>(std::vector{value}, ElementType::F64, ElementType::BF16)[0], 0x3f81);
  EXPECT_EQ(convert<uint16_t>(std::vector{-value}, ElementType::F64, ElementType::BF16)[0], 0xbf81);
  double below = 1.0 + 0x3p-8 - 0x1p-40;
  EXPECT_EQ(convert<uint16_t>(std::vector{below}, ElementType::F64, ElementType::BF16)[0], 0x3f81);
  EXPECT_EQ(convert<uint16_t>(std::vector{1e300}, ElementType::F64, ElementType::F16)[0], 0x7c00);
  EXPECT_EQ(convert<float>(std::vector{1e300}, ElementType::F64, ElementType::F32)[0], HUGE_VALF);
}

TEST(Convert, F8) {
  std::vector<uint8_t> all(256);
  for (unsigned i = 0; i < 256; ++i)
    all[i] = uint8_t(i);
  std::vector<float> e4m3 = convert<float>(all, ElementType::F8E4M3, ElementType::F32);
  EXPECT_EQ(e4m3[0x00], 0);
  EXPECT_EQ(e4m3[0x01], 0x1p-9f);
  EXPECT_EQ(e4m3[0x08], 0x1p-6f);
  EXPECT_EQ(e4m3[0x38], 1);
  EXPECT_EQ(e4m3[0xb9], -1.125f);
  EXPECT_EQ(e4m3[0x7e], 448);
  EXPECT_TRUE(std::isnan(e4m3[0x7f]) && std::isnan(e4m3[0xff]));
  std::vector<float> e5m2 = convert<float>(all, ElementType::F8E5M2, ElementType::F32);
  EXPECT_EQ(e5m2[0x3c], 1);
  EXPECT_EQ(e5m2[0x7b], 57344);
  EXPECT_EQ(e5m2[0x7c], HUGE_VALF);
  EXPECT_EQ(e5m2[0x01], 0x1p-16f);
  std::vector<float> e8m0 = convert<float>(all, ElementType::F8E8M0, ElementType::F32);
  EXPECT_EQ(e8m0[127], 1);
  EXPECT_EQ(e8m0[0], 0x1p-127f);
  EXPECT_EQ(e8m0[254], 0x1p127f);
  EXPECT_TRUE(std::isnan(e8m0[255]));
}

TEST(Convert, IntegersSaturate) {
  std::vector<float> floats = {1.9f, -1.9f, 1e20f, -1e20f, std::nanf(""), HUGE_VALF, 300, -300};
  ElementType f32 = ElementType::F32;
  EXPECT_EQ(convert<int8_t>(floats, f32, ElementType::I8),
            (std::vector<int8_t>{1, -1, 127, -128, 0, 127, 127, -128}));
  EXPECT_EQ(convert<uint8_t>(floats, f32, ElementType::U8),
            (std::vector<uint8_t>{1, 0, 255, 0, 0, 255, 255, 0}));
  EXPECT_EQ(convert<int64_t>(floats, f32, ElementType::I64),
            (std::vector<int64_t>{1, -1, INT64_MAX, INT64_MIN, 0, INT64_MAX, 300, -300}));
  std::vector<int64_t> wide = {5, -5, 1ll << 40, -(1ll << 40), INT64_MIN};
  EXPECT_EQ(convert<int32_t>(wide, ElementType::I64, ElementType::I32),
            (std::vector<int32_t>{5, -5, INT32_MAX, INT32_MIN, INT32_MIN}));
  std::vector<uint64_t> large = {5, UINT64_MAX, 1ull << 63};
  EXPECT_EQ(convert<int64_t>(large, ElementType::U64, ElementType::I64),
            (std::vector<int64_t>{5, INT64_MAX, INT64_MAX}));
  EXPECT_EQ(convert<float>(large, ElementType::U64, ElementType::F32),
            (std::vector<float>{5, 0x1p64f, 0x1p63f}));
  EXPECT_EQ(convert<uint8_t>(std::vector<uint16_t>{3, 256}, ElementType::U16, ElementType::U8),
            (std::vector<uint8_t>{3, 255}));
  EXPECT_EQ(convert<float>(std::vector<int8_t>{-3, 7}, ElementType::I8, f32),
            (std::vector<float>{-3, 7}));
  EXPECT_EQ(
      convert<int32_t>(std::vector<uint32_t>{7, UINT32_MAX}, ElementType::U32, ElementType::I32),
      (std::vector<int32_t>{7, INT32_MAX}));
}

TEST(Convert, BooleansAreZeroOrOne) {
  EXPECT_EQ(convert<uint8_t>(std::vector<uint8_t>{0, 1, 2, 255}, ElementType::I1, ElementType::I1),
            (std::vector<uint8_t>{0, 1, 1, 1}));
  EXPECT_EQ(convert<float>(std::vector<uint8_t>{0, 7}, ElementType::I1, ElementType::F32),
            (std::vector<float>{0, 1}));
  EXPECT_EQ(convert<uint8_t>(std::vector<float>{0, 0.25f, -0.0f, std::nanf("")}, ElementType::F32,
                             ElementType::I1),
            (std::vector<uint8_t>{0, 1, 0, 1}));
  EXPECT_EQ(
      convert<uint8_t>(std::vector<uint64_t>{0, UINT64_MAX}, ElementType::U64, ElementType::I1),
      (std::vector<uint8_t>{0, 1}));
}

TEST(Convert, StepsRoundToTheirType) {
  // 1 + 2^-9 is no bf16: the sum rounds back to 1 in bf16, and stays in f32.
  std::vector<uint16_t> one = {0x3f80};
  ElementStep add{ElementStep::Add, ElementType::F32, 0x1p-9};
  ElementStep cast{ElementStep::Cast, ElementType::F32};
  EXPECT_EQ(convert<float>(one, ElementType::BF16, ElementType::F32, {add})[0], 1);
  EXPECT_EQ(convert<float>(one, ElementType::BF16, ElementType::F32, {cast, add})[0], 1 + 0x1p-9f);
  ElementStep twice{ElementStep::Multiply, ElementType::F32, 2};
  ElementStep toInt{ElementStep::Cast, ElementType::I32};
  EXPECT_EQ(convert<int32_t>(std::vector<float>{1.75f, -1.75f}, ElementType::F32, ElementType::I32,
                             {twice, toInt}),
            (std::vector<int32_t>{3, -3}));
}

TEST(Convert, LongRunsAndAnyAlignment) {
  constexpr size_t count = 3001;
  std::vector<char> source(count * 2 + 1), target(count * 4 + 1);
  for (size_t i = 0; i < count; ++i) {
    uint16_t bits = f32ToBf16(float(i % 200));
    std::memcpy(&source[1 + 2 * i], &bits, 2);
  }
  for (std::vector<ElementStep> steps :
       {std::vector<ElementStep>{}, {{ElementStep::Multiply, ElementType::F32, 1.0}}}) {
    convertElements(reinterpret_cast<std::byte *>(&source[1]), ElementType::BF16, steps,
                    reinterpret_cast<std::byte *>(&target[1]), ElementType::F32, count);
    for (size_t i = 0; i < count; ++i) {
      float value;
      std::memcpy(&value, &target[1 + 4 * i], 4);
      ASSERT_EQ(value, float(i % 200)) << i;
    }
  }
}

} // namespace
