//===- FusedAttentionDecompose.cpp - Which way attention is taken apart ---===//
#include "dialects/Transformer/FusedAttention.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

FailureOr<SmallVector<Value>> AttentionOp::decompose(OpBuilder &b) {
  AttentionBackend backend = getBackend().value_or(AttentionBackend::Efficient);
  if (backend == AttentionBackend::Math || whyNot(AttentionBackend::Efficient))
    return expandAttention(b, *this);
  return decomposeAttentionBlockwise(b, *this);
}

} // namespace ingot::transformer
