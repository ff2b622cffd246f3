// decode_join.cuh - The sums of attention_decode.cuh: a warp's, and those of an item joined, of a
// block's warps and of the blocks of a cluster that share it.
#pragma once

#include "codegen/cuda/kernels/decode_item.cuh"
#include "codegen/cuda/ptx/cluster.cuh"

namespace ingot {

/// The softmax and sums of a warp: columns are the heads 2c and 2c + 1.
template <typename Config, typename T> struct DecodeState {
  /// Rows g: element half * 64 + 8g + 2 * pair, rows g + 8: the one behind it.
  float out[4 * DecodeTraits<Config, T>::kHalves][4] = {};
  float maximum[2] = {nothing(), nothing()}, sum[2] = {};
};

/// Leaves a warp's sums in shared memory.
template <typename Config, typename T>
INGOT_DEVICE void store_decode_state(DecodeState<Config, T> &state, float *mine) {
  using Traits = DecodeTraits<Config, T>;
  const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
#pragma unroll
  for (int column = 0; column < 2; ++column) {
#pragma unroll
    for (int distance = 4; distance < kWarp; distance *= 2)
      state.sum[column] += __shfl_xor_sync(kAllLanes, state.sum[column], distance);
    const int head = 2 * c + column;
    if (head >= Traits::kTileHeads)
      continue;
    float *row = mine + head * Traits::kRowFloats;
#pragma unroll
    for (int half = 0; half < Traits::kHalves; ++half)
#pragma unroll
      for (int pair = 0; pair < 4; ++pair)
        if (has_elements<Config, 64>(half * 64 + g * 8))
          *reinterpret_cast<float2 *>(row + half * 64 + g * 8 + pair * 2) = make_float2(
              state.out[half * 4 + pair][column], state.out[half * 4 + pair][column + 2]);
    if (g == 0) {
      row[Config::kWidth] = state.maximum[column];
      row[Config::kWidth + 1] = state.sum[column];
    }
  }
}

/// What each of `Parts` parts of an item (or fewer) weighs in a head's sums, and the maximum and
/// sum of all. `read(i, j)` is element j of part i's row of the head.
template <typename Config, int Parts> struct JoinWeights {
  float weights[Parts], maximum, sum;

  template <typename Read> INGOT_DEVICE JoinWeights(int parts, const Read &read) {
    using Hooks = AttentionHooks<Config>;
    float maxima[Parts], sums[Parts];
#pragma unroll
    for (int i = 0; i < Parts; ++i) {
      maxima[i] = i < parts ? read(i, Config::kWidth) : nothing();
      sums[i] = i < parts ? read(i, Config::kWidth + 1) : 0.0f;
    }
    maximum = nothing();
#pragma unroll
    for (int i = 0; i < Parts; ++i)
      maximum = fmaxf(maximum, maxima[i]);
    const float base = (maximum == nothing() ? 0.0f : maximum) * Hooks::kExponent;
    sum = 0;
#pragma unroll
    for (int i = 0; i < Parts; ++i) {
      weights[i] = exp2f(maxima[i] * Hooks::kExponent - base);
      sum += sums[i] * weights[i];
    }
  }
  /// An element of the parts, joined; `value(i)` is 0 of a part that there isn't.
  template <typename Value> INGOT_DEVICE float join(const Value &value) const {
    float joined = 0;
#pragma unroll
    for (int i = 0; i < Parts; ++i)
      joined += value(i) * weights[i];
    return joined;
  }
};

/// Element `d` of a head, joined.
template <typename Config, int Parts, typename Read>
INGOT_DEVICE void join_decode(int parts, int d, const Read &read, float &value, float &maximum,
                              float &sum) {
  float values[Parts];
#pragma unroll
  for (int i = 0; i < Parts; ++i)
    values[i] = i < parts ? read(i, d) : 0.0f;
  const JoinWeights<Config, Parts> all(parts, read);
  value = all.join([&](int i) { return values[i]; });
  maximum = all.maximum;
  sum = all.sum;
}

/// The element of the result, with the sink as one more term of the denominator.
template <typename Config, typename T>
INGOT_DEVICE void store_decode_element(const AttentionArguments<T> &a, const DecodeItem &item,
                                       int head, int d, float value, float maximum, float sum) {
  using Hooks = AttentionHooks<Config>;
  const int queryHead = item.firstQueryHead + head;
  if constexpr (Config::kSinks) {
    const float sink = a.sinks[queryHead] * kLog2e, seen = maximum * Hooks::kExponent;
    const float base = fmaxf(seen, sink), scale = exp2f(seen - base);
    value *= scale;
    sum = sum * scale + exp2f(sink - base);
  }
  a.out[i64(item.token) * Config::kOutputStride + queryHead * Config::kWidth + d] =
      T(sum > 0 ? value / sum : 0.0f);
}

/// Element `i` of what block `part` of those that share an item has, to the one that joins it:
/// `chunk` neighbouring elements a block, and a head's maximum and sum to all.
template <typename Config, typename T>
INGOT_DEVICE void give_decode(float *given, int leader, int share, int part, int chunk, int i,
                              float value, float maximum, float sum) {
  using Traits = DecodeTraits<Config, T>;
  const u32 place = ptx::shared_address(given);
  ptx::store_to_block(ptx::map_to_block(place + (part * chunk + i % chunk) * 4, leader + i / chunk),
                      value);
  if (i % Config::kWidth != 0)
    return;
  const u32 head = place + Traits::given_head(part, i / Config::kWidth) * 4;
  for (int block = 0; block < share; ++block) {
    const u32 to = ptx::map_to_block(head, leader + block);
    ptx::store_to_block(to, maximum);
    ptx::store_to_block(to + 4, sum);
  }
}

} // namespace ingot
