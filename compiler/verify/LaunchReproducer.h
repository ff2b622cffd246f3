//===- LaunchReproducer.h - One launch as an ingot of its own ----*- C++ -*-===//
#pragma once

#include "compiler/verify/HostReference.h"
#include "compiler/verify/Launches.h"
#include "runtime/exec/Program.h"
#include "runtime/format/Artifact.h"

namespace ingot::verify {

/// A launch that failed: what it was, and the bytes of its buffers before it.
struct FailedLaunch {
  const Artifact *artifact = nullptr;
  const ReferenceKernel *kernel = nullptr;
  uint32_t planKernel = 0; // its index in the plan
  std::string location;
  std::array<int64_t, 3> grid = {};
  std::vector<int64_t> sizes;
  std::vector<std::vector<std::byte>> buffers; // inputs hold what they held, outputs their size
};

/// Writes the launch to `folder`: launch.ingot with the code that failed, its inputs as .npy,
/// README.md.
Status writeLaunch(const FailedLaunch &launch, const LaunchFailure &failure,
                   const std::string &folder);

/// The IR after a phase in the debug section of an ingot, or "".
std::string debugPhase(const Artifact &artifact, llvm::StringRef phase);

} // namespace ingot::verify
