// skinny.cuh - x[M, K] W[N, K]^T for few rows of x: as fast as W can be read.
//
// Eight rows of W are a tile, which four warps share by K; every group of four warps takes tiles in
// turn, so that each multiprocessor has the same number of bytes to read. Weights come through a
// ring in shared memory, in which every thread has 128 bytes a stage of its own: no thread waits
// for another's copies. The tokens are the 16 rows of a matrix instruction's A, W's rows the 8
// columns of its B. The order of K within 32 elements doesn't matter as long as A and B agree: a
// lane of a quad takes 8 neighbouring elements (16 bytes) of both.
//
// Constants of a stub: kN, kK, kRowStride, kEpilogueVector as in gemm.cuh; kTilesAtOnce: tiles that
// a group reads together, so that tokens are read once for all of them; kRingStages.
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
  static constexpr int kCopies = 8; // a thread and stage, of 16 bytes
  static constexpr int kRingBytes = Config::kRingStages * Config::kThreads * kCopies * 16;
  /// Sums of a group's warps, [warp][token][column], behind the ring: two buffers, or one of many.
  static constexpr int kBuffers = TokenTiles > 2 ? 1 : 2;
  static constexpr int kBufferFloats = kWarps * kTokens * kTileN;
  static constexpr int kGroupFloats = kBuffers * kBufferFloats;
  static constexpr int kSharedBytes = kRingBytes + kGroups * kGroupFloats * int(sizeof(float));
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

/// The weights that a thread has in flight: copies of one step of a tile after the other.
template <typename Config, typename T> struct SkinnyRing {
  using Traits = SkinnyTraits<Config, T, 1>;
  static constexpr int kGroupThreads = Traits::kWarps * kWarp;
  static constexpr int kTiles = (Config::kN + Traits::kTileN - 1) / Traits::kTileN;
  u32 mine = 0; // this thread's part of stage 0
  int tile = 0, step = 0, stage = 0;

  /// The tile that this thread's group begins with.
  static INGOT_DEVICE int firstTile() {
    return static_cast<int>(blockIdx.x + gridDim.x * (threadIdx.x / kGroupThreads));
  }
  /// From one tile of a group to its next.
  static INGOT_DEVICE int stride() { return static_cast<int>(gridDim.x) * Traits::kGroups; }

  INGOT_DEVICE void fill(const T *w) {
    extern __shared__ __align__(128) unsigned char shared_bytes[];
    mine = ptx::shared_address(shared_bytes) + threadIdx.x * 16;
    tile = firstTile();
    step = stage = 0;
#pragma unroll
    for (int i = 0; i < Config::kRingStages; ++i)
      copy(w);
  }
  INGOT_DEVICE u32 slot(int which, int copy) const {
    return mine + (which * Traits::kCopies + copy) * Config::kThreads * 16;
  }
  /// Starts the copies of the next step; those past the end of K or of the tiles give zeros.
  INGOT_DEVICE void copy(const T *w) {
    if (tile < kTiles) {
      const int warp = threadIdx.x / kWarp % Traits::kWarps, lane = threadIdx.x % kWarp;
#pragma unroll
      for (int part = 0; part < Config::kTilesAtOnce; ++part) {
        const int row = tile * Traits::kTileN + part * 8 + lane / 4;
#pragma unroll
        for (int load = 0; load < Traits::kLoads; ++load) {
          const int k = skinny_k<Traits>(warp, lane, step, load);
          const bool valid = k < Config::kK && row < Config::kN;
          ptx::copy_async_16(slot(stage, part * Traits::kLoads + load),
                             valid ? w + static_cast<i64>(row) * Config::kK + k : w, valid);
        }
      }
    }
    ptx::commit_copies();
    stage = stage + 1 == Config::kRingStages ? 0 : stage + 1;
    if (++step == Traits::kSteps) {
      step = 0;
      tile += stride();
    }
  }
};

/// What a linear kernel does before it may look at tokens, or at how many there are: the next grid
/// may come, and the first weights are on their way. `most` bounds the rows: past few, weights that
/// leave L2 room for others are asked for there, by each block its share, and of many nothing is.
/// What comes behind waits for the grid in front.
template <typename Config, typename T> struct LinearStart {
  static constexpr int kMostRows = 64, kMostAheadRows = 1024;
  static constexpr i64 kBytes = static_cast<i64>(Config::kN) * Config::kK * sizeof(T);
  static constexpr i64 kMostAheadBytes = 16 << 20;
  SkinnyRing<Config, T> ring;

  static INGOT_DEVICE void prefetch(const unsigned char *w) {
    const u32 share = ceil_div<u32>(static_cast<u32>(kBytes / 16), gridDim.x) * 16;
    const u32 begin = min_of<u32>(blockIdx.x * share, static_cast<u32>(kBytes));
    const u32 end = min_of<u32>(begin + share, static_cast<u32>(kBytes));
    if (begin < end)
      ptx::prefetch_to_l2(w + begin, end - begin);
  }

  INGOT_DEVICE LinearStart(const T *w, i64 most) {
    ptx::allow_next_grid();
    if (most <= kMostRows)
      ring.fill(w);
    else if (most <= kMostAheadRows && kBytes <= kMostAheadBytes && threadIdx.x == 0)
      prefetch(reinterpret_cast<const unsigned char *>(w));
  }
};

/// The ring has the first weights if `started`.
template <typename Config, typename T, int TokenTiles, typename Epilogue>
INGOT_DEVICE void skinny_gemm(const T *x, const T *w, i64 m, const Epilogue &epilogue,
                              SkinnyRing<Config, T> &ring, bool started) {
  using Traits = SkinnyTraits<Config, T, TokenTiles>;
  using Ring = SkinnyRing<Config, T>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  const int group = threadIdx.x / Ring::kGroupThreads, thread = threadIdx.x % Ring::kGroupThreads;
  float *partials =
      reinterpret_cast<float *>(shared_bytes + Traits::kRingBytes) + group * Traits::kGroupFloats;
  const int warp = thread / kWarp, lane = thread % kWarp;
  const int g = lane / 4, c = lane % 4;

  constexpr int kAtOnce = Config::kTilesAtOnce;
  auto token = [&](int row, int k) {
    return row < m && k < Config::kK ? *reinterpret_cast<const uint4 *>(
                                           x + static_cast<i64>(row) * Config::kRowStride + k)
                                     : make_uint4(0, 0, 0, 0);
  };
  if (!started)
    ring.fill(w);
  int buffer = 0, stage = 0;
  for (int tile = Ring::firstTile(); tile < Ring::kTiles; tile += Ring::stride()) {
    float sums[TokenTiles][kAtOnce][4] = {};
    for (int step = 0; step < Traits::kSteps; ++step) {
      ptx::wait_copies<Config::kRingStages - 1>();
#pragma unroll
      for (int load = 0; load < Traits::kLoads; ++load) {
        uint4 weights[kAtOnce];
#pragma unroll
        for (int part = 0; part < kAtOnce; ++part)
          weights[part] = ptx::load_shared_16(ring.slot(stage, part * Traits::kLoads + load));
        const int k = skinny_k<Traits>(warp, lane, step, load);
#pragma unroll
        for (int t = 0; t < TokenTiles; ++t) {
          const uint4 low = token(t * 16 + g, k), high = token(t * 16 + g + 8, k);
#pragma unroll
          for (int part = 0; part < kAtOnce; ++part)
            skinny_multiply<T>(sums[t][part], low, high, weights[part]);
        }
      }
      // What the stage had is multiplied: it can be filled again.
      ring.copy(w);
      stage = stage + 1 == Config::kRingStages ? 0 : stage + 1;
    }
    float *all = partials + buffer * Traits::kBufferFloats;
    float *mine = all + warp * Traits::kTokens * Traits::kTileN;
    if constexpr (Traits::kBuffers == 1)
      ptx::sync_group(group, Ring::kGroupThreads); // The sums of the tile before have been read.
    else
      buffer ^= 1;
#pragma unroll
    for (int t = 0; t < TokenTiles; ++t)
#pragma unroll
      for (int part = 0; part < kAtOnce; ++part)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          *reinterpret_cast<float2 *>(mine + (t * 16 + half * 8 + g) * Traits::kTileN + part * 8 +
                                      2 * c) =
              make_float2(sums[t][part][half * 2], sums[t][part][half * 2 + 1]);
    ptx::sync_group(group, Ring::kGroupThreads);
    // A thread a vector of the epilogue. Of two buffers, this one is written again only behind the
    // next barrier.
    constexpr int kVector = Config::kEpilogueVector;
    constexpr int kVectors = Traits::kTileN / kVector;
    for (int i = thread; i < Traits::kTokens * kVectors; i += Ring::kGroupThreads) {
      const int row = i / kVectors, column = i % kVectors * kVector;
      if (row >= m || tile * Traits::kTileN + column >= Config::kN)
        continue;
      float values[kVector] = {};
#pragma unroll
      for (int part = 0; part < Traits::kWarps; ++part)
#pragma unroll
        for (int e = 0; e < kVector; ++e)
          values[e] += all[(part * Traits::kTokens + row) * Traits::kTileN + column + e];
      epilogue(static_cast<i64>(row), tile * Traits::kTileN + column, values);
    }
  }
  ptx::wait_copies<0>();
}

} // namespace ingot
