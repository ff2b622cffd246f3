//===- ExecOps.h - The ops of the exec dialect -------------------*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecDialect.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/RegionKindInterface.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#define GET_OP_CLASSES
#include "dialects/Exec/ExecOps.h.inc"

namespace ingot::exec {

/// Alignment of every buffer, weight, constant and state within its space, in bytes.
inline constexpr int64_t kBufferAlignment = 64;

/// The op that makes the bytes of `buffer`: looks through views.
mlir::Operation *getBufferRoot(mlir::Value buffer);

/// The device that `buffer` lives on, or null if the symbol of an `exec.get` doesn't resolve.
mlir::FlatSymbolRefAttr getBufferDevice(mlir::Value buffer,
                                        mlir::SymbolTableCollection &symbolTables);

} // namespace ingot::exec
