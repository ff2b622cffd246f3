//===- WidenAfterUnpack.cpp - Results leave packed memory in 16 bits --------===//
#include "dialects/Transformer/TransformerOps.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

namespace ingot {
#define GEN_PASS_DEF_WIDENAFTERUNPACK
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

namespace {
struct WidenAfterUnpack : ingot::impl::WidenAfterUnpackBase<WidenAfterUnpack> {
  void runOnOperation() override;
};
} // namespace

void WidenAfterUnpack::runOnOperation() {
  getOperation().walk([](transformer::UnpackOp unpack) {
    auto widen = unpack.getOperand(0).getDefiningOp<arith::ExtFOp>();
    if (!widen)
      return;
    OpBuilder builder(unpack);
    builder.setInsertionPointAfter(unpack);
    Value result = unpack->getResult(0);
    auto wide = cast<RankedTensorType>(result.getType());
    unpack->setOperand(0, widen.getIn());
    result.setType(wide.clone(getElementTypeOrSelf(widen.getIn().getType())));
    auto widened = arith::ExtFOp::create(builder, unpack.getLoc(), wide, result);
    result.replaceAllUsesExcept(widened, widened);
    if (widen->use_empty())
      widen.erase();
  });
}
