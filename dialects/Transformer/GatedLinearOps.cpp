//===- GatedLinearOps.cpp - Gated linear layers ---------------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

LogicalResult GatedLinearOp::verify() {
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
  if (getBias() && failed(requireSameElementType(*this, "C3", "x", getX(), "bias", getBias())))
    return failure();
  // C4
  int64_t rows = getWeight().getType().getDimSize(0);
  if (!ShapedType::isDynamic(rows) && rows % 2 != 0)
    return emitOpError() << "C4: weight must have an even number of rows, got " << rows;
  return success();
}

FailureOr<ResultShapes> GatedLinearOp::resultShapes(Adaptor op) {
  SmallVector<ResultDim, 4> dims = leadingDims(op.getX(), /*drop=*/1);
  ResultDim rows = ResultDim::of(op.getWeight(), 0);
  if (op.getBias())
    rows = rows.sameAs(op.getBias(), 0);
  dims.push_back(rows.over(2));
  return ResultShapes{{elementTypeOf(op.getX()), dims}};
}

} // namespace ingot::transformer
