// attention_rows.cuh - The running softmax of a warpgroup's queries, in the layout of warpgroup
// accumulators: a warp has 16 rows, a lane pairs of columns of two of them.
//
// Probabilities are relative to `base`, which follows a row's maximum only where that has grown by
// more than a factor of 2^8: what was summed so far is rescaled rarely, and the quotient at the end
// is the same.
#pragma once

#include "codegen/cuda/kernels/attention_work.cuh"

namespace ingot {

INGOT_DEVICE constexpr int common_divisor(int a, int b) {
  return b == 0 ? a : common_divisor(b, a % b);
}

template <typename Config, typename T> struct AttentionSm90Traits {
  static constexpr int kGroupThreads = 128, kGroupRows = 64, kRowBytes = 128;
  static constexpr int kConsumers = Config::kConsumers;
  static constexpr int kRows = kConsumers * kGroupRows;
  static constexpr int kKeys = Config::kKeys;
  /// Of the last tile, these may be all that exist or that are seen.
  static constexpr int kHalfKeys = (kKeys / 2 + 31) / 32 * 32;
  /// A head in shared memory: panels of 64 columns, what it lacks of the last are zeros.
  static constexpr int kPanels = (Config::kWidth + 63) / 64;
  static constexpr int kSteps = (Config::kWidth + 15) / 16;
  /// Of the output, in registers: what instructions there are for.
  static constexpr int kColumns = Config::kWidth > 192 ? 256 : (Config::kWidth + 31) / 32 * 32;
  static constexpr int kQueryPanel = kGroupRows * kRowBytes, kKeyPanel = kKeys * kRowBytes;
  static constexpr int kQueryBytes = kPanels * kQueryPanel, kTileBytes = kPanels * kKeyPanel;
  static constexpr int kBoxRows = Config::kPaged ? common_divisor(Config::kBlock, kKeys) : kKeys;
  /// Warps that work on an item: two that copy, and the consumers'.
  static constexpr int kWorkers = 2 + kConsumers * kGroupThreads / kWarp;
  static constexpr int kTilesOffset = kConsumers * kQueryBytes;
  static constexpr int kBarriersOffset = kTilesOffset + 2 * Config::kStages * kTileBytes;
  static constexpr int kBarriers = 2 + 2 * kConsumers + 4 * Config::kStages;
  /// Tiles start at multiples of 1024 bytes; barriers are behind them.
  static constexpr int kSharedBytes = 1024 + kBarriersOffset + 8 * kBarriers;
  static_assert(sizeof(T) == 2, "warpgroup instructions multiply 16-bit elements here");
  static_assert(Config::kThreads == (kConsumers + 1) * kGroupThreads,
                "a producer and the consumer warpgroups");
  static_assert(Config::kWidth * sizeof(T) % 16 == 0, "what the copy engine can step by");
  static_assert(kBoxRows % 8 == 0, "boxes are whole patterns of the swizzle");
  static_assert(Config::kScale > 0, "the largest score is that of the largest product");
};

/// What a consumer's lane has of its warp's 16 rows: two of them, `half` 0 and 1.
template <typename Config, typename T> struct AttentionRows {
  using Traits = AttentionSm90Traits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  static constexpr int kOut = Traits::kColumns / 2;
  /// By how much a maximum may pass `base`, as a power of two.
  static constexpr float kSlack = 8;

  float out[kOut];
  float base[2], sum[2], correction[2];
  i32 position; // of the first row; 8 less than of the second

  INGOT_DEVICE void start(i32 firstPosition) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      base[half] = nothing();
      sum[half] = 0;
      correction[half] = 1;
    }
    position = firstPosition;
#pragma unroll
    for (int i = 0; i < kOut; ++i)
      out[i] = 0;
  }

  /// Of ALiBi without a soft cap, what is the same for a whole row of a tile goes to `base`.
  static constexpr bool kShifted = Config::kAlibi && !(Config::kSoftcap > 0);

  /// Transforms the scores of keys from `firstKey` on. Distances are counted from a lane's first
  /// key: a conversion a row, not one a score. With kShifted, scores are powers of two after it,
  /// but for the `shift` of a row: one multiplication for the two rows of a lane, and one for a
  /// score.
  template <int Scores>
  INGOT_DEVICE void transform(float (&scores)[Scores], i32 firstKey, float slope,
                              float (&shift)[2]) const {
    const i32 column = static_cast<i32>(threadIdx.x % 4) * 2;
    if constexpr (kShifted) {
      constexpr float kScale = kLog2e * static_cast<float>(Config::kScale);
      const float step = slope * (Hooks::kAlibiFirst ? kScale : kLog2e);
      const float mine = step * static_cast<float>(column);
#pragma unroll
      for (int half = 0; half < 2; ++half)
        shift[half] = step * static_cast<float>(firstKey - position - half * 8);
#pragma unroll
      for (int i = 0; i < Scores; ++i)
        scores[i] =
            fmaf(scores[i], kScale, fmaf(step, static_cast<float>(i / 4 * 8 + i % 2), mine));
      return;
    }
    float first[2] = {};
    if constexpr (Config::kAlibi)
#pragma unroll
      for (int half = 0; half < 2; ++half)
        first[half] = slope * static_cast<float>(firstKey + column - position - half * 8);
#pragma unroll
    for (int i = 0; i < Scores; ++i)
      scores[i] = Hooks::template transform<T>(
          scores[i], first[i / 2 % 2] + slope * static_cast<float>(i / 4 * 8 + i % 2));
  }

  /// Masks the scores of keys from `firstKey` on.
  template <int Scores>
  INGOT_DEVICE void mask(float (&scores)[Scores], i32 firstKey, i32 keys) const {
    // Of a lane's first key on: one comparison a score, two with a window.
    const i32 mine = firstKey + static_cast<i32>(threadIdx.x % 4) * 2;
    const i32 last[2] = {(Config::kCausal ? min_of(position, keys - 1) : keys - 1) - mine,
                         (Config::kCausal ? min_of(position + 8, keys - 1) : keys - 1) - mine};
    const i32 first = position - Config::kWindow + 1 - mine;
#pragma unroll
    for (int i = 0; i < Scores; ++i) {
      const i32 key = i / 4 * 8 + i % 2, half = i / 2 % 2;
      if (key > last[half] || (Config::kWindow > 0 && key - half * 8 < first))
        scores[i] = nothing();
    }
  }

  /// Scores become probabilities; true if what is summed in `out` must be multiplied by
  /// `correction` (of the whole warp).
  template <int Scores> INGOT_DEVICE bool soften(float (&scores)[Scores], const float (&shift)[2]) {
    constexpr float kExponent = kShifted ? 1.0f : Hooks::kExponent;
    float maximum[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float even = scores[half * 2], odd = scores[half * 2 + 1];
#pragma unroll
      for (int i = 4; i < Scores; i += 4) {
        even = fmaxf(even, scores[i + half * 2]);
        odd = fmaxf(odd, scores[i + half * 2 + 1]);
      }
      even = fmaxf(even, odd);
      even = fmaxf(even, __shfl_xor_sync(kAllLanes, even, 1));
      maximum[half] = fmaxf(even, __shfl_xor_sync(kAllLanes, even, 2)) * kExponent;
      if constexpr (kShifted)
        maximum[half] += shift[half];
    }
    const bool raise =
        __any_sync(kAllLanes, maximum[0] > base[0] + kSlack || maximum[1] > base[1] + kSlack);
    float used[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      if (raise) {
        const float next = fmaxf(base[half], maximum[half]);
        correction[half] = ptx::exp2_fast(base[half] - (next == nothing() ? 0.0f : next));
        base[half] = next;
        sum[half] *= correction[half];
      }
      // A row that has seen nothing yet keeps its zeros.
      used[half] = base[half] == nothing() ? 0.0f : base[half];
      if constexpr (kShifted)
        used[half] -= shift[half];
    }
    float sums[4] = {};
#pragma unroll
    for (int i = 0; i < Scores; ++i) {
      scores[i] = ptx::exp2_fast(scores[i] * kExponent - used[i / 2 % 2]);
      sums[i % 4] += scores[i];
    }
    sum[0] += sums[0] + sums[1];
    sum[1] += sums[2] + sums[3];
    return raise;
  }

  INGOT_DEVICE void rescale() {
#pragma unroll
    for (int i = 0; i < kOut; ++i)
      out[i] *= correction[i / 2 % 2];
  }

  INGOT_DEVICE void store(const AttentionArguments<T> &a, const AttentionWork &work, int firstRow) {
    const int lane = threadIdx.x % kWarp;
    float scale[2];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float total = sum[half];
      total += __shfl_xor_sync(kAllLanes, total, 1);
      total += __shfl_xor_sync(kAllLanes, total, 2);
      scale[half] = 1;
      if constexpr (Config::kSinks) {
        // One more logit in the denominator.
        const float sink = a.sinks[work.head] * kLog2e, maximum = fmaxf(base[half], sink);
        scale[half] = exp2f(base[half] - maximum);
        total = total * scale[half] + exp2f(sink - maximum);
      }
      // Not `> 0`: NaN stays NaN.
      scale[half] = total == 0 ? 0.0f : scale[half] / total;
    }
    T *rows = a.out + (work.firstToken + firstRow + lane / 4) * Config::kOutputStride +
              work.head * Config::kWidth;
#pragma unroll
    for (int j = 0; j < Traits::kColumns / 8; j += 4)
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float pairs[4][2];
#pragma unroll
        for (int t = 0; t < 4; ++t) {
          pairs[t][0] = out[(j + t) * 4 + half * 2] * scale[half];
          pairs[t][1] = out[(j + t) * 4 + half * 2 + 1] * scale[half];
        }
        transpose_quad(pairs);
        const int column = j * 8 + lane % 4 * 8;
        if (firstRow + lane / 4 + half * 8 < work.tokens && column < Config::kWidth) {
          const uint4 packed = {
              pack_pair<T>(pairs[0][0], pairs[0][1]), pack_pair<T>(pairs[1][0], pairs[1][1]),
              pack_pair<T>(pairs[2][0], pairs[2][1]), pack_pair<T>(pairs[3][0], pairs[3][1])};
          *reinterpret_cast<uint4 *>(rows + half * 8 * Config::kOutputStride + column) = packed;
        }
      }
  }
};

} // namespace ingot
