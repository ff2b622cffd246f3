// cluster.cuh - Blocks of a cluster and each other's shared memory (sm_90), one instruction a
// function. Below sm_90 a cluster is one block.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot::ptx {

INGOT_DEVICE u32 cluster_rank() {
  u32 rank = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
#endif
  return rank;
}

/// A barrier of all threads of the cluster; shared memory written before is visible after.
INGOT_DEVICE void cluster_arrive_and_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
#else
  __syncthreads();
#endif
}

/// A barrier in two steps, the first of which orders no memory: what must have begun everywhere.
INGOT_DEVICE void cluster_arrive() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
#endif
}
INGOT_DEVICE void cluster_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
#endif
}

/// A barrier that orders no memory, for what fences or barriers of its own order: initialised
/// barriers, or blocks that end. Threads of a warp may come one by one.
INGOT_DEVICE void cluster_meet() {
#if __CUDA_ARCH__ >= 900
  asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
  asm volatile("barrier.cluster.wait;" ::: "memory");
#else
  __syncthreads();
#endif
}

/// The address, in block `rank` of the cluster, of what is at `address` in this one.
INGOT_DEVICE u32 map_to_block(u32 address, u32 rank) {
  u32 result = address;
#if __CUDA_ARCH__ >= 900
  asm("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(result) : "r"(address), "r"(rank));
#endif
  return result;
}

INGOT_DEVICE void store_to_block(u32 address, float4 value) {
#if __CUDA_ARCH__ >= 900
  asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(address), "f"(value.x),
               "f"(value.y), "f"(value.z), "f"(value.w)
               : "memory");
#endif
}
INGOT_DEVICE float load_from_block(u32 address) {
  float value = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(value) : "r"(address) : "memory");
#endif
  return value;
}
INGOT_DEVICE void store_to_block(u32 address, float value) {
#if __CUDA_ARCH__ >= 900
  asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(address), "f"(value) : "memory");
#endif
}
INGOT_DEVICE u64 load_u64_from_block(u32 address) {
  u64 value = 0;
#if __CUDA_ARCH__ >= 900
  asm volatile("ld.shared::cluster.u64 %0, [%1];" : "=l"(value) : "r"(address) : "memory");
#endif
  return value;
}

} // namespace ingot::ptx
