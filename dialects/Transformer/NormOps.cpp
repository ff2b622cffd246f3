//===- NormOps.cpp - Normalizations over the last axis --------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult RmsNormOp::verify() {
  // C1
  if (failed(requireEqualDims(*this, "C1", {"x", getX(), -1}, {"weight", getWeight(), 0})))
    return failure();
  // C2
  if (failed(requireSameElementType(*this, "C2", "x", getX(), "weight", getWeight())))
    return failure();
  // C3
  return requireFinite(*this, "C3", "eps", getEps(), 0.0, /*strict=*/false);
}

LogicalResult LayerNormOp::verify() {
  for (auto [name, value] : {std::pair<StringRef, Value>{"weight", getWeight()},
                             std::pair<StringRef, Value>{"bias", getBias()}}) {
    if (!value)
      continue;
    // C1
    if (failed(requireEqualDims(*this, "C1", {"x", getX(), -1}, {name, value, 0})))
      return failure();
    // C2
    if (failed(requireSameElementType(*this, "C2", "x", getX(), name, value)))
      return failure();
  }
  // C3
  return requireFinite(*this, "C3", "eps", getEps(), 0.0, /*strict=*/false);
}

LogicalResult L2NormalizeOp::verify() {
  // C1
  return requireFinite(*this, "C1", "eps", getEps(), 0.0, /*strict=*/true);
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> RmsNormOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getX()), leadingDims(op.getX())}};
}

FailureOr<ResultShapes> LayerNormOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getX()), leadingDims(op.getX())}};
}

FailureOr<ResultShapes> L2NormalizeOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getX()), leadingDims(op.getX())}};
}

} // namespace ingot::transformer
