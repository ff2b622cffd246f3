//===- CudaUpload.cpp - Weights to the GPU at the speed of the link -------===//
//
// Every thread of the pool has a few pinned slots of its own: it fills one (it reads the mapped
// file, or runs recipes) while the copy engine empties the others, and nobody waits for anybody
// else. All are pinned at once: the driver pins for one thread at a time.
//
//===----------------------------------------------------------------------===//
#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/support/Text.h"
#include "runtime/support/ThreadPool.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sys/mman.h>

namespace ingot {

using namespace cuda;

static constexpr uint64_t kPageBytes = 4096;

namespace {

/// Measured on a link of 54.9 GB/s (H100, 16 processors). Copies alone, of 1, 2, 4 MiB: 86, 93, 97 %.
/// With 2.4 GB of a file in memory, pinning included: 8 threads of 2 x 1 MiB 78 %, of 2 x 2 MiB 79, of
/// 2 x 4 MiB 77, of 3 x 2 MiB 74; 10 threads of 2 x 2 MiB 76, 12 72. Without huge pages 8 threads of
/// 2 x 1 MiB 67. Stores past the caches cost 6 more. 15 GiB: 86.
constexpr uint64_t kSlotBytes = uint64_t(2) << 20, kHugePage = uint64_t(2) << 20;
constexpr size_t kSlots = 2, kMostWorkers = 8;

struct Slot {
  std::byte *memory = nullptr;
  CUevent event = nullptr;
};

/// The pinned slots of all workers, kSlots each: released on every way out.
struct Staging {
  const CudaDriver &driver;
  CUstream stream;
  std::vector<Slot> slots;
  std::byte *memory = nullptr;
  uint64_t bytes = 0;
  bool pinned = false;

  ~Staging() {
    // The copy engine may still read what is given back next.
    if (pinned)
      (void)driver.streamSynchronize(stream);
    for (const Slot &slot : slots)
      if (slot.event)
        (void)driver.eventDestroy(slot.event);
    if (pinned)
      (void)driver.memHostUnregister(memory);
    if (memory)
      (void)::munmap(memory, bytes);
  }
};

/// Memory in huge pages where the kernel has them: pinning those is several times as fast.
std::byte *mapStaging(uint64_t bytes) {
  void *memory = ::mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  auto begin = reinterpret_cast<uintptr_t>(memory);
  uintptr_t aligned = (begin + kHugePage - 1) / kHugePage * kHugePage;
  if (aligned != begin)
    (void)::munmap(memory, aligned - begin);
  if (begin + kHugePage != aligned)
    (void)::munmap(reinterpret_cast<void *>(aligned + bytes), begin + kHugePage - aligned);
  auto *staging = reinterpret_cast<std::byte *>(aligned);
  (void)::madvise(staging, bytes, MADV_HUGEPAGE);
  return staging;
}

} // namespace

/// One upload: what its threads share.
class CudaDevice::Uploader {
public:
  Uploader(CudaDevice &device, std::span<const UploadPiece> pieces, FillPiece fill, void *context,
           uint64_t slotBytes, size_t workers)
      : device_(device), pieces_(pieces), fill_(fill), context_(context),
        slotBytes_(slotBytes), workers_(workers),
        staging_{device.driver_, device.copyStream_, std::vector<Slot>(workers * kSlots)} {}

  Status run(ThreadPool &pool) {
    INGOT_TRY(pin(pool));
    runWorkers<&Uploader::work>(pool);
    INGOT_TRY(first_);
    return device_.check(device_.driver_.streamSynchronize(device_.copyStream_),
                         "waiting for the weights' upload");
  }

private:
  template <void (Uploader::*body)(size_t worker)> void runWorkers(ThreadPool &pool) {
    auto loop = [](void *uploader, unsigned, int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        (static_cast<Uploader *>(uploader)->*body)(size_t(i));
    };
    pool.run(int64_t(workers_), loop, this);
  }

  /// A worker's own slots, and which is next.
  struct Turn {
    std::span<Slot> slots;
    size_t next = 0;
  };

  void work(size_t worker) {
    Status status = device_.enter();
    Turn turn{std::span(staging_.slots).subspan(worker * kSlots, kSlots)};
    while (status.ok()) {
      auto [begin, end] = claim();
      if (begin == end)
        return;
      status = pieces_[begin].bytes > slotBytes_ ? uploadLarge(begin, turn)
                                                 : uploadSome(begin, end, turn);
    }
    std::lock_guard lock(mutex_);
    if (first_.ok())
      first_ = status;
  }

  /// The next pieces that fit a slot together, or one that does not; none when all are taken or one
  /// failed.
  std::pair<size_t, size_t> claim() {
    std::lock_guard lock(mutex_);
    size_t begin = next_;
    if (!first_.ok())
      return {begin, begin};
    uint64_t bytes = 0;
    while (next_ < pieces_.size() && (next_ == begin || bytes + pieces_[next_].bytes <= slotBytes_))
      bytes += (pieces_[next_++].bytes + 63) / 64 * 64;
    return {begin, next_};
  }

  /// Makes the pages of a worker's slots: the kernel clears them, which takes as long as filling them.
  void touch(size_t worker) {
    uint64_t each = staging_.bytes / workers_;
    for (uint64_t at = each * worker; at < each * (worker + 1); at += kPageBytes)
      staging_.memory[at] = std::byte(0);
  }

  Status pin(ThreadPool &pool) {
    uint64_t each = (slotBytes_ + kPageBytes - 1) / kPageBytes * kPageBytes;
    staging_.bytes = each * staging_.slots.size();
    staging_.memory = mapStaging(staging_.bytes);
    const CudaDriver &driver = device_.driver_;
    CUresult result = kErrorOutOfMemory;
    if (staging_.memory) {
      runWorkers<&Uploader::touch>(pool);
      result = driver.memHostRegister(staging_.memory, staging_.bytes, kHostRegisterPortable);
    }
    if (result == kErrorOutOfMemory)
      return Status(ExitCode::OutOfResources,
                    text("CUDA: cannot pin ", bytesText(staging_.bytes),
                         " of host memory for uploading weights; free some memory on this "
                         "machine, or raise the "
                         "limit on locked memory (`ulimit -l`, in a container its memory limit)"));
    INGOT_TRY(
        device_.check(result, text("pinning ", bytesText(staging_.bytes), " of host memory")));
    staging_.pinned = true;
    for (size_t i = 0; i < staging_.slots.size(); ++i)
      staging_.slots[i].memory = staging_.memory + each * i;
    return {};
  }

  /// A slot that the copy engine is done with.
  Result<Slot *> acquire(Turn &turn) {
    Slot &slot = turn.slots[turn.next++ % kSlots];
    const CudaDriver &driver = device_.driver_;
    if (slot.event)
      INGOT_TRY(device_.check(driver.eventSynchronize(slot.event), "waiting for an upload"));
    else
      INGOT_TRY(
          device_.check(driver.eventCreate(&slot.event, kEventDisableTiming), "making an event"));
    return &slot;
  }

  Status release(Slot &slot) {
    return device_.check(device_.driver_.eventRecord(slot.event, device_.copyStream_),
                         "recording an event");
  }

  Status uploadSome(size_t begin, size_t end, Turn &turn) {
    Result<Slot *> slot = acquire(turn);
    if (!slot.ok())
      return slot.status();
    std::byte *staged = (*slot)->memory;
    std::vector<uint64_t> offsets;
    uint64_t bytes = 0;
    for (size_t i = begin; i < end; ++i) {
      INGOT_TRY(fill_(context_, i, staged + bytes));
      offsets.push_back(bytes);
      bytes += (pieces_[i].bytes + 63) / 64 * 64;
    }
    INGOT_TRY(device_.uploadWave(pieces_.subspan(begin, end - begin), staged, offsets));
    return release(**slot);
  }

  /// A piece that no slot holds is made in ordinary memory, and goes through the slots in parts.
  Status uploadLarge(size_t index, Turn &turn) {
    const UploadPiece &piece = pieces_[index];
    std::unique_ptr<std::byte, decltype(&std::free)> made(
        static_cast<std::byte *>(std::aligned_alloc(64, (piece.bytes + 63) / 64 * 64)), &std::free);
    if (!made)
      return Status(ExitCode::OutOfResources, text("cannot allocate ", bytesText(piece.bytes),
                                                   " of host memory for a weight"));
    INGOT_TRY(fill_(context_, index, made.get()));
    for (uint64_t at = 0; at < piece.bytes; at += slotBytes_) {
      Result<Slot *> slot = acquire(turn);
      if (!slot.ok())
        return slot.status();
      UploadPiece part{static_cast<std::byte *>(piece.target) + at,
                       std::min(slotBytes_, piece.bytes - at)};
      std::byte *staged = (*slot)->memory;
      std::memcpy(staged, made.get() + at, part.bytes);
      const uint64_t offset = 0;
      INGOT_TRY(device_.uploadWave({&part, 1}, staged, {&offset, 1}));
      INGOT_TRY(release(**slot));
    }
    return {};
  }

  CudaDevice &device_;
  std::span<const UploadPiece> pieces_;
  FillPiece fill_;
  void *context_;
  uint64_t slotBytes_;
  size_t workers_;
  Staging staging_;
  std::mutex mutex_; // of what follows
  size_t next_ = 0;
  Status first_;
};

/// Enqueues the copies of pieces that lie in staging; what is adjacent on both sides is one.
Status CudaDevice::uploadWave(std::span<const UploadPiece> pieces, const std::byte *staged,
                              std::span<const uint64_t> offsets) {
  for (size_t i = 0; i < pieces.size();) {
    size_t first = i;
    uint64_t bytes = pieces[i++].bytes;
    while (i < pieces.size() && offsets[i] == offsets[first] + bytes &&
           pieces[i].target == static_cast<std::byte *>(pieces[first].target) + bytes)
      bytes += pieces[i++].bytes;
    if (bytes == 0)
      continue;
    INGOT_TRY(check(driver_.copyToDevice(CUdeviceptr(uintptr_t(pieces[first].target)),
                                         staged + offsets[first], bytes, copyStream_),
                    text("uploading ", bytesText(bytes), " of weights")));
  }
  return {};
}

Status CudaDevice::fillPieces(std::span<const UploadPiece> pieces, FillPiece fill, void *context,
                              ThreadPool &pool) {
  INGOT_TRY(enter());
  uint64_t total = 0;
  for (const UploadPiece &piece : pieces)
    total += (piece.bytes + 63) / 64 * 64;
  if (total == 0)
    return {};
  uint64_t slotBytes = std::min(kSlotBytes, total);
  size_t workers = size_t(std::min<uint64_t>(std::min<uint64_t>(kMostWorkers, pool.threads()),
                                             (total + slotBytes - 1) / slotBytes));
  // The zeroing of the targets is on the other stream.
  INGOT_TRY(synchronize());
  return Uploader(*this, pieces, fill, context, slotBytes, workers).run(pool);
}

} // namespace ingot
