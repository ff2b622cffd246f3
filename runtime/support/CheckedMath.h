//===- CheckedMath.h - Arithmetic on untrusted numbers -----------*- C++ -*-===//
#pragma once

#include <cstdint>
#include <optional>

namespace ingot {

template <typename T> std::optional<T> checkedAdd(T a, T b) {
  T out;
  if (__builtin_add_overflow(a, b, &out))
    return std::nullopt;
  return out;
}

template <typename T> std::optional<T> checkedMul(T a, T b) {
  T out;
  if (__builtin_mul_overflow(a, b, &out))
    return std::nullopt;
  return out;
}

/// Smallest multiple of `alignment` (a power of two) that is >= value.
inline std::optional<uint64_t> checkedAlignUp(uint64_t value, uint64_t alignment) {
  auto sum = checkedAdd<uint64_t>(value, alignment - 1);
  if (!sum)
    return std::nullopt;
  return *sum & ~(alignment - 1);
}

/// Is [offset, offset + bytes) inside [0, limit)?
inline bool rangeFits(uint64_t offset, uint64_t bytes, uint64_t limit) {
  return bytes <= limit && offset <= limit - bytes;
}

} // namespace ingot
