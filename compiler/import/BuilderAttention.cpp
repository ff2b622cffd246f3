//===- BuilderAttention.cpp - Attention in its primitive parts -------------===//
#include "compiler/import/BuilderImpl.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace ingot::import {

Value ProgramBuilder::maskFor(int64_t layer, const LayerContext &context) {
  std::optional<int64_t> window = spec.attention.windows[layer];
  Value &mask = masks[window.value_or(0)];
  if (!mask)
    mask = transformer::AttentionMaskOp::create(
        b, context.queryPositions, context.keyPositions, context.keyValid,
        spec.attention.causal ? b.getUnitAttr() : UnitAttr(),
        window ? b.getI64IntegerAttr(*window) : IntegerAttr());
  return mask;
}

/// A factor that the element type can't hold exactly is applied in f32, as the reference applies
/// it.
Value ProgramBuilder::scaled(Value x, float factor) {
  auto type = cast<RankedTensorType>(x.getType());
  FloatAttr exact = b.getFloatAttr(type.getElementType(), factor);
  if (exact.getValueAsDouble() == factor)
    return arith::MulFOp::create(b, x, splatLike(exact, x));
  Value wide = arith::ExtFOp::create(b, type.clone(b.getF32Type()), x);
  wide = arith::MulFOp::create(b, wide, splatLike(b.getF32FloatAttr(factor), wide));
  return arith::TruncFOp::create(b, type, wide);
}

Value ProgramBuilder::attention(Value x, int64_t layer, LayerContext &context) {
  const AttentionSpec &a = spec.attention;
  const ModuleNames &names = spec.names;
  int64_t queryWidth = a.heads * a.headDim, keyWidth = a.kvHeads * a.headDim;
  auto project = [&](const std::string &name, int64_t width, int64_t heads) -> Value {
    Value y = linear(x, layerPath(layer, name), spec.hidden, width, a.qkvBias);
    return transformer::SplitHeadsOp::create(b, y, b.getI64IntegerAttr(heads));
  };
  Value q = project(names.query, queryWidth, a.heads);
  Value k = project(names.key, keyWidth, a.kvHeads);
  Value v = project(names.value, keyWidth, a.kvHeads);
  if (a.qkNorm) {
    q = norm(q, layerPath(layer, names.queryNorm), a.headDim, *a.qkNorm);
    k = norm(k, layerPath(layer, names.keyNorm), a.headDim, *a.qkNorm);
  }

  // What follows belongs to the attention module itself: "layers.0.self_attn".
  at(layerPath(layer, names.query.substr(0, names.query.rfind('.'))));
  if (context.cos) {
    q = transformer::RopeOp::create(b, q, context.cos, context.sin, /*heads=*/IntegerAttr(),
                                    /*interleaved=*/UnitAttr());
    k = transformer::RopeOp::create(b, k, context.cos, context.sin, /*heads=*/IntegerAttr(),
                                    /*interleaved=*/UnitAttr());
  }
  if (context.blockTable) {
    Value &keys = context.states[2 * layer], &values = context.states[2 * layer + 1];
    keys = transformer::CacheAppendOp::create(b, keys, k, context.blockTable, context.past,
                                              context.numTokens, /*cu_seqlens=*/Value());
    values = transformer::CacheAppendOp::create(b, values, v, context.blockTable, context.past,
                                                context.numTokens, /*cu_seqlens=*/Value());
    k = transformer::CacheGatherOp::create(b, keys, context.blockTable);
    v = transformer::CacheGatherOp::create(b, values, context.blockTable);
  }
  if (a.kvHeads != a.heads) {
    auto repeats = b.getI64IntegerAttr(a.heads / a.kvHeads);
    k = transformer::RepeatKvOp::create(b, k, repeats);
    v = transformer::RepeatKvOp::create(b, v, repeats);
  }
  Value scores = transformer::MatmulOp::create(b, q, k, /*transpose_rhs=*/b.getUnitAttr());
  scores = scaled(scores, float(a.scale));
  scores = transformer::ApplyMaskOp::create(b, scores, maskFor(layer, context));
  Value weights = transformer::SoftmaxOp::create(b, scores);
  context.attentions.push_back(weights);
  Value mixed = transformer::MatmulOp::create(b, weights, v, /*transpose_rhs=*/UnitAttr());
  mixed = transformer::MergeHeadsOp::create(b, mixed);
  return linear(mixed, layerPath(layer, names.output), queryWidth, spec.hidden, a.outputBias);
}

} // namespace ingot::import
