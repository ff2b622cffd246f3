//===- Vectorize.cpp - Tiles to vectors -----------------------------------===//
#include "codegen/host/Tiling.h"

#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/Transforms/Transforms.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"
#include "mlir/Transforms/LoopInvariantCodeMotionUtils.h"

using namespace mlir;

namespace ingot::host {

namespace {

/// A tile of at most this many elements becomes one (multi-register) vector.
constexpr int64_t largestTile = 1024;

} // namespace

LogicalResult vectorizeKernel(func::FuncOp func, const KernelAbi &abi, const HostTarget &target) {
  MLIRContext *context = func.getContext();
  IRRewriter rewriter(context);
  SmallVector<linalg::LinalgOp> ops;
  func.walk([&](linalg::LinalgOp op) { ops.push_back(op); });
  for (linalg::LinalgOp op : ops) {
    SmallVector<int64_t, 4> ranges = op.getStaticLoopRanges();
    int64_t elements = 1;
    for (int64_t range : ranges)
      elements = ShapedType::isDynamic(range) ? largestTile + 1 : elements * range;
    if (elements > largestTile)
      continue;
    rewriter.setInsertionPoint(op);
    FailureOr<linalg::VectorizationResult> result = linalg::vectorize(rewriter, op);
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
