// attention.cu - The attention kernel against plain loops, and its rates.
#include "test/gpu/AttentionReference.cuh"

using namespace ingot;

enum Flags { kFull = 0, kCausalBit = 1, kPagedBit = 2, kAlibiBit = 4, kSinksBit = 8 };

template <typename T, int D, int G, int Hkv, int Bits, int Window, int Softcap, int Threads,
          int Keys>
struct Config {
  static constexpr int kThreads = Threads, kKeys = Keys, kWidth = D, kGroup = G, kKvHeads = Hkv,
                       kBatchMost = 64;
  static constexpr int kRowTiles = sizeof(T) == 2 && D <= 128 ? 2 : 1;
  static constexpr int kBytes = D * int(sizeof(T)), kPadded = (D + 15) / 16 * 16;
  static constexpr int kChunkBytes = kBytes % 16 == 0  ? 16
                                     : kBytes % 8 == 0 ? 8
                                     : kBytes % 4 == 0 ? 4
                                                       : 2;
  static constexpr int kWindow = Window, kBlock = 16, kBlocks = 8192, kCluster = 8;
  static constexpr int kQueryStride = D * G * Hkv, kOutputStride = kQueryStride;
  static constexpr int kKeyStride = D * Hkv, kValueStride = D * Hkv;
  static constexpr float kScale = 0.125f, kSoftcap = Softcap;
  static constexpr bool kCausal = Bits & kCausalBit, kPaged = Bits & kPagedBit;
  static constexpr bool kAlibi = Bits & kAlibiBit, kSinks = Bits & kSinksBit;
  static constexpr bool kAlibiBeforeScale = false;
  static constexpr int kPitch = kPadded * int(sizeof(T)) + 16;
  static constexpr int kRows = kThreads / 2 * kRowTiles;
  static constexpr int kTilesBytes = (kRows + 4 * kKeys) * kPitch;
  static constexpr int kMergeBytes = kRows * (kPadded + 2) * 4;
  static constexpr int kSharedBytes = kTilesBytes > kMergeBytes ? kTilesBytes : kMergeBytes;
};

template <typename C, typename T>
__global__ void __cluster_dims__(8, 1, 1) __launch_bounds__(C::kThreads)
    kernel(AttentionArguments<T> a) {
  attention<C, T>(a);
}

template <typename T, int D, int G, int Hkv, int Bits, int Window = 0, int Softcap = 0,
          int Threads = 128, int Keys = sizeof(T) == 2 ? 64 : 32>
void run(const char *type, std::vector<int> lengths, std::vector<int> pasts, double limit,
         bool timed = false) {
  using C = Config<T, D, G, Hkv, Bits, Window, Softcap, Threads, Keys>;
  int rows = lengths.size(), tokens = 0, longest = 1;
  std::vector<i32> cu{0};
  for (int i = 0; i < rows; ++i) {
    tokens += lengths[i];
    cu.push_back(tokens);
    longest = std::max(longest, lengths[i] + (C::kPaged ? pasts[i] : 0));
  }
  int tableBlocks = (longest + C::kBlock - 1) / C::kBlock;
  Buffer<T> q(size_t(tokens) * C::kQueryStride), out(size_t(tokens) * C::kOutputStride);
  size_t keyElements =
      C::kPaged ? size_t(C::kBlocks) * Hkv * C::kBlock * D : size_t(tokens) * Hkv * D;
  Buffer<T> k(keyElements), v(keyElements);
  randomize(q, 1, 2);
  randomize(k, 2);
  randomize(v, 3);
  Buffer<i32> cuBuffer(cu.size()), past(std::max(rows, 1)), table(size_t(rows) * tableBlocks);
  cuBuffer.upload(cu);
  if (C::kPaged) {
    past.upload(pasts);
    std::vector<i32> blocks(size_t(rows) * tableBlocks);
    for (size_t i = 0; i < blocks.size(); ++i)
      blocks[i] = (i * 7919 + 13) % C::kBlocks;
    table.upload(blocks);
  }
  Buffer<float> slopes(G * Hkv), sinks(G * Hkv), expected(out.count);
  randomize(slopes, 4, 0.1f);
  randomize(sinks, 5, 3);
  AttentionArguments<T> a{q.data,
                          k.data,
                          v.data,
                          out.data,
                          cuBuffer.data,
                          C::kPaged ? table.data : nullptr,
                          C::kPaged ? past.data : nullptr,
                          slopes.data,
                          sinks.data,
                          rows,
                          0,
                          tableBlocks};
  auto entry = kernel<C, T>;
  CHECK_CUDA(
      cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes));
  int perMultiprocessor = std::max(1, 227 * 1024 / (C::kSharedBytes + 1400));
  int grid = 132 * std::min(perMultiprocessor, 4) / 8 * 8;
  out.poison();
  entry<<<grid, C::kThreads, C::kSharedBytes>>>(a);
  CHECK_CUDA(cudaGetLastError());
  char what[200];
  snprintf(what, sizeof what,
           "attention %s D=%d G=%d bits=%d window=%d softcap=%d T=%d rows=%d, %d threads, %d keys",
           type, D, G, Bits, Window, Softcap, tokens, rows, Threads, Keys);
  if (!timed) {
    attentionExpected<C>(a, tokens, longest, C::kKeyStride, C::kValueStride, expected);
    expectClose(what, out, expected, limit);
    if (!repeated)
      return;
    // Again, over what stands there: bit for bit.
    std::vector<T> before = out.download();
    entry<<<grid, C::kThreads, C::kSharedBytes>>>(a);
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<T> after = out.download();
    ++checks;
    if (memcmp(before.data(), after.data(), before.size() * sizeof(T)) != 0) {
      ++failures;
      printf("FAIL %s: two runs differ\n", what);
    }
    return;
  }
  double seconds = measure([&](int) { entry<<<grid, C::kThreads, C::kSharedBytes>>>(a); });
  double pairs = 0, keyBytes = 0;
  for (int i = 0; i < rows; ++i) {
    double s = lengths[i], p = C::kPaged ? pasts[i] : 0;
    pairs += C::kCausal ? s * p + s * (s + 1) / 2 : s * (p + s);
    keyBytes += (s + p) * 2 * Hkv * D * sizeof(T);
  }
  printf("%-70s %9.2f us %7.1f TFLOP/s %7.1f GB/s of keys\n", what, seconds * 1e6,
         4 * pairs * G * Hkv * D / seconds * 1e-12, keyBytes / seconds * 1e-9);
}

/// With an argument, only compares, once, and shorter rows (for compute-sanitizer).
int main(int argc, char **) {
  if (!haveDevice())
    return kSkipped;
  const bool full = repeated = argc == 1;
  std::vector<int> ragged{1, 63, 64, 65, 7};
  if (full)
    ragged.insert(ragged.end(), {200, 333});
  std::vector<int> ones{1, 1, 1, 1}, mixed{3, 1, 70, 1}, pasts{5, 130, 63, 257},
      few{0, 17, 130, 64};
  if (full)
    pasts = {5, 1000, 63, 2047}, few = {0, 17, 300, 64};
  run<bf16, 64, 4, 2, kFull>("bf16", ragged, {}, 6e-3);
  run<bf16, 64, 4, 2, kCausalBit>("bf16", ragged, {}, 6e-3);
  run<bf16, 128, 4, 2, kCausalBit>("bf16", ragged, {}, 6e-3);
  run<bf16, 80, 1, 3, kCausalBit, 50>("bf16", ragged, {}, 6e-3);
  run<f16, 96, 3, 2, kFull, 0, 10>("f16", ragged, {}, 2e-3);
  run<f16, 256, 2, 2, kCausalBit | kAlibiBit>("f16", ragged, {}, 2e-3);
  run<f16, 32, 1, 4, kFull | kSinksBit>("f16", ragged, {}, 2e-3);
  run<float, 64, 3, 2, kCausalBit>("f32", ragged, {}, 3e-6);
  run<float, 32, 1, 12, kFull>("f32", ragged, {}, 3e-6);
  run<bf16, 128, 4, 8, kCausalBit | kPagedBit>("bf16", ones, pasts, 6e-3);
  run<bf16, 64, 4, 2, kCausalBit | kPagedBit, 100>("bf16", mixed, few, 6e-3);
  run<float, 64, 3, 3, kCausalBit | kPagedBit>("f32", ones, pasts, 3e-6);
  run<float, 64, 3, 3, kCausalBit | kPagedBit>("f32", mixed, few, 3e-6);
  // Heads that are not whole chunks of 16 bytes.
  run<float, 6, 2, 3, kCausalBit | kPagedBit>("f32", mixed, few, 3e-6);
  run<float, 20, 3, 2, kFull>("f32", ragged, {}, 3e-6);
  run<f16, 10, 3, 2, kCausalBit, 40>("f16", ragged, {}, 2e-3);
  run<bf16, 18, 2, 1, kCausalBit | kPagedBit>("bf16", ones, pasts, 6e-3);
  run<f16, 7, 1, 3, kFull | kSinksBit>("f16", ragged, {}, 2e-3);
  // Every width that models have, and the tiles of GPUs with less shared memory.
  run<f16, 48, 2, 2, kCausalBit>("f16", ragged, {}, 2e-3);
  run<bf16, 112, 2, 2, kCausalBit | kPagedBit>("bf16", mixed, few, 6e-3);
  run<bf16, 160, 2, 2, kCausalBit>("bf16", ragged, {}, 6e-3);
  run<bf16, 192, 2, 2, kCausalBit | kPagedBit>("bf16", mixed, few, 6e-3);
  run<float, 80, 2, 2, kCausalBit | kPagedBit>("f32", ones, pasts, 3e-6);
  run<float, 96, 2, 2, kCausalBit, 0, 20>("f32", ragged, {}, 3e-6);
  run<float, 256, 2, 2, kCausalBit | kPagedBit>("f32", mixed, few, 3e-6);
  run<bf16, 128, 4, 2, kCausalBit, 0, 0, 128, 32>("bf16", ragged, {}, 6e-3);
  run<f16, 128, 4, 2, kCausalBit | kPagedBit, 0, 0, 128, 16>("f16", mixed, few, 2e-3);
  run<bf16, 256, 2, 2, kCausalBit, 0, 0, 128, 16>("bf16", ragged, {}, 6e-3);
  run<float, 256, 2, 2, kCausalBit, 0, 0, 32, 16>("f32", ragged, {}, 3e-6);
  run<float, 192, 2, 2, kCausalBit | kPagedBit, 0, 0, 64, 16>("f32", mixed, few, 3e-6);
  if (full) {
    run<bf16, 128, 4, 8, kCausalBit>("bf16", {4096}, {}, 0, true);
    run<bf16, 128, 1, 32, kFull>("bf16", {4096}, {}, 0, true);
    run<bf16, 64, 4, 8, kCausalBit>("bf16", {4096}, {}, 0, true);
    run<f16, 64, 1, 12, kFull>("f16", std::vector<int>(64, 272), {}, 0, true);
    run<bf16, 128, 4, 8, kCausalBit | kPagedBit>("bf16", {1}, {1000}, 0, true);
    run<bf16, 64, 4, 8, kCausalBit | kPagedBit>("bf16", {1}, {1000}, 0, true);
    run<bf16, 128, 4, 8, kCausalBit | kPagedBit>("bf16", std::vector<int>(16, 1),
                                                 std::vector<int>(16, 1000), 0, true);
    run<bf16, 128, 4, 8, kCausalBit | kPagedBit>("bf16", {1}, {16000}, 0, true);
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
