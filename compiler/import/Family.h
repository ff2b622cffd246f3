//===- Family.h - The registry of model families ------------------*- C++ -*-===//
//
// A family is one file under families/: the class defaults of its model_type, what its keys mean,
// and the names of its modules. Everything else follows from the spec that it fills.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/Config.h"
#include "compiler/import/Rope.h"
#include "compiler/import/TransformerSpec.h"

#include <span>
#include <string_view>
#include <vector>

namespace ingot::import {

struct Family {
  /// The names in config.json that this adapter reads.
  std::vector<std::string_view> modelTypes;
  std::vector<Task> tasks;
  /// Where `architectures` is absent.
  Task defaultTask;
  /// Fills everything in `spec` but modelType, architecture and task, which are set.
  void (*fill)(Config &config, TransformerSpec &spec);
};

extern const Family llamaFamily, mistralFamily, qwen2Family, qwen3Family, bertFamily,
    distilBertFamily, robertaFamily;

/// All of them, in the order in which messages list them.
std::span<const Family *const> families();

/// Reads a parsed config.json: dispatches on model_type and architectures[0], fills the spec.
Result<TransformerSpec> readSpec(const JsonView &config);

// What several adapters share; see FamilyCommon.cpp.

/// Class defaults in which the Llama-like families differ.
struct LlamaLikeDefaults {
  int64_t vocab = 32000, intermediate = 11008;
  int64_t kvHeads = 0; // 0: as many as heads
  int64_t headDim = 0; // 0: hidden / heads
  int64_t maxPositions = 2048;
  int64_t bosId = -1, eosId = -1;
  bool attentionBiasKey = false; // attention_bias: q, k, v and o
  bool mlpBiasKey = false;
};

/// Pre-norm RMSNorm blocks with rope, grouped queries and a gated MLP.
void fillLlamaLike(Config &config, TransformerSpec &spec, const LlamaLikeDefaults &defaults);

/// use_sliding_window, sliding_window, max_window_layers, layer_types as in Qwen2 and Qwen3.
void fillQwenWindows(Config &config, TransformerSpec &spec);

/// Sizes, post-norm blocks, embeddings and names as in BERT and RoBERTa.
struct BertLikeDefaults {
  int64_t vocab = 30522;
  int64_t padId = 0, bosId = -1, eosId = -1;
};
void fillBertLike(Config &config, TransformerSpec &spec, const BertLikeDefaults &defaults);

/// "pooler_output": tanh(dense(first token)).
HeadSpec poolerHead(const TransformerSpec &spec);
/// Dense, activation, LayerNorm, then the token embedding transposed plus a bias.
HeadSpec maskedLmHead(const TransformerSpec &spec, Activation activation, std::string dense,
                      std::string norm, std::string decoder, std::string bias, bool tied);

/// head dimension, kv heads and softmax scale from hidden size and heads; checks that they divide.
void fillHeads(Config &config, TransformerSpec &spec, int64_t headDim, int64_t kvHeads);
/// Refuses what no adapter implements: decoders with cross attention, soft caps, experts, ...
void refuseForeignKeys(Config &config);
/// len(id2label), else num_labels, else 2.
int64_t numLabels(Config &config);
void readTokenIds(Config &config, TransformerSpec &spec, int64_t bosId, std::vector<int64_t> eosIds,
                  int64_t padId);

} // namespace ingot::import
