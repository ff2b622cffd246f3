//===- SizePropagation.h - Symbolic sizes of a program's values --*- C++ -*-===//
//
// Gives each dynamic dimension of each tensor of a program as a size over the program's symbols. These
// are the caller's, and those that the program reads from its own tensors: a dimension that an op
// reifies as min(element of an i32 tensor, bound), at least 0 (ResultDim::lastElement).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/Exec/SizeExpr.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {

/// A size that is an element of a tensor of the program.
struct ResidentSize {
  mlir::StringAttr name;
  exec::SizeAttr bound;
  mlir::Value tensor; // 1-D, i32, of static shape
  int64_t element;
};

class SizePropagation {
public:
  /// Reads the arguments' `transformer.sizes` and follows every op. Errors are emitted.
  mlir::LogicalResult run(mlir::func::FuncOp program);

  /// False for values that were made since.
  bool isKnown(mlir::Value tensor) const { return shapes.contains(tensor); }
  /// One size a dimension.
  llvm::ArrayRef<exec::SizeAttr> getShape(mlir::Value tensor) const {
    return shapes.find(tensor)->second;
  }
  exec::BufferType getBufferType(mlir::Value tensor) const;

  /// The sizes that are data, in the order in which they are met.
  llvm::ArrayRef<ResidentSize> getResidentSizes() const { return residents; }
  bool isReadForSize(mlir::Value tensor) const;

private:
  mlir::LogicalResult propagate(mlir::Operation &op);
  /// Sets the shape of `value`; checks it against the static dimensions of its type.
  mlir::LogicalResult set(mlir::Value value, llvm::ArrayRef<exec::SizeAttr> shape);
  mlir::FailureOr<llvm::SmallVector<exec::SizeAttr>>
  evaluate(llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// The size that an index value holds; null if it isn't a product of symbols.
  exec::SizeAttr evaluate(mlir::Value index);
  /// The size that is min(index_cast(element of a tensor), bound); null if `op` isn't that.
  exec::SizeAttr evaluateElement(mlir::Operation *op);
  exec::SizeAttr evaluate(mlir::AffineExpr expr, mlir::AffineMap map, mlir::ValueRange operands);

  llvm::DenseMap<mlir::Value, llvm::SmallVector<exec::SizeAttr>> shapes;
  llvm::SmallVector<ResidentSize> residents;
  llvm::DenseSet<mlir::StringAttr> names; // of the caller's symbols
};

} // namespace ingot
