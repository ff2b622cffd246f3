// attention_sm90.cuh - Attention of many queries by warpgroup matrix instructions (sm_90a).
//
// One block a multiprocessor. A thread of the first warpgroup takes the block's items (queries of a
// head, attention_work.cuh), two of its warps have the tensor copy engine bring their queries, keys
// and values. Every other warpgroup has 64 queries of one head and goes through the
// keys from the last to the first, so that tiles with a mask come first (and, with a window, last):
//
//   scores(j) = Q K(j)^T                      K and Q in shared memory
//   out += P(j+1) V(j+1)                      P in registers, runs while
//   P(j) = 2^(scores(j) - base)               is computed; sums are kept of P
//
// Warpgroups take turns at starting products, so that one computes exponentials while the tensor
// cores work for the other. `base` follows a row's maximum only where that has grown by more than a
// factor of 2^8 of probabilities: what was summed so far is rescaled rarely, and the quotient at the
// end is the same.
//
// Keys past the end of a row are what the copy engine found there: their scores are masked, and
// their values are overwritten with zeros before they are used.
//
// Constants of a stub: those of attention.cuh without kRowTiles, kChunkBytes and kCluster, and
//   kConsumers (warpgroups, 64 queries each), kKeys (of a tile), kStages, kProducerRegisters,
//   kConsumerRegisters. Maps are of boxes of 64 columns of a head: queries [tokens, heads, D] of 64
//   tokens; keys and values [tokens, heads, D] of kKeys tokens, or, of a paged cache,
//   [blocks * heads * kBlock, D] of as many rows as divide both a block and a tile.
#pragma once

#include "codegen/cuda/kernels/attention_work.cuh"
#include "codegen/cuda/ptx/tensor_copy.cuh"
#include "codegen/cuda/ptx/wgmma_wide.cuh"

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
  static constexpr int kColumns = (Config::kWidth + 31) / 32 * 32; // of the output, in registers
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

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)

/// Addresses in shared memory.
template <typename Config, typename T> struct AttentionRing {
  using Traits = AttentionSm90Traits<Config, T>;
  u32 base;
  INGOT_DEVICE u32 queries(int group) const { return base + group * Traits::kQueryBytes; }
  INGOT_DEVICE u32 keys(int stage) const {
    return base + Traits::kTilesOffset + stage * 2 * Traits::kTileBytes;
  }
  INGOT_DEVICE u32 values(int stage) const { return keys(stage) + Traits::kTileBytes; }
  INGOT_DEVICE u32 barrier(int i) const { return base + Traits::kBarriersOffset + i * 8; }
  INGOT_DEVICE u32 workFull() const { return barrier(0); }
  INGOT_DEVICE u32 queriesFull(int group) const { return barrier(2 + 2 * group); }
  INGOT_DEVICE u32 queriesEmpty(int group) const { return queriesFull(group) + 8; }
  INGOT_DEVICE u32 keysFull(int s) const { return barrier(2 + 2 * Traits::kConsumers + 4 * s); }
  INGOT_DEVICE u32 keysEmpty(int s) const { return keysFull(s) + 8; }
  INGOT_DEVICE u32 valuesFull(int s) const { return keysFull(s) + 16; }
  INGOT_DEVICE u32 valuesEmpty(int s) const { return keysFull(s) + 24; }

  INGOT_DEVICE void init() const {
    ptx::init_barrier(workFull(), 1);
    ptx::init_barrier(workFull() + 8, Traits::kWorkers);
    for (int group = 0; group < Traits::kConsumers; ++group) {
      ptx::init_barrier(queriesFull(group), 1);
      ptx::init_barrier(queriesEmpty(group), 1);
    }
    for (int s = 0; s < Config::kStages; ++s) {
      ptx::init_barrier(keysFull(s), 1);
      ptx::init_barrier(keysEmpty(s), Traits::kConsumers);
      ptx::init_barrier(valuesFull(s), 1);
      ptx::init_barrier(valuesEmpty(s), Traits::kConsumers);
    }
    ptx::fence_barrier_init();
  }
};

/// A place in the ring; every stage holds a tile of keys and one of values.
template <typename Config> struct RingPlace {
  int stage = 0;
  u32 parity = 0;
  INGOT_DEVICE void advance() {
    if (++stage == Config::kStages) {
      stage = 0;
      parity ^= 1;
    }
  }
};

/// The cache block that a lane's box of a tile is in: lane i copies box i.
template <typename Config, typename T>
INGOT_DEVICE i32 find_cache_block(const AttentionArguments<T> &a, const AttentionWork &work,
                                  int tile) {
  using Traits = AttentionSm90Traits<Config, T>;
  const int box = threadIdx.x % kWarp, position = tile * Traits::kKeys + box * Traits::kBoxRows;
  if (tile < work.firstTile || box >= Traits::kKeys / Traits::kBoxRows || position >= work.keys)
    return 0;
  const i32 entry = a.table[work.row * a.tableBlocks + position / Config::kBlock];
  return min_of(max_of(entry, 0), Config::kBlocks - 1);
}

/// Starts the copies of a tile of keys or values, by a whole warp; `block` is of the lane's box.
template <typename Config, typename T>
INGOT_DEVICE void copy_key_tile(const TensorMap *map, u32 to, u32 barrier,
                                const AttentionWork &work, int tile, i32 block) {
  using Traits = AttentionSm90Traits<Config, T>;
  const int lane = threadIdx.x % kWarp, head = work.head / Config::kGroup;
  if constexpr (Config::kPaged) {
    const int boxes =
        min_of(Traits::kKeys, work.keys - tile * Traits::kKeys + Traits::kBoxRows - 1) /
        Traits::kBoxRows;
    if (lane == 0)
      ptx::arrive_expecting(barrier,
                            boxes * Traits::kPanels * Traits::kBoxRows * Traits::kRowBytes);
    __syncwarp();
    if (lane < boxes) {
      const int inBlock = (tile * Traits::kKeys + lane * Traits::kBoxRows) % Config::kBlock;
#pragma unroll
      for (int panel = 0; panel < Traits::kPanels; ++panel)
        ptx::copy_tensor_2d(
            to + panel * Traits::kKeyPanel + lane * Traits::kBoxRows * Traits::kRowBytes, map,
            panel * 64, (block * Config::kKvHeads + head) * Config::kBlock + inBlock, barrier);
    }
  } else if (lane == 0) {
    ptx::arrive_expecting(barrier, Traits::kTileBytes);
#pragma unroll
    for (int panel = 0; panel < Traits::kPanels; ++panel)
      ptx::copy_tensor_3d(to + panel * Traits::kKeyPanel, map, panel * 64, head,
                          static_cast<i32>(work.firstToken) + tile * Traits::kKeys, barrier);
  }
}

/// The copies of all items, by two warps: one of queries and keys, one of values.
template <typename Config, typename T>
INGOT_DEVICE void produce_attention(const AttentionArguments<T> &a, const TensorMap *mapQ,
                                    const TensorMap *mapK, const TensorMap *mapV,
                                    const AttentionRing<Config, T> &ring, AttentionSlot slot) {
  using Traits = AttentionSm90Traits<Config, T>;
  const int lane = threadIdx.x % kWarp;
  const bool values = threadIdx.x >= kWarp;
  const TensorMap *map = values ? mapV : mapK;
  RingPlace<Config> place;
  u32 queryParity = 1; // The first round finds all places empty.
  AttentionWork work;
  while (slot.read(work)) {
    i32 block = 0;
    if constexpr (Config::kPaged)
      block = find_cache_block<Config>(a, work, work.afterTile - 1);
    if (!values && lane == 0)
      for (int group = 0; group < Traits::kConsumers; ++group) {
        ptx::wait_barrier(ring.queriesEmpty(group), queryParity);
        ptx::arrive_expecting(ring.queriesFull(group), Traits::kQueryBytes);
#pragma unroll
        for (int panel = 0; panel < Traits::kPanels; ++panel)
          ptx::copy_tensor_3d(
              ring.queries(group) + panel * Traits::kQueryPanel, mapQ, panel * 64, work.head,
              static_cast<i32>(work.firstToken) + work.firstQuery + group * Traits::kGroupRows,
              ring.queriesFull(group));
      }
    queryParity ^= 1;
    __syncwarp();
    for (int tile = work.afterTile - 1; tile >= work.firstTile; --tile) {
      i32 next = 0;
      if constexpr (Config::kPaged)
        next = find_cache_block<Config>(a, work, tile - 1);
      const u32 to = values ? ring.values(place.stage) : ring.keys(place.stage);
      const u32 full = values ? ring.valuesFull(place.stage) : ring.keysFull(place.stage);
      ptx::wait_barrier(full + 8, place.parity ^ 1); // Empty.
      copy_key_tile<Config, T>(map, to, full, work, tile, block);
      place.advance();
      block = next;
    }
  }
}

/// What a consumer's lane has of its warp's 16 rows: two of them, `half` 0 and 1.
template <typename Config, typename T> struct AttentionRows {
  using Traits = AttentionSm90Traits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  static constexpr int kOut = Traits::kColumns / 2;
  /// By how much a maximum may pass `base`, as a power of two.
  static constexpr float kSlack = 8;

  float out[kOut];
  float base[2], sum[2], correction[2];
  i32 position[2];

  /// Masks and transforms the scores of keys from `firstKey` on.
  template <int Scores>
  INGOT_DEVICE void mask(float (&scores)[Scores], i32 firstKey, i32 keys, float slope) const {
    const int c = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < Scores; ++i) {
      const i32 key = firstKey + i / 4 * 8 + 2 * c + i % 2, query = position[i / 2 % 2];
      scores[i] = Hooks::visible(query, key, keys)
                      ? Hooks::transform(scores[i], slope, query, key)
                      : nothing();
    }
  }

  /// Scores become probabilities; true if what is summed in `out` must be multiplied by
  /// `correction` (of the whole warp).
  template <int Scores> INGOT_DEVICE bool soften(float (&scores)[Scores]) {
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
      maximum[half] = fmaxf(even, __shfl_xor_sync(kAllLanes, even, 2)) * Hooks::kExponent;
    }
    const bool raise = __any_sync(
        kAllLanes, maximum[0] > base[0] + kSlack || maximum[1] > base[1] + kSlack);
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
    }
    float sums[4] = {};
#pragma unroll
    for (int i = 0; i < Scores; ++i) {
      scores[i] = ptx::exp2_fast(scores[i] * Hooks::kExponent - used[i / 2 % 2]);
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
          const uint4 packed = {pack_pair<T>(pairs[0][0], pairs[0][1]),
                                pack_pair<T>(pairs[1][0], pairs[1][1]),
                                pack_pair<T>(pairs[2][0], pairs[2][1]),
                                pack_pair<T>(pairs[3][0], pairs[3][1])};
          *reinterpret_cast<uint4 *>(rows + half * 8 * Config::kOutputStride + column) = packed;
        }
      }
  }
};

/// Overwrites the values of keys past the end of a row, by one warpgroup: probabilities of zero
/// times what a buffer happened to hold need not be zero.
template <typename Config, typename T>
INGOT_DEVICE void clear_values(u32 values, int validRows, int barrier) {
  using Traits = AttentionSm90Traits<Config, T>;
  constexpr int kChunks = Traits::kRowBytes / 16;
  for (int panel = 0; panel < Traits::kPanels; ++panel)
    for (int i = validRows * kChunks + static_cast<int>(threadIdx.x % Traits::kGroupThreads);
         i < Traits::kKeys * kChunks; i += Traits::kGroupThreads)
      asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(values +
                                                                    panel * Traits::kKeyPanel +
                                                                    i * 16),
                   "r"(0)
                   : "memory");
  ptx::fence_async_proxy();
  ptx::sync_at(barrier, Traits::kGroupThreads);
}

/// Starts the products of queries with the first `Keys` keys of a tile.
template <typename Config, typename T, int Keys>
INGOT_DEVICE void start_scores(float (&scores)[Keys / 2], u64 queries, u64 keys) {
  using Traits = AttentionSm90Traits<Config, T>;
#pragma unroll
  for (int step = 0; step < Traits::kSteps; ++step)
    ptx::WgmmaShared<T, Keys>::run(
        scores, queries + (step / 4 * Traits::kQueryPanel + step % 4 * 32) / 16,
        keys + (step / 4 * Traits::kKeyPanel + step % 4 * 32) / 16, step > 0);
  ptx::wgmma_commit();
}
/// Starts the products of the first `Keys` probabilities with values.
template <typename Config, typename T, int Keys>
INGOT_DEVICE void start_values(AttentionRows<Config, T> &rows,
                               const u32 (&probabilities)[Config::kKeys / 16][4], u64 values) {
  using Traits = AttentionSm90Traits<Config, T>;
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < Keys / 16; ++step)
    ptx::WgmmaRegisters<T, Traits::kColumns>::run(
        rows.out, probabilities[step], values + step * 16 * Traits::kRowBytes / 16, true);
  ptx::wgmma_commit();
}

template <typename T, int Fragments, int Scores>
INGOT_DEVICE void pack_probabilities(u32 (&packed)[Fragments][4], const float (&scores)[Scores]) {
#pragma unroll
  for (int i = 0; i < Scores / 2; ++i)
    packed[i / 4][i % 4] = pack_pair<T>(scores[i * 2], scores[i * 2 + 1]);
}

template <typename Config, typename T>
INGOT_DEVICE void consume_attention(const AttentionArguments<T> &a,
                                    const AttentionRing<Config, T> &ring, AttentionSlot slot) {
  using Traits = AttentionSm90Traits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  constexpr int kTurnThreads = 2 * Traits::kGroupThreads;
  const int group = static_cast<int>(threadIdx.x) / Traits::kGroupThreads - 1;
  const int warp = threadIdx.x % Traits::kGroupThreads / kWarp, lane = threadIdx.x % kWarp;
  const bool first = threadIdx.x % Traits::kGroupThreads == 0;
  const int myTurn = 1 + group, nextTurn = 1 + (group + 1) % Traits::kConsumers;
  const int ownBarrier = 1 + Traits::kConsumers + group;
  if (group == Traits::kConsumers - 1)
    ptx::arrive_at(nextTurn, kTurnThreads);
  RingPlace<Config> keyPlace, valuePlace;
  u32 queryParity = 0;
  AttentionWork work;
  while (slot.read(work)) {
    const int firstRow = work.firstQuery + group * Traits::kGroupRows;
    if (firstRow >= work.tokens) {
      // Only lets the ring go on. The warps stay together: one that is left behind by a whole round
      // would not see that it went by.
      auto pass = [&](u32 full, u32 parity) {
        ptx::wait_barrier(full, parity);
        ptx::sync_at(ownBarrier, Traits::kGroupThreads);
        if (first)
          ptx::arrive(full + 8); // Empty.
      };
      pass(ring.queriesFull(group), queryParity);
      queryParity ^= 1;
      for (int tile = work.firstTile; tile < work.afterTile; ++tile) {
        pass(ring.keysFull(keyPlace.stage), keyPlace.parity);
        pass(ring.valuesFull(valuePlace.stage), valuePlace.parity);
        keyPlace.advance();
        valuePlace.advance();
      }
      continue;
    }
    // Turns are taken where every warpgroup has rows.
    const bool turns = work.firstQuery + (Traits::kConsumers - 1) * Traits::kGroupRows < work.tokens;
    AttentionRows<Config, T> rows;
    const int warpRow = firstRow + warp * 16;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      rows.base[half] = nothing();
      rows.sum[half] = 0;
      rows.correction[half] = 1;
      rows.position[half] = work.past + warpRow + half * 8 + lane / 4;
    }
#pragma unroll
    for (int i = 0; i < AttentionRows<Config, T>::kOut; ++i)
      rows.out[i] = 0;
    float slope = 0;
    if constexpr (Config::kAlibi)
      slope = a.slopes[work.head];
    const i32 lowest = work.past + firstRow, highest = lowest + Traits::kGroupRows - 1;
    const u64 queries = ptx::describe_matrix(ring.queries(group));
    u32 probabilities[Traits::kKeys / 16][4];
    auto soften = [&](auto &scores, int tile) {
      const i32 firstKey = tile * Traits::kKeys;
      if (!Hooks::kPlain ||
          !Hooks::allVisible(lowest, highest, firstKey, firstKey + Traits::kKeys, work.keys))
        rows.mask(scores, firstKey, work.keys, slope);
      return rows.soften(scores);
    };
    auto waitForValues = [&](int tile) {
      ptx::wait_barrier(ring.valuesFull(valuePlace.stage), valuePlace.parity);
      const int valid = work.keys - tile * Traits::kKeys;
      if (valid < Traits::kKeys)
        clear_values<Config, T>(ring.values(valuePlace.stage), valid, ownBarrier);
      return ptx::describe_rows_of_n(ring.values(valuePlace.stage), Traits::kKeyPanel);
    };
    ptx::wait_barrier(ring.queriesFull(group), queryParity);
    queryParity ^= 1;
    if (work.firstTile == work.afterTile) {
      if (first)
        ptx::arrive(ring.queriesEmpty(group));
      rows.store(a, work, warpRow);
      continue;
    }
    auto scoreTile = [&](auto &scores, int tile) {
      ptx::wait_barrier(ring.keysFull(keyPlace.stage), keyPlace.parity);
      if (turns)
        ptx::sync_at(myTurn, kTurnThreads);
      ptx::wgmma_fence();
      start_scores<Config, T, sizeof(scores) / 2>(scores, queries,
                                                  ptx::describe_matrix(ring.keys(keyPlace.stage)));
      if (turns)
        ptx::arrive_at(nextTurn, kTurnThreads);
      ptx::wgmma_wait<0>();
      if (first)
        ptx::arrive(ring.keysEmpty(keyPlace.stage));
      keyPlace.advance();
      soften(scores, tile);
      pack_probabilities<T>(probabilities, scores);
    };
    int tile = work.afterTile - 1;
    bool half = min_of(work.keys, Config::kCausal ? highest + 1 : work.keys) -
                    tile * Traits::kKeys <=
                Traits::kHalfKeys;
    if (half) {
      float scores[Traits::kHalfKeys / 2];
      scoreTile(scores, tile);
    } else {
      float scores[Traits::kKeys / 2];
      scoreTile(scores, tile);
    }
    for (--tile; tile >= work.firstTile; --tile) {
      ptx::wait_barrier(ring.keysFull(keyPlace.stage), keyPlace.parity);
      const u64 values = waitForValues(tile + 1);
      if (turns)
        ptx::sync_at(myTurn, kTurnThreads);
      ptx::wgmma_fence();
      float scores[Traits::kKeys / 2];
      start_scores<Config, T, Traits::kKeys>(scores, queries,
                                             ptx::describe_matrix(ring.keys(keyPlace.stage)));
      if (half)
        start_values<Config, T, Traits::kHalfKeys>(rows, probabilities, values);
      else
        start_values<Config, T, Traits::kKeys>(rows, probabilities, values);
      half = false;
      if (turns)
        ptx::arrive_at(nextTurn, kTurnThreads);
      ptx::wgmma_wait<1>();
      if (first)
        ptx::arrive(ring.keysEmpty(keyPlace.stage));
      keyPlace.advance();
      const bool raised = soften(scores, tile);
      ptx::hold_back(rows.sum[0] + rows.sum[1]);
      ptx::wgmma_wait<0>();
      if (first)
        ptx::arrive(ring.valuesEmpty(valuePlace.stage));
      valuePlace.advance();
      pack_probabilities<T>(probabilities, scores);
      if (raised)
        rows.rescale();
    }
    if (first)
      ptx::arrive(ring.queriesEmpty(group));
    const u64 values = waitForValues(work.firstTile);
    ptx::wgmma_fence();
    if (half)
      start_values<Config, T, Traits::kHalfKeys>(rows, probabilities, values);
    else
      start_values<Config, T, Traits::kKeys>(rows, probabilities, values);
    ptx::wgmma_wait<0>();
    if (first)
      ptx::arrive(ring.valuesEmpty(valuePlace.stage));
    valuePlace.advance();
    rows.store(a, work, warpRow);
  }
  if (group == 0) // The turn that nobody took.
    ptx::sync_at(myTurn, kTurnThreads);
}

#endif

template <typename Config, typename T>
INGOT_DEVICE void attention_sm90(const AttentionArguments<T> &a, const TensorMap *mapQ,
                                 const TensorMap *mapK, const TensorMap *mapV) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  using Traits = AttentionSm90Traits<Config, T>;
  extern __shared__ __align__(128) unsigned char shared_bytes[];
  __shared__ i32 tilesBefore[Config::kBatchMost + 1];
  __shared__ AttentionWork work;
  static_assert(Traits::kSharedBytes <= Config::kSharedBytes,
                "the launch gives the shared memory that the tiles take");
  ptx::allow_next_grid();
  // Hidden from constant folding: NVRTC 13.0 ends in a signal on descriptors that are constants.
  u32 base = ptx::shared_address(shared_bytes);
  asm volatile("" : "+r"(base));
  const AttentionRing<Config, T> ring{(base + 1023) & ~1023u};
  if (threadIdx.x == 0) {
    ring.init();
    ptx::prefetch_map(mapQ);
    ptx::prefetch_map(mapK);
    ptx::prefetch_map(mapV);
  }
  ptx::wait_for_previous_grid();
  count_attention_tiles<Config, Traits::kRows>(a, tilesBefore);
  __syncthreads();
  const AttentionSlot slot{&work, ring.workFull()};
  if (threadIdx.x < Traits::kGroupThreads) {
    ptx::fewer_registers<Config::kProducerRegisters>();
    if (threadIdx.x < 2 * kWarp)
      produce_attention<Config, T>(a, mapQ, mapK, mapV, ring, slot);
    else if (threadIdx.x == 2 * kWarp)
      schedule_attention<Config, Traits::kRows, Traits::kKeys>(a, tilesBefore, slot);
  } else {
    ptx::more_registers<Config::kConsumerRegisters>();
    consume_attention<Config, T>(a, ring, slot);
  }
#endif
}

} // namespace ingot
