// attention.cuh - Attention by tiles of queries and keys, with a running softmax.
//
// The query heads of a key/value head are rows of one tile: row r of a tile is token r / kGroup,
// head r % kGroup. So keys and values are read once for the whole group, and a decode step (one
// token, a group of heads) is the same code as a prefill. A warp has 16 or 32 rows; scores and
// probabilities stay in registers. Keys and values come through two shared-memory stages, rows
// padded by 16 bytes so that ldmatrix meets every bank once.
//
// A block takes work items in turn: (row of the batch, key/value head, tile of queries), the
// longest first. When there are more blocks than items, the blocks of a cluster (sm_90) split the
// keys of an item and merge through distributed shared memory.
//
// Constants of a stub:
//   kKeys (of a tile), kRowTiles (16 rows each, of a warp), kWidth (D), kChunkBytes (what rows of
//   heads start at multiples of, at most 16), kGroup, kKvHeads, kBatchMost, kScale, kCausal,
//   kWindow (0: none), kSoftcap (0: none), kQueryStride, kKeyStride, kValueStride, kOutputStride,
//   kPaged, kBlock, kBlocks, kCluster, kAlibi, kAlibiBeforeScale, kSinks
#pragma once

#include "codegen/cuda/kernels/attention_hooks.cuh"
#include "codegen/cuda/kernels/paged.cuh"
#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/cluster.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/grid.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

/// What the kernel is called with. Packed: token t of row b is at cu[b] + t. Otherwise row b starts
/// at b * tokens (a padded batch without padding).
template <typename T> struct AttentionArguments {
  const T *q, *k, *v;
  T *out;
  const i32 *cu;       // [rows + 1], or null
  const i32 *table;    // [rows, tableBlocks] (paged)
  const i32 *past;     // [rows] (paged)
  const float *slopes; // [heads] (alibi)
  const float *sinks;  // [heads]
  i64 rows, tokens, tableBlocks;
};

template <typename Config, typename T> struct AttentionTraits {
  static constexpr int kWarps = Config::kThreads / kWarp;
  static constexpr int kWarpRows = 16 * Config::kRowTiles;
  static constexpr int kRows = kWarps * kWarpRows; // of a tile of queries
  static constexpr int kKeys = Config::kKeys;      // of a tile of keys
  /// The width in shared memory and registers: what a head lacks of it are zeros.
  static constexpr int kPadded = (Config::kWidth + 15) / 16 * 16;
  /// An odd number of 16-byte chunks.
  static constexpr int kPitch = kPadded * sizeof(T) + 16;
  static constexpr int kQueryBytes = kRows * kPitch;
  static constexpr int kTileBytes = kKeys * kPitch;
  /// What a block of a cluster hands over in place of the tiles: accumulators, maxima and sums of
  /// its rows.
  static constexpr int kMergeBytes = kRows * (kPadded + 2) * 4;
  static constexpr int kTilesBytes = kQueryBytes + 4 * kTileBytes;
  static constexpr int kSharedBytes = kTilesBytes > kMergeBytes ? kTilesBytes : kMergeBytes;
  static_assert(Config::kWidth >= 1 && Config::kWidth <= 256, "a head is 1 to 256 elements wide");
  static_assert(Config::kScale > 0, "the largest score is that of the largest product");
  static_assert(kKeys % 16 == 0, "a step of products with 16-bit values takes 16 keys");
};

/// One work item.
struct AttentionItem {
  i64 row, firstToken, tokens; // of the batch; in the packed tokens; of the row
  i64 past;                    // tokens in the cache before these
  int head, tile;
};

/// Tokens of row `b` and where they start.
template <typename T>
INGOT_DEVICE void attention_row(const AttentionArguments<T> &a, i64 b, i64 &first, i64 &count) {
  if (a.cu) {
    first = a.cu[b];
    count = a.cu[b + 1] - first;
  } else {
    first = b * a.tokens;
    count = a.tokens;
  }
}

template <typename Config, typename T>
INGOT_DEVICE const T *attention_key_row(const T *base, const AttentionArguments<T> &a,
                                        const AttentionItem &item, i64 key, int stride) {
  if constexpr (Config::kPaged)
    return paged_slot<Config::kBlocks, Config::kKvHeads, Config::kBlock, Config::kWidth>(
        base, a.table + item.row * a.tableBlocks, key, item.head);
  else
    return base + (item.firstToken + key) * stride + item.head * Config::kWidth;
}

/// Copies chunk `chunk` of a head's row; what is not `valid` and what the head lacks are zeros.
template <typename Config, typename T>
INGOT_DEVICE void copy_head_chunk(u32 shared, const T *row, int chunk, bool valid) {
  constexpr int kElements = Config::kChunkBytes / sizeof(T);
  valid = valid && chunk * kElements < Config::kWidth;
  ptx::copy_async<Config::kChunkBytes>(shared + chunk * Config::kChunkBytes,
                                       valid ? row + chunk * kElements : row, valid);
}

/// Copies keys [first, first + kKeys) to shared memory; those past `keys` are zeros.
template <typename Config, typename T>
INGOT_DEVICE void load_keys(u32 shared, const T *base, const AttentionArguments<T> &a,
                            const AttentionItem &item, i64 first, i64 keys, int stride) {
  using Traits = AttentionTraits<Config, T>;
  constexpr int kChunks = Traits::kPadded * sizeof(T) / Config::kChunkBytes;
  for (int i = threadIdx.x; i < Traits::kKeys * kChunks; i += Config::kThreads) {
    const int r = i / kChunks, chunk = i % kChunks;
    const bool valid = first + r < keys;
    const T *row = valid ? attention_key_row<Config>(base, a, item, first + r, stride) : base;
    copy_head_chunk<Config>(shared + r * Traits::kPitch, row, chunk, valid);
  }
}

/// The running softmax of a warp's rows: of each 16, two rows a lane.
template <typename Config, typename T> struct AttentionState {
  static constexpr int kColumns8 = AttentionTraits<Config, T>::kPadded / 8;
  float out[Config::kRowTiles][kColumns8][4];
  float maximum[Config::kRowTiles][2], sum[Config::kRowTiles][2];
};

/// The probabilities of 16 bytes of keys as an A fragment.
template <typename T>
INGOT_DEVICE void probability_fragment(FragmentA<T> &a, const float (&low)[4],
                                       const float (&high)[4]) {
  const u32 raw[4] = {pack_pair<T>(low[0], low[1]), pack_pair<T>(low[2], low[3]),
                      pack_pair<T>(high[0], high[1]), pack_pair<T>(high[2], high[3])};
  a.set(raw);
}

/// out += probabilities x values, 16-bit: values are read transposed.
template <typename Config, typename T, int Tiles>
INGOT_DEVICE void add_values(AttentionState<Config, T> &state,
                             const float (&p)[Config::kRowTiles][Tiles][4], u32 values,
                             const unsigned char *) {
  using Traits = AttentionTraits<Config, T>;
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int step = 0; step < Traits::kKeys / 16; ++step) {
    FragmentA<T> a[Config::kRowTiles];
#pragma unroll
    for (int t = 0; t < Config::kRowTiles; ++t)
      probability_fragment<T>(a[t], p[t][step * 2], p[t][step * 2 + 1]);
#pragma unroll
    for (int column = 0; column < Traits::kPadded / 16; ++column) {
      u32 raw[4];
      ptx::load_matrices_transposed(raw, values + (step * 16 + lane % 16) * Traits::kPitch +
                                             column * 32 + lane / 16 * 16);
      FragmentB<T> first, second;
      first.set(raw[0], raw[1]);
      second.set(raw[2], raw[3]);
#pragma unroll
      for (int t = 0; t < Config::kRowTiles; ++t) {
        multiply(state.out[t][column * 2], a[t], first);
        multiply(state.out[t][column * 2 + 1], a[t], second);
      }
    }
  }
}
/// … in f32: lane c of a quad has probabilities of keys 2c and 2c + 1, which are columns c and c +
/// 4 of A, so B takes its rows in the same order.
template <typename Config, int Tiles>
INGOT_DEVICE void add_values(AttentionState<Config, float> &state,
                             const float (&p)[Config::kRowTiles][Tiles][4], u32,
                             const unsigned char *values) {
  using Traits = AttentionTraits<Config, float>;
  const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
#pragma unroll
  for (int step = 0; step < Traits::kKeys / 8; ++step) {
    FragmentA<float> a[Config::kRowTiles];
#pragma unroll
    for (int t = 0; t < Config::kRowTiles; ++t) {
      const u32 raw[4] = {__float_as_uint(p[t][step][0]), __float_as_uint(p[t][step][2]),
                          __float_as_uint(p[t][step][1]), __float_as_uint(p[t][step][3])};
      a[t].set(raw);
    }
    const unsigned char *row = values + (step * 8 + 2 * c) * Traits::kPitch + g * 4;
#pragma unroll
    for (int column = 0; column < Traits::kPadded / 8; ++column) {
      FragmentB<float> b;
      b.set(*reinterpret_cast<const u32 *>(row + column * 32),
            *reinterpret_cast<const u32 *>(row + Traits::kPitch + column * 32));
#pragma unroll
      for (int t = 0; t < Config::kRowTiles; ++t)
        multiply(state.out[t][column], a[t], b);
    }
  }
}

/// scores = queries x keys of a tile.
template <typename Config, typename T, int Tiles>
INGOT_DEVICE void score_keys(float (&scores)[Config::kRowTiles][Tiles][4], u32 queries, u32 keys) {
  using Traits = AttentionTraits<Config, T>;
  const int lane = threadIdx.x % kWarp;
#pragma unroll
  for (int step = 0; step < Traits::kPadded / kStepK<T>; ++step) {
    u32 raw[4];
    FragmentA<T> q[Config::kRowTiles];
#pragma unroll
    for (int t = 0; t < Config::kRowTiles; ++t) {
      ptx::load_matrices(raw, queries + (t * 16 + lane % 16) * Traits::kPitch + step * 32 +
                                  lane / 16 * 16);
      q[t].set(raw);
    }
#pragma unroll
    for (int j = 0; j < Tiles; j += 2) {
      ptx::load_matrices(raw, keys + (j * 8 + lane % 8 + lane / 16 * 8) * Traits::kPitch +
                                  step * 32 + lane / 8 % 2 * 16);
      FragmentB<T> first, second;
      first.set(raw[0], raw[1]);
      second.set(raw[2], raw[3]);
#pragma unroll
      for (int t = 0; t < Config::kRowTiles; ++t) {
        multiply(scores[t][j], q[t], first);
        multiply(scores[t][j + 1], q[t], second);
      }
    }
  }
}

/// Scores become probabilities relative to the new maxima; what is summed up so far follows.
template <typename Config, typename T, int Tiles>
INGOT_DEVICE void update_softmax(AttentionState<Config, T> &state,
                                 float (&scores)[Config::kRowTiles][Tiles][4]) {
  using Hooks = AttentionHooks<Config>;
  using Traits = AttentionTraits<Config, T>;
#pragma unroll
  for (int t = 0; t < Config::kRowTiles; ++t)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float maximum = state.maximum[t][half];
#pragma unroll
      for (int j = 0; j < Tiles; ++j)
        maximum = fmaxf(maximum, fmaxf(scores[t][j][half * 2], scores[t][j][half * 2 + 1]));
      maximum = fmaxf(maximum, __shfl_xor_sync(kAllLanes, maximum, 1));
      maximum = fmaxf(maximum, __shfl_xor_sync(kAllLanes, maximum, 2));
      // A row that has seen nothing yet keeps its zeros.
      const float base = (maximum == nothing() ? 0.0f : maximum) * Hooks::kExponent;
      const float correction = ptx::exp2_fast(state.maximum[t][half] * Hooks::kExponent - base);
      float sum = 0;
#pragma unroll
      for (int j = 0; j < Tiles; ++j)
#pragma unroll
        for (int e = 0; e < 2; ++e) {
          float &score = scores[t][j][half * 2 + e];
          score = exponential<T>(score * Hooks::kExponent - base);
          sum += score;
        }
      state.sum[t][half] = state.sum[t][half] * correction + sum;
      state.maximum[t][half] = maximum;
#pragma unroll
      for (int column = 0; column < Traits::kPadded / 8; ++column) {
        state.out[t][column][half * 2] *= correction;
        state.out[t][column][half * 2 + 1] *= correction;
      }
    }
}

/// All keys [first, last) of an item for this warp's rows.
template <typename Config, typename T>
INGOT_DEVICE void attend(AttentionState<Config, T> &state, const AttentionArguments<T> &a,
                         const AttentionItem &item, i64 first, i64 last, i64 keys,
                         unsigned char *shared) {
  using Traits = AttentionTraits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  constexpr int kTiles8 = Traits::kKeys / 8;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int g = lane / 4, c = lane % 4;
  const u32 queries = ptx::shared_address(shared);
  const u32 stages = queries + Traits::kQueryBytes;
  const int tiles = last > first ? static_cast<int>(ceil_div<i64>(last - first, Traits::kKeys)) : 0;

  i32 position[Config::kRowTiles][2];
  float slope[Config::kRowTiles][2] = {};
  // Positions of the warp's rows, for tiles that need no mask; a warp without rows only copies.
  const int firstRow = item.tile * Traits::kRows + warp * Traits::kWarpRows;
  const bool active = firstRow < item.tokens * Config::kGroup;
  const i32 lowest = static_cast<i32>(item.past) + firstRow / Config::kGroup;
  const i32 highest =
      static_cast<i32>(item.past) + (firstRow + Traits::kWarpRows - 1) / Config::kGroup;
#pragma unroll
  for (int t = 0; t < Config::kRowTiles; ++t)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = firstRow + t * 16 + half * 8 + g;
      position[t][half] = static_cast<i32>(item.past) + r / Config::kGroup;
      if constexpr (Config::kAlibi)
        slope[t][half] = a.slopes[item.head * Config::kGroup + r % Config::kGroup];
    }
  auto load = [&](int tile) {
    if (tile < tiles) {
      const u32 stage = stages + tile % 2 * 2 * Traits::kTileBytes;
      const i64 key = first + static_cast<i64>(tile) * Traits::kKeys;
      load_keys<Config>(stage, a.k, a, item, key, last, Config::kKeyStride);
      load_keys<Config>(stage + Traits::kTileBytes, a.v, a, item, key, last, Config::kValueStride);
    }
    ptx::commit_copies();
  };
  load(0);
  for (int tile = 0; tile < tiles; ++tile) {
    load(tile + 1);
    ptx::wait_copies<1>();
    __syncthreads();
    const u32 stage = stages + tile % 2 * 2 * Traits::kTileBytes;
    if (active) {
      float scores[Config::kRowTiles][kTiles8][4] = {};
      score_keys<Config, T>(scores, queries + warp * Traits::kWarpRows * Traits::kPitch, stage);
      const i32 firstKey = static_cast<i32>(first) + tile * Traits::kKeys;
      const i32 lastKey = static_cast<i32>(last);
      const bool masked =
          !Hooks::allVisible(lowest, highest, firstKey, firstKey + Traits::kKeys, lastKey);
      if (masked || !Hooks::kPlain) {
#pragma unroll
        for (int t = 0; t < Config::kRowTiles; ++t)
#pragma unroll
          for (int j = 0; j < kTiles8; ++j)
#pragma unroll
            for (int e = 0; e < 4; ++e) {
              float &score = scores[t][j][e];
              const i32 key = firstKey + j * 8 + 2 * c + e % 2;
              score = Hooks::visible(position[t][e / 2], key, lastKey)
                          ? Hooks::template transform<T>(score, slope[t][e / 2], position[t][e / 2],
                                                         key)
                          : nothing();
            }
      }
      update_softmax<Config, T>(state, scores);
      add_values(state, scores, stage + Traits::kTileBytes,
                 shared + Traits::kQueryBytes + tile % 2 * 2 * Traits::kTileBytes +
                     Traits::kTileBytes);
    }
    __syncthreads();
  }
  ptx::wait_copies<0>();
}

/// The elements of an item, each made by one thread of the cluster out of what all its blocks have.
template <typename Config, typename T>
INGOT_DEVICE void merge_cluster(const AttentionArguments<T> &a, const AttentionItem &item,
                                u32 shared) {
  using Traits = AttentionTraits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  constexpr int kRowBytes = (Traits::kPadded + 2) * 4;
  const int firstRow = item.tile * Traits::kRows;
  const int rows =
      static_cast<int>(min_of<i64>(Traits::kRows, item.tokens * Config::kGroup - firstRow));
  for (int i = static_cast<int>(ptx::cluster_rank()) * Config::kThreads + threadIdx.x;
       i < rows * Config::kWidth; i += Config::kCluster * Config::kThreads) {
    const int r = i / Config::kWidth, d = i % Config::kWidth;
    float maxima[Config::kCluster], sums[Config::kCluster], values[Config::kCluster];
#pragma unroll
    for (int block = 0; block < Config::kCluster; ++block) {
      const u32 row = ptx::map_to_block(shared, block) + r * kRowBytes;
      maxima[block] = ptx::load_from_block(row + Traits::kPadded * 4);
      sums[block] = ptx::load_from_block(row + Traits::kPadded * 4 + 4);
      values[block] = ptx::load_from_block(row + d * 4);
    }
    float maximum = nothing(), sum = 0, value = 0;
#pragma unroll
    for (int block = 0; block < Config::kCluster; ++block)
      maximum = fmaxf(maximum, maxima[block]);
    const int head = item.head * Config::kGroup + (firstRow + r) % Config::kGroup;
    float base = (maximum == nothing() ? 0.0f : maximum) * Hooks::kExponent;
    if constexpr (Config::kSinks) {
      const float sink = a.sinks[head] * kLog2e;
      base = maximum == nothing() ? sink : fmaxf(base, sink);
      sum = exp2f(sink - base);
    }
#pragma unroll
    for (int block = 0; block < Config::kCluster; ++block) {
      const float weight = exp2f(maxima[block] * Hooks::kExponent - base);
      sum += sums[block] * weight;
      value += values[block] * weight;
    }
    const i64 token = item.firstToken + (firstRow + r) / Config::kGroup;
    a.out[token * Config::kOutputStride + head * Config::kWidth + d] =
        T(sum > 0 ? value / sum : 0.0f);
  }
}

/// Sums over the quad, joins the blocks of a cluster, and stores the rows.
template <typename Config, typename T>
INGOT_DEVICE void finish_attention(AttentionState<Config, T> &state, const AttentionArguments<T> &a,
                                   const AttentionItem &item, bool split, unsigned char *shared) {
  using Traits = AttentionTraits<Config, T>;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int g = lane / 4, c = lane % 4;
#pragma unroll
  for (int t = 0; t < Config::kRowTiles; ++t)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      state.sum[t][half] += __shfl_xor_sync(kAllLanes, state.sum[t][half], 1);
      state.sum[t][half] += __shfl_xor_sync(kAllLanes, state.sum[t][half], 2);
    }
  if constexpr (Config::kCluster > 1) {
    if (split) {
      // Every block leaves its rows in its shared memory; the first one reads them in order.
      float *rows = reinterpret_cast<float *>(shared);
      __syncthreads();
#pragma unroll
      for (int t = 0; t < Config::kRowTiles; ++t)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          float *mine =
              rows + (warp * Traits::kWarpRows + t * 16 + half * 8 + g) * (Traits::kPadded + 2);
          if (c == 0) {
            mine[Traits::kPadded] = state.maximum[t][half];
            mine[Traits::kPadded + 1] = state.sum[t][half];
          }
#pragma unroll
          for (int column = 0; column < Traits::kPadded / 8; ++column) {
            mine[column * 8 + 2 * c] = state.out[t][column][half * 2];
            mine[column * 8 + 2 * c + 1] = state.out[t][column][half * 2 + 1];
          }
        }
      ptx::cluster_arrive_and_wait();
      merge_cluster<Config, T>(a, item, ptx::shared_address(shared));
      ptx::cluster_arrive_and_wait(); // Nobody leaves while it is read.
      return;
    }
  }
#pragma unroll
  for (int t = 0; t < Config::kRowTiles; ++t)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = item.tile * Traits::kRows + warp * Traits::kWarpRows + t * 16 + half * 8 + g;
      const i64 token = r / Config::kGroup;
      const int head = item.head * Config::kGroup + r % Config::kGroup;
      if (token >= item.tokens)
        continue;
      float sum = state.sum[t][half], scale = 1;
      if constexpr (Config::kSinks) {
        // One more logit in the denominator.
        const float sink = a.sinks[head] * kLog2e;
        const float seen = state.maximum[t][half] * AttentionHooks<Config>::kExponent;
        const float maximum = fmaxf(seen, sink);
        scale = exp2f(seen - maximum);
        sum = sum * scale + exp2f(sink - maximum);
      }
      scale = sum > 0 ? scale / sum : 0;
      T *row = a.out + (item.firstToken + token) * Config::kOutputStride + head * Config::kWidth;
#pragma unroll
      for (int column = 0; column < Traits::kPadded / 8; ++column) {
        const int d = column * 8 + 2 * c;
        Pack<T, 2> pair;
        pair[0] = T(state.out[t][column][half * 2] * scale);
        pair[1] = T(state.out[t][column][half * 2 + 1] * scale);
        if constexpr (Config::kWidth % 2 == 0) {
          if (d < Config::kWidth)
            store_pack(row + d, pair);
        } else {
          if (d < Config::kWidth)
            row[d] = pair[0];
          if (d + 1 < Config::kWidth)
            row[d + 1] = pair[1];
        }
      }
    }
}

template <typename Config, typename T> INGOT_DEVICE void attention(const AttentionArguments<T> &a) {
  using Traits = AttentionTraits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  __shared__ i32 tilesBefore[Config::kBatchMost + 1];
  static_assert(Traits::kSharedBytes <= Config::kSharedBytes,
                "the launch gives the shared memory that the tiles take");
  ptx::allow_next_grid();
  ptx::wait_for_previous_grid();
  // Where the query tiles of each row start in the list of work.
  if (threadIdx.x == 0) {
    i32 total = 0;
    for (i64 b = 0; b < a.rows; ++b) {
      i64 first, count;
      attention_row(a, b, first, count);
      tilesBefore[b] = total;
      total += static_cast<i32>(ceil_div<i64>(count * Config::kGroup, Traits::kRows));
    }
    tilesBefore[a.rows] = total;
  }
  __syncthreads();
  const int items = tilesBefore[a.rows] * Config::kKvHeads;
  // A cluster an item if that leaves no block waiting.
  const bool split = Config::kCluster > 1 && items * 2 <= static_cast<int>(gridDim.x);
  const int step = split ? gridDim.x / Config::kCluster : gridDim.x;
  const int start = split ? blockIdx.x / Config::kCluster : blockIdx.x;
  for (int i = start; i < items; i += step) {
    AttentionItem item;
    item.head = i % Config::kKvHeads;
    // Later tiles of a causal row have more keys: last first.
    const int tile =
        Config::kCausal ? tilesBefore[a.rows] - 1 - i / Config::kKvHeads : i / Config::kKvHeads;
    int low = 0, high = static_cast<int>(a.rows);
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (tilesBefore[middle] <= tile)
        low = middle;
      else
        high = middle;
    }
    item.row = low;
    item.tile = tile - tilesBefore[low];
    attention_row(a, item.row, item.firstToken, item.tokens);
    item.past = Config::kPaged ? max_of(a.past[item.row], 0) : 0;
    i64 keys = item.past + item.tokens;
    if constexpr (Config::kPaged)
      keys = min_of<i64>(keys, a.tableBlocks * Config::kBlock);

    // Queries to shared memory.
    const u32 queries = ptx::shared_address(shared_bytes);
    constexpr int kChunks = Traits::kPadded * sizeof(T) / Config::kChunkBytes;
    for (int chunk = threadIdx.x; chunk < Traits::kRows * kChunks; chunk += Config::kThreads) {
      const int r = chunk / kChunks, offset = chunk % kChunks;
      const int row = item.tile * Traits::kRows + r;
      const i64 token = row / Config::kGroup;
      const bool valid = token < item.tokens;
      const T *from = a.q;
      if (valid)
        from += (item.firstToken + token) * Config::kQueryStride +
                (item.head * Config::kGroup + row % Config::kGroup) * Config::kWidth;
      copy_head_chunk<Config>(queries + r * Traits::kPitch, from, offset, valid);
    }
    ptx::commit_copies();

    const i64 lowest = item.past + static_cast<i64>(item.tile) * Traits::kRows / Config::kGroup;
    const i64 highest = min_of<i64>(
        item.past + item.tokens - 1,
        item.past + (static_cast<i64>(item.tile + 1) * Traits::kRows - 1) / Config::kGroup);
    i64 first, last;
    Hooks::range(lowest, highest, keys, first, last);
    if (split) {
      // Whole tiles of keys for each block of the cluster.
      const i64 tiles = ceil_div<i64>(max_of<i64>(last - first, 0), Traits::kKeys);
      const i64 share = ceil_div<i64>(tiles, Config::kCluster) * Traits::kKeys;
      first += share * static_cast<i64>(ptx::cluster_rank());
      last = min_of<i64>(last, first + share);
    }
    AttentionState<Config, T> state = {};
#pragma unroll
    for (int t = 0; t < Config::kRowTiles; ++t)
      state.maximum[t][0] = state.maximum[t][1] = nothing();
    attend<Config, T>(state, a, item, first, last, keys, shared_bytes);
    finish_attention<Config, T>(state, a, item, split, shared_bytes);
    __syncthreads(); // The queries' place is free.
  }
}

} // namespace ingot
