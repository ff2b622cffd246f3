// gemm_few_sm90.cuh - gemm_sm90.cuh where there are fewer tiles than blocks (sm_90a).
//
// Few rows make few of the large tiles that are best for many. Here a block has one tile at most,
// and the two warpgroups that multiply have 64 rows of it each. Where that leaves half of the
// blocks without work, pairs of blocks of a cluster share a tile by K: each adds the other's sums
// to its own for one half of the columns, and finishes those. Otherwise such pairs have tiles of
// neighbouring rows and each copies half of W's part to both: L2 gives 40 bytes a clock or so to a
// multiprocessor, which would need 64.
// How many rows there are is known on the device only: of two widths, the heuristic has said for
// each number of 128 rows which is taken. W's first stages are asked for before the wait for the
// grid in front.
//
// Constants of a stub: as for gemm_sm90.cuh, whose ring of stages has its bytes cut anew here;
// kFewNarrow, kFewWide: columns of tiles, 64 to 160 where W's come in order, else 64 and 128;
// kFewWays: from bit 2 i on, how i + 1 times 128 rows are multiplied (FewWay), 4096 at most.
#pragma once

#include "codegen/cuda/kernels/gemm_sm90.cuh"
#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/ptx/wgmma_wide.cuh"

namespace ingot {

/// How few rows are multiplied: by tiles of kFewNarrow or kFewWide columns, or not here.
enum class FewWay { Many, Narrow, Wide };

template <typename Config> INGOT_DEVICE FewWay few_way(i64 m) {
  const int tilesM = static_cast<int>(ceil_div<i64>(m, 128));
  return tilesM > 32 ? FewWay::Many
                     : static_cast<FewWay>(Config::kFewWays >> (2 * (tilesM - 1)) & 3);
}

/// Whether a way is there for some number of rows: others are not compiled.
template <typename Config> INGOT_DEVICE constexpr bool has_few_way(FewWay way) {
  for (int i = 0; i < 32; ++i)
    if (static_cast<FewWay>(Config::kFewWays >> (2 * i) & 3) == way)
      return true;
  return false;
}

/// The constants of `Config` with tiles of other columns, which warpgroups share, in blocks by
/// themselves.
template <typename Config, int TileN> struct FewTiles : Config {
  static constexpr int kTileN = TileN, kCluster = 1, kLead = 0, kOutPanels = 0;
  static constexpr bool kInTurn = false, kPromote = false;
  static constexpr int kStages = (Config::kSharedBytes - 1040) / ((128 + TileN) * 128 + 16);
  /// Columns are finished by halves, each through the same code, if these are whole groups of 32.
  static constexpr int kHalves = TileN % 64 ? 1 : 2, kFinishedGroups = TileN / 32 / kHalves;
  /// Of halves: a thread's sums, and where the four sums of 16 bytes i of them are, in the first
  /// half and in the second.
  static constexpr int kHalfSums = 16 * kFinishedGroups;
  static INGOT_DEVICE constexpr int firstSum(int i) {
    constexpr int kGroups = kFinishedGroups;
    return 4 * (Config::kColumnsInOrder ? i / kGroups * 2 * kGroups + i % kGroups : i);
  }
  static INGOT_DEVICE constexpr int secondSum(int i) {
    return firstSum(i) + 4 * (Config::kColumnsInOrder ? kFinishedGroups : 4 * kFinishedGroups);
  }
};

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

/// What a block of few tiles has to do, and the maps that it copies by.
struct FewWork {
  const TensorMap *mapX, *mapW, *mapShared;
  int row, column, begin, end; // stages of K
  bool share;
  u32 member;
};

/// W's part of a stage, to `b`; of those that share it each block copies half to both.
template <typename Config, typename Traits>
INGOT_DEVICE void copy_few_columns(const FewWork &work, u32 b, int k, u32 full) {
  constexpr u16 kBoth = 3;
  constexpr int kOrderBytes = Traits::kGroups * 8 * Traits::kRowBytes;
  if constexpr (Config::kColumnsInOrder) {
    if (work.share) {
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int j = static_cast<int>(work.member) * 2 + i;
        ptx::copy_tensor_5d_to(kBoth, b + j * kOrderBytes, work.mapW, k, j, work.column / 32, full);
      }
    } else {
#pragma unroll
      for (int j = 0; j < 4; ++j)
        ptx::copy_tensor_5d(b + j * kOrderBytes, work.mapW, k, j, work.column / 32, full);
    }
  } else if (work.share) {
    ptx::copy_tensor_2d_to(kBoth, b + work.member * 64 * Traits::kRowBytes, work.mapShared, k,
                           work.column + static_cast<int>(work.member) * 64, full);
  } else {
    ptx::copy_tensor_2d(b, work.mapW, k, work.column, full);
  }
}

/// The thread that copies.
template <typename Few, typename T>
INGOT_DEVICE void gemm_few_copy(GemmRing<Few, T> ring, const FewWork &work) {
  using Traits = GemmSm90Traits<Few, T>;
  const int ahead = min_of(work.begin + Few::kStages, work.end);
  auto copyW = [&](int kTile) {
    const u32 full = ring.full + ring.stage * 8;
    ptx::arrive_expecting(full, Traits::kStageBytes);
    copy_few_columns<Few, Traits>(work, ring.address() + Traits::kBytesA, kTile * Traits::kTileK,
                                  full);
  };
  auto copyX = [&](int kTile) {
    ptx::copy_tensor_2d(ring.address(), work.mapX, kTile * Traits::kTileK, work.row,
                        ring.full + ring.stage * 8);
  };
  const GemmRing<Few, T> first = ring;
#pragma unroll 1
  for (int kTile = work.begin; kTile < ahead; ++kTile, ++ring.stage)
    copyW(kTile);
  ring = first;
  ptx::wait_for_previous_grid();
#pragma unroll 1
  for (int kTile = work.begin; kTile < ahead; ++kTile, ring.next())
    copyX(kTile);
#pragma unroll 1
  for (int kTile = ahead; kTile < work.end; ++kTile, ring.next()) {
    // The other parity than the multiplying warpgroups': the round before has been read.
    ptx::wait_barrier(ring.empty + ring.stage * 8, ring.parity ^ 1);
    copyW(kTile);
    copyX(kTile);
  }
}

/// One way for few rows; `mapW` has boxes of TileN rows, `mapShared` of 64 (of columns that are not
/// in order).
template <typename Config, typename T, int TileN, typename Epilogue>
INGOT_DEVICE void gemm_few_tiles(const TensorMap *mapX, const TensorMap *mapW,
                                 const TensorMap *mapShared, i64 m, const Epilogue &epilogue) {
  using Few = FewTiles<Config, TileN>;
  using Traits = GemmSm90Traits<Few, T>;
  static_assert(Few::kStages >= 4 && Traits::kSharedBytes <= Config::kSharedBytes,
                "a ring of smaller tiles fits");
  static_assert(Config::kColumnsInOrder || TileN == 64 || TileN == 128,
                "there is a map of 64 rows for halves of 128");
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  const int blocks = static_cast<int>(gridDim.x);
  const int tilesM = static_cast<int>(ceil_div<i64>(m, Traits::kTileM));
  const int tiles = tilesM * Traits::kTilesN, pairs = (tilesM + 1) / 2 * Traits::kTilesN;
  // Exchanging sums takes as long as four stages.
  constexpr bool kMaySplit = Config::kCluster == 2 && Few::kHalves == 2 && Traits::kKTiles >= 8;
  constexpr bool kMayShare = Config::kCluster == 2 && (Config::kColumnsInOrder || TileN == 128);
  const bool split = kMaySplit && 2 * tiles <= blocks;
  const bool share = kMayShare && !split && tilesM > 1 && 2 * pairs <= blocks;
  const int unit = blockIdx.x / (split || share ? 2 : 1);
  if (unit >= (share ? pairs : tiles)) {
    ptx::wait_for_previous_grid();
    return;
  }
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
    ptx::prefetch_map(mapX);
    ptx::prefetch_map(mapW);
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
    if (threadIdx.x == 0)
      gemm_few_copy<Few, T>(
          ring, {mapX, mapW, mapShared, tileM * Traits::kTileM, column, begin, end, share, member});
    else
      ptx::wait_for_previous_grid();
    if (split)
      ptx::cluster_meet();
    // No block ends while another may still write to it.
    if (split || share)
      ptx::cluster_meet();
  } else {
    ptx::wait_for_previous_grid();
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
                                        ptx::advance_matrix(b, step * 32),
                                        kTile > begin || step > 0);
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
    constexpr int kColumns = Few::kFinishedGroups * 32;
    const int firstHalf = static_cast<int>(part);
#pragma unroll 1
    for (int half = firstHalf; half < (split ? firstHalf + 1 : Few::kHalves); ++half) {
      const int first = column + half * kColumns;
      if constexpr (Few::kHalves == 2)
        if (half > 0 && !split) {
#pragma unroll
          for (int i = 0; i < Few::kHalfSums / 4; ++i)
#pragma unroll
            for (int e = 0; e < 4; ++e)
              sums[Few::firstSum(i) + e] = sums[Few::secondSum(i) + e];
        }
      if (firstRow + 64 <= m && first + kColumns <= Config::kN)
        gemm_sm90_finish<Few, true, Few::kFinishedGroups>(sums, row, m, first, epilogue);
      else
        gemm_sm90_finish<Few, false, Few::kFinishedGroups>(sums, row, m, first, epilogue);
    }
  }
}

/// `way` is not Many.
template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void gemm_few_sm90(FewWay way, const TensorMap *mapX, const TensorMap *mapWide,
                                const TensorMap *mapNarrow, i64 m, const Epilogue &epilogue) {
  static_assert(Config::kColumnsInOrder || Config::kFewNarrow == 64,
                "a narrow tile's map is the one for halves of a wide one");
  if constexpr (has_few_way<Config>(FewWay::Narrow))
    if (way == FewWay::Narrow)
      gemm_few_tiles<Config, T, Config::kFewNarrow>(mapX, mapNarrow, mapNarrow, m, epilogue);
  if constexpr (has_few_way<Config>(FewWay::Wide))
    if (way == FewWay::Wide)
      gemm_few_tiles<Config, T, Config::kFewWide>(mapX, mapWide, mapNarrow, m, epilogue);
}

#endif

} // namespace ingot
