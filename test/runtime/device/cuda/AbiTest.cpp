//===- AbiTest.cpp - Our declarations against cuda.h ------------*- C++ -*-===//
//
// Compiled where the toolkit's cuda.h is.
//
//===----------------------------------------------------------------------===//
#include "runtime/device/Device.h"
#include "runtime/device/cuda/CudaDriver.h"

#include <cuda.h>
#include <gtest/gtest.h>
#include <type_traits>

namespace ours = ingot::cuda;

// Values.
static constexpr bool same(long ours, long theirs) { return ours == theirs; }
static_assert(same(ours::kErrorOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY));
static_assert(same(ours::kErrorStubLibrary, CUDA_ERROR_STUB_LIBRARY));
static_assert(same(ours::kErrorDeviceUnavailable, CUDA_ERROR_DEVICE_UNAVAILABLE));
static_assert(same(ours::kErrorNoDevice, CUDA_ERROR_NO_DEVICE));
static_assert(same(ours::kErrorInvalidImage, CUDA_ERROR_INVALID_IMAGE));
static_assert(same(ours::kErrorNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU));
static_assert(same(ours::kErrorEccUncorrectable, CUDA_ERROR_ECC_UNCORRECTABLE));
static_assert(same(ours::kErrorNotFound, CUDA_ERROR_NOT_FOUND));
static_assert(same(ours::kErrorIllegalAddress, CUDA_ERROR_ILLEGAL_ADDRESS));
static_assert(same(ours::kErrorLaunchOutOfResources, CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES));
static_assert(same(ours::kErrorLaunchTimeout, CUDA_ERROR_LAUNCH_TIMEOUT));
static_assert(same(ours::kErrorMisalignedAddress, CUDA_ERROR_MISALIGNED_ADDRESS));
static_assert(same(ours::kErrorLaunchFailed, CUDA_ERROR_LAUNCH_FAILED));
static_assert(same(ours::kErrorNotSupported, CUDA_ERROR_NOT_SUPPORTED));
static_assert(same(ours::kErrorSystemNotReady, CUDA_ERROR_SYSTEM_NOT_READY));
static_assert(same(ours::kErrorSystemDriverMismatch, CUDA_ERROR_SYSTEM_DRIVER_MISMATCH));
static_assert(same(ours::kMultiprocessorCount, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT));
static_assert(same(ours::kComputeCapabilityMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR));
static_assert(same(ours::kComputeCapabilityMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
static_assert(same(ours::kMaxSharedBytesOptin,
                   CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN));
static_assert(same(ours::kFunctionMaxThreads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK));
static_assert(same(ours::kFunctionStaticSharedBytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES));
static_assert(same(ours::kFunctionMaxDynamicSharedBytes,
                   CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES));
static_assert(same(ours::kFunctionNonPortableCluster,
                   CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED));
static_assert(same(ours::kLaunchClusterDimension, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION));
static_assert(same(ours::kLaunchProgrammaticSerialization,
                   CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION));
static_assert(same(ours::kStreamNonBlocking, CU_STREAM_NON_BLOCKING));
static_assert(same(ours::kEventDisableTiming, CU_EVENT_DISABLE_TIMING));
static_assert(same(ours::kHostAllocPortable, CU_MEMHOSTALLOC_PORTABLE));
static_assert(same(ours::kHostRegisterPortable, CU_MEMHOSTREGISTER_PORTABLE));
static_assert(same(ours::kCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED));
static_assert(same(ours::kMapU8, CU_TENSOR_MAP_DATA_TYPE_UINT8));
static_assert(same(ours::kMapI32, CU_TENSOR_MAP_DATA_TYPE_INT32));
static_assert(same(ours::kMapI64, CU_TENSOR_MAP_DATA_TYPE_INT64));
static_assert(same(ours::kMapF16, CU_TENSOR_MAP_DATA_TYPE_FLOAT16));
static_assert(same(ours::kMapF32, CU_TENSOR_MAP_DATA_TYPE_FLOAT32));
static_assert(same(ours::kMapBF16, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16));
static_assert(CU_TENSOR_MAP_SWIZZLE_128B == 3 && CU_TENSOR_MAP_L2_PROMOTION_L2_256B == 3);

// Layouts.
static_assert(sizeof(CUdeviceptr) == sizeof(ours::CUdeviceptr) && sizeof(CUdevice) == sizeof(int));
static_assert(sizeof(CUtensorMap) == sizeof(ingot::TensorMapImage) &&
              alignof(CUtensorMap) <= alignof(ingot::TensorMapImage));
static_assert(sizeof(CUlaunchAttribute) == sizeof(ours::LaunchAttribute) &&
              offsetof(CUlaunchAttribute, value) == offsetof(ours::LaunchAttribute, value));
static_assert(sizeof(CUlaunchConfig) == sizeof(ours::LaunchConfig) &&
              offsetof(CUlaunchConfig, hStream) == offsetof(ours::LaunchConfig, stream) &&
              offsetof(CUlaunchConfig, attrs) == offsetof(ours::LaunchConfig, attributes) &&
              offsetof(CUlaunchConfig, numAttrs) == offsetof(ours::LaunchConfig, numAttributes));

// As many parameters, each of the same size: enumerations and handles differ in name only.
template <typename Ours, typename Theirs> struct SameShape : std::false_type {};
template <typename... Ours, typename... Theirs>
requires(sizeof...(Ours) ==
         sizeof...(Theirs)) struct SameShape<ours::CUresult (*)(Ours...), CUresult (*)(Theirs...)>
    : std::bool_constant<((sizeof(Ours) == sizeof(Theirs)) && ...)> {
};
#define INGOT_CHECK_FUNCTION(member, symbol, parameters)                                           \
  static_assert(SameShape<decltype(ours::CudaDriver::member), decltype(&::symbol)>::value);
INGOT_CUDA_FUNCTIONS(INGOT_CHECK_FUNCTION)

TEST(CudaAbi, DeclarationsAgreeWithTheToolkit) {
  SUCCEED() << "checked when this file was compiled, against CUDA " << CUDA_VERSION;
}
