//===- GpuArch.h - Which GPUs run which code ----------------------*- C++ -*-===//
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ingot::cuda {

/// A GPU's compute capability: 9.0 is {9, 0}.
struct ComputeCapability {
  int major = 0, minor = 0;
  /// "sm_90"
  std::string str() const;
};

/// How well machine code for `arch` ("sm_80", "sm_90a", "sm_100f") fits a GPU; nothing where it
/// does not run. Plain code runs on its own and later minor versions of the same major one, family
/// code ("f") likewise, architecture-specific code ("a") on exactly its own; the more specific code
/// is the better fit.
std::optional<int> fitOf(std::string_view arch, ComputeCapability gpu);

} // namespace ingot::cuda
