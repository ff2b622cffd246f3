//===- Activations.h - Formulas of the activation functions ------*- C++ -*-===//
#pragma once

#include "dialects/Transformer/TransformerOps.h"

namespace ingot::transformer {

/// kind(x) of an f32 scalar, as the table of `transformer.activation` has it.
mlir::Value createActivation(mlir::OpBuilder &builder, mlir::Location loc, ActivationKind kind,
                             mlir::Value x);

} // namespace ingot::transformer
