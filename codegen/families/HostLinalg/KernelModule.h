//===- KernelModule.h - exec.kernel as a kernel function --------*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecOps.h"
#include "runtime/support/Status.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

#include <memory>
#include <string>

namespace ingot::codegen {

/// `kernel` as the text of a module with one kernel function (codegen/host/HostImage.h) of the same
/// name, after `rewrite` if given. Text, because it is compiled in a context of its own, on any thread.
std::string printKernelFunction(exec::KernelOp kernel, bool mayAlias,
                                llvm::function_ref<void(mlir::func::FuncOp)> rewrite = nullptr);

/// A module in a context that has the dialects that host code generation needs. The context is
/// single-threaded.
struct KernelModule {
  KernelModule() = default;
  KernelModule(KernelModule &&) = default;
  /// The old module goes before the context that it lives in.
  KernelModule &operator=(KernelModule &&other) {
    module = std::move(other.module);
    context = std::move(other.context);
    return *this;
  }

  std::unique_ptr<mlir::MLIRContext> context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
};
Result<KernelModule> parseKernelFunction(const std::string &text);

} // namespace ingot::codegen
