//===- ModelStart.cpp - Devices start while weights are read ----*- C++ -*-===//
//
// Starting a GPU's driver keeps one thread busy for some tenths of a second. The others use them:
// they verify the checksum of embedded weights, or let the kernel map the pages of the files that
// weights come from, which whoever copies them would else wait for.
//
//===----------------------------------------------------------------------===//
#include "runtime/exec/Model.h"

#include "runtime/format/Checksum.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <sys/mman.h>

namespace ingot {

// Of a file's pages that are mapped at once. Short: the driver maps memory meanwhile, and waits for
// that long.
static constexpr uint64_t kMapBytes = uint64_t(2) << 20;

/// False where this kernel cannot.
static bool mapPages(std::span<const std::byte> bytes) {
#ifdef MADV_POPULATE_READ
  auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  auto aligned = begin & ~uintptr_t(kPage - 1);
  return ::madvise(reinterpret_cast<void *>(aligned), bytes.size() + (begin - aligned),
                   MADV_POPULATE_READ) == 0;
#else
  return false;
#endif
}

namespace {

struct Start {
  Model &model;
  Status (Model::*startDevices)(const LoadOptions &options);
  const LoadOptions &options;
  ChunkedChecksum checksum;
  const Model::Files &files;
  Status status = {};
  std::atomic<size_t> nextChunk{0};
  std::atomic<uint64_t> nextPage{0}; // bytes of all files together
  std::atomic<bool> started{false};

  /// Must be done, whatever the devices do.
  void verify() {
    for (size_t chunk; (chunk = nextChunk.fetch_add(1)) < checksum.chunks();)
      checksum.digest(chunk);
  }

  /// Goes on as long as nobody waits for it.
  void map() {
    while (!started.load(std::memory_order_relaxed)) {
      uint64_t at = nextPage.fetch_add(kMapBytes);
      auto file = files.begin();
      for (; file != files.end() && at >= file->size(); ++file)
        at -= (file->size() + kMapBytes - 1) / kMapBytes * kMapBytes;
      if (file == files.end() ||
          !mapPages(file->subspan(at, std::min<uint64_t>(kMapBytes, file->size() - at))))
        return;
    }
  }
};

} // namespace

Status Model::start(const LoadOptions &options, const Files &files) {
  bool verifies = artifact_->weightsUnverified();
  Start start{*this, &Model::startDevices, options,
              ChunkedChecksum(verifies ? artifact_->section(SectionKind::Weights)
                                       : std::span<const std::byte>()),
              files};
  auto body = [](void *context, unsigned, int64_t first, int64_t end) {
    auto &start = *static_cast<Start *>(context);
    for (int64_t i = first; i < end; ++i) {
      if (i == 0) {
        start.status = (start.model.*start.startDevices)(start.options);
        start.started.store(true, std::memory_order_relaxed);
      }
      start.verify();
      start.map();
    }
  };
  pool_->run(std::max(2u, pool_->threads()), body, &start);
  INGOT_TRY(start.status);
  if (verifies)
    INGOT_TRY(artifact_->compareChecksum(SectionKind::Weights, start.checksum.finish()));
  finishStage("reading");
  return {};
}

/// Code before memory: a machine that cannot run the code should say so at once.
Status Model::startDevices(const LoadOptions &options) {
  size_t devices = artifact_->plan().devices()->size();
  for (size_t i = 0; i < devices; ++i)
    INGOT_TRY(loadDevice(i, options));
  finishStage("driver");
  for (size_t i = 0; i < devices; ++i)
    INGOT_TRY(loadKernels(i));
  finishStage("code");
  return {};
}

} // namespace ingot
