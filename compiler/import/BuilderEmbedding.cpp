//===- BuilderEmbedding.cpp - Tokens, token types and positions ------------===//
#include "compiler/import/BuilderImpl.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace ingot::import {

Value ProgramBuilder::embedTokens(Value ids, Value positions, Value types) {
  const ModuleNames &names = spec.names;
  auto lookUp = [&](const std::string &path, int64_t rows, Value index) -> Value {
    at(path);
    Value table = baseWeight(path, "weight", {rows, spec.hidden}, Init::Normal);
    return transformer::EmbeddingOp::create(b, table, index);
  };
  // In the reference's order: tokens, types, positions.
  Value x = lookUp(names.tokens, spec.embedding.vocab, ids);
  if (spec.embedding.types)
    x = add(x, lookUp(names.types, spec.embedding.types, types));
  if (spec.embedding.learned)
    x = add(x, lookUp(names.positions, spec.embedding.learned->rows, positions));
  return spec.embedding.norm ? norm(x, names.embeddingNorm, spec.hidden, *spec.embedding.norm) : x;
}

Value ProgramBuilder::learnedPositions(Value ids, Value valid) {
  const LearnedPositionSpec &learned = *spec.embedding.learned;
  at(spec.names.positions);
  IntegerAttr padding;
  if (learned.padId) {
    // RoBERTa counts the tokens that are not the padding token, valid or not by the mask.
    Value pad = splatLike(b.getI32IntegerAttr(*learned.padId), ids);
    Value isToken = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, ids, pad);
    valid = arith::AndIOp::create(b, valid, isToken);
    padding = b.getI64IntegerAttr(*learned.padId);
  }
  return transformer::PositionsOp::create(b, valid, b.getI64IntegerAttr(learned.offset), padding);
}

void ProgramBuilder::ropeTables(LayerContext &context, Value positions, Value lengthPositions) {
  const RopeSpec &rope = *spec.embedding.rope;
  at("rotary_emb");
  int64_t half = rope.invFreq.size();
  Value frequencies;
  if (rope.dynamic) {
    frequencies = transformer::DynamicRopeFrequenciesOp::create(
        b, lengthPositions, b.getF64FloatAttr(rope.theta), b.getI64IntegerAttr(2 * half),
        b.getF64FloatAttr(rope.factor), b.getI64IntegerAttr(rope.maxPosition));
  } else {
    auto type = RankedTensorType::get({half}, b.getF32Type());
    frequencies =
        arith::ConstantOp::create(b, DenseElementsAttr::get(type, ArrayRef<float>(rope.invFreq)));
  }
  auto table = transformer::RopeTableOp::create(b, positions, frequencies,
                                                b.getF64FloatAttr(rope.attentionFactor));
  context.cos = table.getCos();
  context.sin = table.getSin();
}

} // namespace ingot::import
