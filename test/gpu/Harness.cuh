// Harness.cuh - Checks and timings of device-library kernels on the GPU that is present.
#pragma once

#include "codegen/cuda/math.cuh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <vector>

#define CHECK_CUDA(call)                                                                           \
  do {                                                                                             \
    cudaError_t error_ = (call);                                                                   \
    if (error_ != cudaSuccess) {                                                                   \
      printf("%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(error_));            \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

inline int failures = 0, checks = 0;

/// Device memory with canaries behind it.
template <typename T> struct Buffer {
  T *data = nullptr;
  size_t count;
  explicit Buffer(size_t count) : count(count) { CHECK_CUDA(cudaMalloc(&data, count * sizeof(T))); }
  Buffer(const Buffer &) = delete;
  ~Buffer() { cudaFree(data); }
  /// Every byte 0xff: NaN in any float type.
  void poison() { CHECK_CUDA(cudaMemset(data, 0xff, count * sizeof(T))); }
  std::vector<T> download() const {
    std::vector<T> host(count);
    CHECK_CUDA(cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost));
    return host;
  }
  void upload(const std::vector<T> &host) {
    CHECK_CUDA(cudaMemcpy(data, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
};

template <typename T>
__global__ void fill_random(T *data, size_t count, unsigned seed, float scale) {
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count;
       i += size_t(gridDim.x) * blockDim.x) {
    unsigned long long z = (i + 1) * 0x9e3779b97f4a7c15ull + seed * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    data[i] = T((float(z >> 40) / 8388608.0f - 1.0f) * scale);
  }
}
template <typename T> void randomize(Buffer<T> &buffer, unsigned seed, float scale = 1) {
  fill_random<<<1024, 256>>>(buffer.data, buffer.count, seed, scale);
  CHECK_CUDA(cudaGetLastError());
}

template <typename T>
__global__ void difference(const T *got, const float *expected, size_t count, double *sums) {
  double error = 0, norm = 0;
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count;
       i += size_t(gridDim.x) * blockDim.x) {
    double d = double(float(got[i])) - expected[i];
    error += d == d ? d * d : 1e30;
    norm += double(expected[i]) * expected[i];
  }
  atomicAdd(sums, error);
  atomicAdd(sums + 1, norm);
}

/// Relative error by norms; counts and prints a failure past `limit`. NaN never passes.
template <typename T>
double expectClose(const char *what, const Buffer<T> &got, const Buffer<float> &expected,
                   double limit) {
  Buffer<double> sums(2);
  CHECK_CUDA(cudaMemset(sums.data, 0, 16));
  difference<<<256, 256>>>(got.data, expected.data, expected.count, sums.data);
  CHECK_CUDA(cudaDeviceSynchronize());
  std::vector<double> host = sums.download();
  double relative = std::sqrt(host[0] / host[1]);
  ++checks;
  if (!(relative <= limit)) {
    ++failures;
    printf("FAIL %s: relative error %.3g, expected at most %.3g\n", what, relative, limit);
  }
  return relative;
}

/// Median seconds of a launch.
inline double measure(const std::function<void(int)> &launch, int repeats = 30) {
  cudaEvent_t start, stop;
  CHECK_CUDA(cudaEventCreate(&start));
  CHECK_CUDA(cudaEventCreate(&stop));
  for (int i = 0; i < 5; ++i)
    launch(i);
  std::vector<float> times;
  for (int i = 0; i < repeats; ++i) {
    CHECK_CUDA(cudaEventRecord(start));
    for (int j = 0; j < 4; ++j)
      launch(i * 4 + j);
    CHECK_CUDA(cudaEventRecord(stop));
    CHECK_CUDA(cudaEventSynchronize(stop));
    float ms;
    CHECK_CUDA(cudaEventElapsedTime(&ms, start, stop));
    times.push_back(ms / 4);
  }
  CHECK_CUDA(cudaGetLastError());
  std::sort(times.begin(), times.end());
  return times[times.size() / 2] * 1e-3;
}
