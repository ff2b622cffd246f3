//===- Device.cpp -----------------------------------------------*- C++ -*-===//
#include "runtime/device/Device.h"

#include "runtime/device/cpu/CpuDevice.h"
#include "runtime/support/Text.h"

namespace ingot {

Device::~Device() = default;

Result<std::unique_ptr<Device>> makeDevice(std::string_view kind, std::string_view arch,
                                           ThreadPool &pool) {
  if (kind == "host")
    return CpuDevice::create(arch, pool);
  return Status(ExitCode::DeviceMismatch,
                text("the file needs a device of kind ", quoted(kind), " (", quoted(arch),
                     "), this runtime has: 'host'; compile the model for --target host"));
}

} // namespace ingot
