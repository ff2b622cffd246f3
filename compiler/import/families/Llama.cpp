//===- Llama.cpp - Llama 1/2/3.x, SmolLM2, TinyLlama, CodeLlama ------------===//
#include "compiler/import/Family.h"

namespace ingot::import {
namespace {

void fill(Config &config, TransformerSpec &spec) {
  LlamaLikeDefaults defaults;
  defaults.bosId = 1, defaults.eosId = 2;
  defaults.attentionBiasKey = defaults.mlpBiasKey = true;
  fillLlamaLike(config, spec, defaults);
  // The class has no window; a file with one was written for another.
  config.expectNeutral("sliding_window");
  JsonView types = config.root()["layer_types"];
  for (size_t i = 0; types.is(JsonKind::Array) && i < types.value()->elements().size(); ++i)
    if (JsonView type = types.at(i); config.text(type, "") != "full_attention")
      config.unsupported(type, "only full_attention layers are supported for this model_type");
}

} // namespace

const Family llamaFamily{{"llama"}, {Task::Base, Task::CausalLM}, Task::CausalLM, fill};

} // namespace ingot::import
