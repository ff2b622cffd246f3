//===- Boundary.h - What must hold between two phases ------------*- C++ -*-===//
#pragma once

#include "compiler/Phases.h"
#include "mlir/IR/BuiltinOps.h"

namespace ingot {

/// Checks what `phase` has to leave behind, and the IR's own verifiers. Emits located errors.
///
///   import, fuse  programs are functions with the attribute transformer.program, at least one; their
///                 ops are of the dialects transformer, func, arith, math, tensor
///   lower         no function is left; exec programs are there; every kernel has a family and a grid
///   plan          every buffer, weight, constant and state has an offset, every device its sizes
///   codegen       as plan: code generation does not change the IR
mlir::LogicalResult verifyBoundary(mlir::ModuleOp module, Phase phase);

} // namespace ingot
