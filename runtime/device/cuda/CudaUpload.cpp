//===- CudaUpload.cpp - Weights to the GPU at the speed of the link -------===//
//
// Pinned memory in a few slots. The pool's threads fill one (they read the mapped file, or run
// recipes) while the copy engine empties the others: whichever of the two is slower sets the time,
// and one thread alone cannot read as fast as the link carries. With two slots the copy engine
// would wait whenever one thread is late.
//
//===----------------------------------------------------------------------===//
#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/support/Text.h"
#include "runtime/support/ThreadPool.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot {

using namespace cuda;

namespace {

/// Large enough that what a round costs (waking threads, starting copies: tens of microseconds)
/// does not show beside 16 MiB on the link (300 microseconds); in all small, because pinning is
/// slow (2 GB/s measured in a virtual machine, where 4 x 16 MiB gave 34 GB/s over 4 GiB, 8 x 8 MiB
/// 30, 2 x 64 MiB 25, on a link of 55).
constexpr uint64_t kSlotBytes = uint64_t(16) << 20;
constexpr size_t kSlots = 4;

/// Pieces [first, end) at their offsets in one slot.
struct Wave {
  std::span<const UploadPiece> pieces;
  FillPiece fill;
  void *context;
  size_t first = 0, end = 0;
  std::byte *slot = nullptr;
  std::vector<uint64_t> offsets = {};
  std::vector<Status> results = {};

  static void body(void *argument, unsigned, int64_t begin, int64_t end) {
    auto *self = static_cast<Wave *>(argument);
    for (auto i = size_t(begin); i < size_t(end); ++i)
      self->results[i] = self->fill(self->context, self->first + i, self->slot + self->offsets[i]);
  }
};

/// What fillPieces holds besides the device's own: released on every way out.
struct Staging {
  const CudaDriver &driver;
  CUstream stream;
  void *memory = nullptr;
  CUevent events[kSlots] = {};
  ~Staging() {
    // The copy engine may still read what is freed next.
    if (memory)
      (void)driver.streamSynchronize(stream);
    for (CUevent event : events)
      if (event)
        (void)driver.eventDestroy(event);
    if (memory)
      (void)driver.memFreeHost(memory);
  }
};

} // namespace

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
  if (pieces.empty())
    return {};
  INGOT_TRY(enter());
  uint64_t total = 0, largest = 0;
  for (const UploadPiece &piece : pieces) {
    uint64_t bytes = (piece.bytes + 63) / 64 * 64;
    total += bytes;
    largest = std::max(largest, bytes);
  }
  if (total == 0)
    return {};
  uint64_t slotBytes = std::max(largest, std::min(kSlotBytes, total));
  size_t slots = size_t(std::min<uint64_t>(kSlots, (total + slotBytes - 1) / slotBytes + 1));
  uint64_t stagingBytes = slots * slotBytes;
  // The zeroing of the targets is on the other stream.
  INGOT_TRY(synchronize());
  Staging staging{driver_, copyStream_};
  CUresult result = driver_.memHostAlloc(&staging.memory, stagingBytes, kHostAllocPortable);
  if (result == kErrorOutOfMemory)
    return Status(
        ExitCode::OutOfResources,
        text("CUDA: cannot pin ", bytesText(stagingBytes),
             " of host memory for uploading weights; free some memory on this machine, or "
             "raise the limit on locked memory (`ulimit -l`, in a container its memory "
             "limit)"));
  INGOT_TRY(check(result, text("pinning ", bytesText(stagingBytes), " of host memory")));
  for (CUevent &event : staging.events)
    INGOT_TRY(check(driver_.eventCreate(&event, kEventDisableTiming), "making an event"));

  Wave wave{pieces, fill, context};
  for (size_t number = 0; wave.end < pieces.size(); ++number) {
    CUevent event = staging.events[number % slots];
    wave.slot = static_cast<std::byte *>(staging.memory) + number % slots * slotBytes;
    wave.first = wave.end;
    wave.offsets.clear();
    uint64_t bytes = 0;
    while (wave.end < pieces.size() && bytes + pieces[wave.end].bytes <= slotBytes) {
      wave.offsets.push_back(bytes);
      bytes += (pieces[wave.end++].bytes + 63) / 64 * 64;
    }
    if (number >= slots)
      INGOT_TRY(check(driver_.eventSynchronize(event), "waiting for an upload"));
    wave.results.assign(wave.offsets.size(), Status());
    pool.run(int64_t(wave.offsets.size()), Wave::body, &wave);
    for (const Status &status : wave.results)
      INGOT_TRY(status);
    INGOT_TRY(uploadWave(pieces.subspan(wave.first, wave.offsets.size()), wave.slot, wave.offsets));
    INGOT_TRY(check(driver_.eventRecord(event, copyStream_), "recording an event"));
  }
  return check(driver_.streamSynchronize(copyStream_), "waiting for the weights' upload");
}

} // namespace ingot
