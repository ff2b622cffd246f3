//===- HostKernelAbi.h - How the runtime calls a compiled CPU kernel -*- C -*-===//
//
// A host code image is an ELF shared object without undefined symbols. Each kernel is one function
// of type `ingot_host_kernel`. The executor calls it once per block of the launch grid, from any
// worker thread and in any order; blocks of one launch never depend on each other.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// `buffers[i]`  address of the i-th buffer argument, 64-byte aligned
/// `sizes[i]`    value of the i-th size argument (a dynamic extent, in elements)
/// `scratch`     this worker's scratch, `Kernel.scratch_bytes` bytes, 64-byte aligned, or null
/// `x, y, z`     this block's position in the launch grid
typedef void (*ingot_host_kernel)(void *const *buffers, const int64_t *sizes, void *scratch,
                                  int64_t x, int64_t y, int64_t z);

#ifdef __cplusplus
}
#endif
