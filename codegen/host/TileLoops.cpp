//===- TileLoops.cpp - Contractions inside a body's own loops -------------===//
//
// A body that says its loops itself (attention: rows, heads and blocks of queries, then blocks of
// keys) has its matmuls inside them. A loop over blocks runs over whole ones, what is left over is
// one ragged pass behind it; so the matmul of a whole block has a static shape. Each matmul is cut
// into register tiles by itself, with what follows it element by element.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Tiling.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/Interfaces/ValueBoundsOpInterface.h"

using namespace mlir;

namespace ingot::host {

namespace {

bool isTileable(linalg::LinalgOp op) {
  return linalg::isaContractionOpInterface(op) && !op->hasAttr(contractionMark) &&
         contractionLoops(op).valid;
}

/// Marks a contraction of a dynamic number of columns with what bounds it, which peeling loses.
void markMostColumns(linalg::LinalgOp op) {
  unsigned column = contractionLoops(op).column;
  if (!ShapedType::isDynamic(op.getStaticLoopRanges()[column]))
    return;
  FailureOr<int64_t> most = ValueBoundsConstraintSet::computeConstantBound(
      presburger::BoundType::UB,
      {op.getDpsInits()[0],
       static_cast<int64_t>(op.getMatchingIndexingMap(op.getDpsInitOperand(0)).getNumResults()) -
           1},
      /*stopCondition=*/nullptr, /*closedUB=*/true);
  if (succeeded(most))
    op->setAttr(mostColumnsMark, Builder(op->getContext()).getI64IntegerAttr(*most));
}

/// Whole blocks first, the rest behind them.
void peelBlockLoops(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<scf::ForOp> loops;
  func.walk([&](scf::ForOp loop) {
    std::optional<int64_t> step = getConstantIntValue(loop.getStep());
    if (step && *step > 1 && llvm::any_of(loop.getBody()->getOps<linalg::LinalgOp>(), isTileable))
      loops.push_back(loop);
  });
  for (scf::ForOp loop : loops) {
    for (auto op : loop.getBody()->getOps<linalg::LinalgOp>())
      if (isTileable(op))
        markMostColumns(op);
    scf::ForOp rest;
    (void)scf::peelForLoopAndSimplifyBounds(rewriter, loop, rest);
  }
}

/// What follows `contraction` alone, element by element, in the same block; else itself.
linalg::LinalgOp rootOf(linalg::LinalgOp contraction) {
  linalg::LinalgOp root = contraction;
  AffineMap result = contraction.getIndexingMapMatchingResult(contraction->getResult(0));
  while (root->hasOneUse()) {
    OpOperand &use = *root->use_begin();
    auto next = dyn_cast<linalg::GenericOp>(use.getOwner());
    if (!next || next->getBlock() != root->getBlock() || !next.isDpsInput(&use) ||
        next.getNumLoops() != next.getNumParallelLoops() || next->getNumResults() != 1 ||
        next.getNumLoops() != result.getNumResults() ||
        !next.getMatchingIndexingMap(&use).isIdentity() ||
        !next.getIndexingMapMatchingResult(next->getResult(0)).isIdentity())
      break;
    root = next;
  }
  return root;
}

} // namespace

LogicalResult tileLoopContractions(RewriterBase &rewriter, func::FuncOp func, const KernelAbi &abi,
                                   const HostTarget &target) {
  peelBlockLoops(rewriter, func);
  if (failed(cleanup(func, abi)))
    return failure();
  for (;;) {
    linalg::LinalgOp contraction;
    func.walk([&](linalg::LinalgOp op) {
      if (!isTileable(op))
        return WalkResult::advance();
      contraction = op;
      return WalkResult::interrupt();
    });
    if (!contraction)
      return success();
    ContractionLoops loops = contractionLoops(contraction);
    int64_t columns = chooseColumns(contraction.getStaticLoopRanges()[loops.column], target);
    markContraction(contraction, columns);
    rootOf(contraction)->setAttr(rootMark, rewriter.getUnitAttr());
    if (failed(tileContraction(rewriter, func, abi, columns, target)))
      return failure();
    func.walk([&](linalg::LinalgOp op) { op->removeAttr(rootMark); });
  }
}

} // namespace ingot::host
