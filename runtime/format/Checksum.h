//===- Checksum.h - The 64-bit checksum of artifact sections -----*- C++ -*-===//
//
// "lanes64", made for verifying gigabytes at load. It detects damage; it is no defence against
// someone who crafts a file (an artifact holds code: trust it as you trust a program).
//
// A section is cut into chunks of 1 MiB that are digested independently (so several threads can
// verify one section) and whose digests are folded in order.
//
//   chunk i:   eight 64-bit lanes start at mix(i * 8 + lane + 1). Every 64-byte stripe, read as
//   eight
//              little-endian words w[lane] (the last stripe is padded with zeros), updates
//                lane = rotl(lane ^ (w[lane] * Q), 29) * P
//              digest = fold of the lanes, starting from mix(chunk bytes): h = mix(h ^ lane) * P
//   section:   h = 0; for each chunk digest d in order: h = mix(h ^ d) * P; at last
//              h = mix(h ^ section bytes) * P
//   mix(x):    x ^= x >> 32; x *= Q; x ^= x >> 29; x *= P; x ^= x >> 32
//
// The word is multiplied before it meets the lane, and the lane after: a flipped high bit, which
// one multiplication hardly spreads, would otherwise be undone by one flipped bit of the next
// stripe. Every step is a bijection of the lane and of the word, so damage within one aligned
// 8-byte word of a section is always detected; anything else is missed with a chance of about
// 2^-64.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ingot {

class ThreadPool;

inline constexpr size_t kChecksumChunk = size_t(1) << 20;

/// The checksum of a section whose chunks any threads digest, in any order, each once.
class ChunkedChecksum {
public:
  explicit ChunkedChecksum(std::span<const std::byte> bytes);
  size_t chunks() const { return digests_.size(); }
  void digest(size_t chunk);
  /// Once all chunks are digested.
  uint64_t finish() const;

private:
  std::span<const std::byte> bytes_;
  std::vector<uint64_t> digests_;
};

/// Checksum of a whole section; several threads when `pool` is given.
uint64_t checksum(std::span<const std::byte> bytes, ThreadPool *pool = nullptr);

/// The same checksum of bytes that arrive piece by piece.
class ChecksumStream {
public:
  void update(std::span<const std::byte> bytes);
  /// The checksum of everything so far. Call once, at the end.
  uint64_t finish();
  uint64_t bytes() const { return total_; }

private:
  void finishChunk();

  uint64_t lanes_[8] = {};
  uint64_t fold_ = 0;
  uint64_t chunkIndex_ = 0;
  uint64_t chunkBytes_ = 0; // of the current chunk, without the tail
  uint64_t total_ = 0;
  std::byte tail_[64];
  size_t tailBytes_ = 0;
};

} // namespace ingot
