//===- CudaUpload.cpp - Weights to the GPU at the speed of the link -------===//
//
// Pinned memory in two halves. The pool's threads fill one half (they read the mapped file, or run
// recipes) while the copy engine empties the other: whichever of the two is slower sets the time,
// and one thread alone cannot read as fast as the link carries.
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

/// Half of the staging: large enough that starting a copy (some microseconds) does not show beside
/// it (64 MiB take more than a millisecond).
constexpr uint64_t kHalfBytes = uint64_t(64) << 20;

/// Pieces [first, end) at their offsets in one half.
struct Wave {
  std::span<const UploadPiece> pieces;
  FillPiece fill;
  void *context;
  size_t first = 0, end = 0;
  std::byte *half = nullptr;
  std::vector<uint64_t> offsets = {};
  std::vector<Status> results = {};

  static void body(void *argument, unsigned, int64_t begin, int64_t end) {
    auto *self = static_cast<Wave *>(argument);
    for (auto i = size_t(begin); i < size_t(end); ++i)
      self->results[i] = self->fill(self->context, self->first + i, self->half + self->offsets[i]);
  }
};

/// What fillPieces holds besides the device's own: released on every way out.
struct Staging {
  const CudaDriver &driver;
  CUstream stream;
  void *memory = nullptr;
  CUevent events[2] = {};
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
  uint64_t half = std::max(largest, std::min(kHalfBytes, total));
  // The zeroing of the targets is on the other stream.
  INGOT_TRY(synchronize());
  Staging staging{driver_, copyStream_};
  CUresult result = driver_.memHostAlloc(&staging.memory, 2 * half, kHostAllocPortable);
  if (result == kErrorOutOfMemory)
    return Status(
        ExitCode::OutOfResources,
        text("CUDA: cannot pin ", bytesText(2 * half),
             " of host memory for uploading weights; free some memory on this machine, or "
             "raise the limit on locked memory (`ulimit -l`, in a container its memory "
             "limit)"));
  INGOT_TRY(check(result, text("pinning ", bytesText(2 * half), " of host memory")));
  for (CUevent &event : staging.events)
    INGOT_TRY(check(driver_.eventCreate(&event, kEventDisableTiming), "making an event"));

  Wave wave{pieces, fill, context};
  for (size_t number = 0; wave.end < pieces.size(); ++number) {
    CUevent event = staging.events[number % 2];
    wave.half = static_cast<std::byte *>(staging.memory) + number % 2 * half;
    wave.first = wave.end;
    wave.offsets.clear();
    uint64_t bytes = 0;
    while (wave.end < pieces.size() && bytes + pieces[wave.end].bytes <= half) {
      wave.offsets.push_back(bytes);
      bytes += (pieces[wave.end++].bytes + 63) / 64 * 64;
    }
    if (number >= 2)
      INGOT_TRY(check(driver_.eventSynchronize(event), "waiting for an upload"));
    wave.results.assign(wave.offsets.size(), Status());
    pool.run(int64_t(wave.offsets.size()), Wave::body, &wave);
    for (const Status &status : wave.results)
      INGOT_TRY(status);
    for (size_t i = 0; i < wave.offsets.size(); ++i) {
      const UploadPiece &piece = pieces[wave.first + i];
      if (piece.bytes == 0)
        continue;
      INGOT_TRY(check(driver_.copyToDevice(CUdeviceptr(uintptr_t(piece.target)),
                                           wave.half + wave.offsets[i], piece.bytes, copyStream_),
                      text("uploading ", bytesText(piece.bytes), " of weights")));
    }
    INGOT_TRY(check(driver_.eventRecord(event, copyStream_), "recording an event"));
  }
  return check(driver_.streamSynchronize(copyStream_), "waiting for the weights' upload");
}

} // namespace ingot
