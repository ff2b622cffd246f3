// paged.cuh - Addresses in a paged cache [NBLK, H, block, D].
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot {

/// The row of D elements that head `head` of the token at logical position `position` of a row is
/// whose block table is `table`. Block numbers are clamped, so that no table reaches outside of the
/// cache.
template <int kBlocks, int kHeads, int kBlock>
INGOT_DEVICE i64 paged_row(const i32 *table, i64 position, i64 head) {
  const i64 physical = min_of(max_of(table[position / kBlock], 0), kBlocks - 1);
  return (physical * kHeads + head) * kBlock + position % kBlock;
}

/// Its D elements.
template <int kBlocks, int kHeads, int kBlock, int kWidth, typename T>
INGOT_DEVICE T *paged_slot(T *cache, const i32 *table, i64 position, i64 head) {
  return cache + paged_row<kBlocks, kHeads, kBlock>(table, position, head) * kWidth;
}

/// The row whose tokens [cu[row], cu[row + 1]) hold `token`; `rows` if none does.
INGOT_DEVICE i64 find_row(const i32 *cu, i64 rows, i64 token) {
  i64 row = 0;
  while (row < rows && cu[row + 1] <= token)
    ++row;
  return row;
}

} // namespace ingot
