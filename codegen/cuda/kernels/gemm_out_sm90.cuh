// gemm_out_sm90.cuh - Results of gemm_sm90.cuh by the tensor copy engine (sm_90a).
//
// A warpgroup makes a panel of 64 rows and 64 columns of results at a time in shared memory, of
// which it has kOutPanels, and has it copied while it goes on: its stores wait for nobody's, and
// the products of its next tile begin under them. Where an operand of the epilogue lies beside the
// results (a residual), its elements are asked for before the last products have ended.
//
// The epilogue is one of beside.cuh.
#pragma once

#include "codegen/cuda/kernels/beside.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/tensor_copy.cuh"
#include "codegen/cuda/ptx/tensor_store.cuh"

namespace ingot {

/// Whether results go by panels, and how they lie in them.
template <typename Config, typename Epilogue> struct GemmOut {
  static constexpr int kPanelRows = 64, kPanelColumns = 64, kRowBytes = 128;
  static constexpr int kPanelBytes = kPanelRows * kRowBytes;
  static constexpr int kGroups = Config::kTileN / 32; // of 32 sums
  static constexpr int kResults = Epilogue::kResults;
  /// Results of a group, groups of a panel, panels of 64 rows.
  static constexpr int kGroupResults = 4 * kResults, kPanelGroups = kPanelColumns / kGroupResults;
  static constexpr int kPanels = kGroups / kPanelGroups;
  static_assert(kResults == 8 || kResults == 4, "a call makes 8 results, or 4 of 8 sums");
  static_assert(kGroups % kPanelGroups == 0, "a tile is whole panels");
  static_assert(Config::kColumnsInOrder && Config::kEpilogueVector == 8,
                "a thread has eight neighbouring columns");
};

/// What lies beside a thread's results: [group][part of 8 rows].
template <int Groups, int Words> struct Fetched { u32 words[Groups][2][Words]; };

#if __CUDA_ARCH__ >= 900

/// The first of eight columns of sums; past the last ones, those again: their results are copied
/// nowhere, as are those of rows past the last.
template <typename Config> INGOT_DEVICE int gemm_out_column(int firstColumn, int group) {
  if constexpr (Config::kN % Config::kTileN != 0)
    firstColumn = min_of(firstColumn, Config::kN - 32 - group * 32);
  return firstColumn + group * 32 + threadIdx.x % 4 * 8;
}

/// Asks for what lies beside the results of a panel.
template <typename Config, typename Epilogue>
INGOT_DEVICE void gemm_out_fetch(Fetched<Config::kTileN / 32, Epilogue::kResults / 2> &fetched,
                                 int panel, const i64 (&rows)[2], int firstColumn,
                                 const Epilogue &epilogue) {
  constexpr int kPanelGroups = GemmOut<Config, Epilogue>::kPanelGroups;
#pragma unroll
  for (int group = panel * kPanelGroups; group < (panel + 1) * kPanelGroups; ++group)
#pragma unroll
    for (int part = 0; part < 2; ++part)
      load_beside(fetched.words[group][part],
                  epilogue.beside(rows[part], gemm_out_column<Config>(firstColumn, group)));
}

/// 64 rows of a tile, from `firstRow` on, of which this thread has two, to global memory.
/// `panels` is where the warpgroup's are, `next` which one it fills next, `barrier` a named one.
/// What lies beside the first `Ahead` panels has been asked for.
template <typename Config, int Ahead, typename Epilogue>
INGOT_DEVICE void gemm_out_store(const float (&sums)[Config::kTileN / 2],
                                 Fetched<Config::kTileN / 32, Epilogue::kResults / 2> &fetched,
                                 const i64 (&rows)[2], i64 firstRow, int firstColumn,
                                 const Epilogue &epilogue, const TensorMap *mapOut, u32 panels,
                                 int &next, int barrier) {
  using Out = GemmOut<Config, Epilogue>;
  using Result = typename Epilogue::Result;
  constexpr int kThreads = 128, kWords = Out::kResults / 2;
  const int thread = threadIdx.x % kThreads, quad = thread % 4;
  const int localRow = thread / 32 * 16 + thread % 32 / 4;
#pragma unroll
  for (int panel = 0; panel < Out::kPanels; ++panel) {
    const u32 to = panels + next * Out::kPanelBytes;
    if constexpr (Epilogue::kBeside)
      if (panel + Ahead < Out::kPanels)
        gemm_out_fetch<Config>(fetched, panel + Ahead, rows, firstColumn, epilogue);
    if (thread == 0)
      ptx::wait_stores_read<Config::kOutPanels - 1>();
    ptx::sync_at(barrier, kThreads); // What this panel had has been copied.
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      u32 made[Out::kPanelGroups][kWords];
#pragma unroll
      for (int g = 0; g < Out::kPanelGroups; ++g) {
        const int group = panel * Out::kPanelGroups + g;
        float values[8];
#pragma unroll
        for (int e = 0; e < 8; ++e)
          values[e] = sums[(e / 2 * Out::kGroups + group) * 4 + part * 2 + e % 2];
        epilogue.staged(ResultTaker<Result>{made[g]},
                        ResultGiver<Result>{fetched.words[group][part]})(
            rows[part], gemm_out_column<Config>(firstColumn, group), values);
      }
      // Rows are 128 bytes, their 16-byte chunks swizzled. Odd rows store the halves of a panel in
      // the other order, so that eight lanes meet every bank once.
      const u32 line = to + (localRow + part * 8) * Out::kRowBytes;
      const int swizzle = localRow & 7, odd = localRow & 1;
      if constexpr (Out::kResults == 8) {
        uint4 first, second;
        first.x = odd ? made[1][0] : made[0][0];
        first.y = odd ? made[1][1] : made[0][1];
        first.z = odd ? made[1][2] : made[0][2];
        first.w = odd ? made[1][3] : made[0][3];
        second.x = odd ? made[0][0] : made[1][0];
        second.y = odd ? made[0][1] : made[1][1];
        second.z = odd ? made[0][2] : made[1][2];
        second.w = odd ? made[0][3] : made[1][3];
        ptx::store_shared_16(line + ((odd * 4 + quad) ^ swizzle) * 16, first);
        ptx::store_shared_16(line + (((odd ^ 1) * 4 + quad) ^ swizzle) * 16, second);
      } else {
#pragma unroll
        for (int g = 0; g < Out::kPanelGroups; ++g)
          ptx::store_shared_8(line + ((g * 2 + quad / 2) ^ swizzle) * 16 + quad % 2 * 8, made[g][0],
                              made[g][1]);
      }
    }
    ptx::fence_async_proxy();
    ptx::sync_at(barrier, kThreads);
    if (thread == 0) {
      ptx::store_tensor_2d(mapOut, to, firstColumn / 8 * Out::kResults + panel * Out::kPanelColumns,
                           static_cast<i32>(firstRow));
      ptx::commit_stores();
    }
    next = next + 1 == Config::kOutPanels ? 0 : next + 1;
  }
}

#endif

} // namespace ingot
