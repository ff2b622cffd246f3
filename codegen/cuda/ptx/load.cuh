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

} // namespace ingot::ptx
