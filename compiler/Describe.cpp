//===- Describe.cpp - What a model folder holds, without compiling ---------===//

#include "compiler/Describe.h"

#include <map>

#include "compiler/Diagnostics.h"
#include "compiler/ModelFolder.h"
#include "compiler/import/Family.h"
#include "compiler/import/Import.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "runtime/weights/Json.h"
#include "runtime/weights/JsonWriter.h"

using namespace mlir;

namespace ingot {

static std::string_view taskName(import::Task task) {
  switch (task) {
  case import::Task::Base:
    return "hidden states";
  case import::Task::CausalLM:
    return "causal language model";
  case import::Task::MaskedLM:
    return "masked language model";
  case import::Task::SequenceClassification:
    return "sequence classification";
  }
  return "";
}

static void describeSizes(const import::TransformerSpec &spec, JsonWriter &json) {
  json.key("sizes").beginObject();
  json.member("layers", spec.layers).member("hidden", spec.hidden);
  json.member("heads", spec.attention.heads).member("kv_heads", spec.attention.kvHeads);
  json.member("head_dim", spec.attention.headDim);
  json.member("intermediate", spec.mlp.intermediate).member("vocab", spec.embedding.vocab);
  json.member("max_positions", spec.maxPositions).endObject();

  size_t windowed = 0;
  for (const std::optional<int64_t> &window : spec.attention.windows)
    windowed += window.has_value();
  json.key("structure").beginObject();
  json.member("residual", spec.residual == import::Residual::PreNorm ? "pre-norm" : "post-norm");
  json.member("norm", spec.norm.kind == import::NormKind::RmsNorm ? "RMSNorm" : "LayerNorm");
  json.member("norm_eps", spec.norm.eps);
  json.member("mlp", spec.mlp.kind == import::MlpKind::Gated ? "gated" : "plain");
  json.member("attention", spec.attention.causal ? "causal" : "bidirectional");
  json.member("windowed_layers", windowed);
  json.member("qk_norm", spec.attention.qkNorm.has_value());
  const std::optional<import::RopeSpec> &rope = spec.embedding.rope;
  json.member("positions", rope ? "rotary" : "learned");
  if (rope)
    json.member("rope_theta", rope->theta).member("rope_dynamic", rope->dynamic);
  json.endObject();
}

/// "[B, S] i32": dynamic dimensions by the names the importer gave them.
static std::string shapeText(Type type, ArrayAttr sizes) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return "";
  std::string text = "[";
  size_t dynamic = 0;
  for (auto [axis, extent] : llvm::enumerate(tensor.getShape())) {
    text += axis ? ", " : "";
    if (!ShapedType::isDynamic(extent))
      text += std::to_string(extent);
    else if (sizes && dynamic < sizes.size())
      text += cast<StringAttr>(sizes[dynamic++]).getValue().str();
    else
      text += "?";
  }
  llvm::raw_string_ostream(text) << "] " << tensor.getElementType();
  return text;
}

static void describePrograms(ModuleOp module, JsonWriter &json) {
  json.key("programs").beginArray();
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    json.beginObject().member("name", std::string_view(function.getName()));
    json.key("inputs").beginArray();
    size_t states = 0;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      auto name = function.getArgAttrOfType<StringAttr>(i, "transformer.name");
      if (!name) {
        ++states;
        continue;
      }
      json.beginObject().member("name", std::string_view(name.getValue()));
      json.member("type", shapeText(function.getArgumentTypes()[i],
                                    function.getArgAttrOfType<ArrayAttr>(i, "transformer.sizes")));
      json.member("optional", bool(function.getArgAttr(i, "transformer.optional"))).endObject();
    }
    json.endArray().key("outputs").beginArray();
    for (unsigned i = 0; i < function.getNumResults(); ++i)
      if (auto name = function.getResultAttrOfType<StringAttr>(i, "transformer.name"))
        json.value(std::string_view(name.getValue()));
    json.endArray().member("state_tensors", states).endObject();
  }
  json.endArray();
}

/// Elements of all checkpoint tensors that the model expects.
static uint64_t countParameters(ModuleOp module) {
  uint64_t total = 0;
  auto sources = module->getAttrOfType<DictionaryAttr>("transformer.sources");
  if (!sources)
    return 0;
  for (NamedAttribute source : sources) {
    auto entry = dyn_cast<DictionaryAttr>(source.getValue());
    auto shape = entry ? entry.getAs<ArrayAttr>("shape") : ArrayAttr();
    auto dense = entry ? entry.getAs<DenseI64ArrayAttr>("shape") : DenseI64ArrayAttr();
    uint64_t elements = shape || dense ? 1 : 0;
    if (dense)
      for (int64_t extent : dense.asArrayRef())
        elements *= extent;
    else if (shape)
      for (IntegerAttr extent : shape.getAsRange<IntegerAttr>())
        elements *= extent.getInt();
    total += elements;
  }
  return total;
}

static void describeCheckpoint(const Checkpoint &checkpoint, JsonWriter &json) {
  uint64_t bytes = 0;
  std::map<std::string, uint64_t> types;
  for (const CheckpointTensor &tensor : checkpoint.tensors()) {
    bytes += tensor.bytes.size();
    ++types[std::string(nameOf(tensor.type->elementType))];
  }
  json.key("checkpoint").beginObject();
  json.key("files").beginArray();
  for (const std::string &file : checkpoint.files())
    json.value(file);
  json.endArray().member("tensors", checkpoint.tensors().size()).member("bytes", bytes);
  json.key("element_types").beginArray();
  for (const auto &[type, count] : types)
    json.value(type + " x " + std::to_string(count));
  json.endArray().endObject();
}

Result<std::string> describeModel(const std::string &folder) {
  Result<std::optional<Checkpoint>> checkpoint = openCheckpoint(folder, /*required=*/false);
  if (!checkpoint.ok())
    return checkpoint.status();
  MLIRContext context;
  DiagnosticCollector diagnostics(context);
  import::ImportOptions options;
  options.model = folder;
  options.checkpoint = *checkpoint ? &**checkpoint : nullptr;
  Result<import::ImportedModel> imported = import::importModel(context, options);
  if (!imported.ok())
    return imported.status();
  const import::TransformerSpec &spec = imported->spec;

  JsonWriter json;
  json.beginObject();
  json.member("model_type", spec.modelType).member("architecture", spec.architecture);
  json.member("task", taskName(spec.task));
  json.member("parameters", countParameters(*imported->module));
  describeSizes(spec, json);
  describePrograms(*imported->module, json);
  if (*checkpoint)
    describeCheckpoint(**checkpoint, json);
  json.key("remarks").beginArray();
  for (const std::string &remark : imported->remarks)
    json.value(remark);
  json.endArray().endObject();
  return json.text();
}

} // namespace ingot
