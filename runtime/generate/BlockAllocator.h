//===- BlockAllocator.h - Blocks of the paged KV cache ------------*- C++ -*-===//
#pragma once

#include <cassert>
#include <cstdint>
#include <span>
#include <vector>

namespace ingot {

/// Hands out the physical blocks 1 .. numBlocks - 1 (block 0 is the null block, which pads block
/// tables). A sequence reserves all blocks it can need when it is admitted and takes them one by
/// one, so an admitted sequence never runs out and never waits for another. Allocates in its
/// constructor only.
class BlockAllocator {
public:
  explicit BlockAllocator(uint32_t numBlocks) {
    free_.reserve(numBlocks);
    for (uint32_t block = numBlocks; block-- > 1;)
      free_.push_back(int32_t(block)); // the lowest on top
  }

  /// Blocks that can still be reserved.
  uint32_t available() const { return uint32_t(free_.size()) - reserved_; }

  bool reserve(uint32_t count) {
    if (count > available())
      return false;
    reserved_ += count;
    return true;
  }

  /// Takes a block out of a reservation.
  int32_t take() {
    assert(reserved_ != 0 && !free_.empty());
    --reserved_;
    int32_t block = free_.back();
    free_.pop_back();
    return block;
  }

  /// Gives back taken blocks and what is left of a reservation.
  void release(std::span<const int32_t> blocks, uint32_t reserved) {
    assert(reserved <= reserved_);
    reserved_ -= reserved;
    for (size_t i = blocks.size(); i-- > 0;)
      free_.push_back(blocks[i]);
  }

private:
  std::vector<int32_t> free_;
  uint32_t reserved_ = 0; // of the free ones
};

} // namespace ingot
