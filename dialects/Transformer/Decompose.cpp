//===- Decompose.cpp - Transformer ops to linalg --------------------------===//
#include "dialects/Transformer/Decompose.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/PatternMatch.h"
#include "mlir/Pass/Pass.h"

using namespace mlir;

namespace ingot::transformer {

LogicalResult decomposeTransformerOps(Operation *root) {
  IRRewriter rewriter(root->getContext());
  SmallVector<linalg::AggregatedOpInterface> ops;
  auto collect = [&]() {
    ops.clear();
    root->walk([&](Operation *op) {
      if (isa_and_nonnull<TransformerDialect>(op->getDialect()))
        if (auto aggregated = dyn_cast<linalg::AggregatedOpInterface>(op))
          ops.push_back(aggregated);
    });
    return !ops.empty();
  };
  // Some decompose into others that decompose further.
  while (collect())
    for (linalg::AggregatedOpInterface op : ops) {
      rewriter.setInsertionPoint(op);
      FailureOr<SmallVector<Value>> values = op.decomposeOperation(rewriter);
      if (failed(values))
        return op->emitOpError("cannot be decomposed");
      rewriter.replaceOp(op, *values);
    }
  return success();
}

namespace {
struct DecomposeTransformerPass : public PassWrapper<DecomposeTransformerPass, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(DecomposeTransformerPass)

  StringRef getArgument() const override { return "decompose-transformer"; }
  StringRef getDescription() const override {
    return "Replace transformer ops by their decompositions into linalg, tensor, arith, math and "
           "scf";
  }
  void getDependentDialects(DialectRegistry &registry) const override {
    registry.insert<TransformerDialect>();
  }
  void runOnOperation() override {
    if (failed(decomposeTransformerOps(getOperation())))
      signalPassFailure();
  }
};
} // namespace

void registerDecomposeTransformerPass() { PassRegistration<DecomposeTransformerPass>(); }

} // namespace ingot::transformer
