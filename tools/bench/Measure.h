//===- Measure.h - What the benchmarks of the host share ---------*- C++ -*-===//
//
// Time, two things timed in turns, and the rate at which threads read memory.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
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

/// Of two things that were timed in turns, how many times as long the first one takes.
struct Ratio {
  double median;    // of the rounds' own ratios: what slows a whole round is in both sides of it
  double low, high; // the median of ever more rounds lies between, with 95 % confidence
  double minima;    // of the least times
};

/// Element i of both are of round i. The bounds are ratios of rounds by their rank, so they hold
/// however times are spread; of fewer than six rounds they are the extremes.
inline Ratio compare(const std::vector<double> &times, const std::vector<double> &baseline) {
  std::vector<double> ratios;
  for (size_t i = 0; i < times.size(); ++i)
    ratios.push_back(times[i] / baseline[i]);
  std::sort(ratios.begin(), ratios.end());
  auto count = double(ratios.size());
  auto rank = size_t(std::max(0.0, std::floor((count - 1.96 * std::sqrt(count)) / 2)));
  size_t middle = ratios.size() / 2;
  double median = ratios.size() % 2 ? ratios[middle] : (ratios[middle - 1] + ratios[middle]) / 2;
  return {median, ratios[rank], ratios[ratios.size() - 1 - rank],
          *std::min_element(times.begin(), times.end()) /
              *std::min_element(baseline.begin(), baseline.end())};
}

} // namespace ingot::bench
