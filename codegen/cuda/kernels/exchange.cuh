// exchange.cuh - What blocks of one grid give each other through global memory, word by word.
//
// The memory is all ones before anything is written to it. No result is: a NaN that a conversion
// to 16 bits, an addition or a product gives has other bits. So a word says by itself that it is
// there, and nobody waits for more than what it reads: no counters, and no fence between data and a
// flag, which takes longer than the data when the copy engine keeps memory busy.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot {

constexpr u32 kNoWord = 0xffffffff;
/// Nanoseconds between two looks for words, where all warps of all blocks look: they would slow
/// down those who write. Few warps at the end of a tile look all the time.
constexpr u32 kPollPause = 50;
/// `Words` neighbouring ones, aligned as a vector of so many: 1, 2 or 4.
template <int Words> INGOT_DEVICE void load_words(u32 (&words)[Words], const void *from) {
  static_assert(Words == 1 || Words == 2 || Words == 4, "a load has up to 16 bytes");
  if constexpr (Words == 4)
    asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "l"(__cvta_generic_to_global(from))
                 : "memory");
  else if constexpr (Words == 2)
    asm volatile("ld.relaxed.gpu.global.v2.u32 {%0, %1}, [%2];"
                 : "=r"(words[0]), "=r"(words[1])
                 : "l"(__cvta_generic_to_global(from))
                 : "memory");
  else
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];"
                 : "=r"(words[0])
                 : "l"(__cvta_generic_to_global(from))
                 : "memory");
}
template <int Words> INGOT_DEVICE void store_words(void *to, const u32 (&words)[Words]) {
  static_assert(Words == 1 || Words == 2 || Words == 4, "a store has up to 16 bytes");
  if constexpr (Words == 4)
    asm volatile(
        "st.relaxed.gpu.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(__cvta_generic_to_global(to)),
        "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3])
        : "memory");
  else if constexpr (Words == 2)
    asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};" ::"l"(__cvta_generic_to_global(to)),
                 "r"(words[0]), "r"(words[1])
                 : "memory");
  else
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(to)),
                 "r"(words[0])
                 : "memory");
}
template <int Words> INGOT_DEVICE bool all_there(const u32 (&words)[Words]) {
  bool all = true;
#pragma unroll
  for (int i = 0; i < Words; ++i)
    all = all && words[i] != kNoWord;
  return all;
}

/// A buffer that launches of a stream read: exchanged, or written before the grid started.
struct StreamSource {
  const unsigned char *data;
  bool exchanged;

  /// The words at `offset`, once they are there.
  template <int Words> INGOT_DEVICE void load(u32 (&words)[Words], i64 offset) const {
    do
      load_words(words, data + offset);
    while (exchanged && !all_there(words));
  }
  INGOT_DEVICE uint4 load_16(i64 offset) const {
    u32 words[4];
    load(words, offset);
    return make_uint4(words[0], words[1], words[2], words[3]);
  }
};

/// 16 bytes at each `from(i)` of those that are `wanted(i)`, zeros for the others: all are on their
/// way together, again and again until all are there. By all lanes of a warp together.
template <int N, typename From, typename Wanted>
INGOT_DEVICE void load_exchanged(uint4 (&values)[N], bool exchanged, const From &from,
                                 const Wanted &wanted) {
  u32 words[N][4];
  bool all = true;
  do {
    if (!all)
      __nanosleep(kPollPause);
    all = true;
#pragma unroll
    for (int i = 0; i < N; ++i)
      if (wanted(i))
        load_words(words[i], from(i));
#pragma unroll
    for (int i = 0; i < N; ++i)
      all = all && (!wanted(i) || all_there(words[i]));
  } while (exchanged && !__all_sync(kAllLanes, all));
#pragma unroll
  for (int i = 0; i < N; ++i)
    values[i] = wanted(i) ? make_uint4(words[i][0], words[i][1], words[i][2], words[i][3])
                          : make_uint4(0, 0, 0, 0);
}

} // namespace ingot
