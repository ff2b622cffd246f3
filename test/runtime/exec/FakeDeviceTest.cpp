//===- FakeDeviceTest.cpp - What the executor asks of a device --*- C++ -*-===//
//
// A device that the host cannot reach into, as a GPU is: it records every call and can fail one.
//
//===----------------------------------------------------------------------===//
#include "runtime/exec/Model.h"

#include "runtime/support/Text.h"
#include "test/runtime/testing/TestArtifact.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::testing;

namespace {

std::vector<std::string> calls;
std::string failAt;

class FakeDevice final : public Device {
public:
  ~FakeDevice() override {
    for (void *block : blocks)
      std::free(block);
  }
  std::string_view kind() const override { return "host"; }
  std::string description() const override { return "fake"; }
  bool hostAccessible() const override { return false; }
  Result<uint32_t> loadImage(std::span<const std::byte>, std::string_view) override {
    return note<uint32_t>("image", images++);
  }
  Result<uint32_t> resolveKernel(const KernelSpec &spec) override {
    return note<uint32_t>(text("kernel ", spec.entry), 40 + kernels++);
  }
  Result<void *> allocate(uint64_t bytes, std::string_view) override {
    bytes = (bytes + 4095) / 4096 * 4096;
    allocated += bytes;
    blocks.push_back(std::calloc(1, bytes + 1));
    return note<void *>("allocate", blocks.back());
  }
  Result<void *> allocateHost(uint64_t bytes, std::string_view) override {
    blocks.push_back(std::calloc(1, bytes));
    return note<void *>("allocateHost", blocks.back());
  }
  const void *adoptReadOnly(std::span<const std::byte>) override { return nullptr; }
  Status finishLoad() override { return note("finishLoad"); }
  Status launch(const LaunchSpec &launch) override {
    return note(text("launch ", launch.kernel, " grid ", launch.grid[0]));
  }
  Status copy(void *to, const void *from, uint64_t bytes) override {
    std::memcpy(to, from, bytes);
    return note(text("copy ", bytes));
  }
  Status upload(void *to, const void *from, uint64_t bytes) override {
    std::memcpy(to, from, bytes);
    return note(text("upload ", bytes));
  }
  Status download(void *to, const void *from, uint64_t bytes) override {
    std::memcpy(to, from, bytes);
    return note(text("download ", bytes));
  }
  Status fill(void *to, uint8_t byte, uint64_t bytes) override {
    std::memset(to, byte, bytes);
    return note(text("fill ", unsigned(byte), " ", bytes));
  }
  Status synchronize() override { return note("synchronize"); }
  uint64_t allocatedBytes() const override { return allocated; }

private:
  Status note(std::string call) {
    bool fails = !failAt.empty() && call.starts_with(failAt);
    calls.push_back(std::move(call));
    return fails ? Status(ExitCode::OutOfResources, "the device is lost") : Status();
  }
  template <typename T> Result<T> note(std::string call, T value) {
    Status status = note(std::move(call));
    if (!status.ok())
      return status;
    return value;
  }
  std::vector<void *> blocks;
  uint64_t allocated = 0;
  uint32_t images = 0, kernels = 0;
};

Result<std::unique_ptr<Device>> makeFake(const DeviceRequest &) {
  return std::unique_ptr<Device>(new FakeDevice);
}

struct FakeDeviceTest : ::testing::Test {
  void SetUp() override {
    calls.clear();
    failAt.clear();
  }
  LoadOptions options() {
    LoadOptions out;
    out.makeDevice = makeFake;
    return out;
  }
  Status run(Model &model) {
    const int64_t shape[] = {2, 3};
    float x[6] = {};
    int32_t ids[6] = {};
    InputTensor inputs[] = {{"x", ElementType::F32, shape, x, sizeof x},
                            {"ids", ElementType::I32, shape, ids, sizeof ids}};
    OutputTensor outputs[] = {{"y"}, {"calls"}};
    return (*model.findProgram("forward"))->run(inputs, outputs);
  }
};

} // namespace

TEST_F(FakeDeviceTest, RunsInOrder) {
  LoadedModel loaded = loadModel({}, options());
  ASSERT_TRUE(loaded.model);
  // Images before kernels, all code before memory, weights uploaded.
  EXPECT_EQ(calls[0], "image");
  EXPECT_EQ(calls[1], "kernel combine");
  EXPECT_EQ(calls[5], "finishLoad");
  EXPECT_EQ(calls[6], "allocate");
  EXPECT_NE(std::find(calls.begin(), calls.end(), "upload 64"), calls.end());
  calls.clear();
  ASSERT_TRUE(run(*loaded.model).ok());
  EXPECT_EQ(calls, (std::vector<std::string>{
                       "upload 152",                                      // x, ids, mask
                       "launch 40 grid 2", "copy 24", "launch 42 grid 1", // handles, not indices
                       "synchronize",                                     // all done
                       "download 24", "synchronize", "download 4", "synchronize"}));
}

TEST_F(FakeDeviceTest, AnOutputIsFetchedWithTheSteps) {
  LoadedModel loaded = loadModel({}, options());
  ASSERT_TRUE(loaded.model);
  Program &program = **loaded.model->findProgram("forward");
  program.fetchAfterSteps(*program.findPort("calls", /*output=*/true));
  calls.clear();
  ASSERT_TRUE(run(*loaded.model).ok());
  EXPECT_EQ(calls, (std::vector<std::string>{"upload 152", "launch 40 grid 2", "copy 24",
                                             "launch 42 grid 1", "download 4", "synchronize",
                                             "download 24", "synchronize"}));
  failAt = "download 4";
  EXPECT_EQ(run(*loaded.model).code(), ExitCode::OutOfResources);
}

TEST_F(FakeDeviceTest, RandomWeightsGoThroughABuffer) {
  LoadOptions random = options();
  random.weights = "random:5";
  LoadedModel loaded = loadModel({}, random);
  ASSERT_TRUE(loaded.model);
  EXPECT_NE(std::find(calls.begin(), calls.end(), "upload 16"), calls.end());
}

TEST_F(FakeDeviceTest, ErrorsSayWhere) {
  LoadedModel loaded = loadModel({}, options());
  ASSERT_TRUE(loaded.model);
  failAt = "launch 42";
  Status status = run(*loaded.model);
  EXPECT_EQ(status.code(), ExitCode::OutOfResources);
  for (const char *words : {"program 'forward'", "step 2", "count", "model.layer", "is lost"})
    EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
  failAt = "download";
  EXPECT_EQ(run(*loaded.model).code(), ExitCode::OutOfResources);
  failAt = "";
  EXPECT_TRUE(run(*loaded.model).ok());
}

TEST_F(FakeDeviceTest, LoadErrorsEndTheLoad) {
  AlignedBytes bytes(makeFile(*makePlan()));
  auto artifact = Artifact::fromBytes(bytes.span());
  ASSERT_TRUE(artifact.ok());
  for (const char *call : {"image", "kernel step", "finishLoad", "allocate", "allocateHost",
                           "upload", "synchronize"}) {
    failAt = call;
    EXPECT_EQ(Model::load(*artifact, options()).status().code(), ExitCode::OutOfResources) << call;
  }
}

TEST_F(FakeDeviceTest, ResetZeroesState) {
  LoadedModel loaded = loadModel({}, options());
  ASSERT_TRUE(loaded.model);
  calls.clear();
  ASSERT_TRUE(loaded.model->reset().ok());
  EXPECT_EQ(calls, (std::vector<std::string>{"fill 0 256", "synchronize"}));
}
