//===- Compare.h - Error of a result, and how much is allowed ----*- C++ -*-===//
#pragma once

#include <span>
#include <string_view>

#include "compiler/verify/Tensor.h"

namespace ingot::verify {

/// |got - expected| over what counts, relative to the largest |expected| that counts.
struct Difference {
  double error = 0;
  /// Values that are not finite where the other side's are not the same: never within a budget.
  bool finite = true;

  bool within(double budget) const { return finite && error <= budget; }
  bool worseThan(const Difference &other) const {
    return finite != other.finite ? !finite : error > other.error;
  }
};

/// Compares what `mask` calls valid; `axes` says what each dimension runs over. `infinities`: hidden
/// scores inside a program, infinite or as low as the type goes, are equal and give no scale; no result
/// of a program may hold an infinity. Different shapes are not finite.
Difference compare(const Tensor &expected, const Tensor &got, std::span<const Axis> axes,
                   const TokenMask &mask, bool infinities = false);

/// How much of the error that a program has anyway (Rounding.h) a pass may change its results by,
/// and why.
struct Budget {
  std::string_view pass;
  double share;
  std::string_view reason;
};

/// The row for `pass`; the one for any other pass if it has none of its own.
const Budget &budgetFor(std::string_view pass);

} // namespace ingot::verify
