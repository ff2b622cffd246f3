//===- BuilderLayers.cpp - MLPs, norms and residuals -----------------------===//
#include "compiler/import/BuilderImpl.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;

namespace ingot::import {

Value ProgramBuilder::mlp(Value x, int64_t layer) {
  const MlpSpec &m = spec.mlp;
  const ModuleNames &names = spec.names;
  auto up = [&](const std::string &name) {
    return linear(x, layerPath(layer, name), spec.hidden, m.intermediate, m.bias);
  };
  Value y;
  if (m.kind == MlpKind::Gated) {
    Value gate = activation(up(names.gate), m.activation);
    Value plain = up(names.up);
    y = arith::MulFOp::create(b, gate, plain);
  } else {
    y = activation(up(names.up), m.activation);
  }
  return linear(y, layerPath(layer, names.down), m.intermediate, spec.hidden, m.bias);
}

Value ProgramBuilder::layers(Value x, LayerContext &context) {
  const ModuleNames &names = spec.names;
  for (int64_t layer = 0; layer < spec.layers; ++layer) {
    std::string attentionNorm = layerPath(layer, names.attentionNorm);
    std::string mlpNorm = layerPath(layer, names.mlpNorm);
    if (spec.residual == Residual::PreNorm) {
      x = add(x, attention(norm(x, attentionNorm, spec.hidden, spec.norm), layer, context));
      x = add(x, mlp(norm(x, mlpNorm, spec.hidden, spec.norm), layer));
    } else {
      x = norm(add(x, attention(x, layer, context)), attentionNorm, spec.hidden, spec.norm);
      x = norm(add(x, mlp(x, layer)), mlpNorm, spec.hidden, spec.norm);
    }
  }
  return x;
}

Value ProgramBuilder::finalNorm(Value x) {
  return spec.names.finalNorm.empty() ? x : norm(x, spec.names.finalNorm, spec.hidden, spec.norm);
}

} // namespace ingot::import
