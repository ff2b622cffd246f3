// tensor_store.cuh - Boxes of tensor maps from shared to global memory (sm_90), one instruction a
// function.
#pragma once

#include "codegen/cuda/ptx/barrier.cuh"

namespace ingot::ptx {

#if __CUDA_ARCH__ >= 900

/// Copies a box from shared memory to (x, y) of a two-dimensional map; what lies outside of it is
/// not written.
INGOT_DEVICE void store_tensor_2d(const TensorMap *map, u32 shared, i32 x, i32 y) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map),
      "r"(x), "r"(y), "r"(shared)
      : "memory");
}
/// What this thread has stored since the last time is one group.
INGOT_DEVICE void commit_stores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
/// Waits until shared memory has been read for all but the last `Pending` groups of this thread.
template <int Pending> INGOT_DEVICE void wait_stores_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(Pending) : "memory");
}
INGOT_DEVICE void store_shared_8(u32 shared, u32 x, u32 y) {
  asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(shared), "r"(x), "r"(y) : "memory");
}

#endif

} // namespace ingot::ptx
