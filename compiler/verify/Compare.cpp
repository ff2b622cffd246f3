//===- Compare.cpp - Error of a result, and how much is allowed ------------===//

#include "compiler/verify/Compare.h"

#include "runtime/exec/Convert.h"
#include "runtime/format/DType.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ingot::verify {

/// Every element as a double; exact but for 64-bit integers, which no program computes with.
static std::vector<double> numbers(const Tensor &tensor) {
  size_t count = 1;
  for (int64_t dim : tensor.shape)
    count *= size_t(dim);
  std::vector<double> values(count);
  auto read = [&]<typename T>(T) {
    for (size_t i = 0; i < count; ++i) {
      T value;
      std::memcpy(&value, tensor.data.data() + i * sizeof value, sizeof value);
      values[i] = double(value);
    }
  };
  switch (tensor.type) {
  case ElementType::F32:
    read(float());
    break;
  case ElementType::I32:
    read(int32_t());
    break;
  case ElementType::I64:
    read(int64_t());
    break;
  case ElementType::I8:
    read(int8_t());
    break;
  case ElementType::U8:
  case ElementType::I1:
    read(uint8_t());
    break;
  default: {
    std::vector<float> wide(count);
    (void)convertElements(wide.data(), format::DType::F32, {}, tensor.data.data(), tensor.type,
                          count);
    std::copy(wide.begin(), wide.end(), values.begin());
  }
  }
  return values;
}

/// A hidden score is the lowest value of its type, or near it; no other value is of that order, and
/// relative to it nothing would differ.
static constexpr double kHidden = 1e30;

Difference compare(const Tensor &expected, const Tensor &got, std::span<const Axis> axes,
                   const TokenMask &mask, bool infinities) {
  Difference difference;
  if (expected.shape != got.shape || axes.size() != expected.shape.size())
    return {HUGE_VAL, false};
  std::vector<double> wanted = numbers(expected), is = numbers(got);
  std::vector<int64_t> index(axes.size());
  double largest = 0, worst = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    size_t rest = i;
    for (size_t axis = axes.size(); axis-- > 0;) {
      index[axis] = int64_t(rest % size_t(expected.shape[axis]));
      rest /= size_t(expected.shape[axis]);
    }
    int64_t row = 0;
    bool hasToken = false, hasRow = false, counts = true;
    for (size_t axis = 0; axis < axes.size(); ++axis)
      if (axes[axis] == Axis::Row) {
        row = index[axis];
        hasRow = true;
      }
    for (size_t axis = 0; axis < axes.size(); ++axis)
      if (axes[axis] == Axis::Token) {
        hasToken = true;
        counts &= mask.isValid(row, index[axis]);
      }
    if (hasRow && !hasToken)
      counts = mask.hasTokens(row);
    if (!counts)
      continue;
    if (infinities && wanted[i] == is[i] && std::fabs(wanted[i]) > kHidden)
      continue;
    if (!std::isfinite(wanted[i]) || !std::isfinite(is[i])) {
      difference.finite = false;
      continue;
    }
    largest = std::max(largest, std::fabs(wanted[i]));
    worst = std::max(worst, std::fabs(wanted[i] - is[i]));
  }
  // All zeros have no scale of their own.
  difference.error = worst == 0 ? 0 : largest == 0 ? HUGE_VAL : worst / largest;
  return difference;
}

const Budget &budgetFor(std::string_view pass) {
  static constexpr Budget kTable[] = {
      {"canonicalize", 0.25, "the same arithmetic; kernels form anew around it"},
      {"cse", 0.25, "the same arithmetic; a value with more uses leaves its kernel"},
      {"select-attention", 0.25, "the same arithmetic; a back end is a way to compute it"},
      {"fuse-residual-norm", 0.25, "the same arithmetic in one op"},
      {"fold-constants", 0.25, "factors are powers of two"},
      {"fuse-attention", 1, "sums in another order, and a running maximum in the softmax"},
      {"", 1, "sums in another order"},
  };
  for (const Budget &budget : kTable)
    if (budget.pass == pass)
      return budget;
  return kTable[std::size(kTable) - 1];
}

} // namespace ingot::verify
