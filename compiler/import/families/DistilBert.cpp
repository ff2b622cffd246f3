//===- DistilBert.cpp - DistilBERT: BERT without token types and pooler ----===//
#include "compiler/import/Family.h"

namespace ingot::import {
namespace {

void fill(Config &config, TransformerSpec &spec) {
  spec.hidden = config.size({"dim", "hidden_size"}, 768, kMaxWidth);
  spec.layers = config.size({"n_layers", "num_hidden_layers"}, 6, kMaxLayers);
  spec.attention.heads = config.size({"n_heads", "num_attention_heads"}, 12, kMaxHeads);
  fillHeads(config, spec, 0, 0);
  spec.attention.qkvBias = spec.attention.outputBias = true;
  spec.attention.windows.assign(spec.layers, std::nullopt);
  spec.mlp = {MlpKind::Plain, config.size({"hidden_dim"}, 3072, kMaxWidth),
              config.activation({"activation"}, "gelu"), /*bias=*/true};
  spec.residual = Residual::PostNorm;
  spec.norm = {NormKind::LayerNorm, 1e-12}; // not in the config
  spec.initStd = config.number({"initializer_range"}, 0.02, 0, 1);
  spec.embedding.vocab = config.size({"vocab_size"}, 30522, kMaxVocab);
  spec.embedding.norm = spec.norm;
  // sinusoidal_pos_embds only says how the table was first filled; it is stored like a learned one.
  config.flag({"sinusoidal_pos_embds"}, false);
  LearnedPositionSpec learned;
  learned.rows = config.size({"max_position_embeddings"}, 512, kMaxPositions);
  spec.embedding.learned = learned;
  spec.maxPositions = learned.rows;
  spec.positionsAreHardLimit = true;
  readTokenIds(config, spec, -1, {}, 0);

  ModuleNames &names = spec.names;
  names.base = "distilbert";
  names.tokens = "embeddings.word_embeddings";
  names.positions = "embeddings.position_embeddings";
  names.embeddingNorm = "embeddings.LayerNorm";
  names.layers = "transformer.layer";
  names.query = "attention.q_lin", names.key = "attention.k_lin";
  names.value = "attention.v_lin", names.output = "attention.out_lin";
  names.attentionNorm = "sa_layer_norm";
  names.up = "ffn.lin1", names.down = "ffn.lin2";
  names.mlpNorm = "output_layer_norm";

  spec.knownHeads = {{"vocab_transform."}, {"vocab_layer_norm."}, {"vocab_projector."},
                     {"pre_classifier."},  {"classifier."},       {"qa_outputs."}};
  switch (spec.task) {
  case Task::MaskedLM:
    spec.heads.push_back(maskedLmHead(spec, spec.mlp.activation, "vocab_transform",
                                      "vocab_layer_norm", "vocab_projector", "",
                                      config.flag({"tie_word_embeddings"}, true)));
    break;
  case Task::SequenceClassification:
    spec.heads.push_back(
        {"logits",
         /*firstToken=*/true,
         {HeadStep::linear("pre_classifier", spec.hidden), HeadStep::act(Activation::Relu),
          HeadStep::linear("classifier", numLabels(config))}});
    break;
  default:
    spec.hiddenStateOutput = true;
  }
}

} // namespace

const Family distilBertFamily{
    {"distilbert"}, {Task::Base, Task::MaskedLM, Task::SequenceClassification}, Task::Base, fill};

} // namespace ingot::import
