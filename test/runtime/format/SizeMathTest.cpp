//===- SizeMathTest.cpp -----------------------------------------*- C++ -*-===//
#include "runtime/format/SizeMath.h"

#include <gtest/gtest.h>

using namespace ingot;

// B <= 8, S <= 512, NB <= 32, B * S <= 2048.
static SymbolBounds bounds() { return {{{1, 8}, {1, 512}, {1, 32}}, {{{0, 1}, 2048}}, {}}; }

TEST(SizeMath, ProductsHonourLimits) {
  auto b = bounds();
  EXPECT_EQ(maxProduct(std::vector<uint16_t>{0}, b), 8);
  EXPECT_EQ(maxProduct(std::vector<uint16_t>{0, 1}, b), 2048);
  EXPECT_EQ(maxProduct(std::vector<uint16_t>{0, 1, 1}, b), 2048 * 512);
  EXPECT_EQ(maxProduct(std::vector<uint16_t>{0, 1, 2}, b), 2048 * 32);
  EXPECT_EQ(maxProduct(std::vector<uint16_t>{0, 0, 1, 1}, b), 2048 * 2048);
  EXPECT_EQ(maxProduct(std::vector<uint16_t>{}, b), 1);
}

TEST(SizeMath, BoundsAreReachedOrSafe) {
  // Against all values: the bound is never below what occurs.
  SymbolBounds b{{{1, 5}, {1, 7}, {1, 3}}, {{{0, 1}, 12}, {{1, 2}, 9}}, {}};
  for (std::vector<uint16_t> product :
       {std::vector<uint16_t>{0, 1}, {1, 2}, {0, 1, 2}, {0, 1, 1, 2}, {0, 2}}) {
    int64_t most = 0;
    for (int64_t x = 1; x <= 5; ++x)
      for (int64_t y = 1; y <= 7; ++y)
        for (int64_t z = 1; z <= 3; ++z)
          if (x * y <= 12 && y * z <= 9) {
            const int64_t values[] = {x, y, z};
            most = std::max(most, evaluate({1, product, 1}, values));
          }
    EXPECT_GE(*maxProduct(product, b), most);
  }
}

TEST(SizeMath, ElementsUseLimitsAcrossDimensions) {
  auto b = bounds();
  std::vector<SizeExpr> dims = {{1, {0}, 1}, {1, {1}, 1}, {384, {}, 1}};
  EXPECT_EQ(maxElements(dims, b), 2048 * 384);
  dims.push_back({1, {2}, 3}); // ceil(NB / 3)
  EXPECT_EQ(maxElements(dims, b), 2048 * 384 * 11);
}

TEST(SizeMath, OverflowIsNoticed) {
  SymbolBounds b{{{1, int64_t(1) << 40}, {1, int64_t(1) << 40}}, {}, {}};
  EXPECT_FALSE(maxProduct(std::vector<uint16_t>{0, 1}, b));
  EXPECT_FALSE(maxSize({int64_t(1) << 30, {0}, 1}, b));
  EXPECT_FALSE(maxElements(std::vector<SizeExpr>{{1, {0}, 1}, {1, {1}, 1}}, b));
  b.limits.push_back({{0, 1}, 1 << 20});
  EXPECT_EQ(maxProduct(std::vector<uint16_t>{0, 1}, b), 1 << 20);
}

TEST(SizeMath, EvaluateAndText) {
  const int64_t values[] = {3, 5};
  const std::string names[] = {"B", "S"};
  EXPECT_EQ(evaluate({2, {0, 1}, 4}, values), 8); // ceil(30 / 4)
  EXPECT_EQ(evaluate({7, {}, 1}, values), 7);
  EXPECT_EQ(sizeText({2, {0, 1}, 4}, names), "ceil(B * S * 2 / 4)");
  EXPECT_EQ(sizeText({1, {1}, 1}, names), "S");
  EXPECT_EQ(sizeText({7, {}, 1}, names), "7");
}
