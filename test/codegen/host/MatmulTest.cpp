//===- MatmulTest.cpp - Compiled matmuls against plain loops --------------===//
#include "test/codegen/host/KernelRunner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace ingot::host;

namespace {

std::string matmulSource(int64_t k, int64_t n) {
  std::string K = std::to_string(k), N = std::to_string(n);
  return R"(
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
func.func @matmul(%x: tensor<?x)" + K + R"(xf32> {ingot.sizes = [0]}, %w: tensor<)" + N + "x" + K + R"(xf32>)
    -> (tensor<?x)" + N + R"(xf32> {ingot.sizes = [0]}) attributes {ingot.size_max = [1024]} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x)" + K + R"(xf32>
  %empty = tensor.empty(%m) : tensor<?x)" + N + R"(xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x)" + N + R"(xf32>) -> tensor<?x)" + N + R"(xf32>
  %r = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x)" + K + R"(xf32>, tensor<)" + N + "x" + K + R"(xf32>) outs(%init : tensor<?x)" + N + R"(xf32>) {
  ^bb0(%a: f32, %b: f32, %c: f32):
    %p = arith.mulf %a, %b : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x)" + N + R"(xf32>
  return %r : tensor<?x)" + N + R"(xf32>
}
)";
}

void checkMatmul(int64_t k, int64_t n, std::vector<int64_t> rows, const std::string &level) {
  std::string error;
  auto kernels = LoadedKernels::compile(matmulSource(k, n), level, error);
  ASSERT_TRUE(kernels) << error;
  std::mt19937 random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (int64_t m : rows) {
    AlignedBytes x(m * k * 4), w(n * k * 4), y(m * n * 4);
    for (int64_t i = 0; i < m * k; ++i)
      x.as<float>()[i] = uniform(random);
    for (int64_t i = 0; i < n * k; ++i)
      w.as<float>()[i] = uniform(random);
    kernels->run("matmul", {x.as<void>(), w.as<void>(), y.as<void>()}, {m});
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < k; ++l)
          sum += double(x.as<float>()[i * k + l]) * w.as<float>()[j * k + l];
        ASSERT_NEAR(y.as<float>()[i * n + j], sum, 2e-6 * k) << "row " << i << " column " << j;
      }
  }
}

TEST(Matmul, ModelShape) { checkMatmul(384, 384, {1, 12, 17, 128}, "host"); }
TEST(Matmul, OddShape) { checkMatmul(7, 37, {1, 3, 13, 29}, "host"); }
TEST(Matmul, OneColumn) { checkMatmul(5, 1, {1, 4, 97}, "host"); }
TEST(Matmul, RaggedBlocks) { checkMatmul(64, 1000, {1, 5, 100}, "host"); }
TEST(Matmul, BandsOfRowBlocks) { checkMatmul(1500, 100, {1, 96, 97, 192, 389, 1000}, "host"); }
TEST(Matmul, LevelV2) { checkMatmul(24, 37, {1, 7, 50}, "x86-64-v2"); }
TEST(Matmul, LevelV3) { checkMatmul(24, 37, {1, 7, 50}, "x86-64-v3"); }

} // namespace
