//===- ChecksumTest.cpp -----------------------------------------*- C++ -*-===//
#include "runtime/format/Checksum.h"

#include "runtime/support/ThreadPool.h"

#include <gtest/gtest.h>
#include <set>
#include <vector>

using namespace ingot;

static std::vector<std::byte> pattern(size_t size) {
  std::vector<std::byte> out(size);
  uint32_t state = 1;
  for (std::byte &byte : out)
    byte = std::byte((state = state * 1664525 + 1013904223) >> 24);
  return out;
}

TEST(Checksum, StreamInPiecesEqualsWhole) {
  for (size_t size :
       {size_t(0), size_t(1), size_t(63), size_t(64), size_t(65), size_t(1000), kChecksumChunk - 1,
        kChecksumChunk, kChecksumChunk + 1, 2 * kChecksumChunk + 77}) {
    auto bytes = pattern(size);
    uint64_t whole = checksum(bytes);
    for (size_t piece : {size_t(1) + size / 5, size_t(64), size_t(100003)}) {
      ChecksumStream stream;
      for (size_t at = 0; at < size; at += piece)
        stream.update(std::span(bytes).subspan(at, std::min(piece, size - at)));
      EXPECT_EQ(stream.bytes(), size);
      EXPECT_EQ(stream.finish(), whole) << size << " in pieces of " << piece;
    }
  }
}

TEST(Checksum, ThreadsGiveTheSame) {
  auto pool = ThreadPool::create(3);
  ASSERT_TRUE(pool.ok());
  auto bytes = pattern(5 * kChecksumChunk + 13);
  EXPECT_EQ(checksum(bytes, pool->get()), checksum(bytes));
}

TEST(Checksum, EverySingleBitCounts) {
  auto bytes = pattern(200);
  std::set<uint64_t> seen{checksum(bytes)};
  for (size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    bytes[bit / 8] ^= std::byte(1 << bit % 8);
    EXPECT_TRUE(seen.insert(checksum(bytes)).second) << bit;
    bytes[bit / 8] ^= std::byte(1 << bit % 8);
  }
}

TEST(Checksum, LengthOrderAndPlaceCount) {
  std::vector<std::byte> zeros(3 * kChecksumChunk);
  std::set<uint64_t> seen;
  for (size_t size :
       {size_t(0), size_t(1), size_t(64), size_t(128), kChecksumChunk, 2 * kChecksumChunk})
    EXPECT_TRUE(seen.insert(checksum(std::span(zeros).first(size))).second);
  auto bytes = pattern(2 * kChecksumChunk);
  uint64_t before = checksum(bytes);
  std::swap_ranges(bytes.begin(), bytes.begin() + kChecksumChunk, bytes.begin() + kChecksumChunk);
  EXPECT_NE(checksum(bytes), before); // chunks exchanged
  bytes = pattern(256);
  before = checksum(bytes);
  std::swap_ranges(bytes.begin(), bytes.begin() + 64, bytes.begin() + 64);
  EXPECT_NE(checksum(bytes), before); // stripes exchanged
}

TEST(Checksum, ValuesAreFixed) {
  // The format's definition must not drift: these are values of version 1.
  auto bytes = pattern(1000);
  EXPECT_EQ(checksum(bytes), 18076978851738142582u);
}
