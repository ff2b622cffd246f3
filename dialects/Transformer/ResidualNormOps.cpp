//===- ResidualNormOps.cpp - Residual addition and norm -------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

/// C1 to C4, which both ops share; an absent parameter is null.
static LogicalResult verifyResidualNorm(Operation *op, Value x, Value residual, Value weight,
                                        Value bias, const APFloat &eps) {
  // C1
  int64_t rank = cast<RankedTensorType>(x.getType()).getRank();
  int64_t residualRank = cast<RankedTensorType>(residual.getType()).getRank();
  if (rank != residualRank)
    return op->emitOpError() << "C1: residual must have the rank of x: expected " << rank
                             << ", got " << residualRank;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (failed(requireEqualDims(op, "C1", {"x", x, dim}, {"residual", residual, dim})))
      return failure();
  // C3
  if (failed(requireSameElementType(op, "C3", "x", x, "residual", residual)))
    return failure();
  for (auto [name, value] :
       {std::pair<StringRef, Value>{"weight", weight}, std::pair<StringRef, Value>{"bias", bias}}) {
    if (!value)
      continue;
    // C2
    if (failed(requireEqualDims(op, "C2", {"x", x, -1}, {name, value, 0})))
      return failure();
    // C3
    if (failed(requireSameElementType(op, "C3", "x", x, name, value)))
      return failure();
  }
  // C4
  return requireFinite(op, "C4", "eps", eps, 0.0, /*strict=*/false);
}

LogicalResult AddRmsNormOp::verify() {
  return verifyResidualNorm(*this, getX(), getResidual(), getWeight(), Value(), getEps());
}

LogicalResult AddLayerNormOp::verify() {
  return verifyResidualNorm(*this, getX(), getResidual(), getWeight(), getBias(), getEps());
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

/// Both results are like `x` and `residual`.
static FailureOr<ResultShapes> residualNormShapes(Value x, Value residual) {
  SmallVector<ResultDim, 4> dims = leadingDims(x);
  if (leadingDims(residual).size() != dims.size())
    return failure();
  for (auto [i, dim] : llvm::enumerate(dims))
    dim = dim.sameAs(residual, i);
  ResultShape shape{elementTypeOf(x), dims};
  return ResultShapes{shape, shape};
}

FailureOr<ResultShapes> AddRmsNormOp::resultShapes(Adaptor op) {
  return residualNormShapes(op.getX(), op.getResidual());
}

FailureOr<ResultShapes> AddLayerNormOp::resultShapes(Adaptor op) {
  return residualNormShapes(op.getX(), op.getResidual());
}

} // namespace ingot::transformer
