// attention_decode.cu - Attention of few tokens over a paged cache, with and without RoPE and the
// appends in front, against plain loops, and its rates.
#include "codegen/cuda/kernels/attention_decode.cuh"
#include "test/gpu/AttentionReference.cuh"

using namespace ingot;

/// kEarly: the first keys are read before the wait for the grid in front.
enum Flags { kPlain = 0, kAlibiBit = 1, kSinksBit = 2, kEarly = 4 };
/// How many elements of a head are rotated: no appends, or appends of what is not rotated.
constexpr int kNoAppend = -1, kNoRope = 0;

template <typename T, int D, int G, int Hkv, int Bits, int Window, int Softcap, int Block,
          int Rotated>
struct Config {
  static constexpr int kThreads = 256, kWidth = D, kGroup = G, kKvHeads = Hkv;
  static constexpr int kWindow = Window, kBlock = Block, kBlocks = 131072 / Block, kCluster = 8;
  /// Queries, keys and values of a token are side by side.
  static constexpr int kQueryStride = D * (G + 2) * Hkv + 64, kOutputStride = D * G * Hkv;
  static constexpr bool kAppend = Rotated != kNoAppend;
  static constexpr int kRotated = kAppend ? Rotated : 0;
  static constexpr int kNewKeyStride = kQueryStride, kNewValueStride = kQueryStride;
  static constexpr float kScale = 0.125f, kSoftcap = Softcap;
  static constexpr bool kCausal = true, kPaged = true;
  static constexpr bool kAlibi = Bits & kAlibiBit, kSinks = Bits & kSinksBit;
  static constexpr bool kAlibiBeforeScale = false, kReadsEarly = Bits & kEarly;
  static constexpr int kHeadTiles = (G + 7) / 8, kTileHeads = (G + kHeadTiles - 1) / kHeadTiles;
  static constexpr int kSharedBytes =
      (8 * kTileHeads * (D + 2) + kTileHeads * D + 8 + 16 * kTileHeads) * 4 +
      (D > 64 ? (D + 31) / 32 * 4096 : 0) + (kAppend ? 32 * D : 0);
};

template <typename C, typename T>
__global__ void __cluster_dims__(8, 1, 1) __launch_bounds__(256, C::kWidth > 128 ? 1 : 2)
    kernel(AttentionArguments<T> a, DecodeAppend<T> append) {
  attention_decode<C, T>(a, append);
}

/// Queries and keys of all tokens rotated as GeneratedFamily prints it, keys and values appended to
/// the cache: a thread a token, head (queries, keys, values) and element.
template <typename C, typename T>
__global__ void ropeAppend(AttentionArguments<T> a, DecodeAppend<T> append, T *q) {
  constexpr int kHeads = C::kGroup * C::kKvHeads, kAll = kHeads + 2 * C::kKvHeads;
  const int token = blockIdx.x, head = blockIdx.y, d = threadIdx.x;
  const T *x = a.q + i64(token) * C::kQueryStride + head * C::kWidth;
  static_assert(C::kNewKeyStride == C::kQueryStride && kAll * C::kWidth <= C::kQueryStride,
                "queries, keys and values are side by side");
  T value = x[d];
  if (head < kHeads + C::kKvHeads && d < C::kRotated) {
    const int half = C::kRotated > 0 ? C::kRotated / 2 : 1, j = d % half;
    const bool low = d < half;
    const float mine = float(x[d]), other = float(x[low ? d + half : j]);
    const float cosine = mine * append.cos[token * half + j];
    const float sine = (low ? -other : other) * append.sin[token * half + j];
    value = T(cosine + sine);
  }
  if (head < kHeads) {
    q[i64(token) * C::kQueryStride + head * C::kWidth + d] = value;
    return;
  }
  const i64 row = find_row(a.cu, a.rows, token);
  const i64 position = max_of(a.past[row], 0) + token - a.cu[row];
  if (row >= a.rows || position >= a.tableBlocks * C::kBlock)
    return;
  const int kvHead = (head - kHeads) % C::kKvHeads;
  T *cache = head < kHeads + C::kKvHeads ? append.keys : append.values;
  paged_slot<C::kBlocks, C::kKvHeads, C::kBlock, C::kWidth>(cache, a.table + row * a.tableBlocks,
                                                            position, kvHead)[d] = value;
}

__global__ void countDifferences(const u32 *a, const u32 *b, size_t count, u32 *differences) {
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count;
       i += size_t(gridDim.x) * blockDim.x)
    if (a[i] != b[i])
      atomicAdd(differences, 1);
}
template <typename T> bool sameBytes(const Buffer<T> &a, const Buffer<T> &b) {
  Buffer<u32> differences(1);
  CHECK_CUDA(cudaMemset(differences.data, 0, 4));
  countDifferences<<<1024, 256>>>(reinterpret_cast<const u32 *>(a.data),
                                  reinterpret_cast<const u32 *>(b.data), a.count * sizeof(T) / 4,
                                  differences.data);
  CHECK_CUDA(cudaDeviceSynchronize());
  return differences.download()[0] == 0;
}

/// Rows with so many new tokens and so many in the cache before; what lies behind a row's keys is
/// NaN.
template <typename T, int D, int G, int Hkv, int Bits, int Window = 0, int Softcap = 0,
          int Block = 16, int Rotated = kNoAppend>
void run(const char *type, std::vector<int> lengths, std::vector<int> pasts, double limit,
         bool timed = false) {
  using C = Config<T, D, G, Hkv, Bits, Window, Softcap, Block, Rotated>;
  const int rows = lengths.size();
  std::vector<i32> cu{0};
  int longest = 1;
  for (int i = 0; i < rows; ++i) {
    cu.push_back(cu.back() + lengths[i]);
    longest = std::max(longest, lengths[i] + pasts[i]);
  }
  const int tokens = cu.back(), tableBlocks = (longest + Block - 1) / Block + 1;
  // Several tables, so that timed launches find nothing in L2.
  const int tables = timed ? std::min(8, C::kBlocks / (rows * tableBlocks)) : 1;
  Buffer<T> q(size_t(tokens) * C::kQueryStride), out(size_t(tokens) * C::kOutputStride);
  Buffer<T> k(size_t(C::kBlocks) * Hkv * Block * D), v(k.count);
  randomize(q, 1, 2);
  randomize(k, 2);
  randomize(v, 3);
  Buffer<i32> cuBuffer(cu.size()), past(rows), table(size_t(tables) * rows * tableBlocks);
  cuBuffer.upload(cu);
  past.upload(pasts);
  std::vector<i32> blocks(table.count);
  for (size_t i = 0; i < blocks.size(); ++i)
    blocks[i] = i32((i * 7919 + 13) % C::kBlocks);
  table.upload(blocks);
  // What nobody has appended yet is NaN: without appends, behind a row's keys.
  for (int i = 0; i < rows && !timed; ++i)
    for (int key = pasts[i] + (C::kAppend ? 0 : lengths[i]);
         key % Block || key < lengths[i] + pasts[i]; ++key)
      for (int h = 0; h < Hkv; ++h) {
        size_t place =
            ((size_t(blocks[i * tableBlocks + key / Block]) * Hkv + h) * Block + key % Block) * D;
        CHECK_CUDA(cudaMemset(k.data + place, 0xff, D * sizeof(T)));
        CHECK_CUDA(cudaMemset(v.data + place, 0xff, D * sizeof(T)));
      }
  Buffer<float> slopes(G * Hkv), sinks(G * Hkv), expected(out.count);
  randomize(slopes, 4, 0.1f);
  randomize(sinks, 5, 3);
  AttentionArguments<T> a{q.data,        k.data,     v.data,    out.data,
                          cuBuffer.data, table.data, past.data, slopes.data,
                          sinks.data,    rows,       0,         tableBlocks};
  Buffer<float> cos(std::max<size_t>(1, size_t(tokens) * C::kRotated / 2)), sin(cos.count);
  randomize(cos, 6);
  randomize(sin, 7);
  const T *projected = q.data + D * G * Hkv;
  DecodeAppend<T> append{projected, projected + D * Hkv, cos.data, sin.data, k.data, v.data};
  // What is expected comes from caches that everything was appended to before.
  Buffer<T> fullK(C::kAppend ? k.count : 1), fullV(fullK.count), rotatedQ(q.count);
  AttentionArguments<T> separate = a;
  if (C::kAppend) {
    CHECK_CUDA(cudaMemcpy(fullK.data, k.data, k.count * sizeof(T), cudaMemcpyDeviceToDevice));
    CHECK_CUDA(cudaMemcpy(fullV.data, v.data, v.count * sizeof(T), cudaMemcpyDeviceToDevice));
    DecodeAppend<T> before = append;
    before.keys = fullK.data;
    before.values = fullV.data;
    ropeAppend<C, T><<<dim3(tokens, (G + 2) * Hkv), D>>>(a, before, rotatedQ.data);
    CHECK_CUDA(cudaGetLastError());
    separate.q = rotatedQ.data;
    separate.k = fullK.data;
    separate.v = fullV.data;
  }
  auto entry = kernel<C, T>;
  CHECK_CUDA(
      cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes));
  for (int grid : {128, 16}) {
    if (timed && grid != 128)
      continue;
    out.poison();
    entry<<<grid, 256, C::kSharedBytes>>>(a, append);
    CHECK_CUDA(cudaGetLastError());
    if (timed)
      break;
    char what[160];
    snprintf(what, sizeof what,
             "attention_decode %s D=%d G=%d bits=%d window=%d softcap=%d block=%d rotated=%d T=%d "
             "rows=%d grid=%d",
             type, D, G, Bits, Window, Softcap, Block, Rotated, tokens, rows, grid);
    attentionExpected<C>(separate, tokens, longest, 0, 0, expected);
    expectClose(what, out, expected, limit);
    // Again, over what stands there: bit for bit.
    if (repeated) {
      std::vector<T> before = out.download();
      entry<<<grid, 256, C::kSharedBytes>>>(a, append);
      CHECK_CUDA(cudaDeviceSynchronize());
      std::vector<T> after = out.download();
      ++checks;
      if (memcmp(before.data(), after.data(), before.size() * sizeof(T)) != 0) {
        ++failures;
        printf("FAIL %s: two runs differ\n", what);
      }
    }
    // The caches are, bit for bit, what the appends by themselves make of them.
    if (!C::kAppend)
      continue;
    ++checks;
    if (!sameBytes(k, fullK) || !sameBytes(v, fullV)) {
      ++failures;
      printf("FAIL %s: the cache differs\n", what);
    }
  }
  if (!timed)
    return;
  double seconds = measure([&](int i) {
    AttentionArguments<T> b = a;
    b.table += size_t(i % tables) * rows * tableBlocks;
    entry<<<128, 256, C::kSharedBytes>>>(b, append);
  });
  double bytes = 0;
  for (int i = 0; i < rows; ++i)
    bytes += double(lengths[i] + pasts[i]) * 2 * Hkv * D * sizeof(T);
  printf("attention_decode %s D=%d heads %d/%d, %d rows of %d keys%s: %.2f us  %.0f GB/s of keys\n",
         type, D, G * Hkv, Hkv, rows, longest, C::kAppend ? ", RoPE and appends" : "",
         seconds * 1e6, bytes / seconds * 1e-9);
}

/// With an argument, only compares, once, and shorter rows (for compute-sanitizer).
int main(int argc, char **) {
  if (!haveDevice(9))
    return kSkipped;
  const bool full = repeated = argc == 1;
  std::vector<int> ones{1, 1, 1, 1}, mixed{3, 1, 0, 7, 1}, pasts{5, 130, 63, 257},
      few{0, 17, 9, 40, 30};
  if (full)
    pasts = {5, 1000, 63, 2047}, few = {0, 17, 9, 300, 64};
  // More rows than a warp has lanes, some without tokens.
  std::vector<int> forty, fortyPasts;
  for (int i = 0; i < 40; ++i)
    forty.push_back(i % 3), fortyPasts.push_back(i * 37 % 150);
  run<bf16, 128, 4, 8, kPlain>("bf16", ones, pasts, 6e-3);
  run<bf16, 128, 4, 8, kPlain>("bf16", {1}, {0}, 6e-3);
  run<bf16, 128, 4, 8, kPlain>("bf16", {1}, {512}, 6e-3);
  run<bf16, 128, 4, 8, kPlain>("bf16", forty, fortyPasts, 6e-3);
  run<bf16, 64, 4, 2, kPlain>("bf16", mixed, few, 6e-3);
  run<f16, 64, 1, 5, kPlain>("f16", ones, pasts, 2e-3);
  run<f16, 128, 8, 1, kPlain>("f16", mixed, few, 2e-3);
  run<f16, 64, 7, 3, kSinksBit>("f16", ones, pasts, 2e-3);
  run<f16, 64, 3, 3, kAlibiBit>("f16", ones, pasts, 2e-3);
  run<bf16, 64, 4, 2, kPlain, 100>("bf16", ones, pasts, 6e-3);
  run<f16, 128, 2, 2, kPlain, 0, 10>("f16", mixed, few, 2e-3);
  run<f16, 64, 2, 2, kPlain, 0, 0, 5>("f16", mixed, few, 2e-3);
  // Heads whose width is no power of two, or wide.
  run<bf16, 32, 4, 2, kPlain>("bf16", ones, pasts, 6e-3);
  run<f16, 48, 3, 2, kPlain, 100>("f16", mixed, few, 2e-3);
  run<bf16, 80, 1, 8, kPlain>("bf16", ones, pasts, 6e-3);
  run<f16, 80, 4, 2, kAlibiBit>("f16", mixed, few, 2e-3);
  run<bf16, 96, 8, 2, kPlain, 0, 20>("bf16", ones, pasts, 6e-3);
  run<f16, 112, 5, 2, kSinksBit>("f16", mixed, few, 2e-3);
  run<bf16, 160, 2, 4, kPlain>("bf16", ones, pasts, 6e-3);
  run<f16, 192, 8, 1, kPlain, 0, 0, 5>("f16", mixed, few, 2e-3);
  run<bf16, 256, 1, 4, kPlain>("bf16", ones, pasts, 6e-3);
  run<f16, 256, 8, 2, kAlibiBit | kSinksBit, 100, 30>("f16", mixed, few, 2e-3);
  run<f16, 40, 2, 3, kPlain>("f16", ones, pasts, 2e-3);
  run<bf16, 200, 3, 1, kPlain>("bf16", mixed, few, 6e-3);
  // Groups of more than eight query heads.
  run<bf16, 64, 71, 1, kPlain>("bf16", mixed, few, 6e-3);
  run<f16, 128, 12, 2, kSinksBit>("f16", ones, pasts, 2e-3);
  run<f16, 80, 17, 1, kAlibiBit>("f16", ones, pasts, 2e-3);
  run<bf16, 256, 16, 1, kPlain>("bf16", mixed, few, 6e-3);
  // RoPE and the appends in front: every width of a pair's halves, none rotated, some of a head;
  // several tokens a row, windows that begin among them.
  run<bf16, 128, 4, 8, kEarly, 0, 0, 16, 128>("bf16", ones, pasts, 6e-3);
  run<bf16, 128, 4, 8, kEarly, 0, 0, 16, 128>("bf16", {1}, {0}, 6e-3);
  run<bf16, 128, 4, 8, kEarly, 0, 0, 16, 128>("bf16", {1}, {512}, 6e-3);
  run<bf16, 128, 4, 8, kEarly, 0, 0, 16, 128>("bf16", forty, fortyPasts, 6e-3);
  run<bf16, 64, 4, 8, kEarly, 0, 0, 16, 64>("bf16", std::vector<int>(16, 1),
                                            std::vector<int>(16, 512), 6e-3);
  run<bf16, 64, 4, 2, kEarly, 0, 0, 16, 64>("bf16", mixed, few, 6e-3);
  run<f16, 64, 7, 3, kSinksBit, 0, 0, 16, 32>("f16", mixed, few, 2e-3);
  run<f16, 128, 8, 1, kPlain, 4, 0, 5, 64>("f16", mixed, few, 2e-3);
  run<bf16, 64, 4, 2, kEarly, 100, 0, 16, 64>("bf16", ones, pasts, 6e-3);
  run<bf16, 80, 1, 8, kPlain, 0, 0, 16, 80>("bf16", mixed, few, 6e-3);
  run<f16, 96, 4, 2, kAlibiBit, 0, 0, 16, kNoRope>("f16", mixed, few, 2e-3);
  run<bf16, 96, 8, 2, kEarly, 0, 20, 16, 96>("bf16", ones, pasts, 6e-3);
  run<f16, 256, 8, 2, kPlain, 0, 0, 16, 256>("f16", mixed, few, 2e-3);
  run<bf16, 64, 71, 1, kEarly, 0, 0, 16, 64>("bf16", mixed, few, 6e-3);
  run<f16, 128, 12, 2, kSinksBit | kEarly, 0, 0, 16, 128>("f16", ones, pasts, 2e-3);
  run<bf16, 64, 1, 5, kEarly, 0, 0, 16, kNoRope>("bf16", ones, pasts, 6e-3);
  if (full) {
    run<bf16, 128, 4, 8, kEarly, 0, 0, 16, 128>("bf16", {1}, {512}, 0, true);
    run<bf16, 64, 4, 8, kEarly, 0, 0, 16, 64>("bf16", {1}, {512}, 0, true);
    run<bf16, 128, 4, 8, kEarly, 0, 0, 16, 128>("bf16", std::vector<int>(16, 1),
                                                std::vector<int>(16, 512), 0, true);
    run<bf16, 64, 4, 8, kEarly, 0, 0, 16, 64>("bf16", std::vector<int>(16, 1),
                                              std::vector<int>(16, 512), 0, true);
    run<bf16, 128, 4, 8, kPlain>("bf16", {1}, {512}, 0, true);
    run<bf16, 128, 4, 8, kPlain>("bf16", {1}, {1000}, 0, true);
    run<bf16, 64, 4, 8, kPlain>("bf16", {1}, {512}, 0, true);
    run<bf16, 128, 4, 8, kPlain>("bf16", std::vector<int>(16, 1), std::vector<int>(16, 512), 0,
                                 true);
    run<bf16, 128, 4, 8, kPlain>("bf16", std::vector<int>(16, 1), std::vector<int>(16, 1000), 0,
                                 true);
    run<bf16, 64, 4, 8, kPlain>("bf16", std::vector<int>(16, 1), std::vector<int>(16, 512), 0,
                                true);
    run<bf16, 128, 4, 8, kPlain>("bf16", {1}, {16000}, 0, true);
    std::vector<int> sixteen(16, 1), thousand(16, 1000);
    run<bf16, 64, 4, 8, kPlain>("bf16", sixteen, thousand, 0, true);
    run<bf16, 80, 1, 32, kPlain>("bf16", sixteen, thousand, 0, true);
    run<bf16, 96, 1, 32, kPlain>("bf16", sixteen, thousand, 0, true);
    run<bf16, 192, 4, 8, kPlain>("bf16", sixteen, thousand, 0, true);
    run<bf16, 256, 4, 4, kPlain>("bf16", sixteen, thousand, 0, true);
    run<bf16, 64, 71, 1, kPlain>("bf16", sixteen, thousand, 0, true);
  }
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}
