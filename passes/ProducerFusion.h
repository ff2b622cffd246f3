//===- ProducerFusion.h - Kernels that make what they read ------*- C++ -*-===//
#pragma once

#include "codegen/KernelFamily.h"
#include "passes/KernelMerge.h"

namespace ingot {

/// Makes launches parts of those that read what they make, where the kernel families have a form
/// for that (`KernelFamily::takesProducers`) on all architectures that there is to be code for.
class ProducerFusion {
public:
  ProducerFusion(mlir::ModuleOp module, llvm::ArrayRef<std::string> alternatives)
      : module(module), symbols(module), merger(symbols),
        alternatives(alternatives.begin(), alternatives.end()) {}
  ProducerFusion(const ProducerFusion &) = delete;
  /// Erases the kernels that no program launches any more.
  ~ProducerFusion() { eraseUnlaunched(module, symbols); }

  const mlir::SymbolTable &getSymbols() const { return symbols; }
  exec::KernelOp getKernel(exec::LaunchOp launch) const {
    return symbols.lookup<exec::KernelOp>(launch.getKernel());
  }
  /// The launches whose kernels are such, in program order.
  llvm::SmallVector<exec::LaunchOp>
  collect(llvm::function_ref<bool(exec::LaunchOp, exec::KernelOp)> isSuch);

  /// Whether `reader` has a kernel of families that may begin with what makes its operands.
  bool takes(exec::LaunchOp reader);
  /// Launches both as one in the place of `reader`. `passed` is the buffer that `producer` makes
  /// for `reader` alone, if any. Otherwise changes nothing and returns why, to stand behind
  /// "because".
  std::string fuse(exec::LaunchOp producer, exec::LaunchOp reader, mlir::Value passed);

private:
  /// The families that would take `kernel`, with the target of each.
  llvm::SmallVector<std::pair<const codegen::KernelFamily *, codegen::TargetInfo>>
  findFamilies(exec::KernelOp kernel);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  KernelMerger merger;
  llvm::SmallVector<std::string> alternatives;
};

} // namespace ingot
