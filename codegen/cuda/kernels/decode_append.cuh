// decode_append.cuh - What attention_decode.cuh takes of the tokens of this step when RoPE and the
// appends to the cache are part of it: keys and values that are not in the cache yet.
//
// Elements are those that the rotation by itself would store, bit for bit: one product is rounded,
// the other is added to it and the sum rounded once, then to 16 bits.
//
// Constants of a stub: kAppend; kRotated, elements of a head that are rotated in pairs (j, j +
// kRotated / 2), 0 for none, a multiple of 16; kNewKeyStride, kNewValueStride.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot {

template <typename T> struct DecodeAppend {
  const T *k, *v;         // [tokens], as they are projected
  const float *cos, *sin; // [tokens, kRotated / 2]
  T *keys, *values;       // the cache
};

/// How what is projected is read: written by a grid in front.
struct DecodeRead {
  template <typename T> INGOT_DEVICE uint4 operator()(const T *at) const {
    return *reinterpret_cast<const uint4 *>(at);
  }
};

template <typename Config> INGOT_DEVICE constexpr bool rotates() {
  return Config::kAppend && Config::kRotated > 0;
}

/// 8 elements, with those that they are in pairs with and the rows of the tables: `low` if they are
/// the first of their pairs.
template <typename T>
INGOT_DEVICE uint4 rotate_8(bool low, const uint4 &x, const uint4 &other, const float4 (&cos)[2],
                            const float4 (&sin)[2]) {
  auto pair = [&](u32 mine, u32 others, float cos0, float sin0, float cos1, float sin1) {
    float x0, x1, y0, y1;
    unpack_pair<T>(mine, x0, x1);
    unpack_pair<T>(others, y0, y1);
    return pack_pair<T>(fmaf(x0, cos0, (low ? -y0 : y0) * sin0),
                        fmaf(x1, cos1, (low ? -y1 : y1) * sin1));
  };
  return make_uint4(pair(x.x, other.x, cos[0].x, sin[0].x, cos[0].y, sin[0].y),
                    pair(x.y, other.y, cos[0].z, sin[0].z, cos[0].w, sin[0].w),
                    pair(x.z, other.z, cos[1].x, sin[1].x, cos[1].y, sin[1].y),
                    pair(x.w, other.w, cos[1].z, sin[1].z, cos[1].w, sin[1].w));
}

/// Columns [j, j + 8) of the tables' rows of `token`.
template <typename Config, typename T>
INGOT_DEVICE void load_rotation(const DecodeAppend<T> &append, i64 token, int j, float4 (&cos)[2],
                                float4 (&sin)[2]) {
  const i64 place = token * (Config::kRotated / 2) + j;
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    cos[i] = reinterpret_cast<const float4 *>(append.cos + place)[i];
    sin[i] = reinterpret_cast<const float4 *>(append.sin + place)[i];
  }
}

/// Elements [d, d + 8) of a head, rotated as `token` is; `load(e)` is [e, e + 8) of it.
template <typename Config, typename T, typename Load>
INGOT_DEVICE uint4 rotated_8(const DecodeAppend<T> &append, const Load &load, i64 token, int d) {
  constexpr int kHalf = Config::kRotated / 2;
  static_assert(Config::kRotated % 16 == 0, "8 elements are all of one half");
  const uint4 x = load(d);
  if (d >= Config::kRotated)
    return x;
  const bool low = d < kHalf;
  float4 cos[2], sin[2];
  load_rotation<Config>(append, token, low ? d : d - kHalf, cos, sin);
  return rotate_8<T>(low, x, load(low ? d + kHalf : d - kHalf), cos, sin);
}

/// Whether a lane that has elements [32 i + d, 32 i + d + 8) of a head for every i has both of
/// every pair.
template <typename Config> INGOT_DEVICE constexpr bool has_whole_pairs() {
  return rotates<Config>() && Config::kRotated == Config::kWidth && Config::kWidth % 64 == 0;
}
/// What such a lane rotates the chunks i and i + Chunks / 2 with.
struct PairRotation {
  float4 cos[2], sin[2];
  template <typename T> INGOT_DEVICE void rotate(uint4 &low, uint4 &high) const {
    const uint4 first = low, second = high;
    low = rotate_8<T>(true, first, second, cos, sin);
    high = rotate_8<T>(false, second, first, cos, sin);
  }
};

/// Elements [32 i + d, 32 i + d + 8) of a head for every i, rotated; zeros past its end.
template <typename Config, typename T, int Chunks, typename Read>
INGOT_DEVICE void rotated_chunks(uint4 (&chunks)[Chunks], const DecodeAppend<T> &append,
                                 const T *row, i64 token, int d, const Read &read) {
  if constexpr (has_whole_pairs<Config>()) {
    // All loads before the first use.
    PairRotation rotations[Chunks / 2];
#pragma unroll
    for (int i = 0; i < Chunks / 2; ++i)
      load_rotation<Config>(append, token, i * 32 + d, rotations[i].cos, rotations[i].sin);
#pragma unroll
    for (int i = 0; i < Chunks; ++i)
      chunks[i] = read(row + i * 32 + d);
#pragma unroll
    for (int i = 0; i < Chunks / 2; ++i)
      rotations[i].template rotate<T>(chunks[i], chunks[i + Chunks / 2]);
  } else {
    auto load = [&](int e) { return read(row + e); };
#pragma unroll
    for (int i = 0; i < Chunks; ++i)
      if (i * 32 + d < Config::kWidth)
        chunks[i] = rotated_8<Config>(append, load, token, i * 32 + d);
  }
}

} // namespace ingot
