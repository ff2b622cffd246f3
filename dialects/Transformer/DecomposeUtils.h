//===- DecomposeUtils.h - Building blocks of decompositions ------*- C++ -*-===//
//
// Decompositions are written as linalg.generic with projected-permutation maps, so that tiling,
// fusion and vectorization see nothing special. Bodies compute in f32 whatever the element type is.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Builders.h"

namespace ingot::transformer {

using BodyFn = llvm::function_ref<llvm::SmallVector<mlir::Value>(mlir::OpBuilder &, mlir::Location,
                                                                 mlir::ValueRange)>;

/// An operand of a linalg.generic and the loops that index it, one a dimension.
struct LoopOperand {
  mlir::Value value;
  llvm::SmallVector<int64_t, 5> loops;
};

/// `value` indexed by loops 0, 1, …, one an axis.
LoopOperand identity(mlir::Value value);

/// A linalg.generic of `numLoops` loops, those in `reductions` being reductions. The body gets the
/// elements of `inputs` then of `outputs` and returns an element for each output.
llvm::SmallVector<mlir::Value> createGeneric(mlir::OpBuilder &builder, mlir::Location loc,
                                             int64_t numLoops, llvm::ArrayRef<int64_t> reductions,
                                             llvm::ArrayRef<LoopOperand> inputs,
                                             llvm::ArrayRef<LoopOperand> outputs, BodyFn body);

/// A new tensor of `sizes` in every element computed by `body` from those of `inputs`.
mlir::Value createPointwise(
    mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> sizes,
    mlir::Type elementType, llvm::ArrayRef<LoopOperand> inputs,
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::ValueRange)> body);

/// Reduces the last axis of the first input, in order: `body` makes the next accumulator, beginning
/// with `init`, from an element of each input and the accumulator. The result lacks that axis and
/// is of `init`'s type.
mlir::Value createLastAxisReduction(
    mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<LoopOperand> inputs,
    mlir::TypedAttr init,
    llvm::function_ref<mlir::Value(mlir::OpBuilder &, mlir::Location, mlir::ValueRange elements,
                                   mlir::Value accumulator)>
        body);

/// A tensor of `sizes` filled with a constant.
mlir::Value createFilled(mlir::OpBuilder &builder, mlir::Location loc,
                         llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::TypedAttr value);

mlir::Value constantF32(mlir::OpBuilder &builder, mlir::Location loc, double value);
mlir::Value constantI32(mlir::OpBuilder &builder, mlir::Location loc, int64_t value);

/// Float conversions that are nothing where the type is already right.
mlir::Value toF32(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);
mlir::Value fromF32(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                    mlir::Type type);
/// A whole f32 tensor as `type`.
mlir::Value tensorFromF32(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                          mlir::Type type);

/// Dimension `dim` of `value` as an f32 scalar.
mlir::Value sizeAsF32(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value, int64_t dim);

/// The index max(0, min(i, size - 1)) of an i32 `i`.
mlir::Value clampedIndex(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value i,
                         mlir::Value size);

/// The sizes of the op's result `index`, as its reification gives them; attributes where known.
llvm::SmallVector<mlir::OpFoldResult> resultSizes(mlir::OpBuilder &builder, mlir::Operation *op,
                                                  unsigned index = 0);

/// `value` with its last axis [count * n] as two, [count, n].
mlir::Value splitLastAxis(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                          int64_t count);
/// `value` with its last two axes as one.
mlir::Value mergeLastAxes(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value);

/// The tensor type of `sizes`.
mlir::RankedTensorType tensorType(llvm::ArrayRef<mlir::OpFoldResult> sizes, mlir::Type elementType);

} // namespace ingot::transformer
