//===- Pipelines.cpp - Which passes a phase runs ---------------------------===//

#include "compiler/Pipelines.h"

#include "compiler/Suggest.h"
#include "passes/AttentionRequest.h"
#include "passes/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ingot {

const std::vector<std::string_view> &optionalPasses() {
  static const std::vector<std::string_view> passes{"fuse-attention", "remove-padding"};
  return passes;
}

bool PipelineOptions::runs(std::string_view pass) const {
  return !llvm::is_contained(disabledPasses, pass);
}

static void buildFuse(OpPassManager &manager, const PipelineOptions &options) {
  // Weights are pure, so cse makes a tied weight, and masks that every layer asks for, one value;
  // canonicalization goes first to make more of them equal.
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
  if (options.runs("fuse-attention"))
    manager.addNestedPass<func::FuncOp>(createFuseAttention());
  // Attention that wasn't fused is reported and refused here too, so this runs in any case.
  SelectAttentionOptions attention;
  attention.attention = options.attention;
  attention.targetKind = options.target.kind;
  manager.addPass(createSelectAttention(attention));
  // What fusing left of sizes and positions.
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
}

static void buildUnpad(OpPassManager &manager, const PipelineOptions &options) {
  // Behind fusion: attention as one op has a packed form, its parts have none. Before anything that
  // looks at how many rows a product has.
  if (!options.runs("remove-padding"))
    return;
  RemovePaddingOptions unpad;
  unpad.packedInput = options.packedInput;
  manager.addPass(createRemovePadding(unpad));
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
}

static void buildLower(OpPassManager &manager, const PipelineOptions &options) {
  // Before kernels are formed, so that scores are buffers between kernels.
  manager.addNestedPass<func::FuncOp>(createExpandAttention());
  ConvertTransformerToExecOptions convert;
  convert.targetKind = options.target.kind;
  convert.targetArch = options.target.arch;
  manager.addPass(createConvertTransformerToExec(convert));
  // Kernels are outlined and deduplicated by now, so each is decided on once.
  manager.addPass(createSelectKernels());
}

static void buildPlan(OpPassManager &manager, const PipelineOptions &options) {
  PlanMemoryOptions plan;
  plan.maxMemory = options.maxMemory;
  manager.addPass(createPlanMemory(plan));
  // Last: the artifact writer and the runtime rely on what it checks.
  manager.addPass(createVerifyExec());
}

Result<PipelineOptions> makePipelineOptions(const CompileOptions &options) {
  Result<Target> target = parseTarget(options.target);
  if (!target.ok())
    return target.status();
  if (Status status = checkDtype(options.dtype, *target); !status.ok())
    return status;
  PipelineOptions pipeline;
  pipeline.target = *target;
  pipeline.maxMemory = options.maxMemory;
  for (const std::string &clause : options.attention)
    pipeline.attention += (pipeline.attention.empty() ? "" : ";") + clause;
  Result<AttentionRequest> request = AttentionRequest::parse(pipeline.attention);
  if (!request.ok())
    return request.status();
  for (const std::string &pass : options.disabledPasses)
    if (!llvm::is_contained(optionalPasses(), pass))
      return Status(ExitCode::Usage, "--disable: unknown pass '" + pass + "'" +
                                         didYouMean(pass, optionalPasses()) +
                                         "; those that can be left out are " +
                                         listNames(optionalPasses()));
  pipeline.disabledPasses = options.disabledPasses;
  pipeline.packedInput = options.packedInput;
  return pipeline;
}

void buildPipeline(Phase phase, OpPassManager &manager, const PipelineOptions &options) {
  switch (phase) {
  case Phase::Fuse:
    return buildFuse(manager, options);
  case Phase::Unpad:
    return buildUnpad(manager, options);
  case Phase::Lower:
    return buildLower(manager, options);
  case Phase::Plan:
    return buildPlan(manager, options);
  case Phase::Import:
  case Phase::Codegen:
    return;
  }
}

} // namespace ingot
