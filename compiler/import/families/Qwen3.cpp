//===- Qwen3.cpp - Qwen2 with norms on queries and keys --------------------===//
#include "compiler/import/Family.h"

namespace ingot::import {
namespace {

void fill(Config &config, TransformerSpec &spec) {
  LlamaLikeDefaults defaults;
  defaults.vocab = 151936, defaults.intermediate = 22016;
  defaults.kvHeads = 32;
  defaults.headDim = 128; // whatever the width
  defaults.maxPositions = 32768;
  defaults.attentionBiasKey = true;
  fillLlamaLike(config, spec, defaults);
  spec.attention.qkNorm = spec.norm;
  spec.names.queryNorm = "self_attn.q_norm";
  spec.names.keyNorm = "self_attn.k_norm";
  fillQwenWindows(config, spec);
}

} // namespace

const Family qwen3Family{{"qwen3"}, {Task::Base, Task::CausalLM}, Task::CausalLM, fill};

} // namespace ingot::import
