//===- SizeExprTest.cpp - Arithmetic and bounds of symbolic sizes -----------===//
#include "dialects/Exec/SizeExpr.h"

#include <gtest/gtest.h>

using namespace mlir;
using namespace ingot::exec;

namespace {

class SizeExprTest : public testing::Test {
protected:
  SizeExprTest() { context.loadDialect<ExecDialect>(); }

  StringAttr name(StringRef text) { return StringAttr::get(&context, text); }
  SizeAttr size(int64_t factor, ArrayRef<StringRef> symbols = {}, int64_t divisor = 1) {
    SmallVector<StringAttr> names;
    for (StringRef symbol : symbols)
      names.push_back(name(symbol));
    return SizeAttr::get(&context, factor, names, divisor);
  }

  MLIRContext context;
};

TEST_F(SizeExprTest, Arithmetic) {
  EXPECT_EQ(multiply(size(2, {"S"}), size(3, {"B"})), size(6, {"B", "S"}));
  EXPECT_EQ(multiply(size(1), size(1, {"S"}, 4)), size(1, {"S"}, 4));
  EXPECT_FALSE(multiply(size(2), size(1, {"S"}, 4))); // 2 * ceil(S / 4) has no such form
  EXPECT_FALSE(multiply(size(INT64_MAX), size(2)));
  EXPECT_EQ(ceilDivide(size(1, {"S"}, 4), 8), size(1, {"S"}, 32));
  EXPECT_EQ(divideExactly(size(12, {"B", "S"}), size(4, {"S"})), size(3, {"B"}));
  EXPECT_FALSE(divideExactly(size(10, {"B"}), size(4)));
  EXPECT_FALSE(divideExactly(size(10, {"B"}), size(2, {"S"})));
}

TEST_F(SizeExprTest, Substitution) {
  llvm::DenseMap<StringAttr, SizeAttr> values{{name("d0"), size(1, {"B"})},
                                              {name("d1"), size(16, {"NB"})}};
  EXPECT_EQ(substitute(size(1, {"d0", "d1"}, 64), values), size(1, {"B", "NB"}, 4));
  EXPECT_EQ(substitute(size(2, {"d2"}), values), size(2, {"d2"}));
}

TEST_F(SizeExprTest, BoundsHonourLimits) {
  SymbolAttr batch = SymbolAttr::get(&context, name("B"), 1, 8);
  SymbolAttr sequence = SymbolAttr::get(&context, name("S"), 1, 512);
  LimitAttr limit = LimitAttr::get(&context, {name("B"), name("S")}, 2048);
  SizeBounds bounds({batch, sequence}, {limit});
  EXPECT_EQ(bounds.maximum(size(1, {"B"})), 8);
  EXPECT_EQ(bounds.maximum(size(1, {"B", "S"})), 2048);
  EXPECT_EQ(bounds.maximum(size(1, {"B", "S", "S"})), 2048 * 512);
  EXPECT_EQ(bounds.maximum(size(1, {"B", "S"}, 100)), 21);
  EXPECT_EQ(bounds.maximumProduct({size(1, {"B"}), size(1, {"S"}), size(4)}), 8192);
  EXPECT_EQ(bounds.minimum(size(7, {"B", "S"})), 7);
  EXPECT_EQ(bounds.maximum(size(1, {"T"})), std::nullopt);
  EXPECT_EQ(bounds.maximum(size(INT64_MAX, {"B"})), std::nullopt);
  auto type =
      BufferType::get(&context, {size(1, {"B"}), size(1, {"S"})}, IntegerType::get(&context, 1));
  EXPECT_EQ(bounds.maximumBytes(type), 2048); // an i1 takes a byte
}

TEST_F(SizeExprTest, Evaluation) {
  llvm::DenseMap<StringAttr, int64_t> values{{name("S"), 9}};
  EXPECT_EQ(evaluate(size(3, {"S"}, 4), values), 7);
  EXPECT_EQ(evaluate(size(1, {"B"}), values), std::nullopt);
}

} // namespace
