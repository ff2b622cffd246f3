// linear_few.cu - The linear kernel of few tokens, with and without a norm in front, a residual
// beside its results, against plain loops, and its rates.
#include "codegen/cuda/kernels/linear_few.cuh"
#include "codegen/cuda/kernels/rows.cuh"
#include "test/gpu/Harness.cuh"

using namespace ingot;

/// Threads of a row in the norm's own kernel: GeneratedFamily's choice for K elements.
constexpr int normGroup(int k) {
  int group = 64;
  while (group < 512 && group * 2 <= k / 8)
    group *= 2;
  return k / 8 <= 128 ? 32 : group;
}

template <int N, int K, int TileRows, int Stages, int TokenTiles, int Vector, bool Norm>
struct Config {
  static constexpr int kThreads = 256, kN = N, kK = K, kRowStride = K, kTileRows = TileRows;
  static constexpr int kRingStages = Stages, kTokenTiles = TokenTiles, kEpilogueVector = Vector;
  static constexpr bool kNorm = Norm;
  static constexpr float kNormEps = 9.99999975e-06f;
  static constexpr int kLeast = 1024 + 8 * Stages * (TileRows * 128 + 8) +
                                8 * TokenTiles * 16 * TileRows * 4 +
                                (Norm ? K * 4 + 8 * TokenTiles * 16 * 4 : 0);
  /// So much that no two blocks share a multiprocessor, as the family asks for.
  static constexpr int kSharedBytes = kLeast > 116736 ? kLeast : 116736;
};

/// A bias and what was there plus the sums.
template <typename T, int N, typename From = const T *> struct AddBeside {
  T *y;
  const T *bias;
  From residual;
  INGOT_DEVICE void operator()(i64 m, int n, const float (&v)[8]) const {
    Pack<T, 8> p, b = load_pack<T, 8>(bias + n), r = load_pack<T, 8>(residual + (m * N + n));
#pragma unroll
    for (int i = 0; i < 8; ++i)
      p[i] = T(v[i] + float(b[i]) + float(r[i]));
    store_pack(y + (m * N + n), p);
  }
  using Result = T;
  static constexpr int kResults = 8;
  static constexpr bool kBeside = true;
  INGOT_DEVICE const T *beside(i64 m, int n) const { return residual + (m * N + n); }
  INGOT_DEVICE AddBeside<T, N, ResultGiver<T>> given(ResultGiver<T> giver) const {
    return {y, bias, giver};
  }
};

/// With a residual where the epilogue takes whole vectors.
template <typename C, typename T>
__global__ void __launch_bounds__(256, C::kTokenTiles > 1 ? 1 : 2)
    kernel(const T *x, const __grid_constant__ TensorMap map, const float *gains, const T *bias,
           const T *residual, T *y, i64 m) {
#if __CUDA_ARCH__ >= 900
  FewRing<C, T> ring(&map, gains);
  if constexpr (C::kEpilogueVector == 8)
    linear_few<C, T>(x, m, AddBeside<T, C::kN>{y, bias, residual}, ring);
  else
    linear_few<C, T>(x, m, StoreBias<T, C::kN, C::kEpilogueVector>{y, bias}, ring);
#endif
}

template <typename T> __global__ void addReference(float *y, const T *residual, i64 count) {
  const i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x;
  if (i < count)
    y[i] += float(residual[i]);
}

template <int K> struct RowConfig {
  static constexpr int kGroup = normGroup(K), kThreads = kGroup == 32 ? 128 : kGroup;
};

/// The norm as GeneratedFamily prints it.
template <int K, typename T>
__global__ void __launch_bounds__(RowConfig<K>::kThreads)
    rmsNorm(const T *__restrict__ x, const float *__restrict__ gains, T *__restrict__ y, i64 m) {
  using C = RowConfig<K>;
  ptx::allow_next_grid();
  fetch_ahead(gains, K * 4);
  ptx::wait_for_previous_grid();
  for_each_row<C>(m, [&](const i64 row) {
    const float sum = reduce_row<C, Sum, 8, float>(K, 0.0f, float(0), [&](const i64 j, float &sum) {
      const auto pack = load_pack<T, 8>(x + row * K + j);
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        const float value = float(pack[e]), square = value * value;
        sum = Sum::apply(sum, square);
      }
    });
    const float mean = sum / float(K), shifted = mean + 9.99999975e-06f;
    const float factor = 1.0f / sqrtf(shifted);
    for_each_column<C, 8>(K, [&](const i64 j) {
      const auto pack = load_pack<T, 8>(x + row * K + j);
      const auto gain = load_pack<float, 8>(gains + j);
      Pack<T, 8> out;
#pragma unroll
      for (int e = 0; e < 8; ++e) {
        const float normal = float(pack[e]) * factor;
        out[e] = T(normal * gain[e]);
      }
      store_pack(y + row * K + j, out);
    });
  });
}

template <int N, int K, typename T, int TileRows, int Stages, int TokenTiles, int Vector = 8,
          bool Norm = false>
void run(const char *type, std::vector<i64> rows, double limit, std::vector<i64> timed = {}) {
  using C = Config<N, K, TileRows, Stages, TokenTiles, Vector, Norm>;
  using Plain = Config<N, K, TileRows, Stages, TokenTiles, Vector, false>;
  auto entry = kernel<C, T>, plain = kernel<Plain, T>;
  CHECK_CUDA(
      cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes));
  CHECK_CUDA(cudaFuncSetAttribute(plain, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  Plain::kSharedBytes));
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  const int grid = device.multiProcessorCount;
  const size_t bytes = size_t(N) * K * sizeof(T);
  const int copies = timed.empty() ? 1 : int(std::max<size_t>(1, (size_t(200) << 20) / bytes + 1));
  Buffer<T> w(size_t(N) * K * copies), bias(N);
  Buffer<float> gains(K);
  randomize(w, 1, 1.0f / std::sqrt(float(K)));
  randomize(bias, 2);
  randomize(gains, 7, 2);
  std::vector<TensorMap> maps;
  for (int i = 0; i < copies; ++i)
    maps.push_back(makeTensorMap(w.data + size_t(i) * N * K, {K, N}, {K * 2}, {64, TileRows}));
  auto normalize = [&](const T *x, T *y, i64 m) {
    constexpr int kThreads = RowConfig<K>::kThreads;
    rmsNorm<K, T>
        <<<unsigned((m + kThreads / normGroup(K) - 1) / (kThreads / normGroup(K))), kThreads>>>(
            x, gains.data, y, m);
  };
  for (i64 m : rows) {
    Buffer<T> x(m * K), normed(m * K), residual(m * N), y(m * N), separate(m * N);
    Buffer<float> expected(m * N);
    randomize(x, unsigned(3 + m), Norm ? 5 : 1);
    randomize(residual, unsigned(11 + m));
    y.poison();
    separate.poison();
    if (Norm)
      normalize(x.data, normed.data, m);
    const T *tokens = Norm ? normed.data : x.data;
    entry<<<grid, 256, C::kSharedBytes>>>(x.data, maps[0], gains.data, bias.data, residual.data,
                                          y.data, m);
    CHECK_CUDA(cudaGetLastError());
    linearReference<<<unsigned((m * N + 255) / 256), 256>>>(tokens, w.data, bias.data,
                                                            expected.data, m, N, K, K);
    if (Vector == 8)
      addReference<<<unsigned((m * N + 255) / 256), 256>>>(expected.data, residual.data, m * N);
    char what[128];
    snprintf(what, sizeof what, "linear_few %s M=%lld N=%d K=%d, tiles of %d%s", type, m, N, K,
             TileRows, Norm ? ", norm" : "");
    expectClose(what, y, expected, limit);
    if (!Norm)
      continue;
    // Sums of squares have one order, too.
    entry<<<grid, 256, C::kSharedBytes>>>(x.data, maps[0], gains.data, bias.data, residual.data,
                                          separate.data, m);
    CHECK_CUDA(cudaDeviceSynchronize());
    ++checks;
    if (memcmp(y.download().data(), separate.download().data(), size_t(m) * N * sizeof(T)) != 0) {
      ++failures;
      printf("FAIL %s: two runs differ\n", what);
    }
  }
  for (i64 m : timed) {
    Buffer<T> x(m * K), normed(m * K), residual(m * N), y(m * N);
    randomize(x, unsigned(3 + m));
    randomize(residual, unsigned(11 + m));
    auto report = [&](const char *what, double seconds) {
      printf("linear_few %-4s M=%-3lld N=%-6d K=%-5d tiles of %-2d %-15s %8.2f us  %7.1f GB/s\n",
             type, m, N, K, TileRows, what, seconds * 1e6,
             (double(bytes) + double(m) * (N + K) * 2) / seconds * 1e-9);
    };
    report(Norm ? "norm inside" : "", measure([&](int i) {
             entry<<<grid, 256, C::kSharedBytes>>>(x.data, maps[i % copies], gains.data, bias.data,
                                                   residual.data, y.data, m);
           }));
    if (Norm)
      report("norm, then this", measure([&](int i) {
               normalize(x.data, normed.data, m);
               plain<<<grid, 256, Plain::kSharedBytes>>>(normed.data, maps[i % copies], nullptr,
                                                         bias.data, residual.data, y.data, m);
             }));
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
  run<6000, 576, f16, 24, 4, 4>("f16", four, 2e-3);
  run<6000, 1096, bf16, 32, 3, 4>("bf16", four, 6e-3);
  run<6000, 1096, bf16, 40, 2, 4>("bf16", four, 6e-3);
  run<6000, 1096, bf16, 40, 2, 2>("bf16", {1, 16, 17, 32}, 6e-3);
  run<6000, 1096, bf16, 48, 2, 2>("bf16", {1, 16, 17, 32}, 6e-3);
  run<97, 48, bf16, 8, 8, 4, 1>("bf16", four, 6e-3);
  run<6000, 1096, f16, 40, 2, 1>("f16", one, 2e-3);
  run<6000, 1096, f16, 48, 2, 1>("f16", one, 2e-3);
  // Behind a norm: rows of a warp, of several warps, with a rest, of fewer elements than a box
  // step.
  run<384, 384, bf16, 8, 8, 1, 8, true>("bf16", one, 6e-3);
  run<200, 72, bf16, 16, 3, 1, 8, true>("bf16", one, 6e-3);
  run<6000, 1096, bf16, 32, 3, 1, 8, true>("bf16", one, 6e-3);
  run<6000, 3072, bf16, 24, 4, 1, 8, true>("bf16", one, 6e-3);
  run<6000, 4096, bf16, 32, 3, 1, 8, true>("bf16", one, 6e-3);
  run<264, 14336, bf16, 16, 6, 1, 8, true>("bf16", one, 6e-3);
  run<6000, 1096, bf16, 40, 2, 1, 8, true>("bf16", one, 6e-3);
  run<6000, 2048, bf16, 48, 2, 1, 8, true>("bf16", one, 6e-3);
  run<6000, 576, bf16, 24, 4, 2, 8, true>("bf16", {1, 16, 17, 32}, 6e-3);
  run<6000, 2048, bf16, 16, 6, 4, 8, true>("bf16", four, 6e-3);
  if (argc == 1) {
    std::vector<i64> few{1, 16};
    run<3072, 2048, bf16, 24, 4, 1, 8, true>("bf16", {3}, 6e-3, few);
    run<2048, 2048, bf16, 16, 6, 1>("bf16", {3}, 6e-3, few);
    run<2048, 8192, bf16, 16, 6, 1>("bf16", {3}, 6e-3, few);
    run<16384, 2048, bf16, 32, 3, 1, 8, true>("bf16", {3}, 6e-3, few);
    run<6144, 4096, bf16, 24, 4, 1, 8, true>("bf16", {3}, 6e-3, few);
    run<4096, 4096, bf16, 32, 3, 1>("bf16", {3}, 6e-3, few);
    run<28672, 4096, bf16, 32, 3, 1, 8, true>("bf16", {3}, 6e-3, few);
    run<4096, 14336, bf16, 32, 3, 1>("bf16", {3}, 6e-3, few);
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
