//===- BuilderHead.cpp - What is computed behind the layers ----------------===//
#include "compiler/import/BuilderImpl.h"

using namespace mlir;

namespace ingot::import {

Value ProgramBuilder::head(Value x, const HeadSpec &head) {
  int64_t width = spec.hidden;
  auto parameter = [&](const HeadStep &step, const std::string &name,
                       const std::vector<std::string> &aliases, std::vector<int64_t> shape,
                       Init init) -> Value {
    return weight(sources.addHead(name, aliases, shape, init), shape);
  };
  for (const HeadStep &step : head.steps) {
    if (step.kind == HeadStep::Act) {
      x = activation(x, step.activation);
      continue;
    }
    if (step.kind == HeadStep::Norm) {
      atHead(step.name);
      Value gain =
          parameter(step, step.name + ".weight", {step.name + ".gamma"}, {width}, Init::Ones);
      Value offset =
          parameter(step, step.name + ".bias", {step.name + ".beta"}, {width}, Init::Zeros);
      x = transformer::LayerNormOp::create(b, x, gain, offset, b.getF64FloatAttr(step.norm.eps));
      continue;
    }
    if (step.inBase) {
      x = linear(x, step.name, width, step.outFeatures, step.bias);
    } else {
      atHead(step.name);
      Value matrix;
      if (step.tied) {
        matrix = baseWeight(spec.names.tokens, "weight", {step.outFeatures, width}, Init::Normal);
        // Either of the two may be the one that is stored.
        sources.addAlias(basePath(spec, spec.names.tokens + ".weight"), step.name + ".weight");
      } else {
        matrix =
            parameter(step, step.name + ".weight", {}, {step.outFeatures, width}, Init::Normal);
      }
      Value offset;
      if (step.bias) {
        std::string own = step.name + ".bias";
        offset = step.biasName.empty()
                     ? parameter(step, own, {}, {step.outFeatures}, Init::Zeros)
                     : parameter(step, step.biasName, {own}, {step.outFeatures}, Init::Zeros);
      }
      x = transformer::LinearOp::create(b, x, matrix, offset);
    }
    width = step.outFeatures;
  }
  return x;
}

Value ProgramBuilder::sentenceEmbedding(Value hidden, Value valid, Value first) {
  atHead("1_Pooling");
  Value x = spec.sentence->pooling == Pooling::Mean
                ? transformer::MeanPoolOp::create(b, hidden, valid).getResult()
                : transformer::SelectTokenOp::create(b, hidden, first).getResult();
  if (!spec.sentence->normalize)
    return x;
  atHead("2_Normalize");
  return transformer::L2NormalizeOp::create(b, x, b.getF64FloatAttr(1e-12));
}

} // namespace ingot::import
