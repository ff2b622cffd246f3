//===- Tiling.cpp - Blocks of the grid ------------------------------------===//
//
// The root's loops are cut into scf.forall blocks with all producers fused (upstream tile-and-fuse).
// Inside a block, TileContraction.cpp cuts matmuls into register tiles; rows are taken one at a time.
// TileVectors.cpp cuts everything else into vectors.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Tiling.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Patterns.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace ingot::host {

FailureOr<TiledRoot> tileRoot(RewriterBase &rewriter, linalg::LinalgOp root,
                              ArrayRef<int64_t> sizes, scf::SCFTilingOptions::LoopType loopType,
                              llvm::function_ref<bool(tensor::ExtractSliceOp, OpResult)> mayFuse,
                              ArrayRef<Attribute> mapping) {
  scf::SCFTilingOptions tiling;
  SmallVector<OpFoldResult> tileSizes;
  for (int64_t size : sizes)
    tileSizes.push_back(rewriter.getIndexAttr(size));
  tiling.setTileSizes(tileSizes).setLoopType(loopType).setMapping(mapping);
  scf::SCFTileAndFuseOptions options;
  options.setTilingOptions(tiling);
  options.setFusionControlFn(
      [&](tensor::ExtractSliceOp slice, OpResult producer,
          bool) -> std::optional<scf::SCFTileAndFuseOptions::ControlFnResult> {
        if (!isa<linalg::LinalgOp>(producer.getOwner()) || !mayFuse(slice, producer))
          return std::nullopt;
        // A producer that is a result itself is handed out of the loop.
        bool escapes = llvm::any_of(producer.getUsers(), [](Operation *user) {
          return !isa<linalg::LinalgOp, tensor::ExtractSliceOp, tensor::DimOp,
                      LoopLikeOpInterface>(user);
        });
        return scf::SCFTileAndFuseOptions::ControlFnResult{escapes};
      });
  rewriter.setInsertionPoint(root);
  FailureOr<scf::SCFTileAndFuseResult> result = scf::tileConsumerAndFuseProducersUsingSCF(
      rewriter, cast<TilingInterface>(root.getOperation()), options);
  if (failed(result))
    return failure();
  for (auto [value, replacement] : result->replacements)
    rewriter.replaceAllUsesWith(value, replacement);
  // Only the tiled copies keep the marks.
  for (Operation *producer : result->fusedProducers)
    if (producer->use_empty())
      rewriter.eraseOp(producer);
  if (root->use_empty())
    rewriter.eraseOp(root);
  return TiledRoot{cast<linalg::LinalgOp>(result->tiledAndFusedOps.front()),
                   SmallVector<Operation *>(result->tiledAndFusedOps.begin(),
                                            result->tiledAndFusedOps.end()),
                   result->loops};
}

linalg::LinalgOp findMarked(Operation *scope, StringRef mark) {
  linalg::LinalgOp found;
  scope->walk([&](linalg::LinalgOp op) {
    if (op->hasAttr(mark))
      found = op;
  });
  return found;
}

LogicalResult cleanup(func::FuncOp func, const KernelAbi &abi) {
  RewritePatternSet patterns(func.getContext());
  populateCleanup(patterns, func, abi);
  scf::populateSCFForLoopCanonicalizationPatterns(patterns);
  tensor::populateMergeConsecutiveInsertExtractSlicePatterns(patterns);
  if (failed(applyPatternsGreedily(func, std::move(patterns))))
    return func.emitError("clean-up between tilings did not converge");
  return success();
}

/// Inside a block of rows: one row at a time, so that what is made of a row is used while it is near.
static LogicalResult tileSingleRows(RewriterBase &rewriter, func::FuncOp func) {
  linalg::LinalgOp root = findMarked(func, rootMark);
  std::optional<unsigned> vector = vectorLoop(root);
  SmallVector<int64_t> sizes(root.getNumLoops(), 0);
  bool any = false;
  for (unsigned i = 0; i < root.getNumLoops(); ++i)
    if (i != vector && root.getStaticLoopRanges()[i] != 1 &&
        root.getIteratorTypesArray()[i] == utils::IteratorType::parallel)
      sizes[i] = any = 1;
  if (!any)
    return success();
  return LogicalResult(tileRoot(rewriter, root, sizes, scf::SCFTilingOptions::LoopType::ForOp,
                                [](tensor::ExtractSliceOp, OpResult) { return true; }));
}

LogicalResult tileKernel(func::FuncOp func, const KernelAbi &abi, const KernelPlan &plan,
                         const HostTarget &target) {
  IRRewriter rewriter(func.getContext());
  if (plan.strategy == "contraction" || plan.strategy == "rows") {
    linalg::LinalgOp root = findMarked(func, rootMark);
    SmallVector<Attribute> mapping;
    for (int64_t dimension : plan.mapping)
      mapping.push_back(blockMapping(func.getContext(), dimension));
    FailureOr<TiledRoot> blocks =
        tileRoot(rewriter, root, plan.tile, scf::SCFTilingOptions::LoopType::ForallOp,
                 [](tensor::ExtractSliceOp, OpResult) { return true; }, mapping);
    if (failed(blocks))
      return func.emitError("the root operation cannot be tiled");
    if (plan.band > 1)
      blocks->loops.front()->setAttr(bandMark, rewriter.getI64IntegerAttr(plan.band));
    if (failed(cleanup(func, abi)))
      return failure();
    if (plan.strategy == "contraction"
            ? failed(tileContraction(rewriter, func, abi, plan.columns, target))
            : failed(tileSingleRows(rewriter, func)))
      return func.emitError("the tiles of a block cannot be cut");
  } else if (failed(tileLoopContractions(rewriter, func, abi, target))) {
    return func.emitError("the tiles of a loop's body cannot be cut");
  }
  if (failed(cleanup(func, abi)) || failed(tileSums(rewriter, func)) || failed(cleanup(func, abi)))
    return failure();
  if (failed(tileForVectors(func, target)) || failed(cleanup(func, abi)))
    return failure();
  dropUnitLoops(func);
  if (failed(cleanup(func, abi)))
    return failure();
  // A tile that stays local needs the memory of a tile.
  RewritePatternSet patterns(func.getContext());
  tensor::populateFoldTensorEmptyPatterns(patterns);
  return applyPatternsGreedily(func, std::move(patterns));
}

} // namespace ingot::host
