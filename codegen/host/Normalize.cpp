//===- Normalize.cpp - Few, large linalg.generic ops ----------------------===//
//
// Whatever the decompositions gave becomes linalg.generic; elementwise chains become one op;
// adjacent dimensions that every operand walks through together become one (B and S become rows),
// so that a batch of one-token rows is a matmul of B rows and not B matmuls of one.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace ingot::host {

namespace {

/// The extent of a kernel's buffer is a size argument, whichever way it is asked for.
struct ExtentOfBuffer : OpRewritePattern<tensor::DimOp> {
  ExtentOfBuffer(MLIRContext *context, func::FuncOp func, const KernelAbi &abi)
      : OpRewritePattern(context, /*benefit=*/2), func(func), abi(abi) {}

  LogicalResult matchAndRewrite(tensor::DimOp op, PatternRewriter &rewriter) const override {
    auto source = op.getSource().getDefiningOp<bufferization::ToTensorOp>();
    auto index = op.getConstantIndex();
    if (!source || !index)
      return failure();
    const GridSize *extent = extentOf(source.getBuffer(), abi, *index);
    if (!extent)
      return failure();
    rewriter.replaceOp(op, buildExtent(rewriter, op.getLoc(), func, abi, *extent));
    return success();
  }

  func::FuncOp func;
  const KernelAbi &abi;
};

/// A reshaped result is written through the reshaped buffer, so that what makes it writes in place.
struct WriteThroughReshape : OpRewritePattern<bufferization::MaterializeInDestinationOp> {
  WriteThroughReshape(MLIRContext *context, func::FuncOp func, const KernelAbi &abi)
      : OpRewritePattern(context), func(func), abi(abi) {}

  LogicalResult matchAndRewrite(bufferization::MaterializeInDestinationOp op,
                                PatternRewriter &rewriter) const override {
    auto buffer = dyn_cast<TypedValue<MemRefType>>(op.getDest());
    if (!buffer || !buffer.getType().getLayout().isIdentity())
      return failure();
    Value source, view;
    if (auto expand = op.getSource().getDefiningOp<tensor::ExpandShapeOp>()) {
      source = expand.getSrc();
      view = memref::CollapseShapeOp::create(rewriter, op.getLoc(), buffer,
                                             expand.getReassociationIndices());
    } else if (auto collapse = op.getSource().getDefiningOp<tensor::CollapseShapeOp>()) {
      source = collapse.getSrc();
      auto shape = cast<RankedTensorType>(source.getType());
      auto type = MemRefType::get(shape.getShape(), shape.getElementType());
      view = memref::ExpandShapeOp::create(rewriter, op.getLoc(), type.getShape(), buffer,
                                           collapse.getReassociationIndices(),
                                           tensor::getMixedSizes(rewriter, op.getLoc(), source));
    } else {
      return failure();
    }
    rewriter.replaceOpWithNewOp<bufferization::MaterializeInDestinationOp>(
        op, Type(), source, view, op.getRestrict(), op.getWritable());
    return success();
  }

  func::FuncOp func;
  const KernelAbi &abi;
};

/// A splat becomes a fill, which folds into the ops that read it instead of taking memory.
struct SplatToFill : OpRewritePattern<tensor::SplatOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(tensor::SplatOp op, PatternRewriter &rewriter) const override {
    Value empty =
        tensor::EmptyOp::create(rewriter, op.getLoc(), op.getType(), op.getDynamicSizes());
    rewriter.replaceOpWithNewOp<linalg::FillOp>(op, op.getInput(), empty);
    return success();
  }
};

bool hasOnlyParallelLoops(linalg::LinalgOp op) {
  return op.getNumLoops() == op.getNumParallelLoops();
}

/// Math that costs more than a load: not worth doing twice.
bool isExpensive(linalg::LinalgOp op) {
  bool found = false;
  op->getRegion(0).walk([&](Operation *inner) {
    found |= isa<math::MathDialect>(inner->getDialect()) || isa<arith::DivFOp>(inner) ||
             isa<tensor::ExtractOp>(inner);
  });
  return found;
}

/// Whether `value` is a result of the kernel.
bool isResult(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) {
    return isa<bufferization::MaterializeInDestinationOp>(user) ||
           (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp>(user) &&
            isResult(user->getResult(0)));
  });
}

/// Fuse a producer into its consumer unless that repeats work or hides a contraction.
bool shouldFuse(OpOperand *operand) {
  auto producer = operand->get().getDefiningOp<linalg::LinalgOp>();
  auto consumer = dyn_cast<linalg::LinalgOp>(operand->getOwner());
  if (!producer || !consumer)
    return true;
  if (linalg::isaContractionOpInterface(consumer))
    return false;
  // It is made anyway, and on the way to the other results.
  if (isResult(operand->get()))
    return false;
  bool once = producer->hasOneUse();
  // Each element of the producer is read once if the consumer's map is a permutation of its loops.
  bool sameDomain = consumer.getMatchingIndexingMap(operand).isPermutation();
  if (isExpensive(producer))
    return once && sameDomain && hasOnlyParallelLoops(consumer);
  return once || hasOnlyParallelLoops(producer);
}

/// How many of the first loops of `op` every operand walks through together.
unsigned leadingLoops(linalg::LinalgOp op) {
  if (!isa<linalg::GenericOp>(op) || op.hasIndexSemantics())
    return 1;
  SmallVector<AffineMap> maps = op.getIndexingMapsArray();
  for (AffineMap map : maps)
    if (!map.isProjectedPermutation())
      return 1;
  ReassociationIndices loops{0};
  while (loops.size() < op.getNumParallelLoops()) {
    loops.push_back(loops.size());
    if (op.getIteratorTypesArray()[loops.back()] != utils::IteratorType::parallel ||
        !linalg::areDimSequencesPreserved(maps, {loops})) {
      loops.pop_back();
      break;
    }
  }
  return loops.size();
}

/// Makes one loop of as many first loops as all operations agree on: if one kept B and S apart, a
/// reshape would stand between it and the others, and keep them from being fused.
void collapseLeadingLoops(RewriterBase &rewriter, func::FuncOp func, bool keepColumns) {
  SmallVector<linalg::LinalgOp> ops;
  unsigned common = ~0u;
  func.walk([&](linalg::LinalgOp op) {
    // What is inside a loop of the body's own is small, and often part of a wider buffer.
    if (op.getNumLoops() < 2 || isa<linalg::FillOp>(op) || op->getParentOp() != func)
      return;
    ops.push_back(op);
    common = std::min(common, leadingLoops(op));
    if (keepColumns)
      common = std::min(common, op.getNumParallelLoops() - 1);
  });
  if (ops.empty() || common < 2)
    return;
  ReassociationIndices group = llvm::to_vector(llvm::seq<int64_t>(0, common));
  for (linalg::LinalgOp op : ops) {
    rewriter.setInsertionPoint(op);
    FailureOr<linalg::CollapseResult> result =
        linalg::collapseOpIterationDims(op, {group}, rewriter);
    if (succeeded(result))
      rewriter.replaceOp(op, result->results);
  }
}

/// i1 values between operations become bytes, as in the kernel's buffers: a vector of i1 in memory
/// would be packed bits.
void storeBooleansAsBytes(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<linalg::GenericOp> ops;
  func.walk([&](linalg::GenericOp op) {
    if (op->getNumResults() == 1 && op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>() &&
        getElementTypeOrSelf(op->getResultTypes()[0]).isInteger(1) &&
        llvm::all_of(op->getUses(), [](OpOperand &use) {
          auto user = dyn_cast<linalg::GenericOp>(use.getOwner());
          return user && user.isDpsInput(&use);
        }))
      ops.push_back(op);
  });
  Type i8 = rewriter.getI8Type();
  for (linalg::GenericOp op : ops) {
    Location loc = op.getLoc();
    auto empty = op.getDpsInits()[0].getDefiningOp<tensor::EmptyOp>();
    rewriter.setInsertionPoint(op);
    Value bytes = tensor::EmptyOp::create(rewriter, loc, empty.getMixedSizes(), i8);
    op.getDpsInitsMutable()[0].set(bytes);
    op->getResult(0).setType(cast<RankedTensorType>(bytes.getType()));
    op.getRegionOutputArgs()[0].setType(i8);
    Operation *yield = op.getBody()->getTerminator();
    rewriter.setInsertionPoint(yield);
    yield->setOperand(0, arith::ExtUIOp::create(rewriter, loc, i8, yield->getOperand(0)));
    for (OpOperand &use : op->getUses()) {
      auto user = cast<linalg::GenericOp>(use.getOwner());
      BlockArgument element = user.getBody()->getArgument(use.getOperandNumber());
      element.setType(i8);
      rewriter.setInsertionPointToStart(user.getBody());
      Value zero = arith::ConstantOp::create(rewriter, loc, rewriter.getI8IntegerAttr(0));
      Value truth = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ne, element, zero);
      rewriter.replaceAllUsesExcept(element, truth, truth.getDefiningOp());
    }
  }
}

} // namespace

void populateCleanup(RewritePatternSet &patterns, func::FuncOp func, const KernelAbi &abi) {
  MLIRContext *context = patterns.getContext();
  patterns.add<ExtentOfBuffer>(context, func, abi);
  memref::populateResolveRankedShapedTypeResultDimsPatterns(patterns);
  for (StringRef dialect : {"tensor", "linalg", "arith", "affine", "scf"})
    context->getLoadedDialect(dialect)->getCanonicalizationPatterns(patterns);
  for (RegisteredOperationName op : context->getRegisteredOperations())
    if (llvm::is_contained({"tensor", "linalg", "arith", "affine", "scf"},
                           op.getDialectNamespace()))
      op.getCanonicalizationPatterns(patterns, context);
}

LogicalResult normalizeKernel(func::FuncOp func, const KernelAbi &abi, bool keepColumns) {
  MLIRContext *context = func.getContext();
  IRRewriter rewriter(context);
  // Decompositions may give ops that decompose further.
  for (bool changed = true; changed;) {
    changed = false;
    SmallVector<linalg::AggregatedOpInterface> aggregates;
    func.walk([&](linalg::AggregatedOpInterface op) {
      if (!isa<linalg::PackOp, linalg::UnPackOp>(op))
        aggregates.push_back(op);
    });
    for (linalg::AggregatedOpInterface op : aggregates) {
      rewriter.setInsertionPoint(op);
      FailureOr<SmallVector<Value>> values = op.decomposeOperation(rewriter);
      if (failed(values))
        return op.emitError("has no decomposition");
      rewriter.replaceOp(op, *values);
      changed = true;
    }
  }
  auto apply = [&](auto populate) -> LogicalResult {
    RewritePatternSet patterns(context);
    populate(patterns);
    populateCleanup(patterns, func, abi);
    if (failed(applyPatternsGreedily(func, std::move(patterns))))
      return func.emitError("patterns did not converge");
    return success();
  };
  if (failed(apply([](RewritePatternSet &patterns) {
        linalg::populateElementwiseToLinalgConversionPatterns(patterns);
        linalg::populateDecomposePadPatterns(patterns);
        patterns.add<SplatToFill>(patterns.getContext());
        tensor::populateDecomposeTensorConcatPatterns(patterns);
      })))
    return failure();
  SmallVector<linalg::LinalgOp> named;
  func.walk([&](linalg::LinalgOp op) {
    if (!isa<linalg::GenericOp, linalg::FillOp>(op))
      named.push_back(op);
  });
  for (linalg::LinalgOp op : named) {
    rewriter.setInsertionPoint(op);
    (void)linalg::generalizeNamedOp(rewriter, op);
  }
  auto fuse = [&](RewritePatternSet &patterns) {
    patterns.add<WriteThroughReshape>(context, func, abi);
    linalg::populateElementwiseOpsFusionPatterns(patterns, shouldFuse);
    // A part of a wider buffer, as the body's own loops take it, cannot be collapsed in place.
    linalg::populateFoldReshapeOpsByCollapsingPatterns(patterns, [&](OpOperand *operand) {
      Operation *producer = operand->get().getDefiningOp();
      return operand->getOwner()->getParentOp() == func &&
             (!producer || producer->getParentOp() == func);
    });
    tensor::populateReassociativeReshapeFoldingPatterns(patterns);
    tensor::populateFoldTensorEmptyPatterns(patterns);
    linalg::populateEraseUnusedOperandsAndResultsPatterns(patterns);
  };
  if (failed(apply(fuse)))
    return failure();
  collapseLeadingLoops(rewriter, func, keepColumns);
  if (failed(apply(fuse)))
    return failure();
  storeBooleansAsBytes(rewriter, func);
  return success();
}

} // namespace ingot::host
