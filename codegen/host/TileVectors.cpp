//===- TileVectors.cpp - One vector at a time -----------------------------===//
//
// Cuts every linalg operation that is not a register-tiled matmul so that it computes one vector:
// one loop becomes the vector (the last dimension of the result, or of the input where the result is
// a sum along it), all other loops go step by step. A whole number of vectors needs no mask; the rest
// of a row is one masked vector (a shorter one where its length is known).
//
// A sum along the vector loop keeps one partial sum a lane, merged at the end of the
// row; the order of additions depends on the position in the row alone, not on the row's length or
// the grid, so that padding at the end of a row (zeros, or the lowest number for a maximum) changes
// nothing.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Tiling.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"

using namespace mlir;

namespace ingot::host {

namespace {

constexpr auto forLoop = scf::SCFTilingOptions::LoopType::ForOp;

bool isReduction(linalg::LinalgOp op, unsigned loop) {
  return op.getIteratorTypesArray()[loop] == utils::IteratorType::reduction;
}

/// Tiles the vector loop of a sum: partial sums, one a lane.
LogicalResult tilePartialSums(RewriterBase &rewriter, linalg::LinalgOp op, unsigned loop,
                              int64_t width) {
  scf::SCFTilingOptions options;
  SmallVector<OpFoldResult> sizes(op.getNumLoops(), rewriter.getIndexAttr(0));
  sizes[loop] = rewriter.getIndexAttr(width);
  options.setTileSizes(sizes)
      .setLoopType(forLoop)
      .setReductionTilingStrategy(ReductionTilingStrategy::PartialReductionOuterReduction)
      .setReductionDims({loop});
  rewriter.setInsertionPoint(op);
  FailureOr<scf::SCFTilingResult> result =
      scf::tileUsingSCF(rewriter, cast<TilingInterface>(op.getOperation()), options);
  if (failed(result))
    return failure();
  rewriter.replaceOp(op, result->replacements);
  for (Operation *tiled : result->tiledOps)
    tiled->setAttr(boundedMark, rewriter.getUnitAttr());
  if (!result->loops.empty()) {
    scf::ForOp rest;
    (void)scf::peelForLoopAndSimplifyBounds(
        rewriter, cast<scf::ForOp>(result->loops.front().getOperation()), rest);
  }
  return success();
}

/// The loop along which the only input of a transposing copy lies in memory; nothing for others.
std::optional<unsigned> transposedLoop(linalg::LinalgOp op) {
  if (op.getNumLoops() < 2 || op.getNumLoops() != op.getNumParallelLoops() ||
      op.getNumDpsInputs() != 1 || !op.getRegionInputArgs().front().hasOneUse() ||
      !llvm::hasSingleElement(op.getBlock()->getOperations()))
    return std::nullopt;
  AffineMap map = op.getMatchingIndexingMap(op.getDpsInputOperand(0));
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (map.getNumResults() == 0 || !map.isProjectedPermutation() || !out.isIdentity())
    return std::nullopt;
  unsigned loop = cast<AffineDimExpr>(map.getResults().back()).getPosition();
  return loop + 1 == op.getNumLoops() ? std::nullopt : std::optional(loop);
}

/// Cuts a transposing copy into squares, which are transposed in registers.
LogicalResult tileTranspose(RewriterBase &rewriter, linalg::LinalgOp op, unsigned loop,
                            const HostTarget &target) {
  SmallVector<int64_t> sizes(op.getNumLoops(), 1);
  sizes[loop] = sizes.back() = target.lanes;
  FailureOr<TiledRoot> tiled = tileRoot(rewriter, op, sizes, forLoop,
                                        [](tensor::ExtractSliceOp, OpResult) { return false; });
  if (failed(tiled))
    return failure();
  for (LoopLikeOpInterface level : llvm::reverse(tiled->loops)) {
    scf::ForOp rest;
    (void)scf::peelForLoopAndSimplifyBounds(rewriter, cast<scf::ForOp>(level.getOperation()), rest);
  }
  return success();
}

LogicalResult tileOne(RewriterBase &rewriter, linalg::LinalgOp op, const HostTarget &target) {
  if (std::optional<unsigned> loop = transposedLoop(op))
    return tileTranspose(rewriter, op, *loop, target);
  std::optional<unsigned> loop = vectorLoop(op);
  if (!loop)
    return success();
  SmallVector<int64_t, 4> ranges = op.getStaticLoopRanges();
  auto noFusion = [](tensor::ExtractSliceOp, OpResult) { return false; };
  // All other loops step by step.
  SmallVector<int64_t> steps(op.getNumLoops(), 0);
  bool any = false;
  for (unsigned i = 0; i < op.getNumLoops(); ++i)
    if (i != *loop && ranges[i] != 1)
      steps[i] = any = 1;
  if (any) {
    FailureOr<TiledRoot> tiled = tileRoot(rewriter, op, steps, forLoop, noFusion);
    if (failed(tiled))
      return failure();
    op = tiled->root;
  }
  bool reduces = isReduction(op, *loop);
  int64_t width = vectorWidth(target);
  if (!ShapedType::isDynamic(ranges[*loop]) && ranges[*loop] <= width)
    return success();
  if (reduces)
    return tilePartialSums(rewriter, op, *loop, width);
  SmallVector<int64_t> sizes(op.getNumLoops(), 0);
  sizes[*loop] = width;
  FailureOr<TiledRoot> tiled = tileRoot(rewriter, op, sizes, forLoop, noFusion);
  if (failed(tiled))
    return failure();
  tiled->root->setAttr(boundedMark, rewriter.getUnitAttr());
  if (!tiled->loops.empty()) {
    scf::ForOp rest;
    (void)scf::peelForLoopAndSimplifyBounds(
        rewriter, cast<scf::ForOp>(tiled->loops.front().getOperation()), rest);
  }
  return success();
}

/// Operations that are register tiles already.
bool isTile(linalg::LinalgOp op) {
  if (op->hasAttr(contractionMark))
    return true;
  int64_t elements = 1;
  for (int64_t range : op.getStaticLoopRanges()) {
    if (ShapedType::isDynamic(range))
      return false;
    elements *= range;
  }
  return elements <= registerTile && op->getParentOfType<scf::ForOp>();
}

} // namespace

std::optional<unsigned> vectorLoop(linalg::LinalgOp op) {
  SmallVector<int64_t, 4> ranges = op.getStaticLoopRanges();
  auto lastLoop = [&](AffineMap map) -> std::optional<unsigned> {
    for (AffineExpr expr : llvm::reverse(map.getResults()))
      if (auto dim = dyn_cast<AffineDimExpr>(expr))
        if (ranges[dim.getPosition()] != 1)
          return dim.getPosition();
    return std::nullopt;
  };
  for (Value result : op->getResults())
    if (auto loop = lastLoop(op.getIndexingMapMatchingResult(cast<OpResult>(result))))
      return loop;
  for (OpOperand *input : op.getDpsInputOperands())
    if (auto loop = lastLoop(op.getMatchingIndexingMap(input)))
      return loop;
  return std::nullopt;
}

LogicalResult tileForVectors(func::FuncOp func, const HostTarget &target) {
  IRRewriter rewriter(func.getContext());
  SmallVector<linalg::LinalgOp> ops;
  func.walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    if (!isa<TilingInterface>(op.getOperation()) || isTile(op))
      continue;
    // What cannot be cut stays whole and becomes a scalar loop nest.
    (void)tileOne(rewriter, op, target);
  }
  return success();
}

void dropUnitLoops(func::FuncOp func) {
  IRRewriter rewriter(func.getContext());
  SmallVector<linalg::LinalgOp> fills;
  func.walk([&](linalg::FillOp op) { fills.push_back(op); });
  for (linalg::LinalgOp op : fills) {
    SmallVector<NamedAttribute> marks(op->getDiscardableAttrs());
    rewriter.setInsertionPoint(op);
    FailureOr<linalg::GenericOp> generic = linalg::generalizeNamedOp(rewriter, op);
    if (succeeded(generic))
      for (NamedAttribute mark : marks)
        (*generic)->setAttr(mark.getName(), mark.getValue());
  }
  linalg::ControlDropUnitDims control;
  control.rankReductionStrategy =
      linalg::ControlDropUnitDims::RankReductionStrategy::ExtractInsertSlice;
  control.controlFn = [](Operation *op) -> SmallVector<unsigned> {
    auto linalgOp = cast<linalg::LinalgOp>(op);
    // A matmul tile keeps its shape of rows, columns and one step of the sum.
    if (op->hasAttr(contractionMark))
      return contractionLoops(linalgOp).outer;
    return llvm::to_vector(llvm::seq<unsigned>(0, linalgOp.getNumLoops()));
  };
  SmallVector<linalg::GenericOp> ops;
  func.walk([&](linalg::GenericOp op) { ops.push_back(op); });
  for (linalg::GenericOp op : ops) {
    SmallVector<NamedAttribute> marks(op->getDiscardableAttrs());
    rewriter.setInsertionPoint(op);
    FailureOr<linalg::DropUnitDimsResult> result = linalg::dropUnitDims(rewriter, op, control);
    if (failed(result))
      continue;
    for (NamedAttribute mark : marks)
      result->resultOp->setAttr(mark.getName(), mark.getValue());
    rewriter.replaceOp(op, result->replacements);
  }
}

} // namespace ingot::host
