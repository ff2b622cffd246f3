//===- Globals.h - Targets, weights, constants and state ---------*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecOps.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

/// Makes the module-level ops that programs share; equal ones once.
class Globals {
public:
  Globals(mlir::ModuleOp module, llvm::StringRef targetKind, llvm::StringRef targetArch);

  mlir::FlatSymbolRefAttr getTarget() const { return target; }
  mlir::FlatSymbolRefAttr getDevice() const { return device; }

  /// The exec.weight of a transformer.weight; fails (with an error) if a source isn't in the
  /// module's table.
  mlir::FailureOr<mlir::FlatSymbolRefAttr> getWeight(transformer::WeightOp weight);
  mlir::FlatSymbolRefAttr getConstant(mlir::Location location, mlir::ElementsAttr value);
  /// The exec.state called `name`; fails (with an error) if another program gave it another type.
  mlir::FailureOr<mlir::FlatSymbolRefAttr> getState(mlir::Location location, mlir::StringAttr name,
                                                    mlir::RankedTensorType type);

  /// Puts a symbol op behind the others of its kind, under a unique name.
  void insert(mlir::Operation *op);
  mlir::SymbolTable &getSymbols() { return symbols; }

private:
  mlir::FailureOr<mlir::FlatSymbolRefAttr> getSource(mlir::Operation *user, mlir::StringAttr name);
  /// Makes a symbol op and inserts it.
  template <typename OpT, typename... Args>
  mlir::FlatSymbolRefAttr make(mlir::Location location, llvm::StringRef name, Args &&...args);

  mlir::ModuleOp module;
  mlir::SymbolTable symbols;
  mlir::FlatSymbolRefAttr target, device;
  llvm::DenseMap<mlir::Attribute, mlir::FlatSymbolRefAttr> sources, weights, constants, states;
};

} // namespace ingot
