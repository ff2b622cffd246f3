//===- MemoryMeter.h - Peak memory of this process, by phase -----*- C++ -*-===//
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>

namespace ingot {

/// Samples the process's anonymous memory from a thread. Pages mapped from files (the weights) are
/// not in it: the kernel takes them back whenever somebody needs the memory.
class MemoryMeter {
public:
  MemoryMeter();
  ~MemoryMeter();

  /// Peak since the last call, in bytes, and starts over.
  uint64_t takePeak();

  /// Peak of everything resident since the process began, mapped files included.
  static uint64_t peakResident();

private:
  void sample();

  std::atomic<uint64_t> peak{0};
  std::atomic<bool> stop{false};
  std::thread sampler;
};

} // namespace ingot
