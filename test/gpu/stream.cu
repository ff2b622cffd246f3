// stream.cu - Layers of a decoder as one stream, against the same launches one by one, and the
// times of both.
#include "codegen/cuda/kernels/stream.cuh"
#include "codegen/cuda/kernels/stream_attention.cuh"
#include "test/gpu/Harness.cuh"

#include <cstring>

using namespace ingot;

/// Results of eight sums (of a gated layer: of four and four) with what lies beside them.
enum class Then { Store, Add, Gate };
template <typename T, int N, Then Kind, typename To = T *, typename From = const T *> struct Rest {
  To y;
  From residual;
  static constexpr int kResults = Kind == Then::Gate ? 4 : 8;
  static constexpr bool kBeside = Kind == Then::Add;
  using Result = T;
  INGOT_DEVICE const T *beside(i64 m, int n) const { return residual + (m * N + n); }
  INGOT_DEVICE Rest<T, N, Kind, T *, ResultGiver<T>> given(ResultGiver<T> giver) const {
    return {y, giver};
  }
  INGOT_DEVICE Rest<T, N, Kind, ResultTaker<T>, ResultGiver<T>> staged(ResultTaker<T> taker,
                                                                       ResultGiver<T> giver) const {
    return {taker, giver};
  }
  INGOT_DEVICE void operator()(i64 m, int n, const float (&v)[8]) const {
    if constexpr (Kind == Then::Gate) {
      Pack<T, 4> p;
#pragma unroll
      for (int i = 0; i < 4; ++i)
        p[i] = T(v[i] / (1.0f + expf(-v[i])) * v[i + 4]);
      store_pack(y + (m * (N / 2) + n / 2), p);
    } else {
      Pack<T, 8> p, r;
      if constexpr (kBeside)
        r = load_pack<T, 8>(residual + (m * N + n));
#pragma unroll
      for (int i = 0; i < 8; ++i)
        p[i] = T(kBeside ? v[i] + float(r[i]) : v[i]);
      store_pack(y + (m * N + n), p);
    }
  }
};

const char *only = "";

struct Sizes {
  i64 rows, tableBlocks;
};

/// 16 bits as the host reads them: the types' own conversions are the device's.
double hostValue(bf16, unsigned short bits) {
  const unsigned word = unsigned(bits) << 16;
  float value;
  memcpy(&value, &word, 4);
  return value;
}
double hostValue(f16, unsigned short bits) {
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  const double size = exponent == 31 ? (fraction ? NAN : INFINITY)
                      : exponent     ? std::ldexp(1024 + fraction, exponent - 25)
                                     : std::ldexp(fraction, -24);
  return bits >> 15 ? -size : size;
}

/// Buffers: x, W, result, and beside it or gains.
template <typename T, int N, int K, Then Rests, bool Norm> struct LinearTask {
  using Type = T;
  using Epilogue = Rest<T, N, Rests>;
  struct Config {
    static constexpr int kN = N, kK = K, kSplits = Norm ? 1 : (K + 4095) / 4096, kOffset = 0,
                         kRowStride = K, kX = 0;
    static constexpr int kResult = 2, kBeside = Rests == Then::Add ? 3 : -1;
    static constexpr int kGains = Norm ? 3 : -1, kResultStride = Rests == Then::Gate ? N / 2 : N;
    static constexpr bool kNorm = Norm;
    static constexpr float kNormEps = 1e-5f;
  };
  static INGOT_DEVICE Epilogue epilogue(const StreamArguments &, const StreamTile &) {
    return {nullptr, nullptr};
  }
  using Kind = StreamLinear<LinearTask>;
};
/// `Rotated` elements of a head, attention to the last `Window` keys (0: to all).
template <int D, int G, int Hkv, int Rotated, int Window> struct AttentionConfig {
  static constexpr int kThreads = 256, kWidth = D, kGroup = G, kKvHeads = Hkv, kWindow = Window;
  static constexpr int kBlock = 16, kBlocks = 4096, kCluster = 8;
  static constexpr int kQueryStride = D * (G + 2) * Hkv, kOutputStride = D * G * Hkv;
  static constexpr bool kAppend = true;
  static constexpr int kRotated = Rotated, kNewKeyStride = kQueryStride,
                       kNewValueStride = kQueryStride;
  static constexpr float kScale = D == 64 ? 0.125f : 0.08838834764f, kSoftcap = 0;
  static constexpr bool kCausal = true, kPaged = true, kAlibi = false, kSinks = false;
  static constexpr bool kAlibiBeforeScale = false, kReadsEarly = true;
  static constexpr int kHeadTiles = (G + 7) / 8, kTileHeads = (G + kHeadTiles - 1) / kHeadTiles;
  static constexpr int kSharedBytes =
      (8 * kTileHeads * (D + 2) + kTileHeads * D + 8 + 16 * kTileHeads) * 4 +
      (D > 64 ? (D + 31) / 32 * 4096 : 0) + 32 * D;
};
/// Buffers: projections, cos, sin, keys, values, table, past, cu, result.
template <typename T, int D, int G, int Hkv, int Rotated, int Window> struct AttentionTask {
  using Type = T;
  struct Config : AttentionConfig<D, G, Hkv, Rotated, Window> {
    static constexpr int kQuery = 0, kResult = 8;
  };
  template <typename P> static INGOT_DEVICE P at(const StreamTile &tile, int i) {
    return static_cast<P>(const_cast<void *>(tile.buffers[i]));
  }
  static INGOT_DEVICE AttentionArguments<T> arguments(const StreamArguments &a,
                                                      const StreamTile &tile, const Sizes &s) {
    return {reinterpret_cast<const T *>(tile.address(a, 0)),
            at<const T *>(tile, 3),
            at<const T *>(tile, 4),
            nullptr,
            at<const i32 *>(tile, 7),
            at<const i32 *>(tile, 5),
            at<const i32 *>(tile, 6),
            nullptr,
            nullptr,
            s.rows,
            0,
            s.tableBlocks};
  }
  static INGOT_DEVICE DecodeAppend<T> append(const StreamArguments &a, const StreamTile &tile) {
    const auto *projected = reinterpret_cast<const T *>(tile.address(a, 0));
    return {projected + D * G * Hkv,    projected + D * (G + 1) * Hkv,
            at<const float *>(tile, 1), at<const float *>(tile, 2),
            at<T *>(tile, 3),           at<T *>(tile, 4)};
  }
  using Kind = StreamAttention<AttentionTask>;
};

template <typename Tasks, int SharedBytes>
__global__ void __launch_bounds__(kStreamThreads, 1)
    streamKernel(StreamArguments a, const i32 *tokens, Sizes sizes) {
  stream<Tasks, SharedBytes>(a, tokens, sizes);
}

template <int N, int K, int Rows, bool Norm> struct Few {
  static constexpr int kThreads = 256, kN = N, kK = K, kRowStride = K, kTileRows = Rows;
  static constexpr int kRingStages = 98304 / (8 * Rows * 128) > 8 ? 8 : 98304 / (8 * Rows * 128);
  static constexpr int kTokenTiles = 1, kEpilogueVector = 8;
  static constexpr bool kNorm = Norm;
  static constexpr float kNormEps = 1e-5f;
  static constexpr int kLeast = 1024 + 8 * kRingStages * (Rows * 128 + 8) + 8 * 16 * Rows * 4 +
                                (Norm ? K * 4 + 8 * 16 * 4 : 0);
  static constexpr int kSharedBytes = kLeast > 116736 ? kLeast : 116736;
};
template <typename T, typename C, Then Kind>
__global__ void __launch_bounds__(256, 2)
    fewKernel(const T *x, const __grid_constant__ TensorMap map, const float *gains,
              const T *residual, T *y, i64 m) {
#if __CUDA_ARCH__ >= 900
  FewRing<C, T> ring(&map, gains);
  linear_few<C, T>(x, m, Rest<T, C::kN, Kind>{y, residual}, ring);
#endif
}
template <typename T, typename C>
__global__ void __cluster_dims__(8, 1, 1) __launch_bounds__(256, 2)
    attentionKernel(AttentionArguments<T> a, DecodeAppend<T> append) {
  attention_decode<C, T>(a, append);
}

/// `Rows`: of W, in a tile of the launches of the four products.
template <typename T, int D, int G, int Hkv, int F, int Layers, int RowsQ, int RowsO, int RowsG,
          int RowsF, int Rotated = D, int Window = 0>
struct Model {
  static constexpr int H = D * G * Hkv, Q = D * (G + 2) * Hkv, kTableBlocks = 65;
  static constexpr int kMost = 8, kShared = 232448;
  using A = AttentionConfig<D, G, Hkv, Rotated, Window>;
  using TaskQ = LinearTask<T, Q, H, Then::Store, true>;
  using TaskA = AttentionTask<T, D, G, Hkv, Rotated, Window>;
  using TaskO = LinearTask<T, H, H, Then::Add, false>;
  using TaskG = LinearTask<T, 2 * F, H, Then::Gate, true>;
  using TaskF = LinearTask<T, H, F, Then::Add, false>;
  using Tasks = StreamTasks<TaskQ, TaskA, TaskO, TaskG, TaskF>;
  static constexpr size_t kCache = size_t(4096) * Hkv * 16 * D;

  Buffer<T> wq{size_t(Q) * H * Layers}, wo{size_t(H) * H * Layers}, wg{size_t(2) * F * H * Layers},
      wf{size_t(H) * F * Layers};
  Buffer<float> gains{size_t(2) * H * Layers}, cos{kMost * Rotated / 2}, sin{kMost * Rotated / 2};
  Buffer<T> keys{kCache}, values{kCache}, keys2{kCache}, values2{kCache};
  Buffer<T> x0{kMost * H}, x{kMost * H}, x1{kMost * H}, q{kMost * Q}, o{kMost * H}, f{kMost * F};
  Buffer<i32> table{kMost * kTableBlocks}, past{kMost}, cu{kMost + 1}, count{1};
  cudaStream_t queue;
  int layers = Layers; // of these, that run

  Model() {
    CHECK_CUDA(cudaStreamCreate(&queue));
    randomize(wq, 1, 1.7f / std::sqrt(float(H)));
    randomize(wo, 2, 1.7f / std::sqrt(float(H)));
    randomize(wg, 3, 1.7f / std::sqrt(float(H)));
    randomize(wf, 4, 1.7f / std::sqrt(float(F)));
    randomize(gains, 5, 2);
    randomize(cos, 6);
    randomize(sin, 7);
    randomize(x0, 8);
    std::vector<i32> blocks(table.count);
    for (size_t i = 0; i < blocks.size(); ++i)
      blocks[i] = i32((i * 1237 + 13) % 4096);
    table.upload(blocks);
  }
  template <typename K, typename... As>
  void launch(K kernel, int grid, int threads, int shared, int cluster, As... as) {
    CHECK_CUDA(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, shared));
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(grid);
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared;
    config.stream = queue;
    cudaLaunchAttribute attribute[1] = {};
    attribute[0].id = cudaLaunchAttributeProgrammaticStreamSerialization;
    attribute[0].val.programmaticStreamSerializationAllowed = 1;
    config.attrs = attribute;
    config.numAttrs = 1;
    CHECK_CUDA(cudaLaunchKernelEx(&config, kernel, as...));
  }
  TensorMap mapOf(const T *w, int n, int k, int rows) {
    return makeTensorMap(w, {cuuint64_t(k), cuuint64_t(n)}, {cuuint64_t(k) * 2},
                         {64, cuuint32_t(rows)});
  }
  template <int N, int K, int Rows, Then Kind, bool Norm>
  void few(const T *in, const T *w, const float *gain, const T *residual, T *y, i64 m) {
    using C = Few<N, K, Rows, Norm>;
    launch(fewKernel<T, C, Kind>, 132, 256, C::kSharedBytes, 1, in, mapOf(w, N, K, Rows), gain,
           residual, y, m);
  }
  void launches(i64 m, i64 rows, Buffer<T> &k, Buffer<T> &v) {
    for (int l = 0; l < layers; ++l) {
      const T *in = l ? x.data : x0.data;
      few<Q, H, RowsQ, Then::Store, true>(in, wq.data + size_t(Q) * H * l, gains.data + 2 * H * l,
                                          nullptr, q.data, m);
      AttentionArguments<T> a{q.data,    k.data,  v.data,  o.data, cu.data, table.data,
                              past.data, nullptr, nullptr, rows,   0,       kTableBlocks};
      DecodeAppend<T> append{
          q.data + D * G * Hkv, q.data + D * (G + 1) * Hkv, cos.data, sin.data, k.data, v.data};
      launch(attentionKernel<T, A>, 128, 256, A::kSharedBytes, 8, a, append);
      few<H, H, RowsO, Then::Add, false>(o.data, wo.data + size_t(H) * H * l, nullptr, in, x1.data,
                                         m);
      few<2 * F, H, RowsG, Then::Gate, true>(x1.data, wg.data + size_t(2) * F * H * l,
                                             gains.data + 2 * H * l + H, nullptr, f.data, m);
      few<H, F, RowsF, Then::Add, false>(f.data, wf.data + size_t(H) * F * l, nullptr, x1.data,
                                         x.data, m);
    }
  }
  std::vector<StreamStep> steps;
  u64 perToken = 0;
  void make() {
    steps.clear();
    perToken = 0;
    auto take = [&](u64 bytes) {
      u64 at = perToken;
      perToken += (bytes + 15) / 16 * 16;
      return reinterpret_cast<const void *>(at);
    };
    const void *in = x0.data;
    for (int l = 0; l < layers; ++l) {
      const void *q = take(Q * 2), *o = take(H * 2), *x1 = take(H * 2), *f = take(F * 2),
                 *x = take(H * 2);
      const u32 first = l ? 1 : 0;
      auto add = [&](u32 task, std::vector<const void *> buffers, u32 exchanged, const void *part) {
        StreamStep step = {};
        step.task = task;
        step.exchanged = exchanged;
        step.part = u64(part);
        std::copy(buffers.begin(), buffers.end(), step.buffers);
        steps.push_back(step);
      };
      const T *w = wq.data + size_t(Q) * H * l;
      add(0, {in, w, q, gains.data + 2 * H * l}, first | 4, 0);
      steps.back().maps[0] = mapOf(w, Q, H, 16);
      add(1, {q, cos.data, sin.data, keys2.data, values2.data, table.data, past.data, cu.data, o},
          1 | 256, take(u64(Hkv) * 8 * A::kTileHeads * A::kHeadTiles * (D + 2) * 4));
      steps.back().maps[0] = mapOf(keys2.data, 4096 * Hkv * 16, D, 16);
      steps.back().maps[1] = mapOf(values2.data, 4096 * Hkv * 16, D, 16);
      w = wo.data + size_t(H) * H * l;
      add(2, {o, w, x1, in}, 1 | 4 | first << 3, 0);
      steps.back().maps[0] = mapOf(w, H, H, 16);
      w = wg.data + size_t(2) * F * H * l;
      add(3, {x1, w, f, gains.data + 2 * H * l + H}, 1 | 4, 0);
      steps.back().maps[0] = mapOf(w, 2 * F, H, 16);
      w = wf.data + size_t(H) * F * l;
      add(4, {f, w, x, x1}, 1 | 4 | 8, take(u64(TaskF::Config::kSplits - 1) * H * 4));
      steps.back().maps[0] = mapOf(w, H, F, 16);
      in = x;
    }
  }
  /// `absent`: rows without a token; `behind`: tokens behind the last row's, which have no result.
  void run(const char *name, std::vector<i32> pasts, int absent, bool timed, int grid = 132,
           int behind = 0) {
    if (!strstr(name, only))
      return;
    const int rows = pasts.size(), tokens = rows - absent, all = tokens + behind;
    const int most = rows + behind;
    layers = timed ? Layers : std::min(Layers, 2);
    std::vector<i32> cus{0};
    for (int i = 0; i < rows; ++i)
      cus.push_back(std::min(i + 1, tokens));
    pasts.resize(kMost);
    past.upload(pasts);
    cus.resize(kMost + 1);
    cu.upload(cus);
    CHECK_CUDA(cudaMemcpy(count.data, &all, 4, cudaMemcpyHostToDevice));
    randomize(keys, 11);
    randomize(values, 12);
    CHECK_CUDA(cudaMemcpy(keys2.data, keys.data, kCache * 2, cudaMemcpyDeviceToDevice));
    CHECK_CUDA(cudaMemcpy(values2.data, values.data, kCache * 2, cudaMemcpyDeviceToDevice));
    make();
    Buffer<StreamStep> device(steps.size());
    device.upload(steps);
    const size_t bytes = kStreamCounterBytes + perToken * most;
    Buffer<unsigned char> exchange(bytes);
    auto entry = streamKernel<Tasks, kShared>;
    auto streamed = [&] {
      CHECK_CUDA(cudaMemsetAsync(exchange.data, 0xff, bytes, queue));
      launch(entry, grid, kStreamThreads, kShared, 1,
             StreamArguments{device.data, int(steps.size()), exchange.data, most},
             (const i32 *)count.data, Sizes{rows, kTableBlocks});
    };
    x.poison();
    CHECK_CUDA(cudaDeviceSynchronize());
    launches(tokens, rows, keys, values);
    CHECK_CUDA(cudaStreamSynchronize(queue));
    streamed();
    CHECK_CUDA(cudaStreamSynchronize(queue));
    auto want = x.download();
    auto first = exchange.download();
    auto resultOf = [&](const std::vector<unsigned char> &bytes) {
      return reinterpret_cast<const unsigned short *>(bytes.data() + kStreamCounterBytes +
                                                      u64(steps.back().buffers[2]) * most);
    };
    const auto *got = resultOf(first);
    auto value = [](unsigned short bits) { return hostValue(T(), bits); };
    double error = 0, norm = 0;
    for (int i = 0; i < tokens * H; ++i) {
      const double e = value(reinterpret_cast<unsigned short *>(want.data())[i]),
                   d = value(got[i]) - e;
      error += d == d ? d * d : 1e30;
      norm += e * e;
    }
    error = tokens ? std::sqrt(error / norm) : 0;
    auto cacheError = [&](Buffer<T> &a, Buffer<T> &b) {
      auto x = a.download(), y = b.download();
      double d = 0;
      for (size_t i = 0; i < x.size(); ++i)
        d = std::max(d, std::fabs(value(x[i].bits) - value(y[i].bits)));
      return d;
    };
    const double cache = std::max(cacheError(keys, keys2), cacheError(values, values2));
    ++checks;
    const bool ok = error < 2e-2 && cache < 0.2;
    failures += !ok;
    printf("%s %s, %d of %d rows: error %.2e, cache %.2e\n", ok ? "ok" : "FAIL", name, tokens, rows,
           error, cache);
    streamed();
    CHECK_CUDA(cudaStreamSynchronize(queue));
    auto again = exchange.download();
    ++checks;
    if (memcmp(again.data() + 128, first.data() + 128, bytes - 128) != 0) {
      ++failures;
      printf("FAIL %s: two runs differ\n", name);
    }
    // NaN is a value that others wait for, as any.
    x0.poison();
    CHECK_CUDA(cudaDeviceSynchronize());
    streamed();
    CHECK_CUDA(cudaStreamSynchronize(queue));
    first = exchange.download();
    ++checks;
    for (int i = 0; i < tokens * H; ++i)
      if (value(resultOf(first)[i]) == value(resultOf(first)[i])) {
        ++failures;
        printf("FAIL %s: not NaN\n", name);
        break;
      }
    randomize(x0, 8);
    if (!timed)
      return;
    auto time = [&](auto &&work) {
      cudaGraph_t graph;
      cudaGraphExec_t exec;
      CHECK_CUDA(cudaStreamBeginCapture(queue, cudaStreamCaptureModeThreadLocal));
      for (int i = 0; i < 4; ++i)
        work();
      CHECK_CUDA(cudaStreamEndCapture(queue, &graph));
      CHECK_CUDA(cudaGraphInstantiate(&exec, graph, 0));
      cudaEvent_t a, b;
      cudaEventCreate(&a);
      cudaEventCreate(&b);
      std::vector<float> times;
      for (int i = 0; i < 11; ++i) {
        CHECK_CUDA(cudaGraphLaunch(exec, queue));
        CHECK_CUDA(cudaEventRecord(a, queue));
        CHECK_CUDA(cudaGraphLaunch(exec, queue));
        CHECK_CUDA(cudaEventRecord(b, queue));
        CHECK_CUDA(cudaStreamSynchronize(queue));
        float ms;
        cudaEventElapsedTime(&ms, a, b);
        times.push_back(ms * 1e3f / 4 / layers);
      }
      std::sort(times.begin(), times.end());
      return times[5];
    };
    const float separate = time([&] { launches(tokens, rows, keys, values); });
    const float one = time(streamed);
    printf("%s, %d rows: launches %.2f us a layer, stream %.2f\n", name, rows, separate, one);
  }
};

/// stream [check [NAME]]: `check` for no times, and then those cases whose name has NAME in it.
int main(int argc, char **argv) {
  setvbuf(stdout, nullptr, _IONBF, 0);
  if (!haveDevice(9))
    return kSkipped;
  const bool timed = argc == 1;
  only = argc > 2 ? argv[2] : "";
  {
    static Model<bf16, 64, 4, 8, 8192, 8, 32, 24, 32, 16> model;
    for (std::vector<i32> pasts : {std::vector<i32>{511}, {511, 300}, {511, 300, 400, 500}})
      model.run("1B", pasts, 0, timed);
    model.run("1B", {0, 15, 16}, 1, false);
    model.run("1B", {511, 300, 0, 15, 900, 40, 500}, 2, timed);
    model.run("1B", {511, 300, 0, 15, 900, 40, 500, 600}, 0, timed);
  }
  {
    static Model<bf16, 128, 4, 8, 14336, 4, 48, 32, 32, 32> model;
    model.run("8B", {511}, 0, timed);
    model.run("8B", {511, 300, 0, 15, 900, 40}, 1, timed);
  }
  {
    static Model<f16, 64, 9, 1, 1536, 3, 16, 16, 16, 16> model;
    model.run("small: two tiles of heads, K=576, f16", {33}, 0, false);
    model.run("small: two tiles of heads, K=576, f16", {0, 700, 1, 31, 32}, 1, false);
    model.run("small: two tokens behind the last row's", {5, 40}, 0, false, 132, 2);
    model.run("small: one block", {5, 40}, 0, false, 1);
    model.run("small: more blocks than fit", {5, 40}, 0, false, 300);
    model.run("small: no tokens", {5, 40}, 2, false);
  }
  {
    static Model<bf16, 128, 2, 2, 1000, 2, 16, 16, 16, 16, 64, 100> model;
    model.run("small: half rotated, window of 100", {99}, 0, false);
    model.run("small: half rotated, window of 100", {100, 5, 1000, 101}, 0, false);
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
