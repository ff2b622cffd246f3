//===- LinearOps.cpp - Linear layers and activations ----------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult LinearOp::verify() {
  // C1
  if (failed(requireEqualDims(*this, "C1", {"x", getX(), -1}, {"weight", getWeight(), 1})))
    return failure();
  // C2
  if (getBias() &&
      failed(requireEqualDims(*this, "C2", {"weight", getWeight(), 0}, {"bias", getBias(), 0})))
    return failure();
  // C3
  if (failed(requireSameElementType(*this, "C3", "x", getX(), "weight", getWeight())))
    return failure();
  return getBias() ? requireSameElementType(*this, "C3", "x", getX(), "bias", getBias())
                   : success();
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> LinearOp::resultShapes(Adaptor op) {
  SmallVector<ResultDim, 4> dims = leadingDims(op.getX(), /*drop=*/1);
  dims.push_back(ResultDim::of(op.getWeight(), 0));
  if (op.getBias())
    dims.back() = dims.back().sameAs(op.getBias(), 0);
  return ResultShapes{{elementTypeOf(op.getX()), dims}};
}

FailureOr<ResultShapes> ActivationOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getX()), leadingDims(op.getX())}};
}

//===----------------------------------------------------------------------===//
// Folds
//===----------------------------------------------------------------------===//

OpFoldResult ActivationOp::fold(FoldAdaptor) {
  if (getX().getType() != getType())
    return {};
  if (getKind() == ActivationKind::Linear)
    return getX();
  // relu(relu(x)) = relu(x)
  auto inner = getX().getDefiningOp<ActivationOp>();
  if (inner && getKind() == ActivationKind::Relu && inner.getKind() == ActivationKind::Relu)
    return getX();
  return {};
}

} // namespace ingot::transformer
