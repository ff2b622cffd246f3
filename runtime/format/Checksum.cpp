//===- Checksum.cpp ---------------------------------------------*- C++ -*-===//
#include "runtime/format/Checksum.h"

#include "runtime/support/ThreadPool.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace ingot {

static_assert(std::endian::native == std::endian::little,
              "artifacts are little-endian and mapped, not converted");

// Two odd constants with well-mixed bits: the golden ratio and the square root of 3, each as a
// 64-bit fraction, made odd.
static constexpr uint64_t kP = 0x9e3779b97f4a7c15u;
static constexpr uint64_t kQ = 0xbb67ae8584caa73bu;
static constexpr size_t kStripe = 64;

static uint64_t mix(uint64_t x) {
  x ^= x >> 32;
  x *= kQ;
  x ^= x >> 29;
  x *= kP;
  x ^= x >> 32;
  return x;
}

static uint64_t fold(uint64_t h, uint64_t value) { return mix(h ^ value) * kP; }

static void startLanes(uint64_t (&lanes)[8], uint64_t chunk) {
  for (uint64_t i = 0; i < 8; ++i)
    lanes[i] = mix(chunk * 8 + i + 1);
}

static uint64_t step(uint64_t lane, const std::byte *word) {
  uint64_t value;
  std::memcpy(&value, word, 8);
  return std::rotl(lane ^ (value * kQ), 29) * kP;
}

static void updateLanes(uint64_t (&lanes)[8], const std::byte *data, size_t stripes) {
  // Eight named locals: one dependency chain each, kept in registers.
  uint64_t a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
  uint64_t e = lanes[4], f = lanes[5], g = lanes[6], h = lanes[7];
  for (; stripes != 0; --stripes, data += kStripe) {
    a = step(a, data);
    b = step(b, data + 8);
    c = step(c, data + 16);
    d = step(d, data + 24);
    e = step(e, data + 32);
    f = step(f, data + 40);
    g = step(g, data + 48);
    h = step(h, data + 56);
  }
  lanes[0] = a, lanes[1] = b, lanes[2] = c, lanes[3] = d;
  lanes[4] = e, lanes[5] = f, lanes[6] = g, lanes[7] = h;
}

static void updateTail(uint64_t (&lanes)[8], const std::byte *tail, size_t bytes) {
  if (bytes == 0)
    return;
  std::byte padded[kStripe] = {};
  std::memcpy(padded, tail, bytes);
  updateLanes(lanes, padded, 1);
}

static uint64_t digestLanes(const uint64_t (&lanes)[8], uint64_t bytes) {
  uint64_t h = mix(bytes);
  for (uint64_t lane : lanes)
    h = fold(h, lane);
  return h;
}

static uint64_t digestChunk(std::span<const std::byte> chunk, uint64_t index) {
  uint64_t lanes[8];
  startLanes(lanes, index);
  size_t stripes = chunk.size() / kStripe;
  updateLanes(lanes, chunk.data(), stripes);
  updateTail(lanes, chunk.data() + stripes * kStripe, chunk.size() % kStripe);
  return digestLanes(lanes, chunk.size());
}

ChunkedChecksum::ChunkedChecksum(std::span<const std::byte> bytes)
    : bytes_(bytes), digests_((bytes.size() + kChecksumChunk - 1) / kChecksumChunk) {}

void ChunkedChecksum::digest(size_t chunk) {
  size_t start = chunk * kChecksumChunk;
  digests_[chunk] = digestChunk(
      bytes_.subspan(start, std::min(kChecksumChunk, bytes_.size() - start)), uint64_t(chunk));
}

uint64_t ChunkedChecksum::finish() const {
  uint64_t h = 0;
  for (uint64_t digest : digests_)
    h = fold(h, digest);
  return fold(h, bytes_.size());
}

uint64_t checksum(std::span<const std::byte> bytes, ThreadPool *pool) {
  ChunkedChecksum work(bytes);
  auto body = [](void *context, unsigned, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      static_cast<ChunkedChecksum *>(context)->digest(size_t(i));
  };
  if (pool)
    pool->run(int64_t(work.chunks()), body, &work);
  else
    body(&work, 0, 0, int64_t(work.chunks()));
  return work.finish();
}

void ChecksumStream::update(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (chunkBytes_ == 0 && tailBytes_ == 0)
      startLanes(lanes_, chunkIndex_);
    size_t taken;
    if (tailBytes_ != 0 || bytes.size() < kStripe) {
      taken = std::min(kStripe - tailBytes_, bytes.size());
      std::memcpy(tail_ + tailBytes_, bytes.data(), taken);
      tailBytes_ += taken;
      if (tailBytes_ == kStripe) {
        updateLanes(lanes_, tail_, 1);
        chunkBytes_ += kStripe;
        tailBytes_ = 0;
      }
    } else {
      taken = std::min(bytes.size(), kChecksumChunk - size_t(chunkBytes_)) / kStripe * kStripe;
      updateLanes(lanes_, bytes.data(), taken / kStripe);
      chunkBytes_ += taken;
    }
    total_ += taken;
    bytes = bytes.subspan(taken);
    if (chunkBytes_ == kChecksumChunk)
      finishChunk();
  }
}

void ChecksumStream::finishChunk() {
  updateTail(lanes_, tail_, tailBytes_);
  fold_ = fold(fold_, digestLanes(lanes_, chunkBytes_ + tailBytes_));
  ++chunkIndex_;
  chunkBytes_ = 0;
  tailBytes_ = 0;
}

uint64_t ChecksumStream::finish() {
  if (chunkBytes_ + tailBytes_ != 0)
    finishChunk();
  return fold(fold_, total_);
}

} // namespace ingot
