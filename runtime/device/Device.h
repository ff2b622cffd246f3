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

#include "runtime/format/Tuning.h"
#include "runtime/support/Status.h"
#include "runtime/weights/ElementType.h"
#include "runtime/weights/RandomFill.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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
  uint32_t block[3] = {1, 1, 1};   // threads per block (GPU)
  uint32_t sharedBytes = 0;        // dynamic shared memory (GPU)
  uint64_t scratchBytes = 0;       // per-worker scratch (CPU)
  uint32_t cluster[3] = {0, 0, 0}; // blocks per cluster (GPU); 0: none
  bool overlaps = false;           // programmatic dependent launch (GPU)
  uint32_t numSizeAddresses = 0;   // sizes that are also wanted by address (GPU)
  uint32_t numTensorMaps = 0;      // (GPU)
};

/// What a GPU's copy engine knows of a tensor, in the driver's own form.
struct alignas(128) TensorMapImage {
  std::byte bytes[128] = {};
};

/// TensorMap of plan.fbs at given sizes.
struct TensorMapSpec {
  void *address = nullptr;
  ElementType type = ElementType::F32;
  uint32_t rank = 0;
  uint64_t dims[5] = {};    // elements, the innermost first
  uint64_t strides[4] = {}; // bytes, of dims[1], ...
  uint32_t box[5] = {}, elementStrides[5] = {1, 1, 1, 1, 1};
  uint32_t swizzle = 0;   // 0 to 3: none, 32, 64, 128 bytes
  uint32_t promotion = 0; // 0 to 3: none, 64, 128, 256 bytes
  bool nanFill = false;

  bool operator==(const TensorMapSpec &) const = default;
};

/// One launch: `numBuffers` device addresses, then `numSizes` integers, over a 3-d grid of blocks.
/// The pointers must be valid until launch() returns; what is recorded (below) copies them. Where
/// the host can't follow the device's memory, a size that is read from a buffer is its bound here,
/// and so is the grid; its address has the truth.
struct LaunchSpec {
  uint32_t kernel = 0; // handle from resolveKernel()
  void *const *buffers = nullptr;
  const int64_t *sizes = nullptr;
  int64_t grid[3] = {1, 1, 1};
  const void *const *sizeAddresses = nullptr; // `numSizeAddresses` of i32, null: none
  const TensorMapImage *tensorMaps = nullptr; // `numTensorMaps`
};

struct DeviceMemoryInfo {
  uint64_t free = 0, total = 0;
};

/// Bytes of device memory to be filled at load.
struct UploadPiece {
  void *target = nullptr;
  uint64_t bytes = 0;
};
/// A box of a weight, on the device, to be filled with elements of a random fill.
struct RandomBox {
  struct Axis {
    uint64_t size = 1;
    int64_t sourceStride = 0, targetStride = 0; // in elements
  };
  void *target = nullptr; // the box's first element
  ElementType type = ElementType::F32;
  RandomFill fill;
  uint64_t first = 0; // the element of the fill that it is
  Axis axes[4] = {};  // the innermost last
};
/// Makes the bytes of piece `index` at `to`; called from any thread of the pool.
using FillPiece = Status (*)(void *context, size_t index, std::byte *to);

class Device {
public:
  virtual ~Device();

  /// "host", "cuda": the Target.kind whose images it takes.
  virtual std::string_view kind() const = 0;
  /// For a person: "CPU, x86-64-v4, 2 threads".
  virtual std::string description() const = 0;
  /// May the host read and write this device's memory in place?
  virtual bool hostAccessible() const = 0;

  /// Which of the request's architectures its images are to be of.
  virtual size_t archIndex() const { return 0; }
  /// Free and total memory; nothing where that is not a fixed amount.
  virtual std::optional<DeviceMemoryInfo> memoryInfo() { return std::nullopt; }

  /// What measurements on it hold for; nothing where that is no GPU. `arch` is left to the caller,
  /// who knows which code runs.
  virtual std::optional<GpuDescription> gpu() { return std::nullopt; }

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
  /// Writes every piece and returns when all are there. Where the host reaches the memory, pieces
  /// are made in place; elsewhere through host buffers, while others are on their way.
  virtual Status fillPieces(std::span<const UploadPiece> pieces, FillPiece fill, void *context,
                            ThreadPool &pool);
  /// Enqueues the making of a box, rounded to its type; false where the host is to do it.
  virtual Result<bool> fillRandom(const RandomBox &box) { return false; }
  /// DeviceMismatch where the device has no such thing, or refuses these sizes.
  virtual Status encodeTensorMap(const TensorMapSpec &spec, TensorMapImage &map);
  /// Called once after all kernels are resolved: sizes per-worker scratch and the like.
  virtual Status finishLoad() = 0;

  // Run.
  virtual Status launch(const LaunchSpec &launch) = 0;
  virtual Status copy(void *target, const void *source, uint64_t bytes) = 0; // within the device
  virtual Status upload(void *target, const void *hostSource, uint64_t bytes) = 0;
  virtual Status download(void *hostTarget, const void *source, uint64_t bytes) = 0;
  virtual Status fill(void *target, uint8_t byte, uint64_t bytes) = 0;
  virtual Status synchronize() = 0;

  // Recording. Between begin and end, launches, copies, fills, uploads and downloads are not done
  // but become a recording, which replay() enqueues as a whole: with the same addresses and sizes,
  // and with the bytes that are in host memory then.
  virtual bool canRecord() const { return false; }
  virtual Status beginRecording() { return {}; }
  virtual Result<uint32_t> endRecording() { return 0u; }
  /// After an error between begin and end.
  virtual void abandonRecording() {}
  virtual Status replay(uint32_t recording) { return {}; }
  virtual void dropRecording(uint32_t recording) {}

  /// Bytes from allocate() so far, rounded to pages: the plan's promise is checked against it.
  virtual uint64_t allocatedBytes() const = 0;
};

/// Asks for a device.
struct DeviceRequest {
  std::string_view kind; // Target.kind: "host", "cuda"
  std::span<const std::string_view>
      archs;            // there is code for each of these; the first is preferred
  unsigned ordinal = 0; // the how many-th device of this kind in the plan
  ThreadPool &pool;     // serves host work and outlives the device
};

using DeviceFactory = Result<std::unique_ptr<Device>> (*)(const DeviceRequest &request);

/// "host": the CPU; "cuda": a GPU. DeviceMismatch where there is none, or none that runs any of the
/// architectures.
Result<std::unique_ptr<Device>> makeDevice(const DeviceRequest &request);

} // namespace ingot
