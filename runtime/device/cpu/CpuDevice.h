//===- CpuDevice.h - Kernels of ELF images on a thread pool ------*- C++ -*-===//
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/HostKernelAbi.h"
#include "runtime/device/cpu/ElfImage.h"

#include <vector>

namespace ingot {

class CpuDevice final : public Device {
public:
  /// Takes the highest of the architectures that this CPU runs (CpuFeatures.h); DeviceMismatch where
  /// there is none.
  static Result<std::unique_ptr<Device>> create(const DeviceRequest &request);
  ~CpuDevice() override;

  std::string_view kind() const override { return "host"; }
  size_t archIndex() const override { return archIndex_; }
  std::string description() const override;
  bool hostAccessible() const override { return true; }

  Result<uint32_t> loadImage(std::span<const std::byte> image, std::string_view arch) override;
  Result<uint32_t> resolveKernel(const KernelSpec &spec) override;
  Result<void *> allocate(uint64_t bytes, std::string_view what) override;
  Result<void *> allocateHost(uint64_t bytes, std::string_view what) override;
  const void *adoptReadOnly(std::span<const std::byte> bytes) override;
  Status finishLoad() override;

  Status launch(const LaunchSpec &launch) override;
  Status copy(void *target, const void *source, uint64_t bytes) override;
  Status upload(void *target, const void *hostSource, uint64_t bytes) override;
  Status download(void *hostTarget, const void *source, uint64_t bytes) override;
  Status fill(void *target, uint8_t byte, uint64_t bytes) override;
  Status synchronize() override { return {}; }

  uint64_t allocatedBytes() const override { return allocatedBytes_; }

private:
  struct Mapping {
    void *data;
    uint64_t bytes;
  };

  CpuDevice(ThreadPool &pool, size_t archIndex) : pool_(pool), archIndex_(archIndex) {}
  Result<void *> map(uint64_t bytes, std::string_view what);

  ThreadPool &pool_;
  size_t archIndex_ = 0;
  std::vector<ElfImage> images_;
  std::vector<ingot_host_kernel> kernels_;
  std::vector<Mapping> mappings_;
  uint64_t allocatedBytes_ = 0; // without scratch and host buffers
  uint64_t scratchBytes_ = 0;   // per worker, the largest kernel's
  char *scratch_ = nullptr;
};

} // namespace ingot
