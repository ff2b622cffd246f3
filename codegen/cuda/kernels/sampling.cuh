// sampling.cuh - The next token of each row, from its logits, and the tokens each row has seen.
//
// The rules are those of runtime/generate/Sampler.h, and so are the tokens: scores are compared and
// divided as floats, one rounding each, and weights are added up as integers (SamplingRule.h), so
// that neither blocks nor their order matter.
//
// A row is a cluster's; each block has a part of the vocabulary, and its scores in shared memory
// where they fit. The scores of top-k and top-p are found digit by digit: a histogram of the first
// digit over all blocks; the bin that crosses the target; then the next digit of what lies in that
// bin. The draw is one scan. Nothing is sorted.
#pragma once

#include "codegen/cuda/ptx/cluster.cuh"
#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

//===--------------------------------------------------------------------===//
// The arithmetic of SamplingRule.h and Random.h
//===--------------------------------------------------------------------===//

constexpr u64 kFullWeight = 1ull << 40;

INGOT_DEVICE u64 sampling_weight(float x) {
  if (!(x >= -28.0f))
    return 0;
  const u64 exponent = (static_cast<u64>(x * -268435456.0f) * 1549082005ull) >> 26;
  const u32 f = static_cast<u32>(exponent);
  u32 sum = 0x9c23cu - __umulhi(0xbdbau, f);
  sum = 0x5728f4u - __umulhi(sum, f);
  sum = 0x27641ccu - __umulhi(sum, f);
  sum = 0xe35812fu - __umulhi(sum, f);
  sum = 0x3d7f7bccu - __umulhi(sum, f);
  sum = 0xb17217f7u - __umulhi(sum, f);
  return (((1ull << 32) - __umulhi(sum, f)) << 8) >> (exponent >> 32);
}

INGOT_DEVICE u64 share_of(float share, u64 total) {
  const double product = __dmul_rn(static_cast<double>(share), __ull2double_rn(total));
  const u64 whole = static_cast<u64>(product);
  return whole + (static_cast<double>(whole) < product);
}

INGOT_DEVICE u64 scramble(u64 x) {
  x ^= x >> 33;
  x *= 0xd6e8feb86659fd93ull;
  x ^= x >> 29;
  x *= 0x9e3779b97f4a7c15ull;
  return x ^ x >> 32;
}

INGOT_DEVICE u64 uniform_below(u64 seed, u64 counter, u64 total) {
  const u64 key = scramble(seed + 0x9e3779b97f4a7c15ull);
  const u64 bits = scramble(key ^ scramble(counter + 0xbb67ae8584caa73bull)) >> 11;
  return __umul64hi(bits << 11, total);
}

/// Keys in the order of floats; both zeros have one.
INGOT_DEVICE u32 order_key(float value) {
  const u32 bits = __float_as_uint(__fadd_rn(value, 0.0f));
  return bits >> 31 ? ~bits : bits | 0x80000000u;
}
INGOT_DEVICE float key_value(u32 key) {
  return __uint_as_float(key >> 31 ? key & 0x7fffffffu : ~key);
}
INGOT_DEVICE bool is_finite(float value) {
  return (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u;
}

//===--------------------------------------------------------------------===//
// A row
//===--------------------------------------------------------------------===//

struct LargerOf {
  static INGOT_DEVICE u64 apply(u64 a, u64 b) { return a < b ? b : a; }
};

/// The bin in which a sum reaches its target.
struct Crossing {
  u32 bin;
  u64 before; // of the bins in front of it
  u64 within;
};

struct RowOptions {
  float temperature, top_p, min_p, penalty;
  i32 top_k;
  u64 seed, draw;
};

template <typename Config> class SampledRow {
  static constexpr int kThreads = Config::kThreads, kCluster = Config::kCluster;
  static constexpr int kWarps = kThreads / kWarp, kBins = 2 * kThreads;
  static constexpr int kDigit = 11;
  static_assert(kBins == 1 << kDigit, "a thread has two bins");

public:
  struct Shared {
    u64 bins[2][kBins];
    u64 partials[2]; // of reductions over the cluster
    u64 warps[kWarps];
    Crossing crossing;
  };

  INGOT_DEVICE SampledRow(Shared &shared, float *cache, const float *logits, const i8 *seen,
                          i64 vocabulary)
      : shared(shared), cache(cache), logits(logits), seen(seen),
        vocabulary(static_cast<u32>(vocabulary)) {
    const u32 part = ceil_div<u32>(this->vocabulary, kCluster);
    begin = min_of(part * block_rank(), this->vocabulary);
    end = min_of(begin + part, this->vocabulary);
  }

  INGOT_DEVICE i32 sample(const RowOptions &options);

  /// A barrier of the cluster.
  static INGOT_DEVICE void meet() {
    if constexpr (kCluster == 1)
      __syncthreads();
    else
      ptx::cluster_arrive_and_wait();
  }

private:
  static INGOT_DEVICE u32 block_rank() { return kCluster == 1 ? 0 : ptx::cluster_rank(); }
  INGOT_DEVICE u64 load_u64(const u64 *address, u32 rank) const {
    if constexpr (kCluster == 1)
      return *address;
    else
      return ptx::load_u64_from_block(
          ptx::map_to_block(static_cast<u32>(__cvta_generic_to_shared(address)), rank));
  }

  /// The logit after the repetition penalty.
  INGOT_DEVICE float penalized(u32 i, float penalty) const {
    const float score = logits[i];
    if (penalty == 1 || !seen || !seen[i])
      return score;
    return score < 0 ? __fmul_rn(score, penalty) : __fdiv_rn(score, penalty);
  }
  /// That over the temperature.
  INGOT_DEVICE float score(u32 i) const {
    if constexpr (Config::kCached)
      return cache[i - begin];
    else
      return __fdiv_rn(penalized(i, penalty), temperature);
  }

  INGOT_DEVICE u64 *next_slot() { return &shared.partials[reductions++ % 2]; }

  /// The sum of `value` over the threads of the block before this one; `total` over all of them.
  INGOT_DEVICE u64 scan(u64 value, u64 &total) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    u64 inclusive = value;
#pragma unroll
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const u64 before = __shfl_up_sync(kAllLanes, inclusive, distance);
      if (lane >= distance)
        inclusive += before;
    }
    if (lane == kWarp - 1)
      shared.warps[warp] = inclusive;
    __syncthreads();
    u64 before = inclusive - value;
    total = 0;
    for (int i = 0; i < kWarps; ++i) {
      before += i < warp ? shared.warps[i] : 0;
      total += shared.warps[i];
    }
    __syncthreads(); // All have read.
    return before;
  }

  /// Of all threads of the cluster.
  template <typename Op> INGOT_DEVICE u64 reduce(u64 value) {
    value = reduce_block<Op, kThreads>(value);
    if constexpr (kCluster > 1) {
      u64 *slot = next_slot();
      if (threadIdx.x == 0)
        *slot = value;
      meet();
      value = load_u64(slot, 0);
#pragma unroll
      for (int rank = 1; rank < kCluster; ++rank)
        value = Op::apply(value, load_u64(slot, rank));
    }
    return value;
  }

  /// value(i) of the whole vocabulary.
  template <typename Value> INGOT_DEVICE u64 add_up(Value value) {
    u64 total = 0;
    for (u32 i = begin + threadIdx.x; i < end; i += kThreads)
      total += value(i);
    return reduce<Sum>(total);
  }

  /// Adds up `value(i)` in `bin(i)` over the vocabulary, in integers of type Sum, and finds where the
  /// sum of the bins, from the first, reaches `target`, which is at most all of it.
  template <typename Sum, typename Bin, typename Value>
  INGOT_DEVICE Crossing cross(u64 target, Bin bin, Value value);

  /// The order_key of the score at which value(i) of the i with first(i), from the largest score,
  /// add up to `target`; what is in front of those is in `crossing`.
  template <typename Sum, typename First, typename Value>
  INGOT_DEVICE u32 find_key(Crossing &crossing, u64 target, First first, Value value);
  /// The lowest id such that value(i) of those up to it add up to target_of(all of them).
  template <typename Target, typename Value>
  INGOT_DEVICE u32 find_id(Target target_of, Value value);
  /// The same over all scores.
  template <typename Sum, typename Value>
  INGOT_DEVICE u32 find_score(Crossing &crossing, u64 target, Value value);

  INGOT_DEVICE u32 coarse_bin(u32 i) const {
    // From 0 at the largest score, 64 a unit; whatever lies far behind is in the last one.
    const float distance = __fmul_rn(__fsub_rn(top, score(i)), 64.0f);
    return distance < kBins - 1 ? static_cast<u32>(distance) : kBins - 1;
  }
  INGOT_DEVICE u64 weight(u32 i) const { return sampling_weight(__fsub_rn(score(i), top)); }

  Shared &shared;
  float *cache;
  const float *logits;
  const i8 *seen;
  u32 vocabulary, begin, end;
  float temperature, penalty, top;
  int reductions = 0, histograms = 0;
};

template <typename Config>
template <typename Sum, typename Bin, typename Value>
INGOT_DEVICE Crossing SampledRow<Config>::cross(u64 target, Bin bin, Value value) {
  const int thread = threadIdx.x, lane = thread % kWarp;
  // Other blocks may read the bins of the search before this one still; those before have been.
  u64 *memory = shared.bins[histograms++ % 2];
  Sum *bins = reinterpret_cast<Sum *>(memory);
  bins[thread] = bins[thread + kThreads] = 0;
  __syncthreads();
  for (u32 first = begin; first < end; first += kThreads) {
    const u32 i = first + thread;
    const bool inside = i < end;
    const Sum amount = inside ? value(i) : 0;
    if (!__any_sync(kAllLanes, amount != 0))
      continue;
    const u32 place = bin(inside ? i : end - 1);
    int same;
    __match_all_sync(kAllLanes, place, &same);
    if (same) { // scores that are equal: one addition for a warp
      const Sum sum = reduce_lanes<ingot::Sum>(amount);
      if (lane == 0)
        atomicAdd(&bins[place], sum);
    } else if (amount != 0) {
      atomicAdd(&bins[place], amount);
    }
  }
  meet();
  u64 own[2] = {0, 0};
#pragma unroll
  for (int rank = 0; rank < kCluster; ++rank) {
    if constexpr (sizeof(Sum) == 4) {
      const u64 both = load_u64(memory + thread, rank);
      own[0] += static_cast<u32>(both);
      own[1] += both >> 32;
    } else {
      own[0] += load_u64(memory + 2 * thread, rank);
      own[1] += load_u64(memory + 2 * thread + 1, rank);
    }
  }
  u64 total, before = scan(own[0] + own[1], total);
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    if (before < target && target <= before + own[i])
      shared.crossing = {static_cast<u32>(2 * thread + i), before, own[i]};
    before += own[i];
  }
  __syncthreads();
  const Crossing found = shared.crossing;
  __syncthreads();
  return found;
}

template <typename Config>
template <typename Sum, typename First, typename Value>
INGOT_DEVICE u32 SampledRow<Config>::find_key(Crossing &crossing, u64 target, First first,
                                              Value value) {
  u32 key = 0;
  u64 before = crossing.before;
#pragma unroll 1
  for (int shift = 32 - kDigit; ; shift = max_of(shift - kDigit, 0)) {
    const int width = shift == 0 ? 32 - 2 * kDigit : kDigit;
    const u32 mask = (1u << width) - 1;
    auto inside = [&](u32 i) {
      const u32 own = order_key(score(i));
      return first(i) && (shift + width == 32 || own >> (shift + width) == key >> (shift + width));
    };
    crossing = cross<Sum>(
        target - before, [&](u32 i) { return mask - (order_key(score(i)) >> shift & mask); },
        [&](u32 i) { return inside(i) ? value(i) : 0; });
    key |= (mask - crossing.bin) << shift;
    before += crossing.before;
    if (shift == 0)
      break;
  }
  crossing.before = before;
  return key;
}

template <typename Config>
template <typename Sum, typename Value>
INGOT_DEVICE u32 SampledRow<Config>::find_score(Crossing &crossing, u64 target, Value value) {
  crossing = cross<Sum>(target, [&](u32 i) { return coarse_bin(i); }, value);
  const u32 bin = crossing.bin;
  return find_key<Sum>(crossing, target, [&](u32 i) { return coarse_bin(i) == bin; }, value);
}

template <typename Config>
template <typename Target, typename Value>
INGOT_DEVICE u32 SampledRow<Config>::find_id(Target target_of, Value value) {
  // Neighbouring ids a thread, an odd number of them, so that a warp reads all banks.
  const u32 width = ceil_div<u32>(end - begin, kThreads) | 1;
  const u32 first = min_of(begin + threadIdx.x * width, end), last = min_of(first + width, end);
  u64 own = 0, total;
  for (u32 i = first; i < last; ++i)
    own += value(i);
  u64 before = scan(own, total);
  if constexpr (kCluster > 1) {
    u64 *slot = next_slot();
    if (threadIdx.x == 0)
      *slot = total;
    meet();
    total = 0;
#pragma unroll
    for (int rank = 0; rank < kCluster; ++rank) {
      before += rank < static_cast<int>(block_rank()) ? load_u64(slot, rank) : 0;
      total += load_u64(slot, rank);
    }
  }
  const u64 target = target_of(total);
  u64 found = 0;
  if (before < target && target <= before + own)
    for (u32 i = first; i < last && found == 0; ++i) {
      before += value(i);
      found = before >= target ? i + 1 : 0;
    }
  return static_cast<u32>(reduce<LargerOf>(found)) - 1;
}

/// All threads of the cluster get the token; -1 if a logit is NaN or the largest is not finite.
template <typename Config>
INGOT_DEVICE i32 SampledRow<Config>::sample(const RowOptions &options) {
  penalty = options.penalty > 0 ? options.penalty : 1.0f;
  temperature = options.temperature;
  // The largest score; of equal ones the lowest id. NaN is above all.
  u64 best = 0;
  for (u32 i = begin + threadIdx.x; i < end; i += kThreads) {
    const float value = penalized(i, penalty);
    const u32 key = value == value ? order_key(value) : 0xffffffffu;
    best = LargerOf::apply(best, static_cast<u64>(key) << 32 | (0xffffffffu - i));
    if constexpr (Config::kCached)
      if (temperature > 0)
        cache[i - begin] = __fdiv_rn(value, temperature);
  }
  best = reduce<LargerOf>(best);
  const u32 bestKey = static_cast<u32>(best >> 32);
  const float largest = key_value(bestKey);
  if (bestKey == 0xffffffffu || !is_finite(largest))
    return -1;
  const i32 greedy = static_cast<i32>(0xffffffffu - static_cast<u32>(best));
  if (!(temperature > 0))
    return greedy;
  top = __fdiv_rn(largest, temperature);
  if (!is_finite(top))
    return greedy;

  u32 leastKey = 0; // what top-k leaves
  if (options.top_k > 0 && static_cast<u32>(options.top_k) < vocabulary) {
    Crossing crossing;
    leastKey = find_score<u32>(crossing, options.top_k, [](u32) -> u32 { return 1; });
  }
  const auto left = [&](u32 i) { return order_key(score(i)) >= leastKey ? weight(i) : 0; };

  u32 lastId = 0xffffffffu; // of those whose key is leastKey
  if (options.top_p > 0 && options.top_p < 1) {
    const u64 target = share_of(options.top_p, add_up(left));
    Crossing crossing;
    leastKey = find_score<u64>(crossing, target, left);
    // All of one key have one weight: those that are needed to reach the target stay.
    const u64 each = sampling_weight(__fsub_rn(key_value(leastKey), top));
    const u64 needed = (target - crossing.before + each - 1) / each;
    if (needed * each < crossing.within)
      lastId = find_id([=](u64) { return needed; },
                       [&](u32 i) -> u64 { return order_key(score(i)) == leastKey; });
  }
  const u64 leastWeight =
      options.min_p > 0 ? share_of(min_of(options.min_p, 1.0f), kFullWeight) : 0;
  const auto kept = [&](u32 i) -> u64 {
    const u32 key = order_key(score(i));
    const u64 own = key > leastKey || (key == leastKey && i <= lastId) ? weight(i) : 0;
    return own >= leastWeight ? own : 0;
  };
  return static_cast<i32>(find_id(
      [&](u64 total) { return uniform_below(options.seed, options.draw, total) + 1; }, kept));
}

struct SamplingArguments {
  const float *logits;
  const i8 *seen; // [slots, vocabulary]
  const i32 *slot;
  const float *temperature;
  const i32 *top_k;
  const float *top_p, *min_p, *penalty;
  const i64 *seed, *draw;
  i32 *tokens;
  i64 rows, vocabulary, slots;
};

template <typename Config> INGOT_DEVICE void sample_rows(const SamplingArguments &a) {
  using Row = SampledRow<Config>;
  __shared__ typename Row::Shared shared;
  extern __shared__ float sampling_cache[];
  for (i64 row = blockIdx.x / Config::kCluster; row < a.rows;
       row += gridDim.x / Config::kCluster) {
    const i32 slot = a.slot[row];
    const bool known = slot >= 0 && slot < a.slots;
    Row sampled(shared, sampling_cache, a.logits + row * a.vocabulary,
                known ? a.seen + slot * a.vocabulary : nullptr, a.vocabulary);
    const i32 token = sampled.sample(
        {a.temperature[row], a.top_p[row], a.min_p[row], a.penalty[row], a.top_k[row],
         static_cast<u64>(a.seed[row]), static_cast<u64>(a.draw[row])});
    if (threadIdx.x == 0 && blockIdx.x % Config::kCluster == 0)
      a.tokens[row] = token;
    // No block ends, or writes for the next row, while others may read its shared memory.
    Row::meet();
  }
}

/// Marks the tokens that a call feeds, in the state of each row's slot. A block a row.
template <typename Config>
INGOT_DEVICE void mark_tokens(i8 *seen, const i32 *ids, const i32 *num_tokens, const i32 *past,
                              const i32 *slots, i64 rows, i64 width, i64 count, i64 vocabulary) {
  for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
    const i32 slot = slots[row];
    if (slot < 0 || slot >= count)
      continue;
    i8 *mine = seen + slot * vocabulary;
    if (past[row] <= 0) {
      if (vocabulary % 16 == 0) // then every row starts at a multiple of 16 bytes
        for (i64 i = threadIdx.x; i < vocabulary / 16; i += Config::kThreads)
          reinterpret_cast<uint4 *>(mine)[i] = uint4{0, 0, 0, 0};
      else
        for (i64 i = threadIdx.x; i < vocabulary; i += Config::kThreads)
          mine[i] = 0;
    }
    __syncthreads();
    const i64 tokens = min_of<i64>(num_tokens[row], width);
    for (i64 i = threadIdx.x; i < tokens; i += Config::kThreads) {
      const i32 id = ids[row * width + i];
      if (id >= 0 && id < vocabulary)
        mine[id] = 1;
    }
  }
}

} // namespace ingot
