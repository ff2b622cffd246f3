//===- UnpackInPlace.h - Tokens to their places, over themselves -*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <optional>

namespace ingot::codegen {

/// The input that a kernel which does nothing but `transformer.unpack` unpacks, if its result may
/// be written over it; nothing for all other kernels.
std::optional<int64_t> getUnpackedInput(exec::KernelOp kernel);

/// Replaces the `transformer.unpack` of such a kernel's function by loops that may write over what
/// they read: each token goes to its place before the bytes of that place are needed for another
/// one. The result has at most `mostBytes` bytes.
void makeUnpackInPlace(mlir::func::FuncOp func, std::optional<int64_t> mostBytes);

} // namespace ingot::codegen
