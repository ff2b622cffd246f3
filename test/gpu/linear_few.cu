// linear_few.cu - The linear kernel of few tokens against a plain loop, and its rates.
#include "codegen/cuda/kernels/linear_few.cuh"
#include "test/gpu/Harness.cuh"

using namespace ingot;

template <int N, int K, int TileRows, int Stages, int TokenTiles, int Vector> struct Config {
  static constexpr int kThreads = 256, kN = N, kK = K, kRowStride = K, kTileRows = TileRows;
  static constexpr int kRingStages = Stages, kTokenTiles = TokenTiles, kEpilogueVector = Vector;
  static constexpr int kSharedBytes =
      1024 + 8 * Stages * (TileRows * 128 + 8) + 8 * TokenTiles * 16 * TileRows * 4;
};

template <typename C, typename T>
__global__ void __launch_bounds__(256, 2)
    kernel(const T *x, const __grid_constant__ TensorMap map, const T *bias, T *y, i64 m) {
#if __CUDA_ARCH__ >= 900
  FewRing<C, T> ring(&map);
  linear_few<C, T>(x, m, StoreBias<T, C::kN, C::kEpilogueVector>{y, bias}, ring);
#endif
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
    maps.push_back(makeTensorMap(w.data + size_t(i) * N * K, {K, N}, {K * 2}, {64, TileRows}));
  for (i64 m : rows) {
    Buffer<T> x(m * K), y(m * N);
    Buffer<float> expected(m * N);
    randomize(x, unsigned(3 + m));
    y.poison();
    entry<<<grid, 256, C::kSharedBytes>>>(x.data, maps[0], bias.data, y.data, m);
    CHECK_CUDA(cudaGetLastError());
    linearReference<<<unsigned((m * N + 255) / 256), 256>>>(x.data, w.data, bias.data, expected.data, m,
                                                      N, K, K);
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
  if (!haveDevice(9))
    return kSkipped;
  std::vector<i64> one{1, 2, 7, 8, 9, 15, 16}, four{1, 15, 16, 17, 31, 32, 33, 63, 64};
  run<384, 384, bf16, 8, 8, 1>("bf16", one, 6e-3);
  run<200, 72, bf16, 16, 3, 1>("bf16", one, 6e-3);
  run<97, 48, bf16, 24, 4, 1, 1>("bf16", one, 6e-3);
  run<6000, 1096, f16, 32, 3, 1>("f16", one, 2e-3);
  run<6000, 576, f16, 24, 4, 2>("f16", {1, 16, 17, 32}, 2e-3);
  run<6000, 576, f16, 8, 8, 2>("f16", {1, 16, 17, 32}, 2e-3);
  run<6000, 576, f16, 16, 6, 2>("f16", {1, 16, 17, 32}, 2e-3);
  run<6000, 576, f16, 32, 3, 2>("f16", {1, 16, 17, 32}, 2e-3);
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
