// linear_fp8.cu - Products of 8-bit floats (gemm_sm90.cuh) against a plain loop in f64, and their
// rates.
#include "codegen/cuda/kernels/gemm_sm90.cuh"
#include "test/gpu/Harness.cuh"

using namespace ingot;

/// Constants of gemm_sm90.cuh. Sums of stages are added up in f32 if `Promote`.
template <int N, int K, int TileN, int Stages, int OutPanels, bool Promote> struct Config {
  static constexpr int kThreads = 384, kN = N, kK = K, kTileN = TileN, kStages = Stages;
  static constexpr int kCluster = 2, kLead = 1, kOutPanels = OutPanels;
  static constexpr int kEpilogueVector = 8;
  static constexpr bool kInTurn = false, kColumnsInOrder = true, kPromote = Promote;
};

/// y = sums * a scale of the row * a scale of the column.
template <int N, typename To = bf16 *> struct Scale {
  using Result = bf16;
  static constexpr int kResults = 8;
  static constexpr bool kBeside = false;
  To y;
  const float *rows, *columns;
  INGOT_DEVICE const bf16 *beside(i64, int) const { return nullptr; }
  INGOT_DEVICE Scale<N, ResultTaker<bf16>> staged(ResultTaker<bf16> taker,
                                                  ResultGiver<bf16>) const {
    return {taker, rows, columns};
  }
  INGOT_DEVICE void operator()(i64 m, int n, const float (&v)[8]) const {
    const float row = rows[m];
    const Pack<float, 8> column = load_pack<float, 8>(columns + n);
    Pack<bf16, 8> p;
#pragma unroll
    for (int i = 0; i < 8; ++i)
      p[i] = bf16(v[i] * (row * column[i]));
    store_pack(y + (m * N + n), p);
  }
};

template <typename C>
__global__ void __launch_bounds__(384, 1)
    kernel(Scale<C::kN> scale, i64 m, const __grid_constant__ TensorMap mapX,
           const __grid_constant__ TensorMap mapW, const __grid_constant__ TensorMap mapOut) {
  gemm_sm90<C, e4m3>(&mapX, &mapW, &mapOut, m, scale);
}

__global__ void reference(const e4m3 *x, const e4m3 *w, const float *rows, const float *columns,
                          float *y, i64 m, int n, int k) {
  const i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x;
  if (i >= m * n)
    return;
  double sum = 0;
  for (int j = 0; j < k; ++j)
    sum += double(float(x[i / n * k + j])) * float(w[i % n * k + j]);
  y[i] = float(sum * rows[i / n] * columns[i % n]);
}

template <int N, int K, int TileN, int Stages, int OutPanels, bool Promote>
void run(std::vector<i64> rows, double limit, std::vector<i64> timed = {}) {
  using C = Config<N, K, TileN, Stages, OutPanels, Promote>;
  constexpr int kShared = GemmSm90Traits<C, e4m3>::kSharedBytes;
  auto entry = kernel<C>;
  CHECK_CUDA(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared));
  cudaDeviceProp device;
  CHECK_CUDA(cudaGetDeviceProperties(&device, 0));
  Buffer<e4m3> w(size_t(N) * K);
  Buffer<float> columns(N);
  randomize(w, 1);
  randomize(columns, 2, 1.0f / std::sqrt(float(K)));
  TensorMap mapW = makeTensorMap(w.data, {K, 2, 4, 4, N / 32}, {K, 2 * K, 8 * K, 32 * K},
                                 {128, 2, 1, 4, TileN / 32});
  auto launch = [&](const Buffer<e4m3> &x, const Buffer<float> &scales, Buffer<bf16> &y, i64 m) {
    TensorMap mapX = makeTensorMap(x.data, {K, cuuint64_t(m)}, {K}, {128, 128});
    TensorMap mapOut = makeTensorMap(y.data, {N, cuuint64_t(m)}, {2 * N}, {64, 64});
    Scale<N> scale{y.data, scales.data, columns.data};
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(device.multiProcessorCount / 2 * 2);
    config.blockDim = dim3(384);
    config.dynamicSmemBytes = kShared;
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim.x = 2;
    attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
    config.attrs = &attribute;
    config.numAttrs = 1;
    CHECK_CUDA(cudaLaunchKernelEx(&config, entry, scale, m, mapX, mapW, mapOut));
  };
  for (i64 m : rows) {
    Buffer<e4m3> x(m * K);
    Buffer<float> scales(m), expected(m * N);
    Buffer<bf16> y(m * N);
    randomize(x, unsigned(3 + m));
    randomize(scales, unsigned(4 + m));
    y.poison();
    launch(x, scales, y, m);
    reference<<<unsigned((m * N + 255) / 256), 256>>>(x.data, w.data, scales.data, columns.data,
                                                      expected.data, m, N, K);
    char what[128];
    snprintf(what, sizeof what, "linear_fp8 M=%lld N=%d K=%d tile %d%s", m, N, K, TileN,
             Promote ? ", promoted" : "");
    expectClose(what, y, expected, limit);
  }
  for (i64 m : timed) {
    Buffer<e4m3> x(m * K);
    Buffer<float> scales(m);
    Buffer<bf16> y(m * N);
    randomize(x, unsigned(3 + m));
    randomize(scales, unsigned(4 + m));
    double seconds = measure([&](int) { launch(x, scales, y, m); });
    printf("linear_fp8 tile %d%s, M=%-5lld N=%-6d K=%-5d %8.2f us  %6.1f TFLOP/s\n", TileN,
           Promote ? ", promoted" : "", m, N, K, seconds * 1e6, 2.0 * m * N * K / seconds * 1e-12);
  }
}

/// With an argument, only compares (for compute-sanitizer).
int main(int argc, char **) {
  if (!haveDevice(9))
    return kSkipped;
  std::vector<i64> rows{1, 64, 127, 129, 300, 513};
  // Rounding to bf16 alone is 1.7e-3.
  run<416, 1168, 192, 4, 3, true>(rows, 2.5e-3);
  run<384, 4096, 192, 4, 0, true>(rows, 2.5e-3);
  run<800, 272, 128, 6, 2, true>(rows, 2.5e-3);
  run<512, 1040, 256, 4, 2, false>(rows, 4e-3);
  if (argc == 1) {
    run<4096, 4096, 192, 4, 3, true>({333}, 2.5e-3, {4096});
    run<4096, 4096, 256, 4, 2, false>({333}, 4e-3, {4096});
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
