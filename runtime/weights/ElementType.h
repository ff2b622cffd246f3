//===- ElementType.h - Element and tensor types of weights --------*- C++ -*-===//
//
// The element types a checkpoint can hold and the types weights are made of. The first eight values
// are those of the plan's DType, in the same order and with the same numbers; the rest occur in
// checkpoint files only.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

enum class ElementType : uint8_t {
  F32 = 0,
  F16,
  BF16,
  I8,
  U8,
  I32,
  I64,
  I1, // one byte an element, zero or not zero; safetensors' BOOL
  F64,
  I16,
  U16,
  U32,
  U64,
  F8E4M3, // finite only: S.1111.111 is NaN, no infinity
  F8E5M2, // IEEE-like
  F8E8M0, // a power of two; 255 is NaN
};

/// The number of element types; every value below is valid.
inline constexpr unsigned kNumElementTypes = 16;
/// The first this many are also types of the plan (format::DType).
inline constexpr unsigned kNumPlanElementTypes = 8;

uint64_t sizeOf(ElementType type);                  // bytes of one element
bool isFloat(ElementType type);                     // F64 down to F8
bool isPlanType(ElementType type);                  // one of the first eight
std::string_view nameOf(ElementType type);          // "f32", "bf16", "i1", "f8e4m3"
std::string_view safetensorsName(ElementType type); // "F32", "BF16", "BOOL", "F8_E4M3"
std::optional<ElementType> parseSafetensorsType(std::string_view name);

/// A ranked tensor; no dimension is negative. Row-major and contiguous wherever it is in memory.
struct TensorType {
  ElementType elementType = ElementType::F32;
  std::vector<int64_t> shape;

  bool operator==(const TensorType &) const = default;
  std::string str() const; // "f32[384, 1536]"
};

std::string shapeStr(std::span<const int64_t> shape); // "[384, 1536]"

/// The number of elements; nothing where a dimension is negative or the product passes 2^63 - 1.
std::optional<uint64_t> numElements(std::span<const int64_t> shape);
/// The number of bytes; nothing where `numElements` is or the product passes 2^63 - 1.
std::optional<uint64_t> numBytes(const TensorType &type);

} // namespace ingot
