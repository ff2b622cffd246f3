//===- RandomFill.cpp - Seeded values for missing weights -----------------===//
#include "runtime/weights/RandomFill.h"

namespace ingot {
namespace {

constexpr uint64_t kGolden = 0x9e3779b97f4a7c15; // 2^64 / golden ratio

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number
/// Generators).
__attribute__((always_inline)) inline uint64_t mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

/// FNV-1a.
uint64_t hash(std::string_view text) {
  uint64_t h = 0xcbf29ce484222325;
  for (char c : text)
    h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return h;
}

/// Twice the centred sum of eight 16-bit uniforms: an integer of 20 bits and a sign.
__attribute__((always_inline)) inline int64_t centredSum(uint64_t key, uint64_t index) {
  constexpr uint64_t even = 0x0000ffff0000ffff;
  uint64_t a = mix(key + (2 * index + 1) * kGolden);
  uint64_t b = mix(key + (2 * index + 2) * kGolden);
  uint64_t lanes = (a & even) + (a >> 16 & even) + (b & even) + (b >> 16 & even);
  return 2 * int64_t((lanes & 0xffffffff) + (lanes >> 32)) - 8 * 65535;
}

/// The standard deviation of centredSum: 2 * sqrt(8 * (65536^2 - 1) / 12).
constexpr double kDeviation = 107019.83984290015;

} // namespace

RandomFill::RandomFill(uint64_t seed, std::string_view source, Init init, float std)
    : key_(mix(mix(seed + kGolden) ^ hash(source))), scale_(0), mean_(0) {
  // A scale of 24 bits makes its product with a 20-bit integer exact in a double.
  if (init == Init::Normal)
    scale_ = double(float(double(std) / kDeviation));
  if (init == Init::Ones) {
    scale_ = double(float(0.1 / kDeviation));
    mean_ = 1;
  }
}

float RandomFill::at(uint64_t index) const {
  return float(mean_ + double(centredSum(key_, index)) * scale_);
}

namespace {

// The same arithmetic for whatever vectors the machine has: 64-bit products are what it costs, and
// only AVX-512 multiplies eight of them at once. All of it is exact, so the bits are the same.
__attribute__((always_inline)) inline void fillRun(float *to, uint64_t key, double scale,
                                                   double mean, uint64_t first, uint64_t stride,
                                                   uint64_t count) {
  for (uint64_t i = 0; i < count; ++i)
    to[i] = float(mean + double(centredSum(key, first + i * stride)) * scale);
}

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512dq,avx512vl"))) void
fillAvx512(float *to, uint64_t key, double scale, double mean, uint64_t first, uint64_t stride,
           uint64_t count) {
  fillRun(to, key, scale, mean, first, stride, count);
}

__attribute__((target("avx2"))) void fillAvx2(float *to, uint64_t key, double scale, double mean,
                                              uint64_t first, uint64_t stride, uint64_t count) {
  fillRun(to, key, scale, mean, first, stride, count);
}
#endif

} // namespace

void RandomFill::fill(float *to, uint64_t first, int64_t stride, uint64_t count) const {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return fillAvx512(to, key_, scale_, mean_, first, uint64_t(stride), count);
  if (__builtin_cpu_supports("avx2"))
    return fillAvx2(to, key_, scale_, mean_, first, uint64_t(stride), count);
#endif
  fillRun(to, key_, scale_, mean_, first, uint64_t(stride), count);
}

} // namespace ingot
