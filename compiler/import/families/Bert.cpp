//===- Bert.cpp - BERT and the sentence encoders made of it ----------------===//
#include "compiler/import/Family.h"

namespace ingot::import {
namespace {

void fill(Config &config, TransformerSpec &spec) {
  fillBertLike(config, spec, {});
  spec.names.base = "bert";
  spec.knownHeads = {{"pooler."}, {"cls."}, {"classifier."}, {"qa_outputs."}};
  switch (spec.task) {
  case Task::MaskedLM:
    spec.heads.push_back(maskedLmHead(spec, spec.mlp.activation, "cls.predictions.transform.dense",
                                      "cls.predictions.transform.LayerNorm",
                                      "cls.predictions.decoder", "cls.predictions.bias",
                                      config.flag({"tie_word_embeddings"}, true)));
    break;
  case Task::SequenceClassification: {
    HeadSpec head = poolerHead(spec);
    head.output = "logits";
    head.steps.push_back(HeadStep::linear("classifier", numLabels(config)));
    spec.heads.push_back(head);
    break;
  }
  default:
    spec.hiddenStateOutput = true;
    spec.heads.push_back(poolerHead(spec));
    spec.heads.back().optional = true;
  }
}

} // namespace

const Family bertFamily{
    {"bert"}, {Task::Base, Task::MaskedLM, Task::SequenceClassification}, Task::Base, fill};

} // namespace ingot::import
