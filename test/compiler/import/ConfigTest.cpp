//===- ConfigTest.cpp - Getters, dispatch and what is refused --------------===//
#include "test/compiler/import/TestSupport.h"

namespace ingot::import {
namespace {

TEST(Config, DispatchNamesWhatIsSupported) {
  expectUnsupported(R"({"model_type": "gpt2"})",
                    {"config.json: model_type", "\"gpt2\"", "llama, mistral, qwen2, qwen3, bert"});
  expectMalformed(R"({})", {"model_type", "llama"});
  expectMalformed(R"({"model_type": null})", {"model_type"});
  expectMalformed(R"({"model_type": 7})", {"model_type", "got 7"});
  expectMalformed(R"([])", {"config.json"});
  expectUnsupported(R"({"model_type": "llama", "architectures": ["LlamaForTokenClassification"]})",
                    {"architectures", "LlamaForTokenClassification", "...ForCausalLM"});
  expectUnsupported(R"({"model_type": "bert", "architectures": ["BertForCausalLM"]})",
                    {"...ForMaskedLM", "...ForSequenceClassification"});
  expectMalformed(R"({"model_type": "llama", "architectures": "LlamaForCausalLM"})",
                  {"architectures", "a list"});
  expectMalformed(R"({"model_type": "llama", "architectures": [3]})", {"architectures"});
}

TEST(Config, TaskFollowsArchitecture) {
  EXPECT_EQ(good(R"({"model_type": "llama"})").task, Task::CausalLM);
  EXPECT_EQ(good(R"({"model_type": "llama", "architectures": ["LlamaModel"]})").task, Task::Base);
  EXPECT_EQ(good(R"({"model_type": "llama", "architectures": ["LLaMAForCausalLM"]})").task,
            Task::CausalLM);
  EXPECT_EQ(good(R"({"model_type": "bert", "architectures": null})").task, Task::Base);
  EXPECT_EQ(good(R"({"model_type": "roberta", "architectures": []})").task, Task::Base);
  EXPECT_EQ(good(R"({"model_type": "camembert", "architectures": ["CamembertForMaskedLM"]})").task,
            Task::MaskedLM);
}

TEST(Config, SizesArePositiveWholeAndCapped) {
  for (const char *key :
       {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
        "intermediate_size", "num_key_value_heads", "head_dim", "max_position_embeddings"})
    for (const char *value : {"0", "-1", "1.5", "\"48\"", "[48]", "true", "9223372036854775808",
                              "18446744073709551616", "4611686018427387904", "1e300", "NaN"})
      expectMalformed(
          std::string(R"({"model_type": "llama", ")") + key + "\": " + value + "}",
          {std::string("config.json: ") + key, "expected a whole number from 1 to", "got"});
}

TEST(Config, HeadsDivide) {
  expectMalformed(R"({"model_type": "llama", "num_attention_heads": 7})",
                  {"divide", "7 heads", "4096"});
  expectMalformed(R"({"model_type": "llama", "num_key_value_heads": 5})",
                  {"num_key_value_heads", "32", "got 5"});
  expectMalformed(R"({"model_type": "llama", "num_key_value_heads": 64})", {"got 64"});
  expectMalformed(R"({"model_type": "bert", "hidden_size": 100})", {"12 heads", "100"});
  expectMalformed(R"({"model_type": "llama", "head_dim": 5})", {"head_dim", "even", "got 5"});
  // With a head dimension of its own, heads need not divide the width.
  TransformerSpec spec = good(R"({"model_type": "llama", "num_attention_heads": 6, "head_dim": 10,
                                  "hidden_size": 100})");
  EXPECT_EQ(spec.attention.headDim, 10);
  EXPECT_EQ(spec.attention.kvHeads, 6);
}

TEST(Config, TwoNamesOfOneKeyMustAgree) {
  EXPECT_EQ(good(R"({"model_type": "distilbert", "dim": 384, "hidden_size": 384})").hidden, 384);
  EXPECT_EQ(good(R"({"model_type": "distilbert", "hidden_size": 384})").hidden, 384);
  expectMalformed(R"({"model_type": "distilbert", "dim": 384, "hidden_size": 768})",
                  {"hidden_size", "dim", "384", "768"});
}

TEST(Config, ActivationsByEveryName) {
  auto activation = [](const char *name) {
    return good(std::string(R"({"model_type": "llama", "hidden_act": ")") + name + "\"}")
        .mlp.activation;
  };
  EXPECT_EQ(activation("silu"), Activation::Silu);
  EXPECT_EQ(activation("swish"), Activation::Silu);
  EXPECT_EQ(activation("gelu"), Activation::Gelu);
  EXPECT_EQ(activation("gelu_new"), Activation::GeluTanh);
  EXPECT_EQ(activation("gelu_pytorch_tanh"), Activation::GeluTanh);
  EXPECT_EQ(activation("quick_gelu"), Activation::QuickGelu);
  EXPECT_EQ(activation("relu2"), Activation::Relu2);
  expectUnsupported(R"({"model_type": "llama", "hidden_act": "golu"})",
                    {"hidden_act", "\"golu\"", "supported: gelu", "silu"});
  expectMalformed(R"({"model_type": "llama", "hidden_act": 1})", {"hidden_act", "a string"});
}

TEST(Config, NumbersAreFiniteAndInRange) {
  for (const char *value : {"-1e-5", "\"1e-5\"", "NaN", "Infinity", "2", "[]"})
    expectMalformed(std::string(R"({"model_type": "llama", "rms_norm_eps": )") + value + "}",
                    {"rms_norm_eps", "a number from 0 to 1"});
  for (const char *value : {"0", "-10000.0", "\"10000\"", "Infinity"})
    expectMalformed(std::string(R"({"model_type": "llama", "rope_theta": )") + value + "}",
                    {"rope_theta"});
}

TEST(Config, FlagsAreBooleans) {
  for (const char *key : {"attention_bias", "mlp_bias", "tie_word_embeddings"})
    for (const char *value : {"\"yes\"", "1", "[]"})
      expectMalformed(std::string(R"({"model_type": "llama", ")") + key + "\": " + value + "}",
                      {key, "true or false"});
}

TEST(Config, ForeignKeysAreRefusedNotIgnored) {
  expectUnsupported(R"({"model_type": "llama", "quantization_config": {"quant_method": "gptq"}})",
                    {"quantization_config", "gptq", "bf16"});
  expectUnsupported(R"({"model_type": "bert", "position_embedding_type": "relative_key"})",
                    {"position_embedding_type", "relative_key"});
  expectUnsupported(R"({"model_type": "bert", "is_decoder": true})", {"is_decoder"});
  expectUnsupported(R"({"model_type": "bert", "add_cross_attention": true})",
                    {"add_cross_attention"});
  expectUnsupported(R"({"model_type": "llama", "sliding_window": 128})", {"sliding_window"});
  expectUnsupported(R"({"model_type": "llama", "final_logit_softcapping": 30.0})",
                    {"final_logit_softcapping"});
  expectUnsupported(R"({"model_type": "llama", "num_local_experts": 8})", {"num_local_experts"});
  expectUnsupported(R"({"model_type": "mistral", "attention_bias": true})", {"attention_bias"});
  expectUnsupported(R"({"model_type": "qwen2", "mlp_bias": true})", {"mlp_bias"});
  expectUnsupported(R"({"model_type": "llama", "layer_types": ["sliding_attention"]})",
                    {"layer_types"});
  expectUnsupported(R"({"model_type": "llama", "partial_rotary_factor": 0.5})",
                    {"partial_rotary_factor"});
}

TEST(Config, NeutralForeignKeysAreFine) {
  good(R"({"model_type": "bert", "position_embedding_type": "absolute", "is_decoder": false,
           "add_cross_attention": null, "pruned_heads": {}})");
  good(R"({"model_type": "llama", "sliding_window": null, "quantization_config": null,
           "pretraining_tp": 1, "partial_rotary_factor": 1.0, "rope_scaling": null,
           "some_unknown_key": {"x": [1, 2, 3]}})");
}

} // namespace
} // namespace ingot::import
