// skinny.cuh - x[M, K] W[N, K]^T for few rows of x: as fast as W can be read.
//
// Eight rows of W are a tile, which four warps share by K; every group of four warps takes tiles in
// turn, so that each multiprocessor has the same number of bytes to read, and the next weights are
// in flight while these are multiplied.
// The tokens are the 16 rows of a matrix instruction's A, W's rows the 8 columns of its B. The
// order of K within 32 elements doesn't matter as long as A and B agree: a lane of a quad takes 8
// neighbouring elements (16 bytes) of both.
//
// Constants of a stub: kN, kK, kRowStride, kEpilogueVector as in gemm.cuh; kTilesAtOnce: tiles that
// a group reads together, so that tokens are read once for all of them.
#pragma once

#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

template <typename Config, typename T, int TokenTiles> struct SkinnyTraits {
  /// The warps of a group; more would leave some idle at the end of a short K.
  static constexpr int kWarps = 4;
  static constexpr int kGroups = Config::kThreads / (kWarps * kWarp);
  static constexpr int kTileN = 8 * Config::kTilesAtOnce;
  static constexpr int kTokens = TokenTiles * 16;
  /// 16-byte loads of each row of W that a lane has in flight for one step.
  static constexpr int kLoads = 8 / Config::kTilesAtOnce;
  static constexpr int kLoadK = 16 / sizeof(T);   // elements of a load
  static constexpr int kChunkK = 4 * kLoadK;      // of the quad's loads
  static constexpr int kStepK = kLoads * kChunkK; // of a warp's step
  static constexpr int kSteps = (Config::kK + kWarps * kStepK - 1) / (kWarps * kStepK);
  /// Sums of a group's warps: two buffers of [warp][token][column].
  static constexpr int kGroupFloats = 2 * kWarps * kTokens * kTileN;
  static constexpr int kSharedBytes = kGroups * kGroupFloats * sizeof(float);
  static_assert(Config::kThreads % (kWarps * kWarp) == 0, "a block is whole groups");
  static_assert(Config::kK * sizeof(T) % 16 == 0, "rows of W start at multiples of 16 bytes");
  static_assert(Config::kRowStride * sizeof(T) % 16 == 0,
                "rows of x start at multiples of 16 bytes");
};

/// The part of K that a lane reads in a load.
template <typename Traits> INGOT_DEVICE int skinny_k(int warp, int lane, int step, int load) {
  return (step * Traits::kWarps + warp) * Traits::kStepK + load * Traits::kChunkK +
         lane % 4 * Traits::kLoadK;
}

/// sums += tokens x one chunk of W for f16 and bf16: two instructions, of 16 elements of K each.
template <typename T>
INGOT_DEVICE void skinny_multiply(float (&sums)[4], const uint4 &low, const uint4 &high,
                                  const uint4 &w) {
  const u32 a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {w.x, w.y};
  const u32 a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {w.z, w.w};
  ptx::mma_16x8x16<T>(sums, a0, b0);
  ptx::mma_16x8x16<T>(sums, a1, b1);
}
/// … for f32: two steps of 8 elements of K, each three tf32 products.
template <>
INGOT_DEVICE void skinny_multiply<float>(float (&sums)[4], const uint4 &low, const uint4 &high,
                                         const uint4 &w) {
  const u32 a0[4] = {low.x, high.x, low.y, high.y}, a1[4] = {low.z, high.z, low.w, high.w};
  FragmentA<float> a;
  FragmentB<float> b;
  a.set(a0);
  b.set(w.x, w.y);
  multiply(sums, a, b);
  a.set(a1);
  b.set(w.z, w.w);
  multiply(sums, a, b);
}

/// The weights of one step, as a lane has them.
template <typename Config>
using SkinnyWeights = uint4[Config::kTilesAtOnce][8 / Config::kTilesAtOnce];

/// The tile that this thread's group begins with; the next one is a grid's groups further.
template <typename Config, typename T> INGOT_DEVICE int first_skinny_tile() {
  constexpr int kGroupThreads = SkinnyTraits<Config, T, 1>::kWarps * kWarp;
  return static_cast<int>(blockIdx.x + gridDim.x * (threadIdx.x / kGroupThreads));
}

/// Starts the loads of a step of a tile; those past the end of K or of the tiles give zeros.
template <typename Config, typename T>
INGOT_DEVICE void load_skinny_weights(SkinnyWeights<Config> &next, const T *w, int tile, int step) {
  using Traits = SkinnyTraits<Config, T, 1>;
  const int warp = threadIdx.x / kWarp % Traits::kWarps, lane = threadIdx.x % kWarp;
#pragma unroll
  for (int part = 0; part < Config::kTilesAtOnce; ++part) {
    const int row = tile * Traits::kTileN + part * 8 + lane / 4;
#pragma unroll
    for (int load = 0; load < Traits::kLoads; ++load) {
      const int k = skinny_k<Traits>(warp, lane, step, load);
      next[part][load] = k < Config::kK && row < Config::kN
                             ? ptx::load_streaming(w + static_cast<i64>(row) * Config::kK + k)
                             : make_uint4(0, 0, 0, 0);
    }
  }
}

/// What a linear kernel does before it may look at tokens, or at how many there are: the next grid
/// may come, and the first weights are on their way. `most` bounds the rows: where there may be
/// many, nothing is fetched ahead.
template <typename Config, typename T> struct LinearStart {
  static constexpr int kMostRows = 64;
  SkinnyWeights<Config> weights;

  INGOT_DEVICE LinearStart(const T *w, i64 most) {
    ptx::allow_next_grid();
    if (most <= kMostRows)
      load_skinny_weights<Config>(weights, w, first_skinny_tile<Config, T>(), 0);
    ptx::wait_for_previous_grid();
  }
};

/// `next` has the first weights of the block if `started`.
template <typename Config, typename T, int TokenTiles, typename Epilogue>
INGOT_DEVICE void skinny_gemm(const T *x, const T *w, i64 m, const Epilogue &epilogue,
                              SkinnyWeights<Config> &next, bool started) {
  using Traits = SkinnyTraits<Config, T, TokenTiles>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  constexpr int kGroupThreads = Traits::kWarps * kWarp;
  const int group = threadIdx.x / kGroupThreads, thread = threadIdx.x % kGroupThreads;
  float *partials = reinterpret_cast<float *>(shared_bytes) + group * Traits::kGroupFloats;
  const int warp = thread / kWarp, lane = thread % kWarp;
  const int g = lane / 4, c = lane % 4;
  constexpr int kTiles = (Config::kN + Traits::kTileN - 1) / Traits::kTileN;

  constexpr int kAtOnce = Config::kTilesAtOnce;
  auto prefetch = [&](int tile, int step) { load_skinny_weights<Config>(next, w, tile, step); };
  auto token = [&](int row, int k) {
    return row < m && k < Config::kK ? *reinterpret_cast<const uint4 *>(
                                           x + static_cast<i64>(row) * Config::kRowStride + k)
                                     : make_uint4(0, 0, 0, 0);
  };
  const int stride = gridDim.x * Traits::kGroups;
  int tile = first_skinny_tile<Config, T>(), buffer = 0;
  if (!started)
    prefetch(tile, 0);
  for (; tile < kTiles; tile += stride, buffer ^= 1) {
    float sums[TokenTiles][kAtOnce][4] = {};
    for (int step = 0; step < Traits::kSteps; ++step) {
      uint4 weights[kAtOnce][Traits::kLoads];
#pragma unroll
      for (int part = 0; part < kAtOnce; ++part)
#pragma unroll
        for (int load = 0; load < Traits::kLoads; ++load)
          weights[part][load] = next[part][load];
      if (step + 1 < Traits::kSteps)
        prefetch(tile, step + 1);
      else if (tile + stride < kTiles)
        prefetch(tile + stride, 0);
#pragma unroll
      for (int load = 0; load < Traits::kLoads; ++load) {
        const int k = skinny_k<Traits>(warp, lane, step, load);
#pragma unroll
        for (int t = 0; t < TokenTiles; ++t) {
          const uint4 low = token(t * 16 + g, k), high = token(t * 16 + g + 8, k);
#pragma unroll
          for (int part = 0; part < kAtOnce; ++part)
            skinny_multiply<T>(sums[t][part], low, high, weights[part][load]);
        }
      }
    }
    float *mine = partials + (buffer * Traits::kWarps + warp) * Traits::kTokens * Traits::kTileN;
#pragma unroll
    for (int t = 0; t < TokenTiles; ++t)
#pragma unroll
      for (int part = 0; part < kAtOnce; ++part)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          *reinterpret_cast<float2 *>(mine + (t * 16 + half * 8 + g) * Traits::kTileN + part * 8 +
                                      2 * c) =
              make_float2(sums[t][part][half * 2], sums[t][part][half * 2 + 1]);
    ptx::sync_group(group, kGroupThreads);
    // A thread a vector of the epilogue. The buffer is written again only behind the next barrier.
    constexpr int kVector = Config::kEpilogueVector;
    constexpr int kVectors = Traits::kTileN / kVector;
    for (int i = thread; i < Traits::kTokens * kVectors; i += kGroupThreads) {
      const int row = i / kVectors, column = i % kVectors * kVector;
      if (row >= m || tile * Traits::kTileN + column >= Config::kN)
        continue;
      float values[kVector] = {};
#pragma unroll
      for (int part = 0; part < Traits::kWarps; ++part)
#pragma unroll
        for (int e = 0; e < kVector; ++e)
          values[e] +=
              partials[((buffer * Traits::kWarps + part) * Traits::kTokens + row) * Traits::kTileN +
                       column + e];
      epilogue(static_cast<i64>(row), tile * Traits::kTileN + column, values);
    }
  }
}

} // namespace ingot
