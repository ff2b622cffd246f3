//===- ModelStart.cpp - Devices start while weights are read ----*- C++ -*-===//
//
// Starting a GPU's driver keeps one thread busy for some tenths of a second. The others use them to
// verify the checksum of embedded weights.
//
//===----------------------------------------------------------------------===//
#include "runtime/exec/Model.h"

#include "runtime/format/Checksum.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot {

namespace {

struct Start {
  Model &model;
  Status (Model::*startDevices)(const LoadOptions &options);
  const LoadOptions &options;
  ChunkedChecksum checksum;
  Status status = {};
  std::atomic<size_t> nextChunk{0};

  /// Must be done, whatever the devices do.
  void verify() {
    for (size_t chunk; (chunk = nextChunk.fetch_add(1)) < checksum.chunks();)
      checksum.digest(chunk);
  }
};

} // namespace

Status Model::start(const LoadOptions &options) {
  bool verifies = artifact_->weightsUnverified();
  Start start{*this, &Model::startDevices, options,
              ChunkedChecksum(verifies ? artifact_->section(SectionKind::Weights)
                                       : std::span<const std::byte>())};
  auto body = [](void *context, unsigned, int64_t first, int64_t end) {
    auto &start = *static_cast<Start *>(context);
    for (int64_t i = first; i < end; ++i) {
      if (i == 0)
        start.status = (start.model.*start.startDevices)(start.options);
      start.verify();
    }
  };
  pool_->run(std::max(2u, pool_->threads()), body, &start);
  INGOT_TRY(start.status);
  if (verifies)
    INGOT_TRY(artifact_->compareChecksum(SectionKind::Weights, start.checksum.finish()));
  finishStage("checksum");
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
