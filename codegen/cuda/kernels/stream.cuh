// stream.cuh - Many launches as one persistent grid, for few tokens (sm_90): W's bytes never stop.
//
// Between launches a multiprocessor asks for nothing: its block ends, the next one starts, sets up
// its barriers and waits. Here a block stays. Tiles of all launches are numbered in program order,
// and blocks take the next number when their ring has room for more, so that one that gets more of
// DRAM's bytes does more. What a tile needs of other tiles it waits for word by word
// (exchange.cuh), while the ring behind it fills. A block only ever waits for tiles with smaller
// numbers, which running blocks have: that all blocks fit at once is not needed.
//
// Warps of a block: eight multiply (stream_linear.cuh) or attend (stream_attention.cuh), one starts
// copies, three finish tiles in turn: add up what the eight have of one, and store results.
//
// A stage of the ring is 16 rows of W by 512 of K, a box of 64 of K for each warp; or the keys and
// values that a few warps attend to. A tile has as many stages as its part of K, or its keys, take,
// and one at least: the first says which tile it is.
#pragma once

#include "codegen/cuda/kernels/stream_linear.cuh"
#include "codegen/cuda/kernels/stream_state.cuh"
#include "codegen/cuda/ptx/wgmma.cuh"

namespace ingot {

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/// The warp that starts copies. Its lanes have the words of the present step and of the next one.
template <typename Tasks, typename Places, typename Sizes>
INGOT_DEVICE void stream_copy(const StreamArguments &a, const Places &places, const i32 *tokens,
                              const Sizes &sizes) {
  const int lane = threadIdx.x % kWarp;
  auto words = [&](int step) {
    return step < a.count ? reinterpret_cast<const u32 *>(a.steps + step)[64 + lane] : 0;
  };
  StreamProducer<Tasks, Places> at(a, places);
  int step = 0, known = 0;
  u32 mine = words(0), following = words(1);
  while (true) {
    const int tile = at.pop(step);
    if (step != known) {
      mine = step == known + 1 ? following : words(step);
      following = words(step + 1);
      known = step;
      if (lane == 0 && step + 1 < a.count)
        ptx::prefetch_map(a.steps[step + 1].maps);
    }
    at.wait_empty();
    StreamTile &said = at.tile();
    reinterpret_cast<u32 *>(&said)[lane] = mine;
    if (lane == 0) {
      said.step = step;
      said.tile = tile;
      said.firstStage = at.present.firstStage;
      said.stages = at.present.stages;
    }
    __syncwarp();
    if (tile < 0) {
      stream_arrive(at.full());
      return;
    }
    if (at.present.stages > 0)
      at.copy_rows();
    else
      Tasks::visit(said.task, [&](auto task) {
        using Kind = typename decltype(task)::Kind;
        if constexpr (!Kind::kLinear)
          Kind::copy(a, at.present.map, said, at, tokens, sizes);
      });
  }
}

/// Turns how many tiles step i has, at i + 1, into where they begin, at i; by a warp.
INGOT_DEVICE void add_up_tiles(int *tiles, int steps) {
  const int lane = threadIdx.x % kWarp;
  int before = 0;
  for (int begin = 0; begin < steps; begin += kWarp) {
    int sum = begin + lane < steps ? tiles[begin + lane + 1] : 0;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const int below = __shfl_up_sync(kAllLanes, sum, distance);
      if (lane >= distance)
        sum += below;
    }
    if (begin + lane < steps)
      tiles[begin + lane + 1] = before + sum;
    before += __shfl_sync(kAllLanes, sum, kWarp - 1);
  }
  if (lane == 0)
    tiles[0] = 0;
  __syncwarp();
}

/// A warp that finishes tiles of linear layers.
template <typename Tasks, typename Places>
INGOT_DEVICE void stream_finish_all(const StreamArguments &a, const Places &places, int finisher,
                                    int tokens) {
  int sum = finisher;
  u32 parity = 0;
  while (true) {
    ptx::wait_barrier(places.sum_known(sum), parity);
    const StreamTile &tile = places.sum_tile(sum);
    if (tile.tile < 0)
      return;
    stream_finish<Tasks>(a, places, tile, sum, tokens,
                         [&] { ptx::wait_barrier(places.sum_full(sum), parity); });
    stream_arrive(places.sum_empty(sum));
    if ((sum += kStreamFinishers) >= kStreamSums) {
      sum = finisher;
      parity ^= 1;
    }
  }
}

/// The warps that multiply and attend.
template <typename Tasks, typename Places, typename Sizes>
INGOT_DEVICE void stream_work(const StreamArguments &a, const Places &places, int tokens,
                              const Sizes &sizes) {
  StreamConsumer at;
  while (true) {
    ptx::wait_barrier(places.full(at.stage), at.parity);
    const StreamTile &tile = places.tile(at.stage);
    if (tile.tile < 0)
      break;
    if (tile.stages > 0) {
      stream_multiply<Tasks>(a, places, tile, at, tokens);
    } else {
      Tasks::visit(tile.task, [&](auto task) {
        using Kind = typename decltype(task)::Kind;
        if constexpr (!Kind::kLinear)
          Kind::consume(a, places, tile, at, tokens, sizes);
      });
    }
  }
  // The end for the warps that finish.
  if (threadIdx.x / kWarp == 0)
    for (int i = 0; i < kStreamFinishers; ++i, at.next_sum()) {
      ptx::wait_barrier(places.sum_empty(at.sum), at.sumParity);
      if (threadIdx.x == 0)
        places.sum_tile(at.sum).tile = -1;
      stream_arrive(places.sum_known(at.sum));
    }
}

#endif

/// All launches of `a`; `tokens` is where the number of tokens is, or null.
template <typename Tasks, int SharedBytes, typename Sizes>
INGOT_DEVICE void stream(const StreamArguments &a, const i32 *tokensAddress, const Sizes &sizes) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  const int most = static_cast<int>(a.most);
  const StreamPlaces<Tasks, SharedBytes> places(most, a.count);
  const int warp = threadIdx.x / kWarp;
  if (threadIdx.x == 0) {
    for (int i = 0; i < places.stages; ++i) {
      ptx::init_barrier(places.full(i), kWarp);
      ptx::init_barrier(places.empty(i), kStreamWarps * kWarp);
    }
    for (int i = 0; i < kStreamSums; ++i) {
      ptx::init_barrier(places.sum_full(i), kStreamWarps * kWarp);
      ptx::init_barrier(places.sum_empty(i), kWarp);
      ptx::init_barrier(places.sum_known(i), kWarp);
    }
    ptx::fence_barrier_init();
  }
  // How many tiles each step has, all steps asked for at once; the warp that copies adds them up.
  int *firstTiles = places.first_tiles();
  for (int step = threadIdx.x; step < a.count; step += kStreamThreads)
    Tasks::visit(a.steps[step].task, [&](auto task) {
      firstTiles[step + 1] = decltype(task)::Kind::count_tiles(most);
    });
  __syncthreads();
  if (ptx::warpgroup_index() * 4 >= kStreamWarps) {
    ptx::fewer_registers<kStreamOtherRegisters>();
    if (warp == kStreamWarps) {
      add_up_tiles(firstTiles, a.count);
      stream_copy<Tasks>(a, places, tokensAddress, sizes);
    }
    ptx::wait_for_previous_grid();
    if (warp > kStreamWarps)
      stream_finish_all<Tasks>(a, places, warp - kStreamWarps - 1, stream_tokens(a, tokensAddress));
    return;
  }
  ptx::more_registers<kStreamRegisters>();
  ptx::wait_for_previous_grid();
  // Not before: what reads early behind this grid counts on all in front of it.
  ptx::allow_next_grid();
  stream_work<Tasks>(a, places, stream_tokens(a, tokensAddress), sizes);
#endif
}

} // namespace ingot
