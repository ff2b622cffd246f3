// packing.cuh - Where packed tokens stand in a padded batch, and the other way round.
//
// A block a row of the mask, but for the sums over rows, which are one block's. Elements of a mask
// are bytes, 0 or 1.
#pragma once

#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

/// The sum of `value` over the threads before this one; `total` over all of the block.
template <int Threads> INGOT_DEVICE i32 scan_block(i32 value, i32 &total) {
  constexpr int kWarps = Threads / kWarp;
  __shared__ i32 sums[kWarps];
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  i32 inclusive = value;
#pragma unroll
  for (int distance = 1; distance < kWarp; distance *= 2) {
    const i32 before = __shfl_up_sync(kAllLanes, inclusive, distance);
    if (lane >= distance)
      inclusive += before;
  }
  __syncthreads(); // The sums of the scan before this one have been read.
  if (lane == kWarp - 1)
    sums[warp] = inclusive;
  __syncthreads();
  i32 before = 0;
  total = 0;
#pragma unroll
  for (int i = 0; i < kWarps; ++i) {
    before += i < warp ? sums[i] : 0;
    total += sums[i];
  }
  return before + inclusive - value;
}

/// How many of the first `count` elements of a mask are true, by all threads of the block.
template <int Threads> INGOT_DEVICE i32 count_mask(const i8 *mask, i64 count) {
  const uint4 *words = reinterpret_cast<const uint4 *>(mask); // a buffer starts at 256 bytes
  const i64 whole = count / 16;
  i32 sum = 0;
  for (i64 i = threadIdx.x; i < whole; i += Threads) {
    const uint4 word = words[i];
    sum += __popc(word.x) + __popc(word.y) + __popc(word.z) + __popc(word.w);
  }
  const i64 rest = whole * 16 + threadIdx.x;
  if (rest < count)
    sum += mask[rest];
  return reduce_block<Sum, Threads>(sum);
}

/// How many of the `count` elements of a row are true, by a warp; each lane gets it.
INGOT_DEVICE i32 count_row(const i8 *row, i64 count) {
  const int lane = threadIdx.x % kWarp;
  i32 sum = 0;
  if (count % 16 == 0) { // then every row starts at a multiple of 16 bytes
    const uint4 *words = reinterpret_cast<const uint4 *>(row);
    for (i64 i = lane; i < count / 16; i += kWarp) {
      const uint4 word = words[i];
      sum += __popc(word.x) + __popc(word.y) + __popc(word.z) + __popc(word.w);
    }
  } else {
    for (i64 i = lane; i < count; i += kWarp)
      sum += row[i];
  }
  return reduce_lanes<Sum>(sum);
}

/// out[n] = the true elements of rows before n, for n < entries.
template <typename Config>
INGOT_DEVICE void cu_seqlens(const i8 *mask, i32 *out, i64 entries, i64 rows, i64 width) {
  constexpr int kWarps = Config::kThreads / kWarp;
  __shared__ i32 counts[Config::kThreads];
  i32 before = 0;
  for (i64 first = 0; first < entries; first += Config::kThreads) {
    __syncthreads(); // The counts of the round before this one have been read.
    const int present = static_cast<int>(min_of<i64>(entries - first, Config::kThreads));
#pragma unroll 4
    for (int i = threadIdx.x / kWarp; i < present; i += kWarps) {
      // Row n - 1 is what entry n adds.
      const i64 row = first + i - 1;
      const i32 count = row >= 0 && row < rows ? count_row(mask + row * width, width) : 0;
      if (threadIdx.x % kWarp == 0)
        counts[i] = count;
    }
    __syncthreads();
    const i32 own = static_cast<int>(threadIdx.x) < present ? counts[threadIdx.x] : 0;
    i32 total;
    const i32 sum = before + scan_block<Config::kThreads>(own, total) + own;
    if (first + threadIdx.x < entries)
      out[first + threadIdx.x] = sum;
    before += total;
  }
}

/// out[t] = b * width + s of the t-th true element [b, s]; zeros behind the last one.
template <typename Config>
INGOT_DEVICE void token_indices(const i8 *mask, i32 *out, i64 rows, i64 width, i64 tokens) {
  static_assert(Config::kThreads >= 16, "what is left of a mask is counted a thread an element");
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    i64 next = count_mask<Config::kThreads>(mask, row * width);
    for (i64 first = 0; first < width; first += Config::kThreads) {
      const i64 s = first + threadIdx.x;
      const bool valid = s < width && mask[row * width + s];
      i32 found;
      const i64 t = next + scan_block<Config::kThreads>(valid, found);
      if (valid && t < tokens)
        out[t] = static_cast<i32>(row * width + s);
      next += found;
    }
    if (row == rows - 1)
      for (i64 t = next + threadIdx.x; t < tokens; t += Config::kThreads)
        out[t] = 0;
  }
}

/// out[b, s] = cu[b] and the true elements of row b before s, or -1 where the mask is false.
template <typename Config>
INGOT_DEVICE void token_slots(const i8 *mask, const i32 *cu, i64 entries, i32 *out, i64 rows,
                              i64 width) {
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    i32 next = cu[min_of(row, entries - 1)];
    for (i64 first = 0; first < width; first += Config::kThreads) {
      const i64 s = first + threadIdx.x;
      const bool valid = s < width && mask[row * width + s];
      i32 found;
      const i32 slot = next + scan_block<Config::kThreads>(valid, found);
      if (s < width)
        out[row * width + s] = valid ? slot : -1;
      next += found;
    }
  }
}

} // namespace ingot
