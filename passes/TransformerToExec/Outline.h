//===- Outline.h - Kernels out of groups of ops ------------------*- C++ -*-===//
#pragma once

#include "passes/TransformerToExec/Globals.h"
#include "passes/TransformerToExec/KernelFormation.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

namespace ingot {

/// A group's kernel and what to launch it on.
struct OutlinedKernel {
  exec::KernelOp kernel;
  /// The program's symbols that are the kernel's size parameters, in order.
  llvm::SmallVector<mlir::StringAttr> sizes;
  llvm::SmallVector<mlir::Value> inputs;
  /// The values that the kernel gives, one an output.
  llvm::SmallVector<mlir::Value> outputs;
};

/// Makes kernels; structurally equal groups get one.
class Outliner {
public:
  explicit Outliner(Globals &globals) : globals(globals) {}

  /// `symbols` are the program's, with their bounds.
  mlir::FailureOr<OutlinedKernel> outline(const KernelGroup &group,
                                          const KernelFormation &formation,
                                          const SizePropagation &sizes, const StateValues &states,
                                          llvm::ArrayRef<exec::SymbolAttr> symbols);

private:
  Globals &globals;
  /// By the kernel's text without name and locations.
  llvm::StringMap<exec::KernelOp> kernels;
};

} // namespace ingot
