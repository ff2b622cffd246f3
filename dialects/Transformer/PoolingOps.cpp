//===- PoolingOps.cpp - From tokens to one vector a row -------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult SelectTokenOp::verify() {
  // C1
  return requireEqualDims(*this, "C1", {"x", getX(), 0}, {"index", getIndex(), 0});
}

LogicalResult MeanPoolOp::verify() {
  // C1
  for (int64_t dim = 0; dim < 2; ++dim)
    if (failed(requireEqualDims(*this, "C1", {"x", getX(), dim}, {"mask", getMask(), dim})))
      return failure();
  return success();
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> FirstTokenOp::resultShapes(Adaptor op) {
  return ResultShapes{
      {IntegerType::get(op.getMask().getContext(), 32), {ResultDim::of(op.getMask(), 0)}}};
}

FailureOr<ResultShapes> SelectTokenOp::resultShapes(Adaptor op) {
  return ResultShapes{
      {elementTypeOf(op.getX()),
       {ResultDim::of(op.getX(), 0).sameAs(op.getIndex(), 0), ResultDim::of(op.getX(), 2)}}};
}

FailureOr<ResultShapes> MeanPoolOp::resultShapes(Adaptor op) {
  return ResultShapes{
      {elementTypeOf(op.getX()),
       {ResultDim::of(op.getX(), 0).sameAs(op.getMask(), 0), ResultDim::of(op.getX(), 2)}}};
}

} // namespace ingot::transformer
