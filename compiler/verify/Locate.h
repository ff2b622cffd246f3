//===- Locate.h - The first op of a pass that drifts -------------*- C++ -*-===//
#pragma once

#include "compiler/verify/Evaluate.h"
#include "compiler/verify/Verify.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot::verify {

/// A pass that changed a program's results: the program before and after it, and the call whose
/// results differ first.
struct Suspect {
  mlir::ModuleOp before, after; // isolated
  std::string pipeline;         // Stage::pipeline
  const Case *inputs;
  size_t call;
  double budget;
};

/// A value inside a program that can be looked at: as an output of a copy of the program.
struct Probe {
  mlir::Value value; // of the program that was given, not of the copy
  std::string location;
  /// Its type, as a padded batch: values of packed tokens are unpacked to be looked at.
  mlir::RankedTensorType type;
  Output result; // of the call
};

/// Runs `program` (isolated) with its values as additional outputs, up to and with call `call` of
/// `inputs`. Values that cannot be outputs (weights, state, indices, slices, masks) are left out.
Result<std::vector<Probe>> runProbed(mlir::ModuleOp program, const Evaluator &evaluator,
                                     const Case &inputs, size_t call);

/// Whether two locations name a module in common (fused ops have several).
bool sharesLocation(mlir::Location a, mlir::Location b);

/// What locate() saw on its way.
struct Finding {
  /// Of the op after the pass; nothing if none was found.
  std::optional<mlir::Location> location;
  std::vector<Probe> before;
};

/// Fills in the op part of `failure`: the first op after the pass, on the way to the output that
/// drifts, whose result should be that of an op of the same location and type before the pass and is
/// none of them. Ops without such a counterpart (a pass may compute what nobody did before) are
/// looked through.
Status locate(const Suspect &suspect, const Evaluator &evaluator, Failure &failure,
              Finding &finding);

} // namespace ingot::verify
