//===- KernelRunner.h - Compile kernel functions and call them --*- C++ -*-===//
//
// Compiles MLIR text to a host image and runs its kernels through the runtime's CPU device.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/host/HostImage.h"
#include "runtime/device/Device.h"
#include "runtime/support/ThreadPool.h"

#include <cstdint>
#include <map>
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

/// A loaded host image on the runtime's CPU device.
class LoadedKernels {
public:
  /// Compiles the functions of `source` (MLIR text) for `level` and loads the image for `threads`
  /// workers. `error` says what went wrong if the result is null.
  static std::unique_ptr<LoadedKernels> compile(const std::string &source, const std::string &level,
                                                std::string &error, unsigned threads = 1);

  /// Runs kernel `name` over its whole grid.
  void run(const std::string &name, const std::vector<void *> &buffers,
           const std::vector<int64_t> &sizes);
  const HostImage &image() const { return host; }

private:
  HostImage host;
  std::vector<std::byte> bytes;
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Device> device;
  std::map<std::string, uint32_t> handles;
};

} // namespace ingot::host
