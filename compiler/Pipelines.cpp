//===- Pipelines.cpp - Which passes a phase runs ---------------------------===//

#include "compiler/Pipelines.h"

#include "passes/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ingot {

static void buildFuse(OpPassManager &manager) {
  // Weights are pure, so cse makes a tied weight, and masks that every layer asks for, one value;
  // canonicalization goes first to make more of them equal.
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
}

static void buildLower(OpPassManager &manager, const PipelineOptions &options) {
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
  return pipeline;
}

void buildPipeline(Phase phase, OpPassManager &manager, const PipelineOptions &options) {
  switch (phase) {
  case Phase::Fuse:
    return buildFuse(manager);
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
