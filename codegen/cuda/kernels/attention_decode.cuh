// attention_decode.cuh - Attention of few tokens over a paged cache: as fast as keys and values can
// be read.
//
// A work item is one token and one key/value head with its group of up to eight query heads. Each
// warp takes 16 keys at a time, straight into registers, while those before are multiplied: keys
// and values are rows of a matrix instruction, the query heads its eight columns. Scores are keys x
// heads, so that probabilities, transposed in registers, are what the values are multiplied with.
// Every warp has a softmax of its own; a block joins those of its warps, and blocks of a cluster
// that share an item join theirs through distributed shared memory, always in one order.
//
// The order of elements within a row of a head doesn't matter as long as both factors agree: a lane
// takes 8 neighbouring ones (16 bytes).
//
// Constants of a stub: as in attention.cuh, kPaged, kWidth a multiple of 64 up to 128, kGroup at
// most 8.
#pragma once

#include "codegen/cuda/kernels/attention.cuh"

namespace ingot {

template <typename Config, typename T> struct DecodeTraits {
  static constexpr int kWarps = Config::kThreads / kWarp, kKeys = 16, kHeads = 8;
  static constexpr int kHalves = Config::kWidth / 64;
  /// What a warp hands over: [head][D] sums, then maxima and sums of probabilities.
  static constexpr int kRowFloats = Config::kWidth + 2;
  static constexpr int kWarpFloats = Config::kGroup * kRowFloats;
  static constexpr int kSharedBytes = (kWarps + 1) * kWarpFloats * int(sizeof(float));
  static_assert(sizeof(T) == 2, "matrix instructions multiply 16-bit elements here");
  static_assert(Config::kWidth % 64 == 0 && Config::kWidth <= 128, "a head is 64 or 128 wide");
  static_assert(Config::kGroup <= kHeads, "the heads of a group are columns of an instruction");
  static_assert(Config::kPaged, "keys and values are in a paged cache");
};

/// One token and one key/value head.
struct DecodeItem {
  i64 row, token;
  i32 query; // position
  i32 first, last, keys;
  int head;
};

/// Keys or values of a warp's 16 keys: 16 bytes a lane and part.
template <typename Config, typename T> struct DecodeTile {
  uint4 parts[4 * DecodeTraits<Config, T>::kHalves];
};

template <typename Config, typename T>
INGOT_DEVICE uint4 decode_load(const T *base, const i32 *table, const DecodeItem &item, i32 key,
                               int element) {
  if (key < item.first || key >= item.last)
    return make_uint4(0, 0, 0, 0);
  return *reinterpret_cast<const uint4 *>(
      paged_slot<Config::kBlocks, Config::kKvHeads, Config::kBlock, Config::kWidth>(
          base, table, key, item.head) +
      element);
}

/// Keys g and g + 8 of the tile at `first`, 32 elements of K a part pair.
template <typename Config, typename T>
INGOT_DEVICE void load_decode_keys(DecodeTile<Config, T> &tile, const T *base, const i32 *table,
                                   const DecodeItem &item, i32 first) {
  const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
#pragma unroll
  for (int chunk = 0; chunk < 2 * DecodeTraits<Config, T>::kHalves; ++chunk)
#pragma unroll
    for (int half = 0; half < 2; ++half)
      tile.parts[chunk * 2 + half] =
          decode_load<Config>(base, table, item, first + half * 8 + g, chunk * 32 + c * 8);
}
/// Keys 2c, 2c + 1, 2c + 8, 2c + 9, of each 64 elements the 8 at 8g.
template <typename Config, typename T>
INGOT_DEVICE void load_decode_values(DecodeTile<Config, T> &tile, const T *base, const i32 *table,
                                     const DecodeItem &item, i32 first) {
  const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
#pragma unroll
  for (int half = 0; half < DecodeTraits<Config, T>::kHalves; ++half)
#pragma unroll
    for (int key = 0; key < 4; ++key)
      tile.parts[half * 4 + key] = decode_load<Config>(
          base, table, item, first + 2 * c + key % 2 + key / 2 * 8, half * 64 + g * 8);
}

/// Word `i` of 16 bytes.
INGOT_DEVICE u32 word_of(const uint4 &value, int i) {
  return i == 0 ? value.x : i == 1 ? value.y : i == 2 ? value.z : value.w;
}

/// The softmax and sums of a warp: columns are the heads 2c and 2c + 1.
template <typename Config, typename T> struct DecodeState {
  /// Rows g: element half * 64 + 8g + 2 * pair, rows g + 8: the one behind it.
  float out[4 * DecodeTraits<Config, T>::kHalves][4] = {};
  float maximum[2] = {nothing(), nothing()}, sum[2] = {};
};

/// The queries of a group as a second factor: a part for 32 elements.
template <typename Config, typename T> struct DecodeQueries {
  uint4 parts[2 * DecodeTraits<Config, T>::kHalves];
};

template <typename Config, typename T>
INGOT_DEVICE void score_decode_keys(float (&scores)[4], const DecodeQueries<Config, T> &queries,
                                    const DecodeTile<Config, T> &keys) {
  using Traits = DecodeTraits<Config, T>;
#pragma unroll
  for (int e = 0; e < 4; ++e)
    scores[e] = 0;
#pragma unroll
  for (int chunk = 0; chunk < 2 * Traits::kHalves; ++chunk) {
    const uint4 &low = keys.parts[chunk * 2], &high = keys.parts[chunk * 2 + 1];
    const uint4 &query = queries.parts[chunk];
    const u32 a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {query.x, query.y};
    const u32 a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {query.z, query.w};
    ptx::mma_16x8x16<T>(scores, a0, b0);
    ptx::mma_16x8x16<T>(scores, a1, b1);
  }
}

/// Scores of the tile at `first` become probabilities, and values are added by them.
template <typename Config, typename T>
INGOT_DEVICE void add_decode_values(DecodeState<Config, T> &state, float (&scores)[4],
                                    const DecodeTile<Config, T> &values, const DecodeItem &item,
                                    const float (&slopes)[2], i32 first) {
  using Traits = DecodeTraits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  const int g = threadIdx.x % kWarp / 4;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const i32 key = first + e / 2 * 8 + g;
    scores[e] = key >= item.first && key < item.last
                    ? Hooks::transform(scores[e], slopes[e % 2], item.query, key)
                    : nothing();
  }
  float corrections[2];
#pragma unroll
  for (int column = 0; column < 2; ++column) {
    float maximum = fmaxf(scores[column], scores[column + 2]);
#pragma unroll
    for (int distance = 4; distance < kWarp; distance *= 2)
      maximum = fmaxf(maximum, __shfl_xor_sync(kAllLanes, maximum, distance));
    maximum = fmaxf(maximum, state.maximum[column]);
    const float base = (maximum == nothing() ? 0.0f : maximum) * Hooks::kExponent;
    corrections[column] = ptx::exp2_fast(state.maximum[column] * Hooks::kExponent - base);
    scores[column] = ptx::exp2_fast(scores[column] * Hooks::kExponent - base);
    scores[column + 2] = ptx::exp2_fast(scores[column + 2] * Hooks::kExponent - base);
    // Of this lane's keys: the lanes' sums are added at the end.
    state.sum[column] =
        state.sum[column] * corrections[column] + scores[column] + scores[column + 2];
    state.maximum[column] = maximum;
  }
  const u32 b[2] = {ptx::transpose_matrix(pack_pair<T>(scores[0], scores[1])),
                    ptx::transpose_matrix(pack_pair<T>(scores[2], scores[3]))};
#pragma unroll
  for (int half = 0; half < Traits::kHalves; ++half)
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      float(&out)[4] = state.out[half * 4 + pair];
#pragma unroll
      for (int e = 0; e < 4; ++e)
        out[e] *= corrections[e % 2];
      // Two keys' elements 2 * pair and 2 * pair + 1 become two elements of a pair of keys.
      u32 words[4];
#pragma unroll
      for (int key = 0; key < 4; ++key)
        words[key] = word_of(values.parts[half * 4 + key], pair);
      const u32 a[4] = {
          __byte_perm(words[0], words[1], 0x5410), __byte_perm(words[0], words[1], 0x7632),
          __byte_perm(words[2], words[3], 0x5410), __byte_perm(words[2], words[3], 0x7632)};
      ptx::mma_16x8x16<T>(out, a, b);
    }
}

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
    if (head >= Config::kGroup)
      continue;
    float *row = mine + head * Traits::kRowFloats;
#pragma unroll
    for (int half = 0; half < Traits::kHalves; ++half)
#pragma unroll
      for (int pair = 0; pair < 4; ++pair)
        *reinterpret_cast<float2 *>(row + half * 64 + g * 8 + pair * 2) =
            make_float2(state.out[half * 4 + pair][column], state.out[half * 4 + pair][column + 2]);
    if (g == 0) {
      row[Config::kWidth] = state.maximum[column];
      row[Config::kWidth + 1] = state.sum[column];
    }
  }
}

/// What `Parts` parts of an item have (or fewer), joined: element `d` of a head. `read(i, j)` is
/// element j of part i's row of the head.
template <typename Config, int Parts, typename Read>
INGOT_DEVICE void join_decode(int parts, int d, const Read &read, float &value, float &maximum,
                              float &sum) {
  using Hooks = AttentionHooks<Config>;
  float maxima[Parts], sums[Parts], values[Parts];
#pragma unroll
  for (int i = 0; i < Parts; ++i) {
    maxima[i] = i < parts ? read(i, Config::kWidth) : nothing();
    sums[i] = i < parts ? read(i, Config::kWidth + 1) : 0.0f;
    values[i] = i < parts ? read(i, d) : 0.0f;
  }
  maximum = nothing();
#pragma unroll
  for (int i = 0; i < Parts; ++i)
    maximum = fmaxf(maximum, maxima[i]);
  const float base = (maximum == nothing() ? 0.0f : maximum) * Hooks::kExponent;
  value = sum = 0;
#pragma unroll
  for (int i = 0; i < Parts; ++i) {
    const float weight = exp2f(maxima[i] * Hooks::kExponent - base);
    value += values[i] * weight;
    sum += sums[i] * weight;
  }
}

/// The element of the result, with the sink as one more term of the denominator.
template <typename Config, typename T>
INGOT_DEVICE void store_decode_element(const AttentionArguments<T> &a, const DecodeItem &item,
                                       int head, int d, float value, float maximum, float sum) {
  using Hooks = AttentionHooks<Config>;
  const int queryHead = item.head * Config::kGroup + head;
  if constexpr (Config::kSinks) {
    const float sink = a.sinks[queryHead] * kLog2e, seen = maximum * Hooks::kExponent;
    const float base = fmaxf(seen, sink), scale = exp2f(seen - base);
    value *= scale;
    sum = sum * scale + exp2f(sink - base);
  }
  a.out[item.token * Config::kOutputStride + queryHead * Config::kWidth + d] =
      T(sum > 0 ? value / sum : 0.0f);
}

/// find_row by all lanes of a warp together.
INGOT_DEVICE i64 find_decode_row(const i32 *cu, i64 rows, i64 token) {
  i64 row = 0;
  for (i64 base = 0; base < rows; base += kWarp) {
    const i64 mine = base + threadIdx.x % kWarp;
    row += __popc(__ballot_sync(kAllLanes, mine < rows && cu[mine + 1] <= token));
  }
  return min_of<i64>(row, rows - 1);
}

/// Blocks of a cluster that share an item: as many as leave none without work, a power of two.
template <typename Config> INGOT_DEVICE int decode_share(int items) {
  int share = 1;
  while (share < Config::kCluster && items * share * 2 <= static_cast<int>(gridDim.x))
    share *= 2;
  return share;
}

template <typename Config, typename T>
INGOT_DEVICE void attention_decode(const AttentionArguments<T> &a) {
  using Traits = DecodeTraits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  ptx::allow_next_grid();
  ptx::wait_for_previous_grid();
  static_assert(Traits::kSharedBytes <= Config::kSharedBytes, "the launch gives the shared memory");
  float *sums = reinterpret_cast<float *>(shared_bytes);
  float *joined = sums + Traits::kWarps * Traits::kWarpFloats;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
  const int items = a.cu[a.rows] * Config::kKvHeads;
  const int share = decode_share<Config>(items);
  const int rank = static_cast<int>(ptx::cluster_rank());
  const int part = rank % share, leader = rank - part;
  const int teams = static_cast<int>(gridDim.x) / share;
  const int rounds = ceil_div(items, teams);
  for (int round = 0; round < rounds; ++round) {
    const int index = round * teams + static_cast<int>(blockIdx.x) / share;
    const bool present = index < items;
    DecodeItem item = {};
    if (present) {
      item.head = index % Config::kKvHeads;
      item.token = index / Config::kKvHeads;
      item.row = find_decode_row(a.cu, a.rows, item.token);
      const i64 past = max_of(a.past[item.row], 0), row = a.cu[item.row];
      item.query = static_cast<i32>(past + item.token - row);
      const i64 count = a.cu[item.row + 1] - row;
      i64 first, last;
      Hooks::range(item.query, item.query,
                   min_of<i64>(past + count, a.tableBlocks * Config::kBlock), first, last);
      item.first = static_cast<i32>(first);
      item.last = static_cast<i32>(last);
      const i32 *table = a.table + item.row * a.tableBlocks;
      // Heads are columns g of the second factor; those that the group lacks are zeros.
      DecodeQueries<Config, T> queries;
#pragma unroll
      for (int chunk = 0; chunk < 2 * Traits::kHalves; ++chunk)
        queries.parts[chunk] =
            g < Config::kGroup
                ? *reinterpret_cast<const uint4 *>(
                      a.q + item.token * Config::kQueryStride +
                      (item.head * Config::kGroup + g) * Config::kWidth + chunk * 32 + c * 8)
                : make_uint4(0, 0, 0, 0);
      float slopes[2] = {};
      if constexpr (Config::kAlibi)
#pragma unroll
        for (int column = 0; column < 2; ++column)
          if (2 * c + column < Config::kGroup)
            slopes[column] = a.slopes[item.head * Config::kGroup + 2 * c + column];
      DecodeState<Config, T> state;
      const i32 begin = item.first / Traits::kKeys, end = ceil_div(item.last, i32(Traits::kKeys));
      const int step = Traits::kWarps * share;
      i32 tile = begin + part * Traits::kWarps + warp;
      DecodeTile<Config, T> keys, values;
      if (tile < end)
        load_decode_keys<Config>(keys, a.k, table, item, tile * Traits::kKeys);
      for (; tile < end; tile += step) {
        load_decode_values<Config>(values, a.v, table, item, tile * Traits::kKeys);
        float scores[4];
        score_decode_keys<Config, T>(scores, queries, keys);
        if (tile + step < end)
          load_decode_keys<Config>(keys, a.k, table, item, (tile + step) * Traits::kKeys);
        add_decode_values<Config, T>(state, scores, values, item, slopes, tile * Traits::kKeys);
      }
      store_decode_state<Config, T>(state, sums + warp * Traits::kWarpFloats);
    }
    __syncthreads();
    if (present)
      for (int i = threadIdx.x; i < Config::kGroup * Config::kWidth; i += Config::kThreads) {
        const int head = i / Config::kWidth, d = i % Config::kWidth;
        float value, maximum, sum;
        join_decode<Config, Traits::kWarps>(
            Traits::kWarps, d,
            [&](int warp, int j) {
              return sums[warp * Traits::kWarpFloats + head * Traits::kRowFloats + j];
            },
            value, maximum, sum);
        if (share == 1) {
          store_decode_element<Config>(a, item, head, d, value, maximum, sum);
        } else {
          float *row = joined + head * Traits::kRowFloats;
          row[d] = value;
          if (d == 0) {
            row[Config::kWidth] = maximum;
            row[Config::kWidth + 1] = sum;
          }
        }
      }
    if (share > 1) {
      ptx::cluster_arrive_and_wait();
      const u32 place = ptx::shared_address(joined);
      if (present)
        for (int i = part * Config::kThreads + threadIdx.x; i < Config::kGroup * Config::kWidth;
             i += share * Config::kThreads) {
          const int head = i / Config::kWidth, d = i % Config::kWidth;
          float value, maximum, sum;
          join_decode<Config, Config::kCluster>(
              share, d,
              [&](int block, int j) {
                return ptx::load_from_block(ptx::map_to_block(place, leader + block) +
                                            (head * Traits::kRowFloats + j) * 4);
              },
              value, maximum, sum);
          store_decode_element<Config>(a, item, head, d, value, maximum, sum);
        }
      ptx::cluster_arrive_and_wait(); // Nobody goes on, or leaves, while it is read.
    } else {
      __syncthreads();
    }
  }
}

} // namespace ingot
