//===- Measure.h - What the benchmarks of the host share ---------*- C++ -*-===//
//
// Time, and the rate at which threads read memory.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>
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

/// What repeated runs took.
struct Times {
  double low, median, high;
};

inline Times summarize(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {seconds.front(), seconds[seconds.size() / 2], seconds.back()};
}

} // namespace ingot::bench
