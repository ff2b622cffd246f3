//===- Convert.h - Caller's elements to a port's ------------------*- C++ -*-===//
#pragma once

#include "runtime/format/plan_generated.h"
#include "runtime/support/Status.h"
#include "runtime/weights/ElementType.h"

#include <cstddef>
#include <cstdint>

namespace ingot {

/// The integers that an input's elements may be.
struct IntegerRange {
  int64_t minimum = INT64_MIN, maximum = INT64_MAX;
};

/// The integers of a type, cut down to the port's own range if it has one.
IntegerRange portRange(format::DType dtype, const format::Port &port);

/// Writes `count` elements of `source` (any alignment) to `target` as `dtype`. Integers of any
/// width and bool convert to integer types and must be in `range`; floats of any width convert to
/// float types, rounding to nearest even; integers and floats do not mix. Usage error otherwise.
Status convertElements(void *target, format::DType dtype, IntegerRange range, const void *source,
                       ElementType type, size_t count);

/// Writes `count` times `value`, which fits `dtype`.
void fillElements(void *target, format::DType dtype, int64_t value, size_t count);

} // namespace ingot
