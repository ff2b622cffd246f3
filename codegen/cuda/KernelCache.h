//===- KernelCache.h - Compiled kernels by content --------------*- C++ -*-===//
#pragma once

#include "codegen/cuda/Nvrtc.h"

#include <optional>
#include <string>

namespace ingot::cuda {

/// A folder of compiled kernels. A key is a digest of everything that the result depends on.
/// Several processes may use one folder; a damaged or half-written entry is no entry.
class KernelCache {
public:
  /// `folder` empty: the default place; "off", or no place to be found: no cache.
  explicit KernelCache(const std::string &folder);

  std::optional<Compiled> find(const std::string &key) const;
  /// Failures are silent: a cache that cannot be written only costs time.
  void put(const std::string &key, const Compiled &compiled) const;

private:
  std::string folder; // empty: none
};

} // namespace ingot::cuda
