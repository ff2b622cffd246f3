// attention_work.cuh - Which queries and heads a block of attention_sm90.cuh takes, one item after the
// other, from row lengths that only the device knows.
//
// An item is a tile of one row's queries of one head. Items are numbered row by row; in a row, heads
// whose keys and values fit in half of L2 together go first, the later (in causal rows: longer) tiles
// before the earlier. Block b takes item b of the first round, the last but b of the second and so
// on: what blocks get adds up to about the same.
#pragma once

#include "codegen/cuda/kernels/attention.cuh"

namespace ingot {

struct AttentionWork {
  i64 firstToken; // of the row, in the packed tokens
  i32 row, tokens, past, keys, head;
  i32 firstQuery;           // of the row's tokens
  i32 firstTile, afterTile; // of keys
};

template <typename Config, int Rows, typename T>
INGOT_DEVICE void count_attention_tiles(const AttentionArguments<T> &a, i32 *tilesBefore) {
  __shared__ i32 warpTotals[32];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int rows = static_cast<int>(a.rows);
  i32 carry = 0;
  for (int start = 0; start < rows; start += Config::kThreads) {
    const int b = start + static_cast<int>(threadIdx.x);
    i64 first = 0, count = 0;
    if (b < rows)
      attention_row(a, b, first, count);
    const i32 tiles = static_cast<i32>(ceil_div<i64>(max_of<i64>(count, 0), Rows));
    i32 sum = tiles;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const i32 below = __shfl_up_sync(kAllLanes, sum, distance);
      if (lane >= distance)
        sum += below;
    }
    if (lane == kWarp - 1)
      warpTotals[warp] = sum;
    __syncthreads();
    i32 before = carry;
    for (int w = 0; w < Config::kThreads / kWarp; ++w) {
      if (w < warp)
        before += warpTotals[w];
      carry += warpTotals[w];
    }
    if (b < rows)
      tilesBefore[b] = before + sum - tiles;
    __syncthreads();
  }
  if (threadIdx.x == 0)
    tilesBefore[rows] = carry;
}

/// The item that this block takes in a round; false behind the last.
template <typename Config, int Rows, int Keys, typename T>
INGOT_DEVICE bool take_attention_work(const AttentionArguments<T> &a, const i32 *tilesBefore,
                                      int round, AttentionWork &work) {
  constexpr int kHeads = Config::kGroup * Config::kKvHeads;
  const int rows = static_cast<int>(a.rows);
  const int blocks = static_cast<int>(gridDim.x);
  const int place = round % 2 ? blocks - 1 - static_cast<int>(blockIdx.x) : blockIdx.x;
  const int item = round * blocks + place;
  if (item >= tilesBefore[rows] * kHeads)
    return false;
  int low = 0, high = rows;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (tilesBefore[middle] * kHeads <= item)
      low = middle;
    else
      high = middle;
  }
  i64 tokens;
  attention_row(a, low, work.firstToken, tokens);
  work.row = low;
  work.tokens = static_cast<i32>(tokens);
  work.past = Config::kPaged ? max_of(a.past[low], 0) : 0;
  work.keys = work.past + work.tokens;
  if constexpr (Config::kPaged)
    work.keys = static_cast<i32>(min_of<i64>(work.keys, a.tableBlocks * Config::kBlock));

  const int tiles = tilesBefore[low + 1] - tilesBefore[low];
  int rest = item - tilesBefore[low] * kHeads;
  constexpr i64 kHeadBytes = Config::kWidth * sizeof(T) * 2; // a key's
  const int together = static_cast<int>(
      min_of<i64>(max_of<i64>((i64(16) << 20) / (kHeadBytes * max_of(work.keys, 1)), 1),
                  Config::kKvHeads) *
      Config::kGroup);
  const int firstHead = rest / (tiles * together) * together;
  rest -= firstHead * tiles;
  const int heads = min_of(together, kHeads - firstHead);
  work.head = firstHead + rest % heads;
  work.firstQuery = (tiles - 1 - rest / heads) * Rows;

  const i64 lowest = work.past + work.firstQuery;
  const i64 highest = work.past + min_of(work.firstQuery + Rows, work.tokens) - 1;
  i64 first, last;
  AttentionHooks<Config>::range(lowest, highest, work.keys, first, last);
  work.firstTile = static_cast<i32>(first / Keys);
  work.afterTile = static_cast<i32>(max_of<i64>(ceil_div<i64>(last, Keys), work.firstTile));
  return true;
}

} // namespace ingot
