//===- Random.h - Counter-based random numbers --------------------*- C++ -*-===//
#pragma once

#include <cstdint>

namespace ingot {

/// A bijection of 64 bits in which every input bit changes about half of the output bits.
inline uint64_t scramble(uint64_t x) {
  x ^= x >> 33;
  x *= 0xd6e8feb86659fd93u;
  x ^= x >> 29;
  x *= 0x9e3779b97f4a7c15u;
  x ^= x >> 32;
  return x;
}

/// 53 random bits, from a seed and a counter.
inline uint64_t randomBits(uint64_t seed, uint64_t counter) {
  uint64_t key = scramble(seed + 0x9e3779b97f4a7c15u);
  return scramble(key ^ scramble(counter + 0xbb67ae8584caa73bu)) >> 11;
}

/// Uniform in [0, 1), a multiple of 2^-53.
inline double uniform(uint64_t seed, uint64_t counter) {
  return double(randomBits(seed, counter)) * 0x1p-53;
}

/// The integer below `total` that is uniform * total without what is behind the point.
inline uint64_t uniformBelow(uint64_t seed, uint64_t counter, uint64_t total) {
  return uint64_t((static_cast<unsigned __int128>(randomBits(seed, counter)) * total) >> 53);
}

} // namespace ingot
