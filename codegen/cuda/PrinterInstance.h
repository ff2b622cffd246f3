//===- PrinterInstance.h - What the files of the printer share ---*- C++ -*-===//
#pragma once

#include "codegen/cuda/Printer.h"

namespace ingot::cuda {

/// A linalg.generic at one point of its loops.
struct Printer::Instance {
  mlir::linalg::GenericOp op;
  std::vector<Index> loops; // a text is empty until the loop is bound
  llvm::SmallVector<unsigned> reductionLoops;
  std::vector<std::string> reductionExtents;
  llvm::DenseMap<mlir::Value, Scalar> values;
};

struct PrinterLiterals {
  /// A constant of `type`, exact.
  static std::string print(mlir::Attribute value, mlir::Type type);
  /// "Sum" of arith.addf, …; empty if `op` isn't associative.
  static std::string combinerName(mlir::Operation *op);
  /// What changes nothing when combined.
  static std::string neutral(mlir::Operation *combiner, mlir::Type type);
};

struct PrinterIndices {
  /// base + index; stays contiguous in the lanes if `index` is and `base` is known outside of them.
  static Index add(Printer &printer, const Scalar &base, const Index &index);
};

} // namespace ingot::cuda
