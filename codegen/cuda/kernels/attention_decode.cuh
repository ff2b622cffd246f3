// attention_decode.cuh - Attention of few tokens over a paged cache: as fast as keys and values can
// be read.
//
// A work item is one token and one key/value head with its group of query heads, eight of them or
// fewer: of larger groups a tile (those of one key/value head are neighbours, and find it in L2).
// Each warp takes 16 keys at a time, straight into registers, while those before are multiplied:
// keys and values are rows of a matrix instruction, the query heads its eight columns. Scores are
// keys x heads, so that probabilities, transposed in registers, are what the values are multiplied
// with. Every warp has a softmax of its own; a block joins those of its warps, and blocks of a
// cluster that share an item, no more than have keys, give each other theirs through distributed
// shared memory, to be joined always in one order (decode_join.cuh).
//
// The order of elements within a row of a head doesn't matter as long as both factors agree: a lane
// takes 8 neighbouring ones (16 bytes). Where a row ends within what the lanes take together, the
// others have zeros and read nothing.
//
// Keys and values of this step may be no part of the cache yet (kAppend, decode_append.cuh): warps
// that have no more tiles take them one by one from the projections, and rotate them, as they do
// the queries. The warp that takes a token's own key for that token's (first) tile of heads is the
// one that stores it; nobody reads it from the cache in this launch, so no block waits for
// another's.
//
// Where rows, lengths, the block table and the cache have been written before any grid in flight
// (kReadsEarly, grid.cuh), a block's first keys and values are on their way before it waits for the
// grid in front, which makes queries and new keys.
//
// Constants of a stub: as in attention.cuh, kPaged, kWidth a multiple of 8; kReadsEarly; those of
// decode_append.cuh.
#pragma once

#include "codegen/cuda/kernels/attention.cuh"
#include "codegen/cuda/kernels/decode_append.cuh"
#include "codegen/cuda/kernels/decode_join.cuh"
#include "codegen/cuda/ptx/load.cuh"

namespace ingot {

/// Keys or values of a warp's 16 keys: 16 bytes a lane and part.
template <typename Config, typename T> struct DecodeKeys {
  uint4 parts[2 * DecodeTraits<Config, T>::kChunks];
};
template <typename Config, typename T> struct DecodeValues {
  uint4 parts[4 * DecodeTraits<Config, T>::kHalves];
};

/// The row of the cache that key `first + lane % 16` of an item is, -1 if the item doesn't have it.
template <typename Config>
INGOT_DEVICE i32 find_decode_key(const i32 *table, const DecodeItem &item, i32 first) {
  const i32 key = first + static_cast<i32>(threadIdx.x % 16);
  if (key < item.first || key >= item.last)
    return -1;
  return static_cast<i32>(
      paged_row<Config::kBlocks, Config::kKvHeads, Config::kBlock>(table, key, item.head));
}

/// Elements [element, element + 8) of a row of the cache, zeros if there is none. No branch, so
/// that all loads of a tile are on their way together.
template <typename Config, int Part, typename T>
INGOT_DEVICE uint4 decode_load(const T *base, i32 row, int element) {
  return ptx::load_stream_if(base + i64(row) * Config::kWidth + element,
                             row >= 0 && has_elements<Config, Part>(element));
}

/// Keys g and g + 8 of a tile whose rows lanes have, 32 elements of K a part pair.
template <typename Config, typename T>
INGOT_DEVICE void load_decode_keys(DecodeKeys<Config, T> &tile, const T *base, i32 found) {
  const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const i32 row = __shfl_sync(kAllLanes, found, half * 8 + g);
#pragma unroll
    for (int chunk = 0; chunk < DecodeTraits<Config, T>::kChunks; ++chunk)
      tile.parts[chunk * 2 + half] = decode_load<Config, 32>(base, row, chunk * 32 + c * 8);
  }
}
/// Keys 2c, 2c + 1, 2c + 8, 2c + 9, of each 64 elements the 8 at 8g.
template <typename Config, typename T>
INGOT_DEVICE void load_decode_values(DecodeValues<Config, T> &tile, const T *base, i32 found) {
  const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
#pragma unroll
  for (int key = 0; key < 4; ++key) {
    const i32 row = __shfl_sync(kAllLanes, found, 2 * c + key % 2 + key / 2 * 8);
#pragma unroll
    for (int half = 0; half < DecodeTraits<Config, T>::kHalves; ++half)
      tile.parts[half * 4 + key] = decode_load<Config, 64>(base, row, half * 64 + g * 8);
  }
}

/// Has key `key` of an item, which is no part of the cache yet, and its value copied to `stage`, a
/// warp's part of shared memory, as they are projected.
template <typename Config, typename T>
INGOT_DEVICE void fetch_new_key(const DecodeAppend<T> &append, const DecodeItem &item, i32 key,
                                u32 stage) {
  const int d = threadIdx.x % kWarp * 8, head = item.head * Config::kWidth;
  const i64 token = i64(item.rowStart) + (key - item.stored);
  if (d < Config::kWidth) {
    ptx::copy_async<16>(stage + d * int(sizeof(T)),
                        append.k + token * Config::kNewKeyStride + head + d, true);
    ptx::copy_async<16>(stage + (Config::kWidth + d) * int(sizeof(T)),
                        append.v + token * Config::kNewValueStride + head + d, true);
  }
  ptx::commit_copies();
}

/// Rotates the key in `stage`; that of the item's own token goes into the cache, with its value.
template <typename Config, typename T>
INGOT_DEVICE void place_new_key(const AttentionArguments<T> &a, const DecodeAppend<T> &append,
                                const DecodeItem &item, i32 key, u32 stage) {
  using Pack8 = Pack<T, 8>;
  const int d = threadIdx.x % kWarp * 8;
  const i64 token = i64(item.rowStart) + (key - item.stored);
  ptx::wait_copies<0>();
  __syncwarp();
  uint4 rotated = {};
  if (d < Config::kWidth)
    rotated = rotated_8<Config>(
        append, [&](int e) { return ptx::load_shared_16(stage + e * int(sizeof(T))); }, token, d);
  __syncwarp(); // All have read what it is in a pair with.
  if (d >= Config::kWidth)
    return;
  ptx::store_shared_16(stage + d * int(sizeof(T)), rotated);
  if (item.stores && key == item.query) {
    const i64 place = paged_row<Config::kBlocks, Config::kKvHeads, Config::kBlock>(
                          a.table + i64(item.row) * a.tableBlocks, key, item.head) *
                          Config::kWidth +
                      d;
    const uint4 value = ptx::load_shared_16(stage + (Config::kWidth + d) * int(sizeof(T)));
    store_pack(append.keys + place, __builtin_bit_cast(Pack8, rotated));
    store_pack(append.values + place, __builtin_bit_cast(Pack8, value));
  }
}

/// What lies in `stage` as the first key of a tile that has no others.
template <typename Config, typename T>
INGOT_DEVICE void take_new_key(DecodeKeys<Config, T> &keys, DecodeValues<Config, T> &values,
                               u32 stage) {
  using Traits = DecodeTraits<Config, T>;
  const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
  const uint4 none = make_uint4(0, 0, 0, 0);
#pragma unroll
  for (int chunk = 0; chunk < Traits::kChunks; ++chunk) {
    const int d = chunk * 32 + c * 8;
    keys.parts[chunk * 2] = g == 0 && has_elements<Config, 32>(d)
                                ? ptx::load_shared_16(stage + d * int(sizeof(T)))
                                : none;
    keys.parts[chunk * 2 + 1] = none;
  }
#pragma unroll
  for (int half = 0; half < Traits::kHalves; ++half) {
    const int d = half * 64 + g * 8;
    values.parts[half * 4] =
        c == 0 && has_elements<Config, 64>(d)
            ? ptx::load_shared_16(stage + (Config::kWidth + d) * int(sizeof(T)))
            : none;
#pragma unroll
    for (int key = 1; key < 4; ++key)
      values.parts[half * 4 + key] = none;
  }
}

/// Word `i` of 16 bytes.
INGOT_DEVICE u32 word_of(const uint4 &value, int i) {
  return i == 0 ? value.x : i == 1 ? value.y : i == 2 ? value.z : value.w;
}

/// The queries of an item as a second factor, a part for 32 elements: heads are columns g, those
/// that the item lacks are zeros.
template <typename Config, typename T, bool Shared = DecodeTraits<Config, T>::kSharedQueries>
struct DecodeQueries {
  static constexpr int kChunks = DecodeTraits<Config, T>::kChunks;
  uint4 parts[kChunks];
  u32 mine;

  /// Where they are kept if that is in shared memory: kQueryBytes.
  INGOT_DEVICE void place(unsigned char *shared) {
    mine = ptx::shared_address(shared) + threadIdx.x * 16;
  }
  /// The head whose elements this lane has.
  static INGOT_DEVICE const T *find(const AttentionArguments<T> &a, const DecodeItem &item) {
    return a.q + i64(item.token) * Config::kQueryStride +
           (item.firstQueryHead + static_cast<int>(threadIdx.x) % kWarp / 4) * Config::kWidth;
  }
  INGOT_DEVICE void load(const AttentionArguments<T> &a, const DecodeAppend<T> &append,
                         const DecodeItem &item, unsigned char *shared) {
    place(shared);
    const T *head = find(a, item);
    if constexpr (rotates<Config>()) {
      rotate(append, item, head);
    } else {
      copy(a, item, head);
    }
  }
  /// The lane's parts, as they are multiplied.
  INGOT_DEVICE void take(const uint4 (&chunks)[kChunks]) {
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk)
      if constexpr (Shared)
        ptx::store_shared_16(mine + chunk * Config::kThreads * 16, chunks[chunk]);
      else
        parts[chunk] = chunks[chunk];
  }
  INGOT_DEVICE void wait() const {
    if constexpr (Shared)
      ptx::wait_copies<0>();
  }
  INGOT_DEVICE uint4 part(int chunk) const {
    if constexpr (Shared)
      return ptx::load_shared_16(mine + chunk * Config::kThreads * 16);
    else
      return parts[chunk];
  }

private:
  INGOT_DEVICE void copy(const AttentionArguments<T> &a, const DecodeItem &item, const T *head) {
    const int g = threadIdx.x % kWarp / 4, c = threadIdx.x % 4;
    const T *row = head + c * 8;
#pragma unroll
    for (int chunk = 0; chunk < kChunks; ++chunk) {
      const bool valid = g < item.queryHeads && has_elements<Config, 32>(chunk * 32 + c * 8);
      if constexpr (Shared)
        ptx::copy_async<16>(mine + chunk * Config::kThreads * 16, valid ? row + chunk * 32 : a.q,
                            valid);
      else
        parts[chunk] = valid ? DecodeRead()(row + chunk * 32) : make_uint4(0, 0, 0, 0);
    }
    if constexpr (Shared)
      ptx::commit_copies();
  }
  INGOT_DEVICE void rotate(const DecodeAppend<T> &append, const DecodeItem &item, const T *head) {
    const int g = threadIdx.x % kWarp / 4, c = threadIdx.x % 4;
    uint4 rotated[kChunks] = {};
    if (g < item.queryHeads)
      rotated_chunks<Config>(rotated, append, head, item.token, c * 8, DecodeRead());
    take(rotated);
  }
};

template <typename Config, typename T, bool Shared>
INGOT_DEVICE void score_decode_keys(float (&scores)[4],
                                    const DecodeQueries<Config, T, Shared> &queries,
                                    const DecodeKeys<Config, T> &keys) {
  using Traits = DecodeTraits<Config, T>;
#pragma unroll
  for (int e = 0; e < 4; ++e)
    scores[e] = 0;
#pragma unroll
  for (int chunk = 0; chunk < Traits::kChunks; ++chunk) {
    const uint4 &low = keys.parts[chunk * 2], &high = keys.parts[chunk * 2 + 1];
    const uint4 query = queries.part(chunk);
    const u32 a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {query.x, query.y};
    const u32 a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {query.z, query.w};
    ptx::mma_16x8x16<T>(scores, a0, b0);
    ptx::mma_16x8x16<T>(scores, a1, b1);
  }
}

/// Scores of the tile at `first` become probabilities, and values are added by them.
template <typename Config, typename T>
INGOT_DEVICE void add_decode_values(DecodeState<Config, T> &state, float (&scores)[4],
                                    const DecodeValues<Config, T> &values, const DecodeItem &item,
                                    const float (&slopes)[2], i32 first) {
  using Traits = DecodeTraits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  const int g = threadIdx.x % kWarp / 4;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    const i32 key = first + e / 2 * 8 + g;
    scores[e] = key >= item.first && key < item.last
                    ? Hooks::template transform<T>(scores[e], slopes[e % 2], item.query, key)
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

/// The item `index` of all; a row is found in `rows`, its tokens and what it has in the cache.
template <typename Config, typename T>
INGOT_DEVICE DecodeItem find_decode_item(const AttentionArguments<T> &a, DecodeRows &rows,
                                         int index) {
  using Traits = DecodeTraits<Config, T>;
  const i32 rowCount = static_cast<i32>(a.rows);
  const int headTile = index % Traits::kHeadTiles, tokenHead = index / Traits::kHeadTiles;
  DecodeItem item = {};
  item.head = tokenHead % Config::kKvHeads;
  item.token = tokenHead / Config::kKvHeads;
  item.firstQueryHead = item.head * Config::kGroup + headTile * Traits::kTileHeads;
  item.queryHeads = min_of(Traits::kTileHeads, Config::kGroup - headTile * Traits::kTileHeads);
  i32 lane = rows.find(item.token);
  while (lane == kWarp && rows.first + kWarp < rowCount) {
    rows.next(a.cu, a.past, rowCount);
    lane = rows.find(item.token);
  }
  item.row = rows.first + lane;
  const i32 past = __shfl_sync(kAllLanes, rows.past, lane);
  const i32 end = __shfl_sync(kAllLanes, rows.end, lane);
  const i32 ahead = __shfl_sync(kAllLanes, rows.end, lane - 1);
  const i32 row = lane > 0 ? ahead : rows.before;
  item.query = past + item.token - row;
  i64 first, last;
  AttentionHooks<Config>::range(item.query, item.query,
                                min_of<i64>(i64(past) + end - row, a.tableBlocks * Config::kBlock),
                                first, last);
  item.first = static_cast<i32>(first);
  item.last = static_cast<i32>(last);
  // Keys behind those in the cache, [newFirst, newLast): each is a tile of its own.
  item.newLast = item.last;
  if constexpr (Config::kAppend) {
    item.stored = past;
    item.rowStart = row;
    item.stores = headTile == 0;
    item.last = min_of(item.last, item.stored);
  }
  item.newFirst = Config::kAppend ? max_of(item.first, item.stored) : item.newLast;
  return item;
}

/// Of the two heads whose scores a lane has.
template <typename Config, typename T>
INGOT_DEVICE void load_decode_slopes(float (&slopes)[2], const AttentionArguments<T> &a,
                                     const DecodeItem &item) {
#pragma unroll
  for (int column = 0; column < 2; ++column) {
    const int head = static_cast<int>(threadIdx.x % 4) * 2 + column;
    slopes[column] = 0;
    if constexpr (Config::kAlibi)
      if (head < item.queryHeads)
        slopes[column] = a.slopes[item.firstQueryHead + head];
  }
}

/// The first new key of warp `worker` of the `step` that share an item (a power of two): they go on
/// with those where the `tiles` tiles of keys in the cache end.
INGOT_DEVICE i32 first_new_key(const DecodeItem &item, int worker, int step, i32 tiles) {
  return item.newFirst + worker - tiles + ((max_of(tiles - worker, 0) + step - 1) & -step);
}

/// The new key `key`, which lies in `stage`.
template <typename Config, typename T, bool Shared>
INGOT_DEVICE void add_new_key(DecodeState<Config, T> &state, DecodeItem item, i32 key,
                              const DecodeQueries<Config, T, Shared> &queries,
                              const float (&slopes)[2], u32 stage) {
  DecodeKeys<Config, T> keys;
  DecodeValues<Config, T> values;
  take_new_key<Config>(keys, values, stage);
  __syncwarp(); // The stage is free.
  queries.wait();
  float scores[4];
  score_decode_keys<Config, T>(scores, queries, keys);
  item.first = key;
  item.last = key + 1;
  add_decode_values<Config, T>(state, scores, values, item, slopes, key);
}

/// New keys from `newKey` on, of which the first is on its way.
template <typename Config, typename T>
INGOT_DEVICE void attend_new_keys(DecodeState<Config, T> &state, const AttentionArguments<T> &a,
                                  const DecodeAppend<T> &append, DecodeItem item, i32 newKey,
                                  int step, const DecodeQueries<Config, T> &queries,
                                  const float (&slopes)[2], u32 stage) {
  for (; newKey < item.newLast; newKey += step) {
    place_new_key<Config>(a, append, item, newKey, stage);
    __syncwarp();
    DecodeKeys<Config, T> keys;
    DecodeValues<Config, T> values;
    take_new_key<Config>(keys, values, stage);
    __syncwarp(); // The stage is free.
    if (newKey + step < item.newLast)
      fetch_new_key<Config>(append, item, newKey + step, stage);
    queries.wait();
    float scores[4];
    score_decode_keys<Config, T>(scores, queries, keys);
    item.first = newKey;
    item.last = newKey + 1;
    add_decode_values<Config, T>(state, scores, values, item, slopes, newKey);
  }
}

/// What warp `worker` of the `step` that share an item has of it. `wait` is called when its first
/// keys are on their way, before anything is read of the projections.
template <typename Config, typename T, typename Wait>
INGOT_DEVICE void attend_decode_item(DecodeState<Config, T> &state, const AttentionArguments<T> &a,
                                     const DecodeAppend<T> &append, const DecodeItem &item,
                                     int worker, int step, unsigned char *shared, u32 stage,
                                     const Wait &wait) {
  using Traits = DecodeTraits<Config, T>;
  const i32 *table = a.table + item.row * a.tableBlocks;
  float slopes[2];
  load_decode_slopes<Config>(slopes, a, item);
  const i32 begin = item.first / Traits::kKeys;
  const i32 endTile = ceil_div(item.last, i32(Traits::kKeys));
  i32 tile = begin + worker;
  DecodeKeys<Config, T> keys;
  DecodeValues<Config, T> values;
  // Where a tile is, is looked up while the one before is multiplied.
  i32 found = find_decode_key<Config>(table, item, tile * Traits::kKeys);
  load_decode_keys<Config>(keys, a.k, found);
  load_decode_values<Config>(values, a.v, found);
  found = find_decode_key<Config>(table, item, (tile + step) * Traits::kKeys);
  wait();
  const i32 newKey = first_new_key(item, worker, step, max_of(endTile - begin, 0));
  if constexpr (Config::kAppend)
    if (newKey < item.newLast)
      fetch_new_key<Config>(append, item, newKey, stage);
  DecodeQueries<Config, T> queries;
  queries.load(a, append, item, shared);
  for (; tile < endTile; tile += step) {
    queries.wait();
    float scores[4];
    score_decode_keys<Config, T>(scores, queries, keys);
    load_decode_keys<Config>(keys, a.k, found);
    add_decode_values<Config, T>(state, scores, values, item, slopes, tile * Traits::kKeys);
    load_decode_values<Config>(values, a.v, found);
    found = find_decode_key<Config>(table, item, (tile + 2 * step) * Traits::kKeys);
  }
  if constexpr (Config::kAppend)
    attend_new_keys(state, a, append, item, newKey, step, queries, slopes, stage);
  // A warp without keys has not waited; the copies of its next item go to the same place.
  queries.wait();
}

template <typename Config, typename T>
INGOT_DEVICE void attention_decode(const AttentionArguments<T> &a,
                                   const DecodeAppend<T> &append = {}) {
  using Traits = DecodeTraits<Config, T>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  ptx::allow_next_grid();
  if constexpr (!Config::kReadsEarly)
    ptx::wait_for_previous_grid();
  static_assert(Traits::kSharedBytes <= Config::kSharedBytes, "the launch gives the shared memory");
  const u32 stage = ptx::shared_address(shared_bytes) + Traits::kQueryBytes +
                    threadIdx.x / kWarp * Traits::kStageBytes;
  float *sums = reinterpret_cast<float *>(shared_bytes + Traits::kQueryBytes +
                                          Traits::kWarps * Traits::kStageBytes);
  float *given = sums + Traits::kWarps * Traits::kWarpFloats;
  const int warp = threadIdx.x / kWarp;
  const i32 rowCount = static_cast<i32>(a.rows);
  const i32 tokens = a.cu[rowCount];
  DecodeRows rows;
  rows.load(a.cu, a.past, rowCount, 0, 0);
  const int items = tokens * Config::kKvHeads * Traits::kHeadTiles;
  const int share = decode_share<Config, T>(items, most_decode_keys(rows, a.cu, a.past, rowCount));
  const int rank = static_cast<int>(ptx::cluster_rank());
  const int part = rank % share, leader = rank - part;
  const int teams = static_cast<int>(gridDim.x) / share;
  const int rounds = ceil_div(items, teams);
  const bool shared = share > 1 && rounds > 0; // Then there is one round.
  if (shared)
    ptx::cluster_arrive();
  if constexpr (Config::kReadsEarly)
    if (static_cast<int>(blockIdx.x) / share >= items)
      ptx::wait_for_previous_grid(); // Others wait behind their first loads.
  for (int round = 0; round < rounds; ++round) {
    const int index = round * teams + static_cast<int>(blockIdx.x) / share;
    const bool present = index < items;
    DecodeItem item = {};
    if (present) {
      if (round > 0) // Kept, they would take registers.
        rows.load(a.cu, a.past, rowCount, 0, 0);
      item = find_decode_item<Config>(a, rows, index);
      DecodeState<Config, T> state;
      attend_decode_item<Config>(state, a, append, item, part * Traits::kWarps + warp,
                                 Traits::kWarps * share, shared_bytes, stage, [&] {
                                   if constexpr (Config::kReadsEarly)
                                     if (round == 0)
                                       ptx::wait_for_previous_grid();
                                 });
      store_decode_state<Config, T>(state, sums + warp * Traits::kWarpFloats);
    }
    __syncthreads();
    if (shared)
      ptx::cluster_wait(); // All blocks have begun.
    const int elements = item.queryHeads * Config::kWidth, chunk = ceil_div(elements, share);
    if (present)
      for (int i = threadIdx.x; i < elements; i += Config::kThreads) {
        const int head = i / Config::kWidth, d = i % Config::kWidth;
        float value, maximum, sum;
        join_decode<Config, Traits::kWarps>(
            Traits::kWarps, d,
            [&](int warp, int j) {
              return sums[warp * Traits::kWarpFloats + head * Traits::kRowFloats + j];
            },
            value, maximum, sum);
        if (shared)
          give_decode<Config, T>(given, leader, share, part, chunk, i, value, maximum, sum);
        else
          store_decode_element<Config>(a, item, head, d, value, maximum, sum);
      }
    if (!shared) {
      __syncthreads();
      continue;
    }
    ptx::cluster_arrive_and_wait();
    if (present)
      for (int j = threadIdx.x; j < min_of(chunk, elements - part * chunk); j += Config::kThreads) {
        const int i = part * chunk + j, head = i / Config::kWidth, d = i % Config::kWidth;
        float value, maximum, sum;
        join_decode<Config, Config::kCluster>(
            share, d,
            [&](int block, int what) {
              return what < Config::kWidth
                         ? given[block * chunk + j]
                         : given[Traits::given_head(block, head) + what - Config::kWidth];
            },
            value, maximum, sum);
        store_decode_element<Config>(a, item, head, d, value, maximum, sum);
      }
  }
}

} // namespace ingot
