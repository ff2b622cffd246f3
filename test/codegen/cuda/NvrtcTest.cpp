//===- NvrtcTest.cpp - CUDA C++ to cubins -----------------------------------===//
#include "codegen/cuda/Nvrtc.h"
#include "codegen/cuda/Stub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::cuda;
using testing::HasSubstr;

namespace {

CompileOptions uncached() {
  CompileOptions options;
  options.cache = "off";
  options.workers = 2;
  return options;
}

bool isThere() { return checkNvrtc("sm_80").ok(); }

const char *const kKernel = "#include \"codegen/cuda/kernels/rows.cuh\"\n"
                            "extern \"C\" __global__ void twice(float *x) {\n"
                            "  x[threadIdx.x] *= 2;\n"
                            "}\n";

TEST(Nvrtc, CompilesForEveryTarget) {
  if (!isThere())
    GTEST_SKIP() << "NVRTC is not here";
  std::vector<Source> sources;
  for (llvm::StringRef arch : getArchNames())
    sources.push_back({"twice", kKernel, arch.str()});
  Result<std::vector<Compiled>> compiled = cuda::compile(sources, uncached());
  ASSERT_TRUE(compiled.ok()) << compiled.status().message();
  for (const Compiled &unit : *compiled) {
    EXPECT_EQ(unit.cubin.substr(1, 3), "ELF");
    EXPECT_THAT(unit.ptx, HasSubstr(".entry twice"));
    EXPECT_GT(unit.resources.registers, 0u);
  }
}

TEST(Nvrtc, ShowsTheSourceOfAnErrorWithLineNumbers) {
  if (!isThere())
    GTEST_SKIP() << "NVRTC is not here";
  Source source{"broken", "int first;\n__global__ void k() { nonsense; }\n", "sm_80"};
  Result<std::vector<Compiled>> compiled = cuda::compile(source, uncached());
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.status().code(), ExitCode::Internal);
  EXPECT_THAT(compiled.status().message(), HasSubstr("broken"));
  EXPECT_THAT(compiled.status().message(), HasSubstr("nonsense"));
  EXPECT_THAT(compiled.status().message(), HasSubstr("   2 | __global__ void k()"));
}

TEST(Nvrtc, NamesTheInstallCommandWhereThereIsNone) {
  CompileOptions options = uncached();
  options.library = "/nonexistent/libnvrtc.so";
  Result<std::vector<Compiled>> compiled = cuda::compile(Source{"k", kKernel, "sm_80"}, options);
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.status().code(), ExitCode::Unsupported);
  EXPECT_THAT(compiled.status().message(), HasSubstr("pip install nvidia-cuda-nvrtc"));
}

TEST(Nvrtc, SaysWhichArchitectureIsTooNew) {
  if (!isThere())
    GTEST_SKIP() << "NVRTC is not here";
  Status status = checkNvrtc("sm_999");
  EXPECT_EQ(status.code(), ExitCode::Unsupported);
  EXPECT_THAT(status.message(), HasSubstr("sm_999"));
}

TEST(Nvrtc, ReadsWhatAKernelTakes) {
  Resources resources =
      parseResources("ptxas info    : Function properties for k\n"
                     "    24 bytes stack frame, 28 bytes spill stores, 32 bytes spill "
                     "loads\nptxas info    : Used 168 registers, used 1 barriers, "
                     "384 bytes smem\n");
  EXPECT_EQ(resources.registers, 168u);
  EXPECT_EQ(resources.sharedBytes, 384u);
  EXPECT_EQ(resources.stackBytes, 24u);
  EXPECT_EQ(resources.spillBytes, 28u);
}

} // namespace
