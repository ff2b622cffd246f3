// linear.cu - The linear kernels against a plain loop, and their rates.
#include "codegen/cuda/kernels/linear.cuh"
#include "codegen/cuda/kernels/linear_sm90.cuh"
#include "test/gpu/Harness.cuh"

#include <cuda.h>

using namespace ingot;

template <int N, int K, typename T, int Vector> struct Config {
  static constexpr int kThreads = 256, kN = N, kK = K, kRowStride = K,
                       kTileM = sizeof(T) == 4 ? 64 : 128, kTileN = kTileM;
  static constexpr int kStages = 3, kWarpsM = sizeof(T) == 4 ? 4 : 2, kEpilogueVector = Vector,
                       kSharedBytes = 98304;
  static constexpr int kTilesAtOnce = N >= 8192 ? 2 : 1, kRingStages = 2;
};

template <typename T, int N, int Vector> struct Store {
  T *y;
  const T *bias;
  INGOT_DEVICE void operator()(i64 m, int n, float (&v)[Vector]) const {
    Pack<T, Vector> p, b = load_pack<T, Vector>(bias + n);
#pragma unroll
    for (int i = 0; i < Vector; ++i)
      p[i] = T(v[i] + float(b[i]));
    store_pack(y + m * N + n, p);
  }
};

template <int N, int K, typename T, int Vector>
__global__ void __launch_bounds__(256, 2)
    kernel(const T *x, const T *w, const T *bias, T *y, i64 m) {
  LinearStart<Config<N, K, T, Vector>, T> start(w, m);
  linear(start, x, w, m, m, Store<T, N, Vector>{y, bias});
}

template <typename T>
__global__ void reference(const T *x, const T *w, const T *bias, float *y, i64 m, int n, int k) {
  i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x;
  if (i >= m * n)
    return;
  double sum = 0;
  for (int j = 0; j < k; ++j)
    sum += float(x[i / n * k + j]) * float(w[i64(i % n) * k + j]);
  y[i] = float(sum) + float(bias[i % n]);
}

template <int N, int K, typename T, int Vector>
void run(const char *type, std::vector<i64> rows, double limit, std::vector<i64> timed = {}) {
  auto entry = kernel<N, K, T, Vector>;
  CHECK_CUDA(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, 98304));
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  int grid = device.multiProcessorCount * 2;
  size_t bytes = size_t(N) * K * sizeof(T);
  int copies = timed.empty() ? 1 : std::max<size_t>(1, (size_t(200) << 20) / bytes + 1);
  Buffer<T> w(size_t(N) * K * copies), bias(N);
  randomize(w, 1, 1.0f / std::sqrt(float(K)));
  randomize(bias, 2);
  for (i64 m : rows) {
    Buffer<T> x(m * K), y(m * N);
    Buffer<float> expected(m * N);
    randomize(x, unsigned(3 + m));
    y.poison();
    entry<<<grid, 256, 98304>>>(x.data, w.data, bias.data, y.data, m);
    CHECK_CUDA(cudaGetLastError());
    reference<<<unsigned((m * N + 255) / 256), 256>>>(x.data, w.data, bias.data, expected.data, m,
                                                      N, K);
    char what[128];
    snprintf(what, sizeof what, "linear %s M=%lld N=%d K=%d", type, m, N, K);
    expectClose(what, y, expected, limit);
  }
  for (i64 m : timed) {
    Buffer<T> x(m * K), y(m * N);
    randomize(x, unsigned(3 + m));
    double seconds = measure([&](int i) {
      entry<<<grid, 256, 98304>>>(x.data, w.data + size_t(i % copies) * N * K, bias.data, y.data,
                                  m);
    });
    double flops = 2.0 * m * N * K, moved = double(bytes) + double(m) * (N + K) * sizeof(T);
    printf("linear %-4s M=%-5lld N=%-6d K=%-5d %8.2f us  %7.1f GB/s  %6.1f TFLOP/s\n", type, m, N,
           K, seconds * 1e6, moved / seconds * 1e-9, flops / seconds * 1e-12);
  }
}

template <int N, int K, int TileN, int Vector> struct ConfigSm90 {
  static constexpr int kThreads = 384, kN = N, kK = K, kRowStride = K, kTileN = TileN;
  static constexpr int kStages = TileN == 256 ? 4 : 6, kEpilogueVector = Vector;
  static constexpr int kSharedBytes = 1024 + kStages * ((128 + TileN) * 128 + 16);
  static constexpr int kTilesAtOnce = N >= 8192 ? 2 : 1, kRingStages = 3;
};

template <int N, int K, typename T, int TileN, int Vector>
__global__ void __launch_bounds__(384, 1)
    kernel_sm90(const T *x, const T *w, const T *bias, T *y, i64 m,
                const __grid_constant__ TensorMap mapX, const __grid_constant__ TensorMap mapW) {
  LinearStart<ConfigSm90<N, K, TileN, Vector>, T> start(w, m);
  linear_sm90(start, x, w, &mapX, &mapW, m, m, Store<T, N, Vector>{y, bias});
}

/// A map of rows x columns 16-bit elements with boxes of 64 columns.
static TensorMap makeMap(const void *data, u64 rows, u64 columns, unsigned boxRows, bool isBf16) {
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
  TensorMap map;
  cuuint64_t dims[2] = {columns, rows}, strides[1] = {columns * 2};
  cuuint32_t box[2] = {64, boxRows}, steps[2] = {1, 1};
  CUresult result =
      encode(reinterpret_cast<CUtensorMap *>(&map),
             isBf16 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT16, 2,
             const_cast<void *>(data), dims, strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
             CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) {
    printf("cuTensorMapEncodeTiled: error %d\n", int(result));
    exit(1);
  }
  return map;
}

template <int N, int K, typename T, int TileN, int Vector>
void runSm90(const char *type, std::vector<i64> rows, double limit, std::vector<i64> timed = {}) {
  auto entry = kernel_sm90<N, K, T, TileN, Vector>;
  constexpr int kShared = ConfigSm90<N, K, TileN, Vector>::kSharedBytes;
  CHECK_CUDA(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared));
  constexpr bool isBf16 = std::is_same_v<T, bf16>;
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  size_t bytes = size_t(N) * K * sizeof(T);
  Buffer<T> w(size_t(N) * K), bias(N);
  randomize(w, 1, 1.0f / std::sqrt(float(K)));
  randomize(bias, 2);
  TensorMap mapW = makeMap(w.data, N, K, TileN, isBf16);
  for (i64 m : rows) {
    Buffer<T> x(m * K), y(m * N);
    Buffer<float> expected(m * N);
    randomize(x, unsigned(3 + m));
    y.poison();
    TensorMap mapX = makeMap(x.data, m, K, 128, isBf16);
    entry<<<device.multiProcessorCount, 384, kShared>>>(x.data, w.data, bias.data, y.data, m, mapX,
                                                        mapW);
    CHECK_CUDA(cudaGetLastError());
    reference<<<unsigned((m * N + 255) / 256), 256>>>(x.data, w.data, bias.data, expected.data, m,
                                                      N, K);
    char what[128];
    snprintf(what, sizeof what, "linear_sm90 %s M=%lld N=%d K=%d tile %d", type, m, N, K, TileN);
    expectClose(what, y, expected, limit);
  }
  for (i64 m : timed) {
    Buffer<T> x(m * K), y(m * N);
    randomize(x, unsigned(3 + m));
    TensorMap mapX = makeMap(x.data, m, K, 128, isBf16);
    double seconds = measure([&](int) {
      entry<<<device.multiProcessorCount, 384, kShared>>>(x.data, w.data, bias.data, y.data, m,
                                                          mapX, mapW);
    });
    double flops = 2.0 * m * N * K, moved = double(bytes) + double(m) * (N + K) * sizeof(T);
    printf("linear_sm90 %-4s tile %d M=%-5lld N=%-6d K=%-5d %8.2f us  %7.1f GB/s  %6.1f TFLOP/s\n",
           type, TileN, m, N, K, seconds * 1e6, moved / seconds * 1e-9, flops / seconds * 1e-12);
  }
}

/// With an argument, only compares, and only what is small (for compute-sanitizer).
int main(int argc, char **) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    printf("skipped: no CUDA device\n");
    return 77;
  }
  std::vector<i64> rows{1, 2, 15, 16, 17, 33, 64, 65, 127, 129, 300};
  run<384, 384, bf16, 8>("bf16", rows, 6e-3);
  run<200, 72, bf16, 8>("bf16", rows, 6e-3);
  run<97, 48, bf16, 1>("bf16", rows, 6e-3);
  run<1000, 1096, f16, 8>("f16", rows, 2e-3);
  run<384, 384, float, 4>("f32", rows, 2e-6);
  run<97, 100, float, 1>("f32", rows, 2e-6);
  run<136, 2052, float, 4>("f32", rows, 2e-6);
  if (argc == 1) {
    std::vector<i64> few{1, 16, 32}, all{1, 16, 64, 512, 4096};
    run<3072, 2048, bf16, 8>("bf16", {1}, 6e-3, few);
    run<2048, 2048, bf16, 8>("bf16", {16}, 6e-3, few);
    run<2048, 8192, bf16, 8>("bf16", {4}, 6e-3, few);
    run<16384, 2048, bf16, 8>("bf16", {4}, 6e-3, few);
    run<128256, 2048, bf16, 8>("bf16", {2}, 6e-3, few);
    run<4096, 4096, bf16, 8>("bf16", {3, 4096}, 6e-3, all);
    run<28672, 4096, bf16, 8>("bf16", {3}, 6e-3, all);
    run<4096, 4096, float, 4>("f32", {100}, 2e-6, {1, 512});
  }
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  if (device.major == 9) {
    runSm90<384, 384, bf16, 128, 8>("bf16", rows, 6e-3);
    runSm90<200, 72, bf16, 256, 8>("bf16", rows, 6e-3);
    runSm90<1000, 1096, f16, 256, 8>("f16", rows, 2e-3);
  }
  if (device.major == 9 && argc == 1) {
    runSm90<4096, 4096, bf16, 256, 8>("bf16", {333}, 6e-3, {1, 16, 512, 4096});
    runSm90<4096, 4096, bf16, 128, 8>("bf16", {333}, 6e-3, {512, 4096});
    runSm90<28672, 4096, bf16, 256, 8>("bf16", {70}, 6e-3, {1, 512, 4096});
    runSm90<4096, 14336, bf16, 256, 8>("bf16", {70}, 6e-3, {1, 4096});
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
