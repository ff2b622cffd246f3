//===- Passes.h - The passes of this project ---------------------*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecDialect.h"
#include "dialects/Transformer/TransformerDialect.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

namespace ingot {

/// A pass's error that begins with this is about what the user asked for (exit code Unsupported);
/// any other failure of a pass is a defect of the compiler, or was diagnosed as something else.
inline constexpr llvm::StringLiteral kUnsupportedPrefix = "unsupported: ";
/// The same for what the command line asks for and cannot be meant (exit code Usage).
inline constexpr llvm::StringLiteral kUsagePrefix = "usage: ";
/// The same for what doesn't fit (exit code OutOfResources).
inline constexpr llvm::StringLiteral kOutOfResourcesPrefix = "out of memory: ";

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

} // namespace ingot
