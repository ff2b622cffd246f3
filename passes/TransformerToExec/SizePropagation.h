//===- SizePropagation.h - Symbolic sizes of a program's values --*- C++ -*-===//
//
// Gives each dynamic dimension of each tensor of a program as a size over the program's symbols.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/Exec/SizeExpr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

class SizePropagation {
public:
  /// Reads the arguments' `transformer.sizes` and follows every op. Errors are emitted.
  mlir::LogicalResult run(mlir::func::FuncOp program);

  /// One size a dimension.
  llvm::ArrayRef<exec::SizeAttr> getShape(mlir::Value tensor) const {
    return shapes.find(tensor)->second;
  }
  exec::BufferType getBufferType(mlir::Value tensor) const;

private:
  mlir::LogicalResult propagate(mlir::Operation &op);
  /// Sets the shape of `value`; checks it against the static dimensions of its type.
  mlir::LogicalResult set(mlir::Value value, llvm::ArrayRef<exec::SizeAttr> shape);
  mlir::FailureOr<llvm::SmallVector<exec::SizeAttr>>
  evaluate(llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// The size that an index value holds; null if it isn't a product of symbols.
  exec::SizeAttr evaluate(mlir::Value index);
  exec::SizeAttr evaluate(mlir::AffineExpr expr, mlir::AffineMap map, mlir::ValueRange operands);

  llvm::DenseMap<mlir::Value, llvm::SmallVector<exec::SizeAttr>> shapes;
};

} // namespace ingot
