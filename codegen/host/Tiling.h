//===- Tiling.h - Shared steps of the tilings -------------------*- C++ -*-===//
#pragma once

#include "codegen/host/Kernel.h"

#include "mlir/Dialect/SCF/Transforms/TileUsingInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace ingot::host {

/// Marks of Plan.cpp; tiled copies of an operation keep them. A contraction's mark holds the columns
/// of its register tile.
inline constexpr const char *rootMark = "ingot.root";
inline constexpr const char *contractionMark = "ingot.contraction";

/// Marks a contraction whose dynamic number of columns is at most that.
inline constexpr const char *mostColumnsMark = "ingot.most_columns";

/// Marks operations whose dynamic extents are at most `vectorWidth`.
inline constexpr const char *boundedMark = "ingot.bounded";

/// A static tile of at most this many elements becomes one (multi-register) vector.
inline constexpr int64_t registerTile = 1024;
/// Elements of the vectors that everything but the matmul tiles is cut into: two registers, so that
/// two chains of dependent operations are in flight.
inline int64_t vectorWidth(const HostTarget &target) { return 2 * target.lanes; }

/// The loop that becomes the vector: the last one of the result that is not a single step, else of an
/// input (a sum along rows). Nothing for an operation on one element.
std::optional<unsigned> vectorLoop(mlir::linalg::LinalgOp op);

struct TiledRoot {
  mlir::linalg::LinalgOp root;
  /// The root and the producers that were fused.
  mlir::SmallVector<mlir::Operation *> ops;
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

/// TileVectors.cpp: cuts what is no register tile yet into vectors.
mlir::LogicalResult tileForVectors(mlir::func::FuncOp func, const HostTarget &target);

/// TileVectors.cpp: loops of one step disappear, so that vectors get one dimension.
void dropUnitLoops(mlir::func::FuncOp func);

/// Plan.cpp: columns of one register tile for a matmul of `n` columns.
int64_t chooseColumns(int64_t n, const HostTarget &target);

/// Plan.cpp: marks a contraction with the columns of its register tile.
void markContraction(mlir::linalg::LinalgOp contraction, int64_t columns);

/// TileContraction.cpp: register tiles of the marked root and the marked contractions that it
/// follows.
mlir::LogicalResult tileContraction(mlir::RewriterBase &rewriter, mlir::func::FuncOp func,
                                    const KernelAbi &abi, int64_t columns,
                                    const HostTarget &target);

/// TileContraction.cpp: the sums of all marked contractions, one step of K at a time.
mlir::LogicalResult tileSums(mlir::RewriterBase &rewriter, mlir::func::FuncOp func);

/// TileLoops.cpp: register tiles of the contractions inside a body's own loops.
mlir::LogicalResult tileLoopContractions(mlir::RewriterBase &rewriter, mlir::func::FuncOp func,
                                         const KernelAbi &abi, const HostTarget &target);

} // namespace ingot::host
