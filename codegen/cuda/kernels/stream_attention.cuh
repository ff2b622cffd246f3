// stream_attention.cuh - Attention of few tokens in a stream (stream.cuh), as in
// attention_decode.cuh; keys and values come through the ring, so that they are there when the
// queries are.
//
// A tile is an item, or a part of its keys: where items are fewer than blocks, up to eight blocks
// share one. All parts are numbered, as the number of keys is known on the device only; those that
// are not needed end at once. The last part joins what the others exchange.
//
// Constants of a task's Config: those of attention_decode.cuh, kBlock a multiple of 16; kQuery,
// kResult: buffers.
#pragma once

#include "codegen/cuda/kernels/attention_decode.cuh"
#include "codegen/cuda/kernels/stream_state.cuh"

namespace ingot {

/// Queries, new keys and values that another block of the grid projects.
struct ExchangedRead {
  bool exchanged;
  template <typename T> INGOT_DEVICE uint4 operator()(const T *at) const {
    return StreamSource{reinterpret_cast<const unsigned char *>(at), exchanged}.load_16(0);
  }
};

template <bool Value> struct Constant { static constexpr bool value = Value; };

/// What a lane has of an item's queries and of a new key and its value: asked for together, and
/// behind what they are rotated with, which comes to `rotations`, a warp's part of shared memory.
template <typename Config, typename T> struct ProjectedParts {
  using Traits = DecodeTraits<Config, T>;
  static constexpr int kChunks = Traits::kChunks, kHalf = Config::kRotated / 2;
  /// Bytes for the rows of the tables of one token: cosines, then sines.
  static constexpr int kRotationBytes = 2 * kHalf * int(sizeof(float));

  uint4 parts[kChunks + (Config::kAppend ? 2 : 0)];
  i64 place = -1; // in the cache, of the lane's elements, if it stores them

  static INGOT_DEVICE void fetch_rotation(const DecodeAppend<T> &append, i64 token,
                                          unsigned char *to) {
    constexpr int kPieces = kHalf / 4;
    for (int i = threadIdx.x % kWarp; i < 2 * kPieces; i += kWarp)
      ptx::copy_async<16>(ptx::shared_address(to) + i * 16,
                          (i < kPieces ? append.cos : append.sin) + token * kHalf + i % kPieces * 4,
                          true);
  }
  /// The rows in shared memory as tables of one token.
  static INGOT_DEVICE DecodeAppend<T> with_rotation(DecodeAppend<T> append,
                                                    const unsigned char *rotation) {
    append.cos = reinterpret_cast<const float *>(rotation);
    append.sin = append.cos + kHalf;
    return append;
  }

  /// `newKey`: the key that the warp takes, none where there is no such new key. Without `Queries`
  /// that alone.
  template <bool Queries>
  INGOT_DEVICE void load(const AttentionArguments<T> &a, const DecodeAppend<T> &append,
                         const DecodeItem &item, i32 newKey, unsigned char *rotations,
                         const ExchangedRead &read) {
    const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4, d = lane * 8;
    const T *k = nullptr, *v = nullptr;
    if constexpr (Queries && rotates<Config>())
      fetch_rotation(append, item.token, rotations);
    if constexpr (Config::kAppend)
      if (newKey < item.newLast) {
        const i64 token = i64(item.rowStart) + (newKey - item.stored);
        if constexpr (rotates<Config>())
          fetch_rotation(append, token, rotations + kRotationBytes);
        if (d < Config::kWidth) {
          if (item.stores && newKey == item.query)
            place = paged_row<Config::kBlocks, Config::kKvHeads, Config::kBlock>(
                        a.table + i64(item.row) * a.tableBlocks, newKey, item.head) *
                        Config::kWidth +
                    d;
          k = append.k + token * Config::kNewKeyStride + item.head * Config::kWidth + d;
          v = append.v + token * Config::kNewValueStride + item.head * Config::kWidth + d;
        }
      }
    ptx::commit_copies();
    const T *head = DecodeQueries<Config, T>::find(a, item) + c * 8;
    load_exchanged(
        parts, read.exchanged,
        [&](int i) { return i < kChunks    ? head + i * 32
                            : i == kChunks ? k
                                           : v; },
        [&](int i) {
          return i < kChunks
                     ? Queries && g < item.queryHeads && has_elements<Config, 32>(i * 32 + c * 8)
                     : k != nullptr;
        });
    ptx::wait_copies<0>();
    __syncwarp();
  }
  template <typename Queries>
  INGOT_DEVICE void give_queries(Queries &queries, const AttentionArguments<T> &a,
                                 const DecodeAppend<T> &append, const DecodeItem &item,
                                 unsigned char *rotations, const ExchangedRead &read) {
    const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
    uint4 chunks[kChunks];
#pragma unroll
    for (int i = 0; i < kChunks; ++i)
      chunks[i] = parts[i];
    if constexpr (has_whole_pairs<Config>()) {
#pragma unroll
      for (int i = 0; i < kChunks / 2; ++i) {
        PairRotation rotation;
        load_rotation<Config>(with_rotation(append, rotations), 0, i * 32 + c * 8, rotation.cos,
                              rotation.sin);
        rotation.template rotate<T>(chunks[i], chunks[i + kChunks / 2]);
      }
    } else if constexpr (rotates<Config>()) {
      if (g < item.queryHeads)
        rotated_chunks<Config>(chunks, with_rotation(append, rotations),
                               DecodeQueries<Config, T>::find(a, item), 0, c * 8, read);
    }
    queries.take(chunks);
  }
  /// Rotates the new key; to `stage`, and to the cache.
  INGOT_DEVICE void give_new_key(const DecodeAppend<T> &append, const unsigned char *rotations,
                                 u32 stage) {
    using Pack8 = Pack<T, 8>;
    const int lane = threadIdx.x % kWarp, d = lane * 8;
    uint4 key = parts[kChunks];
    const uint4 value = parts[kChunks + 1];
    if constexpr (rotates<Config>()) {
      const bool low = d < kHalf;
      const int other = low ? lane + kHalf / 8 : lane - kHalf / 8;
      const uint4 others =
          make_uint4(__shfl_sync(kAllLanes, key.x, other), __shfl_sync(kAllLanes, key.y, other),
                     __shfl_sync(kAllLanes, key.z, other), __shfl_sync(kAllLanes, key.w, other));
      if (d < Config::kRotated) {
        float4 cos[2], sin[2];
        load_rotation<Config>(with_rotation(append, rotations + kRotationBytes), 0,
                              low ? d : d - kHalf, cos, sin);
        key = rotate_8<T>(low, key, others, cos, sin);
      }
    }
    if (d < Config::kWidth) {
      ptx::store_shared_16(stage + d * int(sizeof(T)), key);
      ptx::store_shared_16(stage + (Config::kWidth + d) * int(sizeof(T)), value);
    }
    if (place >= 0) {
      store_pack(append.keys + place, __builtin_bit_cast(Pack8, key));
      store_pack(append.values + place, __builtin_bit_cast(Pack8, value));
    }
    __syncwarp();
  }
};

template <typename Task> struct StreamAttention {
  using Config = typename Task::Config;
  using T = typename Task::Type;
  using Traits = DecodeTraits<Config, T>;
  static constexpr bool kLinear = false;
  static constexpr int kMostParts = 8;
  static constexpr int kTokenItems = Config::kKvHeads * Traits::kHeadTiles;
  /// What a part gives: [head][D] and a maximum and a sum a head.
  static constexpr int kPartFloats = Traits::kWarpFloats;
  /// 16 keys and their values, of a warp: boxes of 64 elements, keys first; and how many of these a
  /// stage of the ring has.
  static constexpr int kBoxBytes = Traits::kKeys * 128;
  static constexpr int kGroupBytes = 2 * Traits::kHalves * kBoxBytes;
  static constexpr int kStageGroups = Traits::kHalves == 1 ? 4 : Traits::kHalves == 2 ? 2 : 1;
  static_assert(kStageGroups * kGroupBytes <= kStreamStageBytes, "they fit");
  static_assert(Config::kWidth <= 128, "a warp's keys, values and sums are in registers");
  static_assert(Config::kBlock % Traits::kKeys == 0, "16 keys are in one block of the cache");

  static INGOT_DEVICE int count_parts(int tokens) {
    int parts = 1;
    while (parts < kMostParts && tokens * kTokenItems * parts * 2 <= static_cast<int>(gridDim.x))
      parts *= 2;
    return parts;
  }
  static INGOT_DEVICE int count_tiles(int tokens) {
    return tokens * kTokenItems * count_parts(tokens);
  }
  static INGOT_DEVICE StreamShape shape() { return {}; }
  static INGOT_DEVICE constexpr int token_bytes() { return 0; }
  /// What a tile is: part `mine` of `parts` of an item. Its groups of 16 keys in the cache are
  /// [begin, begin + groups); of each 8 * parts it has 8 neighbouring ones, a warp one.
  struct Share {
    DecodeItem item;
    int index, mine, parts, begin, groups;
    bool present;
    INGOT_DEVICE int first() const { return mine * kStreamWarps; }
    INGOT_DEVICE int step() const { return parts * kStreamWarps; }
  };

  /// A warp's part of the work: what it hands over, a new key and its value, what is rotated with,
  /// and what it knows of the tile, which would take registers.
  static constexpr int kStagePlace = (Traits::kWarpFloats * int(sizeof(float)) + 15) / 16 * 16;
  static constexpr int kRotationPlace = kStagePlace + Traits::kStageBytes;
  static constexpr int kTilePlace = kRotationPlace + 2 * ProjectedParts<Config, T>::kRotationBytes;
  static constexpr int kSharePlace = kTilePlace + int(sizeof(StreamTile));
  static constexpr int kWarpBytes = (kSharePlace + int(sizeof(Share)) + 15) / 16 * 16;
  static INGOT_DEVICE constexpr int work_bytes() { return kStreamWarps * kWarpBytes; }

#if __CUDA_ARCH__ >= 900

  /// By all lanes of a warp together, behind the wait for the grid in front.
  static INGOT_DEVICE Share find_share(const StreamArguments &a, int tile, int tokens,
                                       const AttentionArguments<T> &arguments) {
    const int most = static_cast<int>(a.most) * kTokenItems, room = count_parts(int(a.most));
    const i32 rowCount = static_cast<i32>(arguments.rows);
    DecodeRows rows;
    rows.load(arguments.cu, arguments.past, rowCount, 0, 0);
    const i32 mostKeys = most_decode_keys(rows, arguments.cu, arguments.past, rowCount);
    Share share = {};
    share.parts = 1;
    // A warp each for 16 keys, and one for a key that is not in the cache yet.
    while (share.parts < room &&
           share.parts * kStreamWarps <= ceil_div(mostKeys, i32(Traits::kKeys)))
      share.parts *= 2;
    share.index = tile % most;
    // The last of all parts that there may be is the last of those that are needed.
    share.mine = tile / most - (room - share.parts);
    share.present = share.index < tokens * kTokenItems && share.mine >= 0;
    if (!share.present)
      return share;
    share.item = find_decode_item<Config>(arguments, rows, share.index);
    if (share.item.row >= rowCount) {
      // A token behind the last row's: others wait for its result, which is of no keys.
      share.item.row = share.item.first = share.item.last = 0;
      share.item.newFirst = share.item.newLast = 0;
    }
    share.begin = share.item.first / Traits::kKeys;
    share.groups = max_of(ceil_div(share.item.last, i32(Traits::kKeys)) - share.begin, 0);
    return share;
  }

  template <typename Sizes, typename Producer>
  static INGOT_DEVICE void copy(const StreamArguments &a, const TensorMap *maps,
                                const StreamTile &said, Producer &at, const i32 *tokensAddress,
                                const Sizes &sizes) {
    const int lane = threadIdx.x % kWarp;
    ptx::wait_for_previous_grid();
    const auto arguments = Task::arguments(a, said, sizes);
    const Share share = find_share(a, said.tile, stream_tokens(a, tokensAddress), arguments);
    const i32 *table = arguments.table + i64(share.item.row) * arguments.tableBlocks;
    // A lane a group: where it is, is looked up one stage ahead.
    auto find = [&](int group) {
      return lane < kStageGroups && group + lane < share.groups
                 ? static_cast<int>(paged_row<Config::kBlocks, Config::kKvHeads, Config::kBlock>(
                       table, i64(share.begin + group + lane) * Traits::kKeys, share.item.head))
                 : -1;
    };
    auto follow = [&](int group) {
      const int next = group + kStageGroups;
      return next % kStreamWarps ? next : next + share.step() - kStreamWarps;
    };
    int group = share.present ? share.first() : 0, found = find(group);
    bool first = true;
    while (first || group < share.groups) {
      const int next = follow(group), following = find(next);
      if (!first)
        at.wait_empty();
      first = false;
      at.wait_flight();
      const int present = max_of(min_of(kStageGroups, share.groups - group), 0);
      if (present > 0)
        stream_arrive_expecting(at.full(), present * kGroupBytes);
      else
        stream_arrive(at.full());
      if (found >= 0)
#pragma unroll
        for (int half = 0; half < Traits::kHalves; ++half) {
          const u32 to = at.address() + lane * kGroupBytes + half * kBoxBytes;
          ptx::copy_tensor_2d(to, maps, half * 64, found, at.full());
          ptx::copy_tensor_2d(to + Traits::kHalves * kBoxBytes, maps + 1, half * 64, found,
                              at.full());
        }
      at.next();
      group = next;
      found = following;
    }
  }

  /// A warp's keys in the ring; rows are swizzled.
  static INGOT_DEVICE void take_keys(DecodeKeys<Config, T> &keys, u32 from) {
    const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half)
#pragma unroll
      for (int chunk = 0; chunk < Traits::kChunks; ++chunk)
        keys.parts[chunk * 2 + half] = ptx::load_shared_16(
            from + chunk / 2 * kBoxBytes + (half * 8 + g) * 128 + ((chunk % 2 * 4 + c) ^ g) * 16);
  }
  /// Values of keys that the item doesn't have are zeros, whatever lies there.
  static INGOT_DEVICE void take_values(DecodeValues<Config, T> &values, u32 from, i32 firstKey,
                                       const DecodeItem &item) {
    const int lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
    auto row = [&](int key) { return 2 * c + key % 2 + key / 2 * 8; };
#pragma unroll
    for (int key = 0; key < 4; ++key)
#pragma unroll
      for (int half = 0; half < Traits::kHalves; ++half)
        values.parts[half * 4 + key] =
            ptx::load_shared_16(from + half * kBoxBytes + row(key) * 128 + (g ^ row(key) % 8) * 16);
    if (firstKey >= item.first && firstKey + Traits::kKeys <= item.last)
      return;
#pragma unroll
    for (int key = 0; key < 4; ++key)
      if (firstKey + row(key) < item.first || firstKey + row(key) >= item.last)
#pragma unroll
        for (int half = 0; half < Traits::kHalves; ++half)
          values.parts[half * 4 + key] = make_uint4(0, 0, 0, 0);
  }

  /// Of an item's elements two neighbouring ones a thread.
  static INGOT_DEVICE void store_pair(unsigned char *to, const AttentionArguments<T> &arguments,
                                      const DecodeItem &item, int head, int d,
                                      const float (&value)[2], float maximum, float sum) {
    using Hooks = AttentionHooks<Config>;
    const int queryHead = item.firstQueryHead + head;
    float scale = 1;
    if constexpr (Config::kSinks) {
      const float sink = arguments.sinks[queryHead] * kLog2e, seen = maximum * Hooks::kExponent;
      const float base = fmaxf(seen, sink);
      scale = exp2f(seen - base);
      sum = sum * scale + exp2f(sink - base);
    }
    const u32 words[1] = {pack_pair<T>(sum > 0 ? value[0] * scale / sum : 0.0f,
                                       sum > 0 ? value[1] * scale / sum : 0.0f)};
    store_words(to + (i64(item.token) * Config::kOutputStride + queryHead * Config::kWidth + d) *
                         i64(sizeof(T)),
                words);
  }

  /// Joins the sums of the block's warps; those of an item's other parts, if this is the last.
  static INGOT_DEVICE void join(const Share &share, const AttentionArguments<T> &arguments,
                                const unsigned char *work, unsigned char *given,
                                unsigned char *result) {
    auto place = [&](int part, int head, int what) {
      return given + ((i64(share.index) * kMostParts + part) * kPartFloats +
                      head * Traits::kRowFloats + what) *
                         4;
    };
    constexpr int kPairs = Config::kWidth / 2;
    const int others = share.parts - 1;
    for (int i = threadIdx.x; i < share.item.queryHeads * kPairs; i += kStreamWarps * kWarp) {
      const int head = i / kPairs, d = i % kPairs * 2;
      auto row = [&](int warp) {
        return reinterpret_cast<const float *>(work + warp * kWarpBytes) +
               head * Traits::kRowFloats;
      };
      const JoinWeights<Config, Traits::kWarps> own(
          Traits::kWarps, [&](int warp, int what) { return row(warp)[what]; });
      float value[2], maximum = own.maximum, sum = own.sum;
#pragma unroll
      for (int e = 0; e < 2; ++e)
        value[e] = own.join([&](int warp) { return row(warp)[d + e]; });
      if (share.mine < others) {
        const u32 words[2] = {__float_as_uint(value[0]), __float_as_uint(value[1])};
        store_words(place(share.mine, head, d), words);
        if (d == 0) {
          const u32 ends[2] = {__float_as_uint(maximum), __float_as_uint(sum)};
          store_words(place(share.mine, head, Config::kWidth), ends);
        }
        continue;
      }
      if (others > 0) {
        // Of this part what it has, so that all are in one order.
        u32 values[kMostParts][2], ends[kMostParts][2];
        bool all;
        do {
          all = true;
#pragma unroll
          for (int part = 0; part < kMostParts; ++part)
            if (part < others) {
              load_words(values[part], place(part, head, d));
              load_words(ends[part], place(part, head, Config::kWidth));
            }
#pragma unroll
          for (int part = 0; part < kMostParts; ++part)
            all = all && (part >= others || (all_there(values[part]) && all_there(ends[part])));
        } while (!all);
#pragma unroll
        for (int part = 0; part < kMostParts; ++part)
          if (part >= others) {
            const bool mine = part == others;
            ends[part][0] = __float_as_uint(maximum);
            ends[part][1] = __float_as_uint(sum);
#pragma unroll
            for (int e = 0; e < 2; ++e)
              values[part][e] = mine ? __float_as_uint(value[e]) : 0;
          }
        const JoinWeights<Config, kMostParts> joined(share.parts, [&](int part, int what) {
          return __uint_as_float(ends[part][what - Config::kWidth]);
        });
#pragma unroll
        for (int e = 0; e < 2; ++e)
          value[e] = joined.join([&](int part) { return __uint_as_float(values[part][e]); });
        maximum = joined.maximum;
        sum = joined.sum;
      }
      store_pair(result, arguments, share.item, head, d, value, maximum, sum);
    }
  }

  template <typename Places, typename Sizes>
  static INGOT_DEVICE void consume(const StreamArguments &a, const Places &places,
                                   const StreamTile &said, StreamConsumer &at, int tokens,
                                   const Sizes &sizes) {
    const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
    // What is needed of the tile comes from here each time: kept, it would take registers.
    unsigned char *work = places.work() + warp * kWarpBytes, *rotations = work + kRotationPlace;
    StreamTile &tile = *reinterpret_cast<StreamTile *>(work + kTilePlace);
    for (int i = lane; i < int(sizeof(StreamTile) / 4); i += kWarp)
      reinterpret_cast<u32 *>(&tile)[i] = reinterpret_cast<const u32 *>(&said)[i];
    __syncwarp();
    Share &share = *reinterpret_cast<Share *>(work + kSharePlace);
    {
      const Share found = find_share(a, tile.tile, tokens, Task::arguments(a, tile, sizes));
      if (lane == 0)
        share = found;
      __syncwarp();
    }
    auto release = [&] {
      stream_arrive(places.empty(at.stage));
      at.next_stage(places.stages);
    };
    if (!share.present) {
      release();
      return;
    }
    const u32 stage = ptx::shared_address(work) + kStagePlace;
    float slopes[2];
    load_decode_slopes<Config>(slopes, Task::arguments(a, tile, sizes), share.item);
    DecodeQueries<Config, T, false> queries;
    i32 newKey = first_new_key(share.item, share.first() + warp, share.step(), share.groups);
    auto project = [&](auto queriesToo) {
      const auto arguments = Task::arguments(a, tile, sizes);
      const auto append = Task::append(a, tile);
      const ExchangedRead read{tile.is_exchanged(Config::kQuery)};
      ProjectedParts<Config, T> projected;
      projected.template load<queriesToo.value>(arguments, append, share.item, newKey, rotations,
                                                read);
      if constexpr (queriesToo.value)
        projected.give_queries(queries, arguments, append, share.item, rotations, read);
      if constexpr (Config::kAppend)
        if (newKey < share.item.newLast)
          projected.give_new_key(append, rotations, stage);
    };
    project(Constant<true>());
    DecodeState<Config, T> state;
    bool first = true;
    for (int round = share.first(); first || round < share.groups; round += share.step())
      for (int sub = 0; sub < kStreamWarps && (first || round + sub < share.groups);
           sub += kStageGroups) {
        if (!first)
          ptx::wait_barrier(places.full(at.stage), at.parity);
        first = false;
        const int group = round + warp;
        if (warp / kStageGroups * kStageGroups == sub && group < share.groups) {
          const u32 from =
              places.base + at.stage * kStreamStageBytes + warp % kStageGroups * kGroupBytes;
          const i32 firstKey = (share.begin + group) * Traits::kKeys;
          const DecodeItem item = share.item;
          DecodeKeys<Config, T> keys;
          take_keys(keys, from);
          float scores[4];
          score_decode_keys<Config, T>(scores, queries, keys);
          DecodeValues<Config, T> values;
          take_values(values, from + Traits::kHalves * kBoxBytes, firstKey, item);
          add_decode_values<Config, T>(state, scores, values, item, slopes, firstKey);
        }
        release();
      }
    if constexpr (Config::kAppend)
      while (newKey < share.item.newLast) {
        add_new_key(state, share.item, newKey, queries, slopes, stage);
        newKey += share.step();
        if (newKey < share.item.newLast)
          project(Constant<false>());
      }
    store_decode_state<Config, T>(state, reinterpret_cast<float *>(work));
    ptx::sync_group(0, kStreamWarps * kWarp);
    join(share, Task::arguments(a, tile, sizes), places.work(), tile.part_address(a),
         tile.address(a, Config::kResult));
    ptx::sync_group(0, kStreamWarps * kWarp); // The sums have been read.
  }

#endif
};

} // namespace ingot
