//===- RoundingTest.cpp - How far rounding takes a program ----------------===//
#include "compiler/verify/Rounding.h"

#include "dialects/Transformer/TransformerDialect.h"

#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

using namespace mlir;

namespace ingot::verify {
namespace {

RoundingDepth depthOf(const std::string &body) {
  DialectRegistry registry;
  registry.insert<transformer::TransformerDialect, func::FuncDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto module = parseSourceString<ModuleOp>(
      R"(module attributes {transformer.sizes = {B = [1, 4], S = [1, 100]}} {
           func.func @f(%x: tensor<?x?x8xf32>, %w: tensor<8x8xf32>) -> tensor<?x?x8xf32> {)" +
          body + "}}",
      &context);
  EXPECT_TRUE(module);
  return module ? roundingDepthOf(*module->getOps<func::FuncOp>().begin()) : RoundingDepth();
}

const std::string linear =
    "transformer.linear %x, %w : (tensor<?x?x8xf32>, tensor<8x8xf32>) -> tensor<?x?x8xf32>\n";
const std::string add = "arith.addf %0, %x : tensor<?x?x8xf32>\n";

TEST(Rounding, TheLongestPathCounts) {
  EXPECT_EQ(depthOf("return %x : tensor<?x?x8xf32>").ops, 0);
  RoundingDepth depth = depthOf("%0 = " + linear + "%1 = " + linear + "%2 = " + add +
                                "return %2 : tensor<?x?x8xf32>");
  EXPECT_EQ(depth.ops, 2); // %1 is on no longer path
  EXPECT_EQ(depth.terms, 8);
}

TEST(Rounding, SumsOverTokensAreAsLongAsABatchCanBe) {
  RoundingDepth depth = depthOf(
      "%0 = transformer.split_heads %x {heads = 2 : i64} : (tensor<?x?x8xf32>) -> "
      "tensor<?x2x?x4xf32>\n"
      "%1 = transformer.matmul %0, %0 {transpose_rhs} : (tensor<?x2x?x4xf32>, tensor<?x2x?x4xf32>) "
      "-> tensor<?x2x?x?xf32>\n"
      "%2 = transformer.softmax %1 : (tensor<?x2x?x?xf32>) -> tensor<?x2x?x?xf32>\n"
      "return %x : tensor<?x?x8xf32>");
  EXPECT_EQ(depth.terms, 100);
}

TEST(Rounding, ErrorGrowsWithDepthUpToTheTolerance) {
  EXPECT_EQ(expectedError({0, 1}), 0);
  EXPECT_DOUBLE_EQ(expectedError({4, 16}), 16 * 0x1p-24);
  EXPECT_LT(expectedError({4, 16}), expectedError({8, 16}));
  EXPECT_LT(expectedError({4, 16}), expectedError({4, 32}));
  EXPECT_DOUBLE_EQ(expectedError({1000000, 1000000}), 1e-4);
}

} // namespace
} // namespace ingot::verify
