//===- BuilderPrograms.cpp - The programs forward and step -----------------===//
#include "compiler/import/BuilderImpl.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace ingot::import {
namespace {

constexpr int64_t kDynamic = ShapedType::kDynamic;

DictionaryAttr portAttrs(Builder &b, const Port &port) {
  SmallVector<NamedAttribute> attrs;
  attrs.push_back(b.getNamedAttr(port.isState ? transformer::kStateAttr : transformer::kNameAttr,
                                 b.getStringAttr(port.name)));
  if (!port.sizes.empty()) {
    SmallVector<StringRef> sizes(port.sizes.begin(), port.sizes.end());
    attrs.push_back(b.getNamedAttr(transformer::kSizesAttr, b.getStrArrayAttr(sizes)));
  }
  if (port.range)
    attrs.push_back(b.getNamedAttr(transformer::kRangeAttr,
                                   b.getI64ArrayAttr({port.range->first, port.range->second})));
  if (port.fill)
    attrs.push_back(b.getNamedAttr(transformer::kOptionalAttr, b.getI64IntegerAttr(*port.fill)));
  return b.getDictionaryAttr(attrs);
}

} // namespace

void ProgramBuilder::begin(StringRef name, std::vector<Port> ports) {
  inputs = std::move(ports);
  SmallVector<Type> types;
  for (const Port &port : inputs)
    types.push_back(port.type);
  b.setLoc(NameLoc::get(b.getStringAttr(name)));
  b.setInsertionPointToEnd(module.getBody());
  function = func::FuncOp::create(b, name, b.getFunctionType(types, {}));
  function->setAttr(transformer::kProgramAttr, b.getUnitAttr());
  for (auto [index, port] : llvm::enumerate(inputs))
    function.setArgAttrs(index, portAttrs(b, port));
  b.setInsertionPointToStart(function.addEntryBlock());
}

void ProgramBuilder::finish(const std::vector<Port> &outputs, const std::vector<Value> &values) {
  b.setLoc(function.getLoc());
  func::ReturnOp::create(b, values);
  SmallVector<Type> types;
  for (Value value : values)
    types.push_back(value.getType());
  function.setType(b.getFunctionType(function.getArgumentTypes(), types));
  for (auto [index, port] : llvm::enumerate(outputs))
    function.setResultAttrs(index, portAttrs(b, port));
}

Value ProgramBuilder::input(StringRef name) {
  for (auto [index, port] : llvm::enumerate(inputs))
    if (port.name == name)
      return function.getArgument(index);
  return {};
}

Port ProgramBuilder::tokenPort(std::string name, int64_t max, std::optional<int64_t> fill) {
  auto type = RankedTensorType::get({kDynamic, kDynamic}, b.getI32Type());
  return {std::move(name), type, {"B", "S"}, std::pair<int64_t, int64_t>(0, max), fill};
}

void ProgramBuilder::buildForward() {
  std::vector<Port> ports{tokenPort("input_ids", spec.embedding.vocab - 1, std::nullopt),
                          tokenPort("attention_mask", 1, 1)};
  if (spec.embedding.types)
    ports.push_back(tokenPort("token_type_ids", spec.embedding.types - 1, 0));
  begin("forward", std::move(ports));
  Value ids = input("input_ids");
  // The mask is 0 or 1 (its range), so its lowest bit is all of it.
  auto maskType = cast<RankedTensorType>(ids.getType()).clone(b.getI1Type());
  Value valid = arith::TruncIOp::create(b, maskType, input("attention_mask"));

  // Rotary and learned positions both count a row's valid tokens; the mask of attention needs that
  // count too, whatever offset a table starts at.
  Value counted = transformer::PositionsOp::create(b, valid, b.getI64IntegerAttr(0), IntegerAttr());
  LayerContext context;
  context.queryPositions = context.keyPositions = counted;
  context.keyValid = valid;
  Value positions;
  if (spec.embedding.learned)
    positions = learnedPositions(ids, valid);
  else
    ropeTables(context, counted, counted);

  Value hidden = embedTokens(ids, positions, input("token_type_ids"));
  hidden = finalNorm(layers(hidden, context));

  std::vector<Port> outputs;
  std::vector<Value> values;
  auto output = [&](std::string name, Value value) {
    value = asOutput(value);
    outputs.push_back({std::move(name), value.getType()});
    values.push_back(value);
  };
  if (spec.hiddenStateOutput)
    output("last_hidden_state", hidden);
  Value first;
  auto firstToken = [&]() {
    if (!first)
      first = transformer::FirstTokenOp::create(b, valid);
    return first;
  };
  for (const HeadSpec &spec : spec.heads) {
    Value x = hidden;
    if (spec.firstToken) {
      atHead(spec.steps.front().name);
      x = transformer::SelectTokenOp::create(b, hidden, firstToken());
    }
    output(spec.output, head(x, spec));
  }
  if (spec.sentence) {
    if (spec.sentence->pooling == Pooling::FirstToken)
      firstToken();
    output("sentence_embedding", sentenceEmbedding(hidden, valid, first));
  }
  if (spec.attentionsOutput)
    for (auto [layer, probabilities] : llvm::enumerate(context.attentions))
      output("attentions." + std::to_string(layer), probabilities);
  finish(outputs, values);
}

void ProgramBuilder::buildStep() {
  int64_t sequence = maxima.sequence(), context = maxima.context;
  auto rowType = RankedTensorType::get({kDynamic}, b.getI32Type());
  auto tableType = RankedTensorType::get({kDynamic, kDynamic}, b.getI32Type());
  auto stateType = RankedTensorType::get(
      {maxima.blocks(), spec.attention.kvHeads, maxima.blockSize, spec.attention.headDim},
      elementType);
  using Range = std::pair<int64_t, int64_t>;
  std::vector<Port> ports{tokenPort("input_ids", spec.embedding.vocab - 1, std::nullopt),
                          {"num_tokens", rowType, {"B"}, Range(0, sequence)},
                          {"past_tokens", rowType, {"B"}, Range(0, context)},
                          {"block_table", tableType, {"B", "NB"}, Range(0, maxima.blocks() - 1)}};
  size_t firstState = ports.size();
  for (int64_t layer = 0; layer < spec.layers; ++layer)
    for (const char *kind : {"k", "v"}) {
      Port state{"kv." + std::string(kind) + "." + std::to_string(layer), stateType};
      state.isState = true;
      ports.push_back(state);
    }
  begin("step", std::move(ports));

  Value ids = input("input_ids");
  LayerContext layerContext;
  layerContext.blockTable = input("block_table");
  layerContext.past = input("past_tokens");
  layerContext.numTokens = input("num_tokens");
  for (size_t i = firstState; i < inputs.size(); ++i)
    layerContext.states.push_back(function.getArgument(i));

  Value one = splatLike(b.getI32IntegerAttr(1), layerContext.numTokens);
  Value lastToken = arith::SubIOp::create(b, layerContext.numTokens, one);
  Value positions = transformer::TokenPositionsOp::create(b, layerContext.past, ids);
  layerContext.queryPositions = positions;
  layerContext.keyPositions = transformer::ContextPositionsOp::create(
      b, layerContext.blockTable, b.getI64IntegerAttr(maxima.blockSize));
  // A row's length is past + num_tokens, whatever the padding behind its new tokens.
  Value lengthPositions = positions;
  if (spec.embedding.rope->dynamic) {
    Value last = arith::AddIOp::create(b, layerContext.past, lastToken);
    SmallVector<OpFoldResult> shape{tensor::DimOp::create(b, last, 0).getResult(),
                                    b.getIndexAttr(1)};
    auto type = RankedTensorType::get({kDynamic, 1}, b.getI32Type());
    SmallVector<ReassociationIndices> groups{{0, 1}};
    lengthPositions = tensor::ExpandShapeOp::create(b, type, last, groups, shape);
  }
  ropeTables(layerContext, positions, lengthPositions);

  Value hidden = layers(embedTokens(ids, Value(), Value()), layerContext);
  at(spec.names.finalNorm);
  Value last = transformer::SelectTokenOp::create(b, hidden, lastToken);
  Value logits = asOutput(head(finalNorm(last), spec.heads.front()));

  std::vector<Port> outputs{{"logits", logits.getType()}};
  std::vector<Value> values{logits};
  for (size_t i = firstState; i < inputs.size(); ++i) {
    outputs.push_back(inputs[i]);
    values.push_back(layerContext.states[i - firstState]);
  }
  finish(outputs, values);
}

} // namespace ingot::import
