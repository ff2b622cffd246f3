// linear_sm90.cuh - A linear layer for any number of tokens on sm_90a: linear.cuh with the product
// of many tokens by gemm_sm90.cuh, and of some, which make fewer tiles than there are blocks, by
// gemm_few_sm90.cuh.
#pragma once

#include "codegen/cuda/kernels/gemm_few_sm90.cuh"
#include "codegen/cuda/kernels/skinny.cuh"

namespace ingot {

constexpr int kMostSkinnySm90 = 64;

template <typename Config, typename T, typename Epilogue>
INGOT_DEVICE void linear_sm90(LinearStart<Config, T> &start, const T *x, const T *w,
                              const TensorMap *mapX, const TensorMap *mapW,
                              const TensorMap *mapWide, const TensorMap *mapNarrow,
                              const TensorMap *mapOut, i64 m, i64 most, const Epilogue &epilogue) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  static_assert(GemmSm90Traits<Config, T>::kSharedBytes <= Config::kSharedBytes &&
                    SkinnyTraits<Config, T, 4>::kSharedBytes <= Config::kSharedBytes,
                "the launch gives the shared memory that the stages take");
  const bool started = most <= LinearStart<Config, T>::kMostRows;
  const FewWay way = m <= kMostSkinnySm90 ? FewWay::Many : few_way<Config>(m);
  // Of few tiles, the first weights are asked for before that.
  if (way == FewWay::Many)
    ptx::wait_for_previous_grid();
  if (m <= 16)
    skinny_gemm<Config, T, 1>(x, w, m, epilogue, start.ring, started);
  else if (m <= 32)
    skinny_gemm<Config, T, 2>(x, w, m, epilogue, start.ring, started);
  else if (m <= kMostSkinnySm90)
    skinny_gemm<Config, T, 4>(x, w, m, epilogue, start.ring, started);
  else if (way != FewWay::Many)
    gemm_few_sm90<Config, T>(way, mapX, mapWide, mapNarrow, m, epilogue);
  else
    gemm_sm90<Config, T>(mapX, mapW, mapOut, m, epilogue);
#endif
}

} // namespace ingot
