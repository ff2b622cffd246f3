// load.cuh - Loads that C++ has no words for.
#pragma once

#include "codegen/cuda/types.cuh"

namespace ingot::ptx {

/// 16 bytes that are read once, or zeros without reading: by a predicate, not a branch.
INGOT_DEVICE uint4 load_stream_if(const void *address, bool valid) {
  uint4 value;
  asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %5, 0;\n"
               "mov.b32 %0, 0;\nmov.b32 %1, 0;\nmov.b32 %2, 0;\nmov.b32 %3, 0;\n"
               "@p ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];\n}"
               : "=&r"(value.x), "=&r"(value.y), "=&r"(value.z), "=&r"(value.w)
               : "l"(address), "r"(static_cast<u32>(valid))
               : "memory");
  return value;
}

/// 16 or 8 bytes that may have been written since they were read last: ptxas doesn't move such
/// loads down, behind a wait, as it does others.
INGOT_DEVICE void load_in_place_16(u32 (&words)[4], const void *address) {
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "l"(__cvta_generic_to_global(address))
               : "memory");
}
INGOT_DEVICE void load_in_place_8(u32 (&words)[2], const void *address) {
  asm volatile("ld.relaxed.gpu.global.v2.u32 {%0, %1}, [%2];"
               : "=r"(words[0]), "=r"(words[1])
               : "l"(__cvta_generic_to_global(address))
               : "memory");
}

} // namespace ingot::ptx
