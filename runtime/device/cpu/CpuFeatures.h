//===- CpuFeatures.h - x86-64 micro-architecture levels ----------*- C++ -*-===//
//
// The levels of the x86-64 psABI: v2 (SSE4.2), v3 (AVX2, FMA), v4 (AVX-512). A level counts only if
// the operating system saves its registers, too (XCR0).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstdint>
#include <string_view>

namespace ingot {

/// The raw answers of cpuid and xgetbv: data, so that tests can make up machines.
struct CpuidWords {
  uint32_t leaf1Ecx = 0, leaf1Edx = 0;
  uint32_t leaf7Ebx = 0;
  uint32_t extended1Ecx = 0; // leaf 0x80000001
  uint64_t xcr0 = 0;         // 0 where OSXSAVE is not set
};

/// This machine's. All zero on other architectures.
CpuidWords readCpuid();

/// 1 to 4: x86-64, x86-64-v2, -v3, -v4; 0 on other architectures.
int cpuLevel(const CpuidWords &words);
/// "x86-64-v3"; "no x86-64 level" for 0.
const char *cpuLevelName(int level);

/// DeviceMismatch, naming both levels, unless code for `arch` ("x86-64-v3") runs at `level`.
Status checkCpuArch(std::string_view arch, int level);

} // namespace ingot
