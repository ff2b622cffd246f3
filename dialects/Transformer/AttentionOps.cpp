//===- AttentionOps.cpp - The parts of attention --------------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/PatternMatch.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult SplitHeadsOp::verify() {
  // C1
  if (failed(requireAtLeast(*this, "C1", "heads", getHeads(), 1)))
    return failure();
  // C2
  int64_t width = getX().getType().getDimSize(2);
  if (!ShapedType::isDynamic(width) && width % getHeads() != 0)
    return emitOpError() << "C2: the last axis of x must be a multiple of heads = " << getHeads()
                         << ", got " << width;
  return success();
}

LogicalResult MergeHeadsOp::verify() {
  // C1
  if (getX().getType().isDynamicDim(1))
    return emitOpError() << "C1: the head axis of x must be static, got " << getX().getType();
  return success();
}

LogicalResult RepeatKvOp::verify() {
  // C1
  return requireAtLeast(*this, "C1", "repeats", getRepeats(), 1);
}

LogicalResult MatmulOp::verify() {
  // C1
  for (int64_t dim = 0; dim < 2; ++dim)
    if (failed(requireEqualDims(*this, "C1", {"lhs", getLhs(), dim}, {"rhs", getRhs(), dim})))
      return failure();
  // C2
  if (failed(requireEqualDims(*this, "C2", {"lhs", getLhs(), 3},
                              {"rhs", getRhs(), getTransposeRhs() ? 3 : 2})))
    return failure();
  // C3
  return requireSameElementType(*this, "C3", "lhs", getLhs(), "rhs", getRhs());
}

LogicalResult AttentionMaskOp::verify() {
  OperandDim batch{"query_positions", getQueryPositions(), 0};
  // C1
  if (failed(requireEqualDims(*this, "C1", batch, {"key_positions", getKeyPositions(), 0})))
    return failure();
  if (getKeyValid()) {
    if (failed(requireEqualDims(*this, "C1", batch, {"key_valid", getKeyValid(), 0})))
      return failure();
    // C2
    if (failed(requireEqualDims(*this, "C2", {"key_positions", getKeyPositions(), 1},
                                {"key_valid", getKeyValid(), 1})))
      return failure();
  }
  // C3
  return getWindow() ? requireAtLeast(*this, "C3", "window", *getWindow(), 1) : success();
}

LogicalResult ApplyMaskOp::verify() {
  // C1
  for (auto [scoreDim, maskDim] : {std::pair<int64_t, int64_t>{0, 0}, {2, 1}, {3, 2}})
    if (failed(requireEqualDims(*this, "C1", {"scores", getScores(), scoreDim},
                                {"mask", getMask(), maskDim})))
      return failure();
  return success();
}

LogicalResult AddBiasOp::verify() {
  // C1
  for (int64_t dim : {2, 3})
    if (failed(
            requireEqualDims(*this, "C1", {"scores", getScores(), dim}, {"bias", getBias(), dim})))
      return failure();
  // C2
  return requireRepeatable(*this, "C2", {"scores", getScores(), 0}, {"bias", getBias(), 0});
}

LogicalResult AddAlibiOp::verify() {
  Value scores = getScores();
  // C1
  if (failed(requireEqualDims(*this, "C1", {"scores", scores, 1}, {"slopes", getSlopes(), 0})))
    return failure();
  // C2
  for (int64_t dim : {0, 1})
    if (failed(requireEqualDims(*this, "C2", {"scores", scores, 2 * dim},
                                {"query_positions", getQueryPositions(), dim})))
      return failure();
  // C3
  for (int64_t dim : {0, 1})
    if (failed(requireEqualDims(*this, "C3", {"scores", scores, 3 * dim},
                                {"key_positions", getKeyPositions(), dim})))
      return failure();
  return success();
}

LogicalResult ScaleHeadsOp::verify() {
  // C1
  return requireEqualDims(*this, "C1", {"x", getX(), 1}, {"factors", getFactors(), 0});
}

LogicalResult SoftmaxOp::verify() {
  // C1
  if (!getSinks())
    return success();
  if (getX().getType().getRank() < 3)
    return emitOpError() << "C1: x must have at least three axes with sinks, got "
                         << getX().getType();
  return requireEqualDims(*this, "C1", {"x", getX(), 1}, {"sinks", getSinks(), 0});
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> SplitHeadsOp::resultShapes(Adaptor op) {
  Value x = op.getX();
  return ResultShapes{{elementTypeOf(x),
                       {ResultDim::of(x, 0), ResultDim::constant(op.getHeads()),
                        ResultDim::of(x, 1), ResultDim::of(x, 2).over(op.getHeads())}}};
}

FailureOr<ResultShapes> MergeHeadsOp::resultShapes(Adaptor op) {
  Value x = op.getX();
  auto type = dyn_cast<RankedTensorType>(x.getType());
  if (!type || type.getRank() != 4 || type.isDynamicDim(1))
    return failure();
  return ResultShapes{
      {elementTypeOf(x),
       {ResultDim::of(x, 0), ResultDim::of(x, 2), ResultDim::of(x, 3).times(type.getDimSize(1))}}};
}

FailureOr<ResultShapes> RepeatKvOp::resultShapes(Adaptor op) {
  Value x = op.getX();
  return ResultShapes{{elementTypeOf(x),
                       {ResultDim::of(x, 0), ResultDim::of(x, 1).times(op.getRepeats()),
                        ResultDim::of(x, 2), ResultDim::of(x, 3)}}};
}

FailureOr<ResultShapes> MatmulOp::resultShapes(Adaptor op) {
  Value lhs = op.getLhs(), rhs = op.getRhs();
  return ResultShapes{{elementTypeOf(lhs),
                       {ResultDim::of(lhs, 0).sameAs(rhs, 0), ResultDim::of(lhs, 1).sameAs(rhs, 1),
                        ResultDim::of(lhs, 2), ResultDim::of(rhs, op.getTransposeRhs() ? 2 : 3)}}};
}

FailureOr<ResultShapes> AttentionMaskOp::resultShapes(Adaptor op) {
  Value queries = op.getQueryPositions(), keys = op.getKeyPositions();
  return ResultShapes{{IntegerType::get(queries.getContext(), 1),
                       {ResultDim::of(queries, 0).sameAs(keys, 0), ResultDim::of(queries, 1),
                        op.getKeyValid() ? ResultDim::of(keys, 1).sameAs(op.getKeyValid(), 1)
                                         : ResultDim::of(keys, 1)}}};
}

FailureOr<ResultShapes> ApplyMaskOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getScores()), leadingDims(op.getScores())}};
}

FailureOr<ResultShapes> AddBiasOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getScores()), leadingDims(op.getScores())}};
}

FailureOr<ResultShapes> AddAlibiOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getScores()), leadingDims(op.getScores())}};
}

FailureOr<ResultShapes> ScaleHeadsOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getX()), leadingDims(op.getX())}};
}

FailureOr<ResultShapes> SoftmaxOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getX()), leadingDims(op.getX())}};
}

//===----------------------------------------------------------------------===//
// Folds
//===----------------------------------------------------------------------===//

OpFoldResult SplitHeadsOp::fold(FoldAdaptor) {
  // split(merge(x)) = x, if it is split into the heads that were merged
  auto merge = getX().getDefiningOp<MergeHeadsOp>();
  if (merge && merge.getX().getType() == getType())
    return merge.getX();
  return {};
}

OpFoldResult MergeHeadsOp::fold(FoldAdaptor) {
  // merge(split(x)) = x
  auto split = getX().getDefiningOp<SplitHeadsOp>();
  if (split && split.getX().getType() == getType())
    return split.getX();
  return {};
}

OpFoldResult RepeatKvOp::fold(FoldAdaptor) {
  if (getRepeats() == 1 && getX().getType() == getType())
    return getX();
  return {};
}

namespace {
/// repeat(repeat(x, m), n) = repeat(x, m * n): head h of either is head h / (m * n) of x.
struct MergeRepeats : OpRewritePattern<RepeatKvOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(RepeatKvOp op, PatternRewriter &rewriter) const override {
    auto inner = op.getX().getDefiningOp<RepeatKvOp>();
    if (!inner)
      return rewriter.notifyMatchFailure(op, "the operand is not repeated");
    std::optional<int64_t> repeats = llvm::checkedMul<int64_t>(inner.getRepeats(), op.getRepeats());
    if (!repeats)
      return rewriter.notifyMatchFailure(op, "the product of the repeats leaves 64 bits");
    rewriter.replaceOpWithNewOp<RepeatKvOp>(op, op.getType(), inner.getX(), *repeats);
    return success();
  }
};
} // namespace

void RepeatKvOp::getCanonicalizationPatterns(RewritePatternSet &patterns, MLIRContext *context) {
  patterns.add<MergeRepeats>(context);
}

OpFoldResult ApplyMaskOp::fold(FoldAdaptor) {
  // Masking is idempotent.
  auto inner = getScores().getDefiningOp<ApplyMaskOp>();
  if (inner && inner.getMask() == getMask() && inner.getType() == getType())
    return inner.getResult();
  return {};
}

} // namespace ingot::transformer
