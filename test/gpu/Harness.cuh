// Harness.cuh - Checks and timings of device-library kernels on the GPU that is present.
#pragma once

#include "codegen/cuda/math.cuh"

#include "codegen/cuda/ptx/barrier.cuh"
#include "codegen/cuda/types.cuh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cuda.h>
#include <functional>
#include <initializer_list>
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
/// Whether everything runs twice, for the same bits; not under compute-sanitizer.
inline bool repeated = true;

/// The exit code of a check that cannot run here.
constexpr int kSkipped = 77;

/// Is there a GPU of this generation or a later one? If not, says so.
inline bool haveDevice(int major = 0) {
  int devices = 0;
  cudaDeviceProp device;
  bool any = cudaGetDeviceCount(&devices) == cudaSuccess && devices != 0;
  if (any)
    CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  if (any && device.major >= major)
    return true;
  printf(any ? "skipped: the GPU is older than sm_%d0\n" : "skipped: no CUDA device\n", major);
  return false;
}

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

/// How the copy engine sees 8- or 16-bit elements at `data`: `dims` the innermost first, the bytes
/// from one to the next of all but that, and the box that it copies at once, swizzled by 128 bytes.
template <typename T>
ingot::TensorMap makeTensorMap(const T *data, std::initializer_list<cuuint64_t> dims,
                               std::initializer_list<cuuint64_t> strides,
                               std::initializer_list<cuuint32_t> box) {
  using Encode = CUresult (*)(CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *,
                              const cuuint64_t *, const cuuint64_t *, const cuuint32_t *,
                              const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,
                              CUtensorMapL2promotion, CUtensorMapFloatOOBfill);
  static Encode encode = [] {
    void *function = nullptr;
    cudaDriverEntryPointQueryResult found;
    CHECK_CUDA(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000,
                                                cudaEnableDefault, &found));
    return reinterpret_cast<Encode>(function);
  }();
  ingot::TensorMap map;
  const cuuint32_t steps[5] = {1, 1, 1, 1, 1};
  CUresult result =
      encode(reinterpret_cast<CUtensorMap *>(&map),
             sizeof(T) == 1                   ? CU_TENSOR_MAP_DATA_TYPE_UINT8
             : std::is_same_v<T, ingot::bf16> ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                              : CU_TENSOR_MAP_DATA_TYPE_FLOAT16,
             cuuint32_t(dims.size()), const_cast<T *>(data), dims.begin(), strides.begin(),
             box.begin(), steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    printf("cuTensorMapEncodeTiled: error %d\n", int(result));
    exit(1);
  }
  return map;
}

/// The epilogue y = x W^T + bias of linear kernels.
template <typename T, int N, int Vector, typename To = T *> struct StoreBias {
  To y;
  const T *bias;
  INGOT_DEVICE void operator()(ingot::i64 m, int n, const float (&v)[Vector]) const {
    ingot::Pack<T, Vector> p, b = ingot::load_pack<T, Vector>(bias + n);
#pragma unroll
    for (int i = 0; i < Vector; ++i)
      p[i] = T(v[i] + float(b[i]));
    store_pack(y + (m * N + n), p);
  }
  // For gemm_out_sm90.cuh.
  using Result = T;
  static constexpr int kResults = 8;
  static constexpr bool kBeside = false;
  INGOT_DEVICE const T *beside(ingot::i64, int) const { return nullptr; }
  template <typename Taker, typename Giver>
  INGOT_DEVICE StoreBias<T, N, Vector, Taker> staged(Taker taker, Giver) const {
    return {taker, bias};
  }
};

/// The same as a loop; rows of x are `stride` apart.
template <typename T>
__global__ void linearReference(const T *x, const T *w, const T *bias, float *y, ingot::i64 m,
                                int n, int k, int stride) {
  const ingot::i64 i = blockIdx.x * ingot::i64(blockDim.x) + threadIdx.x;
  if (i >= m * n)
    return;
  double sum = 0;
  for (int j = 0; j < k; ++j)
    sum += double(float(x[i / n * stride + j])) * float(w[ingot::i64(i % n) * k + j]);
  y[i] = float(sum) + float(bias[i % n]);
}
