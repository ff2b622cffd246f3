//===- Stages.h - What every pass leaves of every program --------*- C++ -*-===//
#pragma once

#include <string>
#include <vector>

#include "compiler/Diagnostics.h"
#include "compiler/Pipelines.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace ingot::verify {

/// A program as the importer or a pass left it.
struct Stage {
  Phase phase = Phase::Import;
  /// "fuse-attention"; empty for import.
  std::string pass;
  /// The pass with its options, to be run again: "builtin.module(func.func(canonicalize{...}))".
  std::string pipeline;
  /// The module with this program alone, without defaults for a generation loop.
  mlir::OwningOpRef<mlir::ModuleOp> module;
  /// The text differs from that of the stage before.
  bool changed = false;
};

struct ProgramStages {
  std::string program;
  /// The importer's first, then one a pass, in the order in which they ran over this program.
  std::vector<Stage> stages;
};

/// A module with `program` alone.
mlir::OwningOpRef<mlir::ModuleOp> isolate(mlir::func::FuncOp program);

/// The only program of an isolated module.
mlir::func::FuncOp programOf(mlir::ModuleOp module);

using PassOptionList = std::vector<std::pair<std::string, std::string>>;

/// Runs all phases between import and lower over `module` as compile() does, and keeps the programs
/// after every pass. `passOptions` (pass, "option=value ...") are set on top of what the pipeline
/// sets; a pass that is not there or does not take them is a Usage error.
Result<std::vector<ProgramStages>> recordStages(mlir::ModuleOp module,
                                                const PipelineOptions &pipeline,
                                                const PassOptionList &passOptions,
                                                DiagnosticCollector &diagnostics);

} // namespace ingot::verify
