//===- TileContraction.cpp - Register tiles of a matmul -------------------===//
//
// Inside one block of the grid, from the outside in:
//
//   panels   columns, one register tile wide; a right-hand side that is stored by columns is
//            transposed once here, into [K, columns]
//   rows     12 rows at a time, what is left 4 at a time, then one by one (on AVX-512)
//   K        one multiply-add of a broadcast with a row of the panel per row; sums stay in registers
//
// Every row of a result is summed in the order of K whatever tile it falls into, so results do not
// depend on the number of rows, the grid, or padding.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Tiling.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"

using namespace mlir;

namespace ingot::host {

namespace {

constexpr auto forLoop = scf::SCFTilingOptions::LoopType::ForOp;

/// Producers of the contraction's factors are made once a block, not once a tile.
bool feedsContraction(tensor::ExtractSliceOp slice) {
  for (OpOperand &use : slice->getUses())
    if (auto op = dyn_cast<linalg::LinalgOp>(use.getOwner()))
      if (op->hasAttr(contractionMark) && op.isDpsInput(&use))
        return true;
  return false;
}
bool mayFuseIntoTile(tensor::ExtractSliceOp slice, OpResult) { return !feedsContraction(slice); }

/// The contraction's operand that has columns, and its map.
OpOperand *columnOperand(linalg::LinalgOp contraction, unsigned column) {
  for (OpOperand *operand : contraction.getDpsInputOperands())
    if (contraction.getMatchingIndexingMap(operand).isFunctionOfDim(column))
      return operand;
  return nullptr;
}

/// Replaces operand `operand` of `op` and its map.
linalg::LinalgOp setOperand(RewriterBase &rewriter, linalg::LinalgOp op, OpOperand *operand,
                            Value value, AffineMap map) {
  auto generic = cast<linalg::GenericOp>(op.getOperation());
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  maps[operand->getOperandNumber()] = map;
  rewriter.modifyOpInPlace(generic, [&] {
    generic->setOperand(operand->getOperandNumber(), value);
    generic.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
  });
  return generic;
}

/// Makes the right-hand side of `contraction` row-major in columns: reads a packed weight's panel
/// directly, or transposes.
void layOutColumns(RewriterBase &rewriter, linalg::LinalgOp contraction) {
  ContractionLoops loops = contractionLoops(contraction);
  OpOperand *operand = columnOperand(contraction, loops.column);
  AffineMap map = contraction.getMatchingIndexingMap(operand);
  auto position = [&](unsigned loop) {
    return *map.getResultPosition(rewriter.getAffineDimExpr(loop));
  };
  unsigned rank = map.getNumResults();
  if (position(loops.column) == rank - 1)
    return;
  Location loc = contraction.getLoc();
  rewriter.setInsertionPoint(contraction);
  // The tile as a part of the whole operand: slices of slices add up their offsets.
  Value whole = operand->get();
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, whole);
  SmallVector<OpFoldResult> offsets(rank, rewriter.getIndexAttr(0));
  AffineExpr d0 = rewriter.getAffineDimExpr(0), s0 = rewriter.getAffineSymbolExpr(0);
  while (auto slice = whole.getDefiningOp<tensor::ExtractSliceOp>()) {
    if (slice.getSourceType().getRank() != slice.getType().getRank() || !slice.hasUnitStride())
      break;
    for (auto [offset, more] : llvm::zip_equal(offsets, slice.getMixedOffsets()))
      offset = affine::makeComposedFoldedAffineApply(rewriter, loc, d0 + s0, {offset, more});
    whole = slice.getSource();
  }
  auto unpack = whole.getDefiningOp<linalg::UnPackOp>();
  SmallVector<AffineExpr> exprs(map.getResults());
  if (unpack && rank == 2) {
    // W[N, K] was unpacked from [N / columns, K, columns]; tiles start at a panel's first column.
    OpFoldResult columns = unpack.getMixedTiles()[0];
    auto tile = cast<RankedTensorType>(operand->get().getType());
    OpFoldResult panel = affine::makeComposedFoldedAffineApply(
        rewriter, loc, AffineMap::get(1, 1, d0.floorDiv(s0)), {offsets[0], columns});
    OpFoldResult one = rewriter.getIndexAttr(1), zero = rewriter.getIndexAttr(0);
    auto packed = cast<RankedTensorType>(unpack.getSource().getType());
    SmallVector<int64_t> shape{tile.getDimSize(1), tile.getDimSize(0)};
    auto type = RankedTensorType::get(shape, packed.getElementType());
    Value read = tensor::ExtractSliceOp::create(
        rewriter, loc, type, unpack.getSource(), ArrayRef<OpFoldResult>{panel, offsets[1], zero},
        ArrayRef<OpFoldResult>{one, sizes[1], sizes[0]}, ArrayRef<OpFoldResult>{one, one, one});
    setOperand(rewriter, contraction, operand, read,
               AffineMap::get(map.getNumDims(), 0, {exprs[1], exprs[0]}, rewriter.getContext()));
    return;
  }
  // transposed[..., k, n] = value[..., n, k]
  Value value = operand->get();
  unsigned column = position(loops.column);
  SmallVector<int64_t> permutation;
  for (unsigned d = 0; d < rank; ++d)
    if (d != column)
      permutation.push_back(d);
  permutation.push_back(column);
  SmallVector<OpFoldResult> shape;
  SmallVector<AffineExpr> outer, read(rank);
  for (unsigned d = 0; d < rank; ++d) {
    shape.push_back(sizes[permutation[d]]);
    outer.push_back(exprs[permutation[d]]);
    read[permutation[d]] = rewriter.getAffineDimExpr(d);
  }
  Value empty = tensor::EmptyOp::create(rewriter, loc, shape, getElementTypeOrSelf(value.getType()));
  auto transposed = linalg::GenericOp::create(
      rewriter, loc, empty.getType(), value, empty,
      ArrayRef<AffineMap>{AffineMap::get(rank, 0, read, rewriter.getContext()),
                          rewriter.getMultiDimIdentityMap(rank)},
      SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
      [](OpBuilder &builder, Location at, ValueRange args) {
        linalg::YieldOp::create(builder, at, args[0]);
      });
  setOperand(rewriter, contraction, operand, transposed.getResult(0),
             AffineMap::get(map.getNumDims(), 0, outer, rewriter.getContext()));
}

/// Tiles the rows of `root` by `heights`, each for what the one before left over.
LogicalResult tileRows(RewriterBase &rewriter, linalg::LinalgOp root, unsigned row,
                       ArrayRef<int64_t> heights) {
  SmallVector<int64_t> sizes(root.getNumLoops(), 0);
  int64_t extent = root.getStaticLoopRanges()[row];
  while (heights.size() > 1 && !ShapedType::isDynamic(extent) && heights.front() > extent)
    heights = heights.drop_front();
  sizes[row] = heights.front();
  FailureOr<TiledRoot> tiled = tileRoot(rewriter, root, sizes, forLoop, mayFuseIntoTile);
  if (failed(tiled))
    return failure();
  if (tiled->loops.empty() || heights.size() == 1)
    return success();
  scf::ForOp rest;
  if (failed(scf::peelForLoopAndSimplifyBounds(
          rewriter, cast<scf::ForOp>(tiled->loops.front().getOperation()), rest)))
    return success(); // nothing is left over
  // The number of rows left is a plain value from here on: composed into the bounds of the next
  // loop, it would keep that loop's peeling from seeing that its tiles are full.
  rest.walk([&](affine::AffineApplyOp apply) {
    rewriter.setInsertionPoint(apply);
    std::optional<SmallVector<Value, 8>> values = affine::expandAffineMap(
        rewriter, apply.getLoc(), apply.getAffineMap(), apply.getOperands());
    if (values)
      rewriter.replaceOp(apply, *values);
  });
  return tileRows(rewriter, findMarked(rest, rootMark), row, heights.drop_front());
}

} // namespace

LogicalResult tileContraction(RewriterBase &rewriter, func::FuncOp func, const KernelPlan &plan,
                              const HostTarget &target) {
  // Panels.
  linalg::LinalgOp root = findMarked(func, rootMark);
  ContractionLoops loops = contractionLoops(findMarked(func, contractionMark));
  bool rootIsContraction = root->hasAttr(contractionMark);
  unsigned rank = loops.outer.size() + (loops.row >= 0) + 1;
  unsigned column = rootIsContraction ? loops.column : rank - 1;
  unsigned row = rootIsContraction ? loops.row : rank - 2;
  SmallVector<int64_t> sizes(root.getNumLoops(), 0);
  sizes[column] = plan.columns;
  FailureOr<TiledRoot> panels = tileRoot(rewriter, root, sizes, forLoop, mayFuseIntoTile);
  if (failed(panels))
    return func.emitError("the matmul's columns cannot be tiled");
  SmallVector<linalg::LinalgOp> variants;
  if (!panels->loops.empty()) {
    auto loop = cast<scf::ForOp>(panels->loops.front().getOperation());
    scf::ForOp rest;
    if (succeeded(scf::peelForLoopAndSimplifyBounds(rewriter, loop, rest)))
      variants.push_back(findMarked(rest, rootMark));
    variants.push_back(findMarked(loop, rootMark));
  } else {
    variants.push_back(panels->root);
  }

  // Rows.
  for (linalg::LinalgOp variant : variants) {
    Operation *scope = variant->getBlock()->getParentOp();
    linalg::LinalgOp contraction = findMarked(scope, contractionMark);
    layOutColumns(rewriter, contraction);
    if (loops.row >= 0 && failed(tileRows(rewriter, variant, row, target.rows)))
      return func.emitError("the matmul's rows cannot be tiled");
  }

  // K.
  SmallVector<linalg::LinalgOp> contractions;
  func.walk([&](linalg::LinalgOp op) {
    if (op->hasAttr(contractionMark))
      contractions.push_back(op);
  });
  for (linalg::LinalgOp op : contractions) {
    SmallVector<int64_t> tile(op.getNumLoops(), 0);
    tile[loops.reduction] = 1;
    if (failed(tileRoot(rewriter, op, tile, forLoop,
                        [](tensor::ExtractSliceOp, OpResult) { return false; })))
      return func.emitError("the matmul's reduction cannot be tiled");
  }
  return success();
}

} // namespace ingot::host
