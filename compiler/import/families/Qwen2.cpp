//===- Qwen2.cpp - Llama with q, k, v biases and a windowed tail -----------===//
#include "compiler/import/Family.h"

namespace ingot::import {
namespace {

void fill(Config &config, TransformerSpec &spec) {
  LlamaLikeDefaults defaults;
  defaults.vocab = 151936, defaults.intermediate = 22016;
  defaults.kvHeads = 32;
  defaults.maxPositions = 32768;
  // The class has no head_dim key, but the reference's attention takes one that a file adds.
  fillLlamaLike(config, spec, defaults);
  // Not in the config: q, k and v always have biases, o never.
  spec.attention.qkvBias = true;
  spec.attention.outputBias = false;
  fillQwenWindows(config, spec);
}

} // namespace

const Family qwen2Family{{"qwen2"}, {Task::Base, Task::CausalLM}, Task::CausalLM, fill};

} // namespace ingot::import
