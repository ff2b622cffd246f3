//===- BlockAllocatorTest.cpp -----------------------------------*- C++ -*-===//
#include "runtime/generate/BlockAllocator.h"

#include <gtest/gtest.h>
#include <set>

using namespace ingot;

TEST(BlockAllocator, NeverGivesTheNullBlockNorOneTwice) {
  BlockAllocator allocator(9);
  ASSERT_EQ(allocator.available(), 8u);
  ASSERT_TRUE(allocator.reserve(8));
  EXPECT_FALSE(allocator.reserve(1));
  std::set<int32_t> seen;
  for (int i = 0; i < 8; ++i)
    EXPECT_TRUE(seen.insert(allocator.take()).second);
  EXPECT_EQ(*seen.begin(), 1);
  EXPECT_EQ(*seen.rbegin(), 8);
}

TEST(BlockAllocator, ReservationsAreKept) {
  BlockAllocator allocator(9);
  ASSERT_TRUE(allocator.reserve(5));
  ASSERT_TRUE(allocator.reserve(3));
  EXPECT_EQ(allocator.available(), 0u);
  std::vector<int32_t> first = {allocator.take(), allocator.take()};
  EXPECT_EQ(allocator.available(), 0u);
  allocator.release(first, 3); // five reserved, two taken
  EXPECT_EQ(allocator.available(), 5u);
  EXPECT_FALSE(allocator.reserve(6));
  EXPECT_TRUE(allocator.reserve(5));
}

TEST(BlockAllocator, BlocksAreReused) {
  BlockAllocator allocator(3);
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(allocator.reserve(2));
    std::vector<int32_t> blocks = {allocator.take(), allocator.take()};
    EXPECT_NE(blocks[0], blocks[1]);
    allocator.release(blocks, 0);
  }
}
