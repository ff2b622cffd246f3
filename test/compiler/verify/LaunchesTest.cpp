//===- LaunchesTest.cpp - A device against the host, launch by launch ------===//
#include "compiler/verify/Launches.h"

#include "codegen/host/HostImage.h"
#include "codegen/host/KernelCache.h"
#include "compiler/Compiler.h"
#include "compiler/verify/HostReference.h"
#include "compiler/verify/LaunchCompare.h"
#include "compiler/verify/LaunchReproducer.h"
#include "dialects/Transformer/TransformerDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <unistd.h>

using namespace mlir;

namespace ingot::verify {
namespace {

/// What the devices below do wrong.
struct Fault {
  std::string entry;      // of the kernel; empty: nothing
  int skip = 0;           // launches of it that are right
  bool leavesOut = false; // writes nothing instead of something else
};
Fault fault;

/// Spoils the last buffer of a launch that the fault is about.
bool isBroken(const KernelSpec &spec) { return spec.entry == fault.entry && fault.skip-- <= 0; }

/// The CPU, with a fault.
class FaultyCpu final : public Device {
public:
  explicit FaultyCpu(std::unique_ptr<Device> inner) : inner(std::move(inner)) {}
  static Result<std::unique_ptr<Device>> make(const DeviceRequest &request) {
    Result<std::unique_ptr<Device>> cpu = makeDevice(request);
    if (!cpu.ok())
      return cpu.status();
    return std::unique_ptr<Device>(new FaultyCpu(std::move(*cpu)));
  }
  std::string_view kind() const override { return "host"; }
  std::string description() const override { return "a faulty CPU"; }
  bool hostAccessible() const override { return true; }
  size_t archIndex() const override { return inner->archIndex(); }
  Result<uint32_t> loadImage(std::span<const std::byte> image, std::string_view arch) override {
    return inner->loadImage(image, arch);
  }
  Result<uint32_t> resolveKernel(const KernelSpec &spec) override {
    specs.push_back(spec);
    return inner->resolveKernel(spec);
  }
  Result<void *> allocate(uint64_t bytes, std::string_view what) override {
    return inner->allocate(bytes, what);
  }
  Result<void *> allocateHost(uint64_t bytes, std::string_view what) override {
    return inner->allocateHost(bytes, what);
  }
  const void *adoptReadOnly(std::span<const std::byte> bytes) override {
    return inner->adoptReadOnly(bytes);
  }
  Status finishLoad() override { return inner->finishLoad(); }
  Status launch(const LaunchSpec &launch) override {
    const KernelSpec &spec = specs[launch.kernel];
    bool broken = isBroken(spec);
    if (broken && fault.leavesOut)
      return Status();
    Status status = inner->launch(launch);
    if (broken)
      static_cast<float *>(launch.buffers[spec.numBuffers - 1])[1] += 100;
    return status;
  }
  Status copy(void *target, const void *source, uint64_t bytes) override {
    return inner->copy(target, source, bytes);
  }
  Status upload(void *target, const void *source, uint64_t bytes) override {
    return inner->upload(target, source, bytes);
  }
  Status download(void *target, const void *source, uint64_t bytes) override {
    return inner->download(target, source, bytes);
  }
  Status fill(void *target, uint8_t byte, uint64_t bytes) override {
    return inner->fill(target, byte, bytes);
  }
  Status synchronize() override { return inner->synchronize(); }
  uint64_t allocatedBytes() const override { return inner->allocatedBytes(); }

private:
  std::unique_ptr<Device> inner;
  std::vector<KernelSpec> specs;
};

/// The kernels of the ingot that is being verified, as a fake GPU runs them: by their meaning.
struct FakeCode {
  MLIRContext context;
  std::shared_ptr<const Artifact> artifact;
  OwningOpRef<ModuleOp> module;
  std::unique_ptr<HostReference> kernels;
};
FakeCode *fakeCode = nullptr;

/// A GPU as the runtime sees it (its memory is out of the host's reach, and it alone knows some
/// sizes), whose kernels do on the CPU what they should.
class FakeGpu final : public Device {
public:
  static Result<std::unique_ptr<Device>> make(const DeviceRequest &request) {
    std::string_view host = "x86-64-v2";
    DeviceRequest cpu{"host", {&host, 1}, 0, request.pool};
    Result<std::unique_ptr<Device>> inner = makeDevice(cpu);
    if (!inner.ok())
      return inner.status();
    std::unique_ptr<FakeGpu> gpu(new FakeGpu);
    gpu->inner = std::move(*inner);
    return std::unique_ptr<Device>(std::move(gpu));
  }
  std::string_view kind() const override { return "cuda"; }
  std::string description() const override { return "a fake GPU"; }
  bool hostAccessible() const override { return false; }
  Result<uint32_t> loadImage(std::span<const std::byte>, std::string_view) override { return 0u; }
  Result<uint32_t> resolveKernel(const KernelSpec &spec) override {
    specs.push_back(spec);
    return uint32_t(specs.size() - 1);
  }
  Result<void *> allocate(uint64_t bytes, std::string_view what) override {
    return inner->allocate(bytes, what);
  }
  Result<void *> allocateHost(uint64_t bytes, std::string_view what) override {
    return inner->allocateHost(bytes, what);
  }
  const void *adoptReadOnly(std::span<const std::byte>) override { return nullptr; }
  Status encodeTensorMap(const TensorMapSpec &, TensorMapImage &) override { return Status(); }
  Status finishLoad() override { return Status(); }
  Status launch(const LaunchSpec &launch) override {
    const KernelSpec &spec = specs[launch.kernel];
    std::vector<int64_t> sizes(launch.sizes, launch.sizes + spec.numSizes);
    for (const format::Kernel *kernel : *fakeCode->artifact->plan().kernels())
      if (kernel->entry()->str() == spec.entry && kernel->device_sizes())
        for (unsigned i = 0; i < kernel->device_sizes()->size(); ++i)
          if (launch.sizeAddresses[i]) {
            int32_t value;
            std::memcpy(&value, launch.sizeAddresses[i], sizeof value);
            sizes[kernel->device_sizes()->Get(i)] = value;
          }
    bool broken = isBroken(spec);
    if (broken && fault.leavesOut)
      return Status();
    Status status = fakeCode->kernels->run(*fakeCode->kernels->find(spec.entry),
                                           {launch.buffers, spec.numBuffers}, sizes);
    if (broken)
      static_cast<float *>(launch.buffers[spec.numBuffers - 1])[1] += 100;
    return status;
  }
  Status copy(void *target, const void *source, uint64_t bytes) override {
    return inner->copy(target, source, bytes);
  }
  Status upload(void *target, const void *source, uint64_t bytes) override {
    return inner->upload(target, source, bytes);
  }
  Status download(void *target, const void *source, uint64_t bytes) override {
    return inner->download(target, source, bytes);
  }
  Status fill(void *target, uint8_t byte, uint64_t bytes) override {
    return inner->fill(target, byte, bytes);
  }
  Status synchronize() override { return Status(); }
  uint64_t allocatedBytes() const override { return inner->allocatedBytes(); }

private:
  std::unique_ptr<Device> inner;
  std::vector<KernelSpec> specs;
};

class Launches : public ::testing::Test {
protected:
  void SetUp() override {
    folder = testing::TempDir() + "ingot-launches-XXXXXX";
    ASSERT_TRUE(mkdtemp(folder.data()));
    fault = Fault();
  }
  void TearDown() override { std::filesystem::remove_all(folder); }

  Status compileModel(const std::string &name, const std::string &target,
                      const std::function<void(CompileOptions &)> &change = {}) {
    CompileOptions options;
    options.model = std::string(INGOT_TEST_SOURCE_DIR) + "/golden/cases/" + name + "/model";
    options.output = options_.file = folder + "/model.ingot";
    options.target = target;
    options.debugInfo = true;
    options.maxBatch = 4;
    options.maxContext = name == "llama-default" ? 64 : 0;
    if (change)
      change(options);
    CompileReport report;
    return compile(options, report);
  }

  std::string folder;
  IngotOptions options_;
  IngotReport report_;
};

TEST_F(Launches, EveryLaunchIsCompared) {
  ASSERT_TRUE(compileModel("llama-default", "x86-64-v2").ok());
  Status status = verifyIngot(options_, report_);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_FALSE(report_.failure);
  ASSERT_EQ(report_.programs.size(), 2u);
  for (const LaunchesReport &program : report_.programs) {
    EXPECT_GE(program.cases, 5u);
    uint64_t launches = 0;
    for (const KernelReport &kernel : program.kernels) {
      EXPECT_EQ(kernel.problem, "") << kernel.kernel;
      EXPECT_LE(kernel.error, kernel.budget);
      launches += kernel.launches;
    }
    EXPECT_EQ(launches, program.launches);
  }
}

TEST_F(Launches, ABrokenKernelIsNamedAndReproduced) {
  ASSERT_TRUE(compileModel("llama-default", "x86-64-v2").ok());
  fault = {"gated_linear", 1, false}; // the second layer's
  options_.programs = {"forward"};
  options_.reproducer = folder + "/launch";
  options_.makeDevice = FaultyCpu::make;
  Status status = verifyIngot(options_, report_);
  ASSERT_EQ(status.code(), ExitCode::AccuracyMismatch) << status.message();
  ASSERT_TRUE(report_.failure);
  EXPECT_EQ(report_.failure->kernel, "gated_linear");
  EXPECT_EQ(report_.failure->location, "model.layers.1.mlp.gate_proj");
  EXPECT_EQ(report_.failure->summary, "gated_linear");
  EXPECT_EQ(report_.failure->element, 1u);
  EXPECT_NEAR(report_.failure->got - report_.failure->expected, 100, 1);
  EXPECT_NE(status.message().find("model.layers.1.mlp"), std::string::npos);
  EXPECT_EQ(report_.failure->note, "");

  // Alone it still fails, and on a device that does it right it does not.
  ASSERT_TRUE(isLaunchReproducer(options_.reproducer));
  fault.skip = 0;
  IngotReport alone;
  status = rerunLaunch(options_.reproducer, alone, FaultyCpu::make);
  EXPECT_EQ(status.code(), ExitCode::AccuracyMismatch) << status.message();
  ASSERT_TRUE(alone.failure);
  EXPECT_EQ(alone.failure->kernel, "gated_linear");
  status = rerunLaunch(options_.reproducer, alone);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(alone.programs.front().launches, 1u);
}

TEST_F(Launches, WhatIsNotWrittenIsFound) {
  ASSERT_TRUE(compileModel("bert-base", "x86-64-v2").ok());
  fault = {"add_layer_norm", 0, true};
  options_.makeDevice = FaultyCpu::make;
  Status status = verifyIngot(options_, report_);
  ASSERT_EQ(status.code(), ExitCode::AccuracyMismatch) << status.message();
  EXPECT_TRUE(std::isnan(report_.failure->error));
  EXPECT_NE(status.message().find("not finite"), std::string::npos) << status.message();
}

TEST_F(Launches, AFaultThatIsGoneAloneIsSaid) {
  ASSERT_TRUE(compileModel("bert-base", "x86-64-v2").ok());
  fault = {"add_layer_norm", 0, false};
  options_.reproducer = folder + "/launch";
  options_.makeDevice = [](const DeviceRequest &request) {
    static int made = 0;
    if (made++ > 0)
      fault.entry.clear();
    return FaultyCpu::make(request);
  };
  Status status = verifyIngot(options_, report_);
  ASSERT_EQ(status.code(), ExitCode::AccuracyMismatch) << status.message();
  EXPECT_NE(report_.failure->note, "");
}

TEST_F(Launches, PackedInputs) {
  ASSERT_TRUE(compileModel("bert-base", "x86-64-v2", [](CompileOptions &options) {
                options.packedInput = true;
              }).ok());
  Status status = verifyIngot(options_, report_);
  EXPECT_TRUE(status.ok()) << status.message();
}

TEST_F(Launches, Refusals) {
  ASSERT_TRUE(compileModel("bert-base", "x86-64-v2", [](CompileOptions &options) {
                options.debugInfo = false;
              }).ok());
  Status status = verifyIngot(options_, report_);
  EXPECT_EQ(status.code(), ExitCode::Usage);
  EXPECT_NE(status.message().find("--debug-info"), std::string::npos) << status.message();
  ASSERT_TRUE(compileModel("bert-base", "x86-64-v2").ok());
  options_.programs = {"forwrd"};
  status = verifyIngot(options_, report_);
  EXPECT_EQ(status.code(), ExitCode::Usage);
  EXPECT_NE(status.message().find("forward"), std::string::npos) << status.message();
}

/// A GPU's programs and kernels (other families, packed weights, sizes that it alone knows),
/// without one.
TEST_F(Launches, OfAGpu) {
  Status compiled = compileModel("llama-default", "sm_90a",
                                 [](CompileOptions &options) { options.dtype = "f16"; });
  if (compiled.code() == ExitCode::Unsupported)
    GTEST_SKIP() << compiled.message(); // no NVRTC
  ASSERT_TRUE(compiled.ok()) << compiled.message();
  host::KernelCache cache(host::Effort::Brief);
  FakeCode code;
  DialectRegistry registry;
  host::registerHostDialects(registry);
  registry.insert<transformer::TransformerDialect, exec::ExecDialect, func::FuncDialect>();
  code.context.appendDialectRegistry(registry);
  code.context.loadAllAvailableDialects();
  code.artifact = *Artifact::open(options_.file);
  code.module = parseSourceString<ModuleOp>(debugPhase(*code.artifact, "plan"), &code.context);
  ASSERT_TRUE(code.module);
  code.kernels = std::move(*HostReference::create(*code.module));
  fakeCode = &code;
  options_.makeDevice = FakeGpu::make;
  Status status = verifyIngot(options_, report_);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(report_.device, "a fake GPU");
  for (const LaunchesReport &program : report_.programs)
    for (const KernelReport &kernel : program.kernels)
      EXPECT_EQ(kernel.problem, "") << kernel.kernel;
  fakeCode = nullptr;
}

std::vector<std::byte> bytesOf(const std::vector<float> &values) {
  auto bytes = reinterpret_cast<const std::byte *>(values.data());
  return {bytes, bytes + values.size() * sizeof(float)};
}

TEST(LaunchCompare, WhatCounts) {
  const float nan = std::nanf(""), inf = std::numeric_limits<float>::infinity(),
              lowest = std::numeric_limits<float>::lowest();
  auto error = [](const std::vector<float> &expected, const std::vector<float> &got) {
    return compareBuffers(ElementType::F32, bytesOf(expected), bytesOf(got)).error;
  };
  EXPECT_EQ(error({1, -4}, {1, -4}), 0);
  EXPECT_DOUBLE_EQ(error({1, -4}, {2, -4}), 0.25);
  EXPECT_EQ(error({1, nan}, {1, 7}), 0); // nothing is said about it
  EXPECT_TRUE(std::isnan(error({1, 7}, {1, nan})));
  EXPECT_TRUE(std::isnan(error({1, 7}, {1, inf})));
  EXPECT_EQ(error({1, -inf}, {1, lowest}), 0);
  EXPECT_TRUE(std::isnan(error({1, -inf}, {1, 3})));
  EXPECT_TRUE(std::isnan(error({1, -inf}, {1, inf})));
  EXPECT_EQ(error({0}, {1}), HUGE_VAL);
  LaunchDifference first =
      compareBuffers(ElementType::F32, bytesOf({1, 2, 3}), bytesOf({1, nan, nan}));
  EXPECT_EQ(first.element, 1u);
  const int32_t expected[] = {1, 2, 3, 4}, got[] = {1, 2, 9, 4};
  EXPECT_DOUBLE_EQ(compareBuffers(ElementType::I32, std::as_bytes(std::span(expected)),
                                  std::as_bytes(std::span(got)))
                       .error,
                   0.25);
}

} // namespace
} // namespace ingot::verify
