//===- Pipelines.h - Which passes a phase runs -------------------*- C++ -*-===//
#pragma once

#include "compiler/Compiler.h"
#include "compiler/Target.h"
#include "mlir/Pass/PassManager.h"

#include <string>
#include <string_view>
#include <vector>

namespace ingot {

struct PipelineOptions {
  Target target;
  /// Others of its kind, for which the ingot has code as well.
  std::vector<Target> alternatives;
  /// Most bytes a device may need at run time; 0 for no limit.
  uint64_t maxMemory = 0;
  /// Packed tokens at the ports (remove-padding).
  bool packedInput = false;
  /// The request of select-attention; empty for auto.
  std::string attention;
  /// Measured choices for select-kernels, and part of the name of the GPU whose count.
  std::vector<std::string> tuning;
  std::string gpu;
  /// Most tokens of calls for which runs of launches are streams; 0 for none. `streamsAsked`: also
  /// short runs and those of few weights.
  int64_t streamTokens = 0;
  bool streamsAsked = false;
  /// Programs that measure candidates of kernels take the place of the model's.
  bool tuningPack = false;
  /// Optional passes that are left out.
  std::vector<std::string> disabledPasses;

  bool runs(std::string_view pass) const;
};

/// The passes that a compilation can do without, in pipeline order: `--disable` takes these.
const std::vector<std::string_view> &optionalPasses();

/// What `options` asks of the passes. Everything that runs phases (compile, verify) takes its
/// pipeline options from here, so that what is verified is what is compiled. A target or type that
/// is not supported is the error that compile() gives.
Result<PipelineOptions> makePipelineOptions(const CompileOptions &options);

/// Adds the passes of `phase` (fuse, unpad, lower or plan) to a pass manager on builtin.module.
void buildPipeline(Phase phase, mlir::OpPassManager &manager, const PipelineOptions &options);

} // namespace ingot
