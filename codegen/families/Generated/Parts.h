//===- Parts.h - What of a kernel is independent of the rest ----*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecOps.h"

#include "mlir/IR/OwningOpRef.h"

namespace ingot::codegen {

/// Some outputs of a kernel and all that they are computed from, as a kernel.
struct KernelPart {
  mlir::OwningOpRef<exec::KernelOp> kernel;
  /// For each buffer of the part, which of the whole kernel's it is.
  llvm::SmallVector<unsigned> buffers;
};

/// The kernel as parts that compute nothing in common, in the order of their first outputs. Sizes
/// and columns of inputs are no computation: every part has its own.
std::vector<KernelPart> splitParts(exec::KernelOp kernel);

} // namespace ingot::codegen
