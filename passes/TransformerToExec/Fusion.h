//===- Fusion.h - Which ops are elementwise ----------------------*- C++ -*-===//
#pragma once

#include "mlir/IR/Operation.h"

namespace ingot {

/// True if each element of the op's one result depends, as far as `operand` is concerned, on the
/// element of `operand` at the same position only, and the op can so be evaluated in the loops of
/// whatever makes that operand. Operands other than `operand` may be read in any way.
///
/// Holds for ops with the upstream elementwise traits, and for ops that decompose
/// (`AggregatedOpInterface`) into one linalg op that is parallel in all loops and reads `operand`
/// and writes its result in order, besides ops that only make sizes and empty tensors.
bool isElementwiseIn(mlir::OpOperand &operand);

} // namespace ingot
