// barrier.cuh - mbarriers in shared memory and the tensor copy engine that completes on them
// (sm_90), one instruction a function.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot {

/// A CUtensorMap as a kernel parameter.
struct alignas(64) TensorMap {
  u64 opaque[16];
};

namespace ptx {

#if __CUDA_ARCH__ >= 900

INGOT_DEVICE void init_barrier(u32 barrier, u32 arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
/// Makes initialised barriers visible to the copy engine.
INGOT_DEVICE void fence_barrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
/// One arrival, and `bytes` that copies will bring before the phase ends.
INGOT_DEVICE void arrive_expecting(u32 barrier, u32 bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
INGOT_DEVICE void arrive(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// One arrival at a barrier in any block of the cluster: an address of map_to_block.
INGOT_DEVICE void arrive_in_cluster(u32 barrier) {
  asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}
/// Whether the phase of this parity has ended.
INGOT_DEVICE bool test_barrier(u32 barrier, u32 parity) {
  u32 done;
  asm volatile("{\n"
               ".reg .pred done;\n"
               "mbarrier.test_wait.parity.shared::cta.b64 done, [%1], %2;\n"
               "selp.u32 %0, 1, 0, done;\n"
               "}"
               : "=r"(done)
               : "r"(barrier), "r"(parity)
               : "memory");
  return done != 0;
}
/// Waits until the phase of this parity has ended.
INGOT_DEVICE void wait_barrier(u32 barrier, u32 parity) {
  asm volatile("{\n"
               ".reg .pred done;\n"
               "again:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@done bra finished;\n"
               "bra again;\n"
               "finished:\n"
               "}" ::"r"(barrier),
               "r"(parity)
               : "memory");
}
/// Brings the box at (x, y) of a two-dimensional map as far as L2.
INGOT_DEVICE void prefetch_tensor_2d(const TensorMap *map, i32 x, i32 y) {
  asm volatile("cp.async.bulk.prefetch.tensor.2d.L2.global [%0, {%1, %2}];" ::"l"(map), "r"(x),
               "r"(y)
               : "memory");
}
/// Copies the box at (x, y) of a two-dimensional map to shared memory.
INGOT_DEVICE void copy_tensor_2d(u32 shared, const TensorMap *map, i32 x, i32 y, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %3}], [%4];" ::"r"(shared),
               "l"(map), "r"(x), "r"(y), "r"(barrier)
               : "memory");
}
/// The same of what nobody reads again soon: the first to leave L2, before what others wait for.
INGOT_DEVICE void copy_tensor_2d_once(u32 shared, const TensorMap *map, i32 x, i32 y, u32 barrier) {
  constexpr u64 kEvictFirst =
      0x12f0000000000000; // what createpolicy makes of all bytes evict_first
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
               ".L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared),
               "l"(map), "r"(x), "r"(y), "r"(barrier), "l"(kEvictFirst)
               : "memory");
}
/// The same to the same place in each block of the cluster that `blocks` has a bit for, whose
/// barriers in `barrier`'s place count the bytes that come to each.
INGOT_DEVICE void copy_tensor_2d_to(u16 blocks, u32 shared, const TensorMap *map, i32 x, i32 y,
                                    u32 barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes"
               ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared),
               "l"(map), "r"(x), "r"(y), "r"(barrier), "h"(blocks)
               : "memory");
}
/// The box at (x, 0, y, 0, z) of a five-dimensional map.
INGOT_DEVICE void copy_tensor_5d(u32 shared, const TensorMap *map, i32 x, i32 y, i32 z,
                                 u32 barrier) {
  asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes "
               "[%0], [%1, {%2, %5, %3, %5, %4}], [%6];" ::"r"(shared),
               "l"(map), "r"(x), "r"(y), "r"(z), "r"(0), "r"(barrier)
               : "memory");
}
INGOT_DEVICE void copy_tensor_5d_to(u16 blocks, u32 shared, const TensorMap *map, i32 x, i32 y,
                                    i32 z, u32 barrier) {
  asm volatile("cp.async.bulk.tensor.5d.shared::cluster.global.mbarrier::complete_tx::bytes"
               ".multicast::cluster [%0], [%1, {%2, %5, %3, %5, %4}], [%6], %7;" ::"r"(shared),
               "l"(map), "r"(x), "r"(y), "r"(z), "r"(0), "r"(barrier), "h"(blocks)
               : "memory");
}
INGOT_DEVICE void prefetch_map(const TensorMap *map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}

#endif

} // namespace ptx
} // namespace ingot
