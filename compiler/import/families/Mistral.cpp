//===- Mistral.cpp - Llama with a sliding window in every layer ------------===//
#include "compiler/import/Family.h"

namespace ingot::import {
namespace {

void fill(Config &config, TransformerSpec &spec) {
  LlamaLikeDefaults defaults;
  defaults.intermediate = 14336;
  defaults.kvHeads = 8;
  defaults.maxPositions = 131072;
  defaults.bosId = 1, defaults.eosId = 2;
  fillLlamaLike(config, spec, defaults);
  config.expectNeutral("attention_bias");
  // Absent means 4096; only an explicit null means no window.
  if (!config.root()["sliding_window"].is(JsonKind::Null))
    spec.attention.windows.assign(spec.layers,
                                  config.size({"sliding_window"}, 4096, kMaxPositions));
  // The class ignores layer_types; a list that disagrees with the window is for another class.
  JsonView types = config.root()["layer_types"];
  for (size_t i = 0; types.is(JsonKind::Array) && i < types.value()->elements().size(); ++i) {
    bool sliding = spec.layers > 0 && spec.attention.windows[0].has_value();
    if (JsonView type = types.at(i);
        config.text(type, "") != (sliding ? "sliding_attention" : "full_attention"))
      config.unsupported(type, "mixed layer types are not supported for this model_type");
  }
}

} // namespace

const Family mistralFamily{{"mistral"}, {Task::Base, Task::CausalLM}, Task::CausalLM, fill};

} // namespace ingot::import
