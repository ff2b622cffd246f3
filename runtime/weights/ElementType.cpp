//===- ElementType.cpp - Element and tensor types of weights --------------===//
#include "runtime/weights/ElementType.h"

#include <algorithm>
#include "runtime/support/CheckedMath.h"

namespace ingot {
namespace {

struct TypeInfo {
  std::string_view name;
  std::string_view safetensors;
  uint8_t bytes;
  bool isFloat;
};

// Indexed by ElementType.
constexpr TypeInfo kTypes[kNumElementTypes] = {
    {"f32", "F32", 4, true},        {"f16", "F16", 2, true},        {"bf16", "BF16", 2, true},
    {"i8", "I8", 1, false},         {"u8", "U8", 1, false},         {"i32", "I32", 4, false},
    {"i64", "I64", 8, false},       {"i1", "BOOL", 1, false},       {"f64", "F64", 8, true},
    {"i16", "I16", 2, false},       {"u16", "U16", 2, false},       {"u32", "U32", 4, false},
    {"u64", "U64", 8, false},       {"f8e4m3", "F8_E4M3", 1, true}, {"f8e5m2", "F8_E5M2", 1, true},
    {"f8e8m0", "F8_E8M0", 1, true},
};

} // namespace

uint64_t sizeOf(ElementType type) { return kTypes[unsigned(type)].bytes; }
bool isFloat(ElementType type) { return kTypes[unsigned(type)].isFloat; }
bool isPlanType(ElementType type) { return unsigned(type) < kNumPlanElementTypes; }
std::string_view nameOf(ElementType type) { return kTypes[unsigned(type)].name; }
std::string_view safetensorsName(ElementType type) { return kTypes[unsigned(type)].safetensors; }

std::optional<ElementType> parseSafetensorsType(std::string_view name) {
  for (unsigned i = 0; i < kNumElementTypes; ++i)
    if (kTypes[i].safetensors == name)
      return ElementType(i);
  return std::nullopt;
}

std::string shapeStr(std::span<const int64_t> shape) {
  constexpr size_t kShown = 16; // a file may claim any number of axes
  std::string text = "[";
  for (size_t i = 0; i < std::min(shape.size(), kShown); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  if (shape.size() > kShown)
    text += ", ... " + std::to_string(shape.size()) + " axes";
  return text + "]";
}

std::string TensorType::str() const { return std::string(nameOf(elementType)) + shapeStr(shape); }

std::optional<uint64_t> numElements(std::span<const int64_t> shape) {
  // A zero makes the product zero, but must not hide a dimension that is negative.
  uint64_t product = 1;
  bool empty = false;
  for (int64_t dim : shape) {
    if (dim < 0)
      return std::nullopt;
    empty |= dim == 0;
  }
  if (empty)
    return 0;
  for (int64_t dim : shape) {
    std::optional<uint64_t> next = checkedMul<uint64_t>(product, uint64_t(dim));
    if (!next || *next > uint64_t(INT64_MAX))
      return std::nullopt;
    product = *next;
  }
  return product;
}

std::optional<uint64_t> numBytes(const TensorType &type) {
  std::optional<uint64_t> elements = numElements(type.shape);
  if (!elements)
    return std::nullopt;
  std::optional<uint64_t> bytes = checkedMul(*elements, sizeOf(type.elementType));
  return bytes && *bytes <= uint64_t(INT64_MAX) ? bytes : std::nullopt;
}

} // namespace ingot
