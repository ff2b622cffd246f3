// gemm_few_sm90.cuh - gemm_sm90.cuh where there are fewer tiles than blocks (sm_90a).
//
// Few rows make few of the large tiles that are best for many. Here tiles are 128 x 128, or 128 x
// 64 where a quarter as many as there are blocks would do; a block has one at most, and the two
// warpgroups that multiply have 64 rows of it each. Where that leaves half of the blocks without
// work, pairs of blocks of a cluster share a tile by K: each adds the other's sums to its own for
// one half of the columns, and finishes those. Otherwise such pairs have tiles of neighbouring rows
// and each copies half of W's part to both: L2 gives 40 bytes a clock or so to a multiprocessor,
// which would need 64.
//
// Constants of a stub: as for gemm_sm90.cuh, whose ring of stages has its bytes cut anew here.
#pragma once

#include "codegen/cuda/kernels/gemm_sm90.cuh"
#include "codegen/cuda/ptx/wgmma_wide.cuh"

namespace ingot {

/// The constants of `Config` with tiles of other columns, which warpgroups share, in blocks by
/// themselves.
template <typename Config, int TileN> struct FewTiles : Config {
  static constexpr int kTileN = TileN, kCluster = 1, kLead = 0, kOutPanels = 0;
  static constexpr bool kInTurn = false, kPromote = false;
  static constexpr int kStages = (Config::kSharedBytes - 1040) / ((128 + TileN) * 128 + 16);
  /// Groups of 32 columns of half a tile, and where the four sums of such a one are: 16 bytes i of
  /// a thread's, in the first half and in the second.
  static constexpr int kHalfGroups = TileN / 64, kHalfSums = 16 * kHalfGroups;
  static INGOT_DEVICE constexpr int firstSum(int i) {
    return 4 * (Config::kColumnsInOrder ? i / kHalfGroups * 2 * kHalfGroups + i % kHalfGroups : i);
  }
  static INGOT_DEVICE constexpr int secondSum(int i) {
    return firstSum(i) + 4 * (Config::kColumnsInOrder ? kHalfGroups : 4 * kHalfGroups);
  }
};

/// Whether every block of the grid has one tile of `m` rows at most.
template <typename Config> INGOT_DEVICE bool are_few_tiles(i64 m) {
  return ceil_div<i64>(m, 128) * ((Config::kN + 127) / 128) <= gridDim.x;
}

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/// Gives the other block of the pair the sums of its half of the columns, and adds what comes from
/// there; this block's half is in the first groups then. By the threads that multiplied; the others
/// meet twice. `half` is this block's of K, and of the columns.
template <typename Few>
INGOT_DEVICE void exchange_halves(float (&sums)[Few::kTileN / 2], u32 stages, u32 half) {
  constexpr int kThreads = 256;
  // What the stages had has been read in both blocks.
  ptx::cluster_meet();
  const u32 mine = stages + (threadIdx.x - 128) * 16, there = ptx::map_to_block(mine, half ^ 1);
#pragma unroll
  for (int i = 0; i < Few::kHalfSums / 4; ++i) {
    const int first = Few::firstSum(i), second = Few::secondSum(i);
    float4 given;
    given.x = half ? sums[first] : sums[second];
    given.y = half ? sums[first + 1] : sums[second + 1];
    given.z = half ? sums[first + 2] : sums[second + 2];
    given.w = half ? sums[first + 3] : sums[second + 3];
    ptx::store_to_block(there + i * kThreads * 16, given);
  }
  ptx::cluster_arrive_and_wait();
#pragma unroll
  for (int i = 0; i < Few::kHalfSums / 4; ++i) {
    const int first = Few::firstSum(i), second = Few::secondSum(i);
    const uint4 got = ptx::load_shared_16(mine + i * kThreads * 16);
    const u32 words[4] = {got.x, got.y, got.z, got.w};
#pragma unroll
    for (int e = 0; e < 4; ++e)
      sums[first + e] = (half ? sums[second + e] : sums[first + e]) + __uint_as_float(words[e]);
  }
}

/// Half of W's part of 128 columns, to both blocks of a pair. `map` has boxes of 64 rows.
template <typename Config, typename Few>
INGOT_DEVICE void copy_shared_columns(u32 to, const TensorMap *map, int k, int column, u32 member,
                                      u32 full) {
  constexpr int kRowBytes = 128, kGroupBytes = 8 * kRowBytes;
  constexpr u16 kBoth = 3;
  if constexpr (Few::kColumnsInOrder) {
#pragma unroll
    for (int j = 0; j < 4; ++j)
      ptx::copy_tensor_5d_to(kBoth, to + (j * 4 + member * 2) * kGroupBytes, map, k, j,
                             column / 32 + static_cast<int>(member) * 2, full);
  } else {
    ptx::copy_tensor_2d_to(kBoth, to + member * 64 * kRowBytes, map, k,
                           column + static_cast<int>(member) * 64, full);
  }
}

/// One way for few rows; `mapW` has boxes of TileN rows, `mapShared` of 64.
template <typename Config, typename T, int TileN, typename Epilogue>
INGOT_DEVICE void gemm_few_tiles(const TensorMap *mapX, const TensorMap *mapW,
                                 const TensorMap *mapShared, i64 m, const Epilogue &epilogue) {
  using Few = FewTiles<Config, TileN>;
  using Traits = GemmSm90Traits<Few, T>;
  static_assert(Few::kStages >= 4 && Traits::kSharedBytes <= Config::kSharedBytes,
                "a ring of smaller tiles fits");
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  const int blocks = static_cast<int>(gridDim.x);
  const int tilesM = static_cast<int>(ceil_div<i64>(m, Traits::kTileM));
  const int tiles = tilesM * Traits::kTilesN, pairs = (tilesM + 1) / 2 * Traits::kTilesN;
  // Exchanging sums takes as long as four stages.
  constexpr bool kMaySplit = Config::kCluster == 2 && Traits::kKTiles >= 8;
  constexpr bool kMayShare = Config::kCluster == 2 && TileN == 128;
  const bool split = kMaySplit && 2 * tiles <= blocks;
  const bool share = kMayShare && !split && tilesM > 1 && 2 * pairs <= blocks;
  const int unit = blockIdx.x / (split || share ? 2 : 1);
  if (unit >= (share ? pairs : tiles))
    return;
  const u32 rank = Config::kCluster > 1 ? ptx::cluster_rank() : 0;
  // Which of the blocks that have one unit: by rows, by K.
  const u32 member = share ? rank : 0, part = split ? rank : 0;
  constexpr int kHalf = (Traits::kKTiles + 1) / 2;
  const int begin = part ? kHalf : 0, end = split && !part ? kHalf : Traits::kKTiles;
  const int unitsM = share ? (tilesM + 1) / 2 : tilesM;
  const int tileM = share ? unit % unitsM * 2 + static_cast<int>(member) : unit % unitsM;
  const int column = unit / unitsM * Few::kTileN;

  u32 stages = ptx::shared_address(shared_bytes);
  asm volatile("" : "+r"(stages)); // as in gemm_sm90
  stages = (stages + 1023) & ~1023u;
  GemmRing<Few, T> ring(stages);
  const int group = ptx::warpgroup_index();
  if (threadIdx.x == 0) {
    for (int i = 0; i < Few::kStages; ++i) {
      ptx::init_barrier(ring.full + i * 8, 1);
      ptx::init_barrier(ring.empty + i * 8, share ? 4 : 2);
    }
    ptx::fence_barrier_init();
  }
  __syncthreads();
  if (share)
    ptx::cluster_meet();

  if (group == 0) {
    if (threadIdx.x == 0) {
      ring.parity = 1; // The first round finds all stages empty.
      for (int kTile = begin; kTile < end; ++kTile) {
        const u32 full = ring.full + ring.stage * 8, a = ring.address();
        const u32 b = a + Traits::kBytesA;
        const int k = kTile * Traits::kTileK;
        ptx::wait_barrier(ring.empty + ring.stage * 8, ring.parity);
        ptx::arrive_expecting(full, Traits::kStageBytes);
        ptx::copy_tensor_2d(a, mapX, k, tileM * Traits::kTileM, full);
        if (share)
          copy_shared_columns<Config, Few>(b, mapShared, k, column, member, full);
        else if constexpr (Few::kColumnsInOrder) {
          constexpr int kGroupBytes = 8 * Traits::kRowBytes;
#pragma unroll
          for (int j = 0; j < 4; ++j)
            ptx::copy_tensor_5d(b + j * Traits::kGroups * kGroupBytes, mapW, k, j, column / 32,
                                full);
        } else {
          ptx::copy_tensor_2d(b, mapW, k, column, full);
        }
        ring.next();
      }
    }
    if (split)
      ptx::cluster_meet();
    // No block ends while another may still write to it.
    if (split || share)
      ptx::cluster_meet();
    return;
  }

  const u32 rowsA = (group - 1) * 64 * Traits::kRowBytes;
  const int thread = threadIdx.x % 128;
  // One thread for each block that copies for this one tells it that a stage is empty.
  const u32 empty = share ? ptx::map_to_block(ring.empty, thread % 2) : ring.empty;
  float sums[TileN / 2];
  int previous = -1;
  for (int kTile = begin; kTile < end; ++kTile) {
    ptx::wait_barrier(ring.full + ring.stage * 8, ring.parity);
    const u64 a = ptx::describe_matrix(ring.address() + rowsA);
    const u64 b = ptx::describe_matrix(ring.address() + Traits::kBytesA);
    ptx::wgmma_fence();
#pragma unroll
    for (int step = 0; step < Traits::kRowBytes / 32; ++step)
      ptx::WgmmaShared<T, TileN>::run(sums, ptx::advance_matrix(a, step * 32),
                                      ptx::advance_matrix(b, step * 32), kTile > begin || step > 0);
    ptx::wgmma_commit();
    ptx::wgmma_wait<1>();
    if (previous >= 0) {
      if (share && thread < 2)
        ptx::arrive_in_cluster(empty + previous * 8);
      else if (!share && thread == 0)
        ptx::arrive(empty + previous * 8);
    }
    previous = ring.stage;
    ring.next();
  }
  ptx::wgmma_wait<0>();
  if constexpr (kMaySplit)
    if (split)
      exchange_halves<Few>(sums, stages, part);
  if (share)
    ptx::cluster_meet();
  const i64 firstRow = static_cast<i64>(tileM) * Traits::kTileM + (group - 1) * 64;
  const i64 row = firstRow + thread / 32 * 16 + thread % 32 / 4;
  // Halves of the columns in turn, so that the epilogue is there once.
#pragma unroll 1
  for (int half = part; half < (split ? part + 1 : 2); ++half) {
    const int first = column + half * (TileN / 2);
    if (half > 0 && !split) {
#pragma unroll
      for (int i = 0; i < Few::kHalfSums / 4; ++i)
#pragma unroll
        for (int e = 0; e < 4; ++e)
          sums[Few::firstSum(i) + e] = sums[Few::secondSum(i) + e];
    }
    if (firstRow + 64 <= m && first + TileN / 2 <= Config::kN)
      gemm_sm90_finish<Few, true, Few::kHalfGroups>(sums, row, m, first, epilogue);
    else
      gemm_sm90_finish<Few, false, Few::kHalfGroups>(sums, row, m, first, epilogue);
  }
}

template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void gemm_few_sm90(const TensorMap *mapX, const TensorMap *mapW128,
                                const TensorMap *mapW64, i64 m, const Epilogue &epilogue) {
  if (4 * ceil_div<i64>(m, 128) * ((Config::kN + 127) / 128) <= gridDim.x)
    gemm_few_tiles<Config, T, 64>(mapX, mapW64, mapW64, m, epilogue);
  else
    gemm_few_tiles<Config, T, 128>(mapX, mapW128, mapW64, m, epilogue);
}

#endif

} // namespace ingot
