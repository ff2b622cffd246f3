// beside.cuh - Epilogues whose operands are asked for ahead, and whose results are kept.
//
// Beside its operator() (gemm_sm90.cuh), which loads and stores in global memory, such an epilogue
// has
//   using Result = the 16-bit type of its results;
//   static constexpr int kResults = how many a call makes: 8, or 4 of a gated layer;
//   static constexpr bool kBeside = is there an operand that lies beside the results (a residual);
//   const Result *beside(i64 row, int column): its elements beside the results of sums of a column;
//   given(ResultGiver<Result>): itself, with that in place of the operand;
//   staged(ResultTaker<Result>, ResultGiver<Result>): ... and in place of the results.
// Any other has kBeside = false.
#pragma once

#include "codegen/cuda/ptx/load.cuh"

namespace ingot {

/// In place of a pointer to results: keeps the last vector that is stored.
template <typename T> struct ResultTaker {
  u32 *words;
  INGOT_DEVICE ResultTaker operator+(i64) const { return *this; }
};
template <typename T, int N>
INGOT_DEVICE void store_pack(const ResultTaker<T> &taker, const Pack<T, N> &pack) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i)
    taker.words[i] = pack_word(pack, i);
}
/// In place of a pointer to what lies beside results: gives a vector that was loaded before.
template <typename T> struct ResultGiver {
  const u32 *words;
  INGOT_DEVICE ResultGiver operator+(i64) const { return *this; }
};
template <typename T, int N> INGOT_DEVICE Pack<T, N> load_pack(const ResultGiver<T> &giver) {
  Pack<T, N> pack;
#pragma unroll
  for (int i = 0; i < N; ++i)
    pack[i].bits = static_cast<u16>(giver.words[i / 2] >> (i % 2 * 16));
  return pack;
}

/// What lies beside the results of one call, by a load that ptxas doesn't move down.
template <int Words> INGOT_DEVICE void load_beside(u32 (&words)[Words], const void *from) {
  static_assert(Words == 2 || Words == 4, "a call makes 8 results, or 4 of 8 sums");
  if constexpr (Words == 4)
    ptx::load_in_place_16(words, from);
  else
    ptx::load_in_place_8(words, from);
}

/// The same, kept; nothing where an epilogue has no such operand.
template <typename Epilogue, bool Any = Epilogue::kBeside> struct Beside {};
template <typename Epilogue> struct Beside<Epilogue, true> {
  u32 words[Epilogue::kResults / 2];
  INGOT_DEVICE void load(const Epilogue &epilogue, i64 row, int column) {
    load_beside(words, epilogue.beside(row, column));
  }
  INGOT_DEVICE ResultGiver<typename Epilogue::Result> giver() const { return {words}; }
};

} // namespace ingot
