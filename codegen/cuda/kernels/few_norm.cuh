// few_norm.cuh - RMSNorm in front of linear_few.cuh: (x g) W^T / rms(x).
//
// A row's factor is the same for all that it is multiplied with, so the sums take it: tokens are
// multiplied with the gains alone as they are read, and each warp adds the squares of its part of K
// on the way. So nothing waits for a row's squares, and nothing reads it twice. Launches have the
// gains in shared memory from before the wait for the kernel in front on: they are a weight.
//
// An element times its gain is rounded once, as the normalized element would be: the error is the
// same, the bits are not. It must not overflow before the factor: for bf16, whose range is that of
// f32.
//
// Constants of a stub: kNorm, kNormEps.
#pragma once

#include "codegen/cuda/mma/fragments.cuh"
#include "codegen/cuda/ptx/copy.cuh"
#include "codegen/cuda/reduce.cuh"

namespace ingot {

template <typename Config> struct FewNormTraits {
  static constexpr bool kAny = Config::kNorm;
  static constexpr int kWarps = Config::kThreads / kWarp, kTokens = Config::kTokenTiles * 16;
  /// Behind the rings, barriers and sums of the linear layer: gains [K], sums of squares
  /// [warp][token].
  static constexpr int kGainBytes = kAny ? Config::kK * int(sizeof(float)) : 0;
  static constexpr int kSharedBytes =
      kGainBytes + (kAny ? kWarps * kTokens * int(sizeof(float)) : 0);
  static_assert(!kAny || Config::kK % 8 == 0, "rows are whole vectors");
};

/// The gains are in `shared` when all threads have been here.
template <typename Config> INGOT_DEVICE void fetch_gains(u32 shared, const float *gains) {
  for (int i = threadIdx.x * 4; i < Config::kK; i += Config::kThreads * 4)
    ptx::copy_async_16(shared + i * int(sizeof(float)), gains + i, true);
  ptx::commit_copies();
  ptx::wait_copies<0>();
  __syncthreads();
}

/// Eight neighbouring elements times their gains; their squares are added to `squares`.
template <typename T>
INGOT_DEVICE uint4 take_gains(const uint4 &x, const float4 &low, const float4 &high,
                              float &squares) {
  auto pair = [&](u32 word, float first, float second) {
    float a, b;
    unpack_pair<T>(word, a, b);
    squares = fmaf(b, b, fmaf(a, a, squares));
    return pack_pair<T>(a * first, b * second);
  };
  return make_uint4(pair(x.x, low.x, low.y), pair(x.y, low.z, low.w), pair(x.z, high.x, high.y),
                    pair(x.w, high.z, high.w));
}

/// What a quad has of the squares of row `row`, and the same warp's of the others, for all.
template <typename Config> INGOT_DEVICE void store_squares(float *all, int row, float squares) {
  squares += __shfl_xor_sync(kAllLanes, squares, 1);
  squares += __shfl_xor_sync(kAllLanes, squares, 2);
  if (threadIdx.x % 4 == 0)
    all[threadIdx.x / kWarp * FewNormTraits<Config>::kTokens + row] = squares;
}

/// 1 / sqrt(mean of squares + eps) of `row`.
template <typename Config> INGOT_DEVICE float norm_factor(const float *all, int row) {
  using Traits = FewNormTraits<Config>;
  float sum = 0;
#pragma unroll
  for (int warp = 0; warp < Traits::kWarps; ++warp)
    sum += all[warp * Traits::kTokens + row];
  return 1.0f / sqrtf(sum / static_cast<float>(Config::kK) + Config::kNormEps);
}

} // namespace ingot
