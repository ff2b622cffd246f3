// fragments.cuh - Matrix fragments by element type: f16 and bf16 as they are, f32 as two tf32.
//
// f32 products are made of three tf32 products, high * high + high * low + low * high: the error is
// that of f32 arithmetic (the fourth term is below it), at a third of the tf32 rate.
#pragma once

#include "codegen/cuda/ptx/mma.cuh"

namespace ingot {

/// Elements of K that one step multiplies: 32 bytes a row.
template <typename T> constexpr int kStepK = 32 / sizeof(T);

template <typename T> struct FragmentA {
  u32 registers[4];
  INGOT_DEVICE void set(const u32 (&raw)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      registers[i] = raw[i];
  }
};
template <typename T> struct FragmentB {
  u32 registers[2];
  INGOT_DEVICE void set(u32 first, u32 second) {
    registers[0] = first;
    registers[1] = second;
  }
};

INGOT_DEVICE void split_tf32(u32 raw, u32 &high, u32 &low) {
  const float value = __uint_as_float(raw);
  high = ptx::to_tf32(value);
  low = ptx::to_tf32(value - __uint_as_float(high));
}
template <> struct FragmentA<float> {
  u32 high[4], low[4];
  INGOT_DEVICE void set(const u32 (&raw)[4]) {
#pragma unroll
    for (int i = 0; i < 4; ++i)
      split_tf32(raw[i], high[i], low[i]);
  }
};
template <> struct FragmentB<float> {
  u32 high[2], low[2];
  INGOT_DEVICE void set(u32 first, u32 second) {
    split_tf32(first, high[0], low[0]);
    split_tf32(second, high[1], low[1]);
  }
};

template <typename T>
INGOT_DEVICE void multiply(float (&d)[4], const FragmentA<T> &a, const FragmentB<T> &b) {
  ptx::mma_16x8x16<T>(d, a.registers, b.registers);
}
INGOT_DEVICE void multiply(float (&d)[4], const FragmentA<float> &a, const FragmentB<float> &b) {
  ptx::mma_16x8x8_tf32(d, a.low, b.high);
  ptx::mma_16x8x8_tf32(d, a.high, b.low);
  ptx::mma_16x8x8_tf32(d, a.high, b.high);
}

/// Gives each lane of a quad the 8 neighbouring columns of one of four 8-column tiles, instead of
/// two columns of each: tiles[t] is the lane's pair of tile t before, the pair that lane t had of
/// tile lane % 4 after.
INGOT_DEVICE void transpose_quad(float (&tiles)[4][2]) {
  const int c = threadIdx.x & 3;
  const bool odd = c & 1, upper = c & 2;
#pragma unroll
  for (int e = 0; e < 2; ++e) {
#pragma unroll
    for (int pair = 0; pair < 4; pair += 2) {
      const float send = odd ? tiles[pair][e] : tiles[pair + 1][e];
      const float got = __shfl_xor_sync(0xffffffffu, send, 1);
      if (odd)
        tiles[pair][e] = got;
      else
        tiles[pair + 1][e] = got;
    }
#pragma unroll
    for (int pair = 0; pair < 2; ++pair) {
      const float send = upper ? tiles[pair][e] : tiles[pair + 2][e];
      const float got = __shfl_xor_sync(0xffffffffu, send, 2);
      if (upper)
        tiles[pair][e] = got;
      else
        tiles[pair + 2][e] = got;
    }
  }
}

} // namespace ingot
