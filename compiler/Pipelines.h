//===- Pipelines.h - Which passes a phase runs -------------------*- C++ -*-===//
#pragma once

#include "compiler/Phases.h"
#include "compiler/Target.h"
#include "mlir/Pass/PassManager.h"

namespace ingot {

struct PipelineOptions {
  Target target;
  /// Most bytes a device may need at run time; 0 for no limit.
  uint64_t maxMemory = 0;
};

/// Adds the passes of `phase` (fuse, lower or plan) to a pass manager on builtin.module.
void buildPipeline(Phase phase, mlir::OpPassManager &manager, const PipelineOptions &options);

} // namespace ingot
