//===- FamilyCommon.cpp - What several family adapters share ---------------===//
#include "compiler/import/Family.h"

#include <cmath>

namespace ingot::import {

void refuseForeignKeys(Config &config) {
  JsonView quantization = config.root()["quantization_config"];
  if (!quantization.isAbsentOrNull()) {
    JsonView method = quantization["quant_method"];
    config.unsupported(quantization,
                       "quantized checkpoints (quant_method " +
                           (method.exists() ? method.value()->describe() : "unknown") +
                           ") are not supported; supported: f32, f16 and bf16 weights");
  }
  // Each changes what is computed in some family; none does so in the families supported today, and
  // a file that sets one was written for code that is not the reference's.
  for (std::string_view key :
       {"is_decoder", "add_cross_attention", "is_encoder_decoder", "pruned_heads",
        "attn_logit_softcapping", "final_logit_softcapping", "attention_chunk_size",
        "no_rope_layers", "use_qk_norm", "qk_layernorm", "num_local_experts", "n_routed_experts",
        "alibi", "parallel_attn", "use_parallel_residual", "clip_qkv"})
    config.expectNeutral(key);
  for (std::string_view key : {"embedding_multiplier", "residual_multiplier", "logits_scaling",
                               "logit_scale", "rotary_pct"})
    config.expectNeutral(key, 1);
  config.expectNeutral("attention_multiplier");
  config.expectNeutral("position_embedding_type", 0, "absolute");
}

void readTokenIds(Config &config, TransformerSpec &spec, int64_t bosId, std::vector<int64_t> eosIds,
                  int64_t padId) {
  spec.generation.bosId = config.tokenId({"bos_token_id"}, bosId);
  spec.generation.padId = config.tokenId({"pad_token_id"}, padId);
  spec.generation.eosIds = config.tokenIds({"eos_token_id"}, std::move(eosIds));
}

int64_t numLabels(Config &config) {
  JsonView labels = config.root()["id2label"];
  if (labels.isAbsentOrNull())
    return config.size({"num_labels"}, 2, kMaxWidth);
  if (!labels.is(JsonKind::Object) || labels.value()->members().empty() ||
      int64_t(labels.value()->members().size()) > kMaxWidth) {
    config.malformed(labels, "a dictionary from 1 to " + std::to_string(kMaxWidth) + " labels");
    return 2;
  }
  return labels.value()->members().size();
}

void fillHeads(Config &config, TransformerSpec &spec, int64_t headDim, int64_t kvHeads) {
  AttentionSpec &attention = spec.attention;
  auto malformed = [&](std::string what) {
    config.fail(Status(ExitCode::MalformedInput, config.root().path() + ": " + std::move(what)));
  };
  if (headDim == 0) {
    if (spec.hidden % attention.heads)
      malformed("expected the number of attention heads to divide the hidden size, got " +
                std::to_string(attention.heads) + " heads and hidden size " +
                std::to_string(spec.hidden));
    headDim = std::max<int64_t>(spec.hidden / attention.heads, 1);
    if (headDim > kMaxHeadDim)
      malformed("expected a head dimension of at most " + std::to_string(kMaxHeadDim) + ", got " +
                std::to_string(headDim) + " (hidden size / attention heads)");
  }
  attention.headDim = headDim;
  attention.kvHeads = kvHeads == 0 ? attention.heads : kvHeads;
  if (attention.heads % attention.kvHeads)
    malformed("num_key_value_heads: expected a divisor of num_attention_heads (" +
              std::to_string(attention.heads) + "), got " + std::to_string(attention.kvHeads));
  attention.scale = 1.0 / std::sqrt(double(headDim));
}

void fillLlamaLike(Config &config, TransformerSpec &spec, const LlamaLikeDefaults &defaults) {
  spec.hidden = config.size({"hidden_size"}, 4096, kMaxWidth);
  spec.layers = config.size({"num_hidden_layers"}, 32, kMaxLayers);
  spec.maxPositions =
      config.size({"max_position_embeddings"}, defaults.maxPositions, kMaxPositions);
  spec.initStd = config.number({"initializer_range"}, 0.02, 0, 1);
  spec.embedding.vocab = config.size({"vocab_size"}, defaults.vocab, kMaxVocab);

  AttentionSpec &attention = spec.attention;
  attention.heads = config.size({"num_attention_heads"}, 32, kMaxHeads);
  attention.causal = true;
  // An explicit null means one key head a query head, whatever the class default.
  int64_t kvDefault =
      config.root()["num_key_value_heads"].is(JsonKind::Null) ? 0 : defaults.kvHeads;
  int64_t kvHeads = config.has({"num_key_value_heads"})
                        ? config.size({"num_key_value_heads"}, 1, kMaxHeads)
                        : kvDefault;
  int64_t headDim =
      config.has({"head_dim"}) ? config.size({"head_dim"}, 1, kMaxHeadDim) : defaults.headDim;
  fillHeads(config, spec, headDim, kvHeads);
  if (defaults.attentionBiasKey)
    attention.qkvBias = attention.outputBias = config.flag({"attention_bias"}, false);
  attention.windows.assign(spec.layers, std::nullopt);
  spec.embedding.rope = readRope(config, attention.headDim, spec.maxPositions);

  spec.residual = Residual::PreNorm;
  spec.norm = {NormKind::RmsNorm, config.number({"rms_norm_eps"}, 1e-6, 0, 1)};
  spec.mlp.kind = MlpKind::Gated;
  spec.mlp.intermediate = config.size({"intermediate_size"}, defaults.intermediate, kMaxWidth);
  spec.mlp.activation = config.activation({"hidden_act"}, "silu");
  if (defaults.mlpBiasKey)
    spec.mlp.bias = config.flag({"mlp_bias"}, false);
  else
    config.expectNeutral("mlp_bias");

  ModuleNames &names = spec.names;
  names.base = "model";
  names.tokens = "embed_tokens", names.layers = "layers";
  names.attentionNorm = "input_layernorm";
  names.query = "self_attn.q_proj", names.key = "self_attn.k_proj";
  names.value = "self_attn.v_proj", names.output = "self_attn.o_proj";
  names.mlpNorm = "post_attention_layernorm";
  names.gate = "mlp.gate_proj", names.up = "mlp.up_proj", names.down = "mlp.down_proj";
  names.finalNorm = "norm";

  spec.knownHeads = {{"lm_head."}, {"score."}};
  bool tied = config.flag({"tie_word_embeddings"}, false);
  if (spec.task == Task::CausalLM) {
    HeadStep step = HeadStep::linear("lm_head", spec.embedding.vocab, /*bias=*/false);
    step.tied = tied;
    spec.heads.push_back({"logits", /*firstToken=*/false, {step}});
  } else {
    spec.hiddenStateOutput = true;
  }
  std::vector<int64_t> eos;
  if (defaults.eosId >= 0)
    eos.push_back(defaults.eosId);
  readTokenIds(config, spec, defaults.bosId, eos, -1);
}

void fillQwenWindows(Config &config, TransformerSpec &spec) {
  bool useWindow = config.flag({"use_sliding_window"}, false);
  int64_t window = config.size({"sliding_window"}, 4096, kMaxPositions);
  if (config.root()["sliding_window"].is(JsonKind::Null))
    useWindow = false;
  int64_t first = config.integer({"max_window_layers"}, 28, 0, kMaxPositions);
  JsonView types = config.root()["layer_types"];
  if (types.isAbsentOrNull()) {
    for (int64_t i = first; useWindow && i < spec.layers; ++i)
      spec.attention.windows[i] = window;
    return;
  }
  if (!types.is(JsonKind::Array) || int64_t(types.value()->elements().size()) < spec.layers)
    return config.malformed(types, "a list of " + std::to_string(spec.layers) + " layer types");
  for (int64_t i = 0; i < spec.layers; ++i) {
    JsonView view = types.at(i);
    std::string type = config.text(view, "");
    if (type == "sliding_attention") {
      if (!useWindow)
        return config.malformed(view, "full_attention, as use_sliding_window is false or "
                                      "sliding_window null");
      spec.attention.windows[i] = window;
    } else if (type != "full_attention") {
      return config.unsupported(view, "layer type " + view.value()->describe() +
                                          " is not supported; supported: full_attention, "
                                          "sliding_attention");
    }
  }
}

HeadSpec poolerHead(const TransformerSpec &spec) {
  HeadStep dense = HeadStep::linear("pooler.dense", spec.hidden);
  dense.inBase = true;
  return {"pooler_output", /*firstToken=*/true, {dense, HeadStep::act(Activation::Tanh)}};
}

HeadSpec maskedLmHead(const TransformerSpec &spec, Activation activation, std::string dense,
                      std::string norm, std::string decoder, std::string bias, bool tied) {
  HeadStep last = HeadStep::linear(std::move(decoder), spec.embedding.vocab);
  last.tied = tied;
  last.biasName = std::move(bias);
  return {"logits",
          /*firstToken=*/false,
          {HeadStep::linear(std::move(dense), spec.hidden), HeadStep::act(activation),
           HeadStep::layerNorm(std::move(norm), spec.norm), last}};
}

void fillBertLike(Config &config, TransformerSpec &spec, const BertLikeDefaults &defaults) {
  spec.hidden = config.size({"hidden_size"}, 768, kMaxWidth);
  spec.layers = config.size({"num_hidden_layers"}, 12, kMaxLayers);
  spec.attention.heads = config.size({"num_attention_heads"}, 12, kMaxHeads);
  fillHeads(config, spec, 0, 0);
  spec.attention.qkvBias = spec.attention.outputBias = true;
  spec.attention.windows.assign(spec.layers, std::nullopt);
  spec.mlp = {MlpKind::Plain, config.size({"intermediate_size"}, 3072, kMaxWidth),
              config.activation({"hidden_act"}, "gelu"), /*bias=*/true};
  spec.residual = Residual::PostNorm;
  spec.norm = {NormKind::LayerNorm, config.number({"layer_norm_eps"}, 1e-12, 0, 1)};
  spec.initStd = config.number({"initializer_range"}, 0.02, 0, 1);
  spec.embedding.vocab = config.size({"vocab_size"}, defaults.vocab, kMaxVocab);
  spec.embedding.types = config.size({"type_vocab_size"}, 2, kMaxWidth);
  spec.embedding.norm = spec.norm;
  LearnedPositionSpec learned;
  learned.rows = config.size({"max_position_embeddings"}, 512, kMaxPositions);
  spec.embedding.learned = learned;
  spec.maxPositions = learned.rows;
  spec.positionsAreHardLimit = true;

  ModuleNames &names = spec.names;
  names.tokens = "embeddings.word_embeddings";
  names.positions = "embeddings.position_embeddings";
  names.types = "embeddings.token_type_embeddings";
  names.embeddingNorm = "embeddings.LayerNorm";
  names.layers = "encoder.layer";
  names.query = "attention.self.query", names.key = "attention.self.key";
  names.value = "attention.self.value", names.output = "attention.output.dense";
  names.attentionNorm = "attention.output.LayerNorm";
  names.up = "intermediate.dense", names.down = "output.dense";
  names.mlpNorm = "output.LayerNorm";
  std::vector<int64_t> eos;
  if (defaults.eosId >= 0)
    eos.push_back(defaults.eosId);
  readTokenIds(config, spec, defaults.bosId, eos, defaults.padId);
}

} // namespace ingot::import
