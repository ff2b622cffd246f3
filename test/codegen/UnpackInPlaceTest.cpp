//===- UnpackInPlaceTest.cpp - Tokens to their places, over themselves ----===//
#include "codegen/families/HostLinalg/UnpackInPlace.h"

#include "codegen/families/HostLinalg/KernelModule.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "test/codegen/host/KernelRunner.h"

#include "mlir/Parser/Parser.h"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace ingot;
using namespace ingot::host;

namespace {

struct UnpackInPlace : ::testing::Test {
  UnpackInPlace() {
    registerHostDialects(registry);
    registry.insert<transformer::TransformerDialect, exec::ExecDialect>();
    context.appendDialectRegistry(registry);
    context.loadAllAvailableDialects();
  }

  /// A kernel of `body` on %x [T, width], %s [B, S].
  exec::KernelOp parse(int64_t width, const std::string &body) {
    std::string w = std::to_string(width);
    module = parseSourceString<ModuleOp>(
        "exec.target @host kind(\"host\") arch(\"x86-64-v3\")\n"
        "exec.kernel @unpack for @host sizes(d0 in [0, 64], d1 in [1, 8], d2 in [1, 8]) "
        "(%x: !exec.buffer<[d0, " +
            w +
            "] x f32>, %s: !exec.buffer<[d1, d2] x i32>) "
            "-> (!exec.buffer<[d1, d2, " +
            w +
            "] x f32>) {\n"
            "  %0 = transformer.unpack %x, %s : (tensor<?x" +
            w +
            "xf32>, tensor<?x?xi32>) "
            "-> tensor<?x?x" +
            w + "xf32>\n" + body + "\n}",
        &context);
    return module ? *module->getOps<exec::KernelOp>().begin() : exec::KernelOp();
  }

  static std::string yield(int64_t width, const std::string &value) {
    return "  exec.yield " + value + " : tensor<?x?x" + std::to_string(width) + "xf32>";
  }

  DialectRegistry registry;
  MLIRContext context;
  OwningOpRef<ModuleOp> module;
};

/// Places of tokens: all, none, on either side, between; every second row has none.
std::vector<bool> makeMask(int kind, int64_t rows, int64_t width) {
  std::mt19937 random(kind);
  std::vector<bool> mask;
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t place = 0; place < width; ++place)
      mask.push_back(kind == 0   ? true
                     : kind == 1 ? false
                     : kind == 2 ? place <= row
                     : kind == 3 ? place + row >= width
                     : kind == 4 ? random() % 3 == 0
                                 : row % 2 == 1);
  return mask;
}

} // namespace

TEST_F(UnpackInPlace, MovesEveryTokenOnce) {
  // One block of columns, several, and a last one that is ragged; with and without streaming.
  // Rows that begin with a line, and rows that begin anywhere in one.
  for (int64_t width : {3, 48, 128, 200, 384, 1088, 1091}) {
    for (int64_t mostBytes : {int64_t(1) << 10, int64_t(1) << 30}) {
      exec::KernelOp kernel = parse(width, yield(width, "%0"));
      ASSERT_TRUE(kernel);
      ASSERT_EQ(codegen::getUnpackedInput(kernel), 0);
      std::string source =
          codegen::printKernelFunction(kernel, /*mayAlias=*/true, [&](func::FuncOp func) {
            codegen::makeUnpackInPlace(func, mostBytes);
          });
      EXPECT_EQ(source.find("transformer.unpack"), std::string::npos);
      EXPECT_EQ(source.find(streamZerosAttr.str()) != std::string::npos,
                mostBytes > (16 << 20));
      std::string error;
      auto kernels = LoadedKernels::compile(source, "host", error, 2);
      ASSERT_TRUE(kernels) << error;
      for (int kind = 0; kind < 6; ++kind) {
        int64_t rows = 5, columns = 7, places = rows * columns;
        std::vector<bool> mask = makeMask(kind, rows, columns);
        AlignedBytes packed(size_t(places * width) * 4), slots(size_t(places) * 4);
        AlignedBytes apart(packed.size());
        std::memset(apart.as<void>(), 0xff, apart.size());
        std::vector<float> expected(size_t(places * width));
        int32_t tokens = 0;
        for (int64_t i = 0; i < places; ++i)
          slots.as<int32_t>()[i] = mask[size_t(i)] ? tokens++ : -1;
        for (int64_t i = 0; i < places * width; ++i)
          packed.as<float>()[i] = float(i + 1);
        for (int64_t i = 0; i < places; ++i)
          for (int64_t c = 0; c < width && mask[size_t(i)]; ++c)
            expected[size_t(i * width + c)] = float(slots.as<int32_t>()[i] * width + c + 1);
        kernels->run("unpack", {packed.as<void>(), slots.as<void>(), apart.as<void>()},
                     {tokens, rows, columns});
        EXPECT_EQ(std::memcmp(apart.as<void>(), expected.data(), apart.size()), 0)
            << width << " columns, mask " << kind << ", apart";
        kernels->run("unpack", {packed.as<void>(), slots.as<void>(), packed.as<void>()},
                     {tokens, rows, columns});
        EXPECT_EQ(std::memcmp(packed.as<void>(), expected.data(), packed.size()), 0)
            << width << " columns, mask " << kind << ", in place";
      }
    }
  }
}

TEST_F(UnpackInPlace, OnlyWhatDoesNothingElse) {
  exec::KernelOp kernel = parse(8, "  %1 = arith.negf %0 : tensor<?x?x8xf32>\n" + yield(8, "%1"));
  ASSERT_TRUE(kernel);
  EXPECT_FALSE(codegen::getUnpackedInput(kernel));
}
