//===- Npy.h - NumPy array files ----------------------------------*- C++ -*-===//
//
// Reads and writes .npy strictly: format versions 1 to 3, C order, little-endian, booleans,
// integers and floats. The header is a Python dictionary literal with exactly the keys descr,
// fortran_order and shape; it is parsed, never evaluated. Object arrays (pickles) are refused.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/plan_generated.h"
#include "runtime/support/Status.h"
#include "runtime/weights/ElementType.h"
#include "runtime/weights/MappedFile.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// An array; `data` may be misaligned and points into what was parsed.
struct NpyArray {
  ElementType type = ElementType::F32;
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
};

/// Parses a whole file's bytes. MalformedInput otherwise.
Result<NpyArray> parseNpy(std::span<const std::byte> bytes);

/// An .npy file, mapped.
struct NpyFile {
  MappedFile file;
  NpyArray array;
};
Result<NpyFile> readNpy(const std::string &path);

/// The header of an array as version 1.0, padded so that the data are 64-byte aligned. BF16, which
/// NumPy lacks, has no header: convert first.
std::string npyHeader(ElementType type, std::span<const int64_t> shape);

/// Writes `data` through a temporary file in the same folder; BF16 is widened to f32.
Status writeNpy(const std::string &path, format::DType dtype, std::span<const int64_t> shape,
                const void *data);

} // namespace ingot
