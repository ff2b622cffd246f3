//===- host_bench.cpp - Host kernels against OpenBLAS and the memory ------===//
//
//   host-bench [--threads N] [--seconds S]
//
// Prints, from one run: GFLOP/s of our matmul kernels and of OpenBLAS sgemm on the same threads for
// the shapes of MiniLM; and GB/s of our one-row matmuls (decode) beside the rate at which the same
// threads read memory. Ours and the peer's repetitions alternate; the figures are the best of each
// and the spread of the ratio over the repetitions.
//
//===----------------------------------------------------------------------===//
#include "test/codegen/host/KernelRunner.h"
#include "tools/bench/Measure.h"
#include "tools/bench/OpenBlas.h"

#include <cblas.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>

using namespace ingot;
using namespace ingot::host;
using namespace ingot::bench;

namespace {

/// y[M, N] = x[M, K] W[N, K]^T with W in panels of 32 columns, as select lays weights out.
std::string matmulSource(int64_t k, int64_t n, int64_t columns) {
  auto type = [](std::initializer_list<std::string> dims) {
    std::string text = "tensor<";
    for (const std::string &dim : dims)
      text += dim + "x";
    return text + "f32>";
  };
  auto s = [](int64_t value) { return std::to_string(value); };
  std::string x = type({"?", s(k)}), y = type({"?", s(n)}), w = type({s(n), s(k)}),
              packed = type({s((n + columns - 1) / columns), s(k), s(columns)});
  return "#x = affine_map<(m, n, k) -> (m, k)>\n#w = affine_map<(m, n, k) -> (n, k)>\n"
         "#y = affine_map<(m, n, k) -> (m, n)>\n"
         "func.func @matmul(%x: " + x + " {ingot.sizes = [0]}, %p: " + packed + ") -> (" + y +
         " {ingot.sizes = [0]}) attributes {ingot.size_max = [4096]} {\n"
         "  %zero = arith.constant 0.0 : f32\n  %c0 = arith.constant 0 : index\n"
         "  %m = tensor.dim %x, %c0 : " + x + "\n  %plain = tensor.empty() : " + w + "\n"
         "  %w = linalg.unpack %p inner_dims_pos = [0] inner_tiles = [" + s(columns) +
         "] into %plain : " + packed + " -> " + w + "\n"
         "  %empty = tensor.empty(%m) : " + y + "\n"
         "  %init = linalg.fill ins(%zero : f32) outs(%empty : " + y + ") -> " + y + "\n"
         "  %r = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = [\"parallel\", "
         "\"parallel\", \"reduction\"]} ins(%x, %w : " + x + ", " + w + ") outs(%init : " + y + ") {\n"
         "  ^bb0(%a: f32, %b: f32, %c: f32):\n    %q = arith.mulf %a, %b : f32\n"
         "    %s = arith.addf %c, %q : f32\n    linalg.yield %s : f32\n  } -> " + y + "\n"
         "  return %r : " + y + "\n}\n";
}

void fill(AlignedBytes &bytes, unsigned seed) {
  std::minstd_rand random(seed);
  for (size_t i = 0; i < bytes.size() / 4; ++i)
    bytes.as<float>()[i] = float(int32_t(random() % 2001) - 1000) / 1000;
}

struct Pair {
  double ours = 1e30, peer = 1e30, low = 1e30, high = 0;
};

/// Alternates `ours` and `peer` for `budget` seconds.
Pair compare(double budget, const std::function<void()> &ours, const std::function<void()> &peer) {
  Pair result;
  ours();
  peer();
  double spent = 0;
  for (int i = 0; i < 5 || spent < budget; ++i) {
    double a = seconds(ours), b = seconds(peer);
    result.ours = std::min(result.ours, a);
    result.peer = std::min(result.peer, b);
    result.low = std::min(result.low, b / a);
    result.high = std::max(result.high, b / a);
    spent += a + b;
  }
  return result;
}

std::unique_ptr<LoadedKernels> compileMatmul(int64_t k, int64_t n, unsigned threads) {
  std::string error;
  auto kernels = LoadedKernels::compile(matmulSource(k, n, 32), "host", error, threads);
  if (!kernels) {
    std::fprintf(stderr, "host-bench: %s\n", error.c_str());
    std::exit(1);
  }
  return kernels;
}

void benchMatmul(int64_t m, int64_t k, int64_t n, unsigned threads, double budget) {
  auto kernels = compileMatmul(k, n, threads);
  AlignedBytes x(m * k * 4), w(n * k * 4), packed(n * k * 4), y(m * n * 4), z(m * n * 4);
  fill(x, 1);
  fill(w, 2);
  for (int64_t j = 0; j < n; ++j)
    for (int64_t l = 0; l < k; ++l)
      packed.as<float>()[(j / 32 * k + l) * 32 + j % 32] = w.as<float>()[j * k + l];
  Pair times = compare(
      budget, [&] { kernels->run("matmul", {x.as<void>(), packed.as<void>(), y.as<void>()}, {m}); },
      [&] {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, x.as<float>(), k,
                    w.as<float>(), k, 0, z.as<float>(), n);
      });
  double difference = 0;
  for (int64_t i = 0; i < m * n; ++i)
    difference = std::max<double>(difference, std::abs(y.as<float>()[i] - z.as<float>()[i]));
  double flop = 2.0 * m * k * n * 1e-9;
  std::printf("matmul %5ld x %5ld x %5ld   ours %7.1f GFLOP/s   OpenBLAS %7.1f GFLOP/s   ratio %.2f "
              "(%.2f to %.2f)   max difference %.1e\n",
              long(m), long(k), long(n), flop / times.ours, flop / times.peer,
              times.peer / times.ours, times.low, times.high, difference);
}

void benchGemv(int64_t k, int64_t n, unsigned threads, double budget) {
  auto kernels = compileMatmul(k, n, threads);
  // Enough matrices that none is left in a cache when its turn comes again.
  int64_t bytes = n * k * 4, copies = std::max<int64_t>(1, (768ll << 20) / bytes);
  AlignedBytes x(k * 4), y(n * 4), w(bytes * copies);
  fill(x, 1);
  fill(w, 2);
  Pair times = compare(
      budget,
      [&] {
        for (int64_t i = 0; i < copies; ++i)
          kernels->run("matmul",
                       {x.as<void>(), w.as<char>() + i * bytes, y.as<void>()}, {1});
      },
      [&] { stream(w.as<float>(), w.size() / 4, threads); });
  double gigabytes = 1e-9 * double(bytes) * copies;
  std::printf("gemv       1 x %5ld x %5ld   ours %7.1f GB/s      stream   %7.1f GB/s      ratio %.2f "
              "(%.2f to %.2f)\n",
              long(k), long(n), gigabytes / times.ours, gigabytes / times.peer,
              times.peer / times.ours, times.low, times.high);
}

} // namespace

int main(int argc, char **argv) {
  unsigned threads = 2;
  double budget = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (!std::strcmp(argv[i], "--threads"))
      threads = std::max(1, std::atoi(argv[i + 1]));
    if (!std::strcmp(argv[i], "--seconds"))
      budget = std::atof(argv[i + 1]);
  }
  Result<HostTarget> target = getHostTarget("host");
  if (target.ok())
    preferCurrentOpenBlasKernels(argv, target->lanes == 16);
  openblas_set_num_threads(threads);
  std::printf("%u threads, f32; OpenBLAS kernels: %s\n", threads, openblas_get_corename());
  for (int64_t k : {384, 1536})
    for (int64_t n : {384, 1536})
      if (k != 1536 || n != 1536)
        benchMatmul(1024, k, n, threads, budget);
  benchMatmul(8, 576, 1536, threads, budget);
  benchMatmul(100, 576, 576, threads, budget);
  for (auto [k, n] : {std::pair<int64_t, int64_t>{576, 576}, {576, 1536}, {1536, 576}, {576, 49152}})
    benchGemv(k, n, threads, budget);
  return 0;
}
