// types.cuh - Element types and vectors of them.
//
// No header of the toolkit is needed: NVRTC from the PyPI wheel has none, and 16-bit storage with
// arithmetic in f32 is all that kernels do outside the tensor cores.
#pragma once

namespace ingot {

using i8 = signed char;
using u8 = unsigned char;
using u16 = unsigned short;
using i32 = int;
using u32 = unsigned int;
using i64 = long long;
using u64 = unsigned long long;

#define INGOT_DEVICE __device__ __forceinline__

/// bfloat16: storage; arithmetic is in f32, rounded to nearest even when stored.
struct bf16 {
  u16 bits;
  bf16() = default;
  INGOT_DEVICE explicit bf16(float value) {
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  }
  INGOT_DEVICE explicit operator float() const {
    return __uint_as_float(static_cast<u32>(bits) << 16);
  }
};

/// IEEE binary16: storage, as bf16.
struct f16 {
  u16 bits;
  f16() = default;
  INGOT_DEVICE explicit f16(float value) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  }
  INGOT_DEVICE explicit operator float() const {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
  }
};

/// 8-bit floats of 4 bits of exponent and 3 of mantissa, up to 448: storage, as bf16, for operands
/// of warpgroup instructions (sm_90a; conversions from sm_89 on).
struct e4m3 {
  u8 bits;
  e4m3() = default;
  INGOT_DEVICE explicit e4m3(float value) {
    u16 pair;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(pair) : "f"(0.0f), "f"(value));
    bits = static_cast<u8>(pair);
  }
  INGOT_DEVICE explicit operator float() const {
    u32 halves;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(static_cast<u16>(bits)));
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(static_cast<u16>(halves)));
    return value;
  }
};

/// Two f32 in one register of two 16-bit elements, `low` in the low half.
template <typename T> INGOT_DEVICE u32 pack_pair(float low, float high);
template <> INGOT_DEVICE u32 pack_pair<bf16>(float low, float high) {
  u32 pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
template <> INGOT_DEVICE u32 pack_pair<f16>(float low, float high) {
  u32 pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

/// The two elements of a register as f32.
template <typename T> INGOT_DEVICE void unpack_pair(u32 pair, float &low, float &high);
template <> INGOT_DEVICE void unpack_pair<bf16>(u32 pair, float &low, float &high) {
  low = __uint_as_float(pair << 16);
  high = __uint_as_float(pair & 0xffff0000u);
}
template <> INGOT_DEVICE void unpack_pair<f16>(u32 pair, float &low, float &high) {
  asm("{.reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;}"
      : "=f"(low), "=f"(high)
      : "r"(pair));
}

/// N consecutive elements that are loaded and stored by one instruction, or two of 16 bytes.
template <typename T, int N> struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Pack {
  static_assert(sizeof(T) * N <= 32, "two instructions move at most 32 bytes");
  static_assert((N & (N - 1)) == 0, "a pack has a power of two of elements");
  T elements[N];
  INGOT_DEVICE T &operator[](int i) { return elements[i]; }
  INGOT_DEVICE const T &operator[](int i) const { return elements[i]; }
};

template <typename T, int N> INGOT_DEVICE Pack<T, N> load_pack(const T *address) {
  return *reinterpret_cast<const Pack<T, N> *>(address);
}
/// What is read only if `valid`, and anything otherwise.
template <typename T, int N> INGOT_DEVICE Pack<T, N> load_pack_if(bool valid, const T *address) {
  Pack<T, N> pack = {};
  if (valid)
    pack = load_pack<T, N>(address);
  return pack;
}
/// Elements of a pack as a word.
template <typename T, int N> INGOT_DEVICE u32 pack_word(const Pack<T, N> &pack, int word) {
  if constexpr (sizeof(T) == 4)
    return __builtin_bit_cast(u32, pack[word]);
  else if constexpr (sizeof(T) == 2)
    return static_cast<u32>(__builtin_bit_cast(u16, pack[2 * word])) |
           static_cast<u32>(__builtin_bit_cast(u16, pack[2 * word + 1])) << 16;
}
/// To global memory, in one store: left to itself, the compiler stores many a pack in pieces.
template <typename T, int N> INGOT_DEVICE void store_pack(T *address, const Pack<T, N> &pack) {
  constexpr int kBytes = sizeof(T) * N;
  if constexpr ((sizeof(T) == 2 || sizeof(T) == 4) && kBytes == 16)
    asm volatile(
        "st.global.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(address)),
        "r"(pack_word(pack, 0)), "r"(pack_word(pack, 1)), "r"(pack_word(pack, 2)),
        "r"(pack_word(pack, 3))
        : "memory");
  else if constexpr ((sizeof(T) == 2 || sizeof(T) == 4) && kBytes == 8)
    asm volatile("st.global.v2.b32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(address)),
                 "r"(pack_word(pack, 0)), "r"(pack_word(pack, 1))
                 : "memory");
  else
    *reinterpret_cast<Pack<T, N> *>(address) = pack;
}

template <typename T> INGOT_DEVICE constexpr T ceil_div(T a, T b) { return (a + b - 1) / b; }
template <typename T> INGOT_DEVICE constexpr T min_of(T a, T b) { return a < b ? a : b; }
template <typename T> INGOT_DEVICE constexpr T max_of(T a, T b) { return a < b ? b : a; }

} // namespace ingot
