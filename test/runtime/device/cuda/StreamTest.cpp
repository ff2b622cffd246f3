//===- StreamTest.cpp - Launches done by a stream's kernel ------*- C++ -*-===//
//
// The program "chain" (TestArtifact.h) over a fake driver. Its stream's kernel works by the table
// that the runtime makes, and computes -1 where the exchanged memory was not filled in front of it.
//
//===----------------------------------------------------------------------===//
#include "runtime/exec/Stream.h"

#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/format/Describe.h"
#include "runtime/support/Text.h"
#include "test/runtime/device/cuda/FakeDriver.h"
#include "test/runtime/testing/TestArtifact.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::testing;

namespace {

using Entries = std::vector<std::string>;

struct StreamTest : ::testing::Test {
  void SetUp() override { reset(); }
  void TearDown() override { resetFakeDriver(); }

  static void reset() {
    resetFakeDriver();
    fakeGpu().extras["chain"] = {1, 0};
  }

  static LoadOptions options() {
    LoadOptions out;
    out.makeDevice = [](const DeviceRequest &request) {
      return CudaDevice::create(fakeDriver(), request);
    };
    out.threads = 2;
    out.programs = {"chain"};
    return out;
  }

  static void forCuda(format::PlanT &plan, bool resident) {
    addStream(plan, resident);
    plan.targets[0]->kind = "cuda";
    plan.targets[0]->arch = "sm_90a";
    for (auto &kernel : plan.kernels)
      kernel->block = {64, 1, 1};
  }

  static LoadedModel load(bool resident = false, const LoadOptions &with = options()) {
    return loadModel([&](format::PlanT &plan) { forCuda(plan, resident); }, with);
  }

  /// Runs "chain" and looks at what it computes.
  static Status run(Model &model, int64_t tokens, float scale = 1) {
    Program &program = **model.findProgram("chain");
    const int64_t shape[] = {tokens, 4}, one[] = {1};
    std::vector<float> x(size_t(tokens * 4)), y(x.size(), -2);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i + 1) * scale;
    auto count = int32_t(tokens);
    std::vector<InputTensor> inputs = {{"x", ElementType::F32, shape, x.data(), x.size() * 4}};
    if (program.inputs().size() == 2)
      inputs.push_back({"count", ElementType::I32, one, &count, sizeof count});
    OutputTensor outputs[] = {{"y", y.data(), y.size() * 4}};
    fakeGpu().launches.clear();
    Status status = program.run(inputs, outputs);
    for (size_t i = 0; status.ok() && i < x.size(); ++i)
      EXPECT_EQ(y[i], 16 * x[i]) << i;
    return status;
  }

  /// The entries of the last run.
  static Entries launched() {
    Entries out;
    for (const FakeLaunch &launch : fakeGpu().launches)
      out.push_back(launch.entry);
    return out;
  }

  static void expectClean() {
    EXPECT_EQ(fakeGpu().alive(), "");
    EXPECT_EQ(fakeGpu().mistakes, std::vector<std::string>());
  }
};

const Entries kLaunches = {"twice", "twice", "twice", "twice"}, kStreamed = {"twice", "chain"};

} // namespace

TEST_F(StreamTest, FewTokensRunTheKernel) {
  {
    LoadedModel loaded = load();
    ASSERT_TRUE(loaded.model);
    ASSERT_TRUE(run(*loaded.model, 2).ok());
    ASSERT_EQ(launched(), kStreamed);
    const FakeLaunch &launch = fakeGpu().launches[1], &before = fakeGpu().launches[0];
    EXPECT_EQ(launch.grid[0], 5u); // the kernel's own
    EXPECT_EQ(launch.sizes, (std::vector<int64_t>{2, 3}));
    ASSERT_EQ(launch.sizeAddresses.size(), 1u);
    EXPECT_EQ(launch.sizeAddresses[0], nullptr); // the host knows B

    auto *table = static_cast<const StreamEntry *>(launch.buffers[0]);
    EXPECT_EQ(launch.buffers[1], table + 3);
    auto address = [](void *pointer) { return uint64_t(reinterpret_cast<uintptr_t>(pointer)); };
    uint64_t read = address(before.buffers[1]); // what the launch in front writes
    const struct {
      uint64_t buffers[2];
      uint32_t task, exchanged;
    } expected[] = {{{read, 0}, 0, 2}, {{0, 16}, 1, 3}, {{16, read + 3 * 128}, 1, 1}};
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(table[i].task, expected[i].task);
      EXPECT_EQ(table[i].exchanged, expected[i].exchanged);
      EXPECT_EQ(table[i].part, 0u);
      for (size_t j = 0; j < kMaxStreamBuffers; ++j)
        EXPECT_EQ(table[i].buffers[j], j < 2 ? expected[i].buffers[j] : 0) << i << ", " << j;
    }
    FakeTensorMap map;
    std::memcpy(&map, &table[0].maps[0], sizeof map);
    EXPECT_EQ(address(map.address), read);
    EXPECT_EQ(map.rank, 2u);
    EXPECT_EQ(map.dims[1], 6u);
    EXPECT_EQ(map.strides[0], 16u);
    EXPECT_EQ(map.box[1], 3u);
    std::memcpy(&map, &table[1].maps[0], sizeof map);
    EXPECT_EQ(map.rank, 0u); // another task
  }
  expectClean();
}

TEST_F(StreamTest, MoreTokensRunTheLaunches) {
  LoadedModel loaded = load();
  ASSERT_TRUE(loaded.model);
  for (int64_t tokens = 1; tokens <= 6; ++tokens) {
    uint64_t fills = fakeGpu().callsOf["memsetAsync"];
    ASSERT_TRUE(run(*loaded.model, tokens).ok());
    EXPECT_EQ(launched(), tokens <= 3 ? kStreamed : kLaunches) << tokens;
    EXPECT_EQ(fakeGpu().callsOf["memsetAsync"] - fills, tokens <= 3 ? 1u : 0u);
  }
}

/// Recordings hold the fill and the kernel: chain leaves its memory dirty.
TEST_F(StreamTest, IsRecorded) {
  {
    LoadedModel loaded = load();
    ASSERT_TRUE(loaded.model);
    for (int i = 0; i < 5; ++i) {
      ASSERT_TRUE(run(*loaded.model, 2, float(i)).ok());
      EXPECT_EQ(launched(), kStreamed);
      ASSERT_TRUE(run(*loaded.model, 5, float(i)).ok());
      EXPECT_EQ(launched(), kLaunches);
    }
    EXPECT_EQ(fakeGpu().callsOf["graphInstantiate"], 2u);
    EXPECT_EQ(fakeGpu().callsOf["graphLaunch"], 8u);
  }
  expectClean();
}

TEST_F(StreamTest, ProfilesAndObserversSeeLaunches) {
  struct Counter final : LaunchObserver {
    Status before(const LaunchView &) override { return {}; }
    Status after(const LaunchView &) override { return ++launches, Status(); }
    int launches = 0;
  } counter;
  LoadedModel loaded = load();
  ASSERT_TRUE(loaded.model);
  Program &program = **loaded.model->findProgram("chain");
  std::vector<double> seconds(program.numSteps());
  program.setProfile(&seconds);
  ASSERT_TRUE(run(*loaded.model, 2).ok());
  EXPECT_EQ(launched(), kLaunches);
  program.setProfile(nullptr);
  program.setObserver(&counter);
  ASSERT_TRUE(run(*loaded.model, 2).ok());
  EXPECT_EQ(launched(), kLaunches);
  EXPECT_EQ(counter.launches, 4);
  program.setObserver(nullptr);
  ASSERT_TRUE(run(*loaded.model, 2).ok());
  EXPECT_EQ(launched(), kStreamed);
}

/// A number of tokens that only the device knows is passed as its bound, and by address.
TEST_F(StreamTest, ResidentTokens) {
  LoadedModel loaded = load(/*resident=*/true);
  ASSERT_TRUE(loaded.model);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(run(*loaded.model, 3).ok());
    ASSERT_EQ(launched(), kStreamed);
    const FakeLaunch &launch = fakeGpu().launches[1];
    EXPECT_EQ(launch.sizes, (std::vector<int64_t>{3, 3}));
    EXPECT_EQ(launch.sizeAddresses[0], (*loaded.model->findProgram("chain"))->inputs()[1].address);
  }
  ASSERT_TRUE(run(*loaded.model, 4).ok());
  EXPECT_EQ(launched(), kLaunches);
}

TEST_F(StreamTest, CanBeSwitchedOff) {
  LoadOptions off = options();
  off.streams = false;
  LoadedModel loaded = load(false, off);
  ASSERT_TRUE(loaded.model);
  ASSERT_TRUE(run(*loaded.model, 2).ok());
  EXPECT_EQ(launched(), kLaunches);
  EXPECT_EQ(loaded.model->memory()[0].streams, 0u);
}

/// The kernel is for one architecture; elsewhere there are the launches.
TEST_F(StreamTest, NeedsNoVariant) {
  fakeGpu().major = 8;
  {
    LoadedModel loaded = loadModel(
        [](format::PlanT &plan) {
          forCuda(plan, false);
          plan.targets.push_back(std::make_unique<format::TargetT>(*plan.targets[0]));
          plan.targets[1]->arch = "sm_80";
          plan.images.push_back(std::make_unique<format::ImageT>(*plan.images[0]));
          plan.images[1]->target = 1;
          size_t kernels = plan.kernels.size() - 1; // but for chain
          for (size_t i = 0; i < kernels; ++i) {
            auto variant = std::make_unique<format::KernelT>(*plan.kernels[i]);
            variant->image = 1;
            for (int axis = 0; axis < 3; ++axis)
              variant->grid.push_back(std::make_unique<format::SizeT>());
            plan.kernels[i]->variants = {uint32_t(plan.kernels.size())};
            plan.kernels.push_back(std::move(variant));
          }
        },
        options());
    ASSERT_TRUE(loaded.model);
    ASSERT_TRUE(run(*loaded.model, 2).ok());
    EXPECT_EQ(launched(), kLaunches);
    EXPECT_EQ(loaded.model->memory()[0].streams, 0u);
  }
  expectClean();
}

/// 3 entries and 128 + 3 * 32 bytes, in whole pages.
TEST_F(StreamTest, MemoryIsPlanned) {
  auto plan = makePlan();
  forCuda(*plan, false);
  AlignedBytes bytes(makeFile(*plan));
  auto artifact = Artifact::fromBytes(bytes.span());
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  const std::string sections[] = {"memory", "steps"};
  std::string described = *describeArtifact(**artifact, sections);
  std::erase_if(described, [](char c) { return c == ' ' || c == '\n'; });
  for (const char *words :
       {R"("stream_bytes":4096,"peak_bytes":5184)",
        R"("streams":[{"kernel":"chain","first_step":1,"launches":3,"tokens":"B","most_tokens":3,)"
        R"("sizes":"3","table_bytes":1152,"exchanged_bytes":224}])"})
    EXPECT_NE(described.find(words), std::string::npos) << words << " | " << described;
  {
    LoadedModel loaded = load();
    ASSERT_TRUE(loaded.model);
    EXPECT_EQ(loaded.model->memory()[0].streams, 4096u);
  }
  fakeGpu().memory = 4500;
  Status status = Model::load(*artifact, options()).status();
  EXPECT_EQ(status.code(), ExitCode::OutOfResources);
  for (const char *words : {"needs", "streams 4.0 KiB", "free are"})
    EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
}

TEST_F(StreamTest, EveryCallMayFail) {
  auto scenario = []() -> Status {
    auto plan = makePlan();
    forCuda(*plan, true);
    AlignedBytes bytes(makeFile(*plan));
    auto artifact = Artifact::fromBytes(bytes.span());
    auto model = Model::load(*artifact, options());
    if (!model.ok())
      return model.status();
    for (int i = 0; i < 3; ++i)
      if (Status status = run(**model, 2); !status.ok())
        return status;
    return {};
  };
  ASSERT_TRUE(scenario().ok());
  uint64_t calls = fakeGpu().calls;
  for (uint64_t at = 1; at <= calls; ++at) {
    reset();
    fakeGpu().failAt = at;
    Status status = scenario();
    std::string failed = fakeGpu().failed;
    for (const char *name : {"memsetAsync", "launchKernel", "tensorMapEncode", "memAlloc"})
      EXPECT_TRUE(!status.ok() || failed != name) << at << " " << name;
    expectClean();
  }
}
