// few_norm.cuh - RMSNorm in front of linear_few.cuh: tokens are normalized as they are read.
//
// Every block takes the sums of squares of all rows itself, behind the wait for the kernel in front
// (its boxes of W are on their way by then), and a lane multiplies what it read of a token by the
// row's factor and by the gains. The gains are in shared memory from before that wait on: they are
// a weight. Nothing is stored between the norm and the product.
//
// The result is bit for bit that of the norm as a kernel of its own (codegen/families/Generated):
// kNormGroup virtual threads add the squares of a row's vectors of 8, in turn, then the lanes of a
// virtual warp are added as a tree and its warps in order; the normalized element is rounded once.
//
// Constants of a stub: kNormGroup, the threads of a row in that kernel, 0 without a norm; kNormEps.
#pragma once

#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

template <typename Config> struct FewNormTraits {
  static constexpr bool kAny = Config::kNormGroup > 0;
  static constexpr int kVector = 8, kVectors = Config::kK / kVector;
  static constexpr int kParts = kAny ? Config::kNormGroup / kWarp : 0; // virtual warps of a row
  /// Behind the rings, barriers and sums of the linear layer: gains [K], sums of squares
  /// [row][part].
  static constexpr int kGainBytes = kAny ? Config::kK * int(sizeof(float)) : 0;
  static constexpr int kSharedBytes =
      kGainBytes + Config::kTokenTiles * 16 * kParts * int(sizeof(float));
  static_assert(Config::kNormGroup % kWarp == 0, "a row of the norm has whole warps");
  static_assert(!kAny || Config::kK % kVector == 0, "rows are whole vectors");
};

/// The gains are on their way to `gains` in shared memory.
template <typename Config> INGOT_DEVICE void fetch_gains(u32 shared, const float *gains) {
  for (int i = threadIdx.x * 4; i < Config::kK; i += Config::kThreads * 4)
    ptx::copy_async_16(shared + i * int(sizeof(float)), gains + i, true);
  ptx::commit_copies();
}

/// The sums of squares of every part of the m rows of x; gains and sums are there for all threads
/// then.
template <typename Config, typename T>
INGOT_DEVICE void add_squares(const T *x, i64 m, float *squares) {
  using Traits = FewNormTraits<Config>;
  constexpr int kWarps = Config::kThreads / kWarp, kAtOnce = 4;
  const int warp = threadIdx.x / kWarp, lane = threadIdx.x % kWarp;
  const int units = static_cast<int>(m) * Traits::kParts;
  for (int first = warp; first < units; first += kWarps * kAtOnce) {
    float sums[kAtOnce] = {};
#pragma unroll
    for (int start = 0; start < Traits::kVectors; start += Config::kNormGroup) {
      Pack<T, 8> packs[kAtOnce];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const int unit = first + i * kWarps;
        const int vector = start + unit % Traits::kParts * kWarp + lane;
        packs[i] = load_pack_if<T, 8>(unit < units && vector < Traits::kVectors,
                                      x + i64(unit / Traits::kParts) * Config::kRowStride +
                                          vector * Traits::kVector);
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i)
#pragma unroll
        for (int e = 0; e < Traits::kVector; ++e)
          sums[i] = fmaf(float(packs[i][e]), float(packs[i][e]), sums[i]);
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
      sums[i] = reduce_lanes<Sum>(sums[i]);
    if (lane == 0)
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i)
        if (first + i * kWarps < units)
          squares[first + i * kWarps] = sums[i];
  }
  ptx::wait_copies<0>();
  __syncthreads();
}

/// 1 / sqrt(mean of squares + eps) of `row`, 0 past the last.
template <typename Config> INGOT_DEVICE float norm_factor(const float *squares, int row, i64 m) {
  using Traits = FewNormTraits<Config>;
  if (row >= m)
    return 0;
  float sum = squares[row * Traits::kParts];
#pragma unroll
  for (int part = 1; part < Traits::kParts; ++part)
    sum += squares[row * Traits::kParts + part];
  return 1.0f / sqrtf(sum / static_cast<float>(Config::kK) + Config::kNormEps);
}

/// Eight neighbouring elements, normalized.
template <typename T>
INGOT_DEVICE uint4 normalize_8(const uint4 &x, float factor, const float4 &low,
                               const float4 &high) {
  auto pair = [&](u32 word, float first, float second) {
    float a, b;
    unpack_pair<T>(word, a, b);
    return pack_pair<T>(a * factor * first, b * factor * second);
  };
  return make_uint4(pair(x.x, low.x, low.y), pair(x.y, low.z, low.w), pair(x.z, high.x, high.y),
                    pair(x.w, high.z, high.w));
}

} // namespace ingot
