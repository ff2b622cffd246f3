// attention_sm90.cu - Attention by warpgroup instructions against plain loops in f64, and its
// rates.
#include "codegen/cuda/kernels/attention_sm90.cuh"
#include "test/gpu/AttentionReference.cuh"

using namespace ingot;

enum Flags { kFull = 0, kCausalBit = 1, kPagedBit = 2, kAlibiBit = 4, kSinksBit = 8 };

/// How: consumer warpgroups, keys of a tile, stages.
template <int Consumers, int Keys, int Stages> struct How {
  static constexpr int kConsumers = Consumers, kKeys = Keys, kStages = Stages;
  static constexpr int kThreads = 128 * (Consumers + 1);
  static constexpr int kProducerRegisters = Consumers == 2 ? 40 : 32;
  static constexpr int kConsumerRegisters = Consumers == 2 ? 232 : 160;
};

template <typename T, int D, int G, int Hkv, int Bits, typename How_, int Window = 0,
          int Softcap = 0, int Block = 16>
struct Config : How_ {
  static constexpr int kWidth = D, kGroup = G, kKvHeads = Hkv, kBatchMost = 256;
  static constexpr int kWindow = Window, kBlock = Block, kBlocks = 8192;
  static constexpr bool kCausal = Bits & kCausalBit, kPaged = Bits & kPagedBit;
  static constexpr bool kAlibi = Bits & kAlibiBit, kSinks = Bits & kSinksBit;
  static constexpr bool kAlibiBeforeScale = false;
  // Queries, keys and values of a token stand together unless there is a cache.
  static constexpr int kQueryStride = D * (kPaged ? G * Hkv : (G + 2) * Hkv);
  static constexpr int kKeyStride = kQueryStride, kValueStride = kQueryStride;
  static constexpr int kOutputStride = D * G * Hkv;
  static constexpr float kScale = 0.125f, kSoftcap = Softcap;
  static constexpr int kSharedBytes = 227 * 1024 - (kBatchMost + 64) * 4;
};

template <typename C, typename T>
__global__ void __launch_bounds__(C::kThreads, 1)
    kernel(AttentionArguments<T> a, const __grid_constant__ TensorMap mapQ,
           const __grid_constant__ TensorMap mapK, const __grid_constant__ TensorMap mapV) {
  attention_sm90<C, T>(a, &mapQ, &mapK, &mapV);
}

/// NaN in the slots of a row's last block that hold no token.
template <typename C, typename T>
__global__ void poisonSlots(T *cache, AttentionArguments<T> a, int rows) {
  for (int b = blockIdx.x; b < rows; b += gridDim.x) {
    i64 first, count;
    attention_row(a, b, first, count);
    AttentionItem item{b, first, count, 0, 0, 0};
    i64 keys = a.past[b] + count, end = a.tableBlocks * C::kBlock;
    for (i64 key = keys; key < end; ++key)
      for (item.head = 0; item.head < C::kKvHeads; ++item.head) {
        T *row = const_cast<T *>(attention_key_row<C, T>(cache, a, item, key, 0));
        for (int d = threadIdx.x; d < C::kWidth; d += blockDim.x)
          row[d].bits = 0xffff;
      }
  }
}

/// Boxes of 64 columns of heads; `heads` 0: a table of rows.
template <typename T>
TensorMap makeMap(const T *data, u64 width, u64 heads, u64 rows, u64 stride, unsigned boxRows) {
  if (heads == 0)
    return makeTensorMap(data, {width, rows}, {stride * 2}, {64, boxRows});
  return makeTensorMap(data, {width, heads, rows}, {width * 2, stride * 2}, {64, 1, boxRows});
}

template <typename T, typename C>
void run(const char *type, std::vector<int> lengths, std::vector<int> pasts, double limit,
         bool timed = false) {
  constexpr int D = C::kWidth, Hkv = C::kKvHeads, H = C::kGroup * Hkv;
  using Traits = AttentionSm90Traits<C, T>;
  constexpr int kShared = Traits::kSharedBytes;
  int rows = lengths.size(), tokens = 0, longest = 1;
  std::vector<i32> cu{0};
  for (int i = 0; i < rows; ++i) {
    tokens += lengths[i];
    cu.push_back(tokens);
    longest = std::max(longest, lengths[i] + (C::kPaged ? pasts[i] : 0));
  }
  int tableBlocks = (longest + C::kBlock - 1) / C::kBlock;
  // Maps reach past what the rows hold, as where only the device knows how many there are.
  size_t most = tokens + (timed ? 0 : 150);
  Buffer<T> x(most * C::kQueryStride), out(size_t(tokens) * C::kOutputStride);
  size_t cacheElements = C::kPaged ? size_t(C::kBlocks) * Hkv * C::kBlock * D : 1;
  Buffer<T> keyCache(cacheElements), valueCache(cacheElements);
  x.poison();
  fill_random<<<1024, 256>>>(x.data, size_t(tokens) * C::kQueryStride, 1, 1.0f);
  randomize(keyCache, 2);
  randomize(valueCache, 3);
  Buffer<i32> cuBuffer(cu.size()), past(std::max(rows, 1)), table(size_t(rows) * tableBlocks);
  cuBuffer.upload(cu);
  if (C::kPaged) {
    past.upload(pasts);
    std::vector<i32> blocks(size_t(rows) * tableBlocks);
    for (size_t i = 0; i < blocks.size(); ++i)
      blocks[i] = (i * 7919 + 13) % C::kBlocks;
    table.upload(blocks);
  }
  Buffer<float> slopes(H), sinks(H), expected(out.count);
  randomize(slopes, 4, 0.1f);
  randomize(sinks, 5, 3);
  const T *k = C::kPaged ? keyCache.data : x.data + H * D;
  const T *v = C::kPaged ? valueCache.data : x.data + (H + Hkv) * D;
  AttentionArguments<T> a{x.data,
                          k,
                          v,
                          out.data,
                          cuBuffer.data,
                          C::kPaged ? table.data : nullptr,
                          C::kPaged ? past.data : nullptr,
                          slopes.data,
                          sinks.data,
                          rows,
                          0,
                          tableBlocks};
  if (C::kPaged && !timed) {
    poisonSlots<C, T><<<64, 32>>>(keyCache.data, a, rows);
    poisonSlots<C, T><<<64, 32>>>(valueCache.data, a, rows);
  }
  TensorMap mapQ = makeMap(a.q, D, H, most, C::kQueryStride, 64);
  u64 cacheRows = u64(C::kBlocks) * Hkv * C::kBlock;
  TensorMap mapK = C::kPaged ? makeMap(k, D, 0, cacheRows, D, Traits::kBoxRows)
                             : makeMap(k, D, Hkv, most, C::kKeyStride, C::kKeys);
  TensorMap mapV = C::kPaged ? makeMap(v, D, 0, cacheRows, D, Traits::kBoxRows)
                             : makeMap(v, D, Hkv, most, C::kValueStride, C::kKeys);
  auto entry = kernel<C, T>;
  CHECK_CUDA(cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, kShared));
  out.poison();
  auto launch = [&](int) { entry<<<132, C::kThreads, kShared>>>(a, mapQ, mapK, mapV); };
  launch(0);
  CHECK_CUDA(cudaGetLastError());
  CHECK_CUDA(cudaDeviceSynchronize());
  char what[200];
  snprintf(what, sizeof what,
           "%s D=%d %d/%d%s%s%s%s window=%d cap=%g T=%d rows=%d, %d x %d keys, %d stages", type, D,
           H, Hkv, C::kCausal ? " causal" : "", C::kPaged ? " paged" : "",
           C::kAlibi ? " alibi" : "", C::kSinks ? " sinks" : "", C::kWindow, double(C::kSoftcap),
           tokens, rows, 64 * C::kConsumers, C::kKeys, C::kStages);
  if (!timed) {
    attentionExpected<C>(a, tokens, longest, C::kKeyStride, C::kValueStride, expected);
    double error = expectClose(what, out, expected, limit);
    // Again, over what stands there: bit for bit.
    std::vector<T> before = out.download();
    launch(1);
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<T> after = out.download();
    ++checks;
    if (memcmp(before.data(), after.data(), before.size() * sizeof(T)) != 0) {
      ++failures;
      printf("FAIL %s: two runs differ\n", what);
    }
    printf("%-90s error %.2g\n", what, error);
    return;
  }
  double seconds = measure(launch, 15);
  double pairs = 0;
  for (int i = 0; i < rows; ++i) {
    double s = lengths[i], p = C::kPaged ? pasts[i] : 0;
    pairs += C::kCausal ? s * p + s * (s + 1) / 2 : s * (p + s);
  }
  printf("%-90s %9.1f us %7.1f TFLOP/s\n", what, seconds * 1e6,
         4 * pairs * H * D / seconds * 1e-12);
}

/// With an argument, only compares (for compute-sanitizer).
int main(int argc, char **) {
  if (!haveDevice(9))
    return kSkipped;
  using Two = How<2, 128, 2>;
  using Three = How<3, 128, 2>;
  std::vector<int> ragged{1, 63, 0, 64, 65, 200, 0, 7, 333, 129, 128, 127, 1};
  std::vector<int> mixed{3, 1, 70, 1, 0, 300}, few{0, 17, 300, 64, 5, 1000};
  run<bf16, Config<bf16, 128, 1, 1, kFull, Two>>("bf16", {64}, {}, 6e-3);
  run<bf16, Config<bf16, 128, 1, 1, kFull, Two>>("bf16", {512}, {}, 6e-3);
  run<bf16, Config<bf16, 64, 4, 2, kFull, Two>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 64, 4, 2, kCausalBit, Three>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 128, 4, 2, kCausalBit, Two>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 128, 4, 2, kFull, Two>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 128, 4, 2, kCausalBit, Two>>("bf16", {1}, {}, 6e-3);
  run<bf16, Config<bf16, 128, 4, 2, kCausalBit, Two>>("bf16", {1000}, {}, 6e-3);
  run<bf16, Config<bf16, 80, 1, 3, kCausalBit, Two, 50>>("bf16", ragged, {}, 6e-3);
  run<f16, Config<f16, 96, 3, 2, kFull, Two, 0, 10>>("f16", ragged, {}, 2e-3);
  run<f16, Config<f16, 256, 2, 2, kCausalBit | kAlibiBit, How<2, 64, 1>>>("f16", ragged, {}, 2e-3);
  run<f16, Config<f16, 32, 1, 4, kFull | kSinksBit, Three>>("f16", ragged, {}, 2e-3);
  run<f16, Config<f16, 40, 1, 3, kCausalBit, Three>>("f16", ragged, {}, 2e-3);
  run<bf16, Config<bf16, 192, 1, 2, kFull, How<2, 64, 2>>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 200, 2, 1, kCausalBit, How<2, 64, 2>>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 128, 4, 8, kCausalBit | kPagedBit, Two>>("bf16", mixed, few, 6e-3);
  run<bf16, Config<bf16, 64, 4, 2, kCausalBit | kPagedBit, Three, 100>>("bf16", mixed, few, 6e-3);
  run<f16, Config<f16, 64, 1, 2, kCausalBit | kPagedBit | kSinksBit, Two, 0, 0, 256>>("f16", mixed,
                                                                                      few, 2e-3);
  // The widths that models have, and transforms.
  run<bf16, Config<bf16, 48, 2, 2, kCausalBit, Three>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 80, 2, 2, kCausalBit | kPagedBit, Two>>("bf16", mixed, few, 6e-3);
  run<f16, Config<f16, 112, 2, 2, kCausalBit, Two, 70>>("f16", ragged, {}, 2e-3);
  run<bf16, Config<bf16, 160, 1, 2, kCausalBit, How<2, 64, 2>>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 64, 4, 2, kCausalBit | kAlibiBit, Two>>("bf16", ragged, {}, 6e-3);
  // What tuning may choose instead.
  using Fewer = How<2, 96, 2>;
  run<bf16, Config<bf16, 128, 4, 2, kCausalBit, Fewer>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 128, 4, 8, kCausalBit | kPagedBit, Fewer>>("bf16", mixed, few, 6e-3);
  run<f16, Config<f16, 80, 1, 3, kFull, Fewer, 50>>("f16", ragged, {}, 2e-3);
  run<bf16, Config<bf16, 192, 2, 2, kCausalBit, Fewer>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 64, 4, 2, kCausalBit | kPagedBit, Two, 100>>("bf16", mixed, few, 6e-3);
  run<f16, Config<f16, 64, 4, 2, kCausalBit, Two, 0, 30>>("f16", ragged, {}, 2e-3);
  run<bf16, Config<bf16, 128, 2, 2, kCausalBit | kAlibiBit, Two, 90, 20>>("bf16", ragged, {}, 6e-3);
  run<bf16, Config<bf16, 128, 2, 2, kAlibiBit | kSinksBit, Two>>("bf16", ragged, {}, 6e-3);
  // Tiles of keys of which not every warpgroup sees some.
  run<bf16, Config<bf16, 64, 2, 2, kCausalBit | kAlibiBit | kSinksBit, Three>>("bf16", ragged, {},
                                                                               6e-3);
  run<bf16, Config<bf16, 64, 1, 3, kCausalBit, Three>>("bf16", {1024, 191, 192, 193, 385}, {},
                                                       6e-3);
  run<bf16, Config<bf16, 192, 1, 2, kCausalBit, How<2, 96, 1>>>("bf16", ragged, {}, 6e-3);
  if (argc == 1) {
    std::vector<int> one{4096}, sixteen{16384}, batch(64, 272), short_(16, 1024);
    run<bf16, Config<bf16, 128, 4, 8, kCausalBit, Two>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 128, 1, 32, kFull, Two>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 128, 1, 32, kCausalBit, How<2, 160, 2>>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 128, 1, 32, kFull, How<2, 160, 2>>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 128, 4, 8, kCausalBit, Two>>("bf16", sixteen, {}, 0, true);
    run<bf16, Config<bf16, 128, 4, 8, kCausalBit, Two>>("bf16", short_, {}, 0, true);
    run<bf16, Config<bf16, 128, 4, 8, kCausalBit | kPagedBit, Two>>("bf16", one, {0}, 0, true);
    run<bf16, Config<bf16, 64, 4, 8, kCausalBit, Two>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 64, 4, 8, kCausalBit, Three>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 64, 1, 32, kFull, Two>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 64, 1, 32, kFull, Three>>("bf16", one, {}, 0, true);
    run<bf16, Config<bf16, 64, 1, 32, kFull, How<2, 192, 2>>>("bf16", one, {}, 0, true);
    run<f16, Config<f16, 64, 1, 12, kFull, Two>>("f16", batch, {}, 0, true);
    run<f16, Config<f16, 64, 1, 12, kFull, Three>>("f16", batch, {}, 0, true);
    run<f16, Config<f16, 32, 1, 12, kFull, Two>>("f16", batch, {}, 0, true);
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
