//===- CudaDriver.cpp -------------------------------------------*- C++ -*-===//
#include "runtime/device/cuda/CudaDriver.h"

#include "runtime/support/Text.h"

#include <dlfcn.h>

namespace ingot::cuda {

Result<CudaDriver> openCudaDriver(const char *library) {
  // Never closed: the driver keeps threads of its own.
  void *handle = ::dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = ::dlerror();
    return Status(ExitCode::DeviceMismatch,
                  text("this file needs an NVIDIA GPU, and the CUDA driver cannot be opened: ",
                       reason ? reason : library,
                       "; install the NVIDIA driver (`nvidia-smi` shows whether there is one), or "
                       "in a container pass the GPU through (for example `docker run --gpus all`), "
                       "or compile the model with --target host"));
  }
  CudaDriver driver;
  const char *missing = nullptr;
#define INGOT_CUDA_LOAD(member, symbol, parameters)                                                \
  driver.member = reinterpret_cast<decltype(driver.member)>(::dlsym(handle, #symbol));             \
  if (!driver.member && !missing)                                                                  \
    missing = #symbol;
  INGOT_CUDA_FUNCTIONS(INGOT_CUDA_LOAD)
#undef INGOT_CUDA_LOAD
  if (missing)
    return Status(ExitCode::DeviceMismatch,
                  text("the CUDA driver ", quoted(library), " has no function ", missing,
                       ": expected a driver for CUDA 12.0 or newer (NVIDIA driver 525 or newer); "
                       "update the NVIDIA driver"));
  return driver;
}

namespace {
struct Advice {
  CUresult error;
  ExitCode code;
  const char *hint;
};

// What a person can do. Errors that are not here are defects of a kernel or of this runtime.
constexpr Advice kAdvice[] = {
    {kErrorOutOfMemory, ExitCode::OutOfResources,
     "free memory on the GPU (`nvidia-smi` lists who uses it), or compile the model with a smaller "
     "--max-batch, --max-tokens or --max-context"},
    {kErrorStubLibrary, ExitCode::DeviceMismatch,
     "the toolkit's stub libcuda.so was found instead of the driver's; take its folder out of "
     "LD_LIBRARY_PATH"},
    {kErrorNewerDriver, ExitCode::DeviceMismatch, "update the NVIDIA driver"},
    {kErrorDeviceUnavailable, ExitCode::DeviceMismatch,
     "another process has the GPU to itself (its compute mode is exclusive); wait for it, or "
     "choose "
     "another GPU with CUDA_VISIBLE_DEVICES"},
    {kErrorNoDevice, ExitCode::DeviceMismatch,
     "no GPU is visible to this process; `nvidia-smi` lists those there are, CUDA_VISIBLE_DEVICES "
     "hides them, a container must be given them"},
    {kErrorInvalidImage, ExitCode::MalformedInput,
     "the code in the file is damaged or no cubin; compile the model again"},
    {kErrorNoBinaryForGpu, ExitCode::DeviceMismatch,
     "the code is for another GPU architecture; compile the model with --target for this GPU"},
    {kErrorEccUncorrectable, ExitCode::DeviceMismatch,
     "the GPU's memory has a fault that its error correction could not repair; reset or replace "
     "it"},
    {kErrorNotFound, ExitCode::MalformedInput,
     "the code in the file lacks what its plan names; compile the model again"},
    {kErrorIllegalAddress, ExitCode::Internal,
     "a kernel went outside its memory, now or in an earlier step; `run --profile` waits for every "
     "step and so names the one. This is a defect of ingot or a tampered file"},
    {kErrorLaunchOutOfResources, ExitCode::DeviceMismatch,
     "the kernel needs more registers or shared memory than this GPU has; compile the model with "
     "--target for this GPU"},
    {kErrorLaunchTimeout, ExitCode::DeviceMismatch,
     "the driver stops long kernels on a GPU that drives a display; use another GPU"},
    {kErrorMisalignedAddress, ExitCode::Internal,
     "a kernel used a misaligned address, now or in an earlier step; `run --profile` names it. "
     "This "
     "is a defect of ingot or a tampered file"},
    {kErrorLaunchFailed, ExitCode::Internal,
     "a kernel failed, now or in an earlier step; `run --profile` waits for every step and so "
     "names "
     "the one. `dmesg` may say more (NVRM: Xid)"},
    {kErrorNotSupported, ExitCode::DeviceMismatch,
     "this GPU or its driver cannot do that; update the NVIDIA driver"},
    {kErrorSystemNotReady, ExitCode::DeviceMismatch,
     "the GPUs' fabric is not ready; is the fabric manager (nvidia-fabricmanager) running?"},
    {kErrorSystemDriverMismatch, ExitCode::DeviceMismatch,
     "libcuda.so.1 and the kernel's driver are of different versions; reboot after an update, or "
     "repair the container's driver mount"},
};
} // namespace

Status cudaStatus(const CudaDriver &driver, CUresult result, const std::string &operation) {
  if (result == kSuccess)
    return {};
  const char *name = nullptr, *words = nullptr;
  // These need no initialized driver; an unknown error leaves them null.
  if (driver.getErrorName(result, &name) != kSuccess || !name)
    name = "an error that the driver has no name for";
  if (driver.getErrorString(result, &words) != kSuccess || !words)
    words = "no description";
  ExitCode code = ExitCode::Internal;
  const char *hint = "this is a defect of ingot or of the driver; the steps before it and "
                     "`nvidia-smi` may tell more";
  for (const Advice &advice : kAdvice)
    if (advice.error == result) {
      code = advice.code;
      hint = advice.hint;
    }
  return Status(code, text("CUDA: ", operation, ": ", words, " (", name, "); ", hint));
}

} // namespace ingot::cuda
