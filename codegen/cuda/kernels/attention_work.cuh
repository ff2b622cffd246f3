// attention_work.cuh - Which queries and heads a block of attention_sm90.cuh takes, one item after
// the other, from row lengths that only the device knows.
//
// An item is a tile of one row's queries of one head. Items are numbered row by row; in a row,
// heads whose keys and values fit in L2 together (without a causal mask: in a third of it) go
// first, the later (in causal rows: longer) tiles before the earlier. A block starts with the item
// of its number and takes the next that nobody has when it begins with the one before, so that
// blocks end at about the same time. Which block has an item changes nothing in its result.
#pragma once

#include "codegen/cuda/kernels/attention.cuh"
#include "codegen/cuda/ptx/barrier.cuh"

namespace ingot {

/// Items taken behind everybody's first, and blocks that take no more. The last one leaves zeros
/// for the next launch, which does not begin to count before this one has ended.
static __device__ u32 attention_taken, attention_ended;

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

/// What `item` is, or false behind the last.
template <typename Config, int Rows, int Keys, typename T>
INGOT_DEVICE bool find_attention_work(const AttentionArguments<T> &a, const i32 *tilesBefore,
                                      int item, AttentionWork &work) {
  constexpr int kHeads = Config::kGroup * Config::kKvHeads;
  const int rows = static_cast<int>(a.rows);
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
  const int together =
      static_cast<int>(min_of<i64>(max_of<i64>((i64(Config::kCausal ? 32 : 16) << 20) /
                                                   (kHeadBytes * max_of(work.keys, 1)),
                                               1),
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

#if __CUDA_ARCH__ >= 900

/// A place in shared memory where one thread leaves the block's next item for all warps that work
/// on it. Its barriers: `full`, and 8 bytes behind it `empty` with an arrival of each thread that
/// reads.
struct AttentionSlot {
  AttentionWork *work;
  u32 full;
  u32 parity = 0;

  /// The next item; false if there is none.
  INGOT_DEVICE bool read(AttentionWork &next) {
    ptx::wait_barrier(full, parity);
    parity ^= 1;
    next = *work;
    // What is read from shared memory is not known to be the same for a warp, what is shuffled is:
    // loops over it and the addresses in them stay in uniform registers.
    i32 *const fields[] = {&next.row,  &next.tokens,     &next.past,      &next.keys,
                           &next.head, &next.firstQuery, &next.firstTile, &next.afterTile};
#pragma unroll
    for (i32 *field : fields)
      *field = __shfl_sync(kAllLanes, *field, 0);
    ptx::arrive(full + 8);
    return next.row >= 0;
  }
};

/// Fills the slot until all items are taken, by one thread.
template <typename Config, int Rows, int Keys, typename T>
INGOT_DEVICE void schedule_attention(const AttentionArguments<T> &a, const i32 *tilesBefore,
                                     const AttentionSlot &slot) {
  u32 parity = 1; // The slot is empty at first.
  int item = static_cast<int>(blockIdx.x);
  bool firstItem = true;
  for (bool more = true; more; parity ^= 1) {
    ptx::wait_barrier(slot.full + 8, parity);
    if (!firstItem)
      item = static_cast<int>(gridDim.x + atomicAdd(&attention_taken, 1u));
    firstItem = false;
    AttentionWork work;
    more = find_attention_work<Config, Rows, Keys>(a, tilesBefore, item, work);
    if (!more)
      work.row = -1;
    *slot.work = work;
    ptx::arrive(slot.full);
  }
  if (atomicAdd(&attention_ended, 1u) == gridDim.x - 1)
    attention_taken = attention_ended = 0;
}

#endif

} // namespace ingot
