// attention_decode.cu - Attention of few tokens over a paged cache against plain loops, and its
// rates.
#include "codegen/cuda/kernels/attention_decode.cuh"
#include "test/gpu/AttentionReference.cuh"

using namespace ingot;

enum Flags { kPlain = 0, kAlibiBit = 1, kSinksBit = 2 };

template <typename T, int D, int G, int Hkv, int Bits, int Window, int Softcap, int Block>
struct Config {
  static constexpr int kThreads = 256, kWidth = D, kGroup = G, kKvHeads = Hkv;
  static constexpr int kWindow = Window, kBlock = Block, kBlocks = 131072 / Block, kCluster = 8;
  static constexpr int kQueryStride = D * G * Hkv + 64, kOutputStride = D * G * Hkv;
  static constexpr float kScale = 0.125f, kSoftcap = Softcap;
  static constexpr bool kCausal = true, kPaged = true;
  static constexpr bool kAlibi = Bits & kAlibiBit, kSinks = Bits & kSinksBit;
  static constexpr bool kAlibiBeforeScale = false;
  static constexpr int kHeadTiles = (G + 7) / 8, kTileHeads = (G + kHeadTiles - 1) / kHeadTiles;
  static constexpr int kSharedBytes =
      9 * kTileHeads * (D + 2) * 4 + (D > 64 ? (D + 31) / 32 * 4096 : 0);
};

template <typename C, typename T>
__global__ void __cluster_dims__(8, 1, 1) __launch_bounds__(256, C::kWidth > 128 ? 1 : 2)
    kernel(AttentionArguments<T> a) {
  attention_decode<C, T>(a);
}

/// Rows with so many new tokens and so many in the cache before; what lies behind a row's keys is
/// NaN.
template <typename T, int D, int G, int Hkv, int Bits, int Window = 0, int Softcap = 0,
          int Block = 16>
void run(const char *type, std::vector<int> lengths, std::vector<int> pasts, double limit,
         bool timed = false) {
  using C = Config<T, D, G, Hkv, Bits, Window, Softcap, Block>;
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
  for (int i = 0; i < rows && !timed; ++i) {
    const int keys = lengths[i] + pasts[i], rest = Block - keys % Block;
    for (int h = 0; h < Hkv && keys % Block; ++h) {
      size_t place =
          ((size_t(blocks[i * tableBlocks + keys / Block]) * Hkv + h) * Block + keys % Block) * D;
      CHECK_CUDA(cudaMemset(k.data + place, 0xff, size_t(rest) * D * sizeof(T)));
      CHECK_CUDA(cudaMemset(v.data + place, 0xff, size_t(rest) * D * sizeof(T)));
    }
  }
  Buffer<float> slopes(G * Hkv), sinks(G * Hkv), expected(out.count);
  randomize(slopes, 4, 0.1f);
  randomize(sinks, 5, 3);
  AttentionArguments<T> a{q.data,        k.data,     v.data,    out.data,
                          cuBuffer.data, table.data, past.data, slopes.data,
                          sinks.data,    rows,       0,         tableBlocks};
  auto entry = kernel<C, T>;
  CHECK_CUDA(
      cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, C::kSharedBytes));
  for (int grid : {128, 16}) {
    if (timed && grid != 128)
      continue;
    out.poison();
    entry<<<grid, 256, C::kSharedBytes>>>(a);
    CHECK_CUDA(cudaGetLastError());
    if (timed)
      break;
    char what[160];
    snprintf(what, sizeof what,
             "attention_decode %s D=%d G=%d bits=%d window=%d softcap=%d block=%d T=%d rows=%d "
             "grid=%d",
             type, D, G, Bits, Window, Softcap, Block, tokens, rows, grid);
    attentionExpected<C>(a, tokens, longest, 0, 0, expected);
    expectClose(what, out, expected, limit);
    // Again, over what stands there: bit for bit.
    std::vector<T> before = out.download();
    entry<<<grid, 256, C::kSharedBytes>>>(a);
    CHECK_CUDA(cudaDeviceSynchronize());
    std::vector<T> after = out.download();
    ++checks;
    if (memcmp(before.data(), after.data(), before.size() * sizeof(T)) != 0) {
      ++failures;
      printf("FAIL %s: two runs differ\n", what);
    }
  }
  if (!timed)
    return;
  double seconds = measure([&](int i) {
    AttentionArguments<T> b = a;
    b.table += size_t(i % tables) * rows * tableBlocks;
    entry<<<128, 256, C::kSharedBytes>>>(b);
  });
  double bytes = 0;
  for (int i = 0; i < rows; ++i)
    bytes += double(lengths[i] + pasts[i]) * 2 * Hkv * D * sizeof(T);
  printf("attention_decode %s D=%d heads %d/%d, %d rows of %d keys: %.2f us  %.0f GB/s of keys\n",
         type, D, G * Hkv, Hkv, rows, longest, seconds * 1e6, bytes / seconds * 1e-9);
}

/// With an argument, only compares (for compute-sanitizer).
int main(int argc, char **) {
  if (!haveDevice(9))
    return kSkipped;
  std::vector<int> ones{1, 1, 1, 1}, pasts{5, 1000, 63, 2047}, mixed{3, 1, 0, 7, 1},
      few{0, 17, 9, 300, 64};
  run<bf16, 128, 4, 8, kPlain>("bf16", ones, pasts, 6e-3);
  run<bf16, 128, 4, 8, kPlain>("bf16", {1}, {0}, 6e-3);
  run<bf16, 128, 4, 8, kPlain>("bf16", {1}, {512}, 6e-3);
  run<bf16, 128, 4, 8, kPlain>("bf16", std::vector<int>(40, 1), std::vector<int>(40, 77), 6e-3);
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
  if (argc == 1) {
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
