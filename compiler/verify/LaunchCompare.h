//===- LaunchCompare.h - What a launch wrote, and what it takes --*- C++ -*-===//
#pragma once

#include "compiler/verify/Tensor.h"
#include "runtime/exec/Program.h"

#include <span>

namespace ingot::verify {

struct LaunchDifference {
  /// |got - expected| over the largest |expected|; of integers the share that differs. Not a number
  /// if a value is not finite that should be.
  double error = 0;
  /// The element that is off most, of how many.
  uint64_t element = 0, elements = 0;
  double expected = 0, got = 0;
};

/// Compares two buffers of one type. Where `expected` is no number the kernel's meaning leaves the
/// value open (a softmax over nothing), and scores as low as their type goes are all the same.
LaunchDifference compareBuffers(ElementType type, std::span<const std::byte> expected,
                                std::span<const std::byte> got);

/// Packed programs are never called without a token.
bool takesCall(Program &program, const Call &call);

/// The inputs of `call`, a padded batch with a mask, as `program` takes them: so, or packed with
/// cu_seqlens.
Result<std::vector<Tensor>> inputsFor(Program &program, const Call &call);

} // namespace ingot::verify
