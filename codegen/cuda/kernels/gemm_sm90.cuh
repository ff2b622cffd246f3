// gemm_sm90.cuh - x[M, K] W[N, K]^T by warpgroup matrix instructions (sm_90a).
//
// One block a multiprocessor, three warpgroups: one thread of the first keeps the tensor copy
// engine filling a ring of stages; the other two, which get its registers, multiply. Tiles have 128
// rows, and the two either
//   share a tile, 64 rows each: the widest tiles, so that least is copied. The second begins
//     kLead stages after the first, so that its products fill the first one's epilogue, or
//   take tiles in turn (kInTurn): an epilogue as long as a tile's products costs nothing.
// Blocks of a cluster have neighbouring tiles of rows and the same columns: each copies its part of
// W to all, of columns in order (below) some of the four j.
//
// W's rows may come in an order that gives a thread eight neighbouring columns of the result
// (kColumnsInOrder): row 32g + 8c + 2j + e of a tile to place 8(jG + g) + 2c + e, G being the
// tile's groups of 32 rows, by a map of the dimensions K, e, j, c, g. Otherwise quads exchange
// their sums.
//
// Results are stored by the epilogue, or by the tensor copy engine (gemm_out_sm90.cuh) where there
// are kOutPanels for them.
//
// Products of 8-bit floats: the matrix units keep 14 bits or so of what they add up. With kPromote,
// sums of each stage (128 elements of K) are added up in f32, in registers of their own.
//
// Constants of a stub: kN, kK, kTileN (128, 192, 224 or 256; 128 or 192 in turn; 224 only with
// columns in order), kStages, kCluster, kInTurn, kLead, kColumnsInOrder, kEpilogueVector,
// kOutPanels (of a warpgroup; 0: none), kPromote.
#pragma once

#include "codegen/cuda/kernels/gemm_out_sm90.cuh"
#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/barrier.cuh"
#include "codegen/cuda/ptx/cluster.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/wgmma.cuh"
#include "codegen/cuda/ptx/wgmma_wide.cuh"

namespace ingot {

template <typename Config, typename T> struct GemmSm90Traits {
  static constexpr int kTileM = 128, kRowBytes = 128, kTileK = kRowBytes / sizeof(T);
  static constexpr int kBytesA = kTileM * kRowBytes, kBytesB = Config::kTileN * kRowBytes;
  static constexpr int kStageBytes = kBytesA + kBytesB;
  /// Panels of results of both warpgroups.
  static constexpr int kOutBytes = 2 * Config::kOutPanels * 64 * kRowBytes;
  /// Stages start at multiples of 1024 bytes; panels and then barriers are behind them.
  static constexpr int kSharedBytes = 1024 + Config::kStages * (kStageBytes + 16) + kOutBytes + 16;
  static constexpr int kKTiles = (Config::kK + kTileK - 1) / kTileK;
  static constexpr int kTilesN = (Config::kN + Config::kTileN - 1) / Config::kTileN;
  /// Rows of W that a block copies of each tile, where they are neighbours.
  static constexpr int kPartB = Config::kTileN / Config::kCluster;
  /// Groups of 32 columns of a tile.
  static constexpr int kGroups = Config::kTileN / 32;
  /// Warpgroups that read a stage, and matrix instructions of 64 rows that each issues at a step.
  static constexpr int kReaders = Config::kInTurn ? 1 : 2, kParts = Config::kInTurn ? 2 : 1;
  /// Tiles of rows (of all blocks of a cluster together) that share W's tiles in L2.
  static constexpr int kBandRows = 16 / Config::kCluster;
  /// Of a thread: what the multiplying warpgroups have, and what is left for the one that copies.
  static constexpr bool kManySums = Config::kInTurn && Config::kTileN == 192;
  static constexpr int kMoreRegisters = kManySums ? 240 : 232,
                       kFewerRegisters = kManySums ? 24 : 40;
  static_assert(sizeof(T) <= 2, "warpgroup instructions multiply 8- or 16-bit elements here");
  static_assert(Config::kTileN == 128 || Config::kTileN == 192 ||
                    (!Config::kInTurn && Config::kTileN % 32 == 0 && Config::kTileN >= 64 &&
                     Config::kTileN <= 256),
                "a tile has 64 to 256 columns, 128 or 192 where warpgroups take tiles in turn");
  static_assert(!Config::kPromote || (!Config::kInTurn && Config::kTileN <= 192),
                "sums in f32 beside those of the matrix units take as many registers");
  static_assert(Config::kThreads == 384, "a producer and two consumer warpgroups");
  static_assert(Config::kLead < Config::kStages, "what the second warpgroup waits for is copied");
  static_assert(!Config::kColumnsInOrder || Config::kN % 32 == 0, "W is whole groups of 32 rows");
};

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/// The tile that a cluster takes at a step, in bands of rows so that W's tiles are found in L2.
template <typename Traits>
INGOT_DEVICE void raster_tile(int tile, int tilesM, int &tileM, int &tileN) {
  const int band = tile / (Traits::kBandRows * Traits::kTilesN);
  const int within = tile % (Traits::kBandRows * Traits::kTilesN);
  const int rows = min_of(Traits::kBandRows, tilesM - band * Traits::kBandRows);
  tileM = band * Traits::kBandRows + within % rows;
  tileN = within / rows;
}

/// The ring of stages: which one is next, and the parity of the phase that it is in.
template <typename Config, typename T> struct GemmRing {
  using Traits = GemmSm90Traits<Config, T>;
  u32 stages, panels, full, empty;
  u32 turns; // a barrier for each warpgroup that multiplies
  int stage = 0;
  u32 parity = 0;

  INGOT_DEVICE explicit GemmRing(u32 stages)
      : stages(stages), panels(stages + Config::kStages * Traits::kStageBytes),
        full(panels + Traits::kOutBytes), empty(full + Config::kStages * 8),
        turns(empty + Config::kStages * 8) {}
  INGOT_DEVICE u32 address() const { return stages + stage * Traits::kStageBytes; }
  INGOT_DEVICE void next() {
    if (++stage == Config::kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
  /// Passes over one tile's stages.
  INGOT_DEVICE void skipTile() {
    stage += Traits::kKTiles % Config::kStages;
    parity ^= Traits::kKTiles / Config::kStages % 2;
    if (stage >= Config::kStages) {
      stage -= Config::kStages;
      parity ^= 1;
    }
  }
};

/// The thread that copies.
template <typename Config, typename T>
INGOT_DEVICE void gemm_sm90_copy(GemmRing<Config, T> ring, const TensorMap *mapX,
                                 const TensorMap *mapW, int tilesM, int tiles, u32 rank) {
  using Traits = GemmSm90Traits<Config, T>;
  constexpr u16 kAll = (1 << Config::kCluster) - 1;
  ptx::prefetch_map(mapX);
  ptx::prefetch_map(mapW);
  ring.parity = 1; // The first round finds all stages empty.
  for (int tile = blockIdx.x / Config::kCluster; tile < tiles;
       tile += gridDim.x / Config::kCluster) {
    int tileM, tileN;
    raster_tile<Traits>(tile, tilesM, tileM, tileN);
    const int row = (tileM * Config::kCluster + rank) * Traits::kTileM;
    const int column = tileN * Config::kTileN;
    // Unrolled, the addresses of a short K's stages would need more registers than are left.
#pragma unroll 1
    for (int k = 0; k < Traits::kKTiles * Traits::kTileK; k += Traits::kTileK) {
      const u32 full = ring.full + ring.stage * 8, a = ring.address();
      const u32 b = a + Traits::kBytesA;
      ptx::wait_barrier(ring.empty + ring.stage * 8, ring.parity);
      ptx::arrive_expecting(full, Traits::kStageBytes);
      ptx::copy_tensor_2d(a, mapX, k, row, full);
      if constexpr (Config::kColumnsInOrder) {
        constexpr int kPart = 4 / Config::kCluster;
#pragma unroll
        for (int i = 0; i < kPart; ++i) {
          const int j = static_cast<int>(rank) * kPart + i;
          const u32 to = b + j * Traits::kGroups * 8 * Traits::kRowBytes;
          if constexpr (Config::kCluster > 1)
            ptx::copy_tensor_5d_to(kAll, to, mapW, k, j, column / 32, full);
          else
            ptx::copy_tensor_5d(to, mapW, k, j, column / 32, full);
        }
      } else {
        const u32 to = b + rank * Traits::kPartB * Traits::kRowBytes;
        if constexpr (Config::kCluster > 1)
          ptx::copy_tensor_2d_to(kAll, to, mapW, k,
                                 column + static_cast<int>(rank) * Traits::kPartB, full);
        else
          ptx::copy_tensor_2d(to, mapW, k, column, full);
      }
      ring.next();
    }
  }
}

/// 64 rows of a tile, from `row` of this thread on, through the epilogue. Without `Whole`, some may
/// be past the end; with it, nothing is asked, so that loads of the epilogue can go ahead of
/// stores. `Finished` groups of 32 columns are, the first ones.
template <typename Config, bool Whole, int Finished = Config::kTileN / 32, typename Epilogue>
INGOT_DEVICE void gemm_sm90_finish(const float (&sums)[Config::kTileN / 2], i64 row, i64 m,
                                   int firstColumn, const Epilogue &epilogue) {
  constexpr int kVector = Config::kEpilogueVector, kGroups = Config::kTileN / 32;
#pragma unroll
  for (int part = 0; part < 2; ++part)
#pragma unroll
    for (int group = 0; group < Finished; ++group) {
      float pairs[4][2];
#pragma unroll
      for (int t = 0; t < 4; ++t) {
        const int tile = Config::kColumnsInOrder ? t * kGroups + group : group * 4 + t;
        pairs[t][0] = sums[tile * 4 + part * 2];
        pairs[t][1] = sums[tile * 4 + part * 2 + 1];
      }
      if constexpr (!Config::kColumnsInOrder)
        transpose_quad(pairs);
      const int column = firstColumn + group * 32 + threadIdx.x % 4 * 8;
      if (!Whole && row + part * 8 >= m)
        continue;
#pragma unroll
      for (int v = 0; v < 8; v += kVector) {
        if (!Whole && column + v >= Config::kN)
          continue;
        float values[kVector];
#pragma unroll
        for (int e = 0; e < kVector; ++e)
          values[e] = pairs[(v + e) / 2][(v + e) % 2];
        epilogue(row + part * 8, column + v, values);
      }
    }
}

/// The sums of a tile: of the matrix units, or in f32.
template <typename Config, int N, int Totals>
INGOT_DEVICE const float (&pickResults(const float (&sums)[N], const float (&totals)[Totals]))[N] {
  if constexpr (Config::kPromote)
    return totals;
  else
    return sums;
}

/// A warpgroup that multiplies.
template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void gemm_sm90_multiply(GemmRing<Config, T> ring, int which, const TensorMap *mapOut,
                                     i64 m, int tilesM, int tiles, u32 rank,
                                     const Epilogue &epilogue) {
  using Traits = GemmSm90Traits<Config, T>;
  constexpr int kTurns = Config::kInTurn ? 2 : 1;
  const int thread = threadIdx.x % 128;
  const int clusters = gridDim.x / Config::kCluster;
  // One thread for each block of the cluster tells it that this warpgroup is done with a stage.
  const u32 empty =
      Config::kCluster > 1 ? ptx::map_to_block(ring.empty, thread % Config::kCluster) : ring.empty;
  auto release = [&](int stage) {
    if (thread < Config::kCluster) {
      if constexpr (Config::kCluster > 1)
        ptx::arrive_in_cluster(empty + stage * 8);
      else
        ptx::arrive(empty + stage * 8);
    }
  };
  const u32 rowsA = Config::kInTurn ? 0 : which * 64 * Traits::kRowBytes;
  if (Config::kInTurn && which == 1)
    ring.skipTile();
  if (!Config::kInTurn && which == 1 && Traits::kKTiles > Config::kLead && Config::kLead > 0 &&
      static_cast<int>(blockIdx.x) / Config::kCluster < tiles)
    ptx::wait_barrier(ring.full + Config::kLead * 8, 0);
  // A warpgroup waits for its first stage only when the other has seen all of its own full: it
  // could take the phase before the last for the last.
  u32 turn = which ^ 1;
  [[maybe_unused]] int nextPanel = 0;
  float sums[Traits::kParts][Config::kTileN / 2];
  for (int tile = blockIdx.x / Config::kCluster + (Config::kInTurn ? which * clusters : 0);
       tile < tiles; tile += kTurns * clusters) {
    int tileM, tileN;
    raster_tile<Traits>(tile, tilesM, tileM, tileN);
    int previous = -1;
    if constexpr (Config::kInTurn) {
      ptx::wait_barrier(ring.turns + which * 8, turn);
      turn ^= 1;
    }
    // With kPromote: what has been added up in f32.
    [[maybe_unused]] float totals[Config::kPromote ? Config::kTileN / 2 : 1] = {};
    auto multiplyStage = [&](int kTile) {
      ptx::wait_barrier(ring.full + ring.stage * 8, ring.parity);
      const u64 a = ptx::describe_matrix(ring.address() + rowsA);
      const u64 b = ptx::describe_matrix(ring.address() + Traits::kBytesA);
      const bool add = !Config::kPromote && kTile > 0;
      ptx::wgmma_fence();
#pragma unroll
      for (int step = 0; step < Traits::kRowBytes / 32; ++step)
#pragma unroll
        for (int part = 0; part < Traits::kParts; ++part)
          ptx::WgmmaShared<T, Config::kTileN>::run(
              sums[part], ptx::advance_matrix(a, part * 64 * Traits::kRowBytes + step * 32),
              ptx::advance_matrix(b, step * 32), add || step > 0);
      ptx::wgmma_commit();
      if constexpr (Config::kPromote) {
        ptx::wgmma_wait<0>();
        release(ring.stage);
        ring.next();
#pragma unroll
        for (int i = 0; i < Config::kTileN / 2; ++i)
          totals[i] += sums[0][i];
        return;
      }
      // The instructions of the stage before have ended: it can be filled again.
      ptx::wgmma_wait<1>();
      if (previous >= 0)
        release(previous);
      previous = ring.stage;
      ring.next();
    };
    for (int kTile = 0; kTile < Traits::kKTiles - 1; ++kTile)
      multiplyStage(kTile);
    const i64 firstRow = static_cast<i64>(tileM * Config::kCluster + rank) * Traits::kTileM +
                         (Config::kInTurn ? 0 : which * 64);
    const i64 row = firstRow + thread / 32 * 16 + thread % 32 / 4;
    const int column = tileN * Config::kTileN;
    auto finishProducts = [&] {
      multiplyStage(Traits::kKTiles - 1);
      if (Config::kInTurn && thread == 0)
        ptx::arrive(ring.turns + (which ^ 1) * 8);
      ptx::wgmma_wait<0>();
      if (previous >= 0)
        release(previous);
      if (Config::kInTurn)
        ring.skipTile();
    };
    if constexpr (Config::kOutPanels > 0) {
      constexpr int kPanels = GemmOut<Config, Epilogue>::kPanels;
      // In front of a wait: ptxas moves loads behind products that end, but not over a loop. In
      // turn, the other warpgroup's products hide them.
      constexpr int kAhead =
          Config::kInTurn || Config::kPromote || !Epilogue::kBeside ? 0 : min_of(3, kPanels);
      Fetched<Config::kTileN / 32, Epilogue::kResults / 2> fetched;
      // Of two rows a part; what is past the last one is copied nowhere.
      auto rowsOf = [&](int part, i64(&rows)[2]) {
        rows[0] = min_of(row + part * 64, m - 1);
        rows[1] = min_of(row + part * 64 + 8, m - 1);
      };
      i64 rows[2];
      rowsOf(0, rows);
#pragma unroll
      for (int panel = 0; panel < kAhead; ++panel)
        gemm_out_fetch<Config>(fetched, panel, rows, column, epilogue);
      finishProducts();
      const u32 panels = ring.panels + which * Config::kOutPanels * 64 * Traits::kRowBytes;
#pragma unroll
      for (int part = 0; part < Traits::kParts; ++part) {
        rowsOf(part, rows);
        // Hidden, so that what is read by columns (a bias) is read again for the other rows: kept
        // for them, it would need the registers of sums.
        int firstColumn = column;
        asm volatile("" : "+r"(firstColumn));
        gemm_out_store<Config, kAhead>(pickResults<Config>(sums[part], totals), fetched, rows,
                                       firstRow + part * 64, firstColumn, epilogue, mapOut, panels,
                                       nextPanel, 1 + which);
      }
    } else {
      finishProducts();
      const bool whole =
          firstRow + 64 * Traits::kParts <= m && column + Config::kTileN <= Config::kN;
#pragma unroll
      for (int part = 0; part < Traits::kParts; ++part) {
        const float(&results)[Config::kTileN / 2] = pickResults<Config>(sums[part], totals);
        if (whole)
          gemm_sm90_finish<Config, true>(results, row + part * 64, m, column, epilogue);
        else
          gemm_sm90_finish<Config, false>(results, row + part * 64, m, column, epilogue);
      }
    }
  }
  // Shared memory stays until it has been read.
  if constexpr (Config::kOutPanels > 0)
    if (thread == 0)
      ptx::wait_stores_read<0>();
}

template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void gemm_sm90(const TensorMap *mapX, const TensorMap *mapW, const TensorMap *mapOut,
                            i64 m, const Epilogue &epilogue) {
  using Traits = GemmSm90Traits<Config, T>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  // Hidden from constant folding: NVRTC 13.0 ends in a signal on descriptors that are constants.
  u32 stages = ptx::shared_address(shared_bytes);
  asm volatile("" : "+r"(stages));
  stages = (stages + 1023) & ~1023u;
  const GemmRing<Config, T> ring(stages);
  const u32 rank = Config::kCluster > 1 ? ptx::cluster_rank() : 0;
  const int tilesM = static_cast<int>(ceil_div<i64>(m, Traits::kTileM * Config::kCluster));
  const int tiles = tilesM * Traits::kTilesN;
  const int group = ptx::warpgroup_index();
  if (threadIdx.x == 0) {
    for (int i = 0; i < Config::kStages; ++i) {
      ptx::init_barrier(ring.full + i * 8, 1);
      ptx::init_barrier(ring.empty + i * 8, Traits::kReaders * Config::kCluster);
    }
    ptx::init_barrier(ring.turns, 1);
    ptx::init_barrier(ring.turns + 8, 1);
    ptx::fence_barrier_init();
  }
  __syncthreads();
  if constexpr (Config::kCluster > 1)
    ptx::cluster_meet();

  if (group == 0) {
    ptx::fewer_registers<Traits::kFewerRegisters>();
    if (threadIdx.x == 0)
      gemm_sm90_copy<Config, T>(ring, mapX, mapW, tilesM, tiles, rank);
    // No block ends while another of the cluster may still write to it.
    if constexpr (Config::kCluster > 1)
      ptx::cluster_meet();
  } else {
    ptx::more_registers<Traits::kMoreRegisters>();
    gemm_sm90_multiply<Config, T>(ring, group - 1, mapOut, m, tilesM, tiles, rank, epilogue);
    if constexpr (Config::kCluster > 1)
      ptx::cluster_meet();
  }
}

#endif

} // namespace ingot
