//===- Convert.h - Element conversions ----------------------------*- C++ -*-===//
#pragma once

#include "runtime/weights/ElementType.h"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace ingot {

inline float bf16ToF32(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

/// Exact. No branch, so that loops over it vectorize.
inline float f16ToF32(uint16_t bits) {
  // Exponent and mantissa moved in place read as value * 2^-112 (subnormals too): scale back.
  // Numbers whose exponent was all ones get it again.
  uint32_t magnitude = uint32_t(bits & 0x7fff) << 13;
  float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  uint32_t special = (bits & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u;
  uint32_t sign = uint32_t(bits & 0x8000) << 16;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(scaled) | special | sign);
}

/// Rounds to nearest even; a NaN stays one.
inline uint16_t f32ToBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return uint16_t((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded);
}

/// Rounds to nearest even, to infinity past the largest; a NaN stays one.
inline uint16_t f32ToF16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint32_t sign = bits >> 16 & 0x8000;
  uint32_t magnitude = bits & 0x7fffffff;
  // Subnormal: adding 0.5 leaves the 10 bits at the bottom of the sum, rounded by the addition.
  uint32_t small = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000;
  uint32_t normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  uint32_t special = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
  uint32_t half = magnitude < 0x38800000 ? small : magnitude >= 0x47800000 ? special : normal;
  return uint16_t(sign | half);
}

/// An elementwise step of a recipe, done on the fly.
struct ElementStep {
  enum Kind : uint8_t { Cast, Add, Multiply } kind;
  ElementType type = ElementType::F32; // Cast: to this
  double value = 0;                    // Add, Multiply
};

/// Converts `count` adjacent elements of type `from` through `steps` to type `to`, which is what
/// the last step gives or a type it converts to. `to` is one of the plan's types or f64, or, where
/// there are no steps, `from`. No pointer needs to be aligned; the ranges do not overlap.
void convertElements(const std::byte *source, ElementType from, std::span<const ElementStep> steps,
                     std::byte *target, ElementType to, uint64_t count);

} // namespace ingot
