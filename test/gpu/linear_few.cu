// linear_few.cu - The linear kernel of few tokens against a plain loop, and its rates.
#include "codegen/cuda/kernels/linear_few.cuh"
#include "test/gpu/Harness.cuh"

#include <cuda.h>

using namespace ingot;

template <int N, int K, int TileRows, int Stages, int TokenTiles, int Vector> struct Config {
  static constexpr int kThreads = 256, kN = N, kK = K, kRowStride = K, kTileRows = TileRows;
  static constexpr int kRingStages = Stages, kTokenTiles = TokenTiles, kEpilogueVector = Vector;
  static constexpr int kSharedBytes =
      1024 + 8 * Stages * (TileRows * 128 + 8) + 8 * TokenTiles * 16 * TileRows * 4;
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

template <typename C, typename T>
__global__ void __launch_bounds__(256, 2)
    kernel(const T *x, const __grid_constant__ TensorMap map, const T *bias, T *y, i64 m) {
#if __CUDA_ARCH__ >= 900
  FewRing<C, T> ring(&map);
  linear_few<C, T>(x, m, Store<T, C::kN, C::kEpilogueVector>{y, bias}, ring);
#endif
}

template <typename T>
__global__ void reference(const T *x, const T *w, const T *bias, float *y, i64 m, int n, int k) {
  const i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x;
  if (i >= m * n)
    return;
  double sum = 0;
  for (int j = 0; j < k; ++j)
    sum += double(float(x[i / n * k + j])) * float(w[i64(i % n) * k + j]);
  y[i] = float(sum) + float(bias[i % n]);
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

template <int N, int K, typename T, int TileRows, int Stages, int TokenTiles, int Vector = 8>
void run(const char *type, std::vector<i64> rows, double limit, std::vector<i64> timed = {}) {
  using C = Config<N, K, TileRows, Stages, TokenTiles, Vector>;
  auto entry = kernel<C, T>;
  CHECK_CUDA(
      cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes));
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  const int grid = device.multiProcessorCount;
  const size_t bytes = size_t(N) * K * sizeof(T);
  const int copies = timed.empty() ? 1 : int(std::max<size_t>(1, (size_t(200) << 20) / bytes + 1));
  Buffer<T> w(size_t(N) * K * copies), bias(N);
  randomize(w, 1, 1.0f / std::sqrt(float(K)));
  randomize(bias, 2);
  std::vector<TensorMap> maps;
  for (int i = 0; i < copies; ++i)
    maps.push_back(makeMap(w.data + size_t(i) * N * K, N, K, TileRows, std::is_same_v<T, bf16>));
  for (i64 m : rows) {
    Buffer<T> x(m * K), y(m * N);
    Buffer<float> expected(m * N);
    randomize(x, unsigned(3 + m));
    y.poison();
    entry<<<grid, 256, C::kSharedBytes>>>(x.data, maps[0], bias.data, y.data, m);
    CHECK_CUDA(cudaGetLastError());
    reference<<<unsigned((m * N + 255) / 256), 256>>>(x.data, w.data, bias.data, expected.data, m,
                                                      N, K);
    char what[128];
    snprintf(what, sizeof what, "linear_few %s M=%lld N=%d K=%d, tiles of %d", type, m, N, K,
             TileRows);
    expectClose(what, y, expected, limit);
  }
  for (i64 m : timed) {
    Buffer<T> x(m * K), y(m * N);
    randomize(x, unsigned(3 + m));
    double seconds = measure([&](int i) {
      entry<<<grid, 256, C::kSharedBytes>>>(x.data, maps[i % copies], bias.data, y.data, m);
    });
    printf("linear_few %-4s M=%-3lld N=%-6d K=%-5d tiles of %-2d %8.2f us  %7.1f GB/s\n", type, m,
           N, K, TileRows, seconds * 1e6,
           (double(bytes) + double(m) * (N + K) * 2) / seconds * 1e-9);
  }
}

/// With an argument, only compares, and only what is small (for compute-sanitizer).
int main(int argc, char **) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices == 0) {
    printf("skipped: no CUDA device\n");
    return 77;
  }
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  if (device.major < 9) {
    printf("skipped: no tensor copy engine\n");
    return 77;
  }
  std::vector<i64> one{1, 2, 7, 8, 9, 15, 16}, four{1, 15, 16, 17, 31, 32, 33, 63, 64};
  run<384, 384, bf16, 8, 8, 1>("bf16", one, 6e-3);
  run<200, 72, bf16, 16, 3, 1>("bf16", one, 6e-3);
  run<97, 48, bf16, 24, 4, 1, 1>("bf16", one, 6e-3);
  run<6000, 1096, f16, 32, 3, 1>("f16", one, 2e-3);
  run<6000, 576, f16, 24, 4, 2>("f16", {1, 16, 17, 32}, 2e-3);
  run<6000, 576, f16, 16, 6, 4>("f16", four, 2e-3);
  run<97, 48, bf16, 8, 8, 4, 1>("bf16", four, 6e-3);
  if (argc == 1) {
    std::vector<i64> few{1, 16};
    run<3072, 2048, bf16, 24, 4, 1>("bf16", {3}, 6e-3, few);
    run<2048, 2048, bf16, 16, 6, 1>("bf16", {3}, 6e-3, few);
    run<2048, 8192, bf16, 16, 6, 1>("bf16", {3}, 6e-3, few);
    run<16384, 2048, bf16, 32, 3, 1>("bf16", {3}, 6e-3, few);
    run<6144, 4096, bf16, 24, 4, 1>("bf16", {3}, 6e-3, few);
    run<4096, 4096, bf16, 32, 3, 1>("bf16", {3}, 6e-3, few);
    run<28672, 4096, bf16, 32, 3, 1>("bf16", {3}, 6e-3, few);
    run<4096, 14336, bf16, 32, 3, 1>("bf16", {3}, 6e-3, few);
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
