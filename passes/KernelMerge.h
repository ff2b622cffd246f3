//===- KernelMerge.h - Two kernels as one -----------------------*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecOps.h"

#include "llvm/ADT/StringMap.h"

namespace ingot {

/// A kernel that does what two launches did, and what to launch it on.
struct MergedLaunch {
  exec::KernelOp kernel;
  llvm::SmallVector<mlir::Attribute> sizes;
  llvm::SmallVector<mlir::Value> ins, outs;
};

/// The ops of a kernel's body, each once: "rope, cache_append".
std::string nameBody(exec::KernelOp kernel);

/// Whether a step between two of a program writes bytes that the first one reads.
bool changesBetween(exec::LaunchOp first, exec::LaunchOp second);

/// Erases the kernels that no program launches.
void eraseUnlaunched(mlir::ModuleOp module, mlir::SymbolTable &symbols);

/// Makes kernels out of two; structurally equal ones once.
class KernelMerger {
public:
  explicit KernelMerger(mlir::SymbolTable &symbols) : symbols(symbols) {}

  /// The bodies of both launches' kernels, one behind the other, in one kernel. Operands and sizes
  /// that both have are there once. Whoever does not launch the kernel leaves it to be erased.
  /// `passed`, if any, is a buffer that `earlier` makes for `later` alone: it becomes a value in
  /// the body. Inputs of both that `earlier` updates are for `later` what they are then.
  mlir::FailureOr<MergedLaunch> merge(exec::LaunchOp earlier, exec::LaunchOp later,
                                      mlir::Value passed);
  /// Launches it in place of both, where `place` is, and returns that launch.
  exec::LaunchOp launch(const MergedLaunch &merged, exec::LaunchOp earlier, exec::LaunchOp later,
                        exec::LaunchOp place);

private:
  mlir::SymbolTable &symbols;
  /// By the kernel's text without name and locations.
  llvm::StringMap<exec::KernelOp> kernels;
};

} // namespace ingot
