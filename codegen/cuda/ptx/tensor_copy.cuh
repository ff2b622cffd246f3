// tensor_copy.cuh - Boxes of three-dimensional tensor maps, and barriers of some of a block's
// threads (sm_90), one instruction a function.
#pragma once

#include "codegen/cuda/ptx/barrier.cuh"

namespace ingot::ptx {

#if __CUDA_ARCH__ >= 900

/// Copies the box at (x, y, z) of a three-dimensional map to shared memory.
INGOT_DEVICE void copy_tensor_3d(u32 shared, const TensorMap *map, i32 x, i32 y, i32 z,
                                 u32 barrier) {
  asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %3, %4}], [%5];" ::"r"(shared),
               "l"(map), "r"(x), "r"(y), "r"(z), "r"(barrier)
               : "memory");
}
/// Makes this thread's stores to shared memory visible to the tensor cores.
INGOT_DEVICE void fence_async_proxy() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}
/// Waits at named barrier `id` (1 to 15) until `threads` threads have come or arrived.
INGOT_DEVICE void sync_at(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
/// Arrives there and goes on.
INGOT_DEVICE void arrive_at(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

#endif

} // namespace ingot::ptx
