//===- Device.h - What the executor asks of a device -------------*- C++ -*-===//
//
// The CPU and CUDA devices look alike from here: images with named entries, arenas, copies, and
// launches of a grid over buffers and sizes. Everything is enqueued on one in-order queue per
// device: launch, copies and fills may return before they are done (a CPU device is done when it
// returns), and synchronize() waits. After load nothing here allocates memory.
//
// Addresses are device addresses; only a device with hostAccessible() lets the host follow them.
// A plan has been validated before a device sees any of it. Calls come from one thread at a time.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

class ThreadPool;

/// What the plan says about a kernel; strings live as long as the artifact.
struct KernelSpec {
  const char *entry = "";
  uint32_t image = 0; // handle from loadImage()
  uint32_t numBuffers = 0;
  uint32_t numSizes = 0;
  uint32_t block[3] = {1, 1, 1}; // threads per block (GPU)
  uint32_t sharedBytes = 0;      // dynamic shared memory (GPU)
  uint64_t scratchBytes = 0;     // per-worker scratch (CPU)
};

/// One launch: `numBuffers` device addresses, then `numSizes` integers, over a 3-d grid of blocks.
struct LaunchSpec {
  uint32_t kernel = 0; // handle from resolveKernel()
  void *const *buffers = nullptr;
  const int64_t *sizes = nullptr;
  int64_t grid[3] = {1, 1, 1};
};

class Device {
public:
  virtual ~Device();

  /// "host", "cuda": the Target.kind whose images it takes.
  virtual std::string_view kind() const = 0;
  /// For a person: "CPU, x86-64-v4, 2 threads".
  virtual std::string description() const = 0;
  /// May the host read and write this device's memory in place?
  virtual bool hostAccessible() const = 0;

  // Load. Errors: DeviceMismatch when the device cannot run code for `arch` (the message names what
  // it needs and what there is), MalformedInput when the image is not well formed or has no such
  // entry, OutOfResources.
  virtual Result<uint32_t> loadImage(std::span<const std::byte> image, std::string_view arch) = 0;
  virtual Result<uint32_t> resolveKernel(const KernelSpec &spec) = 0;
  /// Zeroed memory, 4096-byte aligned, freed with the device. `what` goes into the error. Bytes 0
  /// give a valid address that must not be followed.
  virtual Result<void *> allocate(uint64_t bytes, std::string_view what) = 0;
  /// Host memory that copies to and from this device run fastest with (pinned), freed with it.
  virtual Result<void *> allocateHost(uint64_t bytes, std::string_view what) = 0;
  /// Host bytes (64-byte aligned, mapped for the device's lifetime) that kernels may read in place,
  /// or null when they must be uploaded.
  virtual const void *adoptReadOnly(std::span<const std::byte> bytes) = 0;
  /// Called once after all kernels are resolved: sizes per-worker scratch and the like.
  virtual Status finishLoad() = 0;

  // Run.
  virtual Status launch(const LaunchSpec &launch) = 0;
  virtual Status copy(void *target, const void *source, uint64_t bytes) = 0; // within the device
  virtual Status upload(void *target, const void *hostSource, uint64_t bytes) = 0;
  virtual Status download(void *hostTarget, const void *source, uint64_t bytes) = 0;
  virtual Status zero(void *target, uint64_t bytes) = 0;
  virtual Status synchronize() = 0;

  /// Bytes from allocate() so far, rounded to pages: the plan's promise is checked against it.
  virtual uint64_t allocatedBytes() const = 0;
};

/// Makes the device for a plan's target. `pool` serves host work and outlives the device.
using DeviceFactory = Result<std::unique_ptr<Device>> (*)(std::string_view kind,
                                                          std::string_view arch, ThreadPool &pool);

/// "host" -> the CPU. Anything else: DeviceMismatch saying which kinds this runtime has.
Result<std::unique_ptr<Device>> makeDevice(std::string_view kind, std::string_view arch,
                                           ThreadPool &pool);

} // namespace ingot
