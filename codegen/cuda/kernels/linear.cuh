// linear.cuh - A linear layer for any number of tokens: one kernel, two ways.
//
// Up to kMostSkinny rows the weight's bytes are the time (skinny.cuh), past that the
// multiplications are (gemm.cuh). Both walk over their tiles with as many blocks as there are, so
// the grid is the same, and the choice is made on the device, where the number of tokens is known.
#pragma once

#include "codegen/cuda/kernels/gemm.cuh"
#include "codegen/cuda/kernels/skinny.cuh"

namespace ingot {

constexpr int kMostSkinny = 64;

template <typename Config, typename T> INGOT_DEVICE constexpr int linear_shared_bytes() {
  return max_of<int>(GemmTraits<Config, T>::kSharedBytes, SkinnyTraits<Config, T, 4>::kSharedBytes);
}

template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void linear(LinearStart<Config, T> &start, const T *x, const T *w, i64 m, i64 most,
                         const Epilogue &epilogue) {
  static_assert(linear_shared_bytes<Config, T>() <= Config::kSharedBytes,
                "the launch gives the shared memory that the stages take");
  const bool started = most <= LinearStart<Config, T>::kMostRows;
  ptx::wait_for_previous_grid();
  if (m <= 16)
    skinny_gemm<Config, T, 1>(x, w, m, epilogue, start.ring, started);
  else if (m <= 32)
    skinny_gemm<Config, T, 2>(x, w, m, epilogue, start.ring, started);
  else if (m <= kMostSkinny)
    skinny_gemm<Config, T, 4>(x, w, m, epilogue, start.ring, started);
  else
    gemm<Config, T>(x, w, m, epilogue);
}

} // namespace ingot
