// skinny.cuh - x[M, K] W[N, K]^T for few rows of x: as fast as W can be read.
//
// Eight rows of W are a tile; the warps of a block share its K, so that every block has the same
// number of bytes to read, and the next tile's weights are in flight while this one is summed up.
// The tokens are the 16 rows of a matrix instruction's A, W's rows the 8 columns of its B. The
// order of K within 32 elements doesn't matter as long as A and B agree: a lane of a quad takes 8
// neighbouring elements (16 bytes) of both.
//
// Constants of a stub: kN, kK, kRowStride, kEpilogueVector as in gemm.cuh; kTilesAtOnce: tiles that
// a block reads together, so that more bytes are in flight and tokens are read once for all of
// them.
#pragma once

#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

template <typename Config, typename T, int TokenTiles> struct SkinnyTraits {
  static constexpr int kWarps = Config::kThreads / kWarp;
  static constexpr int kTileN = 8 * Config::kTilesAtOnce;
  static constexpr int kTokens = TokenTiles * 16;
  /// 16-byte loads of W a lane has in flight for one step; a step is 256 bytes of each row.
  static constexpr int kLoads = 4;
  static constexpr int kLoadK = 16 / sizeof(T);   // elements of a load
  static constexpr int kChunkK = 4 * kLoadK;      // of the quad's loads
  static constexpr int kStepK = kLoads * kChunkK; // of a warp's step
  static constexpr int kSteps = (Config::kK + kWarps * kStepK - 1) / (kWarps * kStepK);
  /// Sums of the warps: two buffers of [warp][token][column].
  static constexpr int kSharedBytes = 2 * kWarps * kTokens * kTileN * sizeof(float);
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

template <typename Config, typename T, int TokenTiles, typename Epilogue>
INGOT_DEVICE void skinny_gemm(const T *x, const T *w, i64 m, const Epilogue &epilogue,
                              bool &waited) {
  using Traits = SkinnyTraits<Config, T, TokenTiles>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  float *partials = reinterpret_cast<float *>(shared_bytes);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int g = lane / 4, c = lane % 4;
  constexpr int kTiles = (Config::kN + Traits::kTileN - 1) / Traits::kTileN;

  constexpr int kAtOnce = Config::kTilesAtOnce;
  uint4 next[kAtOnce][Traits::kLoads];
  auto prefetch = [&](int tile, int step) {
#pragma unroll
    for (int part = 0; part < kAtOnce; ++part) {
      const int row = min_of(tile * Traits::kTileN + part * 8 + g, Config::kN - 1);
#pragma unroll
      for (int load = 0; load < Traits::kLoads; ++load) {
        const int k = skinny_k<Traits>(warp, lane, step, load);
        next[part][load] = k < Config::kK
                               ? ptx::load_streaming(w + static_cast<i64>(row) * Config::kK + k)
                               : make_uint4(0, 0, 0, 0);
      }
    }
  };
  auto token = [&](int row, int k) {
    return row < m && k < Config::kK ? *reinterpret_cast<const uint4 *>(
                                           x + static_cast<i64>(row) * Config::kRowStride + k)
                                     : make_uint4(0, 0, 0, 0);
  };
  if (static_cast<int>(blockIdx.x) < kTiles)
    prefetch(blockIdx.x, 0);
  // Weights don't depend on the grid in front of this one; tokens do.
  if (!waited) {
    ptx::wait_for_previous_grid();
    ptx::allow_next_grid();
    waited = true;
  }
  int buffer = 0;
  for (int tile = blockIdx.x; tile < kTiles; tile += gridDim.x, buffer ^= 1) {
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
      else if (tile + static_cast<int>(gridDim.x) < kTiles)
        prefetch(tile + gridDim.x, 0);
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
    __syncthreads();
    // A thread a vector of the epilogue. The buffer is written again only behind the next barrier.
    constexpr int kVector = Config::kEpilogueVector;
    constexpr int kVectors = Traits::kTileN / kVector;
    for (int i = threadIdx.x; i < Traits::kTokens * kVectors; i += Config::kThreads) {
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
