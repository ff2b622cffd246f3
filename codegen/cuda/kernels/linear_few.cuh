// linear_few.cuh - x[M, K] W[N, K]^T for few rows of x on sm_90: as fast as W can be read.
//
// Tiles of 8 to 64 rows of W are shared by the warps of a block by K: each takes boxes of 64
// elements of K in turn, through a ring of its own that the tensor copy engine fills. So no warp
// waits for another but at the end of a tile. Tokens are the 16 rows of a matrix instruction's A,
// W's rows the 8 columns of its B; every token fragment is read once for the whole tile, while the
// box before it is multiplied. The order of K within a box doesn't matter as long as A and B agree:
// a lane of a quad takes 16 neighbouring elements, whose two 16-byte halves meet every bank once in
// a box that is stored with its 128-byte rows swizzled.
//
// The rings are filled before the kernel waits for the one in front of it. Tokens may be normalized
// as they are read (few_norm.cuh). What lies beside a tile's results (beside.cuh) is asked for with
// its first box.
//
// Constants of a stub: kN, kK, kRowStride, kEpilogueVector as in gemm.cuh; kTileRows: of W, a
// multiple of 8; kRingStages: boxes of a warp's ring; kTokenTiles: of 16 rows of x at most; those
// of few_norm.cuh.
#pragma once

#include "codegen/cuda/kernels/beside.cuh"
#include "codegen/cuda/kernels/few_norm.cuh"
#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/barrier.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

template <typename Config, typename T> struct FewTraits {
  static constexpr int kWarps = Config::kThreads / kWarp;
  static constexpr int kBoxK = 64, kRowBytes = 128;
  static constexpr int kParts = Config::kTileRows / 8;
  static constexpr int kBoxBytes = Config::kTileRows * kRowBytes;
  static constexpr int kSteps = (Config::kK + kBoxK * kWarps - 1) / (kBoxK * kWarps);
  static constexpr int kTiles = (Config::kN + Config::kTileRows - 1) / Config::kTileRows;
  static constexpr int kRingBytes = kWarps * Config::kRingStages * kBoxBytes;
  static constexpr int kBarrierBytes = kWarps * Config::kRingStages * 8;
  /// Behind them the sums of a tile, [warp][token][row of W]. Boxes start at multiples of 1024
  /// bytes.
  static constexpr int kSumBytes =
      kWarps * Config::kTokenTiles * 16 * Config::kTileRows * int(sizeof(float));
  static constexpr int kNormPlace = kRingBytes + kBarrierBytes + kSumBytes;
  static constexpr int kSharedBytes = 1024 + kNormPlace + FewNormTraits<Config>::kSharedBytes;
  static_assert(sizeof(T) == 2, "matrix instructions multiply 16-bit elements here");
  static_assert(Config::kTileRows % 8 == 0, "a tile is whole columns of matrix instructions");
  static_assert(Config::kRowStride * sizeof(T) % 16 == 0,
                "rows of x start at multiples of 16 bytes");
};

#if __CUDA_ARCH__ >= 900

/// A warp's boxes of W: its first lane starts their copies.
template <typename Config, typename T> struct FewRing {
  using Traits = FewTraits<Config, T>;
  const TensorMap *map;
  u32 boxes, barriers;
  int tile, step = 0, stage = 0; // of the next copy; in the first lane

  /// The next grid may come, and the first boxes are on their way; and the gains of the norm, if
  /// there is one.
  explicit INGOT_DEVICE FewRing(const TensorMap *map, const float *gains = nullptr) : map(map) {
    extern __shared__ __align__(128) unsigned char shared_bytes[];
    ptx::allow_next_grid();
    const int warp = threadIdx.x / kWarp;
    const u32 base = (ptx::shared_address(shared_bytes) + 1023) & ~1023u;
    boxes = base + warp * Config::kRingStages * Traits::kBoxBytes;
    barriers = base + Traits::kRingBytes + warp * Config::kRingStages * 8;
    tile = static_cast<int>(blockIdx.x);
    if (threadIdx.x % kWarp == 0) {
#pragma unroll
      for (int i = 0; i < Config::kRingStages; ++i)
        ptx::init_barrier(barriers + i * 8, 1);
      ptx::fence_barrier_init();
#pragma unroll
      for (int i = 0; i < Config::kRingStages; ++i)
        copy();
    }
    __syncwarp();
    if constexpr (FewNormTraits<Config>::kAny)
      fetch_gains<Config>(base + Traits::kNormPlace, gains);
    ptx::wait_for_previous_grid();
  }
  /// Starts the copy of the next box; nothing is copied past the last tile. What lies outside of W
  /// is zeros.
  INGOT_DEVICE void copy() {
    if (tile < Traits::kTiles) {
      const int box = step * Traits::kWarps + static_cast<int>(threadIdx.x) / kWarp;
      const u32 barrier = barriers + stage * 8;
      ptx::arrive_expecting(barrier, Traits::kBoxBytes);
      ptx::copy_tensor_2d_once(boxes + stage * Traits::kBoxBytes, map, box * Traits::kBoxK,
                               tile * Config::kTileRows, barrier);
    }
    stage = stage + 1 == Config::kRingStages ? 0 : stage + 1;
    if (++step == Traits::kSteps) {
      step = 0;
      tile += static_cast<int>(gridDim.x);
    }
  }
};

/// A lane's part of 16 tokens in a box: rows g and g + 8, 16 elements each.
struct FewTokens {
  uint4 low[2], high[2];
};

/// sums += tokens x one half of what the quad reads of a box.
template <typename T>
INGOT_DEVICE void few_multiply(float (&sums)[4], const uint4 &low, const uint4 &high,
                               const uint4 &w) {
  const u32 a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {w.x, w.y};
  const u32 a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {w.z, w.w};
  ptx::mma_16x8x16<T>(sums, a0, b0);
  ptx::mma_16x8x16<T>(sums, a1, b1);
}

/// values += neighbouring sums in shared memory, 16 bytes at once where there are as many.
template <int V> INGOT_DEVICE void add_values(float (&values)[V], const float *sums) {
  constexpr int kStep = V % 4 == 0 ? 4 : 1;
#pragma unroll
  for (int e = 0; e < V; e += kStep) {
    const auto pack = load_pack<float, kStep>(sums + e);
#pragma unroll
    for (int i = 0; i < kStep; ++i)
      values[e + i] += pack[i];
  }
}

template <typename Config, typename T, int TokenTiles, typename Epilogue>
INGOT_DEVICE void few_gemm(const T *x, i64 m, const Epilogue &epilogue, FewRing<Config, T> &ring) {
  using Traits = FewTraits<Config, T>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  constexpr int kTileRows = Config::kTileRows, kTokens = TokenTiles * 16;
  constexpr bool kNorm = FewNormTraits<Config>::kAny;
  const u32 unaligned = ptx::shared_address(shared_bytes) & 1023;
  unsigned char *base = shared_bytes + (1024 - unaligned) % 1024;
  float *all = reinterpret_cast<float *>(base + Traits::kRingBytes + Traits::kBarrierBytes);
  const float *gains = reinterpret_cast<float *>(base + Traits::kNormPlace);
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;

  auto load = [&](i64 row, int k) {
    return row < m && k < Config::kK
               ? *reinterpret_cast<const uint4 *>(x + row * Config::kRowStride + k)
               : make_uint4(0, 0, 0, 0);
  };
  auto fetch = [&](FewTokens &tokens, int tokenTile, int step) {
    const int k = (step * Traits::kWarps + warp) * Traits::kBoxK + c * 16;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      tokens.low[half] = load(tokenTile * 16 + g, k + half * 8);
      tokens.high[half] = load(tokenTile * 16 + g + 8, k + half * 8);
    }
  };
  // One tile of tokens is on its way while the box before is multiplied; more take the registers.
  FewTokens ahead;
  fetch(ahead, 0, 0);
  // Of what this lane reads of each row, while it reads it for the first time.
  [[maybe_unused]] float squares[TokenTiles][2] = {};
  [[maybe_unused]] float *allSquares =
      reinterpret_cast<float *>(base + Traits::kNormPlace + FewNormTraits<Config>::kGainBytes);
  // What `fetch` read, times the gains. Past K it is zeros.
  [[maybe_unused]] auto takeGains = [&](FewTokens &tokens, int tokenTile, int step) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int k = (step * Traits::kWarps + warp) * Traits::kBoxK + c * 16 + half * 8;
      const float4 *gain = reinterpret_cast<const float4 *>(gains + (k < Config::kK ? k : 0));
      const float4 low = gain[0], high = gain[1];
      float(&sums)[2] = squares[tokenTile];
      tokens.low[half] = take_gains<T>(tokens.low[half], low, high, sums[0]);
      if (m > tokenTile * 16 + 8)
        tokens.high[half] = take_gains<T>(tokens.high[half], low, high, sums[1]);
    }
  };
  int stage = 0;
  u32 phase = 0;
  for (int tile = static_cast<int>(blockIdx.x); tile < Traits::kTiles;
       tile += static_cast<int>(gridDim.x)) {
    // A thread a vector of the epilogue. What lies beside it is on its way with the boxes.
    constexpr int kVector = Config::kEpilogueVector, kVectors = kTileRows / kVector;
    [[maybe_unused]] Beside<Epilogue> beside;
    if constexpr (Epilogue::kBeside) {
      const int row = threadIdx.x / kVectors;
      const int column = tile * kTileRows + threadIdx.x % kVectors * kVector;
      if (row < m && column < Config::kN)
        beside.load(epilogue, row, column);
    }
    float sums[TokenTiles][Traits::kParts][4] = {};
    for (int step = 0; step < Traits::kSteps; ++step) {
      FewTokens tokens = ahead;
      fetch(ahead, 0, step + 1 == Traits::kSteps ? 0 : step + 1);
      if constexpr (kNorm)
        takeGains(tokens, 0, step);
      ptx::wait_barrier(ring.barriers + stage * 8, phase);
      const u32 box = ring.boxes + stage * Traits::kBoxBytes + g * Traits::kRowBytes;
#pragma unroll
      for (int t = 0; t < TokenTiles; ++t) {
        if (t > 0) {
          fetch(tokens, t, step);
          if constexpr (kNorm)
            takeGains(tokens, t, step);
        }
#pragma unroll
        for (int part = 0; part < Traits::kParts; ++part)
#pragma unroll
          for (int half = 0; half < 2; ++half)
            few_multiply<T>(sums[t][part], tokens.low[half], tokens.high[half],
                            ptx::load_shared_16(box + part * 8 * Traits::kRowBytes +
                                                ((c * 2 + half) ^ g) * 16));
      }
      __syncwarp(); // All lanes have read the box.
      if (lane == 0)
        ring.copy();
      if (++stage == Config::kRingStages) {
        stage = 0;
        phase ^= 1;
      }
    }
    __syncthreads(); // The sums of the tile before have been read.
    if constexpr (kNorm)
      if (tile == static_cast<int>(blockIdx.x))
#pragma unroll
        for (int t = 0; t < TokenTiles; ++t)
#pragma unroll
          for (int half = 0; half < 2; ++half)
            store_squares<Config>(allSquares, t * 16 + half * 8 + g, squares[t][half]);
    float *mine = all + warp * kTokens * kTileRows;
#pragma unroll
    for (int t = 0; t < TokenTiles; ++t)
#pragma unroll
      for (int part = 0; part < Traits::kParts; ++part)
#pragma unroll
        for (int half = 0; half < 2; ++half)
          *reinterpret_cast<float2 *>(mine + (t * 16 + half * 8 + g) * kTileRows + part * 8 +
                                      2 * c) =
              make_float2(sums[t][part][half * 2], sums[t][part][half * 2 + 1]);
    __syncthreads();
    for (int i = threadIdx.x; i < kTokens * kVectors; i += Config::kThreads) {
      const int row = i / kVectors, part = i % kVectors * kVector;
      const int column = tile * kTileRows + part;
      if (row >= m || column >= Config::kN)
        continue;
      float values[kVector] = {};
      const float *sum = all + row * kTileRows + part;
#pragma unroll
      for (int warp = 0; warp < Traits::kWarps; ++warp, sum += kTokens * kTileRows)
        add_values(values, sum);
      if constexpr (kNorm) {
        const float factor = norm_factor<Config>(allSquares, row);
#pragma unroll
        for (float &value : values)
          value *= factor;
      }
      if constexpr (Epilogue::kBeside)
        if (i == static_cast<int>(threadIdx.x)) {
          epilogue.given(beside.giver())(static_cast<i64>(row), column, values);
          continue;
        }
      epilogue(static_cast<i64>(row), column, values);
    }
  }
}

#endif

template <typename Config, typename T, typename Epilogue, typename Ring>
INGOT_DEVICE void linear_few(const T *x, i64 m, const Epilogue &epilogue, Ring &ring) {
#if __CUDA_ARCH__ >= 900
  static_assert(FewTraits<Config, T>::kSharedBytes <= Config::kSharedBytes,
                "the launch gives the shared memory that the rings take");
  if (m <= 16) {
    few_gemm<Config, T, 1>(x, m, epilogue, ring);
    return;
  }
  if constexpr (Config::kTokenTiles > 1)
    if (m <= 32) {
      few_gemm<Config, T, 2>(x, m, epilogue, ring);
      return;
    }
  if constexpr (Config::kTokenTiles > 2)
    few_gemm<Config, T, 4>(x, m, epilogue, ring);
#endif
}

} // namespace ingot
