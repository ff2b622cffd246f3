//===- Decompose.h - Transformer ops to linalg -------------------*- C++ -*-===//
//
// The decomposition of an op is its meaning; see README.md.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/Operation.h"

namespace ingot::transformer {

/// Replaces every transformer op nested in `root` that has a decomposition (all but
/// `transformer.weight`) by it: linalg, tensor, arith, math and scf on tensors. Emits an error at
/// the op and fails if a decomposition fails.
mlir::LogicalResult decomposeTransformerOps(mlir::Operation *root);

/// Registers `--decompose-transformer`, which runs it on any operation.
void registerDecomposeTransformerPass();

} // namespace ingot::transformer
