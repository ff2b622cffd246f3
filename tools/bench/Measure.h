//===- Measure.h - What the benchmarks of the host share ---------*- C++ -*-===//
//
// Time, the rate at which threads read memory, and a fair OpenBLAS.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cblas.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace ingot::bench {

inline double seconds(const std::function<void()> &work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Sums `count` floats, with the widest vectors there are: what is measured is the memory.
__attribute__((target_clones("avx512f", "avx2", "default"))) inline float
sumOf(const float *data, size_t count) {
  float sums[128] = {};
  for (const float *p = data; p + 128 <= data + count; p += 128)
    for (int i = 0; i < 128; ++i)
      sums[i] += p[i];
  float total = 0;
  for (float sum : sums)
    total += sum;
  return total;
}

/// Reads `count` floats with `threads` threads.
inline void stream(const float *data, size_t count, unsigned threads) {
  std::vector<std::thread> workers;
  auto part = [&](unsigned t) {
    volatile float sink = sumOf(data + count / threads * t, count / threads);
    (void)sink;
  };
  for (unsigned t = 1; t < threads; ++t)
    workers.emplace_back(part, t);
  part(0);
  for (std::thread &worker : workers)
    worker.join();
}

/// OpenBLAS takes CPUs that are newer than itself for the oldest it knows; a peer is measured with its
/// own best kernels. It reads the variable when it is loaded, so the process starts again.
inline void preferCurrentOpenBlasKernels(char **argv, bool avx512) {
  if (std::getenv("OPENBLAS_CORETYPE") || std::string(openblas_get_corename()) != "Prescott")
    return;
  setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 1);
  execv("/proc/self/exe", argv);
}

} // namespace ingot::bench
