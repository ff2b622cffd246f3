//===- CpuDeviceTest.cpp ----------------------------------------*- C++ -*-===//
#include "runtime/device/cpu/CpuDevice.h"

#include "runtime/device/cpu/ElfImage.h"
#include "runtime/support/ThreadPool.h"
#include "test/runtime/testing/TestArtifact.h"

#include <cstring>
#include <elf.h>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::testing;

namespace {
struct CpuDeviceTest : ::testing::Test {
  DeviceRequest request(std::string_view kind, std::string_view arch) {
    archs = {arch};
    return {kind, archs, 0, *pool};
  }
  void SetUp() override {
    pool = std::move(*ThreadPool::create(3));
    device = std::move(*makeDevice(request("host", "x86-64")));
  }
  std::unique_ptr<ThreadPool> pool;
  std::unique_ptr<Device> device;
  std::vector<std::string_view> archs;
};
} // namespace

TEST_F(CpuDeviceTest, LaunchVisitsTheWholeGrid) {
  auto image = device->loadImage(kernelImage(), "x86-64");
  ASSERT_TRUE(image.ok()) << image.status().message();
  KernelSpec spec;
  spec.entry = "grid3";
  spec.image = *image;
  spec.numBuffers = 1;
  spec.numSizes = 2;
  spec.scratchBytes = 100;
  auto kernel = device->resolveKernel(spec);
  ASSERT_TRUE(kernel.ok()) << kernel.status().message();
  ASSERT_TRUE(device->finishLoad().ok());
  int32_t cells[5 * 4 * 3] = {};
  void *buffers[] = {cells};
  const int64_t sizes[] = {5, 4};
  ASSERT_TRUE(device->launch({*kernel, buffers, sizes, {5, 4, 3}}).ok());
  for (int z = 0; z < 3; ++z)
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 5; ++x)
        EXPECT_EQ(cells[(z * 4 + y) * 5 + x], 100 * z + 10 * y + x);
}

TEST_F(CpuDeviceTest, MissingKernel) {
  auto image = device->loadImage(kernelImage(), "x86-64");
  ASSERT_TRUE(image.ok());
  KernelSpec spec;
  spec.entry = "nothing";
  spec.image = *image;
  Status status = device->resolveKernel(spec).status();
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  EXPECT_NE(status.message().find("'nothing'"), std::string::npos);
}

TEST_F(CpuDeviceTest, MemoryIsZeroedAlignedAndCounted) {
  auto data = device->allocate(10000, "a test");
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(uintptr_t(*data) % 4096, 0u);
  for (int i = 0; i < 10000; ++i)
    ASSERT_EQ(static_cast<char *>(*data)[i], 0);
  EXPECT_EQ(device->allocatedBytes(), 12288u);
  ASSERT_TRUE(device->allocateHost(5000, "staging").ok());
  EXPECT_EQ(device->allocatedBytes(), 12288u);
}

TEST_F(CpuDeviceTest, MoreThanTheMachineHas) {
  for (uint64_t bytes : {uint64_t(1) << 46, UINT64_MAX}) {
    Status status = device->allocate(bytes, "activations").status();
    EXPECT_EQ(status.code(), ExitCode::OutOfResources);
    EXPECT_NE(status.message().find("activations"), std::string::npos);
  }
}

TEST_F(CpuDeviceTest, OtherDevices) {
  EXPECT_EQ(makeDevice(request("metal", "m1")).status().code(), ExitCode::DeviceMismatch);
  EXPECT_EQ(makeDevice(request("host", "x86-64-v9")).status().code(), ExitCode::DeviceMismatch);
  // Of several levels the highest that runs.
  const std::string_view levels[] = {"x86-64-v9", "x86-64", "x86-64-v2"};
  auto best = makeDevice({"host", levels, 0, *pool});
  ASSERT_TRUE(best.ok());
  EXPECT_EQ((*best)->archIndex(), 2u);
  EXPECT_EQ(device->loadImage(kernelImage(), "armv9").status().code(), ExitCode::DeviceMismatch);
}

TEST(ElfImage, RefusesWhatTheLoaderWouldTrust) {
  auto good = kernelImage();
  EXPECT_TRUE(checkElfImage(good).ok()) << checkElfImage(good).message();
  EXPECT_FALSE(checkElfImage({}).ok());
  // Every truncation that cuts a segment, and every header field at its extremes.
  EXPECT_FALSE(checkElfImage(std::span(good).first(100)).ok());
  EXPECT_FALSE(checkElfImage(std::span(good).first(700)).ok());
  auto refused = [&](size_t at, std::vector<unsigned char> bytes) {
    auto copy = good;
    std::memcpy(copy.data() + at, bytes.data(), bytes.size());
    Status status = checkElfImage(copy);
    EXPECT_EQ(status.code(), ExitCode::MalformedInput) << at;
  };
  refused(0, {0}); // magic
  refused(4, {1}); // 32-bit
  refused(offsetof(Elf64_Ehdr, e_type), {ET_EXEC});
  refused(offsetof(Elf64_Ehdr, e_machine), {EM_386});
  refused(offsetof(Elf64_Ehdr, e_phoff), {255, 255, 255, 255, 255, 255, 255, 255});
  refused(offsetof(Elf64_Ehdr, e_phnum), {255, 255});
  for (size_t i = 0; i < 2; ++i) {
    size_t header = 64 + i * sizeof(Elf64_Phdr);
    refused(header + offsetof(Elf64_Phdr, p_filesz), {255, 255, 255, 255, 255, 255, 255, 127});
    refused(header + offsetof(Elf64_Phdr, p_offset), {0, 255, 255, 255, 255, 255, 255, 127});
  }
}

TEST(ElfImage, SeveralAreKeptApart) {
  auto bytes = kernelImage();
  auto first = ElfImage::load(bytes);
  ASSERT_TRUE(first.ok()) << first.status().message();
  auto second = ElfImage::load(bytes);
  ASSERT_TRUE(second.ok()) << second.status().message();
  // Images of two models have kernels of one name and different code.
  EXPECT_NE(first->find("grid3"), nullptr);
  EXPECT_NE(second->find("grid3"), nullptr);
  EXPECT_NE(first->find("grid3"), second->find("grid3"));
}

TEST(ElfImage, RefusesNeededLibrariesAndConstructors) {
  auto image = kernelImage();
  Elf64_Ehdr header;
  std::memcpy(&header, image.data(), sizeof header);
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, image.data() + header.e_phoff + size_t(i) * sizeof segment,
                sizeof segment);
    if (segment.p_type != PT_DYNAMIC)
      continue;
    for (int64_t tag : {int64_t(DT_NEEDED), int64_t(DT_INIT_ARRAY), int64_t(DT_FINI)}) {
      auto copy = image;
      std::memcpy(copy.data() + segment.p_offset, &tag, sizeof tag);
      EXPECT_EQ(checkElfImage(copy).code(), ExitCode::MalformedInput) << tag;
    }
  }
}
