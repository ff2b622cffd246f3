// grid.cuh - Programmatic dependent launch (sm_90): griddepcontrol.
//
// A kernel that was launched with the attribute may start while the one before it drains. It must
// not touch what that one makes before `wait_for_previous_grid`; weights it may read earlier.
// Without the attribute both instructions do nothing.
//
// Kernels allow the next grid first and wait then: by the time a grid may go on, the ones behind it
// are on the multiprocessors already. Since every thread of every grid waits for the one in front,
// a grid that has waited follows all that were launched before it. Where a kernel waits first and
// allows then (`waits_first`), every grid behind it follows all that were launched before it, from
// its first instruction on.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot::ptx {

/// Blocks until all grids that this one depends on have finished and their writes are visible.
INGOT_DEVICE void wait_for_previous_grid() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/// Lets the next grid start as soon as every block of this one has said so or ended.
INGOT_DEVICE void allow_next_grid() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;" :::);
#endif
}

/// A barrier of the `threads` threads of one group of a block; groups are numbered from 0 to 14.
INGOT_DEVICE void sync_group(int group, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(group + 1), "r"(threads) : "memory");
}

} // namespace ingot::ptx

namespace ingot {

/// Asks for what every block will read to come to L2 before there is a grid to wait for: 128 bytes
/// by a thread of each of a few blocks.
INGOT_DEVICE void fetch_ahead(const void *data, u32 bytes) {
#if __CUDA_ARCH__ >= 900
  const u32 at = (blockIdx.x * blockDim.x + threadIdx.x) * 128;
  if (at < bytes)
    asm volatile("prefetch.global.L2 [%0];" ::"l"(
        __cvta_generic_to_global(static_cast<const unsigned char *>(data) + at)));
#endif
}

/// A size that may be known on the device only: the value at `address`, or, where there is none,
/// `most`, which bounds it otherwise. What wrote it has ended once this grid may read. Sizes are
/// counts of rows or tokens: the compiler may know that they have 31 bits, and divide by them so.
INGOT_DEVICE i64 read_size(const i32 *address, i64 most) {
  i64 size = most;
  if (address) {
    ptx::wait_for_previous_grid();
    size = min_of<i64>(*reinterpret_cast<const volatile i32 *>(address), most);
  }
  return min_of<i64>(max_of<i64>(size, 0), 0x7fffffff);
}

/// The same in two steps, where what wrote the size has ended before this grid started: the load is
/// on its way while something else is done.
INGOT_DEVICE i32 load_early_size(const i32 *address, i64 most) {
  return address ? *reinterpret_cast<const volatile i32 *>(address)
                 : static_cast<i32>(min_of<i64>(most, 0x7fffffff));
}
INGOT_DEVICE i64 early_size(i32 loaded, i64 most) {
  return max_of<i64>(min_of<i64>(loaded, most), 0);
}

} // namespace ingot
