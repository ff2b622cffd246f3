//===- CpuFeatures.cpp ------------------------------------------*- C++ -*-===//
#include "runtime/device/cpu/CpuFeatures.h"

#include "runtime/support/Text.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace ingot {

static constexpr uint32_t bit(int n) { return uint32_t(1) << n; }

// Level 2, leaf 1 ecx: SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT; extended ecx: LAHF.
static constexpr uint32_t kV2Leaf1 = bit(0) | bit(9) | bit(13) | bit(19) | bit(20) | bit(23);
static constexpr uint32_t kV2Extended = bit(0);
// Level 3, leaf 1 ecx: FMA, MOVBE, OSXSAVE, AVX, F16C; leaf 7 ebx: BMI1, AVX2, BMI2; extended ecx:
// LZCNT. The OS saves XMM and YMM.
static constexpr uint32_t kV3Leaf1 = bit(12) | bit(22) | bit(27) | bit(28) | bit(29);
static constexpr uint32_t kV3Leaf7 = bit(3) | bit(5) | bit(8);
static constexpr uint32_t kV3Extended = bit(5);
static constexpr uint64_t kV3State = 0x6;
// Level 4, leaf 7 ebx: AVX512 F, DQ, CD, BW, VL. The OS saves opmask and both halves of ZMM.
static constexpr uint32_t kV4Leaf7 = bit(16) | bit(17) | bit(28) | bit(30) | bit(31);
static constexpr uint64_t kV4State = 0xe6;

CpuidWords readCpuid() {
  CpuidWords words;
#if defined(__x86_64__)
  uint32_t eax, ebx, ecx, edx;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
    words.leaf1Ecx = ecx, words.leaf1Edx = edx;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx))
    words.leaf7Ebx = ebx;
  if (__get_cpuid(0x80000001u, &eax, &ebx, &ecx, &edx))
    words.extended1Ecx = ecx;
  if (words.leaf1Ecx & bit(27)) {
    uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    words.xcr0 = uint64_t(high) << 32 | low;
  }
#endif
  return words;
}

static bool has(uint64_t words, uint64_t needed) { return (words & needed) == needed; }

int cpuLevel(const CpuidWords &words) {
  if (!has(words.leaf1Edx, bit(26))) // SSE2, part of the baseline
    return 0;
  if (!has(words.leaf1Ecx, kV2Leaf1) || !has(words.extended1Ecx, kV2Extended))
    return 1;
  if (!has(words.leaf1Ecx, kV3Leaf1) || !has(words.leaf7Ebx, kV3Leaf7) ||
      !has(words.extended1Ecx, kV3Extended) || !has(words.xcr0, kV3State))
    return 2;
  if (!has(words.leaf7Ebx, kV4Leaf7) || !has(words.xcr0, kV4State))
    return 3;
  return 4;
}

static const char *const kLevels[] = {"no x86-64 level", "x86-64", "x86-64-v2", "x86-64-v3",
                                      "x86-64-v4"};

const char *cpuLevelName(int level) { return level >= 0 && level <= 4 ? kLevels[level] : "?"; }

Status checkCpuArch(std::string_view arch, int level) {
  int needed = 0;
  for (int i = 1; i <= 4; ++i)
    if (arch == kLevels[i])
      needed = i;
  if (needed == 0)
    return Status(ExitCode::DeviceMismatch,
                  text("the code is for the CPU architecture ", quoted(arch),
                       ", this runtime knows x86-64, x86-64-v2, x86-64-v3 and x86-64-v4"));
  if (level < needed)
    return Status(ExitCode::DeviceMismatch,
                  text("the code needs a CPU of level ", kLevels[needed], ", this CPU has level ",
                       cpuLevelName(level), "; compile the model for this level"));
  return {};
}

} // namespace ingot
