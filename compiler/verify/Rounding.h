//===- Rounding.h - How far rounding takes a program's results ---*- C++ -*-===//
#pragma once

#include <cstdint>

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot::verify {

/// What decides on the error of a program in floating-point numbers.
struct RoundingDepth {
  /// Ops on the longest path from an input to a result, each of which rounds.
  int64_t ops = 0;
  /// Terms of the longest sum one of them can make.
  int64_t terms = 1;
};

/// That of a program on the transformer dialect, before any pass.
RoundingDepth roundingDepthOf(mlir::func::FuncOp program);

/// That of any block of ops on tensors, whose sizes are at most `largestSize`.
RoundingDepth roundingDepthOf(mlir::Block &block, int64_t largestSize);

/// The relative error that f32 may be expected to have at that depth: u * ops * sqrt(terms), u =
/// 2^-24. A sum of n terms is off by sqrt(n) * u where roundings are independent (Higham and Mary,
/// "A New Approach to Probabilistic Rounding Error Analysis", 2019); norms and residual additions
/// keep layers from amplifying what they are given, so that the ops of a path add up. Never more
/// than half of what the golden cases may be off from the reference library, 2e-4.
double expectedError(RoundingDepth depth);

} // namespace ingot::verify
