//===- FamilyTest.cpp - Class defaults and slots of each family ------------===//
#include "test/compiler/import/TestSupport.h"

#include <cmath>

namespace ingot::import {
namespace {

TEST(Family, LlamaDefaults) {
  TransformerSpec spec = good(R"({"model_type": "llama"})");
  EXPECT_EQ(spec.embedding.vocab, 32000);
  EXPECT_EQ(spec.hidden, 4096);
  EXPECT_EQ(spec.layers, 32);
  EXPECT_EQ(spec.mlp.intermediate, 11008);
  EXPECT_EQ(spec.mlp.kind, MlpKind::Gated);
  EXPECT_EQ(spec.mlp.activation, Activation::Silu);
  EXPECT_FALSE(spec.mlp.bias);
  EXPECT_EQ(spec.attention.heads, 32);
  EXPECT_EQ(spec.attention.kvHeads, 32);
  EXPECT_EQ(spec.attention.headDim, 128);
  EXPECT_DOUBLE_EQ(spec.attention.scale, 1 / std::sqrt(128.0));
  EXPECT_TRUE(spec.attention.causal);
  EXPECT_FALSE(spec.attention.qkvBias || spec.attention.outputBias);
  EXPECT_EQ(spec.attention.windows, std::vector<std::optional<int64_t>>(32));
  EXPECT_FALSE(spec.attention.qkNorm);
  EXPECT_EQ(spec.maxPositions, 2048);
  EXPECT_FALSE(spec.positionsAreHardLimit);
  EXPECT_EQ(spec.norm.kind, NormKind::RmsNorm);
  EXPECT_EQ(spec.norm.eps, 1e-6);
  EXPECT_EQ(spec.residual, Residual::PreNorm);
  ASSERT_EQ(spec.heads.size(), 1u);
  EXPECT_FALSE(spec.heads[0].steps[0].tied);
  EXPECT_EQ(spec.generation.bosId, 1);
  EXPECT_EQ(spec.generation.eosIds, std::vector<int64_t>{2});
}

TEST(Family, LlamaBiasesReachAllFourProjections) {
  TransformerSpec spec =
      good(R"({"model_type": "llama", "attention_bias": true, "mlp_bias": true})");
  EXPECT_TRUE(spec.attention.qkvBias && spec.attention.outputBias && spec.mlp.bias);
}

TEST(Family, MistralDefaults) {
  TransformerSpec spec = good(R"({"model_type": "mistral"})");
  EXPECT_EQ(spec.mlp.intermediate, 14336);
  EXPECT_EQ(spec.attention.kvHeads, 8);
  EXPECT_EQ(spec.maxPositions, 131072);
  EXPECT_EQ(spec.attention.windows, std::vector<std::optional<int64_t>>(32, 4096));
}

TEST(Family, MistralNullMeansNoWindowAndAllKeyHeads) {
  TransformerSpec spec =
      good(R"({"model_type": "mistral", "sliding_window": null, "num_key_value_heads": null})");
  EXPECT_EQ(spec.attention.windows, std::vector<std::optional<int64_t>>(32));
  EXPECT_EQ(spec.attention.kvHeads, 32);
}

TEST(Family, MistralNemoHeadDimIsItsOwn) {
  TransformerSpec spec = good(R"({"model_type": "mistral", "hidden_size": 5120, "head_dim": 128})");
  EXPECT_EQ(spec.attention.headDim, 128);
}

TEST(Family, Qwen2BiasesAreNotInTheConfig) {
  TransformerSpec spec = good(R"({"model_type": "qwen2"})");
  EXPECT_TRUE(spec.attention.qkvBias);
  EXPECT_FALSE(spec.attention.outputBias);
  EXPECT_EQ(spec.embedding.vocab, 151936);
  EXPECT_EQ(spec.mlp.intermediate, 22016);
  EXPECT_EQ(spec.maxPositions, 32768);
  EXPECT_TRUE(spec.generation.eosIds.empty());
}

TEST(Family, QwenWindowNeedsItsSwitch) {
  using Windows = std::vector<std::optional<int64_t>>;
  const std::string base = R"({"model_type": "qwen2", "num_hidden_layers": 3, "sliding_window": 4)";
  EXPECT_EQ(good(base + "}").attention.windows, Windows(3));
  EXPECT_EQ(
      good(base + R"(, "use_sliding_window": true, "max_window_layers": 1})").attention.windows,
      (Windows{std::nullopt, 4, 4}));
  EXPECT_EQ(good(base + R"(, "use_sliding_window": true})").attention.windows, Windows(3));
  EXPECT_EQ(good(base + R"(, "use_sliding_window": true, "layer_types":
      ["sliding_attention", "full_attention", "full_attention"]})")
                .attention.windows,
            (Windows{4, std::nullopt, std::nullopt}));
  expectMalformed(base + R"(, "layer_types": ["sliding_attention", "full_attention",
      "full_attention"]})",
                  {"layer_types", "use_sliding_window"});
  expectMalformed(base + R"(, "layer_types": ["full_attention"]})", {"layer_types", "list of 3"});
  expectUnsupported(base + R"(, "layer_types": ["full_attention", "linear_attention",
      "full_attention"]})",
                    {"linear_attention", "supported"});
}

TEST(Family, Qwen3HeadDimDefaultsTo128) {
  TransformerSpec spec = good(R"({"model_type": "qwen3", "hidden_size": 1024,
                                  "num_attention_heads": 16, "num_key_value_heads": 8})");
  EXPECT_EQ(spec.attention.headDim, 128);
  ASSERT_TRUE(spec.attention.qkNorm);
  EXPECT_EQ(spec.attention.qkNorm->eps, 1e-6);
  EXPECT_FALSE(spec.attention.qkvBias);
}

TEST(Family, BertDefaults) {
  TransformerSpec spec = good(R"({"model_type": "bert"})");
  EXPECT_EQ(spec.hidden, 768);
  EXPECT_EQ(spec.embedding.vocab, 30522);
  EXPECT_EQ(spec.embedding.types, 2);
  EXPECT_EQ(spec.norm.eps, 1e-12);
  EXPECT_EQ(spec.mlp.kind, MlpKind::Plain);
  EXPECT_EQ(spec.residual, Residual::PostNorm);
  EXPECT_EQ(spec.maxPositions, 512);
  EXPECT_TRUE(spec.positionsAreHardLimit);
  EXPECT_EQ(spec.embedding.learned->offset, 0);
  EXPECT_FALSE(spec.embedding.learned->padId);
  EXPECT_TRUE(spec.hiddenStateOutput);
  ASSERT_EQ(spec.heads.size(), 1u);
  EXPECT_EQ(spec.heads[0].output, "pooler_output");
  EXPECT_TRUE(spec.names.finalNorm.empty());
}

TEST(Family, MaskedLmHeadIsTiedUnlessTheConfigSaysNot) {
  TransformerSpec spec =
      good(R"({"model_type": "bert", "architectures": ["BertForMaskedLM"], "hidden_act": "relu"})");
  EXPECT_FALSE(spec.hiddenStateOutput);
  ASSERT_EQ(spec.heads.at(0).steps.size(), 4u);
  EXPECT_EQ(spec.heads[0].steps[1].activation, Activation::Relu);
  EXPECT_TRUE(spec.heads[0].steps[3].tied);
  spec = good(R"({"model_type": "roberta", "architectures": ["RobertaForMaskedLM"],
                  "hidden_act": "relu", "tie_word_embeddings": false})");
  EXPECT_EQ(spec.heads.at(0).steps[1].activation, Activation::Gelu);
  EXPECT_FALSE(spec.heads[0].steps[3].tied);
}

TEST(Family, ClassifierWidthIsTheNumberOfLabels) {
  auto labels = [](const std::string &keys) {
    TransformerSpec spec = good(R"({"model_type": "bert", "architectures":
        ["BertForSequenceClassification"])" +
                                keys + "}");
    return spec.heads.at(0).steps.back().outFeatures;
  };
  EXPECT_EQ(labels(""), 2);
  EXPECT_EQ(labels(R"(, "num_labels": 7)"), 7);
  EXPECT_EQ(labels(R"(, "id2label": {"0": "a", "1": "b", "2": "c"}, "num_labels": 7)"), 3);
  expectMalformed(R"({"model_type": "bert", "architectures": ["BertForSequenceClassification"],
                      "id2label": {}})",
                  {"id2label"});
}

TEST(Family, RobertaPositionsFollowThePaddingId) {
  TransformerSpec spec = good(R"({"model_type": "roberta", "max_position_embeddings": 514})");
  EXPECT_EQ(spec.embedding.vocab, 50265);
  EXPECT_EQ(spec.embedding.learned->offset, 2);
  EXPECT_EQ(spec.embedding.learned->padId, 1);
  EXPECT_EQ(spec.maxPositions, 512);
  spec = good(R"({"model_type": "xlm-roberta", "pad_token_id": 4})");
  EXPECT_EQ(spec.embedding.vocab, 30522);
  EXPECT_EQ(spec.embedding.learned->offset, 5);
  expectMalformed(R"({"model_type": "roberta", "pad_token_id": 600})", {"pad_token_id", "511"});
  expectMalformed(R"({"model_type": "roberta", "pad_token_id": -1})", {"pad_token_id"});
}

TEST(Family, DistilBertDefaults) {
  TransformerSpec spec = good(R"({"model_type": "distilbert", "architectures":
                                  ["DistilBertForSequenceClassification"]})");
  EXPECT_EQ(spec.layers, 6);
  EXPECT_EQ(spec.mlp.intermediate, 3072);
  EXPECT_EQ(spec.embedding.types, 0);
  EXPECT_EQ(spec.norm.eps, 1e-12);
  ASSERT_EQ(spec.heads.at(0).steps.size(), 3u);
  EXPECT_EQ(spec.heads[0].steps[1].activation, Activation::Relu);
}

} // namespace
} // namespace ingot::import
