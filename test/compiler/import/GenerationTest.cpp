//===- GenerationTest.cpp - generation_config.json over config.json --------===//
#include "test/compiler/import/TestSupport.h"

#include "compiler/import/Generation.h"

namespace ingot::import {
namespace {

struct Generated {
  Status status;
  GenerationSpec spec;
  std::vector<std::string> remarks;
};

/// `generation` empty: the file is absent.
Generated generate(const std::string &config, const std::string &generation) {
  JsonDocument document = parse(config);
  Result<TransformerSpec> spec = readSpec(document.root());
  EXPECT_TRUE(spec.ok()) << spec.status().message();
  Generated result;
  if (generation.empty()) {
    result.status = readGeneration(JsonView(nullptr, "generation_config.json"), document.root(),
                                   *spec, result.remarks);
  } else {
    Result<JsonDocument> file = parseJson(generation, {.name = "generation_config.json"});
    EXPECT_TRUE(file.ok());
    result.status = readGeneration(file->root(), document.root(), *spec, result.remarks);
  }
  result.spec = spec->generation;
  return result;
}

TEST(Generation, DefaultsAreTheReferences) {
  Generated g = generate(R"({"model_type": "llama"})", "");
  ASSERT_TRUE(g.status.ok());
  EXPECT_FALSE(g.spec.doSample);
  EXPECT_EQ(g.spec.temperature, 1.0);
  EXPECT_EQ(g.spec.topK, 50);
  EXPECT_EQ(g.spec.topP, 1.0);
  EXPECT_EQ(g.spec.repetitionPenalty, 1.0);
  EXPECT_EQ(g.spec.eosIds, std::vector<int64_t>{2});
}

TEST(Generation, EosIsOneIdOrAList) {
  EXPECT_EQ(generate(R"({"model_type": "llama", "eos_token_id": 5})", "").spec.eosIds,
            std::vector<int64_t>{5});
  EXPECT_EQ(generate(R"({"model_type": "llama"})", R"({"eos_token_id": [7, 9]})").spec.eosIds,
            (std::vector<int64_t>{7, 9}));
  EXPECT_EQ(generate(R"({"model_type": "llama"})", R"({"temperature": 0.5})").spec.eosIds,
            std::vector<int64_t>{2});
}

TEST(Generation, FileWinsOverLegacyKeys) {
  Generated g = generate(R"({"model_type": "qwen2", "temperature": 0.3, "do_sample": true})",
                         R"({"temperature": 0.7, "top_p": 0.8, "top_k": 20, "pad_token_id": 3})");
  ASSERT_TRUE(g.status.ok());
  EXPECT_EQ(g.spec.temperature, 0.7);
  EXPECT_TRUE(g.spec.doSample);
  EXPECT_EQ(g.spec.topP, 0.8);
  EXPECT_EQ(g.spec.topK, 20);
  EXPECT_EQ(g.spec.padId, 3);
}

TEST(Generation, MalformedNamesFileAndKey) {
  for (const char *text :
       {R"({"eos_token_id": "x"})", R"({"eos_token_id": [1, null]})", R"({"eos_token_id": [-1]})",
        R"({"top_p": 2})", R"({"do_sample": 1})", R"({"repetition_penalty": 0})", R"([])"}) {
    Generated g = generate(R"({"model_type": "llama"})", text);
    EXPECT_EQ(g.status.code(), ExitCode::MalformedInput) << text;
    EXPECT_NE(g.status.message().find("generation_config.json"), std::string::npos);
  }
}

TEST(Generation, WhatTheLoopCannotDoIsARemark) {
  Generated g = generate(R"({"model_type": "llama"})",
                         R"({"num_beams": 4, "suppress_tokens": [1], "no_repeat_ngram_size": 0})");
  ASSERT_TRUE(g.status.ok());
  ASSERT_EQ(g.remarks.size(), 2u);
  EXPECT_NE(g.remarks[0].find("num_beams"), std::string::npos);
}

} // namespace
} // namespace ingot::import
