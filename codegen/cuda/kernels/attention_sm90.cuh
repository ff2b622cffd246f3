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
// factor of 2^8 of probabilities: what was summed so far is rescaled rarely, and the quotient at
// the end is the same.
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

#include "codegen/cuda/kernels/attention_rows.cuh"
#include "codegen/cuda/ptx/tensor_copy.cuh"
#include "codegen/cuda/ptx/wgmma_wide.cuh"

namespace ingot {

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
    ptx::init_barrier(workFull() + 8, Traits::kWorkers * kWarp);
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

/// Overwrites the values of keys past the end of a row, by one warpgroup: probabilities of zero
/// times what a buffer happened to hold need not be zero.
template <typename Config, typename T>
INGOT_DEVICE void clear_values(u32 values, int validRows, int barrier) {
  using Traits = AttentionSm90Traits<Config, T>;
  constexpr int kChunks = Traits::kRowBytes / 16;
  for (int panel = 0; panel < Traits::kPanels; ++panel)
    for (int i = validRows * kChunks + static_cast<int>(threadIdx.x % Traits::kGroupThreads);
         i < Traits::kKeys * kChunks; i += Traits::kGroupThreads)
      asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(
                       values + panel * Traits::kKeyPanel + i * 16),
                   "r"(0)
                   : "memory");
  ptx::fence_async_proxy();
  ptx::sync_at(barrier, Traits::kGroupThreads);
}

/// Starts the products of queries with the first `Keys` keys of a tile.
template <typename Config, typename T, int Keys>
INGOT_DEVICE void start_scores(float (&scores)[Keys / 2], u64 queries, u64 keys) {
  using Traits = AttentionSm90Traits<Config, T>;
  ptx::wgmma_fence();
#pragma unroll
  for (int step = 0; step < Traits::kSteps; ++step)
    ptx::WgmmaShared<T, Keys>::run(
        scores, ptx::advance_matrix(queries, step / 4 * Traits::kQueryPanel + step % 4 * 32),
        ptx::advance_matrix(keys, step / 4 * Traits::kKeyPanel + step % 4 * 32), step > 0);
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
        rows.out, probabilities[step], ptx::advance_matrix(values, step * 16 * Traits::kRowBytes),
        true);
  ptx::wgmma_commit();
}

template <typename T, int Fragments, int Scores>
INGOT_DEVICE void pack_probabilities(u32 (&packed)[Fragments][4], const float (&scores)[Scores]) {
#pragma unroll
  for (int i = 0; i < Scores / 2; ++i)
    packed[i / 4][i % 4] = pack_pair<T>(scores[i * 2], scores[i * 2 + 1]);
}

/// A warpgroup with 64 queries of the block's item.
template <typename Config, typename T> struct AttentionConsumer {
  using Traits = AttentionSm90Traits<Config, T>;
  using Hooks = AttentionHooks<Config>;
  static constexpr int kTurnThreads = 2 * Traits::kGroupThreads;

  const AttentionArguments<T> &a;
  const AttentionRing<Config, T> &ring;
  int group;
  /// Tiles of keys that were taken; a tile of values has the number of its keys.
  u32 taken = 0;
  AttentionWork work;
  AttentionRows<Config, T> rows;
  /// Whether warpgroups take turns: where every one has rows.
  bool turns;
  i32 lowest; // position of the warpgroup's queries
  float slope;
  u32 probabilities[Traits::kKeys / 16][4];

  /// Without a window an item begins with the first tile: a register less.
  INGOT_DEVICE i32 firstTile() const { return Config::kWindow > 0 ? work.firstTile : 0; }
  INGOT_DEVICE i32 highest() const { return lowest + Traits::kGroupRows - 1; }
  INGOT_DEVICE bool isFirst() const { return threadIdx.x % Traits::kGroupThreads == 0; }
  INGOT_DEVICE int myTurn() const { return 1 + group; }
  INGOT_DEVICE int nextTurn() const { return 1 + (group + 1) % Traits::kConsumers; }
  INGOT_DEVICE int ownBarrier() const { return 1 + Traits::kConsumers + group; }
  INGOT_DEVICE void takeTurn() const {
    if (turns)
      ptx::sync_at(myTurn(), kTurnThreads);
  }
  INGOT_DEVICE void passTurn() const {
    if (turns)
      ptx::arrive_at(nextTurn(), kTurnThreads);
  }
  INGOT_DEVICE void release(u32 full) const {
    if (isFirst())
      ptx::arrive(full + 8); // Empty.
  }
  static INGOT_DEVICE int stageOf(u32 tile) { return tile % Config::kStages; }
  static INGOT_DEVICE u32 parityOf(u32 tile) { return tile / Config::kStages % 2; }
  INGOT_DEVICE void releaseKeys() {
    release(ring.keysFull(stageOf(taken)));
    ++taken;
  }
  INGOT_DEVICE void releaseValues(u32 number) { release(ring.valuesFull(stageOf(number))); }

  /// Masked and transformed scores become probabilities; true if `rows.out` must be rescaled.
  template <int Scores> INGOT_DEVICE bool soften(float (&scores)[Scores], int tile) {
    const i32 firstKey = tile * Traits::kKeys;
    float shift[2] = {};
    if constexpr (!Hooks::kPlain)
      rows.transform(scores, firstKey, slope, shift);
    if (!Hooks::allVisible(lowest, highest(), firstKey, firstKey + Traits::kKeys, work.keys))
      rows.mask(scores, firstKey, work.keys);
    return rows.soften(scores, shift);
  }
  INGOT_DEVICE u64 waitForKeys() const {
    ptx::wait_barrier(ring.keysFull(stageOf(taken)), parityOf(taken));
    return ptx::describe_matrix(ring.keys(stageOf(taken)));
  }
  INGOT_DEVICE u64 waitForValues(u32 number, int tile) const {
    ptx::wait_barrier(ring.valuesFull(stageOf(number)), parityOf(number));
    const int valid = work.keys - tile * Traits::kKeys;
    if (valid < Traits::kKeys)
      clear_values<Config, T>(ring.values(stageOf(number)), valid, ownBarrier());
    return ptx::describe_rows_of_n(ring.values(stageOf(number)), Traits::kKeyPanel);
  }
  /// The probabilities of the first `Keys` keys of the tile that comes first.
  template <int Keys> INGOT_DEVICE void scoreLast(u64 queries, int tile) {
    float scores[Keys / 2];
    const u64 keys = waitForKeys();
    takeTurn();
    start_scores<Config, T, Keys>(scores, queries, keys);
    passTurn();
    ptx::wgmma_wait<0>();
    releaseKeys();
    if (tile == firstTile())
      release(ring.queriesFull(group));
    soften(scores, tile);
    pack_probabilities<T>(probabilities, scores);
  }

  /// Takes the last tiles of an item, of whose keys only other warpgroups see some, from `work`,
  /// and says how many they are.
  INGOT_DEVICE int cutTiles() {
    if constexpr (!Config::kCausal)
      return 0;
    const i32 last = min_of(work.keys, highest() + 1);
    const i32 after = max_of(min_of(work.afterTile, ceil_div(last, Traits::kKeys)), work.firstTile);
    const int cut = work.afterTile - after;
    work.afterTile = after;
    return cut;
  }
  /// Lets tiles go by of which this warpgroup sees nothing, and its turns with them. Its warps stay
  /// together, as in skip().
  INGOT_DEVICE void passTiles(int count) {
#pragma unroll 1
    for (; count > 0; --count) {
      takeTurn();
      passTurn();
      waitForKeys();
      ptx::wait_barrier(ring.valuesFull(stageOf(taken)), parityOf(taken));
      ptx::sync_at(ownBarrier(), Traits::kGroupThreads);
      releaseValues(taken);
      releaseKeys();
    }
  }

  INGOT_DEVICE void attend() {
    // Known to be the same for a warp from here on, as what is in `work` is.
    taken = __shfl_sync(kAllLanes, taken, 0);
    const u64 queries = ptx::describe_matrix(ring.queries(group));
    int tile = work.afterTile - 1;
    bool half =
        min_of(work.keys, Config::kCausal ? highest() + 1 : work.keys) - tile * Traits::kKeys <=
        Traits::kHalfKeys;
    if (half)
      scoreLast<Traits::kHalfKeys>(queries, tile);
    else
      scoreLast<Traits::kKeys>(queries, tile);
    for (--tile; tile >= firstTile(); --tile) {
      float scores[Traits::kKeys / 2];
      const u64 keys = waitForKeys(), values = waitForValues(taken - 1, tile + 1);
      takeTurn();
      start_scores<Config, T, Traits::kKeys>(scores, queries, keys);
      if (half)
        start_values<Config, T, Traits::kHalfKeys>(rows, probabilities, values);
      else
        start_values<Config, T, Traits::kKeys>(rows, probabilities, values);
      half = false;
      passTurn();
      ptx::wgmma_wait<1>();
      releaseKeys();
      if (tile == firstTile())
        release(ring.queriesFull(group));
      const bool raised = soften(scores, tile);
      ptx::hold_back(rows.sum[0] + rows.sum[1]);
      ptx::wgmma_wait<0>();
      releaseValues(taken - 2);
      pack_probabilities<T>(probabilities, scores);
      if (raised)
        rows.rescale();
    }
    const u64 values = waitForValues(taken - 1, firstTile());
    if (half)
      start_values<Config, T, Traits::kHalfKeys>(rows, probabilities, values);
    else
      start_values<Config, T, Traits::kKeys>(rows, probabilities, values);
    ptx::wgmma_wait<0>();
    releaseValues(taken - 1);
  }

  /// Lets an item go by of which this warpgroup has no rows. Its warps stay together: one that is
  /// left behind by a whole round of the ring would not see that it went by.
  INGOT_DEVICE void skip() {
    ptx::sync_at(ownBarrier(), Traits::kGroupThreads);
    release(ring.queriesFull(group));
#pragma unroll 1
    for (int tile = work.firstTile; tile < work.afterTile; ++tile) {
      waitForKeys();
      ptx::sync_at(ownBarrier(), Traits::kGroupThreads);
      releaseKeys();
      ptx::wait_barrier(ring.valuesFull(stageOf(taken - 1)), parityOf(taken - 1));
      ptx::sync_at(ownBarrier(), Traits::kGroupThreads);
      releaseValues(taken - 1);
    }
  }

  INGOT_DEVICE void run(AttentionSlot slot) {
    const int warp = threadIdx.x % Traits::kGroupThreads / kWarp, lane = threadIdx.x % kWarp;
    if (group == Traits::kConsumers - 1)
      ptx::arrive_at(nextTurn(), kTurnThreads);
    while (slot.read(work)) {
      const int firstRow = work.firstQuery + group * Traits::kGroupRows;
      const int warpRow = firstRow + warp * 16;
      lowest = work.past + firstRow;
      turns = work.firstQuery + (Traits::kConsumers - 1) * Traits::kGroupRows < work.tokens;
      // Queries come once an item, as items do.
      ptx::wait_barrier(ring.queriesFull(group), slot.parity ^ 1);
      if (firstRow >= work.tokens) {
        skip();
        continue;
      }
      rows.start(work.past + warpRow + lane / 4);
      slope = Config::kAlibi ? a.slopes[work.head] : 0;
      passTiles(cutTiles());
      if (firstTile() < work.afterTile)
        attend();
      else
        release(ring.queriesFull(group));
      rows.store(a, work, warpRow);
    }
    if (group == 0) // The turn that nobody took.
      ptx::sync_at(myTurn(), kTurnThreads);
  }
};

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
    AttentionConsumer<Config, T> consumer{a, ring, ptx::warpgroup_index() - 1};
    consumer.run(slot);
  }
#endif
}

} // namespace ingot
