//===- Device.cpp -----------------------------------------------*- C++ -*-===//
#include "runtime/device/Device.h"

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/support/Text.h"
#include "runtime/support/ThreadPool.h"
#include "runtime/support/Try.h"

#include <vector>

namespace ingot {

Device::~Device() = default;

namespace {
struct FillJob {
  std::span<const UploadPiece> pieces;
  FillPiece fill;
  void *context;
  std::vector<Status> results;
};
} // namespace

Status Device::fillPieces(std::span<const UploadPiece> pieces, FillPiece fill, void *context,
                          ThreadPool &pool) {
  if (hostAccessible()) {
    FillJob job{pieces, fill, context, std::vector<Status>(pieces.size())};
    pool.run(
        int64_t(pieces.size()),
        [](void *argument, unsigned, int64_t begin, int64_t end) {
          auto *self = static_cast<FillJob *>(argument);
          for (auto i = size_t(begin); i < size_t(end); ++i)
            self->results[i] =
                self->fill(self->context, i, static_cast<std::byte *>(self->pieces[i].target));
        },
        &job);
    for (const Status &status : job.results)
      INGOT_TRY(status);
    return {};
  }
  std::vector<std::byte> buffer;
  for (size_t i = 0; i < pieces.size(); ++i) {
    buffer.resize(pieces[i].bytes);
    INGOT_TRY(fill(context, i, buffer.data()));
    INGOT_TRY(upload(pieces[i].target, buffer.data(), pieces[i].bytes));
    INGOT_TRY(synchronize());
  }
  return {};
}

Status Device::encodeTensorMap(const TensorMapSpec &, TensorMapImage &) {
  return Status(ExitCode::DeviceMismatch, text(description(), " has no tensor maps"));
}

Result<std::unique_ptr<Device>> makeDevice(const DeviceRequest &request) {
  if (request.kind == "host")
    return CpuDevice::create(request);
  if (request.kind == "cuda")
    return CudaDevice::create(request);
  return Status(ExitCode::DeviceMismatch,
                text("the file needs a device of kind ", quoted(request.kind), " (",
                     quoted(request.archs[0]),
                     "), this runtime has: 'host' and 'cuda'; compile the model for one of those"));
}

} // namespace ingot
