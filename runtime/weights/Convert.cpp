//===- Convert.cpp - Element conversions ----------------------------------===//
//
// The pairs that models use (a floating-point type to f32, f32 to a 16-bit one) are single loops at
// memory speed. Everything else goes through tiles of a wide type: float for the types up to 32
// bits, double for f64, int64_t for the integers (for u64 its bits).
//
//===----------------------------------------------------------------------===//
#include "runtime/weights/Convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ingot {
namespace {

constexpr uint64_t kTile = 512;

struct Tile {
  union {
    float f32[kTile];
    double f64[kTile];
    int64_t i64[kTile];
  };
};

enum class Wide : uint8_t { F32, F64, I64 };
Wide wideOf(ElementType type) {
  return type == ElementType::F64 ? Wide::F64 : isFloat(type) ? Wide::F32 : Wide::I64;
}

template <typename T> T load(const std::byte *from, uint64_t index) {
  T value;
  std::memcpy(&value, from + index * sizeof(T), sizeof(T));
  return value;
}
template <typename T> void store(std::byte *to, uint64_t index, T value) {
  std::memcpy(to + index * sizeof(T), &value, sizeof(T));
}

float f8e4m3ToF32(uint8_t bits) {
  if ((bits & 0x7f) == 0x7f)
    return std::bit_cast<float>(0x7fc00000u | uint32_t(bits & 0x80) << 24);
  // As f16ToF32: the exponent's bias is 7 instead of 127.
  float scaled = std::bit_cast<float>(uint32_t(bits & 0x7f) << 20) * 0x1p120f;
  return bits & 0x80 ? -scaled : scaled;
}
float f8e5m2ToF32(uint8_t bits) { return f16ToF32(uint16_t(bits << 8)); }
float f8e8m0ToF32(uint8_t bits) {
  if (bits == 0xff)
    return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(bits ? uint32_t(bits) << 23 : 0x00400000u);
}

/// A double as a float whose last bit says "inexact" (round to odd): rounding that again to 16 bits
/// gives what rounding the double at once would.
float roundToOdd(double value) {
  float nearest = float(value);
  uint32_t bits = std::bit_cast<uint32_t>(nearest);
  if (double(nearest) == value || std::isnan(value) || (bits & 1))
    return nearest;
  return std::bit_cast<float>(std::fabs(double(nearest)) > std::fabs(value) ? bits - 1 : bits + 1);
}

/// Truncates, saturates at the bounds of T; NaN gives 0.
template <typename T> T saturate(double value) {
  constexpr double low = double(std::numeric_limits<T>::min());
  constexpr double high = double(std::numeric_limits<T>::max()); // rounded up for 64 bits
  if (std::isnan(value))
    return 0;
  if (value <= low)
    return std::numeric_limits<T>::min();
  return value >= high ? std::numeric_limits<T>::max() : T(value);
}

template <typename T> void widenInts(const std::byte *from, int64_t *to, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i)
    to[i] = int64_t(load<T>(from, i));
}

void widenToF32(const std::byte *from, ElementType type, std::byte *to, uint64_t count) {
  switch (type) {
  case ElementType::BF16:
    for (uint64_t i = 0; i < count; ++i)
      store(to, i, bf16ToF32(load<uint16_t>(from, i)));
    break;
  case ElementType::F16:
    for (uint64_t i = 0; i < count; ++i)
      store(to, i, f16ToF32(load<uint16_t>(from, i)));
    break;
  case ElementType::F8E4M3:
    for (uint64_t i = 0; i < count; ++i)
      store(to, i, f8e4m3ToF32(load<uint8_t>(from, i)));
    break;
  case ElementType::F8E5M2:
    for (uint64_t i = 0; i < count; ++i)
      store(to, i, f8e5m2ToF32(load<uint8_t>(from, i)));
    break;
  case ElementType::F8E8M0:
    for (uint64_t i = 0; i < count; ++i)
      store(to, i, f8e8m0ToF32(load<uint8_t>(from, i)));
    break;
  default: // F32
    std::memcpy(to, from, count * sizeof(float));
    break;
  }
}

void widen(const std::byte *from, ElementType type, Tile &tile, uint64_t count) {
  switch (type) {
  case ElementType::F64:
    std::memcpy(tile.f64, from, count * sizeof(double));
    break;
  case ElementType::I8:
    return widenInts<int8_t>(from, tile.i64, count);
  case ElementType::U8:
    return widenInts<uint8_t>(from, tile.i64, count);
  case ElementType::I16:
    return widenInts<int16_t>(from, tile.i64, count);
  case ElementType::U16:
    return widenInts<uint16_t>(from, tile.i64, count);
  case ElementType::I32:
    return widenInts<int32_t>(from, tile.i64, count);
  case ElementType::U32:
    return widenInts<uint32_t>(from, tile.i64, count);
  case ElementType::I64:
  case ElementType::U64:
    std::memcpy(tile.i64, from, count * sizeof(int64_t));
    break;
  case ElementType::I1:
    for (uint64_t i = 0; i < count; ++i)
      tile.i64[i] = load<uint8_t>(from, i) != 0;
    break;
  default:
    return widenToF32(from, type, reinterpret_cast<std::byte *>(tile.f32), count);
  }
}

/// Changes the tile's wide type from that of `from` to that of `to`, for the types that need
/// another rounding than the conversion itself gives.
void rewiden(Tile &tile, ElementType from, ElementType to, uint64_t count) {
  Wide a = wideOf(from), b = wideOf(to);
  bool narrow = to == ElementType::F16 || to == ElementType::BF16;
  auto integer = [&](uint64_t i) {
    return from == ElementType::U64 ? double(uint64_t(tile.i64[i])) : double(tile.i64[i]);
  };
  // Wide types differ in size: go upwards or downwards so that nothing is overwritten unread.
  if (a == Wide::F32 && b == Wide::F64) {
    for (uint64_t i = count; i-- > 0;)
      tile.f64[i] = double(tile.f32[i]);
  } else if (a == Wide::F32 && b == Wide::I64) {
    for (uint64_t i = count; i-- > 0;) {
      float value = tile.f32[i];
      tile.i64[i] = to == ElementType::I1 ? value != 0 : saturate<int64_t>(double(value));
    }
  } else if (a == Wide::F64 && b == Wide::F32) {
    for (uint64_t i = 0; i < count; ++i) {
      double value = tile.f64[i];
      tile.f32[i] = narrow ? roundToOdd(value) : float(value);
    }
  } else if (a == Wide::F64 && b == Wide::I64) {
    for (uint64_t i = 0; i < count; ++i) {
      double value = tile.f64[i];
      tile.i64[i] = to == ElementType::I1 ? value != 0 : saturate<int64_t>(value);
    }
  } else if (a == Wide::I64 && b == Wide::F64) {
    for (uint64_t i = 0; i < count; ++i)
      tile.f64[i] = integer(i);
  } else if (a == Wide::I64 && b == Wide::F32) {
    for (uint64_t i = 0; i < count; ++i) {
      double value = integer(i);
      tile.f32[i] = narrow                     ? roundToOdd(value)
                    : from == ElementType::U64 ? float(uint64_t(tile.i64[i]))
                                               : float(tile.i64[i]);
    }
  }
}

template <typename T> void clampInts(int64_t *values, uint64_t count) {
  constexpr int64_t low = std::numeric_limits<T>::min(), high = std::numeric_limits<T>::max();
  for (uint64_t i = 0; i < count; ++i)
    values[i] = std::clamp(values[i], low, high);
}

/// Converts a tile of type `from` to type `to`, rounded and saturated as an element of `to` is.
void castTile(Tile &tile, ElementType from, ElementType to, uint64_t count) {
  if (from == to)
    return;
  rewiden(tile, from, to, count);
  if (from == ElementType::U64 && !isFloat(to)) // the bits so far
    for (uint64_t i = 0; i < count; ++i)
      tile.i64[i] = tile.i64[i] < 0 && to != ElementType::I1 ? INT64_MAX : tile.i64[i];
  switch (to) {
  case ElementType::F16:
    for (uint64_t i = 0; i < count; ++i)
      tile.f32[i] = f16ToF32(f32ToF16(tile.f32[i]));
    break;
  case ElementType::BF16:
    for (uint64_t i = 0; i < count; ++i)
      tile.f32[i] = bf16ToF32(f32ToBf16(tile.f32[i]));
    break;
  case ElementType::I8:
    return clampInts<int8_t>(tile.i64, count);
  case ElementType::U8:
    return clampInts<uint8_t>(tile.i64, count);
  case ElementType::I32:
    return clampInts<int32_t>(tile.i64, count);
  case ElementType::I1:
    for (uint64_t i = 0; i < count; ++i)
      tile.i64[i] = tile.i64[i] != 0;
    break;
  default: // f32, f64 and i64 are the wide types themselves
    break;
  }
}

template <typename T> void narrowInts(const int64_t *from, std::byte *to, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i)
    store(to, i, T(from[i]));
}

/// Writes a tile whose elements are of `type` already.
void narrow(const Tile &tile, ElementType type, std::byte *to, uint64_t count) {
  switch (type) {
  case ElementType::F16:
    for (uint64_t i = 0; i < count; ++i)
      store(to, i, f32ToF16(tile.f32[i]));
    break;
  case ElementType::BF16:
    for (uint64_t i = 0; i < count; ++i)
      store(to, i, f32ToBf16(tile.f32[i]));
    break;
  case ElementType::I8:
  case ElementType::U8:
  case ElementType::I1:
    return narrowInts<uint8_t>(tile.i64, to, count);
  case ElementType::I32:
    return narrowInts<int32_t>(tile.i64, to, count);
  case ElementType::I64:
    return narrowInts<int64_t>(tile.i64, to, count);
  case ElementType::F64:
    std::memcpy(to, tile.f64, count * sizeof(double));
    break;
  default: // F32
    std::memcpy(to, tile.f32, count * sizeof(float));
    break;
  }
}

void applyStep(Tile &tile, ElementType &type, const ElementStep &step, uint64_t count) {
  if (step.kind == ElementStep::Cast) {
    castTile(tile, type, step.type, count);
    type = step.type;
    return;
  }
  bool adds = step.kind == ElementStep::Add;
  if (type == ElementType::F64) {
    for (uint64_t i = 0; i < count; ++i)
      tile.f64[i] = adds ? tile.f64[i] + step.value : tile.f64[i] * step.value;
    return;
  }
  float value = float(step.value);
  for (uint64_t i = 0; i < count; ++i)
    tile.f32[i] = adds ? tile.f32[i] + value : tile.f32[i] * value;
  // The result is an element of the same 16-bit type.
  if (type != ElementType::F32)
    castTile(tile, ElementType::F32, type, count);
}

} // namespace

void convertElements(const std::byte *source, ElementType from, std::span<const ElementStep> steps,
                     std::byte *target, ElementType to, uint64_t count) {
  if (steps.empty()) {
    if (from == to && from != ElementType::I1) { // an i1 becomes 0 or 1 on the way
      std::memcpy(target, source, count * sizeOf(from));
      return;
    }
    if (to == ElementType::F32 && wideOf(from) == Wide::F32)
      return widenToF32(source, from, target, count);
    if (from == ElementType::F32 && to == ElementType::BF16) {
      for (uint64_t i = 0; i < count; ++i)
        store(target, i, f32ToBf16(load<float>(source, i)));
      return;
    }
    if (from == ElementType::F32 && to == ElementType::F16) {
      for (uint64_t i = 0; i < count; ++i)
        store(target, i, f32ToF16(load<float>(source, i)));
      return;
    }
  }
  Tile tile;
  uint64_t sourceBytes = sizeOf(from), targetBytes = sizeOf(to);
  for (uint64_t done = 0; done < count; done += kTile) {
    uint64_t n = std::min(kTile, count - done);
    ElementType type = from;
    widen(source + done * sourceBytes, from, tile, n);
    for (const ElementStep &step : steps)
      applyStep(tile, type, step, n);
    castTile(tile, type, to, n);
    narrow(tile, to, target + done * targetBytes, n);
  }
}

} // namespace ingot
