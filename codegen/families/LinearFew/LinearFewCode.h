//===- LinearFewCode.h - What the code of few tokens' layers shares -*- C++ -*-===//
//
// Of a launch by itself (linear_few.cuh) and of one in a stream (stream_linear.cuh).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/families/Linear/LinearDesc.h"

namespace ingot::codegen {

/// kN, kK, kRowStride.
cuda::Constants listFewShape(const LinearDesc &desc);
/// kNorm, kNormEps.
cuda::Constants listFewNorm(const LinearDesc &desc);
/// W in boxes of 64 elements of K by `rows` of its rows.
TensorMapCode mapFewWeight(exec::KernelOp kernel, const LinearDesc &desc, uint32_t rows);

} // namespace ingot::codegen
