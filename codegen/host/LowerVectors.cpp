//===- LowerVectors.cpp - n-D vectors to registers ------------------------===//
//
// Contractions become outer products (one broadcast and one multiply-add per row and weight vector),
// n-D transfers become 1-D loads and stores, masks become compares with a lane index, and math ops
// become arithmetic. After this only 1-D vectors of the arith and vector dialects remain.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Linalg/Transforms/Hoisting.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/Passes.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorTransforms.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

using namespace mlir;

namespace ingot::host {

LogicalResult lowerVectors(func::FuncOp func, const HostTarget &target) {
  MLIRContext *context = func.getContext();
  auto apply = [&](StringRef what, auto populate) -> LogicalResult {
    RewritePatternSet patterns(context);
    populate(patterns);
    if (failed(applyPatternsGreedily(func, std::move(patterns),
                                     GreedyRewriteConfig().setMaxNumRewrites(200000))))
      return func.emitError() << what << " did not converge";
    return success();
  };
  auto canonicalize = [&](RewritePatternSet &patterns) {
    context->getLoadedDialect<vector::VectorDialect>()->getCanonicalizationPatterns(patterns);
    for (RegisteredOperationName op : context->getRegisteredOperations())
      if (op.getDialectNamespace() == "vector")
        op.getCanonicalizationPatterns(patterns, context);
  };

  if (failed(apply("lowering of masks and contractions", [&](RewritePatternSet &patterns) {
        vector::populateVectorMaskLoweringPatternsForSideEffectingOps(patterns);
        vector::populateVectorTransferPermutationMapLoweringPatterns(patterns);
        vector::populateVectorContractLoweringPatterns(
            patterns, vector::VectorContractLowering::OuterProduct);
        vector::populateVectorOuterProductLoweringPatterns(patterns);
        vector::populateVectorMultiReductionLoweringPatterns(
            patterns, vector::VectorMultiReductionLowering::InnerReduction);
        canonicalize(patterns);
      })))
    return failure();
  // Lowerings and canonicalization in turns: together, some undo each other.
  if (failed(apply("lowering of transfers", [&](RewritePatternSet &patterns) {
        populateVectorToSCFConversionPatterns(
            patterns, VectorTransferToSCFOptions().enableFullUnroll().setTargetRank(1));
        vector::populateVectorTransferLoweringPatterns(patterns, /*maxTransferRank=*/1);
      })) ||
      failed(apply("canonicalization of vectors", canonicalize)))
    return failure();
  if (failed(apply("lowering of permutations and masks", [&](RewritePatternSet &patterns) {
        vector::populateVectorBroadcastLoweringPatterns(patterns);
        vector::populateVectorTransposeLoweringPatterns(
            patterns, target.lanes == 16 ? vector::VectorTransposeLowering::Shuffle16x16
                                         : vector::VectorTransposeLowering::Shuffle1D);
        vector::populateVectorMaskOpLoweringPatterns(patterns);
        vector::populateVectorGatherLoweringPatterns(patterns);
        vector::populateVectorStepLoweringPatterns(patterns);
        vector::populateVectorRankReducingFMAPattern(patterns);
      })) ||
      failed(apply("canonicalization of vectors", canonicalize)))
    return failure();
  if (failed(apply("lowering of shape casts and strided slices", [&](RewritePatternSet &patterns) {
        vector::populateVectorShapeCastLoweringPatterns(patterns);
        vector::populateVectorInsertExtractStridedSliceTransforms(patterns);
        vector::populateVectorInterleaveLoweringPatterns(patterns);
        vector::populateVectorBitCastLoweringPatterns(patterns);
      })))
    return failure();
  if (failed(apply("expansion of math functions", [&](RewritePatternSet &patterns) {
        populateMathExpansionPatterns(patterns, target.hasFma);
      })))
    return failure();
  WalkResult walk = func.walk([&](Operation *op) {
    if (!isa<math::MathDialect>(op->getDialect()) ||
        isa<math::AbsFOp, math::AbsIOp, math::CeilOp, math::FloorOp, math::TruncOp,
            math::RoundEvenOp, math::SqrtOp, math::FmaOp, math::CopySignOp,
            math::CountLeadingZerosOp, math::CountTrailingZerosOp, math::CtPopOp, math::IsNaNOp,
            math::IsInfOp, math::IsFiniteOp, math::IsNormalOp>(op))
      return WalkResult::advance();
    op->emitError("the host code generator has no expansion of ")
        << op->getName() << " on " << op->getResult(0).getType();
    return WalkResult::interrupt();
  });
  return failure(walk.wasInterrupted());
}

} // namespace ingot::host
