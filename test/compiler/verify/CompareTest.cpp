//===- CompareTest.cpp - What counts, and how much ------------------------===//
#include "compiler/verify/Compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

namespace ingot::verify {
namespace {

Tensor floats(std::vector<int64_t> shape, const std::vector<float> &values) {
  Tensor tensor{"x", ElementType::F32, std::move(shape), {}};
  auto bytes = reinterpret_cast<const std::byte *>(values.data());
  tensor.data.assign(bytes, bytes + values.size() * sizeof(float));
  return tensor;
}

const TokenMask twoRows{2, 2, {1, 0, 0, 0}}; // the second row has no tokens
const Axis tokens[] = {Axis::Row, Axis::Token, Axis::Other};
const Axis rows[] = {Axis::Row, Axis::Other};

TEST(Compare, RelativeToTheLargest) {
  const Axis axes[] = {Axis::Other};
  Difference d = compare(floats({2}, {4, -8}), floats({2}, {4, -8.5}), axes, {});
  EXPECT_DOUBLE_EQ(d.error, 0.5 / 8);
  EXPECT_TRUE(d.within(0.1));
  EXPECT_FALSE(d.within(0.01));
}

TEST(Compare, PaddingDoesNotCount) {
  const float nan = std::nanf("");
  Difference d = compare(floats({2, 2, 1}, {1, nan, nan, 7}), floats({2, 2, 1}, {1, 3, 4, nan}),
                         tokens, twoRows);
  EXPECT_TRUE(d.within(0));
  EXPECT_TRUE(compare(floats({2, 1}, {1, nan}), floats({2, 1}, {1, 5}), rows, twoRows).within(0));
}

TEST(Compare, TokensCount) {
  EXPECT_FALSE(
      compare(floats({2, 2, 1}, {1, 0, 0, 0}), floats({2, 2, 1}, {2, 0, 0, 0}), tokens, twoRows)
          .within(0.5));
  EXPECT_FALSE(compare(floats({2, 1}, {1, 0}), floats({2, 1}, {2, 0}), rows, twoRows).within(0.5));
}

TEST(Compare, NotFiniteIsNeverRight) {
  const Axis axes[] = {Axis::Other};
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(compare(floats({1}, {nan}), floats({1}, {nan}), axes, {}).within(HUGE_VAL));
  EXPECT_FALSE(compare(floats({1}, {inf}), floats({1}, {inf}), axes, {}).within(HUGE_VAL));
  EXPECT_TRUE(compare(floats({1}, {inf}), floats({1}, {inf}), axes, {}, true).within(0));
  EXPECT_FALSE(compare(floats({1}, {inf}), floats({1}, {-inf}), axes, {}, true).within(HUGE_VAL));
  EXPECT_FALSE(compare(floats({1}, {nan}), floats({1}, {nan}), axes, {}, true).within(HUGE_VAL));
}

TEST(Compare, HiddenScoresGiveNoScale) {
  const Axis axes[] = {Axis::Other};
  const float lowest = std::numeric_limits<float>::lowest();
  Difference d = compare(floats({3}, {1, lowest, 2}), floats({3}, {1, lowest, 3}), axes, {}, true);
  EXPECT_DOUBLE_EQ(d.error, 0.5);
  EXPECT_FALSE(compare(floats({2}, {1, lowest}), floats({2}, {1, 2}), axes, {}, true).within(0.5));
}

TEST(Compare, ZerosAndShapes) {
  const Axis axes[] = {Axis::Other};
  EXPECT_TRUE(compare(floats({1}, {0}), floats({1}, {0}), axes, {}).within(0));
  EXPECT_FALSE(compare(floats({1}, {0}), floats({1}, {1e-30f}), axes, {}).within(1));
  EXPECT_FALSE(compare(floats({1}, {0}), floats({2}, {0, 0}), axes, {}).within(1));
  EXPECT_TRUE(compare(floats({0}, {}), floats({0}, {}), axes, {}).within(0));
}

TEST(Budget, EveryPassHasOne) {
  EXPECT_EQ(budgetFor("cse").pass, "cse");
  EXPECT_EQ(budgetFor("no-such-pass").pass, "");
  EXPECT_GT(budgetFor("no-such-pass").share, 0);
}

} // namespace
} // namespace ingot::verify
