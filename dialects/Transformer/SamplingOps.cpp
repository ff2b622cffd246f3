//===- SamplingOps.cpp - From logits to tokens ------------------------------===//
#include "dialects/Transformer/TransformerOps.h"

using namespace mlir;

namespace ingot::transformer {

static constexpr int64_t kMostTokens = int64_t(1) << 22;

//===----------------------------------------------------------------------===//
// Verifiers
//===----------------------------------------------------------------------===//

LogicalResult MarkTokensOp::verify() {
  // C1
  for (OperandDim got : {OperandDim{"num_tokens", getNumTokens(), 0},
                         OperandDim{"past", getPast(), 0}, OperandDim{"slot", getSlot(), 0}})
    if (failed(requireEqualDims(*this, "C1", {"ids", getIds(), 0}, got)))
      return failure();
  return success();
}

LogicalResult SampleOp::verify() {
  // C1
  for (OperandDim got :
       {OperandDim{"slot", getSlot(), 0}, OperandDim{"temperature", getTemperature(), 0},
        OperandDim{"top_k", getTopK(), 0}, OperandDim{"top_p", getTopP(), 0},
        OperandDim{"min_p", getMinP(), 0},
        OperandDim{"repetition_penalty", getRepetitionPenalty(), 0},
        OperandDim{"seed", getSeed(), 0}, OperandDim{"draw", getDraw(), 0}})
    if (failed(requireEqualDims(*this, "C1", {"logits", getLogits(), 0}, got)))
      return failure();
  // C2
  if (failed(requireEqualDims(*this, "C2", {"logits", getLogits(), 1}, {"seen", getSeen(), 1})))
    return failure();
  // C3
  int64_t vocabulary = getLogits().getType().getDimSize(1);
  if (!ShapedType::isDynamic(vocabulary) && vocabulary >= 1 && vocabulary <= kMostTokens)
    return success();
  return emitOpError() << "C3: the last axis of logits must be static and in [1, " << kMostTokens
                       << "], got " << getLogits().getType();
}

// What lowering may write the result over.
MutableOperandRange MarkTokensOp::getDpsInitsMutable() { return getSeenMutable(); }

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

FailureOr<ResultShapes> MarkTokensOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getSeen()), leadingDims(op.getSeen())}};
}

FailureOr<ResultShapes> SampleOp::resultShapes(Adaptor op) {
  return ResultShapes{{elementTypeOf(op.getSlot()), {ResultDim::of(op.getLogits(), 0)}}};
}

} // namespace ingot::transformer
