// reduce.cuh - Reductions over a warp and over a block, in a fixed order.
#pragma once

#include "codegen/cuda/math.cuh"

namespace ingot {

constexpr u32 kAllLanes = 0xffffffffu;
constexpr int kWarp = 32;

struct Sum {
  template <typename T> static INGOT_DEVICE T apply(T a, T b) { return a + b; }
};
struct Product {
  template <typename T> static INGOT_DEVICE T apply(T a, T b) { return a * b; }
};
struct Maximum {
  static INGOT_DEVICE float apply(float a, float b) { return maximum(a, b); }
  static INGOT_DEVICE double apply(double a, double b) { return maximum(a, b); }
  static INGOT_DEVICE i32 apply(i32 a, i32 b) { return max_of(a, b); }
  static INGOT_DEVICE i64 apply(i64 a, i64 b) { return max_of(a, b); }
};
struct Minimum {
  static INGOT_DEVICE float apply(float a, float b) { return minimum(a, b); }
  static INGOT_DEVICE double apply(double a, double b) { return minimum(a, b); }
  static INGOT_DEVICE i32 apply(i32 a, i32 b) { return min_of(a, b); }
  static INGOT_DEVICE i64 apply(i64 a, i64 b) { return min_of(a, b); }
};
struct Or {
  template <typename T> static INGOT_DEVICE T apply(T a, T b) { return a | b; }
};
struct And {
  template <typename T> static INGOT_DEVICE T apply(T a, T b) { return a & b; }
};

/// All lanes get the result of `Lanes` neighbouring lanes (a power of two).
template <typename Op, int Lanes = kWarp, typename T> INGOT_DEVICE T reduce_lanes(T value) {
#pragma unroll
  for (int distance = Lanes / 2; distance > 0; distance /= 2)
    value = Op::apply(value, static_cast<T>(__shfl_xor_sync(kAllLanes, value, distance)));
  return value;
}

/// All threads of a block of `Threads` get the result.
template <typename Op, int Threads, typename T> INGOT_DEVICE T reduce_block(T value) {
  static_assert(Threads % kWarp == 0 && Threads <= 1024, "a block is 1 to 32 whole warps");
  constexpr int kWarps = Threads / kWarp;
  value = reduce_lanes<Op>(value);
  if constexpr (kWarps > 1) {
    __shared__ T partials[kWarps];
    const int warp = threadIdx.x / kWarp;
    __syncthreads(); // The partials of the reduction before this one have been read.
    if (threadIdx.x % kWarp == 0)
      partials[warp] = value;
    __syncthreads();
    value = partials[0];
#pragma unroll
    for (int i = 1; i < kWarps; ++i)
      value = Op::apply(value, partials[i]);
  }
  return value;
}

} // namespace ingot
