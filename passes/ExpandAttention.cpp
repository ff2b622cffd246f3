//===- ExpandAttention.cpp - expand-attention -----------------------------===//
#include "dialects/Transformer/FusedAttention.h"
#include "passes/Passes.h"

#include "mlir/IR/PatternMatch.h"

namespace ingot {
#define GEN_PASS_DEF_EXPANDATTENTION
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using namespace ingot::transformer;

namespace {

struct ExpandAttention : ingot::impl::ExpandAttentionBase<ExpandAttention> {
  void runOnOperation() override {
    IRRewriter rewriter(&getContext());
    SmallVector<AttentionOp> ops(getOperation().getOps<AttentionOp>());
    for (AttentionOp op : ops) {
      if (op.getBackend() != AttentionBackend::Math)
        continue;
      rewriter.setInsertionPoint(op);
      SmallVector<Value> results = expandAttention(rewriter, op);
      for (auto [value, type] : llvm::zip_equal(results, op->getResultTypes()))
        if (value.getType() != type)
          value = tensor::CastOp::create(rewriter, op.getLoc(), type, value);
      rewriter.replaceOp(op, results);
    }
  }
};

} // namespace
