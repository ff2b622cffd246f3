// copy.cuh - Copies between global and shared memory, one instruction a function.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot::ptx {

INGOT_DEVICE u32 shared_address(const void *pointer) {
  return static_cast<u32>(__cvta_generic_to_shared(pointer));
}

/// Copies 16 bytes, or writes zeros if `valid` is false (then nothing is read).
INGOT_DEVICE void copy_async_16(u32 shared, const void *global, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared), "l"(global),
               "r"(bytes)
               : "memory");
}
/// The same for 2, 4, 8 or 16 bytes. The copy engine has no form for 2: those go through a
/// register.
template <int Bytes> INGOT_DEVICE void copy_async(u32 shared, const void *global, bool valid) {
  static_assert(Bytes == 2 || Bytes == 4 || Bytes == 8 || Bytes == 16, "a chunk is 2 to 16 bytes");
  if constexpr (Bytes == 16) {
    copy_async_16(shared, global, valid);
  } else if constexpr (Bytes == 2) {
    const u16 value = valid ? *static_cast<const u16 *>(global) : u16(0);
    asm volatile("st.shared.u16 [%0], %1;" ::"r"(shared), "h"(value) : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared), "l"(global),
                 "n"(Bytes), "r"(valid ? Bytes : 0)
                 : "memory");
  }
}
INGOT_DEVICE void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most `Pending` of the committed groups are unfinished.
template <int Pending> INGOT_DEVICE void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory");
}

INGOT_DEVICE uint4 load_shared_16(u32 shared) {
  uint4 value;
  asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
               : "r"(shared)
               : "memory");
  return value;
}

INGOT_DEVICE void store_shared_16(u32 shared, const uint4 &value) {
  asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(shared), "r"(value.x), "r"(value.y),
               "r"(value.z), "r"(value.w)
               : "memory");
}

/// Asks for `bytes` at `global`, both multiples of 16, to come to L2.
INGOT_DEVICE void prefetch_to_l2(const void *global, u32 bytes) {
#if __CUDA_ARCH__ >= 900
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(__cvta_generic_to_global(global)),
               "r"(bytes)
               : "memory");
#endif
}

} // namespace ingot::ptx
