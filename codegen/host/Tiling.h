//===- Tiling.h - Shared steps of the tilings -------------------*- C++ -*-===//
#pragma once

#include "codegen/host/Kernel.h"

#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace ingot::host {

/// Marks of Plan.cpp; tiled copies of an operation keep them.
inline constexpr const char *rootMark = "ingot.root";
inline constexpr const char *contractionMark = "ingot.contraction";

struct TiledRoot {
  mlir::linalg::LinalgOp root;
  mlir::SmallVector<mlir::LoopLikeOpInterface> loops;
};

/// Tiles `root` by `sizes` (0: whole) and fuses the linalg producers that `mayFuse` allows.
mlir::FailureOr<TiledRoot>
tileRoot(mlir::RewriterBase &rewriter, mlir::linalg::LinalgOp root,
         mlir::ArrayRef<int64_t> sizes, mlir::scf::SCFTilingOptions::LoopType loopType,
         llvm::function_ref<bool(mlir::tensor::ExtractSliceOp, mlir::OpResult)> mayFuse,
         mlir::ArrayRef<mlir::Attribute> mapping = {});

/// The last linalg operation inside `scope` that carries `mark`.
mlir::linalg::LinalgOp findMarked(mlir::Operation *scope, llvm::StringRef mark);

/// Folds extents, slices and casts, so that known tile sizes become static types.
mlir::LogicalResult cleanup(mlir::func::FuncOp func, const KernelAbi &abi);

/// TileContraction.cpp: register tiles inside the blocks.
mlir::LogicalResult tileContraction(mlir::RewriterBase &rewriter, mlir::func::FuncOp func,
                                    const KernelPlan &plan, const HostTarget &target);

} // namespace ingot::host
