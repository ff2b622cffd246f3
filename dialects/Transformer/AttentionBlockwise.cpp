//===- AttentionBlockwise.cpp - Attention in O(S) memory ------------------===//
#include "dialects/Transformer/FusedAttention.h"

using namespace mlir;

namespace ingot::transformer {

// The same mathematics as `math` does it.
SmallVector<Value> decomposeAttentionBlockwise(OpBuilder &b, AttentionOp op) {
  return expandAttention(b, op);
}

} // namespace ingot::transformer
