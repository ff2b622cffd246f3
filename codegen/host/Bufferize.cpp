//===- Bufferize.cpp - Tensors to buffers, blocks and scratch -------------===//
//
// One-shot bufferization writes results straight into the destination buffers where it can. What is
// left over are local buffers: small static ones go to the stack, all others get a fixed place in the
// worker's scratch, sized at the compiled maxima. Nothing is ever taken from the heap.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Transforms.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/DeviceMappingInterface.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/Transforms/Transforms.h"
#include "mlir/IR/Dominance.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/CSE.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace ingot::host {

namespace {

/// A static local buffer up to this size lives on the stack, up to stackTotal in all.
constexpr uint64_t stackBuffer = 16 << 10;
constexpr uint64_t stackTotal = 64 << 10;
constexpr uint64_t alignment = 64;

/// An upper bound of `value` over all launches, for non-negative index arithmetic.
class UpperBound {
public:
  UpperBound(func::FuncOp func, const KernelAbi &abi) : func(func), abi(abi) {}

  std::optional<int64_t> of(OpFoldResult value) {
    if (auto constant = getConstantIntValue(value))
      return constant;
    return of(cast<Value>(value));
  }

  std::optional<int64_t> of(Value value) {
    if (auto constant = getConstantIntValue(value))
      return constant;
    if (auto argument = dyn_cast<BlockArgument>(value)) {
      int64_t number = argument.getArgNumber() - abi.numBuffers;
      if (argument.getOwner() == &func.getBody().front())
        return number >= 0 && number < abi.numSizes ? std::optional(abi.sizeMax[number])
                                                    : std::nullopt;
      // An induction variable stays below its loop's upper bound.
      if (auto loop = dyn_cast<scf::ForOp>(argument.getOwner()->getParentOp()))
        return argument == loop.getInductionVar() ? of(loop.getUpperBound()) : std::nullopt;
      if (auto loop = dyn_cast<scf::ForallOp>(argument.getOwner()->getParentOp()))
        if (argument.getArgNumber() < loop.getRank())
          return of(loop.getMixedUpperBound()[argument.getArgNumber()]);
      return std::nullopt;
    }
    Operation *op = value.getDefiningOp();
    if (auto min = dyn_cast<affine::AffineMinOp>(op))
      return ofMap(min.getAffineMap(), min.getOperands(), /*isMin=*/true);
    if (auto max = dyn_cast<affine::AffineMaxOp>(op))
      return ofMap(max.getAffineMap(), max.getOperands(), /*isMin=*/false);
    if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
      return ofMap(apply.getAffineMap(), apply.getOperands(), /*isMin=*/false);
    if (auto min = dyn_cast<arith::MinSIOp>(op)) {
      std::optional<int64_t> a = of(min.getLhs()), b = of(min.getRhs());
      return a && b ? std::optional(std::min(*a, *b)) : (a ? a : b);
    }
    if (auto difference = dyn_cast<arith::SubIOp>(op))
      return of(difference.getLhs());
    if (isa<arith::MulIOp, arith::AddIOp, arith::MaxSIOp, arith::SelectOp>(op)) {
      unsigned first = isa<arith::SelectOp>(op);
      std::optional<int64_t> a = of(op->getOperand(first)), b = of(op->getOperand(first + 1));
      if (!a || !b)
        return std::nullopt;
      return isa<arith::MulIOp>(op)   ? *a * *b
             : isa<arith::AddIOp>(op) ? *a + *b
                                      : std::max(*a, *b);
    }
    if (isa<arith::DivSIOp, arith::DivUIOp, arith::CeilDivSIOp, arith::CeilDivUIOp>(op)) {
      std::optional<int64_t> a = of(op->getOperand(0));
      std::optional<int64_t> b = getConstantIntValue(op->getOperand(1));
      if (!a || !b || *b <= 0)
        return std::nullopt;
      return isa<arith::DivSIOp, arith::DivUIOp>(op) ? *a / *b : llvm::divideCeil(*a, *b);
    }
    if (auto dim = dyn_cast<memref::DimOp>(op))
      if (std::optional<int64_t> index = dim.getConstantIndex())
        return ofDim(dim.getSource(), *index);
    return std::nullopt;
  }

private:
  std::optional<int64_t> ofDim(Value buffer, int64_t index) {
    auto type = cast<MemRefType>(buffer.getType());
    if (!type.isDynamicDim(index))
      return type.getDimSize(index);
    if (auto view = buffer.getDefiningOp<memref::SubViewOp>())
      return type.getRank() == view.getSourceType().getRank()
                 ? of(view.getMixedSizes()[index])
                 : std::nullopt;
    if (auto alloc = buffer.getDefiningOp<memref::AllocOp>())
      return of(alloc.getDynamicSizes()[type.getDynamicDimIndex(index)]);
    if (auto expand = buffer.getDefiningOp<memref::ExpandShapeOp>())
      return of(expand.getMixedOutputShape()[index]);
    return std::nullopt;
  }

  /// The bound of each result by interval arithmetic: operands lie in [0, bound].
  std::optional<int64_t> ofMap(AffineMap map, ValueRange operands, bool isMin) {
    std::optional<int64_t> bound;
    for (AffineExpr expr : map.getResults()) {
      std::optional<int64_t> one = ofExpr(expr, map.getNumDims(), operands);
      if (!one && !isMin)
        return std::nullopt;
      if (one)
        bound = !bound ? *one : isMin ? std::min(*bound, *one) : std::max(*bound, *one);
    }
    return bound;
  }

  std::optional<int64_t> ofExpr(AffineExpr expr, unsigned numDims, ValueRange operands) {
    if (auto constant = dyn_cast<AffineConstantExpr>(expr))
      return constant.getValue();
    if (auto dim = dyn_cast<AffineDimExpr>(expr))
      return of(operands[dim.getPosition()]);
    if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
      return of(operands[numDims + symbol.getPosition()]);
    auto binary = cast<AffineBinaryOpExpr>(expr);
    auto factor = dyn_cast<AffineConstantExpr>(binary.getRHS());
    std::optional<int64_t> lhs = ofExpr(binary.getLHS(), numDims, operands);
    if (expr.getKind() == AffineExprKind::Mul && factor && factor.getValue() <= 0)
      return 0; // minus a non-negative value
    if (!lhs)
      return std::nullopt;
    switch (expr.getKind()) {
    case AffineExprKind::Add: {
      std::optional<int64_t> rhs = ofExpr(binary.getRHS(), numDims, operands);
      return rhs ? std::optional(*lhs + *rhs) : std::nullopt;
    }
    case AffineExprKind::Mul: {
      std::optional<int64_t> rhs = ofExpr(binary.getRHS(), numDims, operands);
      return rhs ? std::optional(*lhs * *rhs) : std::nullopt;
    }
    case AffineExprKind::Mod:
      return factor ? std::optional(factor.getValue() - 1) : std::nullopt;
    case AffineExprKind::FloorDiv:
      return factor ? std::optional(llvm::divideFloorSigned(*lhs, factor.getValue()))
                    : std::nullopt;
    case AffineExprKind::CeilDiv:
      return factor ? std::optional(llvm::divideCeilSigned(*lhs, factor.getValue()))
                    : std::nullopt;
    default:
      return std::nullopt;
    }
  }

  func::FuncOp func;
  const KernelAbi &abi;
};

/// Blocks come along x first, then y. Where `band` blocks of y shall take turns at each block of x,
/// the position is where the block at (x, y) of that order is in theirs. The last band is as high as
/// there are blocks left.
std::pair<Value, Value> positionInBand(OpBuilder &b, Location loc, int64_t band, Value x, Value y,
                                       Value width, Value height) {
  Value most = arith::ConstantIndexOp::create(b, loc, band);
  Value number = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, y, width), x);
  Value whole = arith::MulIOp::create(b, loc, width, most);
  Value top = arith::MulIOp::create(b, loc, arith::DivUIOp::create(b, loc, number, whole), most);
  Value inside = arith::RemUIOp::create(b, loc, number, whole);
  Value rows = arith::MinSIOp::create(b, loc, arith::SubIOp::create(b, loc, height, top), most);
  Value column = arith::DivUIOp::create(b, loc, inside, rows);
  Value row = arith::AddIOp::create(b, loc, top, arith::RemUIOp::create(b, loc, inside, rows));
  return {column, row};
}

/// The grid is the parallel loop that the plan mapped to blocks: its induction variables become the
/// block's position, dimension 0 being x, 1 y, and z running over all others. A parallel loop without
/// a mapping is an ordinary loop.
LogicalResult forallToBlocks(func::FuncOp func, const KernelAbi &abi) {
  IRRewriter rewriter(func.getContext());
  SmallVector<scf::ForallOp> loops;
  func.walk([&](scf::ForallOp loop) { loops.push_back(loop); });
  for (scf::ForallOp loop : loops) {
    rewriter.setInsertionPoint(loop);
    if (!loop.getMapping() || loop.getMapping()->empty()) {
      if (failed(scf::forallToForLoop(rewriter, loop)))
        return loop.emitError("cannot be made sequential");
      continue;
    }
    Location loc = loop.getLoc();
    SmallVector<std::pair<int64_t, unsigned>> order; // grid dimension, loop dimension
    for (auto [i, attribute] : llvm::enumerate(*loop.getMapping()))
      order.push_back({cast<DeviceMappingAttrInterface>(attribute).getRelativeIndex(), i});
    llvm::sort(order);
    SmallVector<Value> positions(loop.getRank());
    auto countOf = [&](unsigned i) -> Value {
      auto value = [&](OpFoldResult bound) {
        return getValueOrCreateConstantIndexOp(rewriter, loc, bound);
      };
      Value extent = arith::SubIOp::create(rewriter, loc, value(loop.getMixedUpperBound()[i]),
                                           value(loop.getMixedLowerBound()[i]));
      return arith::CeilDivSIOp::create(rewriter, loc, extent, value(loop.getMixedStep()[i]));
    };
    Value inPlane[] = {abi.block(func, 0), abi.block(func, 1)}, rest = abi.block(func, 2);
    if (auto band = loop->getAttrOfType<IntegerAttr>(bandMark);
        band && order.size() > 1 && order[0].first == 0 && order[1].first == 1)
      std::tie(inPlane[0], inPlane[1]) =
          positionInBand(rewriter, loc, band.getInt(), inPlane[0], inPlane[1],
                         countOf(order[0].second), countOf(order[1].second));
    for (auto [dimension, i] : order) {
      Value lower = getValueOrCreateConstantIndexOp(rewriter, loc, loop.getMixedLowerBound()[i]);
      Value step = getValueOrCreateConstantIndexOp(rewriter, loc, loop.getMixedStep()[i]);
      Value block;
      if (dimension < 2) {
        block = inPlane[dimension];
      } else if (dimension == order.back().first) {
        block = rest;
      } else {
        Value count = countOf(i);
        block = arith::RemSIOp::create(rewriter, loc, rest, count);
        rest = arith::DivSIOp::create(rewriter, loc, rest, count);
      }
      Value offset = arith::MulIOp::create(rewriter, loc, block, step);
      positions[i] = arith::AddIOp::create(rewriter, loc, lower, offset);
    }
    rewriter.eraseOp(loop.getTerminator());
    rewriter.inlineBlockBefore(loop.getBody(), loop, positions);
    rewriter.eraseOp(loop);
  }
  return success();
}

LogicalResult placeLocalBuffers(func::FuncOp func, KernelAbi &abi) {
  OpBuilder builder(func.getContext());
  Block &entry = func.getBody().front();
  Location loc = func.getLoc();
  UpperBound bound(func, abi);
  Value scratch = entry.addArgument(
      MemRefType::get({ShapedType::kDynamic}, builder.getI8Type()), loc);
  func.setFunctionType(builder.getFunctionType(entry.getArgumentTypes(), {}));

  SmallVector<memref::AllocOp> allocs;
  func.walk([&](memref::AllocOp alloc) { allocs.push_back(alloc); });
  uint64_t onStack = 0;
  for (memref::AllocOp alloc : allocs) {
    MemRefType type = alloc.getType();
    uint64_t bytes = llvm::divideCeil(type.getElementTypeBitWidth(), 8);
    if (type.getElementType().isIndex())
      bytes = 8;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      std::optional<int64_t> extent =
          type.isDynamicDim(d) ? bound.of(alloc.getDynamicSizes()[type.getDynamicDimIndex(d)])
                               : std::optional(type.getDimSize(d));
      if (!extent || *extent < 0)
        return alloc.emitError("no upper bound for dimension ")
               << d << " of a local buffer of type " << type;
      bool overflow = false;
      bytes = llvm::SaturatingMultiply<uint64_t>(bytes, *extent, &overflow);
      if (overflow || bytes >> 40)
        return alloc.emitError("a local buffer of type ") << type << " is too large";
    }
    bytes = llvm::alignTo(std::max<uint64_t>(bytes, 1), alignment);
    Value place;
    if (type.hasStaticShape() && bytes <= stackBuffer && onStack + bytes <= stackTotal) {
      onStack += bytes;
      builder.setInsertionPointToStart(&entry);
      place = memref::AllocaOp::create(builder, loc, type, builder.getI64IntegerAttr(alignment));
    } else {
      builder.setInsertionPoint(alloc);
      Value offset = arith::ConstantIndexOp::create(builder, loc, abi.scratchBytes);
      place = memref::ViewOp::create(builder, loc, type, scratch, offset, alloc.getDynamicSizes());
      abi.scratchBytes += bytes;
    }
    alloc.replaceAllUsesWith(place);
    alloc.erase();
  }
  func.walk([](memref::DeallocOp dealloc) { dealloc.erase(); });
  return success();
}

/// The address of the first element of `buffer`.
Value addressOf(OpBuilder &builder, Location loc, Value buffer) {
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, buffer);
  Value offset = memref::ExtractStridedMetadataOp::create(builder, loc, buffer).getOffset();
  int64_t bytes =
      llvm::divideCeil(getElementTypeOrSelf(buffer.getType()).getIntOrFloatBitWidth(), 8);
  Value size = arith::ConstantIndexOp::create(builder, loc, bytes);
  return arith::AddIOp::create(builder, loc, base,
                               arith::MulIOp::create(builder, loc, offset, size));
}

/// Copies and what the vectorizer left are loops; LLVM vectorizes the simple ones.
LogicalResult lowerToLoops(func::FuncOp func) {
  IRRewriter rewriter(func.getContext());
  SmallVector<memref::CopyOp> copies;
  func.walk([&](memref::CopyOp copy) { copies.push_back(copy); });
  for (memref::CopyOp copy : copies) {
    rewriter.setInsertionPoint(copy);
    // Where a result may lie over an input, what is in its place already need not be copied.
    if (func->hasAttr("ingot.may_alias") && getElementTypeOrSelf(copy.getSource()).isIntOrFloat()) {
      Location loc = copy.getLoc();
      Value isElsewhere = arith::CmpIOp::create(rewriter, loc, arith::CmpIPredicate::ne,
                                                addressOf(rewriter, loc, copy.getSource()),
                                                addressOf(rewriter, loc, copy.getTarget()));
      rewriter.setInsertionPointToStart(scf::IfOp::create(rewriter, loc, isElsewhere).thenBlock());
    }
    if (copy.getSource() != copy.getTarget())
      linalg::makeMemRefCopyOp(rewriter, copy.getLoc(), copy.getSource(), copy.getTarget());
    rewriter.eraseOp(copy);
  }
  SmallVector<linalg::LinalgOp> ops;
  func.walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    rewriter.setInsertionPoint(op);
    if (failed(linalg::linalgOpToLoops(rewriter, op)))
      return op.emitError("cannot be lowered to loops");
    rewriter.eraseOp(op);
  }
  return success();
}

/// Upstream's lowering of expand_shape knows one dynamic extent a group; B * S to B, S has two. A
/// contiguous buffer seen in another shape needs only its extents.
void lowerExpansions(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<memref::ExpandShapeOp> ops;
  func.walk([&](memref::ExpandShapeOp op) { ops.push_back(op); });
  for (memref::ExpandShapeOp op : ops) {
    auto type = op.getResultType();
    if (!op.getSrcType().getLayout().isIdentity() || !type.getLayout().isIdentity())
      continue;
    rewriter.setInsertionPoint(op);
    SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
    SmallVector<OpFoldResult> strides(sizes.size());
    OpFoldResult stride = rewriter.getIndexAttr(1);
    AffineExpr a = rewriter.getAffineSymbolExpr(0), b = rewriter.getAffineSymbolExpr(1);
    for (int64_t d = sizes.size() - 1; d >= 0; --d) {
      strides[d] = stride;
      stride = affine::makeComposedFoldedAffineApply(rewriter, op.getLoc(), a * b,
                                                     {stride, sizes[d]});
    }
    rewriter.replaceOpWithNewOp<memref::ReinterpretCastOp>(
        op, type, op.getSrc(), OpFoldResult(rewriter.getIndexAttr(0)), sizes, strides);
  }
}

/// Layouts that no tiling read through are undone by a copy.
LogicalResult lowerPacks(RewriterBase &rewriter, func::FuncOp func) {
  SmallVector<Operation *> ops;
  func.walk([&](Operation *op) {
    if (isa<linalg::PackOp, linalg::UnPackOp>(op))
      ops.push_back(op);
  });
  for (Operation *op : ops) {
    rewriter.setInsertionPoint(op);
    if (isOpTriviallyDead(op)) {
      rewriter.eraseOp(op);
      continue;
    }
    auto pack = dyn_cast<linalg::PackOp>(op);
    if (pack ? failed(linalg::lowerPack(rewriter, pack))
             : failed(linalg::lowerUnPack(rewriter, cast<linalg::UnPackOp>(op))))
      return op->emitError("cannot be lowered");
  }
  return success();
}

} // namespace

LogicalResult bufferizeKernel(func::FuncOp func, KernelAbi &abi) {
  IRRewriter rewriter(func.getContext());
  if (failed(lowerPacks(rewriter, func)))
    return failure();
  bufferization::OneShotBufferizationOptions options;
  options.allowReturnAllocsFromLoops = true;
  options.bufferAlignment = alignment;
  // Inside one block of the grid there is one thread.
  options.checkParallelRegions = false;
  if (failed(bufferization::eliminateEmptyTensors(rewriter, func)))
    return func.emitError("empty tensor elimination failed");
  bufferization::BufferizationState state;
  if (failed(bufferization::runOneShotBufferize(func, options, state)))
    return func.emitError("bufferization failed");
  RewritePatternSet patterns(func.getContext());
  for (StringRef dialect : {"memref", "arith", "scf", "bufferization", "affine"})
    if (Dialect *loaded = func.getContext()->getLoadedDialect(dialect))
      loaded->getCanonicalizationPatterns(patterns);
  for (RegisteredOperationName op : func.getContext()->getRegisteredOperations())
    if (llvm::is_contained({"memref", "scf", "affine", "bufferization"},
                           op.getDialectNamespace()))
      op.getCanonicalizationPatterns(patterns, func.getContext());
  if (failed(applyPatternsGreedily(func, std::move(patterns))))
    return func.emitError("clean-up after bufferization did not converge");
  if (failed(forallToBlocks(func, abi)))
    return failure();
  // Equal views become one value, and copies of a buffer onto itself disappear.
  DominanceInfo dominance(func);
  eliminateCommonSubExpressions(rewriter, dominance, func);
  if (failed(placeLocalBuffers(func, abi)))
    return failure();
  lowerExpansions(rewriter, func);
  return lowerToLoops(func);
}

} // namespace ingot::host
