// linear.cu - The linear kernels against a plain loop, and their rates.
#include "codegen/cuda/kernels/linear.cuh"
#include "codegen/cuda/kernels/linear_sm90.cuh"
#include "codegen/cuda/math.cuh"
#include "test/gpu/Harness.cuh"

using namespace ingot;

template <int N, int K, typename T, int Vector> struct Config {
  static constexpr int kThreads = 256, kN = N, kK = K, kRowStride = K,
                       kTileM = sizeof(T) == 4 ? 64 : 128, kTileN = kTileM;
  static constexpr int kStages = 3, kWarpsM = sizeof(T) == 4 ? 4 : 2, kEpilogueVector = Vector,
                       kSharedBytes = 98304;
  static constexpr int kTilesAtOnce = N >= 8192 ? 2 : 1, kRingStages = 2;
};

template <int N, int K, typename T, int Vector>
__global__ void __launch_bounds__(256, 2)
    kernel(const T *x, const T *w, const T *bias, T *y, i64 m) {
  LinearStart<Config<N, K, T, Vector>, T> start(w, m);
  linear(start, x, w, m, m, StoreBias<T, N, Vector>{y, bias});
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
    linearReference<<<unsigned((m * N + 255) / 256), 256>>>(x.data, w.data, bias.data,
                                                            expected.data, m, N, K, K);
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

/// How warpgroups multiply: constants of gemm_sm90.cuh.
template <int TileN, int Stages, int Cluster, bool InTurn, int Lead, int OutPanels = 0>
struct Ways {
  static constexpr int kTileN = TileN, kStages = Stages, kCluster = Cluster, kLead = Lead;
  static constexpr int kOutPanels = OutPanels;
  static constexpr bool kInTurn = InTurn, kPromote = false;
};
using Wide = Ways<256, 4, 1, false, 0>;
using WidePairs = Ways<256, 4, 2, false, 1>;
using Middle = Ways<192, 5, 2, false, 2>;
using Narrow = Ways<128, 7, 2, false, 3>;
using Turns = Ways<128, 7, 2, true, 0>;
using TurnsAlone = Ways<128, 3, 1, true, 0>;
using WideOut = Ways<256, 4, 2, false, 1, 2>;
using WideAlone = Ways<256, 3, 1, false, 1, 4>;
using MiddleOut = Ways<192, 4, 2, false, 2, 3>;
using TurnsOut = Ways<128, 6, 2, true, 0, 2>;
using WideTurnsOut = Ways<192, 4, 2, true, 0, 2>;
using Odd = Ways<224, 5, 2, false, 2>;
using OddAlone = Ways<224, 4, 1, false, 1>;

/// Blocks of a grid, as in compiled code.
constexpr int kBlocks = 132;

/// How few rows are multiplied: constants of gemm_few_sm90.cuh, `Always` one way where every block
/// has one tile at most, or else the narrow one of what a quarter of the blocks would do.
template <int Narrow = 64, int Wide = 128, FewWay Always = FewWay::Many> struct Few {
  static constexpr int kNarrow = Narrow, kWide = Wide;
  static constexpr u64 ways(int columns) {
    u64 ways = 0;
    for (int i = 0; i < 32; ++i) {
      auto tiles = [&](int rows, int width) { return rows * ((columns + width - 1) / width); };
      FewWay way = Always;
      if (Always == FewWay::Many)
        way = 4 * tiles(i + 1, Wide) <= kBlocks ? FewWay::Narrow : FewWay::Wide;
      if (tiles(i + 1, way == FewWay::Narrow ? Narrow : Wide) <= kBlocks)
        ways |= u64(way) << (2 * i);
    }
    return ways;
  }
};
using FewNarrowest = Few<64, 128, FewWay::Narrow>;
using FewNarrow = Few<96, 128, FewWay::Narrow>;
using FewWide = Few<64, 160, FewWay::Wide>;

template <int N, int K, typename Way, int Vector, int Stride = K, typename Plan = Few<>>
struct ConfigSm90 : Way {
  static constexpr int kThreads = 384, kN = N, kK = K, kRowStride = Stride;
  static constexpr int kEpilogueVector = Vector;
  static constexpr int kFewNarrow = Plan::kNarrow, kFewWide = Plan::kWide;
  static constexpr u64 kFewWays = Plan::ways(N);
  static constexpr bool kColumnsInOrder = N % 32 == 0;
  static constexpr int kSharedBytes = std::max(
      1024 + Way::kStages * ((128 + Way::kTileN) * 128 + 16) + Way::kOutPanels * 16384 + 16,
      197000);
  static constexpr int kTilesAtOnce = N >= 8192 ? 2 : 1, kRingStages = 3;
};

/// SwiGLU of four columns of gate and of up in turn, plus what was there.
template <typename T, int N, int Vector, typename To = T *, typename From = const T *> struct Gate {
  To y;
  From residual;
  INGOT_DEVICE void operator()(i64 m, int n, const float (&v)[Vector]) const {
    static_assert(Vector == 8, "four columns of each");
    Pack<T, 4> p, r = load_pack<T, 4>(residual + (m * (N / 2) + n / 2));
#pragma unroll
    for (int i = 0; i < 4; ++i)
      p[i] = T(v[i] / (1.0f + expf(-v[i])) * v[i + 4] + float(r[i]));
    store_pack(y + (m * (N / 2) + n / 2), p);
  }
  using Result = T;
  static constexpr int kResults = 4;
  static constexpr bool kBeside = true;
  INGOT_DEVICE const T *beside(i64 m, int n) const { return residual + (m * (N / 2) + n / 2); }
  INGOT_DEVICE Gate<T, N, Vector, ResultTaker<T>, ResultGiver<T>>
  staged(ResultTaker<T> taker, ResultGiver<T> giver) const {
    return {taker, giver};
  }
};

/// What was there plus the sums.
template <typename T, int N, int Vector, typename To = T *, typename From = const T *> struct Add {
  To y;
  From residual;
  INGOT_DEVICE void operator()(i64 m, int n, const float (&v)[Vector]) const {
    Pack<T, Vector> p, r = load_pack<T, Vector>(residual + (m * N + n));
#pragma unroll
    for (int i = 0; i < Vector; ++i)
      p[i] = T(v[i] + float(r[i]));
    store_pack(y + (m * N + n), p);
  }
  using Result = T;
  static constexpr int kResults = 8;
  static constexpr bool kBeside = true;
  INGOT_DEVICE const T *beside(i64 m, int n) const { return residual + (m * N + n); }
  INGOT_DEVICE Add<T, N, Vector, ResultTaker<T>, ResultGiver<T>>
  staged(ResultTaker<T> taker, ResultGiver<T> giver) const {
    return {taker, giver};
  }
};

/// Epilogues of `kernel_sm90`.
template <typename T, int N, int Vector> struct BiasOf : StoreBias<T, N, Vector> {};
template <typename T, int N, int Vector> struct GateOf : Gate<T, N, Vector> {};
template <typename T, int N, int Vector> struct AddOf : Add<T, N, Vector> {};
enum class Then { Bias, Gate, Add };

template <typename Config, typename T, template <typename, int, int> class Epilogue>
__global__ void __launch_bounds__(384, 1)
    kernel_sm90(const T *x, const T *w, const T *__restrict__ other, T *__restrict__ y, i64 m,
                const __grid_constant__ TensorMap mapX, const __grid_constant__ TensorMap mapW,
                const __grid_constant__ TensorMap mapWide,
                const __grid_constant__ TensorMap mapNarrow,
                const __grid_constant__ TensorMap mapOut) {
  LinearStart<Config, T> start(w, m);
  linear_sm90(start, x, w, &mapX, &mapW, &mapWide, &mapNarrow, &mapOut, m, m,
              Epilogue<T, Config::kN, Config::kEpilogueVector>{{y, other}});
}

/// A map of rows x columns 16-bit elements with boxes of 64 columns; W's rows in order for
/// kColumnsInOrder if `ordered`.
template <typename T>
static TensorMap makeMap(const T *data, u64 rows, u64 columns, u64 stride, unsigned boxRows,
                         bool ordered = false) {
  const u64 bytes = stride * 2;
  if (ordered)
    return makeTensorMap(data, {columns, 2, 4, 4, rows / 32},
                         {bytes, 2 * bytes, 8 * bytes, 32 * bytes}, {64, 2, 1, 4, boxRows / 32});
  return makeTensorMap(data, {columns, rows}, {bytes}, {64, boxRows});
}

template <typename T>
__global__ void reference_add(const float *sums, const T *residual, float *y, i64 count) {
  i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x;
  if (i < count)
    y[i] = sums[i] + float(residual[i]);
}
template <typename T>
__global__ void reference_gate(const float *sums, const T *residual, float *y, i64 m, int half) {
  i64 i = blockIdx.x * i64(blockDim.x) + threadIdx.x;
  if (i >= m * half)
    return;
  const float *row = sums + i / half * 2 * half + i % half / 4 * 8 + i % 4;
  y[i] = row[0] / (1.0f + expf(-row[0])) * row[4] + float(residual[i]);
}

template <typename Config> void launchSm90(void (*entry)(), void **arguments) {
  cudaLaunchConfig_t launch = {};
  launch.gridDim = dim3(kBlocks / Config::kCluster * Config::kCluster);
  launch.blockDim = dim3(384);
  launch.dynamicSmemBytes = Config::kSharedBytes;
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeClusterDimension;
  attribute.val.clusterDim.x = Config::kCluster;
  attribute.val.clusterDim.y = attribute.val.clusterDim.z = 1;
  launch.attrs = &attribute;
  launch.numAttrs = 1;
  CHECK_CUDA(cudaLaunchKernelExC(&launch, reinterpret_cast<const void *>(entry), arguments));
}

template <int N, int K, typename T, typename Way, int Vector, Then Kind = Then::Bias,
          int Stride = K, typename Plan = Few<>>
void runSm90(const char *type, std::vector<i64> rows, double limit, std::vector<i64> timed = {}) {
  using Config = ConfigSm90<N, K, Way, Vector, Stride, Plan>;
  void (*entry)(const T *, const T *, const T *, T *, i64, TensorMap, TensorMap, TensorMap,
                TensorMap, TensorMap);
  constexpr bool kGated = Kind == Then::Gate, kBias = Kind == Then::Bias;
  if constexpr (kGated)
    entry = kernel_sm90<Config, T, GateOf>;
  else if constexpr (kBias)
    entry = kernel_sm90<Config, T, BiasOf>;
  else
    entry = kernel_sm90<Config, T, AddOf>;
  CHECK_CUDA(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  Config::kSharedBytes));
  size_t bytes = size_t(N) * K * sizeof(T);
  constexpr i64 kColumns = kGated ? N / 2 : N;
  Buffer<T> w(size_t(N) * K), bias(N), zero(N);
  randomize(w, 1, 1.0f / std::sqrt(float(K)));
  randomize(bias, 2);
  CHECK_CUDA(cudaMemset(zero.data, 0, N * sizeof(T)));
  constexpr bool kOrdered = Config::kColumnsInOrder;
  constexpr int kBox = Config::kTileN / (kOrdered ? 1 : Config::kCluster);
  TensorMap mapW = makeMap<T>(w.data, N, K, K, kBox, kOrdered);
  TensorMap mapWide = makeMap<T>(w.data, N, K, K, Plan::kWide, kOrdered);
  TensorMap mapNarrow = makeMap<T>(w.data, N, K, K, Plan::kNarrow, kOrdered);
  // Past what every block has one tile of.
  rows.push_back((kBlocks / ((N + 127) / 128) + 1) * 128 + 1);
  auto launch = [&](const T *x, const T *other, T *y, i64 m) {
    TensorMap mapX = makeMap<T>(x, m, K, Stride, 128);
    TensorMap mapOut = mapX;
    if constexpr (Config::kOutPanels > 0)
      mapOut = makeMap<T>(y, m, kColumns, kColumns, 64);
    const T *weights = w.data;
    void *arguments[] = {&x, &weights, &other, &y, &m, &mapX, &mapW, &mapWide, &mapNarrow, &mapOut};
    launchSm90<Config>(reinterpret_cast<void (*)()>(entry), arguments);
  };
  char what[200];
  for (i64 m : rows) {
    Buffer<T> x(m * Stride), residual(m * kColumns), y(m * kColumns);
    Buffer<float> expected(m * kColumns), sums(m * N);
    randomize(x, unsigned(3 + m));
    randomize(residual, unsigned(4 + m));
    y.poison();
    launch(x.data, kBias ? bias.data : residual.data, y.data, m);
    linearReference<<<unsigned((m * N + 255) / 256), 256>>>(
        x.data, w.data, kBias ? bias.data : zero.data, sums.data, m, N, K, Stride);
    if constexpr (Kind == Then::Add)
      reference_add<<<unsigned((m * N + 255) / 256), 256>>>(sums.data, residual.data, expected.data,
                                                            m * N);
    else if constexpr (kGated)
      reference_gate<<<unsigned((m * N / 2 + 255) / 256), 256>>>(sums.data, residual.data,
                                                                 expected.data, m, N / 2);
    else
      CHECK_CUDA(
          cudaMemcpy(expected.data, sums.data, m * N * sizeof(float), cudaMemcpyDeviceToDevice));
    snprintf(what, sizeof what,
             "linear_sm90 %s M=%lld N=%d K=%d%s tile %d %s, %d panels, few %d %d %d", type, m, N, K,
             kGated  ? " gated"
             : kBias ? ""
                     : " added",
             Way::kTileN, Way::kInTurn ? "in turn" : "shared", Way::kOutPanels, Plan::kNarrow,
             Plan::kWide, int(Config::kFewWays & 3));
    expectClose(what, y, expected, limit);
  }
  for (i64 m : timed) {
    Buffer<T> x(m * Stride), residual(m * kColumns), y(m * kColumns);
    randomize(x, unsigned(3 + m));
    randomize(residual, unsigned(4 + m));
    const T *other = kBias ? bias.data : residual.data;
    double seconds = measure([&](int) { launch(x.data, other, y.data, m); });
    double flops = 2.0 * m * N * K, moved = double(bytes) + double(m) * (N + K) * sizeof(T);
    printf("linear_sm90 %-4s tile %d %s, few %d %d %d M=%-5lld N=%-6d K=%-5d %8.2f us  %7.1f GB/s  "
           "%6.1f TFLOP/s\n",
           type, Way::kTileN, Way::kInTurn ? "in turn" : "shared ", Plan::kNarrow, Plan::kWide,
           int(Config::kFewWays & 3), m, N, K, seconds * 1e6, moved / seconds * 1e-9,
           flops / seconds * 1e-12);
  }
}

__global__ void gelu(const float *x, float *y) { y[threadIdx.x] = gelu_fast(x[threadIdx.x]); }

/// GELU as epilogues have it: past what its polynomial was fitted to, and of no finite numbers.
static void checkGelu() {
  const float infinity = INFINITY;
  std::vector<float> x{infinity, -infinity, NAN, 0, -0.0f, 3e38f, -3e38f, 1e-30f};
  for (int i = -96; i < 96; ++i)
    x.push_back(float(i) / 8);
  Buffer<float> from(x.size()), to(x.size());
  CHECK_CUDA(cudaMemcpy(from.data, x.data(), x.size() * 4, cudaMemcpyHostToDevice));
  gelu<<<1, unsigned(x.size())>>>(from.data, to.data);
  std::vector<float> y(x.size());
  CHECK_CUDA(cudaMemcpy(y.data(), to.data, x.size() * 4, cudaMemcpyDeviceToHost));
  bool good = y[0] == infinity && y[1] == 0 && std::isnan(y[2]);
  double most = 0;
  for (size_t i = 3; i < x.size(); ++i) {
    const double expected = x[i] * (0.5 * std::erfc(-double(x[i]) / std::sqrt(2.0)));
    const double error = std::fabs(y[i] - expected) / std::max(1.0, std::fabs(expected));
    good &= error <= 4e-6; // no NaN
    most = std::max(most, error);
  }
  printf("gelu_fast: %g, %s\n", most, good ? "ok" : "FAIL");
  ++checks;
  failures += !good;
}

/// With an argument, only compares, and only what is small (for compute-sanitizer).
int main(int argc, char **) {
  if (!haveDevice())
    return kSkipped;
  checkGelu();
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
    rows.insert(rows.end(), {256, 257, 513});
    runSm90<384, 384, bf16, Narrow, 8>("bf16", rows, 6e-3);
    runSm90<384, 384, bf16, Wide, 8>("bf16", rows, 6e-3);
    runSm90<200, 72, bf16, WidePairs, 8>("bf16", rows, 6e-3);
    runSm90<416, 328, bf16, WidePairs, 8, Then::Gate>("bf16", rows, 6e-3);
    runSm90<416, 328, f16, Narrow, 8, Then::Gate>("f16", rows, 2e-3);
    runSm90<97, 56, bf16, Turns, 1>("bf16", rows, 6e-3);
    runSm90<1000, 1096, f16, Wide, 8>("f16", rows, 2e-3);
    runSm90<1024, 1096, f16, Middle, 8>("f16", rows, 2e-3);
    runSm90<800, 200, f16, Turns, 8>("f16", rows, 2e-3);
    runSm90<800, 776, bf16, TurnsAlone, 8>("bf16", rows, 6e-3);
    runSm90<416, 328, bf16, Turns, 8, Then::Gate>("bf16", rows, 6e-3);
    runSm90<416, 328, bf16, Wide, 8, Then::Gate, 400>("bf16", rows, 6e-3);
    // Results by the copy engine: tiles past the last row and the last column.
    runSm90<384, 384, bf16, WideOut, 8, Then::Add>("bf16", rows, 6e-3);
    runSm90<416, 328, bf16, WideAlone, 8, Then::Add>("bf16", rows, 6e-3);
    runSm90<1024, 1096, f16, MiddleOut, 8>("f16", rows, 2e-3);
    runSm90<480, 776, f16, MiddleOut, 8, Then::Add>("f16", rows, 2e-3);
    runSm90<800, 200, f16, TurnsOut, 8>("f16", rows, 2e-3);
    runSm90<416, 328, bf16, TurnsOut, 8, Then::Gate>("bf16", rows, 6e-3);
    runSm90<448, 64, bf16, WideOut, 8, Then::Gate>("bf16", rows, 6e-3);
    runSm90<800, 776, bf16, WideTurnsOut, 8, Then::Add>("bf16", rows, 6e-3);
    runSm90<4096, 520, bf16, TurnsOut, 8>("bf16", {512, 400, 300, 4000}, 6e-3);
    runSm90<264, 136, f16, Middle, 4, Then::Bias, 152>("f16", rows, 2e-3);
    // Widths whose groups of 32 columns are an odd number, many rows and few; 64 by pairs that
    // share W.
    runSm90<800, 776, bf16, Odd, 8, Then::Gate>("bf16", rows, 6e-3);
    runSm90<480, 200, f16, OddAlone, 8, Then::Add>("f16", rows, 2e-3);
    rows.insert(rows.end(), {255, 385, 511});
    runSm90<416, 1096, bf16, Turns, 8, Then::Gate, 1096, FewNarrow>("bf16", rows, 6e-3);
    runSm90<416, 72, f16, TurnsAlone, 8, Then::Add, 72, FewNarrow>("f16", rows, 2e-3);
    runSm90<800, 776, f16, Turns, 8, Then::Add, 776, FewWide>("f16", rows, 2e-3);
    runSm90<1024, 776, f16, Turns, 8, Then::Gate, 776, FewNarrowest>("f16", rows, 2e-3);
  }
  if (device.major == 9 && argc == 1) {
    runSm90<4096, 4096, bf16, Wide, 8>("bf16", {333}, 6e-3, {1, 16, 4096});
    runSm90<4096, 4096, bf16, Turns, 8>("bf16", {333}, 6e-3, {512, 4096});
    runSm90<28672, 4096, bf16, Middle, 8, Then::Gate>("bf16", {70}, 6e-3, {1, 512, 4096});
    runSm90<4096, 14336, bf16, Wide, 8>("bf16", {70}, 6e-3, {1, 4096});
    runSm90<4096, 14336, bf16, Turns, 8, Then::Add>("bf16", {511}, 6e-3, {512});
    runSm90<4544, 4544, bf16, Turns, 8, Then::Add, 4544, FewWide>("bf16", {511}, 6e-3, {512});
    runSm90<3072, 2048, bf16, Turns, 8>("bf16", {511}, 6e-3, {512});
    runSm90<3072, 2048, bf16, Turns, 8, Then::Bias, 2048, FewNarrow>("bf16", {511}, 6e-3, {512});
    runSm90<22016, 4096, bf16, Odd, 8, Then::Gate>("bf16", {70}, 6e-3, {512});
    runSm90<3072, 768, f16, Turns, 8>("f16", {1030}, 2e-3, {128, 512, 4096, 34700});
    runSm90<768, 768, f16, Middle, 8>("f16", {70, 128, 512, 1030}, 2e-3, {128, 512, 1024});
    runSm90<768, 3072, f16, Middle, 8>("f16", {70, 128, 512, 1030}, 2e-3, {128, 512, 1024});
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
