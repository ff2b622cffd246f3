//===- DType.h - Facts about element types -----------------------*- C++ -*-===//
#pragma once

#include "runtime/format/plan_generated.h"

#include <cstddef>
#include <cstdint>

namespace ingot {

/// Bytes of one element (I1 takes a byte), 0 for a value that is no DType.
size_t dtypeBytes(format::DType dtype);
/// "f32", "f16", "bf16", "i8", "u8", "i32", "i64", "i1"; "?" for a value that is no DType.
const char *dtypeName(format::DType dtype);
bool isInteger(format::DType dtype);

} // namespace ingot
