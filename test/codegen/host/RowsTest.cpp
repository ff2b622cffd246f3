//===- RowsTest.cpp - Row-wise kernels and dynamic matmuls ----------------===//
#include "test/codegen/host/KernelRunner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

using namespace ingot::host;

namespace {

void fill(AlignedBytes &bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (size_t i = 0; i < bytes.size() / 4; ++i)
    bytes.as<float>()[i] = uniform(random);
}

constexpr const char *softmax = R"(
func.func @softmax(%x: tensor<?x?xf32> {ingot.sizes = [0, 1]}) -> (tensor<?x?xf32> {ingot.sizes = [0, 1]})
    attributes {ingot.size_max = [512, 512]} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %m = tensor.dim %x, %c0 : tensor<?x?xf32>
  %n = tensor.dim %x, %c1 : tensor<?x?xf32>
  %empty = tensor.empty(%m, %n) : tensor<?x?xf32>
  %y = linalg.softmax dimension(1) ins(%x : tensor<?x?xf32>) outs(%empty : tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
)";

TEST(Rows, SoftmaxOfAnyLengthWhateverTheThreads) {
  std::string error;
  auto one = LoadedKernels::compile(softmax, "host", error, 1);
  ASSERT_TRUE(one) << error;
  auto two = LoadedKernels::compile(softmax, "host", error, 2);
  ASSERT_TRUE(two) << error;
  EXPECT_EQ(one->image().kernels[0].plan.strategy, "rows");
  for (int64_t m : {1, 3, 200})
    for (int64_t n : {1, 5, 31, 32, 33, 100, 257}) {
      AlignedBytes x(m * n * 4), y(m * n * 4), z(m * n * 4);
      fill(x, m + n);
      one->run("softmax", {x.as<void>(), y.as<void>()}, {m, n});
      two->run("softmax", {x.as<void>(), z.as<void>()}, {m, n});
      ASSERT_EQ(std::memcmp(y.as<void>(), z.as<void>(), m * n * 4), 0);
      for (int64_t i = 0; i < m; ++i) {
        double sum = 0;
        for (int64_t j = 0; j < n; ++j)
          sum += std::exp(double(x.as<float>()[i * n + j]));
        for (int64_t j = 0; j < n; ++j)
          ASSERT_NEAR(y.as<float>()[i * n + j], std::exp(double(x.as<float>()[i * n + j])) / sum,
                      1e-6)
              << m << " x " << n << " at " << i << ", " << j;
      }
    }
}

/// Scores: a[B, H, M, D] b[B, H, N, D]^T with everything but D dynamic.
constexpr const char *scores = R"(
#a = affine_map<(b, h, m, n, k) -> (b, h, m, k)>
#b = affine_map<(b, h, m, n, k) -> (b, h, n, k)>
#c = affine_map<(b, h, m, n, k) -> (b, h, m, n)>
func.func @scores(%a: tensor<?x3x?x24xf32> {ingot.sizes = [0, 1]}, %b: tensor<?x3x?x24xf32> {ingot.sizes = [0, 2]})
    -> (tensor<?x3x?x?xf32> {ingot.sizes = [0, 1, 2]}) attributes {ingot.size_max = [4, 300, 300]} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %batch = tensor.dim %a, %c0 : tensor<?x3x?x24xf32>
  %m = tensor.dim %a, %c2 : tensor<?x3x?x24xf32>
  %n = tensor.dim %b, %c2 : tensor<?x3x?x24xf32>
  %empty = tensor.empty(%batch, %m, %n) : tensor<?x3x?x?xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x3x?x?xf32>) -> tensor<?x3x?x?xf32>
  %r = linalg.generic {indexing_maps = [#a, #b, #c],
                       iterator_types = ["parallel", "parallel", "parallel", "parallel", "reduction"]}
      ins(%a, %b : tensor<?x3x?x24xf32>, tensor<?x3x?x24xf32>) outs(%init : tensor<?x3x?x?xf32>) {
  ^bb0(%x: f32, %y: f32, %s: f32):
    %p = arith.mulf %x, %y : f32
    %t = arith.addf %s, %p : f32
    linalg.yield %t : f32
  } -> tensor<?x3x?x?xf32>
  return %r : tensor<?x3x?x?xf32>
}
)";

TEST(Rows, ScoresOfDynamicShapes) {
  std::string error;
  auto kernels = LoadedKernels::compile(scores, "host", error, 2);
  ASSERT_TRUE(kernels) << error;
  EXPECT_EQ(kernels->image().kernels[0].plan.strategy, "contraction");
  const int64_t batch = 2, heads = 3, d = 24;
  for (int64_t m : {1, 13, 97})
    for (int64_t n : {1, 31, 64, 290}) {
      AlignedBytes a(batch * heads * m * d * 4), b(batch * heads * n * d * 4),
          c(batch * heads * m * n * 4);
      fill(a, m);
      fill(b, n);
      kernels->run("scores", {a.as<void>(), b.as<void>(), c.as<void>()}, {batch, m, n});
      for (int64_t g = 0; g < batch * heads; ++g)
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (int64_t k = 0; k < d; ++k)
              sum += double(a.as<float>()[(g * m + i) * d + k]) * b.as<float>()[(g * n + j) * d + k];
            ASSERT_NEAR(c.as<float>()[(g * m + i) * n + j], sum, 1e-5) << m << " x " << n;
          }
    }
}

/// s = x + r and s / sqrt(mean(s^2) + 1): two results, one of them on the way to the other.
constexpr const char *addNorm = R"(
#row = affine_map<(m, n) -> (m)>
#all = affine_map<(m, n) -> (m, n)>
func.func @norm(%x: tensor<?x100xf32> {ingot.sizes = [0]}, %r: tensor<?x100xf32> {ingot.sizes = [0]})
    -> (tensor<?x100xf32> {ingot.sizes = [0]}, tensor<?x100xf32> {ingot.sizes = [0]})
    attributes {ingot.size_max = [512]} {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %width = arith.constant 100.0 : f32
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x100xf32>
  %e = tensor.empty(%m) : tensor<?x100xf32>
  %s = linalg.generic {indexing_maps = [#all, #all, #all], iterator_types = ["parallel", "parallel"]}
      ins(%x, %r : tensor<?x100xf32>, tensor<?x100xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.addf %a, %b : f32
    linalg.yield %t : f32
  } -> tensor<?x100xf32>
  %v = tensor.empty(%m) : tensor<?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%v : tensor<?xf32>) -> tensor<?xf32>
  %q = linalg.generic {indexing_maps = [#all, #row], iterator_types = ["parallel", "reduction"]}
      ins(%s : tensor<?x100xf32>) outs(%f : tensor<?xf32>) {
  ^bb0(%a: f32, %o: f32):
    %t = arith.mulf %a, %a : f32
    %u = arith.addf %o, %t : f32
    linalg.yield %u : f32
  } -> tensor<?xf32>
  %n = linalg.generic {indexing_maps = [#all, #row, #all], iterator_types = ["parallel", "parallel"]}
      ins(%s, %q : tensor<?x100xf32>, tensor<?xf32>) outs(%e : tensor<?x100xf32>) {
  ^bb0(%a: f32, %b: f32, %o: f32):
    %t = arith.divf %b, %width : f32
    %u = arith.addf %t, %one : f32
    %w = math.sqrt %u : f32
    %y = arith.divf %a, %w : f32
    linalg.yield %y : f32
  } -> tensor<?x100xf32>
  return %s, %n : tensor<?x100xf32>, tensor<?x100xf32>
}
)";

TEST(Rows, TwoResultsInOnePassOverTheRows) {
  std::string error;
  auto kernels = LoadedKernels::compile(addNorm, "host", error, 2);
  ASSERT_TRUE(kernels) << error;
  EXPECT_EQ(kernels->image().kernels[0].plan.strategy, "rows");
  EXPECT_EQ(kernels->image().kernels[0].scratchBytes, 0u);
  for (int64_t m : {1, 7, 300}) {
    AlignedBytes x(m * 400), r(m * 400), s(m * 400), n(m * 400);
    fill(x, m);
    fill(r, m + 1);
    kernels->run("norm", {x.as<void>(), r.as<void>(), s.as<void>(), n.as<void>()}, {m});
    for (int64_t i = 0; i < m; ++i) {
      double squares = 0;
      for (int64_t j = 0; j < 100; ++j) {
        float sum = x.as<float>()[i * 100 + j] + r.as<float>()[i * 100 + j];
        ASSERT_EQ(s.as<float>()[i * 100 + j], sum);
        squares += double(sum) * sum;
      }
      for (int64_t j = 0; j < 100; ++j)
        ASSERT_NEAR(n.as<float>()[i * 100 + j],
                    s.as<float>()[i * 100 + j] / std::sqrt(squares / 100 + 1), 1e-6);
    }
  }
}

/// g * (x . a^T) * (x . b^T): two matmuls whose tiles meet in one elementwise operation.
constexpr const char *gated = R"(
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
#id = affine_map<(m, n) -> (m, n)>
func.func @gated(%x: tensor<?x40xf32> {ingot.sizes = [0]}, %w: tensor<128x40xf32>)
    -> (tensor<?x64xf32> {ingot.sizes = [0]}) attributes {ingot.size_max = [512]} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x40xf32>
  %a = tensor.extract_slice %w[0, 0] [64, 40] [1, 1] : tensor<128x40xf32> to tensor<64x40xf32>
  %b = tensor.extract_slice %w[64, 0] [64, 40] [1, 1] : tensor<128x40xf32> to tensor<64x40xf32>
  %e = tensor.empty(%m) : tensor<?x64xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x64xf32>) -> tensor<?x64xf32>
  %p = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %a : tensor<?x40xf32>, tensor<64x40xf32>) outs(%f : tensor<?x64xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %q = arith.mulf %u, %v : f32
    %t = arith.addf %s, %q : f32
    linalg.yield %t : f32
  } -> tensor<?x64xf32>
  %r = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %b : tensor<?x40xf32>, tensor<64x40xf32>) outs(%f : tensor<?x64xf32>) {
  ^bb0(%u: f32, %v: f32, %s: f32):
    %q = arith.mulf %u, %v : f32
    %t = arith.addf %s, %q : f32
    linalg.yield %t : f32
  } -> tensor<?x64xf32>
  %y = linalg.generic {indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel"]}
      ins(%p, %r : tensor<?x64xf32>, tensor<?x64xf32>) outs(%e : tensor<?x64xf32>) {
  ^bb0(%u: f32, %v: f32, %o: f32):
    %t = arith.mulf %u, %v : f32
    linalg.yield %t : f32
  } -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
)";

TEST(Rows, TwoMatmulsShareATile) {
  std::string error;
  auto kernels = LoadedKernels::compile(gated, "host", error, 2);
  ASSERT_TRUE(kernels) << error;
  EXPECT_EQ(kernels->image().kernels[0].plan.strategy, "contraction");
  AlignedBytes w(128 * 40 * 4);
  fill(w, 5);
  for (int64_t m : {1, 5, 29, 200}) {
    AlignedBytes x(m * 160), y(m * 256);
    fill(x, m);
    kernels->run("gated", {x.as<void>(), w.as<void>(), y.as<void>()}, {m});
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < 64; ++j) {
        double p = 0, r = 0;
        for (int64_t k = 0; k < 40; ++k) {
          p += double(x.as<float>()[i * 40 + k]) * w.as<float>()[j * 40 + k];
          r += double(x.as<float>()[i * 40 + k]) * w.as<float>()[(64 + j) * 40 + k];
        }
        ASSERT_NEAR(y.as<float>()[i * 64 + j], p * r, 1e-5) << m << " at " << i << ", " << j;
      }
  }
}

TEST(Image, SameBytesEveryTime) {
  std::string error;
  auto first = LoadedKernels::compile(softmax, "host", error);
  auto second = LoadedKernels::compile(softmax, "host", error);
  ASSERT_TRUE(first && second) << error;
  EXPECT_EQ(first->image().elf, second->image().elf);
}

TEST(Target, UnknownLevelsAreRefused) {
  EXPECT_EQ(getHostTarget("x86-64-v9").status().code(), ingot::ExitCode::Unsupported);
  EXPECT_TRUE(getHostTarget("host").ok());
}

} // namespace
