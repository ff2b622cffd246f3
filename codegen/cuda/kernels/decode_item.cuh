// decode_item.cuh - What a block of attention_decode.cuh takes at a time, and what it needs for it.
#pragma once

#include "codegen/cuda/kernels/attention.cuh"

namespace ingot {

template <typename Config, typename T> struct DecodeTraits {
  static constexpr int kWarps = Config::kThreads / kWarp, kKeys = 16, kHeads = 8;
  /// Parts of 64 elements (8 lanes of 8) and of 32 (4 of 8); the last may be cut short.
  static constexpr int kHalves = (Config::kWidth + 63) / 64, kChunks = (Config::kWidth + 31) / 32;
  /// Tiles of a group's heads, as even as they can be.
  static constexpr int kHeadTiles = (Config::kGroup + kHeads - 1) / kHeads;
  static constexpr int kTileHeads = (Config::kGroup + kHeadTiles - 1) / kHeadTiles;
  /// What a warp hands over: [head][D] sums, then maxima and sums of probabilities.
  static constexpr int kRowFloats = Config::kWidth + 2;
  static constexpr int kWarpFloats = kTileHeads * kRowFloats;
  /// Queries are in registers, or, where values take so many, in shared memory: every lane's own.
  static constexpr bool kSharedQueries = Config::kWidth > 64;
  static constexpr int kQueryBytes = kSharedQueries ? kChunks * Config::kThreads * 16 : 0;
  /// A new key and value of each warp, on their way to the lanes that have them.
  static constexpr int kStageBytes = Config::kAppend ? 2 * Config::kWidth * int(sizeof(T)) : 0;
  /// What a block of a cluster is given by each: its part of the sums, then all maxima and sums of
  /// probabilities.
  static constexpr int kSumFloats = kTileHeads * Config::kWidth + Config::kCluster;
  static constexpr int kGivenFloats = kSumFloats + Config::kCluster * kTileHeads * 2;
  INGOT_DEVICE static constexpr int given_head(int part, int head) {
    return kSumFloats + (part * kTileHeads + head) * 2;
  }
  static constexpr int kSharedBytes = kQueryBytes + kWarps * kStageBytes +
                                      (kWarps * kWarpFloats + kGivenFloats) * int(sizeof(float));
  static_assert(sizeof(T) == 2, "matrix instructions multiply 16-bit elements here");
  static_assert(Config::kWidth % 8 == 0 && Config::kWidth <= 256, "a row is whole 16 bytes");
  static_assert(Config::kPaged, "keys and values are in a paged cache");
  static_assert(i64(Config::kBlocks) * Config::kKvHeads * Config::kBlock < i64(1) << 31,
                "rows of the cache are counted in 32 bits");
};

/// One token and one key/value head, with some of its query heads.
struct DecodeItem {
  i32 row, token;
  i32 query;             // position
  i32 first, last;       // keys in the cache
  i32 newFirst, newLast; // keys that are not yet in it
  i32 stored;            // keys of the row in the cache
  i32 rowStart;          // the row's first token
  int head;
  int firstQueryHead, queryHeads;
  bool stores; // of the items of a token and key/value head the one that appends them
};

/// Whether a head has the 8 elements from `element` on, of which parts of `Part` have the first.
template <typename Config, int Part> INGOT_DEVICE bool has_elements(int element) {
  return Config::kWidth % Part == 0 || element < Config::kWidth;
}

/// Rows [first, first + 32), a lane each. All that items need of them is on its way at once: where
/// one load waits for another, so do the keys.
struct DecodeRows {
  i32 first, before; // tokens in front of them
  i32 end;           // tokens up to the lane's row; none of a row that there isn't
  i32 past;

  INGOT_DEVICE void load(const i32 *cu, const i32 *pasts, i32 rows, i32 begin, i32 tokens) {
    const i32 row = begin + static_cast<i32>(threadIdx.x % kWarp);
    first = begin;
    before = tokens;
    end = row < rows ? cu[row + 1] : 0x7fffffff;
    past = row < rows ? max_of(pasts[row], 0) : 0;
  }
  /// Lanes up to that of the row of `token`: 32 if it is further on.
  INGOT_DEVICE i32 find(i32 token) const { return __popc(__ballot_sync(kAllLanes, end <= token)); }
  INGOT_DEVICE void next(const i32 *cu, const i32 *pasts, i32 rows) {
    load(cu, pasts, rows, first + kWarp, __shfl_sync(kAllLanes, end, kWarp - 1));
  }
};

/// The most keys that a row has in the cache, by all lanes of a warp together.
INGOT_DEVICE i32 most_decode_keys(DecodeRows rows, const i32 *cu, const i32 *pasts, i32 count) {
  i32 most = rows.past;
  while (rows.first + kWarp < count) {
    rows.next(cu, pasts, count);
    most = max_of(most, rows.past);
  }
  return __reduce_max_sync(kAllLanes, most);
}

/// Blocks of a cluster that share an item: as many as leave none without work, a power of two.
template <typename Config, typename T> INGOT_DEVICE int decode_share(int items, i32 mostKeys) {
  using Traits = DecodeTraits<Config, T>;
  int share = 1;
  while (share < Config::kCluster && items * share * 2 <= static_cast<int>(gridDim.x) &&
         share * Traits::kWarps * Traits::kKeys < mostKeys)
    share *= 2;
  return share;
}

} // namespace ingot
