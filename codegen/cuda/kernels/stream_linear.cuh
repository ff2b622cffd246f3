// stream_linear.cuh - Linear layers of a stream (stream.cuh): x[M, K] W[N, K]^T for few rows of x.
//
// A tile is 16 rows of W and a part of K, which the warps share: each has the box of 64 of every
// 512. Its part of the tokens it copies to shared memory, when it meets the first tile of a step
// and part; where a norm is in front, times its gains (few_norm.cuh). Where K is in parts, those
// of a row of tiles come one behind the other over all rows, and the last adds up the others.
//
// Constants of a task's Config: kN, kK; kSplits: parts of K, 1 where a norm is in front; kOffset,
// kRowStride: of x, elements; kX, kResult, kBeside, kGains: buffers, -1 where there is none; kNorm,
// kNormEps; kResultStride: elements of a row.
#pragma once

#include "codegen/cuda/kernels/beside.cuh"
#include "codegen/cuda/kernels/few_norm.cuh"
#include "codegen/cuda/kernels/linear_few.cuh"
#include "codegen/cuda/kernels/stream_state.cuh"

namespace ingot {

template <typename Task> struct StreamLinear {
  using Config = typename Task::Config;
  using T = typename Task::Type;
  static constexpr bool kLinear = true;
  static constexpr int kGroups = (Config::kK + kStreamStageK - 1) / kStreamStageK;
  static constexpr int kRowTiles = (Config::kN + kStreamRows - 1) / kStreamRows;
  using Epilogue = decltype(Task::epilogue(StreamArguments(), StreamTile()));
  static_assert(Config::kSplits <= kGroups, "parts of K are whole stages");
  static_assert(!Config::kNorm || Config::kSplits == 1, "a row's squares are of all of K");
  static_assert(Config::kN % 8 == 0 && Config::kK % 8 == 0, "columns are finished by eights");
  static_assert(Config::kRowStride % 8 == 0 && Config::kOffset % 8 == 0, "x is read by 16 bytes");
  static_assert(sizeof(T) == 2, "matrix instructions multiply 16-bit elements here");

  static INGOT_DEVICE StreamShape shape() {
    return {kRowTiles,
            Config::kK,
            kGroups,
            Config::kSplits,
            Config::kOffset,
            Config::kRowStride,
            Config::kX,
            Config::kResult,
            Config::kBeside,
            Config::kGains,
            Config::kN,
            Epilogue::kResults,
            Config::kResultStride,
            Config::kNormEps,
            Config::kNorm};
  }
  static INGOT_DEVICE constexpr int count_tiles(int) { return kRowTiles * Config::kSplits; }
  static INGOT_DEVICE constexpr int token_bytes() {
    return stream_token_pitch(kGroups, Config::kSplits);
  }
  static INGOT_DEVICE constexpr int work_bytes() { return 0; }

  /// What the epilogue makes of eight sums and what lies beside them, in words.
  static INGOT_DEVICE void end(const StreamArguments &a, const StreamTile &tile, int row,
                               int column, const float (&values)[8], const u32 (&beside)[4],
                               u32 (&words)[4]) {
    u32 results[Epilogue::kResults / 2], given[Epilogue::kResults / 2];
#pragma unroll
    for (int i = 0; i < Epilogue::kResults / 2; ++i)
      given[i] = beside[i];
    Task::epilogue(a, tile).staged(ResultTaker<T>{results},
                                   ResultGiver<T>{given})(static_cast<i64>(row), column, values);
#pragma unroll
    for (int i = 0; i < Epilogue::kResults / 2; ++i)
      words[i] = results[i];
  }
};

#if __CUDA_ARCH__ >= 900

/// This warp's part of the tokens of a tile, to shared memory. Of each token a warp takes four
/// stages at a time, 8 lanes a stage; so many of these at once.
template <typename T, int kAtOnce, typename Places>
INGOT_DEVICE void stream_take_tokens(const StreamArguments &a, const Places &places,
                                     const StreamTile &tile, const StreamShape &shape, int tokens) {
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const StreamSource x = tile.source(a, shape.x);
  const int pitch = stream_token_pitch(shape.groups, shape.splits);
  const int column = lane / 8 * kStreamStageK + warp * kStreamBoxK + lane % 8 * 8;
  const int begin = tile.firstStage * kStreamStageK, stages = tile.stages;
  const auto *gains =
      shape.norm ? static_cast<const float *>(tile.buffers[shape.gains]) + begin : nullptr;
  auto load_gain = [&](float4(&values)[2], int column) {
    values[0] = *reinterpret_cast<const float4 *>(gains + column);
    values[1] = *reinterpret_cast<const float4 *>(gains + column + 4);
  };
  unsigned char *to = places.tokens(warp) + lane % 8 * 16;
  int token = 0, stage = 0;
#pragma unroll 1
  while (token < tokens) {
    int tokenOf[kAtOnce], columnOf[kAtOnce];
    bool taken[kAtOnce], wanted[kAtOnce];
    float4 gain[kAtOnce <= 2 ? kAtOnce : 1][2]; // more would take the registers
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      tokenOf[i] = token;
      columnOf[i] = stage * kStreamStageK + column;
      taken[i] = token < tokens && stage + lane / 8 < stages;
      wanted[i] = taken[i] && begin + columnOf[i] < shape.k;
      if (kAtOnce <= 2 && shape.norm && wanted[i])
        load_gain(gain[i], columnOf[i]);
      if ((stage += 4) >= stages) {
        stage = 0;
        ++token;
      }
    }
    uint4 values[kAtOnce];
    load_exchanged(
        values, x.exchanged,
        [&](int i) {
          return x.data + (i64(tokenOf[i]) * shape.rowStride + shape.offset + begin + columnOf[i]) *
                              i64(sizeof(T));
        },
        [&](int i) { return wanted[i]; });
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (tokenOf[i] >= tokens)
        break;
      if (shape.norm) {
        float squares = 0;
        if (wanted[i]) {
          float4(&mine)[2] = gain[kAtOnce <= 2 ? i : 0];
          if (kAtOnce > 2)
            load_gain(mine, columnOf[i]);
          values[i] = take_gains<T>(values[i], mine[0], mine[1], squares);
        }
#pragma unroll
        for (int distance = 1; distance < kWarp; distance *= 2)
          squares += __shfl_xor_sync(kAllLanes, squares, distance);
        if (lane == 0) {
          float &sum = places.square(warp)[tokenOf[i]];
          sum = columnOf[i] < 4 * kStreamStageK ? squares : sum + squares;
        }
      }
      if (taken[i])
        *reinterpret_cast<uint4 *>(to + tokenOf[i] * pitch +
                                   columnOf[i] / kStreamStageK * (kStreamBoxK * int(sizeof(T)))) =
            values[i];
    }
  }
  __syncwarp();
}

template <typename Tasks, typename Places>
INGOT_DEVICE void stream_multiply(const StreamArguments &a, const Places &places,
                                  const StreamTile &said, StreamConsumer &at, int tokens) {
  using T = typename Tasks::Type;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp, g = lane / 4, c = lane % 4;
  const int step = said.step, firstStage = said.firstStage, stages = said.stages;
  const StreamShape shape = Tasks::shape(said.task);
  if (warp == 0) {
    // For the warp that finishes.
    ptx::wait_barrier(places.sum_empty(at.sum), at.sumParity);
    StreamTile &tile = places.sum_tile(at.sum);
    reinterpret_cast<u32 *>(&tile)[lane] = reinterpret_cast<const u32 *>(&said)[lane];
    if (lane == 0)
      tile.tile = said.tile;
    stream_arrive(places.sum_known(at.sum));
  }
  if (at.step != step || at.firstStage != firstStage) {
    if (tokens == 1 && stages <= 4)
      stream_take_tokens<T, 1>(a, places, said, shape, tokens);
    else if (tokens == 1)
      stream_take_tokens<T, 2>(a, places, said, shape, tokens);
    else
      stream_take_tokens<T, 4>(a, places, said, shape, tokens);
    at.step = step;
    at.firstStage = firstStage;
  }
  // Rows of W are those of a matrix instruction, tokens its eight columns. Four sums, so that none
  // waits for the one before.
  float sums[4][4] = {};
  const unsigned char *token = places.tokens(warp) +
                               g * stream_token_pitch(shape.groups, shape.splits) +
                               c * 16 * int(sizeof(T));
  const bool present = g < tokens;
#pragma unroll 1
  for (int stage = 0; stage < stages; ++stage, token += kStreamBoxK * int(sizeof(T))) {
    uint4 x[2];
#pragma unroll
    for (int half = 0; half < 2; ++half)
      x[half] = present ? reinterpret_cast<const uint4 *>(token)[half] : make_uint4(0, 0, 0, 0);
    if (stage > 0)
      ptx::wait_barrier(places.full(at.stage), at.parity);
    const u32 box = places.base + at.stage * kStreamStageBytes + warp * kStreamBoxBytes + g * 128;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const u32 from = box + ((c * 2 + half) ^ g) * 16;
      const uint4 low = ptx::load_shared_16(from), high = ptx::load_shared_16(from + 1024);
      const u32 a0[4] = {low.x, high.x, low.y, high.y}, b0[2] = {x[half].x, x[half].y};
      const u32 a1[4] = {low.z, high.z, low.w, high.w}, b1[2] = {x[half].z, x[half].w};
      ptx::mma_16x8x16<T>(sums[half * 2], a0, b0);
      ptx::mma_16x8x16<T>(sums[half * 2 + 1], a1, b1);
    }
    stream_arrive(places.empty(at.stage));
    at.next_stage(places.stages);
  }
  if (warp != 0)
    ptx::wait_barrier(places.sum_empty(at.sum), at.sumParity);
  float *const all = places.sum(at.sum, warp);
  if (shape.norm && lane < tokens)
    all[lane * kStreamSumPitch + kStreamSquares] = places.square(warp)[lane];
  float *mine = all + 2 * c * kStreamSumPitch + g;
#pragma unroll
  for (int e = 0; e < 4; ++e)
    if (2 * c + e % 2 < tokens)
      mine[e % 2 * kStreamSumPitch + e / 2 * 8] =
          (sums[0][e] + sums[1][e]) + (sums[2][e] + sums[3][e]);
  stream_arrive(places.sum_full(at.sum));
  at.next_sum();
}

/// Adds what other parts of K have given of eight columns of a row; `given` is that of part 0.
INGOT_DEVICE void add_stream_parts(float (&values)[8], const unsigned char *given, i64 partBytes,
                                   int parts) {
  constexpr int kAtOnce = 4;
  for (int first = 0; first < parts; first += kAtOnce) {
    u32 words[kAtOnce][2][4];
    bool all;
    do {
      all = true;
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i)
        if (first + i < parts)
#pragma unroll
          for (int half = 0; half < 2; ++half)
            load_words(words[i][half], given + (first + i) * partBytes + half * 16);
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i)
        all = all && (first + i >= parts || (all_there(words[i][0]) && all_there(words[i][1])));
    } while (!all);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i < parts)
#pragma unroll
        for (int e = 0; e < 8; ++e)
          values[e] += __uint_as_float(words[i][e / 4][e % 4]);
  }
}

/// Eight columns of a token a lane; two lanes have half of the warps' sums each. `wait()` is until
/// the sums are there.
template <typename Tasks, typename Places, typename Wait>
INGOT_DEVICE void stream_finish(const StreamArguments &a, const Places &places,
                                const StreamTile &tile, int sum, int tokens, const Wait &wait) {
  const StreamShape shape = Tasks::shape(tile.task);
  const int lane = threadIdx.x % kWarp, row = lane / 4, columnInTile = lane % 2 * 8;
  const int part = tile.tile / shape.rowTiles;
  const int column = (tile.tile - part * shape.rowTiles) * kStreamRows + columnInTile;
  const bool mine = row < tokens && column < shape.n && lane % 4 < 2;
  const bool last = part == shape.splits - 1;
  const i64 place = (i64(row) * shape.resultStride + column / (8 / shape.results)) * 2;
  u32 beside[4] = {};
  if (shape.beside >= 0 && last && mine) {
    const StreamSource source = tile.source(a, shape.beside);
    if (shape.results == 8) {
      source.load(beside, place);
    } else {
      u32 words[2];
      source.load(words, place);
      beside[0] = words[0];
      beside[1] = words[1];
    }
  }
  wait();
  float values[8] = {};
  if (row < tokens) {
    const float *sums =
        places.sum(sum, lane % 4 / 2 * (kStreamWarps / 2)) + row * kStreamSumPitch + columnInTile;
#pragma unroll
    for (int warp = 0; warp < kStreamWarps / 2; ++warp, sums += places.most * kStreamSumPitch)
      add_values(values, sums);
  }
#pragma unroll
  for (float &value : values)
    value += __shfl_xor_sync(kAllLanes, value, 2);
  if (!mine)
    return;
  if (shape.norm) {
    float squares = 0;
#pragma unroll
    for (int warp = 0; warp < kStreamWarps; ++warp)
      squares += places.sum(sum, warp)[row * kStreamSumPitch + kStreamSquares];
    const float factor = 1.0f / sqrtf(squares / static_cast<float>(shape.k) + shape.normEps);
#pragma unroll
    for (float &value : values)
      value *= factor;
  }
  if (shape.splits > 1) {
    const i64 partBytes = i64(places.most) * shape.n * 4;
    unsigned char *given = tile.part_address(a) + (i64(row) * shape.n + column) * 4;
    if (!last) {
      const u32 words[2][4] = {{__float_as_uint(values[0]), __float_as_uint(values[1]),
                                __float_as_uint(values[2]), __float_as_uint(values[3])},
                               {__float_as_uint(values[4]), __float_as_uint(values[5]),
                                __float_as_uint(values[6]), __float_as_uint(values[7])}};
      store_words(given + part * partBytes, words[0]);
      store_words(given + part * partBytes + 16, words[1]);
      return;
    }
    add_stream_parts(values, given, partBytes, part);
  }
  u32 words[4];
  Tasks::visit(tile.task, [&](auto task) {
    using Kind = typename decltype(task)::Kind;
    if constexpr (Kind::kLinear)
      Kind::end(a, tile, row, column, values, beside, words);
  });
  unsigned char *result = tile.address(a, shape.result) + place;
  if (shape.results == 8) {
    store_words(result, words);
  } else {
    const u32 half[2] = {words[0], words[1]};
    store_words(result, half);
  }
}

#endif

} // namespace ingot
