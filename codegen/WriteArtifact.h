//===- WriteArtifact.h - An exec module becomes an .ingot file ---*- C++ -*-===//
//
// The last step of a compile: code of all kernels from their families, the plan (PlanBuilder.h),
// and weights through their recipes.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelRegistry.h"

#include <string>

namespace ingot {
class WeightSource;
}

namespace ingot::codegen {

struct ArtifactOptions {
  /// The file to write.
  std::string output;
  /// Where weights come from; null leaves them out, to be bound at load.
  const WeightSource *weights = nullptr;
  /// What goes to the debug section; empty for none.
  std::string debugText;
  /// How code is made. `threads` also make weights.
  EmitOptions emit;
  /// Who makes it; null for the families that are built in.
  const KernelRegistry *registry = nullptr;
};

struct ArtifactSummary {
  uint64_t kernels = 0;
  uint64_t codeBytes = 0;
  uint64_t weightBytes = 0;
  uint64_t fileBytes = 0;
};

/// Writes `module`, which has passed verify-exec. The same module, weights and options but
/// `output`, `dumpDirectory` and `threads` give the same bytes. Memory besides the weight source's
/// is bounded by some of the largest weights. On error nothing is left at `output` that was not
/// there before.
///
/// Errors: MalformedInput (a source is missing or misshapen), OutOfResources (disk full), Internal.
Result<ArtifactSummary> writeArtifact(mlir::ModuleOp module, const ArtifactOptions &options);

} // namespace ingot::codegen
