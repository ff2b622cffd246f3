//===- Reproducer.h - A drifting pass, cut down to run alone -----*- C++ -*-===//
//
// A reproducer is a folder:
//
//   README.md          what drifts, and the commands
//   before.mlir        the pass's input, cut down to a part of the program where it still drifts
//   after.mlir         what the pass makes of it
//   reproducer.json    pass, budget, weights, calls
//   weights.safetensors  the weights the part uses (absent with random ones)
//   call0.NAME.npy …   the inputs of each call; call0.valid.npy says which tokens count
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/verify/Locate.h"

namespace ingot::verify {

/// Writes the reproducer of `suspect` to the folder `options.reproducer`, which is made if missing,
/// and fills in that part of `failure`, whose op part is known. `weights` is what the evaluator has.
Status writeReproducer(const Suspect &suspect, const Finding &finding, const Evaluator &evaluator,
                       const std::string &weights, const VerifyOptions &options, Failure &failure);

/// Runs `pipeline` ("builtin.module(...)") over a clone of `module`.
Result<mlir::OwningOpRef<mlir::ModuleOp>> applyPipeline(mlir::ModuleOp module,
                                                        const std::string &pipeline,
                                                        DiagnosticCollector &diagnostics);

} // namespace ingot::verify
