// stream_state.cuh - What blocks and warps of a stream (stream.cuh) know: launches, tiles, places
// in shared memory, and how far they are.
#pragma once

#include "codegen/cuda/kernels/exchange.cuh"
#include "codegen/cuda/ptx/barrier.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/ptx/grid.cuh"

namespace ingot {

/// Warps of a block that multiply, and that finish tiles, each every third; one more starts copies.
/// Whole groups of four, as registers go to those.
constexpr int kStreamWarps = 8, kStreamFinishers = 3;
constexpr int kStreamThreads = (kStreamWarps + 1 + kStreamFinishers) * kWarp;
/// Registers of a thread of the warps that multiply, and of the others. What the compiler would
/// keep in memory else comes from L2: shared memory leaves the first cache no room. Warps wait
/// forever for more than their block had when it started: 65536, in eights a thread.
constexpr int kStreamRegisters = 208, kStreamOtherRegisters = 88;
static_assert(kStreamWarps * kStreamRegisters +
                  (kStreamThreads / kWarp - kStreamWarps) * kStreamOtherRegisters <=
              65536 / kStreamThreads / 8 * 8 * (kStreamThreads / kWarp));
constexpr int kStreamRows = 16, kStreamBoxK = 64, kStreamStageK = kStreamBoxK * kStreamWarps;
constexpr int kStreamBoxBytes = kStreamRows * kStreamBoxK * 2;
constexpr int kStreamStageBytes = kStreamBoxBytes * kStreamWarps;
constexpr int kStreamMostStages = 13, kStreamMostTokens = 8;
/// Tiles whose sums are kept.
constexpr int kStreamSums = 2 * kStreamFinishers;
/// Floats from token to token of a warp's sums, and where among them the token's squares are:
/// lanes' stores meet other banks.
constexpr int kStreamSumPitch = kStreamRows + 4, kStreamSquares = kStreamRows;
/// Stages that are on their way at once, of as many as there are: more only wait longer for DRAM,
/// and blocks end further apart.
constexpr int kStreamFlight = 3;
/// Stages of W that a block brings as far as L2 while its ring is full, and clocks from one to the
/// next: about what DRAM gives a multiprocessor one in.
constexpr int kStreamAhead = 8, kStreamPace = 1400;
/// In front of what is exchanged: the number of the next tile, less one.
constexpr int kStreamCounterBytes = 128;

/// Bytes from token to token of what a warp has of them in shared memory: two tokens' pieces of 16
/// bytes meet other banks.
INGOT_DEVICE constexpr int stream_token_pitch(int groups, int splits) {
  return (groups + splits - 1) / splits * kStreamBoxK * 2 + 16;
}

/// One launch, in device memory.
struct alignas(64) StreamStep {
  TensorMap maps[2];       // of W, in boxes of 64 of K by 16 rows; of the cache's keys and values
  const void *buffers[14]; // those that are exchanged: bytes from the beginning, a token
  u64 part;                // the same of what a launch's own tiles exchange
  u32 task;
  u32 exchanged; // a bit a buffer
};

struct StreamArguments {
  const StreamStep *steps;
  int count;
  unsigned char *exchange;
  i64 most; // tokens, as the host knows them: what lies in `exchange` counts with them
};

/// How many tokens there are, once the grid in front has ended.
INGOT_DEVICE int stream_tokens(const StreamArguments &a, const i32 *address) {
  const i32 most = static_cast<i32>(a.most);
  return address ? min_of(max_of(*reinterpret_cast<const volatile i32 *>(address), 0), most) : most;
}

/// What the warps of a block know of a tile: the step's part behind its map, and which it is.
struct alignas(16) StreamTile {
  const void *buffers[14];
  u64 part;
  u32 task, exchanged;
  int step, tile;         // -1: there are no more
  int firstStage, stages; // of K, where it is a linear layer's

  INGOT_DEVICE bool is_exchanged(int buffer) const { return exchanged >> buffer & 1; }
  INGOT_DEVICE unsigned char *address(const StreamArguments &a, int buffer) const {
    const auto place = reinterpret_cast<u64>(buffers[buffer]);
    return is_exchanged(buffer)
               ? a.exchange + kStreamCounterBytes + place * static_cast<u64>(a.most)
               : reinterpret_cast<unsigned char *>(place);
  }
  INGOT_DEVICE StreamSource source(const StreamArguments &a, int buffer) const {
    return {address(a, buffer), is_exchanged(buffer)};
  }
  INGOT_DEVICE unsigned char *part_address(const StreamArguments &a) const {
    return a.exchange + kStreamCounterBytes + part * static_cast<u64>(a.most);
  }
};
static_assert(sizeof(StreamStep) == 384 && sizeof(StreamTile) == 144, "words are copied");

/// What of a linear layer differs from task to task. Numbers and no template arguments, so that
/// tasks share code: all of a stream's has to stay where instructions are cached.
struct StreamShape {
  int rowTiles;                 // 0: none, this is no linear layer
  int k, groups, splits;        // groups of 512 of K; parts of as many groups as possible
  int offset, rowStride;        // of x, elements
  int x, result, beside, gains; // buffers; -1: none
  int n, results, resultStride; // of eight sums; elements
  float normEps;
  bool norm;

  INGOT_DEVICE int first_stage(int part) const { return part * groups / splits; }
};

/// The kinds of launches of a stream.
template <typename First, typename... Others> struct StreamTasks {
  using Type = typename First::Type;
  /// Calls `f` with the task `index`.
  template <typename F> static INGOT_DEVICE void visit(u32 index, const F &f) {
    u32 i = 1;
    index == 0 ? (f(First()), 0) : 0;
    ((i++ == index ? (f(Others()), 0) : 0), ...);
  }
  static INGOT_DEVICE StreamShape shape(u32 index) {
    StreamShape shape = {};
    visit(index, [&](auto task) { shape = decltype(task)::Kind::shape(); });
    return shape;
  }
  /// Bytes of shared memory for what a warp has of a token of linear layers, and for the work of
  /// others.
  static INGOT_DEVICE constexpr int token_bytes() {
    int most = First::Kind::token_bytes();
    ((most = max_of(most, Others::Kind::token_bytes())), ...);
    return most;
  }
  static INGOT_DEVICE constexpr int work_bytes() {
    int most = First::Kind::work_bytes();
    ((most = max_of(most, Others::Kind::work_bytes())), ...);
    return most;
  }
};

/// Where things are in a block's shared memory: the ring first, from the end what always takes as
/// much, in front of that what the numbers of steps and tokens say. Places are computed each time,
/// as all warps would keep them.
template <typename Tasks, int SharedBytes> struct StreamPlaces {
  u32 base; // shared address, a multiple of 1024
  int most, count, stages;

  static INGOT_DEVICE constexpr int round(int bytes) { return (bytes + 127) & ~127; }
  static constexpr int kBarriers =
      SharedBytes - 1024 - round((2 * kStreamMostStages + 3 * kStreamSums) * 8);
  static constexpr int kTiles = kBarriers - round(kStreamMostStages * int(sizeof(StreamTile)));
  static constexpr int kSumTiles = kTiles - round(kStreamSums * int(sizeof(StreamTile)));
  static constexpr int kSquares = kSumTiles - kStreamWarps * kStreamMostTokens * 4;
  static constexpr int kWork = kSquares - round(Tasks::work_bytes());

  INGOT_DEVICE StreamPlaces(int most, int count) : most(most), count(count) {
    base = (ptx::shared_address(bytes()) + 1023) & ~1023u;
    stages = count_stages(most, count);
  }
  /// Stages of the ring; more than kStreamFlight, or a block waits for its own next copies.
  static INGOT_DEVICE constexpr int count_stages(int most, int count) {
    return min_of(tokens_place(most, count) / kStreamStageBytes, kStreamMostStages);
  }
  INGOT_DEVICE unsigned char *memory() const {
    return bytes() + (base - ptx::shared_address(bytes()));
  }
  INGOT_DEVICE u32 full(int stage) const { return base + kBarriers + stage * 8; }
  INGOT_DEVICE u32 empty(int stage) const { return full(kStreamMostStages + stage); }
  INGOT_DEVICE u32 sum_full(int i) const { return full(2 * kStreamMostStages + i); }
  INGOT_DEVICE u32 sum_empty(int i) const { return sum_full(kStreamSums + i); }
  /// The tile that sums will be of.
  INGOT_DEVICE u32 sum_known(int i) const { return sum_empty(kStreamSums + i); }
  INGOT_DEVICE StreamTile &tile(int stage) const {
    return reinterpret_cast<StreamTile *>(memory() + kTiles)[stage];
  }
  INGOT_DEVICE StreamTile &sum_tile(int i) const {
    return reinterpret_cast<StreamTile *>(memory() + kSumTiles)[i];
  }
  /// Of the tokens that warp `warp` has, for the tiles to come.
  INGOT_DEVICE float *square(int warp) const {
    return reinterpret_cast<float *>(memory() + kSquares) + warp * kStreamMostTokens;
  }
  INGOT_DEVICE unsigned char *work() const { return memory() + kWork; }
  INGOT_DEVICE int *first_tiles() const {
    return reinterpret_cast<int *>(memory() + first_tiles_place(count));
  }
  /// What warp `warp` has of a tile: [token][row of W].
  INGOT_DEVICE float *sum(int i, int warp) const {
    return reinterpret_cast<float *>(memory() + sums_place(most, count)) +
           (i * kStreamWarps + warp) * most * kStreamSumPitch;
  }
  /// What warp `warp` has of tokens: the same bytes for each launch, as warps are not all in one.
  INGOT_DEVICE unsigned char *tokens(int warp) const {
    return memory() + tokens_place(most, count) + warp * most * Tasks::token_bytes();
  }

private:
  static INGOT_DEVICE unsigned char *bytes() {
    extern __shared__ __align__(128) unsigned char shared_bytes[];
    return shared_bytes;
  }
  static INGOT_DEVICE constexpr int first_tiles_place(int count) {
    return kWork - round((count + 1) * 4);
  }
  static INGOT_DEVICE constexpr int sums_place(int most, int count) {
    return first_tiles_place(count) - kStreamSums * kStreamWarps * kStreamSumPitch * 4 * most;
  }
  static INGOT_DEVICE constexpr int tokens_place(int most, int count) {
    return sums_place(most, count) - round(kStreamWarps * most * Tasks::token_bytes());
  }
};

/// How far the warps that multiply are: the same in each.
struct StreamConsumer {
  int stage = 0;
  u32 parity = 0;
  int sum = 0;
  u32 sumParity = 1;
  int step = -1, firstStage = -1; // whose tokens are in shared memory

  INGOT_DEVICE void next_stage(int stages) {
    if (++stage == stages) {
      stage = 0;
      parity ^= 1;
    }
  }
  INGOT_DEVICE void next_sum() {
    if (++sum == kStreamSums) {
      sum = 0;
      sumParity ^= 1;
    }
  }
};

#if __CUDA_ARCH__ >= 900

/// The arrival of a warp: of each lane, for what it has done itself (one for all takes as long).
INGOT_DEVICE void stream_arrive(u32 barrier) {
  __syncwarp(); // They go on together.
  ptx::arrive(barrier);
}
/// The same, of one that starts copies of `bytes` behind it.
INGOT_DEVICE void stream_arrive_expecting(u32 barrier, u32 bytes) {
  __syncwarp();
  if (threadIdx.x % kWarp == 0)
    ptx::arrive_expecting(barrier, bytes);
  else
    ptx::arrive(barrier);
  __syncwarp();
}

/// Rows of W of a tile, and their part of K.
struct StreamRows {
  const TensorMap *map;
  int row, firstStage, stages; // no stages: the tile is none of a linear layer
};
template <typename Tasks>
INGOT_DEVICE StreamRows find_stream_rows(const StreamStep &step, int tile) {
  StreamRows rows = {step.maps, 0, 0, 0};
  const StreamShape shape = Tasks::shape(step.task);
  if (shape.rowTiles > 0) {
    const int part = tile / shape.rowTiles;
    rows.row = (tile - part * shape.rowTiles) * kStreamRows;
    rows.firstStage = shape.first_stage(part);
    rows.stages = shape.first_stage(part + 1) - rows.firstStage;
  }
  return rows;
}

/// The warp that starts copies: which tiles it has taken, and where in the ring it is. While the
/// ring is full, as nobody multiplies, it asks for what follows of W to come to L2, about as fast
/// as DRAM gives it; and goes on so until copies, which then are faster than DRAM, have caught up.
template <typename Tasks, typename Places> class StreamProducer {
public:
  INGOT_DEVICE StreamProducer(const StreamArguments &a, const Places &places)
      : arguments(a), places(places), ago(places.stages - kStreamFlight) {
    arrived = take();
    last = now();
  }
  INGOT_DEVICE u32 full() const { return places.full(stage); }
  INGOT_DEVICE u32 address() const { return places.base + stage * kStreamStageBytes; }
  INGOT_DEVICE StreamTile &tile() const { return places.tile(stage); }
  /// Until the next stage has been read.
  INGOT_DEVICE void wait_empty() {
    while (!is_over(places.empty(stage), parity))
      keep_ahead(true);
  }
  /// Until few enough are on their way.
  INGOT_DEVICE void wait_flight() {
    while (!is_over(places.full(ago), agoParity))
      keep_ahead(false);
  }
  INGOT_DEVICE void next() {
    if (++stage == places.stages) {
      stage = 0;
      parity ^= 1;
    }
    if (++ago == places.stages) {
      ago = 0;
      agoParity ^= 1;
    }
  }
  /// The next tile: `step` is its launch, or none if there are no more.
  INGOT_DEVICE int pop(int &step) {
    if (held == 0)
      push();
    const int number = __shfl_sync(kAllLanes, numbers, 0);
    numbers = __shfl_down_sync(kAllLanes, numbers, 1);
    --held;
    --cursor;
    const int *firstTiles = places.first_tiles();
    if (number >= firstTiles[arguments.count])
      return -1;
    while (number >= firstTiles[step + 1])
      ++step;
    presentStep = step;
    present = find_stream_rows<Tasks>(arguments.steps[step], number - firstTiles[step]);
    presentStage = 0;
    return number - firstTiles[step];
  }
  /// Stages of the present tile's rows to the ring.
  INGOT_DEVICE void copy_rows() {
    const int box = threadIdx.x % kWarp;
#pragma unroll 1
    for (; presentStage < present.stages; next()) {
      if (presentStage > 0)
        wait_empty();
      wait_flight();
      stream_arrive_expecting(full(), kStreamStageBytes);
      if (box < kStreamWarps)
        ptx::copy_tensor_2d_once(address() + box * kStreamBoxBytes, present.map,
                                 (present.firstStage + presentStage) * kStreamStageK +
                                     box * kStreamBoxK,
                                 present.row, full());
      ++presentStage;
      ahead = max_of(ahead - 1, 0);
    }
  }
  StreamRows present = {};

private:
  /// For all lanes: they go on together.
  static INGOT_DEVICE bool is_over(u32 barrier, u32 parity) {
    return __all_sync(kAllLanes, ptx::test_barrier(barrier, parity));
  }
  /// The same for all lanes, as what follows is for all.
  static INGOT_DEVICE int now() { return __shfl_sync(kAllLanes, static_cast<int>(clock()), 0); }
  INGOT_DEVICE int take() const {
    return threadIdx.x % kWarp == 0
               ? static_cast<int>(atomicAdd(reinterpret_cast<u32 *>(arguments.exchange), 1u) + 1)
               : 0;
  }
  INGOT_DEVICE void push() {
    const int number = __shfl_sync(kAllLanes, arrived, 0);
    if (static_cast<int>(threadIdx.x) % kWarp == held)
      numbers = number;
    ++held;
    if (number < places.first_tiles()[arguments.count])
      arrived = take();
  }
  INGOT_DEVICE void keep_ahead(bool isFull) {
    if (ahead >= kStreamAhead || !(ahead > 0 || isFull))
      return;
    const int time = now();
    if (time - last < kStreamPace)
      return;
    if (ahead == 0) {
      cursor = -1;
      following = present;
      followingStage = presentStage;
    }
    // Tiles of other launches have no stages that are known ahead.
    while (followingStage >= following.stages) {
      if (cursor + 1 == held) {
        if (held == kWarp)
          return;
        push();
      }
      const int number = __shfl_sync(kAllLanes, numbers, cursor + 1);
      const int *firstTiles = places.first_tiles();
      if (number >= firstTiles[arguments.count])
        return;
      ++cursor;
      if (cursor == 0)
        followingStep = presentStep;
      while (number >= firstTiles[followingStep + 1])
        ++followingStep;
      following = find_stream_rows<Tasks>(arguments.steps[followingStep],
                                          number - firstTiles[followingStep]);
      followingStage = 0;
    }
    const int box = threadIdx.x % kWarp;
    if (box < kStreamWarps)
      ptx::prefetch_tensor_2d(following.map,
                              (following.firstStage + followingStage) * kStreamStageK +
                                  box * kStreamBoxK,
                              following.row);
    __syncwarp();
    ++followingStage;
    ++ahead;
    last = time;
  }

  const StreamArguments &arguments;
  const Places &places;
  int stage = 0, ago;
  u32 parity = 1, agoParity = 1;
  // Tiles taken beside the present one: a lane has one, from the next on.
  int arrived, numbers = 0, held = 0;
  int presentStep = 0, presentStage = 0;
  // What is asked for next, of how many-th tile taken (-1: the present one); and how many stages
  // copies are behind.
  StreamRows following;
  int cursor = -1, followingStep = 0, followingStage = 0, ahead = 0, last;
};

#endif

} // namespace ingot
