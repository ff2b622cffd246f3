//===- CudaGpuTest.cpp - The runtime on a real GPU --------------*- C++ -*-===//
//
// Skipped without a GPU that runs sm_90a code.
//
//===----------------------------------------------------------------------===//
#include "runtime/device/cuda/CudaDevice.h"
#include "runtime/generate/Generator.h"
#include "runtime/weights/Convert.h"
#include "test/runtime/testing/TestArtifact.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::testing;

namespace {

double now() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

std::vector<std::byte> cubin(const char *arch) {
  auto file = MappedFile::open(std::string(INGOT_TEST_CUBINS) + "/kernels." + arch + ".cubin");
  EXPECT_TRUE(file.ok()) << file.status().message();
  return {file->bytes().begin(), file->bytes().end()};
}

void forGpu(format::PlanT &plan, const std::vector<std::byte> &code) {
  plan.targets[0]->kind = "cuda";
  plan.targets[0]->arch = "sm_90a";
  plan.images[0]->bytes = code.size();
  for (auto &kernel : plan.kernels)
    kernel->block = {32, 1, 1};
}

struct GpuModel {
  std::unique_ptr<AlignedBytes> bytes;
  std::unique_ptr<Model> model;
  Status status;
};

GpuModel loadGpu(const std::function<void(format::PlanT &)> &change = {},
                 const char *arch = "sm_90a", const std::string &weights = "") {
  std::vector<std::byte> code = cubin(arch);
  auto plan = makePlan();
  forGpu(*plan, code);
  if (change)
    change(*plan);
  for (auto &kernel : plan->kernels)
    if (kernel->block.empty())
      kernel->block = {32, 1, 1};
  GpuModel out;
  out.bytes = std::make_unique<AlignedBytes>(makeFile(*plan, code));
  auto artifact = Artifact::fromBytes(out.bytes->span());
  EXPECT_TRUE(artifact.ok()) << artifact.status().message();
  if (!artifact.ok())
    return out;
  LoadOptions options;
  options.weights = weights;
  auto model = Model::load(*artifact, options);
  out.status = model.status();
  if (model.ok())
    out.model = std::move(*model);
  return out;
}

struct CudaGpuTest : ::testing::Test {
  void SetUp() override {
    auto pool = std::move(*ThreadPool::create(1));
    const std::string_view archs[] = {"sm_90a"};
    auto device = makeDevice({"cuda", archs, 0, *pool});
    if (!device.ok())
      GTEST_SKIP() << device.status().message();
    std::printf("%s\n", (*device)->description().c_str());
  }

  static void forward(Model &model, int64_t b, int64_t s, float scale, int32_t calls) {
    const int64_t shape[] = {b, s};
    std::vector<float> x(size_t(b * s));
    std::vector<int32_t> ids(x.size(), 3);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = float(i + 1) * scale;
    InputTensor inputs[] = {{"x", ElementType::F32, shape, x.data(), x.size() * 4},
                            {"ids", ElementType::I32, shape, ids.data(), ids.size() * 4}};
    OutputTensor outputs[] = {{"y"}, {"copy"}, {"calls"}};
    Status status = (*model.findProgram("forward"))->run(inputs, outputs);
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < x.size(); ++i)
      for (int output : {0, 1})
        EXPECT_EQ(static_cast<const float *>(outputs[output].data)[i], x[i] * 2 + 3 + 1);
    EXPECT_EQ(*static_cast<const int32_t *>(outputs[2].data), calls);
  }
};

std::unique_ptr<format::SizeT> size(std::vector<uint16_t> symbols, int64_t factor = 1,
                                    int64_t divisor = 1) {
  auto out = std::make_unique<format::SizeT>();
  out->symbols = std::move(symbols);
  out->factor = factor;
  out->divisor = divisor;
  return out;
}

} // namespace

TEST_F(CudaGpuTest, WalksRecordsReplays) {
  GpuModel gpu = loadGpu();
  ASSERT_TRUE(gpu.model) << gpu.status.message();
  for (int run = 0; run < 6; ++run)
    forward(*gpu.model, 2, 3, float(run), run + 1);
  forward(*gpu.model, 4, 4, 1, 7);
  ASSERT_TRUE(gpu.model->reset().ok());
  forward(*gpu.model, 2, 3, 5, 1);
  // Walked and replayed runs, in microseconds.
  Program &program = **gpu.model->findProgram("forward");
  const int64_t symbols[] = {2, 3};
  ASSERT_TRUE(program.bind(symbols).ok());
  for (size_t most : {size_t(0), size_t(8)}) {
    program.setRecordings(most);
    std::vector<double> times;
    for (int run = 0; run < 300; ++run) {
      double begin = now();
      ASSERT_TRUE(program.execute().ok());
      times.push_back(now() - begin);
    }
    std::sort(times.begin(), times.end());
    std::printf("%s: %.1f us a run of 3 steps\n", most ? "replayed" : "walked", times[150] * 1e6);
  }
}

TEST_F(CudaGpuTest, TensorMapsClustersOverlapAndSharedMemory) {
  GpuModel gpu = loadGpu([](format::PlanT &plan) {
    format::KernelT &kernel = *plan.kernels[0];
    kernel.entry = "combine_map";
    kernel.shared_bytes = 64 << 10;
    kernel.cluster = {2, 1, 1};
    kernel.overlaps = true;
    kernel.device_sizes = {0};
    auto map = std::make_unique<format::TensorMapT>();
    map->dims.push_back(size({}, 4));
    map->dims.push_back(size({0}, 1, 4));
    map->strides.push_back(size({}, 16));
    map->box = {4, 1};
    kernel.tensor_maps.push_back(std::move(map));
  });
  ASSERT_TRUE(gpu.model) << gpu.status.message();
  int32_t calls = 0;
  for (int pass = 0; pass < 3; ++pass)
    for (auto [b, s] : {std::pair{2, 3}, {4, 4}, {1, 1}, {3, 5}})
      forward(*gpu.model, b, s, float(pass + 1), ++calls);
}

/// A stream behind a launch and as the first step, walked and replayed: its memory is filled before
/// the kernel counts, though that starts early.
TEST_F(CudaGpuTest, Streams) {
  for (bool first : {false, true})
    for (bool resident : {false, true}) {
      GpuModel gpu = loadGpu([&](format::PlanT &plan) {
        addStream(plan, resident);
        for (size_t i = plan.kernels.size() - 2; i < plan.kernels.size(); ++i)
          plan.kernels[i]->overlaps = true;
        format::ProgramT &program = *plan.programs.back();
        if (!first)
          return;
        program.steps.erase(program.steps.begin() + resident);
        program.inputs[0]->buffer = 1;
        --program.streams[0]->first;
      });
      ASSERT_TRUE(gpu.model) << gpu.status.message();
      Program &program = **gpu.model->findProgram("chain");
      for (int run = 0; run < 200; ++run) {
        const int64_t tokens = run % 6 + 1, shape[] = {tokens, 4}, one[] = {1};
        std::vector<float> x(size_t(tokens * 4)), y(x.size());
        for (size_t i = 0; i < x.size(); ++i)
          x[i] = float(run + 1) * float(i + 1);
        auto count = int32_t(tokens);
        std::vector<InputTensor> inputs = {{"x", ElementType::F32, shape, x.data(), x.size() * 4}};
        if (resident)
          inputs.push_back({"count", ElementType::I32, one, &count, sizeof count});
        OutputTensor outputs[] = {{"y", y.data(), y.size() * 4}};
        Status status = program.run(inputs, outputs);
        ASSERT_TRUE(status.ok()) << status.message();
        for (size_t i = 0; i < x.size(); ++i)
          ASSERT_EQ(y[i], x[i] * (first ? 8 : 16)) << run << ", " << i;
      }
    }
}

TEST_F(CudaGpuTest, Generates) {
  for (bool onDevice : {false, true}) {
    GpuModel gpu = loadGpu([&](format::PlanT &plan) {
      if (onDevice)
        addSampling(plan);
    });
    ASSERT_TRUE(gpu.model) << gpu.status.message();
    auto generator = Generator::create(*gpu.model);
    ASSERT_TRUE(generator.ok());
    std::vector<std::vector<int32_t>> prompts = {{1}, {2, 3, 4, 5, 6, 7, 8}, {9, 1, 2}, {3, 3}};
    std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
    GenerateSettings settings = (*generator)->defaults();
    settings.maxNewTokens = 8;
    std::vector<GeneratedRow> rows;
    Status status = (*generator)->generate(views, settings, rows);
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < prompts.size(); ++i) {
      std::vector<int32_t> tokens = prompts[i];
      for (int32_t token : rows[i].tokens) {
        EXPECT_EQ(token, nextToken(tokens));
        tokens.push_back(token);
      }
    }
  }
}

TEST_F(CudaGpuTest, ErrorsInWords) {
  auto show = [](const Status &status, ExitCode code) {
    EXPECT_EQ(status.code(), code);
    std::printf("  exit %d: %s\n", int(status.code()), status.message().c_str());
  };
  // Code of another architecture, said so and not said so.
  show(loadGpu([](format::PlanT &plan) { plan.targets[0]->arch = "sm_80"; }, "sm_80").status,
       ExitCode::DeviceMismatch);
  show(loadGpu({}, "sm_80").status, ExitCode::DeviceMismatch);
  show(loadGpu([](format::PlanT &plan) { plan.kernels[1]->entry = "nothing"; }).status,
       ExitCode::MalformedInput);
  show(loadGpu([](format::PlanT &plan) { plan.kernels[1]->shared_bytes = 240 << 10; }).status,
       ExitCode::DeviceMismatch);
  show(
      loadGpu([](format::PlanT &plan) { plan.devices[0]->arena_bytes = uint64_t(1) << 40; }).status,
      ExitCode::OutOfResources);
}

/// The link's share that an upload from ordinary memory through the staging reaches.
TEST_F(CudaGpuTest, UploadsAtTheSpeedOfTheLink) {
  auto pool = std::move(*ThreadPool::create(*ThreadPool::defaultThreads()));
  const std::string_view archs[] = {"sm_90a"};
  auto made = makeDevice({"cuda", archs, 0, *pool});
  ASSERT_TRUE(made.ok());
  Device &device = **made;
  constexpr size_t kPiece = size_t(1) << 20, kPieces = 4096; // 4 GiB
  auto memory = device.allocate(kPiece * kPieces, "the test");
  ASSERT_TRUE(memory.ok()) << memory.status().message();
  constexpr size_t kPinned = size_t(256) << 20;
  double pinning = now();
  auto pinned = device.allocateHost(kPinned, "the test");
  ASSERT_TRUE(pinned.ok());
  std::printf("pinning: %.1f GB/s\n", double(kPinned) / (now() - pinning) * 1e-9);
  std::memset(*pinned, 7, kPinned);
  auto plain = [&] {
    double begin = now();
    for (size_t at = 0; at < kPiece * kPieces; at += kPinned)
      EXPECT_TRUE(device.upload(static_cast<char *>(*memory) + at, *pinned, kPinned).ok());
    EXPECT_TRUE(device.synchronize().ok());
    return double(kPiece * kPieces) / (now() - begin) * 1e-9;
  };
  (void)plain();
  double link = plain();
  std::vector<std::byte> source(kPiece * kPieces);
  for (size_t i = 0; i < source.size(); i += 64)
    source[i] = std::byte(i / 64);
  std::vector<UploadPiece> pieces;
  for (size_t i = 0; i < kPieces; ++i)
    pieces.push_back({static_cast<char *>(*memory) + i * kPiece, kPiece});
  auto fill = [](void *context, size_t index, std::byte *to) -> Status {
    std::memcpy(to, static_cast<std::byte *>(context) + index * kPiece, kPiece);
    return {};
  };
  // What the threads alone can do, and the fixed cost of an upload.
  struct Copy {
    std::byte *from, *to;
  } copy{source.data(), static_cast<std::byte *>(*pinned)};
  double copying = now();
  for (int pass = 0; pass < 16; ++pass)
    pool->run(
        kPinned / kPiece,
        [](void *argument, unsigned, int64_t begin, int64_t end) {
          auto *self = static_cast<Copy *>(argument);
          std::memcpy(self->to + begin * kPiece, self->from + begin * kPiece,
                      size_t(end - begin) * kPiece);
        },
        &copy);
  std::printf("%u threads copy %.1f GB/s\n", pool->threads(),
              16.0 * kPinned / (now() - copying) * 1e-9);
  double small = now();
  ASSERT_TRUE(device.fillPieces(std::span(pieces).first(64), fill, source.data(), *pool).ok());
  std::printf("64 MiB in %.1f ms\n", (now() - small) * 1e3);
  double reached = 0;
  for (int run = 0; run < 3; ++run) {
    double begin = now();
    ASSERT_TRUE(device.fillPieces(pieces, fill, source.data(), *pool).ok());
    double rate = double(source.size()) / (now() - begin) * 1e-9;
    std::printf("%.1f GB/s through staging, %.1f GB/s pinned (%.0f %%)\n", rate, link,
                100 * rate / link);
    reached = std::max(reached, rate);
  }
  EXPECT_GE(reached, 0.8 * link);
  // And it is what was sent.
  for (size_t i : {size_t(0), size_t(17), kPieces - 1}) {
    ASSERT_TRUE(device.download(*pinned, pieces[i].target, kPiece).ok());
    ASSERT_TRUE(device.synchronize().ok());
    EXPECT_EQ(std::memcmp(*pinned, source.data() + i * kPiece, kPiece), 0);
  }
}

TEST_F(CudaGpuTest, RandomWeights) {
  constexpr uint64_t kRows = 1 << 18, kColumns = 4096; // 2 GiB of bf16
  double begin = now();
  GpuModel gpu = loadGpu(
      [&](format::PlanT &plan) {
        plan.weights_embedded = false;
        plan.sources[0]->shape = {kRows, kColumns};
        plan.weights[0]->shape = {kRows, kColumns};
        plan.weights[0]->dtype = format::DType::BF16;
        plan.weights[0]->bytes = kRows * kColumns * 2;
        plan.devices[0]->weight_bytes = kRows * kColumns * 2;
      },
      "sm_90a", "random:1");
  ASSERT_TRUE(gpu.model) << gpu.status.message();
  double seconds = now() - begin;
  std::printf("2^30 random weights in %.2f s, %.2f ns each on %u threads\n", seconds,
              seconds / double(kRows * kColumns) * 1e9, gpu.model->threads());
}

/// The GPU makes the bits that the host makes, wherever a box comes from and goes.
TEST_F(CudaGpuTest, RandomBoxes) {
  auto pool = std::move(*ThreadPool::create(1));
  const std::string_view archs[] = {"sm_90a"};
  auto made = makeDevice({"cuda", archs, 0, *pool});
  ASSERT_TRUE(made.ok());
  Device &device = **made;
  const std::pair<ElementType, ingot::Init> kinds[] = {{ElementType::F32, ingot::Init::Normal},
                                                       {ElementType::F16, ingot::Init::Ones},
                                                       {ElementType::BF16, ingot::Init::Normal}};
  for (auto [type, init] : kinds) {
    constexpr uint64_t kSizes[4] = {3, 50, 7, 64};
    constexpr uint64_t kCount = 3 * 50 * 7 * 64;
    RandomFill fill(7, "model.weight", init, 0.02f);
    // [3, 50, 7, 64] read as [3, 7, 50, 64] with a pitch, written densely.
    RandomBox box{.type = type, .fill = fill, .first = 11};
    const int64_t from[4] = {7 * 50 * 80, 80, 50 * 80, 1}, to[4] = {50 * 7 * 64, 7 * 64, 64, 1};
    for (int i = 0; i < 4; ++i)
      box.axes[i] = {kSizes[i], from[i], to[i]};
    auto memory = device.allocate(kCount * 4, "the test");
    ASSERT_TRUE(memory.ok());
    box.target = *memory;
    auto done = device.fillRandom(box);
    ASSERT_TRUE(done.ok()) << done.status().message();
    ASSERT_TRUE(*done) << "the driver has no compiler";
    std::vector<std::byte> got(kCount * sizeOf(type)), expected(got.size());
    ASSERT_TRUE(device.download(got.data(), *memory, got.size()).ok());
    ASSERT_TRUE(device.synchronize().ok());
    for (uint64_t i = 0; i < kCount; ++i) {
      uint64_t at = 11 + i / 64 / 7 / 50 * uint64_t(from[0]) + i / 64 / 7 % 50 * uint64_t(from[1]) +
                    i / 64 % 7 * uint64_t(from[2]) + i % 64;
      float value = fill.at(at);
      ingot::convertElements(reinterpret_cast<const std::byte *>(&value), ElementType::F32, {},
                      expected.data() + i * sizeOf(type), type, 1);
    }
    EXPECT_EQ(got, expected);
  }
}

/// Last: a failed kernel leaves the process without its GPU.
TEST_F(CudaGpuTest, ZFailedKernels) {
  GpuModel gpu = loadGpu([](format::PlanT &plan) { plan.kernels[2]->entry = "wild"; });
  ASSERT_TRUE(gpu.model) << gpu.status.message();
  const int64_t symbols[] = {2, 3};
  Program &program = **gpu.model->findProgram("forward");
  ASSERT_TRUE(program.bind(symbols).ok());
  Status status = program.execute();
  EXPECT_EQ(status.code(), ExitCode::Internal);
  std::printf("  %s\n", status.message().c_str());
  EXPECT_NE(status.message().find("illegal memory access"), std::string::npos);
}
