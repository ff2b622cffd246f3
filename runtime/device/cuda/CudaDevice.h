//===- CudaDevice.h - A GPU through the CUDA driver ---------------*- C++ -*-===//
//
// One GPU, its primary context and one in-order stream. Code comes as cubins (compiled ahead for an
// architecture), memory as one allocation a space. A second stream carries weights at load from
// pinned buffers that the pool fills meanwhile (CudaUpload.cpp).
//
// Recordings are CUDA graphs, captured from the stream.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/device/Device.h"
#include "runtime/device/cuda/CudaDriver.h"
#include "runtime/device/cuda/GpuArch.h"

#include <string>

#include <vector>

namespace ingot {

class CudaDevice final : public Device {
public:
  /// Opens the driver on first use.
  static Result<std::unique_ptr<Device>> create(const DeviceRequest &request);
  /// The same over a given table, which outlives the device.
  static Result<std::unique_ptr<Device>> create(const cuda::CudaDriver &driver,
                                                const DeviceRequest &request);
  ~CudaDevice() override;

  std::string_view kind() const override { return "cuda"; }
  std::string description() const override;
  bool hostAccessible() const override { return false; }
  size_t archIndex() const override { return archIndex_; }
  std::optional<DeviceMemoryInfo> memoryInfo() override;
  std::optional<GpuDescription> gpu() override;

  Result<uint32_t> loadImage(std::span<const std::byte> image, std::string_view arch) override;
  Result<uint32_t> resolveKernel(const KernelSpec &spec) override;
  Result<void *> allocate(uint64_t bytes, std::string_view what) override;
  Result<void *> allocateHost(uint64_t bytes, std::string_view what) override;
  const void *adoptReadOnly(std::span<const std::byte>) override { return nullptr; }
  Status fillPieces(std::span<const UploadPiece> pieces, FillPiece fill, void *context,
                    ThreadPool &pool) override;
  Result<bool> fillRandom(const RandomBox &box) override;
  Status encodeTensorMap(const TensorMapSpec &spec, TensorMapImage &map) override;
  Status finishLoad() override { return {}; }

  Status launch(const LaunchSpec &launch) override;
  Status copy(void *target, const void *source, uint64_t bytes) override;
  Status upload(void *target, const void *hostSource, uint64_t bytes) override;
  Status download(void *hostTarget, const void *source, uint64_t bytes) override;
  Status fill(void *target, uint8_t byte, uint64_t bytes) override;
  Status synchronize() override;

  bool canRecord() const override { return driverVersion_ >= cuda::kGraphDriverVersion; }
  Status beginRecording() override;
  Result<uint32_t> endRecording() override;
  void abandonRecording() override;
  Status replay(uint32_t recording) override;
  void dropRecording(uint32_t recording) override;

  uint64_t allocatedBytes() const override { return allocatedBytes_; }

private:
  class Uploader;
  struct Kernel {
    cuda::CUfunction function;
    KernelSpec spec;
    const char *entry; // lives as long as the artifact
  };

  explicit CudaDevice(const cuda::CudaDriver &driver) : driver_(driver) {}
  Status open(const DeviceRequest &request);
  /// Makes the context current: callers may come from any thread.
  Status enter();
  Status check(cuda::CUresult result, const std::string &operation) const {
    return cuda::cudaStatus(driver_, result, operation);
  }
  Status outOfMemory(cuda::CUresult result, const std::string &operation);
  Status uploadWave(std::span<const UploadPiece> pieces, const std::byte *staged,
                    std::span<const uint64_t> offsets);
  Status checkKernelFits(const KernelSpec &spec, cuda::CUfunction function,
                         const std::string &what);
  std::string gridText(const int64_t (&grid)[3]) const;

  const cuda::CudaDriver &driver_;
  int driverVersion_ = 0;
  cuda::CUdevice device_ = 0;
  cuda::CUcontext context_ = nullptr; // retained
  cuda::ComputeCapability capability_;
  std::string name_;
  int multiprocessors_ = 0, sharedBytesOptin_ = 0;
  size_t archIndex_ = 0;
  cuda::CUstream stream_ = nullptr, copyStream_ = nullptr;
  std::vector<cuda::CUmodule> modules_;
  cuda::CUfunction random_ = nullptr; // CudaRandom.cpp
  bool randomTried_ = false;
  std::vector<Kernel> kernels_;
  std::vector<cuda::CUdeviceptr> memory_;
  std::vector<void *> hostMemory_;
  std::vector<cuda::CUgraphExec> recordings_; // null: a free handle
  uint64_t allocatedBytes_ = 0;
};

} // namespace ingot
