//===- Cut.h - A part of a program as a program ------------------*- C++ -*-===//
#pragma once

#include "compiler/verify/Locate.h"

#include "llvm/ADT/DenseSet.h"

namespace ingot::verify {

/// A program of its own, with inputs for its one call.
struct Cut {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  Case inputs;
};

/// The ops of `ops` in `program` (isolated), and what they need that is no floating-point tensor, as a
/// program: it takes the ports it uses and the floating-point tensors that come from outside, whose
/// values are those of `probes`, and gives the floating-point tensors that are used outside. Nothing
/// where that is not possible: a tensor from outside has not been looked at, or has a dimension that
/// is not one of the program's sizes; or earlier calls have left state that the ops read.
std::optional<Cut> cutProgram(mlir::ModuleOp program,
                              const llvm::DenseSet<mlir::Operation *> &ops,
                              const std::vector<Probe> &probes, const Case &inputs, size_t call);

} // namespace ingot::verify
