//===- OutputCheck.h - Do candidates compute the same? ------------*- C++ -*-===//
#pragma once

#include "runtime/exec/Program.h"

#include <cstddef>
#include <string>
#include <vector>

namespace ingot {

/// What a launch wrote, a buffer an entry: all of it, or 128 MiB in evenly spread pieces.
struct Outputs {
  std::vector<format::DType> types;
  std::vector<std::vector<std::byte>> bytes;
};

/// Runs the first launch of `program`, which is bound, over outputs that are zero, and reads what
/// it wrote.
Result<Outputs> readOutputs(const format::Plan &plan, const format::Program &table,
                            Program &program);

/// Where `got` is not `expected` but for how sums are ordered and rounded: "output 0, element 17:
/// expected 0.25, got 0"; empty if nowhere. A float may be off by four units in the last place of
/// its type, of itself and of the outputs' root mean square: what other tiles of keys do to an
/// attention.
std::string findDifference(const Outputs &expected, const Outputs &got);

/// The first element that is infinite or no number, in words; empty if there is none.
std::string findNonFinite(const Outputs &outputs);

} // namespace ingot
