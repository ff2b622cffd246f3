// gemm_sm90.cuh - x[M, K] W[N, K]^T by warpgroup matrix instructions (sm_90a).
//
// One block a multiprocessor, three warpgroups: one thread of the first keeps the tensor copy
// engine filling a ring of stages, the other two have 64 rows of the tile each and never wait for
// anything but a full stage. The first gives its registers to the others. While a tile's sums go
// through the epilogue, the next tile's stages are filled already.
//
// Constants of a stub: kN, kK, kTileN (128 or 256), kStages, kEpilogueVector. A tile has 128 rows.
#pragma once

#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/barrier.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/wgmma.cuh"

namespace ingot {

template <typename Config, typename T> struct GemmSm90Traits {
  static constexpr int kTileM = 128, kTileK = 64, kRowBytes = 128;
  static constexpr int kBytesA = kTileM * kRowBytes, kBytesB = Config::kTileN * kRowBytes;
  static constexpr int kStageBytes = kBytesA + kBytesB;
  /// Stages start at multiples of 1024 bytes; barriers are behind them.
  static constexpr int kSharedBytes = 1024 + Config::kStages * (kStageBytes + 16);
  static constexpr int kKTiles = (Config::kK + kTileK - 1) / kTileK;
  static constexpr int kTilesN = (Config::kN + Config::kTileN - 1) / Config::kTileN;
  static constexpr int kBandRows = 16;
  static_assert(sizeof(T) == 2, "warpgroup instructions multiply 16-bit elements here");
  static_assert(Config::kTileN == 128 || Config::kTileN == 256, "a tile has 128 or 256 columns");
  static_assert(Config::kThreads == 384, "a producer and two consumer warpgroups");
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/// The tile that a block takes at a step, in bands of rows so that W's tiles are found in L2.
template <typename Traits>
INGOT_DEVICE void raster_tile(int tile, int tilesM, int &tileM, int &tileN) {
  const int band = tile / (Traits::kBandRows * Traits::kTilesN);
  const int within = tile % (Traits::kBandRows * Traits::kTilesN);
  const int rows = min_of(Traits::kBandRows, tilesM - band * Traits::kBandRows);
  tileM = band * Traits::kBandRows + within % rows;
  tileN = within / rows;
}

template <typename T, int N>
INGOT_DEVICE void wgmma_step(float (&sums)[N / 2], u64 a, u64 b, bool add) {
  if constexpr (N == 256)
    ptx::wgmma_64x256x16<T>(sums, a, b, add);
  else
    ptx::wgmma_64x128x16<T>(sums, a, b, add);
}

template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void gemm_sm90(const TensorMap *mapX, const TensorMap *mapW, i64 m,
                            const Epilogue &epilogue) {
  using Traits = GemmSm90Traits<Config, T>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  // Hidden from constant folding: NVRTC 13.0 ends in a signal on descriptors that are constants.
  u32 stages = ptx::shared_address(shared_bytes);
  asm volatile("" : "+r"(stages));
  stages = (stages + 1023) & ~1023u;
  const u32 full = stages + Config::kStages * Traits::kStageBytes;
  const u32 empty = full + Config::kStages * 8;
  const int tilesM = static_cast<int>(ceil_div<i64>(m, Traits::kTileM));
  const int tiles = tilesM * Traits::kTilesN;
  const int group = threadIdx.x / 128;
  if (threadIdx.x == 0) {
    for (int i = 0; i < Config::kStages; ++i) {
      ptx::init_barrier(full + i * 8, 1);
      ptx::init_barrier(empty + i * 8, 2);
    }
    ptx::fence_barrier_init();
  }
  __syncthreads();

  if (group == 0) {
    ptx::fewer_registers<40>();
    if (threadIdx.x != 0)
      return;
    ptx::prefetch_map(mapX);
    ptx::prefetch_map(mapW);
    int stage = 0;
    u32 parity = 1; // The first round finds all stages empty.
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      int tileM, tileN;
      raster_tile<Traits>(tile, tilesM, tileM, tileN);
      for (int kTile = 0; kTile < Traits::kKTiles; ++kTile) {
        const u32 a = stages + stage * Traits::kStageBytes;
        ptx::wait_barrier(empty + stage * 8, parity);
        ptx::arrive_expecting(full + stage * 8, Traits::kStageBytes);
        ptx::copy_tensor_2d(a, mapX, kTile * Traits::kTileK, tileM * Traits::kTileM,
                            full + stage * 8);
        ptx::copy_tensor_2d(a + Traits::kBytesA, mapW, kTile * Traits::kTileK,
                            tileN * Config::kTileN, full + stage * 8);
        if (++stage == Config::kStages) {
          stage = 0;
          parity ^= 1;
        }
      }
    }
  } else {
    ptx::more_registers<232>();
    const int half = group - 1;
    const int warp = threadIdx.x % 128 / 32, lane = threadIdx.x % 32;
    int stage = 0;
    u32 parity = 0;
    float sums[Config::kTileN / 2];
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      int tileM, tileN;
      raster_tile<Traits>(tile, tilesM, tileM, tileN);
      int previous = -1;
      for (int kTile = 0; kTile < Traits::kKTiles; ++kTile) {
        ptx::wait_barrier(full + stage * 8, parity);
        const u32 a = stages + stage * Traits::kStageBytes + half * 64 * Traits::kRowBytes;
        const u32 b = stages + stage * Traits::kStageBytes + Traits::kBytesA;
        ptx::wgmma_fence();
#pragma unroll
        for (int step = 0; step < Traits::kTileK / 16; ++step)
          wgmma_step<T, Config::kTileN>(sums, ptx::describe_matrix(a + step * 32),
                                        ptx::describe_matrix(b + step * 32), kTile > 0 || step > 0);
        ptx::wgmma_commit();
        // The instructions of the stage before have ended: it can be filled again.
        ptx::wgmma_wait<1>();
        if (previous >= 0 && threadIdx.x % 128 == 0)
          ptx::arrive(empty + previous * 8);
        previous = stage;
        if (++stage == Config::kStages) {
          stage = 0;
          parity ^= 1;
        }
      }
      ptx::wgmma_wait<0>();
      if (threadIdx.x % 128 == 0)
        ptx::arrive(empty + previous * 8);

      constexpr int kVector = Config::kEpilogueVector;
#pragma unroll
      for (int j = 0; j < Config::kTileN / 8; j += 4)
#pragma unroll
        for (int part = 0; part < 2; ++part) {
          float pairs[4][2];
#pragma unroll
          for (int t = 0; t < 4; ++t) {
            pairs[t][0] = sums[(j + t) * 4 + part * 2];
            pairs[t][1] = sums[(j + t) * 4 + part * 2 + 1];
          }
          transpose_quad(pairs);
          const i64 row = static_cast<i64>(tileM) * Traits::kTileM + half * 64 + warp * 16 +
                          part * 8 + lane / 4;
          const int column = tileN * Config::kTileN + j * 8 + lane % 4 * 8;
          if (row >= m)
            continue;
#pragma unroll
          for (int v = 0; v < 8; v += kVector) {
            if (column + v >= Config::kN)
              continue;
            float values[kVector];
#pragma unroll
            for (int e = 0; e < kVector; ++e)
              values[e] = pairs[(v + e) / 2][(v + e) % 2];
            epilogue(row, column + v, values);
          }
        }
    }
  }
}

#endif

} // namespace ingot
