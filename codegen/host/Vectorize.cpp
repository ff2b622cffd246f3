//===- Vectorize.cpp - Tiles to vectors -----------------------------------===//
#include "codegen/host/Tiling.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

using namespace mlir;

namespace ingot::host {

/// A whole tensor is inserted as it is, not without its unit dimensions: upstream swaps the extraction
/// of those with the write before it, and keeps the indices of the higher rank.
struct InsertWhole : OpRewritePattern<tensor::InsertSliceOp> {
  InsertWhole(MLIRContext *context) : OpRewritePattern(context, /*benefit=*/10) {}

  LogicalResult matchAndRewrite(tensor::InsertSliceOp op,
                                PatternRewriter &rewriter) const override {
    auto extract = op.getSource().getDefiningOp<tensor::ExtractSliceOp>();
    if (!extract || extract.getSourceType().getRank() != op.getDestType().getRank() ||
        extract.getSourceType().getShape() != op.getStaticSizes() ||
        extract.getSourceType().getShape() != extract.getStaticSizes() ||
        ShapedType::isDynamicShape(extract.getStaticSizes()) ||
        op.getSourceType().getRank() == op.getDestType().getRank())
      return failure();
    rewriter.modifyOpInPlace(op, [&] { op.getSourceMutable().set(extract.getSource()); });
    return success();
  }
};

LogicalResult vectorizeKernel(func::FuncOp func, const KernelAbi &abi, const HostTarget &target) {
  MLIRContext *context = func.getContext();
  IRRewriter rewriter(context);
  SmallVector<linalg::LinalgOp> ops;
  func.walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    // A vector of i1 in memory is packed bits, a scalar i1 a byte: keep to one of them.
    if (llvm::any_of(op->getOperandTypes(), [](Type type) {
          return isa<TensorType>(type) && getElementTypeOrSelf(type).isInteger(1);
        }))
      continue;
    SmallVector<int64_t> sizes(op.getStaticLoopRanges());
    int64_t elements = 1, numDynamic = 0;
    for (int64_t &size : sizes) {
      if (ShapedType::isDynamic(size)) {
        size = vectorWidth(target);
        ++numDynamic;
      }
      elements *= size;
    }
    if (sizes.empty() || elements > registerTile || (numDynamic && !op->hasAttr(boundedMark)) || numDynamic > 1)
      continue;
    rewriter.setInsertionPoint(op);
    // Upstream reads one flag for each size it is given.
    if (!numDynamic)
      sizes.clear();
    SmallVector<bool> scalable(sizes.size(), false);
    FailureOr<linalg::VectorizationResult> result =
        linalg::vectorize(rewriter, op, sizes, scalable, /*vectorizeNDExtract=*/true);
    if (succeeded(result))
      rewriter.replaceOp(op, result->replacements);
  }
  // Products that are summed become contractions before anything else folds their unit dimensions.
  RewritePatternSet contractions(context);
  vector::populateVectorTransferPermutationMapLoweringPatterns(contractions);
  vector::populateVectorReductionToContractPatterns(contractions);
  if (failed(applyPatternsGreedily(func, std::move(contractions))))
    return func.emitError("forming of contractions did not converge");
  auto fold = [&]() -> LogicalResult {
    RewritePatternSet patterns(context);
    populateCleanup(patterns, func, abi);
    tensor::populateFoldTensorSubsetIntoVectorTransferPatterns(patterns);
    patterns.add<InsertWhole>(context);
    for (RegisteredOperationName op : context->getRegisteredOperations())
      if (op.getDialectNamespace() == "vector")
        op.getCanonicalizationPatterns(patterns, context);
    if (failed(applyPatternsGreedily(func, std::move(patterns))))
      return func.emitError("clean-up after vectorization did not converge");
    return success();
  };
  if (failed(fold()))
    return failure();
  // Sums of a loop over K go around it in registers.
  func.walk([&](scf::ForOp loop) {
    (void)hoistLoopInvariantSubsets(rewriter, cast<LoopLikeOpInterface>(loop.getOperation()));
  });
  return fold();
}

} // namespace ingot::host
