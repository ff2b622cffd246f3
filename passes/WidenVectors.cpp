//===- WidenVectors.cpp - Gains and biases stay as the checkpoint has them --===//
#include "dialects/Transformer/TransformerOps.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace ingot {
#define GEN_PASS_DEF_WIDENVECTORS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

namespace {
struct WidenVectors : ingot::impl::WidenVectorsBase<WidenVectors> {
  void runOnOperation() override;
};
} // namespace

void WidenVectors::runOnOperation() {
  getOperation().walk([](transformer::WeightOp weight) {
    auto narrow = cast<RankedTensorType>(weight.getType());
    if (narrow.getRank() != 1 ||
        !(narrow.getElementType().isF16() || narrow.getElementType().isBF16()))
      return;
    OpBuilder builder(weight);
    builder.setInsertionPointAfter(weight);
    Value result = weight.getResult();
    result.setType(narrow.clone(builder.getF32Type()));
    auto rounded = arith::TruncFOp::create(builder, weight.getLoc(), narrow, result);
    result.replaceAllUsesExcept(rounded, rounded);
  });
}
