//===- Producers.h - Kernels that make what they read -----------*- C++ -*-===//
#pragma once

#include "codegen/KernelFamily.h"
#include "dialects/Exec/ExecOps.h"

namespace ingot {

/// Asks the kernel families what may begin with what makes its operands
/// (`KernelFamily::takesProducers`), for all architectures that there is to be code for.
class Producers {
public:
  Producers(mlir::SymbolTable &symbols, llvm::ArrayRef<std::string> alternatives)
      : symbols(symbols), alternatives(alternatives) {}

  /// Whether families that may would take `kernel`.
  bool takes(exec::KernelOp kernel);
  /// Why a family that would take `kernel` does not take `merged` in its place; empty if all do.
  std::string whyNotTaken(exec::KernelOp kernel, exec::KernelOp merged);

private:
  /// The families that would take `kernel`, with the target of each.
  llvm::SmallVector<std::pair<const codegen::KernelFamily *, codegen::TargetInfo>>
  find(exec::KernelOp kernel);

  mlir::SymbolTable &symbols;
  llvm::ArrayRef<std::string> alternatives;
};

/// Whether a step between two of a program writes bytes that the first one reads.
bool changesBetween(exec::LaunchOp first, exec::LaunchOp second);

} // namespace ingot
