//===- SamplingRule.h - The arithmetic of a draw ------------------*- C++ -*-===//
//
// What is added up when a token is drawn are integers, so that the order of addition does not
// matter: the host and every kernel that samples get the same token from the same logits, row for
// row. The other two places where this is written are transformer.sample's decomposition and
// codegen/cuda/kernels/sampling.cuh.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>

namespace ingot {

/// The weight of the largest score.
inline constexpr uint64_t kFullWeight = uint64_t(1) << 40;

/// e^x in units of 2^-40 for x <= 0, within 3e-8 and one unit: 2^-n by a shift, and 2^-f for f in
/// [0, 1) by a polynomial in 32 bits behind the point. -infinity is 0.
inline uint64_t samplingWeight(float x) {
  if (!(x >= -28.0f))
    return 0;
  constexpr uint64_t log2e = 1549082005; // 30 bits behind the point
  uint64_t exponent = (uint64_t(x * -0x1p28f) * log2e) >> 26;
  uint64_t f = exponent & 0xffffffff, sum = 0xbdba;
  for (uint64_t coefficient : {0x9c23cu, 0x5728f4u, 0x27641ccu, 0xe35812fu, 0x3d7f7bccu,
                               0xb17217f7u})
    sum = coefficient - ((sum * f) >> 32);
  return (((uint64_t(1) << 32) - ((sum * f) >> 32)) << 8) >> (exponent >> 32);
}

/// The least integer that is not below share * total, of a share in [0, 1].
inline uint64_t shareOf(float share, uint64_t total) {
  double product = double(share) * double(total);
  uint64_t whole = uint64_t(product);
  return whole + (double(whole) < product);
}

} // namespace ingot
