// rows.cuh - The loops of generated kernels: elements, and rows with reductions.
//
// The stub gives lambdas that compute one element, or one term of a reduction, from printed
// expressions; everything about threads is here.
//
// Constants of a stub:
//   kThreads   threads a block
//   kGroup     threads that share a row: 32 (a warp) or kThreads
#pragma once

#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

/// Calls `body(i)` for i = 0, Vector, 2 Vector, … below `count`; each call handles `Vector`
/// elements. Bodies divide i by extents: 32 bits, where they are enough, take a fraction of the
/// time.
template <typename Config, int Vector, typename Body>
INGOT_DEVICE void for_each_element(i64 count, Body body) {
  const i64 stride = static_cast<i64>(gridDim.x) * Config::kThreads * Vector;
  const i64 first = (static_cast<i64>(blockIdx.x) * Config::kThreads + threadIdx.x) * Vector;
  if (count + stride <= 0x7fffffff) {
    const u32 end = static_cast<u32>(count), step = static_cast<u32>(stride);
    for (u32 i = static_cast<u32>(first); i < end; i += step)
      body(static_cast<i64>(i));
  } else {
    for (i64 i = first; i < count; i += stride)
      body(i);
  }
}

/// Calls `body(row)` for every row below `count`, by all threads of the row's group together.
template <typename Config, typename Body> INGOT_DEVICE void for_each_row(i64 count, Body body) {
  static_assert(Config::kGroup == kWarp || Config::kGroup == Config::kThreads,
                "a row belongs to a warp or to the whole block");
  constexpr int kGroups = Config::kThreads / Config::kGroup;
  const i64 stride = static_cast<i64>(gridDim.x) * kGroups;
  for (i64 row = static_cast<i64>(blockIdx.x) * kGroups + threadIdx.x / Config::kGroup; row < count;
       row += stride)
    body(row);
}

/// Within a row: calls `body(j)` for j = 0, Vector, … below `count`. Where that is known and small,
/// nothing is left of the loop, and what several of them read of a row stays in registers.
template <typename Config, int Vector, typename Body>
INGOT_DEVICE void for_each_column(i64 count, Body body) {
  const i64 mine = static_cast<i64>(threadIdx.x % Config::kGroup) * Vector;
#pragma unroll 4
  for (i64 first = 0; first < count; first += static_cast<i64>(Config::kGroup) * Vector)
    if (first + mine < count)
      body(first + mine);
}

/// Within a row: true in one thread of the group.
template <typename Config> INGOT_DEVICE bool is_row_leader() {
  return threadIdx.x % Config::kGroup == 0;
}

/// Within a row: reduces the terms that `body(j, accumulator)` adds for j = 0, Vector, … below
/// `count`; `start` is in the result once. All threads of the group get the result.
template <typename Config, typename Op, int Vector, typename T, typename Body>
INGOT_DEVICE T reduce_row(i64 count, T start, T neutral, Body body) {
  T accumulator = neutral;
  for_each_column<Config, Vector>(count, [&](i64 j) { body(j, accumulator); });
  if constexpr (Config::kGroup == kWarp)
    accumulator = reduce_lanes<Op>(accumulator);
  else
    accumulator = reduce_block<Op, Config::kThreads>(accumulator);
  return Op::apply(start, accumulator);
}

} // namespace ingot
