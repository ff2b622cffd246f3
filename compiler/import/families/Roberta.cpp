//===- Roberta.cpp - RoBERTa, CamemBERT, XLM-RoBERTa -----------------------===//
#include "compiler/import/Family.h"

namespace ingot::import {
namespace {

void fill(Config &config, TransformerSpec &spec) {
  BertLikeDefaults defaults;
  defaults.vocab = spec.modelType == "roberta" ? 50265 : 30522;
  defaults.padId = 1, defaults.bosId = 0, defaults.eosId = 2;
  fillBertLike(config, spec, defaults);
  // Positions count the tokens that are not padding, from pad_token_id + 1; padding takes row
  // pad_token_id.
  LearnedPositionSpec &learned = *spec.embedding.learned;
  if (spec.generation.padId < 0 || spec.generation.padId + 1 >= learned.rows)
    config.malformed(config.root()["pad_token_id"],
                     "a token id below max_position_embeddings - 1 (" +
                         std::to_string(learned.rows - 1) + "), as positions are counted from it");
  learned.padId = std::max<int64_t>(spec.generation.padId, 0);
  learned.offset = *learned.padId + 1;
  spec.maxPositions = std::max<int64_t>(learned.rows - learned.offset, 1);

  spec.names.base = "roberta";
  spec.knownHeads = {{"pooler."}, {"lm_head."}, {"classifier."}, {"qa_outputs."}};
  switch (spec.task) {
  case Task::MaskedLM: // its activation is the exact GELU whatever hidden_act says
    spec.heads.push_back(maskedLmHead(spec, Activation::Gelu, "lm_head.dense", "lm_head.layer_norm",
                                      "lm_head.decoder", "lm_head.bias",
                                      config.flag({"tie_word_embeddings"}, true)));
    break;
  case Task::SequenceClassification:
    spec.heads.push_back(
        {"logits",
         /*firstToken=*/true,
         {HeadStep::linear("classifier.dense", spec.hidden), HeadStep::act(Activation::Tanh),
          HeadStep::linear("classifier.out_proj", numLabels(config))}});
    break;
  default:
    spec.hiddenStateOutput = true;
    spec.heads.push_back(poolerHead(spec));
    spec.heads.back().optional = true;
  }
}

} // namespace

const Family robertaFamily{{"roberta", "camembert", "xlm-roberta"},
                           {Task::Base, Task::MaskedLM, Task::SequenceClassification},
                           Task::Base,
                           fill};

} // namespace ingot::import
