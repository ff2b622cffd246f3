// gemm.cuh - x[M, K] W[N, K]^T by warp matrix instructions (sm_80 and later).
//
// Blocks walk over output tiles. A tile's K runs through a ring of shared-memory stages that
// cp.async fills ahead; rows of 128 bytes, the 16-byte chunks of row r XORed with r % 8, so that
// neither the copies nor ldmatrix collide in a bank. Rows past M, columns past N and the end of K
// are zeros that no memory is read for.
//
// Constants of a stub:
//   kN, kK      the weight's shape          kRowStride  elements from row to row of x
//   kTileM, kTileN, kStages, kWarpsM        kEpilogueVector  columns that the epilogue takes at
//   once
#pragma once

#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

/// Bytes of a row of a stage, and how many tiles of M share the tiles of N that are in L2.
constexpr int kStageRowBytes = 128;
constexpr int kRasterRows = 8;

template <typename Config, typename T> struct GemmTraits {
  static constexpr int kTileK = kStageRowBytes / sizeof(T);
  static constexpr int kWarps = Config::kThreads / kWarp;
  static constexpr int kWarpsN = kWarps / Config::kWarpsM;
  static constexpr int kWarpM = Config::kTileM / Config::kWarpsM;
  static constexpr int kWarpN = Config::kTileN / kWarpsN;
  static constexpr int kStageBytes = (Config::kTileM + Config::kTileN) * kStageRowBytes;
  static constexpr int kSharedBytes = kStageBytes * Config::kStages;
  static constexpr int kKTiles = (Config::kK + kTileK - 1) / kTileK;
  static_assert(Config::kK * sizeof(T) % 16 == 0, "rows of W start at multiples of 16 bytes");
  static_assert(Config::kRowStride * sizeof(T) % 16 == 0,
                "rows of x start at multiples of 16 bytes");
  static_assert(kWarpM % 16 == 0 && kWarpN % 32 == 0, "a warp has whole 16 x 32 tiles");
  static_assert(Config::kN % Config::kEpilogueVector == 0, "the epilogue takes whole vectors");
};

/// Copies rows [row, row + Rows) x one tile of K to shared memory.
template <typename Config, typename T, int Rows>
INGOT_DEVICE void load_stage_rows(u32 stage, const T *matrix, i64 stride, i64 first, i64 count,
                                  int k) {
  constexpr int kChunk = 16 / sizeof(T);
  constexpr int kRowsAtOnce = Config::kThreads / 8;
  const int chunk = threadIdx.x % 8;
  const bool inK = k + chunk * kChunk < Config::kK;
#pragma unroll
  for (int r = threadIdx.x / 8; r < Rows; r += kRowsAtOnce) {
    const bool valid = inK && first + r < count;
    const T *from = valid ? matrix + (first + r) * stride + k + chunk * kChunk : matrix;
    ptx::copy_async_16(stage + r * kStageRowBytes + ((chunk ^ (r & 7)) << 4), from, valid);
  }
}

/// Address of the ldmatrix row that this lane names: 16 rows x 2 chunks from (row, chunk).
INGOT_DEVICE u32 matrix_row_address(u32 base, int row, int chunk) {
  return base + row * kStageRowBytes + ((chunk ^ (row & 7)) << 4);
}

template <bool Partial, typename A, typename B>
INGOT_DEVICE auto &select_sums(A &partial, B &sums) {
  if constexpr (Partial)
    return partial;
  else
    return sums;
}

/// One output tile: accumulators of this warp, then the epilogue.
template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void gemm_tile(const T *x, const T *w, i64 m, i64 tileM, i64 tileN, u32 shared,
                            const Epilogue &epilogue) {
  using Traits = GemmTraits<Config, T>;
  constexpr int kRows16 = Traits::kWarpM / 16, kColumns8 = Traits::kWarpN / 8;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int warpM = warp % Config::kWarpsM * Traits::kWarpM;
  const int warpN = warp / Config::kWarpsM * Traits::kWarpN;
  const i64 firstM = tileM * Config::kTileM, firstN = tileN * Config::kTileN;
  constexpr bool kPartial = sizeof(T) == 4;
  float sums[kRows16][kColumns8][4] = {};

  auto load = [&](int kTile) {
    if (kTile < Traits::kKTiles) {
      const u32 stage = shared + kTile % Config::kStages * Traits::kStageBytes;
      load_stage_rows<Config, T, Config::kTileM>(stage, x, Config::kRowStride, firstM, m,
                                                 kTile * Traits::kTileK);
      load_stage_rows<Config, T, Config::kTileN>(stage + Config::kTileM * kStageRowBytes, w,
                                                 Config::kK, firstN, Config::kN,
                                                 kTile * Traits::kTileK);
    }
    ptx::commit_copies();
  };
#pragma unroll
  for (int i = 0; i < Config::kStages - 1; ++i)
    load(i);
  for (int kTile = 0; kTile < Traits::kKTiles; ++kTile) {
    ptx::wait_copies<Config::kStages - 2>();
    __syncthreads();
    load(kTile + Config::kStages - 1);
    const u32 stageA = shared + kTile % Config::kStages * Traits::kStageBytes;
    const u32 stageB = stageA + Config::kTileM * kStageRowBytes;
    // The matrix unit cuts off what doesn't fit when it adds; f32 sums of a stage are added
    // properly.
    float partial[kPartial ? kRows16 : 1][kPartial ? kColumns8 : 1][4] = {};
    auto &target = select_sums<kPartial>(partial, sums);
#pragma unroll
    for (int step = 0; step < 4; ++step) { // 32 bytes of K each
      FragmentA<T> a[kRows16];
#pragma unroll
      for (int i = 0; i < kRows16; ++i) {
        u32 raw[4];
        ptx::load_matrices(
            raw, matrix_row_address(stageA, warpM + i * 16 + lane % 16, step * 2 + lane / 16));
        a[i].set(raw);
      }
#pragma unroll
      for (int j = 0; j < kColumns8; j += 2) {
        u32 raw[4];
        ptx::load_matrices(raw, matrix_row_address(stageB, warpN + j * 8 + lane % 8 + lane / 16 * 8,
                                                   step * 2 + lane / 8 % 2));
        FragmentB<T> b[2];
        b[0].set(raw[0], raw[1]);
        b[1].set(raw[2], raw[3]);
#pragma unroll
        for (int i = 0; i < kRows16; ++i) {
          multiply(target[i][j], a[i], b[0]);
          multiply(target[i][j + 1], a[i], b[1]);
        }
      }
    }
    if constexpr (kPartial) {
#pragma unroll
      for (int i = 0; i < kRows16; ++i)
#pragma unroll
        for (int j = 0; j < kColumns8; ++j)
#pragma unroll
          for (int e = 0; e < 4; ++e)
            sums[i][j][e] += partial[i][j][e];
    }
  }
  ptx::wait_copies<0>();
  __syncthreads(); // The stages are free for the next tile.

  constexpr int kVector = Config::kEpilogueVector;
#pragma unroll
  for (int i = 0; i < kRows16; ++i)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const i64 row = firstM + warpM + i * 16 + half * 8 + lane / 4;
#pragma unroll
      for (int j = 0; j < kColumns8; j += 4) {
        float pairs[4][2];
#pragma unroll
        for (int t = 0; t < 4; ++t) {
          pairs[t][0] = sums[i][j + t][half * 2];
          pairs[t][1] = sums[i][j + t][half * 2 + 1];
        }
        transpose_quad(pairs);
        const int column = static_cast<int>(firstN) + warpN + j * 8 + lane % 4 * 8;
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

/// The whole product: blocks take tiles in turn, in bands of kRasterRows tiles of M so that what is
/// read again is still in L2.
template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void gemm(const T *x, const T *w, i64 m, const Epilogue &epilogue) {
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  const u32 shared = ptx::shared_address(shared_bytes);
  const int tilesM = static_cast<int>(ceil_div<i64>(m, Config::kTileM));
  constexpr int kTilesN = (Config::kN + Config::kTileN - 1) / Config::kTileN;
  const int tiles = tilesM * kTilesN;
  for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const int band = tile / (kRasterRows * kTilesN), within = tile % (kRasterRows * kTilesN);
    const int rows = min_of(kRasterRows, tilesM - band * kRasterRows);
    gemm_tile<Config>(x, w, m, band * kRasterRows + within % rows, within / rows, shared, epilogue);
  }
}

} // namespace ingot
