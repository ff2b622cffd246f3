//===- CudaDriver.h - The CUDA driver as a table ------------------*- C++ -*-===//
//
// What this runtime needs of the CUDA driver API (cuda.h of CUDA 12 and later), declared here: no
// toolkit is needed to build or run it. The functions come from libcuda.so.1, which belongs to the
// GPU's kernel driver, when the first CUDA device is made. Tests put a table of their own here.
//
// test/runtime/device/cuda/AbiTest.cpp compares these declarations with cuda.h where there is one.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstddef>
#include <cstdint>

namespace ingot::cuda {

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st *;
using CUmodule = struct CUmod_st *;
using CUfunction = struct CUfunc_st *;
using CUstream = struct CUstream_st *;
using CUevent = struct CUevent_st *;
using CUgraph = struct CUgraph_st *;
using CUgraphExec = struct CUgraphExec_st *;

enum : CUresult {
  kSuccess = 0,
  kErrorOutOfMemory = 2,
  kErrorStubLibrary = 34,
  kErrorNewerDriver = 36,
  kErrorDeviceUnavailable = 46,
  kErrorNoDevice = 100,
  kErrorInvalidImage = 200,
  kErrorNoBinaryForGpu = 209,
  kErrorEccUncorrectable = 214,
  kErrorNotFound = 500,
  kErrorIllegalAddress = 700,
  kErrorLaunchOutOfResources = 701,
  kErrorLaunchTimeout = 702,
  kErrorMisalignedAddress = 716,
  kErrorLaunchFailed = 719,
  kErrorNotSupported = 801,
  kErrorSystemNotReady = 802,
  kErrorSystemDriverMismatch = 803,
};

enum : int { // CUdevice_attribute
  kClockRate = 13,
  kMultiprocessorCount = 16,
  kMemoryClockRate = 36,
  kMemoryBusWidth = 37,
  kComputeCapabilityMajor = 75,
  kComputeCapabilityMinor = 76,
  kMaxSharedBytesOptin = 97,
};

enum : int { // CUfunction_attribute
  kFunctionMaxThreads = 0,
  kFunctionStaticSharedBytes = 1,
  kFunctionMaxDynamicSharedBytes = 8,
  kFunctionNonPortableCluster = 14,
};

enum : int { // CUlaunchAttributeID
  kLaunchClusterDimension = 4,
  kLaunchProgrammaticSerialization = 6,
};

inline constexpr unsigned kStreamNonBlocking = 1, kEventDisableTiming = 2, kHostAllocPortable = 1,
                          kHostRegisterPortable = 1;
inline constexpr int kCaptureRelaxed = 2; // CUstreamCaptureMode

union LaunchAttributeValue {
  char pad[64];
  struct {
    unsigned x, y, z;
  } cluster;
  int programmaticSerialization;
};
struct LaunchAttribute {
  int id;
  char pad[4];
  LaunchAttributeValue value;
};
struct LaunchConfig {
  unsigned gridX, gridY, gridZ;
  unsigned blockX, blockY, blockZ;
  unsigned sharedBytes;
  CUstream stream;
  LaunchAttribute *attributes;
  unsigned numAttributes;
};

enum : int { // CUtensorMapDataType
  kMapU8 = 0,
  kMapI32 = 3,
  kMapI64 = 5,
  kMapF16 = 6,
  kMapF32 = 7,
  kMapBF16 = 9,
};

/// A member a driver function: X(member, symbol, parameters). Symbols carry the version that the
/// parameters are of, which cuda.h hides behind macros.
#define INGOT_CUDA_FUNCTIONS(X)                                                                    \
  X(init, cuInit, (unsigned flags))                                                                \
  X(driverGetVersion, cuDriverGetVersion, (int *version))                                          \
  X(getErrorName, cuGetErrorName, (CUresult error, const char **text))                             \
  X(getErrorString, cuGetErrorString, (CUresult error, const char **text))                         \
  X(deviceGetCount, cuDeviceGetCount, (int *count))                                                \
  X(deviceGet, cuDeviceGet, (CUdevice * device, int ordinal))                                      \
  X(deviceGetName, cuDeviceGetName, (char *name, int bytes, CUdevice device))                      \
  X(deviceGetAttribute, cuDeviceGetAttribute, (int *value, int attribute, CUdevice device))        \
  X(contextRetain, cuDevicePrimaryCtxRetain, (CUcontext * context, CUdevice device))               \
  X(contextRelease, cuDevicePrimaryCtxRelease_v2, (CUdevice device))                               \
  X(contextSetCurrent, cuCtxSetCurrent, (CUcontext context))                                       \
  X(moduleLoadData, cuModuleLoadData, (CUmodule * module, const void *image))                      \
  X(moduleUnload, cuModuleUnload, (CUmodule module))                                               \
  X(moduleGetFunction, cuModuleGetFunction,                                                        \
    (CUfunction * function, CUmodule module, const char *name))                                    \
  X(functionGetAttribute, cuFuncGetAttribute, (int *value, int attribute, CUfunction function))    \
  X(functionSetAttribute, cuFuncSetAttribute, (CUfunction function, int attribute, int value))     \
  X(memGetInfo, cuMemGetInfo_v2, (size_t *free, size_t *total))                                    \
  X(memAlloc, cuMemAlloc_v2, (CUdeviceptr * address, size_t bytes))                                \
  X(memFree, cuMemFree_v2, (CUdeviceptr address))                                                  \
  X(memHostAlloc, cuMemHostAlloc, (void **address, size_t bytes, unsigned flags))                  \
  X(memFreeHost, cuMemFreeHost, (void *address))                                                   \
  X(memHostRegister, cuMemHostRegister_v2, (void *address, size_t bytes, unsigned flags))          \
  X(memHostUnregister, cuMemHostUnregister, (void *address))                                       \
  X(memsetAsync, cuMemsetD8Async,                                                                  \
    (CUdeviceptr address, unsigned char value, size_t bytes, CUstream stream))                     \
  X(copyToDevice, cuMemcpyHtoDAsync_v2,                                                            \
    (CUdeviceptr target, const void *source, size_t bytes, CUstream stream))                       \
  X(copyToHost, cuMemcpyDtoHAsync_v2,                                                              \
    (void *target, CUdeviceptr source, size_t bytes, CUstream stream))                             \
  X(copyOnDevice, cuMemcpyDtoDAsync_v2,                                                            \
    (CUdeviceptr target, CUdeviceptr source, size_t bytes, CUstream stream))                       \
  X(streamCreate, cuStreamCreate, (CUstream * stream, unsigned flags))                             \
  X(streamDestroy, cuStreamDestroy_v2, (CUstream stream))                                          \
  X(streamSynchronize, cuStreamSynchronize, (CUstream stream))                                     \
  X(streamBeginCapture, cuStreamBeginCapture_v2, (CUstream stream, int mode))                      \
  X(streamEndCapture, cuStreamEndCapture, (CUstream stream, CUgraph * graph))                      \
  X(eventCreate, cuEventCreate, (CUevent * event, unsigned flags))                                 \
  X(eventDestroy, cuEventDestroy_v2, (CUevent event))                                              \
  X(eventRecord, cuEventRecord, (CUevent event, CUstream stream))                                  \
  X(eventSynchronize, cuEventSynchronize, (CUevent event))                                         \
  X(graphInstantiate, cuGraphInstantiateWithFlags,                                                 \
    (CUgraphExec * executable, CUgraph graph, unsigned long long flags))                           \
  X(graphDestroy, cuGraphDestroy, (CUgraph graph))                                                 \
  X(graphExecDestroy, cuGraphExecDestroy, (CUgraphExec executable))                                \
  X(graphLaunch, cuGraphLaunch, (CUgraphExec executable, CUstream stream))                         \
  X(launchKernel, cuLaunchKernelEx,                                                                \
    (const LaunchConfig *config, CUfunction function, void **parameters, void **extra))            \
  X(tensorMapEncode, cuTensorMapEncodeTiled,                                                       \
    (void *map, int dataType, uint32_t rank, void *address, const uint64_t *dims,                  \
     const uint64_t *strides, const uint32_t *box, const uint32_t *elementStrides, int interleave, \
     int swizzle, int promotion, int outOfBounds))

struct CudaDriver {
#define INGOT_CUDA_MEMBER(member, symbol, parameters) CUresult(*member) parameters = nullptr;
  INGOT_CUDA_FUNCTIONS(INGOT_CUDA_MEMBER)
#undef INGOT_CUDA_MEMBER
};

/// 13.0 is 13000. Launch attributes and tensor maps came with the first; programmatic dependent
/// launches inside graphs with the second.
inline constexpr int kLeastDriverVersion = 12000, kGraphDriverVersion = 12030;

/// Fills a table from a shared library. DeviceMismatch, with what to do, where it is missing or
/// lacks a function.
Result<CudaDriver> openCudaDriver(const char *library = "libcuda.so.1");

/// Ok, or the error `result` of `operation` ("allocating 2.0 GiB"): in words, with a hint. The exit
/// code says whose fault it may be: OutOfResources, DeviceMismatch, else Internal.
Status cudaStatus(const CudaDriver &driver, CUresult result, const std::string &operation);

} // namespace ingot::cuda
