//===- F64Math.h - f64 functions in plain arithmetic -------------*- C++ -*-===//
//
// Sine, cosine, exponential and logarithm of f64 scalars, emitted as arith ops alone: no call of a
// math library, the same bits on every machine, and vectorizable. They serve tables whose f32
// results must be right (rotary positions); their own error is a few 1e-16.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/Builders.h"

#include <utility>

namespace ingot::transformer {

/// (cos, sin) of an f64 `angle` with |angle| < 2^31.
std::pair<mlir::Value, mlir::Value> emitCosSin(mlir::OpBuilder &builder, mlir::Location loc,
                                               mlir::Value angle);

/// e^x of an f64 `x` with |x| < 700.
mlir::Value emitExp(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x);

/// ln x of a positive normal f64 `x`.
mlir::Value emitLog(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x);

} // namespace ingot::transformer
