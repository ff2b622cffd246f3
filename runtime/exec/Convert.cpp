//===- Convert.cpp ----------------------------------------------*- C++ -*-===//
#include "runtime/exec/Convert.h"

#include "runtime/format/DType.h"
#include "runtime/support/Text.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

namespace ingot {

using format::DType;

IntegerRange portRange(DType dtype, const format::Port &port) {
  IntegerRange range;
  switch (dtype) {
  case DType::I8:
    range = {-128, 127};
    break;
  case DType::U8:
    range = {0, 255};
    break;
  case DType::I1:
    range = {0, 1};
    break;
  case DType::I32:
    range = {std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    break;
  default:
    break;
  }
  if (port.has_range()) {
    range.minimum = std::max(range.minimum, port.minimum());
    range.maximum = std::min(range.maximum, port.maximum());
  }
  return range;
}

namespace {

// Elements in memory are read and written through memcpy: callers' arrays have any alignment.
template <typename T> T load(const void *from, size_t index) {
  T value;
  std::memcpy(&value, static_cast<const char *>(from) + index * sizeof(T), sizeof value);
  return value;
}

template <typename T> void store(void *to, size_t index, T value) {
  std::memcpy(static_cast<char *>(to) + index * sizeof(T), &value, sizeof value);
}

struct Bool {
  uint8_t byte;
};

int64_t asInteger(Bool value) { return value.byte != 0; }
template <typename T> int64_t asInteger(T value) {
  // Above int64 nothing is in range; the largest one stands for all of them.
  if constexpr (std::is_same_v<T, uint64_t>)
    return value > uint64_t(INT64_MAX) ? INT64_MAX : int64_t(value);
  return int64_t(value);
}

/// The first element out of range, or `count`.
template <typename To, typename From>
size_t convertIntegers(void *to, const void *from, size_t count, IntegerRange range) {
  for (size_t i = 0; i < count; ++i) {
    int64_t value = asInteger(load<From>(from, i));
    if (value < range.minimum || value > range.maximum)
      return i;
    store<To>(to, i, To(value));
  }
  return count;
}

template <typename To>
size_t convertIntegersFrom(ElementType type, void *to, const void *from, size_t count,
                           IntegerRange range) {
  switch (type) {
  case ElementType::I8:
    return convertIntegers<To, int8_t>(to, from, count, range);
  case ElementType::U8:
    return convertIntegers<To, uint8_t>(to, from, count, range);
  case ElementType::I16:
    return convertIntegers<To, int16_t>(to, from, count, range);
  case ElementType::U16:
    return convertIntegers<To, uint16_t>(to, from, count, range);
  case ElementType::I32:
    return convertIntegers<To, int32_t>(to, from, count, range);
  case ElementType::U32:
    return convertIntegers<To, uint32_t>(to, from, count, range);
  case ElementType::I64:
    return convertIntegers<To, int64_t>(to, from, count, range);
  case ElementType::U64:
    return convertIntegers<To, uint64_t>(to, from, count, range);
  default:
    return convertIntegers<To, Bool>(to, from, count, range);
  }
}

int64_t integerAt(ElementType type, const void *from, size_t index) {
  int64_t value = 0;
  auto *at = static_cast<const char *>(from) + index * sizeOf(type);
  convertIntegersFrom<int64_t>(type, &value, at, 1, IntegerRange());
  return value;
}

float halfToFloat(uint16_t half) {
  uint32_t sign = uint32_t(half & 0x8000) << 16;
  uint32_t exponent = (half >> 10) & 31, fraction = half & 0x3ff;
  if (exponent == 31)
    return std::bit_cast<float>(sign | 0x7f800000 | fraction << 13);
  if (exponent != 0)
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  float magnitude = float(fraction) * 0x1p-24f;
  return sign ? -magnitude : magnitude;
}

uint16_t floatToHalf(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  uint16_t sign = uint16_t(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000)
    return sign | 0x7e00;
  if (magnitude >= 0x477ff000) // rounds to 2^16
    return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // Subnormal: adding 0.5 makes the hardware round to multiples of 2^-24.
    float rounded = std::bit_cast<float>(magnitude) + 0.5f;
    return uint16_t(sign | (std::bit_cast<uint32_t>(rounded) - 0x3f000000));
  }
  uint32_t odd = magnitude >> 13 & 1;
  return uint16_t(sign | ((magnitude - 0x38000000 + 0xfff + odd) >> 13));
}

uint16_t floatToBrain(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float floatAt(ElementType type, const void *from, size_t index) {
  switch (type) {
  case ElementType::F64:
    return float(load<double>(from, index));
  case ElementType::F16:
    return halfToFloat(load<uint16_t>(from, index));
  case ElementType::BF16:
    return std::bit_cast<float>(uint32_t(load<uint16_t>(from, index)) << 16);
  default:
    return load<float>(from, index);
  }
}

} // namespace

Status convertElements(void *target, DType dtype, IntegerRange range, const void *source,
                       ElementType type, size_t count) {
  bool toInteger = isInteger(dtype);
  bool fromFloat = type == ElementType::F32 || type == ElementType::F64 ||
                   type == ElementType::F16 || type == ElementType::BF16;
  if (toInteger == isFloat(type) || (!toInteger && !fromFloat))
    return Status(ExitCode::Usage, text("expected ", toInteger ? "integers or bools" : "floats",
                                        " for ", dtypeName(dtype), ", got ", nameOf(type)));
  if (!toInteger) {
    if (unsigned(type) == unsigned(dtype)) {
      std::memcpy(target, source, count * sizeOf(type));
      return {};
    }
    for (size_t i = 0; i < count; ++i) {
      float value = floatAt(type, source, i);
      if (dtype == DType::F32)
        store(target, i, value);
      else
        store(target, i, dtype == DType::F16 ? floatToHalf(value) : floatToBrain(value));
    }
    return {};
  }
  size_t stop;
  switch (dtype) {
  case DType::I32:
    stop = convertIntegersFrom<int32_t>(type, target, source, count, range);
    break;
  case DType::I64:
    stop = convertIntegersFrom<int64_t>(type, target, source, count, range);
    break;
  default:
    stop = convertIntegersFrom<uint8_t>(type, target, source, count, range);
    break;
  }
  if (stop == count)
    return {};
  return Status(ExitCode::Usage, text("element ", stop, ": expected ", range.minimum, " to ",
                                      range.maximum, ", got ", integerAt(type, source, stop)));
}

void fillElements(void *target, DType dtype, int64_t value, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    switch (dtype) {
    case DType::F32:
      store(target, i, float(value));
      break;
    case DType::F16:
      store(target, i, floatToHalf(float(value)));
      break;
    case DType::BF16:
      store(target, i, floatToBrain(float(value)));
      break;
    case DType::I32:
      store(target, i, int32_t(value));
      break;
    case DType::I64:
      store(target, i, value);
      break;
    default:
      store(target, i, uint8_t(value));
      break;
    }
  }
}

} // namespace ingot
