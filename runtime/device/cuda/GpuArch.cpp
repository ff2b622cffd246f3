//===- GpuArch.cpp ----------------------------------------------*- C++ -*-===//
#include "runtime/device/cuda/GpuArch.h"

#include "runtime/support/Text.h"

#include <charconv>

namespace ingot::cuda {

std::string ComputeCapability::str() const { return text("sm_", major, minor); }

std::optional<int> fitOf(std::string_view arch, ComputeCapability gpu) {
  if (!arch.starts_with("sm_"))
    return std::nullopt;
  arch.remove_prefix(3);
  int number = 0;
  auto [end, error] = std::from_chars(arch.data(), arch.data() + arch.size(), number);
  if (error != std::errc() || number < 10 || number > 9999)
    return std::nullopt;
  std::string_view suffix = arch.substr(size_t(end - arch.data()));
  int major = number / 10, minor = number % 10;
  if (major != gpu.major || minor > gpu.minor)
    return std::nullopt;
  if (suffix == "a")
    return minor == gpu.minor ? std::optional(200) : std::nullopt;
  if (suffix == "f")
    return 100 + minor;
  return suffix.empty() ? std::optional(minor) : std::nullopt;
}

} // namespace ingot::cuda
