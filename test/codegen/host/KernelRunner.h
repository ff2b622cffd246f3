//===- KernelRunner.h - Compile kernel functions and call them --*- C++ -*-===//
//
// What the runtime does with a host image, in miniature: map it, look up an entry point, call it once
// a grid block.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/host/HostImage.h"
#include "runtime/device/HostKernelAbi.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ingot::host {

/// 64-byte aligned storage of one kernel argument.
class AlignedBytes {
public:
  explicit AlignedBytes(size_t bytes);
  ~AlignedBytes();
  AlignedBytes(const AlignedBytes &) = delete;
  template <typename T> T *as() { return static_cast<T *>(data); }
  size_t size() const { return bytes; }

private:
  void *data;
  size_t bytes;
};

/// A loaded host image.
class LoadedKernels {
public:
  /// Compiles the functions of `source` (MLIR text) for `level` and loads the image.
  /// `error` says what went wrong if the result is null.
  static std::unique_ptr<LoadedKernels> compile(const std::string &source, const std::string &level,
                                                std::string &error);
  ~LoadedKernels();

  /// Runs kernel `name` over its whole grid. `reverse` runs the blocks in opposite order.
  void run(const std::string &name, const std::vector<void *> &buffers,
           const std::vector<int64_t> &sizes, bool reverse = false);
  ingot_host_kernel entry(const std::string &name) const;
  /// The grid of `name` at `sizes`.
  std::vector<int64_t> grid(const std::string &name, const std::vector<int64_t> &sizes) const;
  const HostImage &image() const { return host; }

private:
  HostImage host;
  void *handle = nullptr;
  std::unique_ptr<AlignedBytes> scratch;
};

} // namespace ingot::host
