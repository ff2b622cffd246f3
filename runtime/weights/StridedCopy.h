//===- StridedCopy.h - Copies a strided box, converting on the way -*- C++ -*-===//
#pragma once

#include "runtime/weights/Convert.h"
#include "runtime/weights/ElementType.h"
#include "runtime/weights/RandomFill.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ingot {

/// An axis of a box, in elements.
struct CopyAxis {
  int64_t size;
  int64_t sourceStride;
  int64_t targetStride;
};

struct StridedCopy {
  const std::byte *source = nullptr;  // element 0 of the source tensor ...
  const RandomFill *random = nullptr; // ... or its generator (then sourceType is f32)
  ElementType sourceType = ElementType::F32;
  int64_t sourceOffset = 0; // of the box's first element
  std::span<const ElementStep> steps;
  std::byte *target = nullptr; // element 0 of the target tensor
  ElementType targetType = ElementType::F32;
  int64_t targetOffset = 0;
};

/// Copies the box of `axes` (at most 16). Target elements must be distinct. Where the two sides run
/// along different axes it moves square blocks through a buffer of a few KiB, so that both sides
/// are touched in whole cache lines.
void copyStrided(const StridedCopy &copy, std::span<const CopyAxis> axes);

} // namespace ingot
