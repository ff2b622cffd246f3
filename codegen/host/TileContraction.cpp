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
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"

#include "llvm/ADT/SetVector.h"

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

/// Whether `op` computes with `operand` in f32 only, and it is of a narrower type.
bool isWidened(linalg::LinalgOp op, OpOperand *operand) {
  BlockArgument element = op.getMatchingBlockArgument(operand);
  return !element.getType().isF32() && !element.use_empty() &&
         llvm::all_of(element.getUsers(), [](Operation *user) {
           auto extend = dyn_cast<arith::ExtFOp>(user);
           return extend && extend.getType().isF32();
         });
}

/// Replaces operand `operand` of `op` and its map. Where the value is of f32 and the old one was not,
/// its elements need no widening any more.
linalg::LinalgOp setOperand(RewriterBase &rewriter, linalg::LinalgOp op, OpOperand *operand,
                            Value value, AffineMap map) {
  auto generic = cast<linalg::GenericOp>(op.getOperation());
  SmallVector<AffineMap> maps = generic.getIndexingMapsArray();
  maps[operand->getOperandNumber()] = map;
  rewriter.modifyOpInPlace(generic, [&] {
    generic->setOperand(operand->getOperandNumber(), value);
    generic.setIndexingMapsAttr(rewriter.getAffineMapArrayAttr(maps));
    BlockArgument element = generic.getMatchingBlockArgument(operand);
    Type type = getElementTypeOrSelf(value.getType());
    if (element.getType() == type)
      return;
    SmallVector<Operation *> extensions(element.getUsers());
    element.setType(type);
    for (Operation *extension : extensions)
      rewriter.replaceOp(extension, element);
  });
  return generic;
}

/// `whole` as a part of the tensor it was sliced from: slices of slices add up their offsets.
struct Origin {
  Value tensor;
  SmallVector<OpFoldResult> offsets;
};
Origin originOf(RewriterBase &rewriter, Value tile) {
  Location loc = tile.getLoc();
  Origin origin{tile, SmallVector<OpFoldResult>(cast<RankedTensorType>(tile.getType()).getRank(),
                                                rewriter.getIndexAttr(0))};
  AffineExpr d0 = rewriter.getAffineDimExpr(0), s0 = rewriter.getAffineSymbolExpr(0);
  while (auto slice = origin.tensor.getDefiningOp<tensor::ExtractSliceOp>()) {
    if (slice.getSourceType().getRank() != slice.getType().getRank() || !slice.hasUnitStride())
      break;
    for (auto [offset, more] : llvm::zip_equal(origin.offsets, slice.getMixedOffsets()))
      offset = affine::makeComposedFoldedAffineApply(rewriter, loc,
                                                     AffineMap::get(1, 1, d0 + s0), {offset, more});
    origin.tensor = slice.getSource();
  }
  return origin;
}

/// The first `size` columns (the last dimension) of `full`.
Value firstColumns(RewriterBase &rewriter, Location loc, Value full, OpFoldResult size) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, full);
  sizes.back() = size;
  return tensor::ExtractSliceOp::create(
      rewriter, loc, full, SmallVector<OpFoldResult>(sizes.size(), rewriter.getIndexAttr(0)), sizes,
      SmallVector<OpFoldResult>(sizes.size(), rewriter.getIndexAttr(1)));
}

/// A packed weight's panel: W[N, K] was unpacked from [N / columns, K, columns], and tiles start at a
/// panel's first column. Gives [K, columns], padding included.
Value panelOf(RewriterBase &rewriter, Location loc, linalg::UnPackOp unpack, const Origin &origin,
              OpFoldResult depth) {
  OpFoldResult columns = unpack.getMixedTiles()[0];
  OpFoldResult one = rewriter.getIndexAttr(1), zero = rewriter.getIndexAttr(0);
  AffineExpr d0 = rewriter.getAffineDimExpr(0), s0 = rewriter.getAffineSymbolExpr(0);
  OpFoldResult panel = affine::makeComposedFoldedAffineApply(
      rewriter, loc, AffineMap::get(1, 1, d0.floorDiv(s0)), {origin.offsets[0], columns});
  auto packed = cast<RankedTensorType>(unpack.getSource().getType());
  auto type = RankedTensorType::get({getConstantIntValue(depth).value_or(ShapedType::kDynamic),
                                     packed.getDimSize(2)},
                                    packed.getElementType());
  return tensor::ExtractSliceOp::create(
      rewriter, loc, type, unpack.getSource(),
      ArrayRef<OpFoldResult>{panel, origin.offsets[1], zero},
      ArrayRef<OpFoldResult>{one, depth, columns}, ArrayRef<OpFoldResult>{one, one, one});
}

/// `target` with the elements of `source`, read by `map`; widened if `target` is of a wider type.
Value copyElements(RewriterBase &rewriter, Location loc, Value source, Value target,
                   AffineMap map) {
  unsigned rank = map.getNumDims();
  return linalg::GenericOp::create(
             rewriter, loc, target.getType(), source, target,
             ArrayRef<AffineMap>{map, rewriter.getMultiDimIdentityMap(rank)},
             SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
             [](OpBuilder &builder, Location at, ValueRange args) {
               Value element = args[0];
               if (element.getType() != args[1].getType())
                 element = arith::ExtFOp::create(builder, at, args[1].getType(), element);
               linalg::YieldOp::create(builder, at, element);
             })
      .getResult(0);
}

/// Makes the right-hand side of `contraction` row-major in columns: reads a packed weight's panel
/// directly, or copies. A tile of fewer than `columns` columns becomes the first ones of a whole
/// panel, so that the multiplication itself needs no mask.
void layOutColumns(RewriterBase &rewriter, linalg::LinalgOp contraction, int64_t columns) {
  ContractionLoops loops = contractionLoops(contraction);
  OpOperand *operand = columnOperand(contraction, loops.column);
  AffineMap map = contraction.getMatchingIndexingMap(operand);
  unsigned rank = map.getNumResults();
  unsigned column = *map.getResultPosition(rewriter.getAffineDimExpr(loops.column));
  Value value = operand->get();
  bool ragged = cast<RankedTensorType>(value.getType()).isDynamicDim(column);
  if (column == rank - 1 && !ragged)
    return;
  Location loc = contraction.getLoc();
  rewriter.setInsertionPoint(contraction);
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, value);
  SmallVector<AffineExpr> exprs(map.getResults());
  Origin origin = originOf(rewriter, value);
  auto unpack = origin.tensor.getDefiningOp<linalg::UnPackOp>();
  if (unpack && rank == 2 && column == 0) {
    Value panel = panelOf(rewriter, loc, unpack, origin, sizes[1]);
    setOperand(rewriter, contraction, operand, firstColumns(rewriter, loc, panel, sizes[0]),
               AffineMap::get(map.getNumDims(), 0, {exprs[1], exprs[0]}, rewriter.getContext()));
    return;
  }
  // Widened before they are transposed: the registers' shuffles are for 32 bits, and each element is
  // widened once instead of once a row.
  Type element = getElementTypeOrSelf(value.getType());
  if (isWidened(contraction, operand))
    element = rewriter.getF32Type();
  // A ragged tile is copied into one of `columns` rows first, so that the transpose is whole. The
  // others are zero: they don't matter, but what lies there otherwise may be slow to multiply.
  if (ragged) {
    SmallVector<OpFoldResult> staged = sizes;
    staged[column] = rewriter.getIndexAttr(columns);
    SmallVector<OpFoldResult> zeros(rank, rewriter.getIndexAttr(0));
    SmallVector<OpFoldResult> ones(rank, rewriter.getIndexAttr(1));
    Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getZeroAttr(element));
    Value stage = tensor::EmptyOp::create(rewriter, loc, staged, element);
    stage = linalg::FillOp::create(rewriter, loc, zero, stage).getResult(0);
    Value part = tensor::ExtractSliceOp::create(rewriter, loc, stage, zeros, sizes, ones);
    part = copyElements(rewriter, loc, value, part, rewriter.getMultiDimIdentityMap(rank));
    value = tensor::InsertSliceOp::create(rewriter, loc, part, stage, zeros, sizes, ones);
  } else if (element != getElementTypeOrSelf(value.getType())) {
    Value stage = tensor::EmptyOp::create(rewriter, loc, sizes, element);
    value = copyElements(rewriter, loc, value, stage, rewriter.getMultiDimIdentityMap(rank));
  }
  // panel[..., k, n] = value[..., n, k]
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
  if (ragged)
    shape.back() = rewriter.getIndexAttr(columns);
  Value panel = tensor::EmptyOp::create(rewriter, loc, shape, element);
  panel = copyElements(rewriter, loc, value, panel,
                       AffineMap::get(rank, 0, read, rewriter.getContext()));
  if (ragged)
    panel = firstColumns(rewriter, loc, panel, sizes[column]);
  setOperand(rewriter, contraction, operand, panel,
             AffineMap::get(map.getNumDims(), 0, outer, rewriter.getContext()));
}

/// Computes a register tile with a ragged number of columns over the whole panel and keeps the first
/// ones.
void widenRaggedTile(RewriterBase &rewriter, linalg::LinalgOp contraction, int64_t columns) {
  ContractionLoops loops = contractionLoops(contraction);
  if (!ShapedType::isDynamic(contraction.getStaticLoopRanges()[loops.column]))
    return;
  Location loc = contraction.getLoc();
  rewriter.setInsertionPoint(contraction);
  OpOperand *operand = columnOperand(contraction, loops.column);
  OpOperand *init = contraction.getDpsInitOperand(0);
  Origin origin = originOf(rewriter, operand->get());
  auto full = cast<RankedTensorType>(origin.tensor.getType());
  if (full.getDimSize(full.getRank() - 1) != columns)
    return;
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(rewriter, loc, operand->get());
  sizes.back() = rewriter.getIndexAttr(columns);
  Value panel = tensor::ExtractSliceOp::create(
      rewriter, loc, origin.tensor, origin.offsets, sizes,
      SmallVector<OpFoldResult>(sizes.size(), rewriter.getIndexAttr(1)));
  Value ragged = init->get();
  SmallVector<OpFoldResult> shape = tensor::getMixedSizes(rewriter, loc, ragged);
  OpFoldResult width = shape.back();
  SmallVector<OpFoldResult> raggedShape = shape;
  shape.back() = rewriter.getIndexAttr(columns);
  Value wide =
      tensor::EmptyOp::create(rewriter, loc, shape, getElementTypeOrSelf(ragged.getType()));
  if (auto fill = ragged.getDefiningOp<linalg::FillOp>())
    wide = linalg::FillOp::create(rewriter, loc, fill.getInputs()[0], wide).getResult(0);
  else
    wide = tensor::InsertSliceOp::create(
        rewriter, loc, ragged, wide,
        SmallVector<OpFoldResult>(shape.size(), rewriter.getIndexAttr(0)), raggedShape,
        SmallVector<OpFoldResult>(shape.size(), rewriter.getIndexAttr(1)));
  auto generic = cast<linalg::GenericOp>(contraction.getOperation());
  rewriter.modifyOpInPlace(generic, [&] {
    operand->set(panel);
    init->set(wide);
    generic->getResult(0).setType(cast<RankedTensorType>(wide.getType()));
  });
  rewriter.setInsertionPointAfter(generic);
  Value result = generic->getResult(0);
  Value part = firstColumns(rewriter, loc, result, width);
  if (part.getType() != ragged.getType())
    part = tensor::CastOp::create(rewriter, loc, ragged.getType(), part);
  rewriter.replaceUsesWithIf(result, part, [&](OpOperand &use) {
    return !isa<tensor::ExtractSliceOp, tensor::DimOp>(use.getOwner()) &&
           use.getOwner() != part.getDefiningOp();
  });
}

/// The contractions that `root` follows, in the same block.
SmallVector<linalg::LinalgOp> contractionsBehind(linalg::LinalgOp root) {
  SmallVector<linalg::LinalgOp> worklist{root};
  llvm::SetVector<Operation *> seen;
  SmallVector<linalg::LinalgOp> found;
  while (!worklist.empty()) {
    linalg::LinalgOp op = worklist.pop_back_val();
    if (!seen.insert(op))
      continue;
    if (op->hasAttr(contractionMark)) {
      found.push_back(op);
      continue;
    }
    for (Value operand : op->getOperands())
      if (auto producer = operand.getDefiningOp<linalg::LinalgOp>())
        worklist.push_back(producer);
  }
  return found;
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
  for (Operation *op : tiled->ops)
    op->setAttr(boundedMark, rewriter.getUnitAttr());
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

LogicalResult tileContraction(RewriterBase &rewriter, func::FuncOp func, const KernelAbi &abi,
                              int64_t columns, const HostTarget &target) {
  // Panels.
  linalg::LinalgOp root = findMarked(func, rootMark);
  SmallVector<linalg::LinalgOp> contractions = contractionsBehind(root);
  if (contractions.empty())
    return func.emitError("the matmul behind a result is lost");
  ContractionLoops loops = contractionLoops(contractions.front());
  bool rootIsContraction = root->hasAttr(contractionMark);
  unsigned rank = loops.outer.size() + (loops.row >= 0) + 1;
  unsigned column = rootIsContraction ? loops.column : rank - 1;
  unsigned row = rootIsContraction ? loops.row : rank - 2;
  auto most = contractions.front()->getAttrOfType<IntegerAttr>(mostColumnsMark);
  bool onePanel = most && most.getInt() <= columns;
  if (onePanel) {
    if (loops.row < 0)
      root->setAttr(boundedMark, rewriter.getUnitAttr());
  } else {
    SmallVector<int64_t> sizes(root.getNumLoops(), 0);
    sizes[column] = columns;
    FailureOr<TiledRoot> panels = tileRoot(rewriter, root, sizes, forLoop, mayFuseIntoTile);
    if (failed(panels))
      return func.emitError("the matmul's columns cannot be tiled");
    if (loops.row < 0)
      for (Operation *op : panels->ops)
        op->setAttr(boundedMark, rewriter.getUnitAttr());
    if (!panels->loops.empty()) {
      auto loop = cast<scf::ForOp>(panels->loops.front().getOperation());
      scf::ForOp rest;
      (void)scf::peelForLoopAndSimplifyBounds(rewriter, loop, rest);
    }
  }
  // Whole panels get static types here; only the rest stays ragged.
  if (failed(cleanup(func, abi)))
    return failure();
  SmallVector<linalg::LinalgOp> variants;
  func.walk([&](linalg::LinalgOp op) {
    if (op->hasAttr(rootMark))
      variants.push_back(op);
  });

  // Rows.
  for (linalg::LinalgOp variant : variants) {
    contractions = contractionsBehind(variant);
    if (contractions.empty())
      return func.emitError("the matmul of a column tile is lost");
    for (linalg::LinalgOp contraction : contractions)
      layOutColumns(rewriter, contraction, columns);
    if (loops.row >= 0 && failed(tileRows(rewriter, variant, row, target.rows)))
      return func.emitError("the matmul's rows cannot be tiled");
  }
  return cleanup(func, abi);
}

LogicalResult tileSums(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<linalg::LinalgOp> contractions;
  func.walk([&](linalg::LinalgOp op) {
    if (op->hasAttr(contractionMark))
      contractions.push_back(op);
  });
  for (linalg::LinalgOp op : contractions) {
    widenRaggedTile(rewriter, op, cast<IntegerAttr>(op->getAttr(contractionMark)).getInt());
    SmallVector<int64_t> tile(op.getNumLoops(), 0);
    tile[contractionLoops(op).reduction] = 1;
    if (failed(tileRoot(rewriter, op, tile, forLoop,
                        [](tensor::ExtractSliceOp, OpResult) { return false; })))
      return func.emitError("the matmul's reduction cannot be tiled");
  }
  return success();
}

} // namespace ingot::host
