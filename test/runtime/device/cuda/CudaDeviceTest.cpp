//===- CudaDeviceTest.cpp - The CUDA device over a fake driver --*- C++ -*-===//
#include "runtime/device/cuda/CudaDevice.h"

#include "runtime/generate/Generator.h"
#include "runtime/support/Text.h"
#include "runtime/weights/RandomFill.h"
#include "runtime/weights/Recipe.h"
#include "test/runtime/device/cuda/FakeDriver.h"
#include "test/runtime/testing/TestArtifact.h"

#include <cstring>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::testing;

namespace {

Result<std::unique_ptr<Device>> makeFakeCuda(const DeviceRequest &request) {
  return CudaDevice::create(fakeDriver(), request);
}

/// The test plan as one for a GPU.
void forCuda(format::PlanT &plan) {
  plan.targets[0]->kind = "cuda";
  plan.targets[0]->arch = "sm_90a";
  for (auto &kernel : plan.kernels)
    kernel->block = {64, 2, 1};
}

std::unique_ptr<format::SizeT> size(std::vector<uint16_t> symbols, int64_t factor = 1,
                                    int64_t divisor = 1) {
  auto out = std::make_unique<format::SizeT>();
  out->symbols = std::move(symbols);
  out->factor = factor;
  out->divisor = divisor;
  return out;
}

/// combine with all that a kernel can ask for: x as rows of 4 elements.
void withExtras(format::PlanT &plan) {
  format::KernelT &kernel = *plan.kernels[0];
  kernel.shared_bytes = 100 << 10;
  kernel.cluster = {2, 1, 1};
  kernel.overlaps = true;
  kernel.device_sizes = {0};
  auto map = std::make_unique<format::TensorMapT>();
  map->dims.push_back(size({}, 4));
  map->dims.push_back(size({0}, 1, 4));
  map->strides.push_back(size({}, 16));
  map->box = {4, 8};
  map->swizzle = format::Swizzle::None;
  kernel.tensor_maps.push_back(std::move(map));
  fakeGpu().extras["combine"] = {1, 1};
}

struct CudaDeviceTest : ::testing::Test {
  void SetUp() override { resetFakeDriver(); }
  void TearDown() override { resetFakeDriver(); }

  static LoadOptions options(const std::string &weights = "") {
    LoadOptions out;
    out.makeDevice = makeFakeCuda;
    out.threads = 3;
    out.weights = weights;
    return out;
  }

  static LoadedModel load(const std::function<void(format::PlanT &)> &change = {},
                          const std::string &weights = "") {
    return loadModel(
        [&](format::PlanT &plan) {
          forCuda(plan);
          if (change)
            change(plan);
        },
        options(weights));
  }

  /// The error of loading, after `change`.
  static Status refused(const std::function<void(format::PlanT &)> &change = {}) {
    auto plan = makePlan();
    forCuda(*plan);
    if (change)
      change(*plan);
    AlignedBytes bytes(makeFile(*plan));
    auto artifact = Artifact::fromBytes(bytes.span());
    EXPECT_TRUE(artifact.ok()) << artifact.status().message();
    if (!artifact.ok())
      return {};
    Status status = Model::load(*artifact, options()).status();
    EXPECT_EQ(fakeGpu().alive(), "");
    EXPECT_EQ(fakeGpu().mistakes, std::vector<std::string>());
    return status;
  }

  /// y of "forward" for x = 1, 2, 3, ... times `scale`.
  static Status forward(Model &model, int64_t b, int64_t s, float scale, std::vector<float> &y) {
    const int64_t shape[] = {b, s};
    std::vector<float> x(size_t(b * s));
    std::vector<int32_t> ids(x.size(), 3);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i + 1) * scale;
    InputTensor inputs[] = {{"x", ElementType::F32, shape, x.data(), x.size() * 4},
                            {"ids", ElementType::I32, shape, ids.data(), ids.size() * 4}};
    y.assign(x.size(), -1);
    OutputTensor outputs[] = {{"y"}, {"copy", y.data(), y.size() * 4}, {"calls"}};
    Status status = (*model.findProgram("forward"))->run(inputs, outputs);
    if (status.ok())
      for (size_t i = 0; i < x.size(); ++i) {
        EXPECT_EQ(y[i], x[i] * 2 + 3 + 1);
        EXPECT_EQ(static_cast<const float *>(outputs[0].data)[i], y[i]);
      }
    return status;
  }

  static void expectWords(const Status &status, std::initializer_list<const char *> words) {
    for (const char *word : words)
      EXPECT_NE(status.message().find(word), std::string::npos)
          << word << " | " << status.message();
  }

  static void expectClean() {
    EXPECT_EQ(fakeGpu().alive(), "");
    EXPECT_EQ(fakeGpu().mistakes, std::vector<std::string>());
  }
};

} // namespace

TEST_F(CudaDeviceTest, RunsRecordsAndReplays) {
  {
    LoadedModel loaded = load();
    ASSERT_TRUE(loaded.model);
    std::vector<float> y;
    for (int run = 0; run < 5; ++run) // walked, recorded, replayed
      ASSERT_TRUE(forward(*loaded.model, 2, 3, float(run), y).ok());
    EXPECT_EQ(fakeGpu().callsOf["streamBeginCapture"], 1u);
    EXPECT_EQ(fakeGpu().callsOf["graphInstantiate"], 1u);
    EXPECT_EQ(fakeGpu().callsOf["graphDestroy"], 1u);
    EXPECT_EQ(fakeGpu().callsOf["graphLaunch"], 4u);
    EXPECT_EQ(fakeGpu().callsOf["launchKernel"], 2u * 2); // once for real, once recorded
    ASSERT_EQ(fakeGpu().launches.size(), 5u * 2);
    EXPECT_EQ(fakeGpu().launches[8].entry, "combine");
    EXPECT_EQ(fakeGpu().launches[8].grid[0], 2u);
    EXPECT_EQ(fakeGpu().launches[8].block[0], 64u);
    EXPECT_EQ(fakeGpu().launches[8].block[1], 2u);
    // Other sizes have a recording of their own.
    ASSERT_TRUE(forward(*loaded.model, 4, 4, 1, y).ok());
    EXPECT_EQ(fakeGpu().callsOf["streamBeginCapture"], 1u);
    ASSERT_TRUE(forward(*loaded.model, 4, 4, 2, y).ok());
    EXPECT_EQ(fakeGpu().callsOf["streamBeginCapture"], 2u);
    ASSERT_TRUE(forward(*loaded.model, 2, 3, 3, y).ok());
    EXPECT_EQ(fakeGpu().callsOf["streamBeginCapture"], 2u);
    ASSERT_TRUE(loaded.model->reset().ok());
    // Profiles walk the steps.
    std::vector<double> seconds(3);
    Program &program = **loaded.model->findProgram("forward");
    program.setProfile(&seconds);
    uint64_t before = fakeGpu().callsOf["graphLaunch"];
    ASSERT_TRUE(forward(*loaded.model, 2, 3, 3, y).ok());
    EXPECT_EQ(fakeGpu().callsOf["graphLaunch"], before);
  }
  expectClean();
}

TEST_F(CudaDeviceTest, MoreSizesThanRecordings) {
  {
    LoadedModel loaded = load([](format::PlanT &plan) { plan.programs[0]->symbols[1]->max = 16; });
    ASSERT_TRUE(loaded.model);
    (*loaded.model->findProgram("forward"))->setRecordings(3);
    std::vector<float> y;
    for (int pass = 0; pass < 3; ++pass)
      for (int64_t b = 1; b <= 4; ++b)
        for (int64_t s = 1; s * b <= 16; ++s)
          ASSERT_TRUE(forward(*loaded.model, b, s, float(pass + 1), y).ok());
    EXPECT_EQ(fakeGpu().callsOf["graphLaunch"], 0u); // none comes again soon enough
    for (int64_t b : {1, 2, 1, 2, 3, 3, 4, 4, 1, 1})
      ASSERT_TRUE(forward(*loaded.model, b, 1, float(b), y).ok());
    EXPECT_EQ(fakeGpu().callsOf["graphInstantiate"], 5u);
    EXPECT_EQ(fakeGpu().callsOf["graphExecDestroy"], 2u); // a third and a fourth came
    (*loaded.model->findProgram("forward"))->setRecordings(0);
    uint64_t before = fakeGpu().callsOf["graphLaunch"];
    ASSERT_TRUE(forward(*loaded.model, 1, 1, 1, y).ok());
    EXPECT_EQ(fakeGpu().callsOf["graphLaunch"], before);
  }
  expectClean();
}

TEST_F(CudaDeviceTest, OldDriversDoNotRecord) {
  fakeGpu().driverVersion = 12020;
  LoadedModel loaded = load();
  ASSERT_TRUE(loaded.model);
  std::vector<float> y;
  for (int run = 0; run < 3; ++run)
    ASSERT_TRUE(forward(*loaded.model, 2, 3, float(run), y).ok());
  EXPECT_EQ(fakeGpu().callsOf["streamBeginCapture"], 0u);
}

TEST_F(CudaDeviceTest, LaunchesGetWhatTheKernelAsksFor) {
  {
    LoadedModel loaded = load(withExtras);
    ASSERT_TRUE(loaded.model);
    // At load the map was encoded for the maxima, once.
    EXPECT_EQ(fakeGpu().callsOf["tensorMapEncode"], 1u);
    std::vector<float> y;
    for (int run = 0; run < 3; ++run)
      ASSERT_TRUE(forward(*loaded.model, 2, 3, 1, y).ok());
    EXPECT_EQ(fakeGpu().callsOf["tensorMapEncode"], 2u);
    for (const FakeLaunch &launch : {fakeGpu().launches.front(), fakeGpu().launches[4]}) {
      EXPECT_EQ(launch.entry, "combine");
      EXPECT_EQ(launch.sharedBytes, 100u << 10);
      EXPECT_EQ(launch.cluster[0], 2u);
      EXPECT_TRUE(launch.overlaps);
      ASSERT_EQ(launch.sizeAddresses.size(), 1u);
      EXPECT_EQ(launch.sizeAddresses[0], nullptr); // the host knows B * S
      ASSERT_EQ(launch.tensorMaps.size(), 1u);
      FakeTensorMap map;
      std::memcpy(&map, launch.tensorMaps[0].data(), sizeof map);
      EXPECT_EQ(map.rank, 2u);
      EXPECT_EQ(map.dims[0], 4u);
      EXPECT_EQ(map.dims[1], 2u); // ceil(6 / 4)
      EXPECT_EQ(map.strides[0], 16u);
      EXPECT_EQ(map.box[1], 8u);
      EXPECT_EQ(map.dataType, cuda::kMapF32);
    }
    // Whole clusters: ceil(9 / 4) = 3 blocks become 4.
    ASSERT_TRUE(forward(*loaded.model, 3, 3, 1, y).ok());
    EXPECT_EQ(fakeGpu().launches[6].grid[0], 4u);
  }
  expectClean();
}

TEST_F(CudaDeviceTest, TheFittingTargetIsChosen) {
  auto twoTargets = [](format::PlanT &plan) {
    plan.targets[0]->arch = "sm_80";
    plan.targets.push_back(std::make_unique<format::TargetT>(*plan.targets[0]));
    plan.targets[1]->arch = "sm_90a";
    plan.images.push_back(std::make_unique<format::ImageT>(*plan.images[0]));
    plan.images[1]->target = 1;
    size_t kernels = plan.kernels.size();
    for (size_t i = 0; i < kernels; ++i) {
      auto variant = std::make_unique<format::KernelT>();
      variant->entry = plan.kernels[i]->entry;
      variant->image = 1;
      variant->num_buffers = plan.kernels[i]->num_buffers;
      variant->num_sizes = plan.kernels[i]->num_sizes;
      variant->written = plan.kernels[i]->written;
      variant->block = {256, 1, 1};
      for (int axis = 0; axis < 3; ++axis)
        variant->grid.push_back(size({}));
      if (i == 0)
        variant->grid[0] = size({0}, 1, 2); // twice as many blocks as the other needs
      plan.kernels[i]->variants = {uint32_t(plan.kernels.size())};
      plan.kernels.push_back(std::move(variant));
    }
    // step: a block a row, which no size argument tells: its variant keeps to one row.
    plan.programs.pop_back();
    plan.generation.reset();
  };
  std::vector<float> y;
  {
    LoadedModel loaded = load(twoTargets);
    ASSERT_TRUE(loaded.model);
    EXPECT_EQ(fakeGpu().callsOf["moduleLoadData"], 1u);
    ASSERT_TRUE(forward(*loaded.model, 2, 3, 1, y).ok());
    EXPECT_EQ(fakeGpu().launches[0].block[0], 256u);
    EXPECT_EQ(fakeGpu().launches[0].grid[0], 3u);
  }
  expectClean();
  resetFakeDriver();
  fakeGpu().major = 8, fakeGpu().minor = 6;
  {
    LoadedModel loaded = load(twoTargets);
    ASSERT_TRUE(loaded.model);
    ASSERT_TRUE(forward(*loaded.model, 2, 3, 1, y).ok());
    EXPECT_EQ(fakeGpu().launches[0].block[0], 64u);
  }
  fakeGpu().major = 10, fakeGpu().minor = 0;
  Status status = refused(twoTargets);
  EXPECT_EQ(status.code(), ExitCode::DeviceMismatch);
  expectWords(status, {"sm_80, sm_90a", "sm_100", "--target"});
}

TEST_F(CudaDeviceTest, Architectures) {
  using cuda::fitOf;
  EXPECT_TRUE(fitOf("sm_80", {8, 6}));
  EXPECT_FALSE(fitOf("sm_86", {8, 0}));
  EXPECT_FALSE(fitOf("sm_80", {9, 0}));
  EXPECT_TRUE(fitOf("sm_90a", {9, 0}));
  EXPECT_FALSE(fitOf("sm_100a", {10, 3}));
  EXPECT_TRUE(fitOf("sm_100f", {10, 3}));
  EXPECT_GT(*fitOf("sm_90a", {9, 0}), *fitOf("sm_90", {9, 0}));
  EXPECT_GT(*fitOf("sm_86", {8, 9}), *fitOf("sm_80", {8, 9}));
  for (const char *arch : {"", "sm_", "sm_9x", "x86-64", "sm_90q", "sm_99999999999"})
    EXPECT_FALSE(fitOf(arch, {9, 0})) << arch;
}

TEST_F(CudaDeviceTest, SaysWhyItDoesNotLoad) {
  fakeGpu().major = 8;
  Status status = refused();
  EXPECT_EQ(status.code(), ExitCode::DeviceMismatch);
  expectWords(status, {"sm_90a", "sm_80", "Fake H100", "--target"});
  resetFakeDriver();
  fakeGpu().count = 0;
  status = refused();
  EXPECT_EQ(status.code(), ExitCode::DeviceMismatch);
  expectWords(status, {"sees 0", "nvidia-smi"});
  resetFakeDriver();
  fakeGpu().driverVersion = 11080;
  status = refused();
  EXPECT_EQ(status.code(), ExitCode::DeviceMismatch);
  expectWords(status, {"CUDA 11.8", "12.0"});
  resetFakeDriver();
  status = refused([](format::PlanT &plan) { plan.kernels[1]->entry = "nothing"; });
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  expectWords(status, {"'nothing'", "image 0"});
  status = refused([](format::PlanT &plan) { plan.kernels[1]->shared_bytes = 240 << 10; });
  EXPECT_EQ(status.code(), ExitCode::DeviceMismatch);
  expectWords(status, {"'grid3'", "241.0 KiB", "227.0 KiB"});
  fakeGpu().maxThreads = 96;
  status = refused();
  EXPECT_EQ(status.code(), ExitCode::DeviceMismatch);
  expectWords(status, {"'combine'", "128 threads", "96"});
}

TEST_F(CudaDeviceTest, OutOfMemorySaysPlanNeedAndFree) {
  fakeGpu().memory = 64 << 10;
  Status status = refused([](format::PlanT &plan) { plan.devices[0]->arena_bytes = 1 << 20; });
  EXPECT_EQ(status.code(), ExitCode::OutOfResources);
  expectWords(status, {"needs 1.0 MiB", "activations 1.0 MiB", "KV cache", "free are 64.0 KiB",
                       "--max-context"});
  // Fits by the plan, but not by the allocator's rounding.
  resetFakeDriver();
  fakeGpu().memory = 20 << 10;
  status = refused();
  EXPECT_EQ(status.code(), ExitCode::OutOfResources);
  expectWords(status, {"allocating", "Fake H100", "free of 20.0 KiB", "nvidia-smi"});
}

TEST_F(CudaDeviceTest, MissingDriver) {
  auto driver = cuda::openCudaDriver("libcuda-of-another-world.so.1");
  EXPECT_EQ(driver.status().code(), ExitCode::DeviceMismatch);
  expectWords(driver.status(),
              {"libcuda-of-another-world", "install the NVIDIA driver", "--target host"});
  driver = cuda::openCudaDriver("libc.so.6");
  EXPECT_EQ(driver.status().code(), ExitCode::DeviceMismatch);
  expectWords(driver.status(), {"cuInit", "525"});
}

/// Weights of several waves through the staging, made in pieces: the bits are the host's.
TEST_F(CudaDeviceTest, WeightsAreTheHosts) {
  constexpr uint64_t kRows = 3001, kColumns = 4096; // 47 MiB of f32 in odd pieces
  auto large = [&](format::PlanT &plan) {
    plan.weights_embedded = false;
    plan.sources[0]->shape = {kRows, kColumns};
    plan.weights[0]->shape = {kRows, kColumns};
    plan.weights[0]->bytes = kRows * kColumns * 4;
    plan.devices[0]->weight_bytes = (kRows * kColumns * 4 + 4095) / 4096 * 4096;
  };
  LoadedModel gpu = load(large, "random:5");
  ASSERT_TRUE(gpu.model);
  EXPECT_GE(fakeGpu().callsOf["copyToDevice"], 3u); // adjacent pieces move together
  std::vector<float> expected(kRows * kColumns);
  RandomFill(5, "w.weight", ingot::Init::Normal, 0.5f).fill(expected.data(), 0, 1, expected.size());
  std::span<const std::byte> memory = fakeGpu().largest();
  // The allocation is larger than the weights by the alignment.
  size_t skipped = size_t(-reinterpret_cast<uintptr_t>(memory.data()) % 4096);
  ASSERT_GE(memory.size(), skipped + expected.size() * 4);
  EXPECT_EQ(std::memcmp(memory.data() + skipped, expected.data(), expected.size() * 4), 0);
}

/// The GPU makes random weights itself where its driver compiles, the host where it does not: the
/// bits that the recipe gives when it is run as a whole.
TEST_F(CudaDeviceTest, RandomWeightsOfRecipes) {
  constexpr int64_t kRows = 36, kColumns = 53;
  const std::pair<std::vector<int64_t>, std::vector<RecipeStep>> recipes[] = {
      // Transposed, and padded.
      {{kColumns, kRows + 2},
       {RecipeStep::load(0), RecipeStep::transpose({1, 0}), RecipeStep::pad(1, kRows + 2)}},
      // Rows of one half between those of the other.
      {{kRows, kColumns},
       {RecipeStep::load(0), RecipeStep::reshape({2, kRows / 4, 2, kColumns}),
        RecipeStep::transpose({1, 0, 2, 3}), RecipeStep::reshape({kRows, kColumns})}},
      {{kRows * kColumns / 2},
       {RecipeStep::load(0), RecipeStep::reshape({2, kRows / 2, kColumns}),
        RecipeStep::slice(0, 1, 2), RecipeStep::reshape({kRows * kColumns / 2})}}};
  for (const auto &[shape, recipe] : recipes) {
    SCOPED_TRACE(recipeStr(recipe));
    TensorType type{ElementType::BF16, shape};
    const size_t bytes = size_t(*numBytes(type));
    auto change = [&](format::PlanT &plan) {
      plan.weights_embedded = false;
      plan.sources[0]->shape = {uint64_t(kRows), uint64_t(kColumns)};
      format::WeightT &weight = *plan.weights[0];
      weight.shape.assign(shape.begin(), shape.end());
      weight.dtype = format::DType::BF16;
      weight.bytes = bytes;
      weight.recipe.clear();
      for (const RecipeStep &step : recipe) {
        auto made = std::make_unique<format::RecipeStepT>();
        made->op = format::RecipeOp(step.op);
        made->ints = step.ints;
        weight.recipe.push_back(std::move(made));
      }
      plan.devices[0]->weight_bytes = 8192;
    };
    std::vector<std::byte> expected(bytes);
    SourceTensor source{{ElementType::F32, {kRows, kColumns}},
                        nullptr,
                        RandomFill(5, "w.weight", ingot::Init::Normal, 0.5f)};
    ASSERT_TRUE(executeRecipe(recipe, {&source, 1}, type, expected).ok());
    for (bool there : {false, true}) {
      resetFakeDriver();
      fakeGpu().compilesText = there;
      LoadedModel gpu = load(change, "random:5");
      ASSERT_TRUE(gpu.model);
      EXPECT_EQ(fakeGpu().launches.size(), there ? 1u : 0u);
      std::span<const std::byte> memory = fakeGpu().largest();
      size_t skipped = size_t(-reinterpret_cast<uintptr_t>(memory.data()) % 4096);
      EXPECT_EQ(std::memcmp(memory.data() + skipped, expected.data(), bytes), 0) << there;
    }
  }
  expectClean();
}

TEST_F(CudaDeviceTest, StagingIsNotOverwrittenEarly) {
  {
    auto pool = std::move(*ThreadPool::create(3));
    const std::string_view archs[] = {"sm_90a"};
    auto device = CudaDevice::create(fakeDriver(), {"cuda", archs, 0, *pool});
    ASSERT_TRUE(device.ok());
    constexpr size_t kPieces = 70, kBytes = (4 << 20) - 64; // more than four waves
    auto memory = (*device)->allocate(kPieces * kBytes, "weights");
    ASSERT_TRUE(memory.ok());
    std::vector<UploadPiece> pieces;
    for (size_t i = 0; i < kPieces; ++i)
      pieces.push_back({static_cast<char *>(*memory) + i * kBytes, i % 7 ? kBytes : 100 + i});
    auto fill = [](void *, size_t index, std::byte *to) -> Status {
      std::memset(to, int(index), index % 7 ? kBytes : 100 + index);
      return {};
    };
    ASSERT_TRUE((*device)->fillPieces(pieces, fill, nullptr, *pool).ok());
    for (size_t i = 0; i < kPieces; ++i) {
      auto *bytes = static_cast<unsigned char *>(pieces[i].target);
      EXPECT_EQ(bytes[0], i);
      EXPECT_EQ(bytes[pieces[i].bytes - 1], i);
    }
    auto fails = [](void *, size_t index, std::byte *) {
      return index == 40 ? Status(ExitCode::MalformedInput, "piece 40") : Status();
    };
    EXPECT_EQ((*device)->fillPieces(pieces, fails, nullptr, *pool).message(), "piece 40");
  }
  expectClean();
}

TEST_F(CudaDeviceTest, Generates) {
  {
    LoadedModel loaded = load();
    ASSERT_TRUE(loaded.model);
    auto generator = Generator::create(*loaded.model);
    ASSERT_TRUE(generator.ok());
    std::vector<std::vector<int32_t>> prompts = {{1}, {2, 3, 4, 5, 6, 7, 8}, {9, 1, 2}, {3, 3}};
    std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
    GenerateSettings settings = (*generator)->defaults();
    settings.maxNewTokens = 8;
    std::vector<GeneratedRow> rows;
    ASSERT_TRUE((*generator)->generate(views, settings, rows).ok());
    for (size_t i = 0; i < prompts.size(); ++i) {
      std::vector<int32_t> tokens = prompts[i];
      for (int32_t token : rows[i].tokens) {
        EXPECT_EQ(token, nextToken(tokens));
        tokens.push_back(token);
      }
    }
    EXPECT_GT(fakeGpu().callsOf["graphLaunch"], 0u);
  }
  expectClean();
}

/// Every driver call of a load and some runs fails once: each time an error in words, nothing left
/// behind, nothing used that is gone.
TEST_F(CudaDeviceTest, EveryCallMayFail) {
  // Weights once from the file, once made on the GPU.
  bool random = false;
  auto scenario = [&random]() -> Status {
    auto plan = makePlan();
    forCuda(*plan);
    withExtras(*plan);
    plan->weights_embedded = !random;
    fakeGpu().compilesText = true;
    AlignedBytes bytes(makeFile(*plan));
    auto artifact = Artifact::fromBytes(bytes.span());
    if (!artifact.ok())
      return artifact.status();
    auto model = Model::load(*artifact, options(random ? "random:1" : ""));
    if (!model.ok())
      return model.status();
    if (random)
      return (*model)->reset();
    std::vector<float> y;
    for (int64_t s : {3, 3, 3, 2})
      if (Status status = forward(**model, 2, s, 1, y); !status.ok())
        return status;
    return (*model)->reset();
  };
  for (bool made : {false, true}) {
    random = made;
    resetFakeDriver();
    ASSERT_TRUE(scenario().ok());
    uint64_t calls = fakeGpu().calls;
    ASSERT_GT(calls, 60u);
    expectClean();
    for (uint64_t at = 1; at <= calls; ++at) {
      resetFakeDriver();
      fakeGpu().failAt = at;
      Status status = scenario();
      std::string what = text("call ", at, " (", fakeGpu().failed, ")");
      // What frees, and what only informs, may fail unheard.
      bool quiet = false;
      for (const char *name :
           {"memGetInfo", "memFree", "memFreeHost", "moduleUnload", "streamDestroy",
            "memHostUnregister", "eventDestroy", "graphDestroy", "graphExecDestroy",
            "contextRelease", "streamSynchronize", "contextSetCurrent"})
        quiet |= fakeGpu().failed == name;
      // The host makes random weights where the driver cannot compile.
      quiet |= random && fakeGpu().failed == "moduleLoadData";
      EXPECT_TRUE(!status.ok() || quiet) << what;
      if (!status.ok()) {
        EXPECT_EQ(status.code(), ExitCode::Internal) << what;
        expectWords(status, {"CUDA", "CUDA_ERROR_FAKE", "a kernel failed"});
      }
      EXPECT_EQ(fakeGpu().alive(), "") << what;
      EXPECT_EQ(fakeGpu().mistakes, std::vector<std::string>()) << what;
    }
  }
}
