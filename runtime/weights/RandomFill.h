//===- RandomFill.h - Seeded values for missing weights -----------*- C++ -*-===//
//
// `--weights random:SEED` gives every source values that depend on the seed, the source's name and
// the element's position alone: the same bits on every machine, in any order, on any number of
// threads.
//
// A normal value is the centred sum of eight 16-bit uniforms (Irwin-Hall, within 4.9 standard
// deviations) times the standard deviation. All of it is exact in 64-bit integers and doubles up to
// the one rounding to f32, so that neither libm nor fused multiply-add can change a bit.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <string_view>

namespace ingot {

/// Mirrors format::Init.
enum class Init : uint8_t {
  Normal = 0, // mean 0, standard deviation `std`
  Ones,       // 1 + 0.1 * normal: a norm that is skipped, or applied twice, must show
  Zeros,      // 0
};

class RandomFill {
public:
  RandomFill(uint64_t seed, std::string_view source, Init init, float std);

  /// Element `index` (row-major) of the source.
  float at(uint64_t index) const;
  /// Elements first, first + stride, ... `count` of them.
  void fill(float *to, uint64_t first, int64_t stride, uint64_t count) const;

  // For who computes the same elsewhere: element i is mean + scale * (a sum that the key and i give).
  uint64_t key() const { return key_; }
  double scale() const { return scale_; }
  double mean() const { return mean_; }

private:
  uint64_t key_;
  double scale_;
  double mean_;
};

} // namespace ingot
