//===- Generation.cpp - Defaults of the generation loop --------------------===//
#include "compiler/import/Generation.h"

#include "compiler/import/Config.h"

namespace ingot::import {
namespace {

void readLoop(Config &config, GenerationSpec &g) {
  g.bosId = config.tokenId({"bos_token_id"}, g.bosId);
  g.padId = config.tokenId({"pad_token_id"}, g.padId);
  g.eosIds = config.tokenIds({"eos_token_id"}, g.eosIds);
  g.doSample = config.flag({"do_sample"}, g.doSample);
  g.temperature = config.number({"temperature"}, g.temperature, 0, 1e6);
  g.topK = config.integer({"top_k"}, g.topK, 0, kMaxVocab);
  g.topP = config.number({"top_p"}, g.topP, 0, 1);
  g.minP = config.number({"min_p"}, g.minP, 0, 1);
  g.repetitionPenalty = config.number({"repetition_penalty"}, g.repetitionPenalty, 1e-6, 1e6);
}

void remarkUnsupported(const JsonView &root, std::vector<std::string> &remarks) {
  struct Feature {
    std::string_view key;
    double neutral;
  };
  constexpr Feature kFeatures[] = {{"num_beams", 1},
                                   {"num_beam_groups", 1},
                                   {"no_repeat_ngram_size", 0},
                                   {"typical_p", 1},
                                   {"epsilon_cutoff", 0},
                                   {"eta_cutoff", 0},
                                   {"penalty_alpha", 0},
                                   {"encoder_repetition_penalty", 1},
                                   {"guidance_scale", 1},
                                   {"bad_words_ids", 0},
                                   {"force_words_ids", 0},
                                   {"suppress_tokens", 0},
                                   {"begin_suppress_tokens", 0},
                                   {"forced_bos_token_id", -1},
                                   {"forced_eos_token_id", -1},
                                   {"sequence_bias", 0},
                                   {"min_length", 0},
                                   {"min_new_tokens", 0}};
  for (const Feature &feature : kFeatures) {
    Config probe(root);
    probe.expectNeutral(feature.key, feature.neutral);
    if (!probe.ok())
      remarks.push_back(root[feature.key].path() + ": " + root[feature.key].value()->describe() +
                        " is not supported; the generation loop goes on without it");
  }
}

} // namespace

Status readGeneration(const JsonView &generationConfig, const JsonView &root, TransformerSpec &spec,
                      std::vector<std::string> &remarks) {
  // Older checkpoints keep these keys in config.json.
  Config legacy(root);
  readLoop(legacy, spec.generation);
  if (!legacy.ok())
    return legacy.status();
  if (generationConfig.exists()) {
    if (!generationConfig.is(JsonKind::Object))
      return generationConfig.expected("a dictionary");
    Config config(generationConfig);
    readLoop(config, spec.generation);
    if (!config.ok())
      return config.status();
    remarkUnsupported(generationConfig, remarks);
  }
  for (int64_t id : spec.generation.eosIds)
    if (id >= spec.embedding.vocab)
      remarks.push_back("eos_token_id " + std::to_string(id) + " is outside the vocabulary of " +
                        std::to_string(spec.embedding.vocab) + " and never occurs");
  return {};
}

} // namespace ingot::import
