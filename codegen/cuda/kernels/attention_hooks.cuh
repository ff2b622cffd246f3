// attention_hooks.cuh - What happens to a score between two products: masks and transforms, by the
// constants of a stub (attention.cuh).
#pragma once

#include "codegen/cuda/math.cuh"
#include "codegen/cuda/ptx/mma.cuh"

namespace ingot {

constexpr float kLog2e = 1.4426950408889634f;
/// The score of a key that is not seen.
INGOT_DEVICE float nothing() { return -__int_as_float(0x7f800000); }

/// 2^x: the hardware's approximation is exact enough for 16-bit probabilities.
template <typename T> INGOT_DEVICE float exponential(float x) { return ptx::exp2_fast(x); }
template <> INGOT_DEVICE float exponential<float>(float x) { return exp2f(x); }

/// tanh: the hardware's approximation is within 2^-11, as products of 16-bit elements are.
template <typename T> INGOT_DEVICE float hyperbolic_tangent(float x) { return ptx::tanh_fast(x); }
template <> INGOT_DEVICE float hyperbolic_tangent<float>(float x) { return tanhf(x); }

/// The mask and the transform of scores, by constants.
template <typename Config> struct AttentionHooks {
  /// Scores are plain multiples of q . k, so that the multiplication can wait for the exponential.
  static constexpr bool kPlain = !Config::kAlibi && !(Config::kSoftcap > 0);
  static constexpr bool kAlibiFirst = Config::kAlibi && Config::kAlibiBeforeScale;
  static constexpr bool kAlibiLast = Config::kAlibi && !Config::kAlibiBeforeScale;
  /// … or of a hyperbolic tangent, likewise.
  static constexpr bool kCapLast = Config::kSoftcap > 0 && !kAlibiLast;
  /// What turns a transformed score into a power of two.
  static constexpr float kExponent = kLog2e * (kPlain     ? static_cast<float>(Config::kScale)
                                               : kCapLast ? static_cast<float>(Config::kSoftcap)
                                                          : 1.0f);

  /// `bias` is slope * (key - query). `T` is the type of queries and keys.
  template <typename T> static INGOT_DEVICE float transform(float dot, float bias) {
    if constexpr (kPlain)
      return dot;
    if constexpr (kAlibiFirst)
      dot += bias;
    float score = dot * static_cast<float>(Config::kScale);
    if constexpr (Config::kSoftcap > 0) {
      score = hyperbolic_tangent<T>(
          dot * static_cast<float>(double(Config::kScale) / double(Config::kSoftcap)));
      if constexpr (!kCapLast)
        score *= static_cast<float>(Config::kSoftcap);
    }
    if constexpr (kAlibiLast)
      score += bias;
    return score;
  }
  template <typename T>
  static INGOT_DEVICE float transform(float dot, float slope, i32 query, i32 key) {
    return transform<T>(dot, Config::kAlibi ? slope * static_cast<float>(key - query) : 0.0f);
  }
  /// Whether every query in [lowest, highest] sees every key in [first, last).
  static INGOT_DEVICE bool allVisible(i32 lowest, i32 highest, i32 first, i32 last, i32 keys) {
    bool all = last <= keys;
    if constexpr (Config::kCausal)
      all = all && last - 1 <= lowest;
    if constexpr (Config::kWindow > 0)
      all = all && highest - first < Config::kWindow;
    return all;
  }
  static INGOT_DEVICE bool visible(i32 query, i32 key, i32 keys) {
    bool seen = key < keys;
    if constexpr (Config::kCausal)
      seen = seen && key <= query;
    if constexpr (Config::kWindow > 0)
      seen = seen && query - key < Config::kWindow;
    return seen;
  }
  /// Keys [first, last) that some query in [lowest, highest] sees.
  static INGOT_DEVICE void range(i64 lowest, i64 highest, i64 keys, i64 &first, i64 &last) {
    last = Config::kCausal ? min_of<i64>(keys, highest + 1) : keys;
    first = Config::kWindow > 0 ? max_of<i64>(0, lowest - Config::kWindow + 1) : 0;
  }
};

} // namespace ingot
