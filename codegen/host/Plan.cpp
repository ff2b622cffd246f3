//===- Plan.cpp - How a kernel is cut into blocks -------------------------===//
//
// Data with a reason: nothing here changes what is computed. The root is the operation that makes the
// kernel's result; its loops are cut into blocks, its producers are fused into them.
//
//   contraction  The root follows a matmul in rows and columns. Blocks are a few register tiles high
//                and a few weight panels wide: 96 rows keep a panel busy, and about 256 KiB of panels
//                stay in the second-level cache while the block's rows run over them. Neighbouring
//                blocks share their columns, as many as rows fit that cache (a band), then the rows
//                of the band; a decode step (one row) still spreads over the columns.
//   forall       The body is a parallel loop already: one block an iteration.
//   rows         Everything else whose root has a parallel dimension: blocks are runs of rows of the
//                last dimension, about 8 Ki elements each.
//   serial       No operation could be cut: one block runs the whole body.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"
#include "codegen/host/Tiling.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot::host {

namespace {

/// Extents of tensors as products of size arguments.
class Extents {
public:
  Extents(func::FuncOp func, const KernelAbi &abi) : func(func), abi(abi) {}

  std::optional<GridSize> of(Value tensor, int64_t dim) {
    auto type = cast<RankedTensorType>(tensor.getType());
    if (!type.isDynamicDim(dim))
      return GridSize{type.getDimSize(dim), {}, 1};
    Operation *op = tensor.getDefiningOp();
    if (!op)
      return std::nullopt;
    if (auto read = dyn_cast<bufferization::ToTensorOp>(op)) {
      const GridSize *extent = extentOf(read.getBuffer(), abi, dim);
      return extent && extent->divisor == 1 ? std::optional(*extent) : std::nullopt;
    }
    if (auto empty = dyn_cast<tensor::EmptyOp>(op))
      return of(empty.getMixedSizes()[dim]);
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
      GridSize product;
      ReassociationIndices group = collapse.getReassociationIndices()[dim];
      for (int64_t source : group) {
        std::optional<GridSize> one = of(collapse.getSrc(), source);
        if (!one)
          return std::nullopt;
        product.factor *= one->factor;
        product.sizes.append(one->sizes);
      }
      return product;
    }
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
      return of(expand.getMixedOutputShape()[dim]);
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
      if (slice.getSourceType().getRank() == type.getRank())
        return of(slice.getMixedSizes()[dim]);
    if (auto style = dyn_cast<DestinationStyleOpInterface>(op))
      return of(style.getDpsInitOperand(cast<OpResult>(tensor).getResultNumber())->get(), dim);
    return std::nullopt;
  }

  std::optional<GridSize> of(OpFoldResult value) {
    if (auto constant = getConstantIntValue(value))
      return GridSize{*constant, {}, 1};
    return of(dyn_cast<Value>(value));
  }

private:
  std::optional<GridSize> of(Value value) {
    if (!value)
      return std::nullopt;
    if (auto constant = getConstantIntValue(value))
      return GridSize{*constant, {}, 1};
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      int64_t number = argument.getArgNumber() - abi.numBuffers;
      if (isa<func::FuncOp>(argument.getOwner()->getParentOp()) && number >= 0 &&
          number < abi.numSizes)
        return GridSize{1, {number}, 1};
      return std::nullopt;
    }
    if (auto product = value.getDefiningOp<arith::MulIOp>())
      return multiply(of(product.getLhs()), of(product.getRhs()));
    if (auto dim = value.getDefiningOp<tensor::DimOp>())
      if (std::optional<int64_t> index = dim.getConstantIndex())
        return of(dim.getSource(), *index);
    if (auto apply = value.getDefiningOp<affine::AffineApplyOp>()) {
      AffineMap map = apply.getAffineMap();
      return ofExpr(map.getResult(0), map.getNumDims(), apply.getOperands());
    }
    return std::nullopt;
  }

  std::optional<GridSize> ofExpr(AffineExpr expr, unsigned numDims, ValueRange operands) {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return GridSize{constant.getValue(), {}, 1};
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      return of(operands[dim.getPosition()]);
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      return of(operands[numDims + symbol.getPosition()]);
    auto binary = cast<AffineBinaryOpExpr>(expr);
    if (expr.getKind() != AffineExprKind::Mul)
      return std::nullopt;
    return multiply(ofExpr(binary.getLHS(), numDims, operands),
                    ofExpr(binary.getRHS(), numDims, operands));
  }

  static std::optional<GridSize> multiply(std::optional<GridSize> a, std::optional<GridSize> b) {
    if (!a || !b)
      return std::nullopt;
    a->factor *= b->factor;
    a->sizes.append(b->sizes);
    return a;
  }

  func::FuncOp func;
  const KernelAbi &abi;
};

/// The operation behind a result, through reshapes.
linalg::LinalgOp producerThroughViews(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (auto linalgOp = dyn_cast<linalg::LinalgOp>(op))
      return linalgOp;
    if (!isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op))
      return nullptr;
    value = op->getOperand(0);
  }
  return nullptr;
}

/// Extent of each loop of `op`.
SmallVector<std::optional<GridSize>> loopExtents(Extents &extents, linalg::LinalgOp op) {
  SmallVector<std::optional<GridSize>> loops(op.getNumLoops());
  for (OpOperand &operand : op->getOpOperands())
    if (isa<RankedTensorType>(operand.get().getType()))
      for (auto [d, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
        if (auto loop = dyn_cast<AffineDimExpr>(expr))
          if (!loops[loop.getPosition()])
            loops[loop.getPosition()] = extents.of(operand.get(), d);
  return loops;
}

/// The contractions that `root` follows element by element: itself, or those among its producers
/// whose results reach it through elementwise ops of the same shape.
SmallVector<linalg::LinalgOp> contractionsOf(linalg::LinalgOp root) {
  SmallVector<linalg::LinalgOp> worklist{root}, found;
  llvm::SmallPtrSet<Operation *, 8> seen;
  while (!worklist.empty()) {
    linalg::LinalgOp op = worklist.pop_back_val();
    if (!seen.insert(op).second)
      continue;
    if (linalg::isaContractionOpInterface(op)) {
      found.push_back(op);
      continue;
    }
    if (op.getNumParallelLoops() != op.getNumLoops() || op->getNumResults() != 1 ||
        !op.getIndexingMapMatchingResult(op->getResult(0)).isIdentity())
      continue;
    for (OpOperand *input : op.getDpsInputOperands())
      if (auto producer = input->get().getDefiningOp<linalg::LinalgOp>())
        if (op.getMatchingIndexingMap(input).isIdentity())
          worklist.push_back(producer);
  }
  return found;
}

/// Whether all can share one tile of the result: of a gated linear layer, two matmuls.
bool haveOneShape(ArrayRef<linalg::LinalgOp> contractions) {
  linalg::LinalgOp one = contractions.front();
  ContractionLoops first = contractionLoops(one);
  SmallVector<int64_t, 4> ranges = one.getStaticLoopRanges();
  return first.valid && llvm::all_of(contractions, [&](linalg::LinalgOp op) {
           ContractionLoops loops = contractionLoops(op);
           SmallVector<int64_t, 4> own = op.getStaticLoopRanges();
           return loops.valid && (loops.row < 0) == (first.row < 0) &&
                  loops.outer.size() == first.outer.size() &&
                  own[loops.column] == ranges[first.column] &&
                  own[loops.reduction] == ranges[first.reduction];
         });
}

} // namespace

/// Columns of one register tile for a matmul of N columns: the target's, narrower for a narrow
/// matrix, and a divisor of N where there is a good one so that no tail is left.
int64_t chooseColumns(int64_t n, const HostTarget &target) {
  if (ShapedType::isDynamic(n) || n % target.panel == 0)
    return target.panel;
  if (n <= target.panel)
    return n;
  for (int64_t columns = target.panel; columns >= target.panel / 2; columns -= target.lanes)
    if (n % columns == 0)
      return columns;
  return target.panel;
}

ContractionLoops contractionLoops(linalg::LinalgOp contraction) {
  ContractionLoops loops;
  SmallVector<AffineMap> maps = contraction.getIndexingMapsArray();
  if (maps.size() != 3)
    return loops;
  FailureOr<linalg::ContractionDimensions> dims = linalg::inferContractionDims(contraction);
  AffineMap out = maps[2];
  if (failed(dims) || dims->n.empty() || dims->k.size() != 1 || !out.isProjectedPermutation())
    return loops;
  // The result's last dimension must be a column; rows are the dimension before the columns.
  auto last = cast<AffineDimExpr>(out.getResults().back()).getPosition();
  if (!llvm::is_contained(dims->n, last) || dims->n.size() != 1)
    return loops;
  loops.column = last;
  loops.reduction = dims->k[0];
  for (AffineExpr expr : out.getResults().drop_back())
    loops.outer.push_back(cast<AffineDimExpr>(expr).getPosition());
  if (!loops.outer.empty() && llvm::is_contained(dims->m, loops.outer.back())) {
    loops.row = loops.outer.pop_back_val();
  } else if (!dims->m.empty()) {
    return ContractionLoops();
  }
  // The last operand dimension must be the reduction on the left; right, reduction or column.
  loops.valid = true;
  return loops;
}

void markContraction(linalg::LinalgOp contraction, int64_t columns) {
  Builder builder(contraction.getContext());
  contraction->setAttr(contractionMark, builder.getI64IntegerAttr(columns));
}

Attribute blockMapping(MLIRContext *context, int64_t dimension) {
  return gpu::GPUBlockMappingAttr::get(
      context, static_cast<gpu::MappingId>(
                   static_cast<int64_t>(gpu::MappingId::LinearDim0) + dimension));
}

namespace {

/// Collects cuts of loops into grid dimensions.
struct Cutter {
  KernelPlan &plan;
  llvm::SmallVector<std::pair<unsigned, int64_t>> dimensions = {}; // loop, grid dimension
  int64_t nextOuter = 2;

  /// Cuts `loop` of `extent` into tiles of `size` along x (0), y (1) or z (2, tiles of 1 only).
  void cut(unsigned loop, const GridSize &extent, int64_t size, int64_t dimension) {
    plan.tile[loop] = size;
    if (dimension < 2) {
      plan.grid[dimension] = extent;
      plan.grid[dimension].divisor = size;
    } else {
      plan.grid[2].factor *= extent.factor;
      plan.grid[2].sizes.append(extent.sizes);
      dimension = nextOuter++;
    }
    dimensions.push_back({loop, dimension});
  }
  /// The plan's mapping, in the order of the loops.
  void finish() {
    llvm::sort(dimensions);
    for (auto [loop, dimension] : dimensions)
      plan.mapping.push_back(dimension);
  }
};

/// A kernel that is one parallel loop already.
bool planForall(scf::ForallOp forall, Extents &extents, KernelPlan &plan) {
  if (forall.getMapping() && !forall.getMapping()->empty())
    return false;
  SmallVector<GridSize> bounds;
  SmallVector<int64_t> steps;
  int64_t rank = forall.getRank();
  for (int64_t i = 0; i < rank; ++i) {
    std::optional<GridSize> bound = extents.of(forall.getMixedUpperBound()[i]);
    std::optional<int64_t> step = getConstantIntValue(forall.getMixedStep()[i]);
    // Only x and y can be rounded up by themselves.
    if (!bound || bound->divisor != 1 || !step || (*step != 1 && i + 2 < rank) ||
        !isConstantIntValue(forall.getMixedLowerBound()[i], 0))
      return false;
    bounds.push_back(*bound);
    steps.push_back(*step);
  }
  plan.strategy = "forall";
  plan.reason = "the body is a parallel loop";
  plan.tile.assign(bounds.size(), 0);
  Cutter cutter{plan};
  // The last loop is x, so that neighbouring blocks touch neighbouring memory.
  for (int64_t i = bounds.size() - 1, dimension = 0; i >= 0; --i, ++dimension)
    cutter.cut(i, bounds[i], steps[i], dimension);
  cutter.finish();
  SmallVector<Attribute> mapping;
  for (int64_t dimension : plan.mapping)
    mapping.push_back(blockMapping(forall.getContext(), dimension));
  forall.setMappingAttr(ArrayAttr::get(forall.getContext(), mapping));
  return true;
}

/// Root and contractions have the same parallel dimensions in the result's order.
bool planContraction(linalg::LinalgOp root, ArrayRef<linalg::LinalgOp> contractions,
                     ArrayRef<std::optional<GridSize>> loops, const HostTarget &target,
                     KernelPlan &plan) {
  if (contractions.empty() || !haveOneShape(contractions))
    return false;
  linalg::LinalgOp contraction = contractions.front();
  ContractionLoops dims = contractionLoops(contraction);
  for (auto [i, loop] : llvm::enumerate(loops))
    if (!loop && root.getIteratorTypesArray()[i] == utils::IteratorType::parallel)
      return false;
  SmallVector<int64_t, 4> shape = contraction.getStaticLoopRanges();
  int64_t n = shape[dims.column], k = shape[dims.reduction];
  plan.strategy = "contraction";
  plan.reason = contractions.size() == 1
                    ? "a matmul with elementwise producers and consumers"
                    : std::to_string(contractions.size()) + " matmuls with one elementwise consumer";
  plan.columns = chooseColumns(n, target);
  unsigned rank = dims.outer.size() + (dims.row >= 0) + 1;
  unsigned column = root == contraction ? dims.column : rank - 1;
  unsigned row = root == contraction ? dims.row : rank - 2;
  int64_t panels = ShapedType::isDynamic(n) ? 0 : llvm::divideCeil(n, plan.columns);
  int64_t group = 4;
  if (!ShapedType::isDynamic(k))
    group = std::clamp<int64_t>((256 << 10) / (plan.columns * k * 4 * static_cast<int64_t>(contractions.size())), 1, 8);
  while (panels && panels % group)
    --group;
  Cutter cutter{plan};
  cutter.cut(column, *loops[column], group * plan.columns, 0);
  if (dims.row >= 0) {
    int64_t rows = 8 * target.rows.front();
    cutter.cut(row, *loops[row], rows, 1);
    // A weight that the second-level cache does not hold would come from further away for every
    // block of rows again; so as many as that cache holds use a part of it one after the other.
    if (!ShapedType::isDynamic(k))
      plan.band = std::clamp<int64_t>((1280 << 10) / (rows * k * 4), 1, 16);
  }
  for (int64_t i = dims.outer.size() - 1; i >= 0; --i) {
    unsigned position = root == contraction ? dims.outer[i] : i;
    cutter.cut(position, *loops[position], 1, 2);
  }
  cutter.finish();
  return true;
}

/// Everything else: blocks of rows.
bool planRows(linalg::LinalgOp root, ArrayRef<std::optional<GridSize>> loops, KernelPlan &plan) {
  std::optional<unsigned> vector = vectorLoop(root);
  SmallVector<int64_t, 4> ranges = root.getStaticLoopRanges();
  SmallVector<unsigned> outer;
  for (unsigned i = 0; i < root.getNumLoops(); ++i)
    if (root.getIteratorTypesArray()[i] == utils::IteratorType::parallel && i != vector && loops[i])
      outer.push_back(i);
  constexpr int64_t blockElements = 8192;
  Cutter cutter{plan};
  if (outer.empty()) {
    if (!vector || !loops[*vector] ||
        root.getIteratorTypesArray()[*vector] != utils::IteratorType::parallel)
      return false;
    cutter.cut(*vector, *loops[*vector], blockElements, 0);
  }
  int64_t width = !vector ? 1 : ShapedType::isDynamic(ranges[*vector]) ? 512 : ranges[*vector];
  for (int64_t i = outer.size() - 1, dimension = 0; i >= 0; --i, ++dimension)
    cutter.cut(outer[i], *loops[outer[i]],
               dimension ? 1 : std::clamp<int64_t>(blockElements / width, 1, 64), dimension);
  cutter.finish();
  plan.strategy = "rows";
  plan.reason = "vectors along the last dimension";
  return true;
}

/// Whether every result but the root's own is made on the way to the root.
bool makesAllResults(linalg::LinalgOp root, ArrayRef<linalg::LinalgOp> producers) {
  llvm::SmallPtrSet<Operation *, 8> reached;
  SmallVector<Operation *> worklist{root};
  while (!worklist.empty()) {
    Operation *op = worklist.pop_back_val();
    if (reached.insert(op).second)
      for (Value operand : op->getOperands())
        if (auto producer = operand.getDefiningOp<linalg::LinalgOp>())
          worklist.push_back(producer);
  }
  return llvm::all_of(producers, [&](linalg::LinalgOp op) { return reached.contains(op); });
}

} // namespace

KernelPlan planKernel(func::FuncOp func, const KernelAbi &abi, const HostTarget &target) {
  KernelPlan plan;
  Extents extents(func, abi);
  SmallVector<bufferization::MaterializeInDestinationOp> results;
  func.walk([&](bufferization::MaterializeInDestinationOp op) { results.push_back(op); });
  if (results.size() == 1)
    if (auto forall = results.front().getSource().getDefiningOp<scf::ForallOp>())
      if (planForall(forall, extents, plan))
        return plan;
  linalg::LinalgOp root;
  SmallVector<linalg::LinalgOp> producers;
  for (bufferization::MaterializeInDestinationOp result : results) {
    linalg::LinalgOp producer = producerThroughViews(result.getSource());
    if (!producer) {
      plan.reason = "a result is not made by a linalg operation";
      return plan;
    }
    if (!root || root->isBeforeInBlock(producer))
      root = producer;
    producers.push_back(producer);
  }
  if (!root || root.getNumParallelLoops() == 0) {
    plan.reason = "no parallel dimension";
    return plan;
  }
  if (!makesAllResults(root, producers)) {
    plan.reason = "results are made by independent operations";
    return plan;
  }
  root->setAttr(rootMark, UnitAttr::get(func.getContext()));
  SmallVector<std::optional<GridSize>> loops = loopExtents(extents, root);
  plan.tile.assign(root.getNumLoops(), 0);
  SmallVector<linalg::LinalgOp> contractions = contractionsOf(root);
  if (planContraction(root, contractions, loops, target, plan)) {
    for (linalg::LinalgOp contraction : contractions)
      markContraction(contraction, plan.columns);
    return plan;
  }
  int64_t numOps = 0;
  func.walk([&](linalg::LinalgOp) { ++numOps; });
  plan.onePass = numOps == 1 && root.getNumLoops() == root.getNumParallelLoops();
  if (planRows(root, loops, plan))
    return plan;
  plan.reason = "no extent of a parallel dimension is known";
  plan.tile.clear();
  return plan;
}

WeightPanel findWeightPanel(func::FuncOp func, const KernelPlan &plan) {
  WeightPanel panel;
  if (plan.strategy != "contraction")
    return panel;
  llvm::SmallSetVector<int64_t, 2> weights, unaligned;
  func.walk([&](linalg::LinalgOp op) {
    ContractionLoops loops = contractionLoops(op);
    if (!op->hasAttr(contractionMark) || !loops.valid)
      return;
    for (OpOperand *operand : op.getDpsInputOperands()) {
      AffineMap map = op.getMatchingIndexingMap(operand);
      if (map.getNumResults() != 2 || !map.isFunctionOfDim(loops.column))
        continue;
      Value weight = operand->get();
      // A run of whole panels is as good as the weight itself.
      bool isAligned = true;
      if (auto slice = weight.getDefiningOp<tensor::ExtractSliceOp>()) {
        ArrayRef<int64_t> offsets = slice.getStaticOffsets();
        isAligned = slice.getSourceType().getRank() == 2 && slice.getType().getRank() == 2 &&
                    slice.hasUnitStride() && offsets[1] == 0 &&
                    !ShapedType::isDynamic(offsets[0]) && offsets[0] % plan.columns == 0 &&
                    slice.getSourceType().getDimSize(1) == slice.getType().getDimSize(1);
        weight = slice.getSource();
      }
      auto read = weight.getDefiningOp<bufferization::ToTensorOp>();
      if (!read || !cast<RankedTensorType>(read.getType()).hasStaticShape())
        continue;
      auto buffer = dyn_cast<BlockArgument>(read.getBuffer());
      if (!buffer)
        continue;
      // Stored by rows of K, which is the order that a register tile does not want.
      if (cast<AffineDimExpr>(map.getResult(0)).getPosition() == loops.column)
        (isAligned ? weights : unaligned).insert(buffer.getArgNumber());
    }
  });
  // Of a gated layer both halves have to begin with a panel.
  for (int64_t weight : weights)
    if (!unaligned.contains(weight))
      panel = {weight, plan.columns};
  return panel;
}

} // namespace ingot::host
