//===- FakeDriver.h - A CUDA driver without a GPU -----------------*- C++ -*-===//
//
// A driver table over host memory. Streams are queues that run only when something waits for them,
// so what is freed or overwritten too early shows; graphs are recorded queues; kernels are those of
// test/runtime/testing/kernels.c. Every handle is tracked: using one that is not alive, and leaving
// one behind, are noted. Any call can be made to fail.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/device/cuda/CudaDriver.h"

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace ingot::testing {

struct FakeLaunch {
  std::string entry;
  unsigned grid[3], block[3];
  unsigned sharedBytes = 0;
  unsigned cluster[3] = {0, 0, 0};
  bool overlaps = false;
  std::vector<void *> buffers;
  std::vector<int64_t> sizes;
  std::vector<const void *> sizeAddresses;
  std::vector<std::vector<std::byte>> tensorMaps;
};

/// What tensorMapEncode() leaves in the 128 bytes.
struct FakeTensorMap {
  void *address;
  uint64_t dims[5], strides[4];
  uint32_t rank, box[2];
  int dataType, swizzle;
};

struct FakeGpu {
  // Settings.
  int driverVersion = 13000, major = 9, minor = 0, count = 1;
  size_t memory = size_t(1) << 30;
  int sharedBytes = 232448, maxThreads = 1024;
  /// Does it take code as text? The only one there is makes random weights.
  bool compilesText = false;
  /// Parameters of an entry point behind its buffers and sizes: {addresses of sizes, tensor maps}.
  std::map<std::string, std::pair<unsigned, unsigned>> extras;
  /// The call with this number (from 1) fails; 0: none.
  uint64_t failAt = 0;
  cuda::CUresult failWith = 719;

  // What happened.
  uint64_t calls = 0;
  std::string failed; // the function that failAt hit
  std::map<std::string, uint64_t> callsOf;
  std::vector<FakeLaunch> launches; // that ran, in order
  std::vector<std::string> mistakes;

  /// Handles that are alive, as text; empty when everything was given back.
  std::string alive() const;
  uint64_t allocated() const;
  /// The largest allocation.
  std::span<const std::byte> largest() const;
};

/// The one GPU behind fakeDriver(); reset by assigning FakeGpu().
FakeGpu &fakeGpu();
const cuda::CudaDriver &fakeDriver();
/// Gives back what is left, after a test of leaks.
void resetFakeDriver();

} // namespace ingot::testing
