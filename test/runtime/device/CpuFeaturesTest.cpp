//===- CpuFeaturesTest.cpp --------------------------------------*- C++ -*-===//
#include "runtime/device/cpu/CpuFeatures.h"

#include <gtest/gtest.h>

using namespace ingot;

/// A machine with everything; tests take parts away.
static CpuidWords allFeatures() { return {~0u, ~0u, ~0u, ~0u, 0xe7}; }

TEST(CpuFeatures, Levels) {
  CpuidWords words = allFeatures();
  EXPECT_EQ(cpuLevel(words), 4);
  words.leaf7Ebx &= ~(1u << 31); // AVX512VL
  EXPECT_EQ(cpuLevel(words), 3);
  words.leaf7Ebx &= ~(1u << 5); // AVX2
  EXPECT_EQ(cpuLevel(words), 2);
  words.leaf1Ecx &= ~(1u << 20); // SSE4.2
  EXPECT_EQ(cpuLevel(words), 1);
  EXPECT_EQ(cpuLevel({}), 0);
}

TEST(CpuFeatures, RegistersThatTheSystemDoesNotSaveDoNotCount) {
  CpuidWords words = allFeatures();
  words.xcr0 = 0x7; // XMM and YMM, no ZMM
  EXPECT_EQ(cpuLevel(words), 3);
  words.xcr0 = 0x3; // XMM only
  EXPECT_EQ(cpuLevel(words), 2);
  words.xcr0 = 0;
  EXPECT_EQ(cpuLevel(words), 2);
}

TEST(CpuFeatures, AMismatchNamesBothLevels) {
  Status status = checkCpuArch("x86-64-v4", 3);
  EXPECT_EQ(status.code(), ExitCode::DeviceMismatch);
  EXPECT_NE(status.message().find("x86-64-v4"), std::string::npos);
  EXPECT_NE(status.message().find("x86-64-v3"), std::string::npos);
  EXPECT_TRUE(checkCpuArch("x86-64-v3", 3).ok());
  EXPECT_TRUE(checkCpuArch("x86-64", 1).ok());
  EXPECT_EQ(checkCpuArch("armv9", 4).code(), ExitCode::DeviceMismatch);
  EXPECT_EQ(checkCpuArch("", 4).code(), ExitCode::DeviceMismatch);
}

TEST(CpuFeatures, ThisMachineHasALevel) {
#if defined(__x86_64__)
  EXPECT_GE(cpuLevel(readCpuid()), 1);
#endif
}
