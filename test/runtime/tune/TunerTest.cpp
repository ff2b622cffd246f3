//===- TunerTest.cpp - Measuring candidates without a GPU ----------*- C++ -*-===//
//
// Packs run over the fake driver, by a clock that counts what was launched: each entry point has a
// price.
//
//===----------------------------------------------------------------------===//
#include "runtime/tune/Tuner.h"

#include "runtime/device/cuda/CudaDevice.h"
#include "test/runtime/device/cuda/FakeDriver.h"
#include "test/runtime/testing/TestArtifact.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <map>

using namespace ingot;
using namespace ingot::testing;

namespace {

Result<std::unique_ptr<Device>> makeFakeCuda(const DeviceRequest &request) {
  return CudaDevice::create(fakeDriver(), request);
}

struct TunerTest : ::testing::Test {
  void SetUp() override { resetFakeDriver(); }
  void TearDown() override { resetFakeDriver(); }

  /// Microseconds of a launch.
  std::map<std::string, double> prices = {{"twice", 3}, {"sum", 2}, {"thrice", 1}, {"almost", 1}, {"idle", 1}};
  std::vector<std::string> wrong;

  LoadedModel load(const std::function<void(format::PlanT &)> &change) {
    LoadOptions options;
    options.makeDevice = makeFakeCuda;
    return loadModel(
        [&](format::PlanT &plan) {
          plan.targets[0]->kind = "cuda";
          plan.targets[0]->arch = "sm_90a";
          change(plan);
          for (auto &kernel : plan.kernels)
            kernel->block = {64, 1, 1};
        },
        options);
  }

  TunerOptions options() {
    TunerOptions options;
    options.clock = [this] {
      double microseconds = 0;
      for (const FakeLaunch &launch : fakeGpu().launches)
        microseconds += prices[launch.entry];
      return microseconds * 1e-6;
    };
    return options;
  }

  uint64_t launchesOf(const std::string &entry) {
    uint64_t count = 0;
    for (const FakeLaunch &launch : fakeGpu().launches)
      count += launch.entry == entry;
    return count;
  }
};

} // namespace

TEST_F(TunerTest, KeepsTheFastest) {
  LoadedModel loaded = load([](format::PlanT &plan) {
    addCandidate(plan, "k", "as modelled", "twice", true);
    addCandidate(plan, "k", "other", "sum", false);
    addCandidate(plan, "alone", "as modelled", "sum", true);
  });
  ASSERT_TRUE(loaded.model);
  std::optional<GpuDescription> gpu = loaded.model->gpu();
  ASSERT_TRUE(gpu);
  EXPECT_EQ(gpu->arch, "sm_90a");
  auto tuner = Tuner::create(*loaded.model, *gpu, options());
  ASSERT_TRUE(tuner.ok()) << tuner.status().message();
  ASSERT_EQ(tuner->size(), 2u);
  EXPECT_EQ(tuner->key(0), "k");
  auto entry = tuner->measure(0, wrong);
  ASSERT_TRUE(entry.ok()) << entry.status().message();
  EXPECT_EQ(wrong, std::vector<std::string>());
  EXPECT_EQ(entry->gpu, *gpu);
  EXPECT_EQ(entry->kernel, "k");
  EXPECT_EQ(entry->config, "other");
  EXPECT_NEAR(entry->microseconds, 2, 1e-6);
  EXPECT_EQ(entry->modelledConfig, "as modelled");
  EXPECT_NEAR(entry->modelledMicroseconds, 3, 1e-6);
  EXPECT_EQ(entry->candidates, 2);
  entry = tuner->measure(1, wrong);
  ASSERT_TRUE(entry.ok()) << entry.status().message();
  EXPECT_EQ(entry->config, "as modelled");
}

TEST_F(TunerTest, LeavesOutWhatComputesSomethingElse) {
  LoadedModel loaded = load([](format::PlanT &plan) {
    addCandidate(plan, "k", "wrong", "thrice", false);
    addCandidate(plan, "k", "as modelled", "twice", true);
    addCandidate(plan, "k", "writes nothing", "idle", false);
    addCandidate(plan, "k", "a little off", "almost", false);
  });
  ASSERT_TRUE(loaded.model);
  auto tuner = Tuner::create(*loaded.model, {}, options());
  ASSERT_TRUE(tuner.ok()) << tuner.status().message();
  auto entry = tuner->measure(0, wrong);
  ASSERT_TRUE(entry.ok()) << entry.status().message();
  EXPECT_EQ(entry->config, "as modelled");
  ASSERT_EQ(wrong.size(), 3u);
  EXPECT_EQ(wrong[0], "wrong: output 0, element 2: expected 8, got 12");
  // Not what the one before left there.
  EXPECT_EQ(wrong[1], "writes nothing: output 0, element 0: expected 4, got 0");
  // Each element is as near as an element has to be, all of them are not.
  EXPECT_THAT(wrong[2], ::testing::StartsWith("a little off: output 0: all elements together are 2"));
}

TEST_F(TunerTest, StaysWithTheModelWhereNothingIsClearlyFaster) {
  for (double price : {98.5, 97.5}) {
    prices = {{"twice", 100}, {"sum", price}};
    LoadedModel loaded = load([](format::PlanT &plan) {
      addCandidate(plan, "k", "as modelled", "twice", true);
      addCandidate(plan, "k", "other", "sum", false);
    });
    ASSERT_TRUE(loaded.model);
    auto tuner = Tuner::create(*loaded.model, {}, options());
    ASSERT_TRUE(tuner.ok()) << tuner.status().message();
    auto entry = tuner->measure(0, wrong);
    ASSERT_TRUE(entry.ok()) << entry.status().message();
    EXPECT_EQ(entry->config, price > 98 ? "as modelled" : "other");
    EXPECT_NEAR(entry->microseconds, price > 98 ? 100 : price, 1e-6);
  }
}

TEST_F(TunerTest, GivesUpEarlyWhatIsBehind) {
  prices["sum"] = 4;
  LoadedModel loaded = load([](format::PlanT &plan) {
    addCandidate(plan, "k", "as modelled", "twice", true, 1);
    addCandidate(plan, "k", "behind", "sum", false, 1);
  });
  ASSERT_TRUE(loaded.model);
  auto tuner = Tuner::create(*loaded.model, {}, options());
  ASSERT_TRUE(tuner.ok());
  auto entry = tuner->measure(0, wrong);
  ASSERT_TRUE(entry.ok()) << entry.status().message();
  EXPECT_EQ(entry->config, "as modelled");
  // One that is compared, three that warm up, three or all that count.
  EXPECT_EQ(launchesOf("sum"), 1u + 3 + 3);
  EXPECT_EQ(launchesOf("twice"), 1u + 3 + 15);
}

TEST_F(TunerTest, TakesFewRoundsForLongKernels) {
  prices = {{"twice", 1e6}, {"sum", 1.01e6}};
  LoadedModel loaded = load([](format::PlanT &plan) {
    addCandidate(plan, "k", "as modelled", "twice", true, 1);
    addCandidate(plan, "k", "other", "sum", false, 1);
  });
  ASSERT_TRUE(loaded.model);
  auto tuner = Tuner::create(*loaded.model, {}, options());
  ASSERT_TRUE(tuner.ok());
  ASSERT_TRUE(tuner->measure(0, wrong).ok());
  EXPECT_EQ(launchesOf("sum"), 1u + 3 + 3);
}

TEST_F(TunerTest, DoesNotCompareWithWhatIsNoNumber) {
  LoadedModel loaded = load([](format::PlanT &plan) {
    addCandidate(plan, "k", "as modelled", "infinite", true);
    addCandidate(plan, "k", "other", "twice", false);
  });
  ASSERT_TRUE(loaded.model);
  auto tuner = Tuner::create(*loaded.model, {}, options());
  ASSERT_TRUE(tuner.ok());
  EXPECT_EQ(tuner->measure(0, wrong).status().code(), ExitCode::AccuracyMismatch);
}

TEST_F(TunerTest, PassesOnWhatTheDeviceSays) {
  LoadedModel loaded = load([](format::PlanT &plan) {
    addCandidate(plan, "k", "as modelled", "twice", true);
    addCandidate(plan, "k", "other", "sum", false);
  });
  ASSERT_TRUE(loaded.model);
  auto tuner = Tuner::create(*loaded.model, {}, options());
  ASSERT_TRUE(tuner.ok());
  uint64_t loadCalls = fakeGpu().calls;
  ASSERT_TRUE(tuner->measure(0, wrong).ok());
  int refused = 0;
  for (uint64_t call = 1, calls = fakeGpu().calls - loadCalls; call <= calls; call += 7) {
    fakeGpu().failAt = fakeGpu().calls + call;
    auto entry = tuner->measure(0, wrong);
    fakeGpu().failAt = 0;
    if (!entry.ok()) {
      ++refused;
      EXPECT_NE(entry.status().message().find("CUDA"), std::string::npos)
          << call << " " << entry.status().message();
    }
    ASSERT_TRUE(tuner->measure(0, wrong).ok()) << call << " " << fakeGpu().failed;
  }
  EXPECT_GT(refused, 0);
}

TEST_F(TunerTest, RefusesWhatIsNoPack) {
  LoadedModel loaded = load([](format::PlanT &) {});
  ASSERT_TRUE(loaded.model);
  auto tuner = Tuner::create(*loaded.model, {}, options());
  EXPECT_EQ(tuner.status().code(), ExitCode::Usage);
  LoadedModel two = load([](format::PlanT &plan) {
    addCandidate(plan, "k", "a", "twice", true);
    addCandidate(plan, "k", "b", "sum", true);
  });
  EXPECT_EQ(Tuner::create(*two.model, {}, options()).status().code(), ExitCode::MalformedInput);
  LoadedModel none =
      load([](format::PlanT &plan) { addCandidate(plan, "k", "a", "twice", false); });
  EXPECT_EQ(Tuner::create(*none.model, {}, options()).status().code(), ExitCode::MalformedInput);
}
