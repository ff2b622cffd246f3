//===- AttentionTest.cpp - Matmuls inside a body's own loops --------------===//
//
// Attention of packed rows, written as loops over rows, heads and blocks of queries: what the
// blockwise decomposition gives, by hand and for one shape.
//
//===----------------------------------------------------------------------===//
#include "test/codegen/host/KernelRunner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

using namespace ingot::host;

namespace {

constexpr const char *attention = R"(
#qk_q = affine_map<(m, n, k) -> (m, k)>
#qk_k = affine_map<(m, n, k) -> (n, k)>
#qk_s = affine_map<(m, n, k) -> (m, n)>
#pv_v = affine_map<(m, n, k) -> (k, n)>
#id1 = affine_map<(d0) -> (d0)>
#id2 = affine_map<(d0, d1) -> (d0, d1)>
#row = affine_map<(d0, d1) -> (d0)>
#sc = affine_map<(d0) -> ()>
func.func @attn(%q: tensor<?x192xf32> {ingot.sizes = [0]}, %k: tensor<?x192xf32> {ingot.sizes = [0]},
    %v: tensor<?x192xf32> {ingot.sizes = [0]}, %cu: tensor<5xi32>) -> (tensor<?x192xf32> {ingot.sizes = [0]})
    attributes {ingot.size_max = [2048]} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c32 = arith.constant 32 : index
  %c96 = arith.constant 96 : index
  %scale = arith.constant 0.125 : f32
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  %lowest = arith.constant -3.4e38 : f32
  %t = tensor.dim %q, %c0 : tensor<?x192xf32>
  %qh = tensor.expand_shape %q [[0], [1, 2]] output_shape [%t, 3, 64] : tensor<?x192xf32> into tensor<?x3x64xf32>
  %kh = tensor.expand_shape %k [[0], [1, 2]] output_shape [%t, 3, 64] : tensor<?x192xf32> into tensor<?x3x64xf32>
  %vh = tensor.expand_shape %v [[0], [1, 2]] output_shape [%t, 3, 64] : tensor<?x192xf32> into tensor<?x3x64xf32>
  %empty = tensor.empty(%t) : tensor<?x3x64xf32>
  %r = scf.forall (%b, %h, %s) = (0, 0, 0) to (4, 3, %t) step (1, 1, 96) shared_outs(%o = %empty) -> (tensor<?x3x64xf32>) {
    %b1 = arith.addi %b, %c1 : index
    %begin32 = tensor.extract %cu[%b] : tensor<5xi32>
    %end32 = tensor.extract %cu[%b1] : tensor<5xi32>
    %begin0 = arith.index_cast %begin32 : i32 to index
    %end0 = arith.index_cast %end32 : i32 to index
    %begin1 = arith.maxsi %begin0, %c0 : index
    %begin = arith.minsi %begin1, %t : index
    %end1 = arith.maxsi %end0, %begin : index
    %end = arith.minsi %end1, %t : index
    %len0 = arith.subi %end, %begin : index
    %len = arith.minsi %len0, %t : index
    %left = arith.subi %len, %s : index
    %left0 = arith.maxsi %left, %c0 : index
    %n = arith.minsi %left0, %c96 : index
    %from0 = arith.addi %begin, %s : index
    %from = arith.minsi %from0, %t : index
    %empty_row = arith.cmpi eq, %n, %c0 : index
    %last = arith.addi %s, %n : index
    %last1 = arith.minsi %last, %len : index
    %keys = arith.select %empty_row, %c0, %last1 : index
    %width = affine.apply affine_map<()[s0] -> (s0 ceildiv 32 * 32)>()[%keys]
    // queries, scaled
    %qs = tensor.extract_slice %qh[%from, %h, 0] [%n, 1, 64] [1, 1, 1] : tensor<?x3x64xf32> to tensor<?x64xf32>
    %qe = tensor.empty(%n) : tensor<?x64xf32>
    %qt = linalg.generic {indexing_maps = [#id2, #id2], iterator_types = ["parallel", "parallel"]} ins(%qs : tensor<?x64xf32>) outs(%qe : tensor<?x64xf32>) {
      ^bb0(%x: f32, %y: f32):
        %z = arith.mulf %x, %scale : f32
        linalg.yield %z : f32
    } -> tensor<?x64xf32>
    %se = tensor.empty(%n, %width) : tensor<?x?xf32>
    %scores = scf.for %c = %c0 to %keys step %c32 iter_args(%sc = %se) -> (tensor<?x?xf32>) {
      %kn = affine.min affine_map<(d0)[s0] -> (32, s0 - d0)>(%c)[%keys]
      %kfrom = arith.addi %begin, %c : index
      %ks = tensor.extract_slice %kh[%kfrom, %h, 0] [%kn, 1, 64] [1, 1, 1] : tensor<?x3x64xf32> to tensor<?x64xf32>
      %st = tensor.extract_slice %sc[0, %c] [%n, %kn] [1, 1] : tensor<?x?xf32> to tensor<?x?xf32>
      %sf = linalg.fill ins(%zero : f32) outs(%st : tensor<?x?xf32>) -> tensor<?x?xf32>
      %sm = linalg.generic {indexing_maps = [#qk_q, #qk_k, #qk_s], iterator_types = ["parallel", "parallel", "reduction"]} ins(%qt, %ks : tensor<?x64xf32>, tensor<?x64xf32>) outs(%sf : tensor<?x?xf32>) {
        ^bb0(%x: f32, %y: f32, %a: f32):
          %p = arith.mulf %x, %y : f32
          %w = arith.addf %a, %p : f32
          linalg.yield %w : f32
      } -> tensor<?x?xf32>
      %si = tensor.insert_slice %sm into %sc[0, %c] [%n, %kn] [1, 1] : tensor<?x?xf32> into tensor<?x?xf32>
      scf.yield %si : tensor<?x?xf32>
    }
    %ie = tensor.empty(%n) : tensor<?xf32>
    %soft:2 = scf.for %i = %c0 to %n step %c1 iter_args(%sc = %scores, %inv = %ie) -> (tensor<?x?xf32>, tensor<?xf32>) {
      %pos = arith.addi %s, %i : index
      %pos1 = arith.addi %pos, %c1 : index
      %vis = arith.minsi %pos1, %keys : index
      %x = tensor.extract_slice %sc[%i, 0] [1, %vis] [1, 1] : tensor<?x?xf32> to tensor<?xf32>
      %m0 = tensor.empty() : tensor<f32>
      %m1 = linalg.fill ins(%lowest : f32) outs(%m0 : tensor<f32>) -> tensor<f32>
      %max = linalg.generic {indexing_maps = [#id1, #sc], iterator_types = ["reduction"]} ins(%x : tensor<?xf32>) outs(%m1 : tensor<f32>) {
        ^bb0(%e: f32, %a: f32):
          %z = arith.maximumf %e, %a : f32
          linalg.yield %z : f32
      } -> tensor<f32>
      %ex = linalg.generic {indexing_maps = [#sc, #id1], iterator_types = ["parallel"]} ins(%max : tensor<f32>) outs(%x : tensor<?xf32>) {
        ^bb0(%a: f32, %e: f32):
          %d = arith.subf %e, %a : f32
          %z = math.exp %d : f32
          linalg.yield %z : f32
      } -> tensor<?xf32>
      %u1 = linalg.fill ins(%zero : f32) outs(%m0 : tensor<f32>) -> tensor<f32>
      %sum = linalg.generic {indexing_maps = [#id1, #sc], iterator_types = ["reduction"]} ins(%ex : tensor<?xf32>) outs(%u1 : tensor<f32>) {
        ^bb0(%e: f32, %a: f32):
          %z = arith.addf %a, %e : f32
          linalg.yield %z : f32
      } -> tensor<f32>
      %sumv = tensor.extract %sum[] : tensor<f32>
      %invv = arith.divf %one, %sumv : f32
      %inv1 = tensor.insert %invv into %inv[%i] : tensor<?xf32>
      %sc1 = tensor.insert_slice %ex into %sc[%i, 0] [1, %vis] [1, 1] : tensor<?xf32> into tensor<?x?xf32>
      %hid = arith.subi %keys, %vis : index
      %rest = tensor.extract_slice %sc1[%i, %vis] [1, %hid] [1, 1] : tensor<?x?xf32> to tensor<?xf32>
      %none = linalg.fill ins(%zero : f32) outs(%rest : tensor<?xf32>) -> tensor<?xf32>
      %sc2 = tensor.insert_slice %none into %sc1[%i, %vis] [1, %hid] [1, 1] : tensor<?xf32> into tensor<?x?xf32>
      scf.yield %sc2, %inv1 : tensor<?x?xf32>, tensor<?xf32>
    }
    %p = tensor.extract_slice %soft#0[0, 0] [%n, %keys] [1, 1] : tensor<?x?xf32> to tensor<?x?xf32>
    %vs = tensor.extract_slice %vh[%begin, %h, 0] [%keys, 1, 64] [1, 1, 1] : tensor<?x3x64xf32> to tensor<?x64xf32>
    %of = linalg.fill ins(%zero : f32) outs(%qe : tensor<?x64xf32>) -> tensor<?x64xf32>
    %om = linalg.generic {indexing_maps = [#qk_q, #pv_v, #qk_s], iterator_types = ["parallel", "parallel", "reduction"]} ins(%p, %vs : tensor<?x?xf32>, tensor<?x64xf32>) outs(%of : tensor<?x64xf32>) {
      ^bb0(%x: f32, %y: f32, %a: f32):
        %pr = arith.mulf %x, %y : f32
        %w = arith.addf %a, %pr : f32
        linalg.yield %w : f32
    } -> tensor<?x64xf32>
    %od = tensor.extract_slice %o[%from, %h, 0] [%n, 1, 64] [1, 1, 1] : tensor<?x3x64xf32> to tensor<?x64xf32>
    %on = linalg.generic {indexing_maps = [#id2, #row, #id2], iterator_types = ["parallel", "parallel"]} ins(%om, %soft#1 : tensor<?x64xf32>, tensor<?xf32>) outs(%od : tensor<?x64xf32>) {
      ^bb0(%x: f32, %y: f32, %a: f32):
        %z = arith.mulf %x, %y : f32
        linalg.yield %z : f32
    } -> tensor<?x64xf32>
    scf.forall.in_parallel {
      tensor.parallel_insert_slice %on into %o[%from, %h, 0] [%n, 1, 64] [1, 1, 1] : tensor<?x64xf32> into tensor<?x3x64xf32>
    }
  }
  %out = tensor.collapse_shape %r [[0], [1, 2]] : tensor<?x3x64xf32> into tensor<?x192xf32>
  return %out : tensor<?x192xf32>
}
)";

constexpr int64_t heads = 3, width = 64, columns = heads * width;

void fill(AlignedBytes &bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-2, 2);
  for (size_t i = 0; i < bytes.size() / 4; ++i)
    bytes.as<float>()[i] = uniform(random);
}

struct Case {
  AlignedBytes q, k, v, cu;
  std::vector<int32_t> ends{0};
  int64_t tokens = 0;

  explicit Case(const std::vector<int32_t> &lengths)
      : q(sum(lengths) * columns * 4), k(q.size()), v(q.size()), cu(20), tokens(sum(lengths)) {
    for (int32_t length : lengths)
      ends.push_back(ends.back() + length);
    std::memcpy(cu.as<void>(), ends.data(), 20);
    fill(q, 1);
    fill(k, 2);
    fill(v, 3);
  }
  static int64_t sum(const std::vector<int32_t> &lengths) {
    int64_t total = 0;
    for (int32_t length : lengths)
      total += length;
    return total;
  }
  void run(LoadedKernels &kernels, AlignedBytes &out) {
    kernels.run("attn",
                {q.as<void>(), k.as<void>(), v.as<void>(), cu.as<void>(), out.as<void>()},
                {tokens});
  }
  /// softmax(q . k / 8) v of token `i` of row `row`, in f64.
  void expected(int64_t row, int64_t i, int64_t head, double *out) {
    auto at = [&](AlignedBytes &x, int64_t token) {
      return x.as<float>() + (ends[row] + token) * columns + head * width;
    };
    std::vector<double> p(i + 1);
    double most = -1e30, total = 0;
    for (int64_t j = 0; j <= i; ++j) {
      for (int64_t d = 0; d < width; ++d)
        p[j] += double(at(q, i)[d]) * at(k, j)[d];
      most = std::max(most, p[j] *= 0.125);
    }
    for (double &x : p)
      total += x = std::exp(x - most);
    for (int64_t d = 0; d < width; ++d) {
      out[d] = 0;
      for (int64_t j = 0; j <= i; ++j)
        out[d] += p[j] / total * at(v, j)[d];
    }
  }
};

TEST(Attention, RowsOfAnyLengthWhateverTheThreads) {
  std::string error;
  auto one = LoadedKernels::compile(attention, "host", error, 1);
  ASSERT_TRUE(one) << error;
  auto two = LoadedKernels::compile(attention, "host", error, 2);
  ASSERT_TRUE(two) << error;
  EXPECT_EQ(one->image().kernels[0].plan.strategy, "forall");
  for (std::vector<int32_t> lengths : {std::vector<int32_t>{1, 0, 0, 0},
                                       {33, 0, 12, 1},
                                       {97, 31, 64, 5},
                                       {0, 200, 0, 13}}) {
    Case test(lengths);
    AlignedBytes out(test.q.size()), again(test.q.size());
    test.run(*one, out);
    test.run(*two, again);
    ASSERT_EQ(std::memcmp(out.as<void>(), again.as<void>(), out.size()), 0);
    double wanted[width];
    for (int64_t row = 0; row < 4; ++row)
      for (int64_t i = 0; i < lengths[row]; ++i)
        for (int64_t head = 0; head < heads; ++head) {
          test.expected(row, i, head, wanted);
          for (int64_t d = 0; d < width; ++d)
            ASSERT_NEAR(out.as<float>()[(test.ends[row] + i) * columns + head * width + d],
                        wanted[d], 2e-6)
                << "row " << row << " token " << i << " head " << head;
        }
  }
}

TEST(Attention, ARowIsTheSameAloneAndInABatch) {
  std::string error;
  auto kernels = LoadedKernels::compile(attention, "host", error, 2);
  ASSERT_TRUE(kernels) << error;
  Case batch({70, 45, 0, 9}), alone({45, 0, 0, 0});
  for (auto [from, to] : {std::pair(&batch.q, &alone.q), {&batch.k, &alone.k}, {&batch.v, &alone.v}})
    std::memcpy(to->as<float>(), from->as<float>() + 70 * columns, 45 * columns * 4);
  AlignedBytes out(batch.q.size()), part(alone.q.size());
  batch.run(*kernels, out);
  alone.run(*kernels, part);
  EXPECT_EQ(std::memcmp(out.as<float>() + 70 * columns, part.as<float>(), part.size()), 0);
}

} // namespace
