//===- WriteArtifactTest.cpp - Artifacts of modules with a fake family ------===//
//
// The code is a few bytes of a family that only exists here; all else is real: what is written is
// opened and validated by the runtime's reader.
//
//===----------------------------------------------------------------------===//
#include "codegen/WriteArtifact.h"

#include "runtime/format/Artifact.h"
#include "runtime/weights/WeightSource.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Parser/Parser.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

namespace {

class FakeFamily : public KernelFamily {
public:
  explicit FakeFamily(bool fails = false) : fails(fails) {}
  StringRef getName() const override { return "test.fake"; }
  StringRef getTargetKind() const override { return "host"; }
  Match match(exec::KernelOp, const TargetInfo &) const override { return Match::yes(); }
  Result<Selection> select(exec::KernelOp, const SelectContext &) const override {
    return Status(ExitCode::Internal, "not asked for");
  }
  Result<Code> emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &) const override {
    if (fails)
      return Status(ExitCode::Internal, "no code today");
    Code code;
    for (exec::KernelOp kernel : kernels) {
      KernelCode entry;
      entry.entry = kernel.getSymName().str();
      entry.image = code.images.size();
      entry.scratchBytes = 128;
      code.kernels.push_back(entry);
      code.images.push_back({{'c', 'o', 'd', 'e', uint8_t('0' + code.images.size())}});
    }
    return code;
  }

private:
  bool fails;
};

constexpr const char *kModule = R"mlir(
module attributes {exec.model = {type = "toy", architecture = "Toy", provenance = {license = "none"}}} {
  exec.target @host kind("host") arch("x86-64-v3")
  exec.device @host0 : @host {arena_bytes = 65600 : i64, weight_bytes = 320 : i64,
                              constant_bytes = 64 : i64, state_bytes = 64 : i64}
  exec.source @q [4, 8] init(normal, 2.000000e-02) {aliases = ["model.q"]}
  exec.source @norm [4] init(ones)
  exec.weight @w.q from [@q] recipe [#exec.step<load [0]>, #exec.step<transpose [1, 0]>]
      on @host0 {offset = 64 : i64} : tensor<8x4xf32>
  exec.weight @w.norm from [@norm] recipe [#exec.step<load [0]>, #exec.step<mul_scalar 2.0>]
      on @host0 {offset = 0 : i64} : tensor<4xf32>
  exec.weight @w.raw from [@q] recipe [#exec.step<load [0]>] on @host0 {offset = 192 : i64} : tensor<4x8xf32>
  exec.constant @c on @host0 {offset = 0 : i64} = dense<[true, false, true]> : tensor<3xi1>
  exec.state @sum on @host0 {offset = 0 : i64} : tensor<4xf32>
  exec.kernel @neg for @host sizes(d0 in [1, 8], d1 in [1, 512])
      (%x: !exec.buffer<[d0 * d1, 4] x f32>) -> (!exec.buffer<[d0 * d1, 4] x f32>)
      attributes {family = "test.fake", description = "negate",
                  grid = [#exec.size<d0 * d1 ceildiv 64>, #exec.size<1>, #exec.size<1>]} {
    %0 = arith.negf %x : tensor<?x4xf32>
    exec.yield %0 : tensor<?x4xf32>
  }
  exec.kernel @sum_up for @host sizes() (%sum: !exec.buffer<[4] x f32>, %w: !exec.buffer<[4] x f32>)
      -> (!exec.buffer<[4] x f32> updates %sum)
      attributes {family = "test.fake", grid = [#exec.size<1>, #exec.size<1>, #exec.size<1>]} {
    %0 = arith.addf %sum, %w : tensor<4xf32>
    exec.yield %0 : tensor<4xf32>
  }
  exec.program @forward symbols(B in [1, 8], S in [1, 512]) limits(B * S <= 2048) {
    %ids = exec.input "ids" on @host0 range [0, 9] fill 1 {offset = 0 : i64, bytes = 40 : i64} : !exec.buffer<[10] x i32>
    %x = exec.input "x" on @host0 {offset = 64 : i64, bytes = 32768 : i64} : !exec.buffer<[B, S, 4] x f32>
    %v = exec.view %x : !exec.buffer<[B, S, 4] x f32> to !exec.buffer<[B * S, 4] x f32>
    %y = exec.buffer on @host0 {offset = 32832 : i64, bytes = 32768 : i64} : !exec.buffer<[B * S, 4] x f32>
    exec.launch @neg sizes(B, S) grid(B * S ceildiv 64, 1, 1)
        ins(%v : !exec.buffer<[B * S, 4] x f32>) outs(%y : !exec.buffer<[B * S, 4] x f32>)
        loc("model.layers.0.neg")
    %sum = exec.get @sum : !exec.buffer<[4] x f32>
    %w = exec.get @w.norm : !exec.buffer<[4] x f32>
    exec.launch @sum_up sizes() grid(1, 1, 1) ins(%sum, %w : !exec.buffer<[4] x f32>, !exec.buffer<[4] x f32>)
    exec.copy %y to %v : !exec.buffer<[B * S, 4] x f32>
    exec.output "y" %y : !exec.buffer<[B * S, 4] x f32>
  }
}
)mlir";

class WriteArtifactTest : public testing::Test {
protected:
  WriteArtifactTest() {
    context.loadDialect<exec::ExecDialect, arith::ArithDialect, tensor::TensorDialect>();
    module = parseSourceString<ModuleOp>(kModule, &context);
    registry.add(std::make_unique<FakeFamily>());
    folder = std::filesystem::path(INGOT_TEST_BINARY_DIR) /
             testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder);
  }

  Result<ArtifactSummary> write(const std::string &name, const WeightSource *weights,
                                unsigned threads = 2) {
    ArtifactOptions options;
    options.output = (folder / name).string();
    options.weights = weights;
    options.debugText = "// IR\n";
    options.emit.threads = threads;
    options.registry = &registry;
    return writeArtifact(*module, options);
  }

  std::string read(const std::string &name) {
    std::ifstream file(folder / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

  MLIRContext context;
  OwningOpRef<ModuleOp> module;
  KernelRegistry registry;
  std::filesystem::path folder;
};

TEST_F(WriteArtifactTest, WhatIsWrittenIsAValidArtifact) {
  ASSERT_TRUE(module);
  auto weights = makeRandomSource(7);
  Result<ArtifactSummary> summary = write("a.ingot", weights.get());
  ASSERT_TRUE(summary.ok()) << summary.status().message();
  EXPECT_EQ(summary->kernels, 2u);
  EXPECT_EQ(summary->fileBytes, std::filesystem::file_size(folder / "a.ingot"));

  auto artifact = Artifact::open((folder / "a.ingot").string());
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  const format::Plan &plan = (*artifact)->plan();
  EXPECT_EQ(plan.model_type()->str(), "toy");
  EXPECT_EQ(plan.provenance()->Get(0)->key()->str(), "license");
  EXPECT_EQ(std::memcmp((*artifact)->image(1).data(), "code1", 5), 0);

  const format::Kernel &kernel = *plan.kernels()->Get(1);
  EXPECT_EQ(kernel.entry()->str(), "sum_up");
  EXPECT_EQ(kernel.num_buffers(), 2); // the updated input has no buffer as an output
  EXPECT_EQ(kernel.written()->Get(0), 1);
  EXPECT_EQ(kernel.written()->Get(1), 0);

  const format::Program &program = *plan.programs()->Get(0);
  EXPECT_EQ(program.limits()->Get(0)->max(), 2048);
  const format::Launch &launch = *program.steps()->Get(0)->action_as_Launch();
  EXPECT_EQ(launch.location()->str(), "model.layers.0.neg");
  EXPECT_EQ(launch.grid()->Get(0)->divisor(), 64);
  const format::Buffer &view = *program.buffers()->Get(launch.buffers()->Get(0));
  EXPECT_EQ(view.offset(), 64u);
  EXPECT_EQ(view.shape()->size(), 2u);
  const format::Port &ids = *program.inputs()->Get(0);
  EXPECT_TRUE(ids.has_range() && ids.optional());
  EXPECT_EQ(ids.maximum(), 9);
  EXPECT_EQ(ids.fill(), 1);
  EXPECT_NE(program.steps()->Get(2)->action_as_Copy(), nullptr);

  const format::Constant &constant = *plan.constants()->Get(0);
  EXPECT_EQ(constant.data()->size(), 3u); // a byte an element
  EXPECT_EQ(constant.data()->Get(1), 0);
}

TEST_F(WriteArtifactTest, WeightsGoThroughTheirRecipes) {
  auto weights = makeRandomSource(7);
  ASSERT_TRUE(write("a.ingot", weights.get()).ok());
  auto artifact = Artifact::open((folder / "a.ingot").string());
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  std::span<const std::byte> bytes = (*artifact)->weights(0);
  auto at = [&](size_t offset, size_t index) {
    float value;
    std::memcpy(&value, bytes.data() + offset + index * 4, 4);
    return value;
  };
  EXPECT_NEAR(at(0, 3), 2.0f, 0.5f); // about one, times two
  for (size_t row = 0; row < 4; ++row)
    for (size_t column = 0; column < 8; ++column)
      EXPECT_EQ(at(64, column * 4 + row), at(192, row * 8 + column));
}

TEST_F(WriteArtifactTest, SameBytesWhateverTheThreads) {
  auto weights = makeRandomSource(7);
  ASSERT_TRUE(write("a.ingot", weights.get(), 1).ok());
  ASSERT_TRUE(write("b.ingot", weights.get(), 4).ok());
  EXPECT_EQ(read("a.ingot"), read("b.ingot"));
}

TEST_F(WriteArtifactTest, WithoutWeights) {
  ASSERT_TRUE(write("a.ingot", nullptr).ok());
  auto artifact = Artifact::open((folder / "a.ingot").string());
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  EXPECT_FALSE((*artifact)->plan().weights_embedded());
  EXPECT_FALSE((*artifact)->has(SectionKind::Weights));
}

TEST_F(WriteArtifactTest, FailuresLeaveNothing) {
  registry = KernelRegistry();
  registry.add(std::make_unique<FakeFamily>(/*fails=*/true));
  Result<ArtifactSummary> summary = write("a.ingot", nullptr);
  ASSERT_FALSE(summary.ok());
  EXPECT_EQ(summary.status().message(), "kernel family test.fake: no code today");
  registry = KernelRegistry();
  summary = write("a.ingot", nullptr);
  ASSERT_FALSE(summary.ok());
  EXPECT_EQ(summary.status().message(), "no kernel family 'test.fake'");
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

} // namespace
