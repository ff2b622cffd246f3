/* fake_cuda.c - libcuda.so.1 without a GPU: memory of the host, an H100's answers, kernels that do nothing.
 *
 * What tune measures over it is how fast nothing is; what it writes, and what is made of that, is tested. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int Result;
typedef void *Handle;
#define EXPORT __attribute__((visibility("default")))

static int handles;
static Result give(Handle *out) {
  *out = &handles;
  return 0;
}

EXPORT Result cuInit(unsigned flags) { return 0; }
EXPORT Result cuDriverGetVersion(int *version) {
  *version = 13000;
  return 0;
}
EXPORT Result cuGetErrorName(Result error, const char **text) {
  *text = "CUDA_ERROR_FAKE";
  return 0;
}
EXPORT Result cuGetErrorString(Result error, const char **text) {
  *text = "what a fake driver cannot do";
  return 0;
}
EXPORT Result cuDeviceGetCount(int *count) {
  *count = 1;
  return 0;
}
EXPORT Result cuDeviceGet(int *device, int ordinal) {
  *device = 0;
  return 0;
}
EXPORT Result cuDeviceGetName(char *name, int bytes, int device) {
  const char *given = getenv("FAKE_GPU_NAME");
  strncpy(name, given ? given : "NVIDIA H100 80GB HBM3", (size_t)bytes);
  return 0;
}
EXPORT Result cuDeviceGetAttribute(int *value, int attribute, int device) {
  switch (attribute) {
  case 13: *value = 1980000; break; /* kHz */
  case 16: *value = 132; break;
  case 36: *value = 2619000; break; /* kHz */
  case 37: *value = 5120; break;
  case 75: *value = 9; break;
  case 76: *value = 0; break;
  case 97: *value = 232448; break;
  default: *value = 0;
  }
  return 0;
}
EXPORT Result cuDevicePrimaryCtxRetain(Handle *context, int device) { return give(context); }
EXPORT Result cuDevicePrimaryCtxRelease_v2(int device) { return 0; }
EXPORT Result cuCtxSetCurrent(Handle context) { return 0; }
/* Code as text is refused: random weights are then made on the host. */
EXPORT Result cuModuleLoadData(Handle *module, const void *image) {
  if (memcmp(image, "\177ELF", 4) != 0)
    return 200;
  return give(module);
}
EXPORT Result cuModuleUnload(Handle module) { return 0; }
EXPORT Result cuModuleGetFunction(Handle *function, Handle module, const char *name) {
  return give(function);
}
EXPORT Result cuFuncGetAttribute(int *value, int attribute, Handle function) {
  *value = attribute == 0 ? 1024 : 0;
  return 0;
}
EXPORT Result cuFuncSetAttribute(Handle function, int attribute, int value) { return 0; }
EXPORT Result cuMemGetInfo_v2(size_t *bytes, size_t *total) {
  *bytes = *total = (size_t)80 << 30;
  return 0;
}
static Result allocate(void **out, size_t bytes) {
  *out = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
  return *out ? 0 : 2;
}
EXPORT Result cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  void *memory = NULL;
  Result result = allocate(&memory, bytes);
  *address = (uint64_t)(uintptr_t)memory;
  return result;
}
EXPORT Result cuMemFree_v2(uint64_t address) {
  free((void *)(uintptr_t)address);
  return 0;
}
EXPORT Result cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  return allocate(address, bytes);
}
EXPORT Result cuMemFreeHost(void *address) {
  free(address);
  return 0;
}
EXPORT Result cuMemHostRegister_v2(void *address, size_t bytes, unsigned flags) { return 0; }
EXPORT Result cuMemHostUnregister(void *address) { return 0; }
EXPORT Result cuMemsetD8Async(uint64_t address, unsigned char value, size_t bytes, Handle stream) {
  memset((void *)(uintptr_t)address, value, bytes);
  return 0;
}
EXPORT Result cuMemcpyHtoDAsync_v2(uint64_t target, const void *source, size_t bytes, Handle stream) {
  memcpy((void *)(uintptr_t)target, source, bytes);
  return 0;
}
EXPORT Result cuMemcpyDtoHAsync_v2(void *target, uint64_t source, size_t bytes, Handle stream) {
  memcpy(target, (const void *)(uintptr_t)source, bytes);
  return 0;
}
EXPORT Result cuMemcpyDtoDAsync_v2(uint64_t target, uint64_t source, size_t bytes, Handle stream) {
  memcpy((void *)(uintptr_t)target, (const void *)(uintptr_t)source, bytes);
  return 0;
}
EXPORT Result cuStreamCreate(Handle *stream, unsigned flags) { return give(stream); }
EXPORT Result cuStreamDestroy_v2(Handle stream) { return 0; }
EXPORT Result cuStreamSynchronize(Handle stream) { return 0; }
EXPORT Result cuStreamBeginCapture_v2(Handle stream, int mode) { return 0; }
EXPORT Result cuStreamEndCapture(Handle stream, Handle *graph) { return give(graph); }
EXPORT Result cuEventCreate(Handle *event, unsigned flags) { return give(event); }
EXPORT Result cuEventDestroy_v2(Handle event) { return 0; }
EXPORT Result cuEventRecord(Handle event, Handle stream) { return 0; }
EXPORT Result cuEventSynchronize(Handle event) { return 0; }
EXPORT Result cuGraphInstantiateWithFlags(Handle *executable, Handle graph, unsigned long long flags) {
  return give(executable);
}
EXPORT Result cuGraphDestroy(Handle graph) { return 0; }
EXPORT Result cuGraphExecDestroy(Handle executable) { return 0; }
EXPORT Result cuGraphLaunch(Handle executable, Handle stream) { return 0; }
EXPORT Result cuLaunchKernelEx(const void *config, Handle function, void **parameters, void **extra) {
  return 0;
}
EXPORT Result cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address,
                                     const uint64_t *dims, const uint64_t *strides,
                                     const uint32_t *box, const uint32_t *elementStrides,
                                     int interleave, int swizzle, int promotion, int outOfBounds) {
  memset(map, 0, 128);
  return 0;
}
