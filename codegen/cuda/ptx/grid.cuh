// grid.cuh - Programmatic dependent launch (sm_90): griddepcontrol.
//
// A kernel that was launched with the attribute may start while the one before it drains. It must
// not touch what that one makes before `wait_for_previous_grid`; weights it may read earlier.
// Without the attribute both instructions do nothing.
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

} // namespace ingot::ptx

namespace ingot {

/// A size that may be known on the device only: the value at `address`, or, where there is none,
/// `most`, which bounds it otherwise. What wrote it has ended once this grid may read.
INGOT_DEVICE i64 read_size(const i32 *address, i64 most) {
  if (!address)
    return most;
  ptx::wait_for_previous_grid();
  return min_of<i64>(max_of<i64>(*reinterpret_cast<const volatile i32 *>(address), 0), most);
}

} // namespace ingot
