//===- Stream.h - What the kernel of a stream reads ---------------*- C++ -*-===//
#pragma once

#include "runtime/device/Device.h"
#include "runtime/format/Streams.h"

#include <cstddef>
#include <cstdint>

namespace ingot {

/// A launch in a stream's table, in device memory: StreamStep of codegen/cuda/kernels/stream.cuh.
struct StreamEntry {
  TensorMapImage maps[kMaxStreamMaps];
  /// Device addresses; of those that are exchanged, bytes a token from the beginning.
  uint64_t buffers[kMaxStreamBuffers] = {};
  uint64_t part = 0; // bytes a token, too
  uint32_t task = 0;
  uint32_t exchanged = 0; // a bit a buffer
};
static_assert(sizeof(StreamEntry) == kStreamEntryBytes && offsetof(StreamEntry, buffers) == 256 &&
              offsetof(StreamEntry, part) == 368 && offsetof(StreamEntry, task) == 376 &&
              offsetof(StreamEntry, exchanged) == 380);

} // namespace ingot
