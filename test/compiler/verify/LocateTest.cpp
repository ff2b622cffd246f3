//===- LocateTest.cpp - A pass that breaks one layer is found -------------===//
#include "compiler/verify/Locate.h"
#include "compiler/verify/Reproducer.h"

#include "compiler/import/Import.h"
#include "compiler/verify/Compare.h"
#include "compiler/verify/Inputs.h"
#include "compiler/verify/Stages.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassRegistry.h"

#include <gtest/gtest.h>

#include <filesystem>

using namespace mlir;

namespace ingot::verify {
namespace {

/// Drops the scale of the attention scores of layer 1, or puts a NaN in its place.
struct BreakScale : PassWrapper<BreakScale, OperationPass<func::FuncOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(BreakScale)
  StringRef getArgument() const override { return "test-break-scale"; }
  StringRef getDescription() const override { return "drops the scale of layer 1"; }

  void runOnOperation() override {
    SmallVector<arith::MulFOp> scales;
    getOperation().walk([&](arith::MulFOp op) {
      if (op.getLhs().getDefiningOp<transformer::MatmulOp>() &&
          describeLocation(op.getLoc()) == "model.layers.1.self_attn")
        scales.push_back(op);
    });
    for (arith::MulFOp op : scales) {
      op.getResult().replaceAllUsesWith(op.getLhs());
      op.erase();
    }
  }
};

class Locate : public ::testing::Test {
protected:
  void SetUp() override {
    static const bool registered = (PassRegistration<BreakScale>(), true);
    ASSERT_TRUE(registered);
    model = std::string(INGOT_TEST_SOURCE_DIR) + "/golden/cases/llama-default/model";
    import::ImportOptions options;
    options.model = model;
    options.maxBatch = 3;
    options.maxContext = 32;
    options.maxTokens = 96;
    auto read = import::importModel(context, options);
    ASSERT_TRUE(read.ok()) << read.status().message();
    imported = std::move(read->module);
    CompileOptions compile;
    auto made = makePipelineOptions(compile);
    ASSERT_TRUE(made.ok());
    pipeline = *made;
  }

  MLIRContext context;
  DiagnosticCollector diagnostics{context};
  OwningOpRef<ModuleOp> imported;
  PipelineOptions pipeline;
  std::string model;
};

TEST_F(Locate, NamesTheOpAndWritesAReproducer) {
  for (const char *program : {"forward", "step"}) {
    SCOPED_TRACE(program);
    auto function = imported->lookupSymbol<func::FuncOp>(program);
    OwningOpRef<ModuleOp> before = isolate(function);
    std::string text = "builtin.module(func.func(test-break-scale))";
    auto after = applyPipeline(*before, text, diagnostics);
    ASSERT_TRUE(after.ok()) << after.status().message();
    auto cases = makeCases(*imported, function, 0);
    ASSERT_TRUE(cases.ok());
    auto evaluator = Evaluator::create(pipeline, model, diagnostics);
    ASSERT_TRUE(evaluator.ok());

    Suspect suspect{*before, **after, text, &(*cases)[0], 0, 1e-5};
    Failure failure;
    failure.program = program;
    failure.pass = "test-break-scale";
    failure.output = "logits";
    Finding finding;
    Status status = locate(suspect, *evaluator, failure, finding);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(failure.location, "model.layers.1.self_attn");
    EXPECT_EQ(failure.op, "transformer.apply_mask");
    EXPECT_EQ(failure.opBefore, "transformer.apply_mask");
    EXPECT_GT(failure.opError, 1e-3);

    VerifyOptions options;
    options.reproducer =
        (std::filesystem::path(INGOT_TEST_BINARY_DIR) / "reproducer" / program).string();
    std::filesystem::remove_all(options.reproducer);
    status = writeReproducer(suspect, finding, *evaluator, model, options, failure);
    ASSERT_TRUE(status.ok()) << status.message();
    for (const char *file : {"README.md", "before.mlir", "after.mlir", "reproducer.json",
                             "weights.safetensors", "call0.valid.npy"})
      EXPECT_TRUE(std::filesystem::exists(options.reproducer + "/" + file)) << file;
    // Cut down to the attention of that layer: it has no token embedding.
    if (program == std::string_view("forward"))
      EXPECT_FALSE(std::filesystem::exists(options.reproducer + "/call0.input_ids.npy"));

    VerifyReport report;
    status = rerunReproducer(options.reproducer, report);
    EXPECT_EQ(int(status.code()), int(ExitCode::AccuracyMismatch)) << status.message();
    ASSERT_TRUE(report.failure);
    EXPECT_EQ(report.failure->pass, "test-break-scale");
  }
}

TEST_F(Locate, NothingDriftsWherePassesAreRight) {
  OwningOpRef<ModuleOp> before = isolate(imported->lookupSymbol<func::FuncOp>("forward"));
  auto after = applyPipeline(*before, "builtin.module(func.func(canonicalize,cse))", diagnostics);
  ASSERT_TRUE(after.ok()) << after.status().message();
  auto cases = makeCases(*imported, imported->lookupSymbol<func::FuncOp>("forward"), 0);
  ASSERT_TRUE(cases.ok());
  auto evaluator = Evaluator::create(pipeline, model, diagnostics);
  ASSERT_TRUE(evaluator.ok());
  Suspect suspect{*before, **after, "", &(*cases)[0], 0, 1e-5};
  Failure failure;
  failure.output = "logits";
  Finding finding;
  Status status = locate(suspect, *evaluator, failure, finding);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(failure.op, "");
  EXPECT_NE(failure.note, "");
}

TEST_F(Locate, BadPipelineIsAnError) {
  OwningOpRef<ModuleOp> before = isolate(imported->lookupSymbol<func::FuncOp>("forward"));
  for (const char *text : {"", "builtin.module(no-such-pass)", "func.func(cse)", "builtin.module("})
    EXPECT_FALSE(applyPipeline(*before, text, diagnostics).ok()) << text;
}

} // namespace
} // namespace ingot::verify
