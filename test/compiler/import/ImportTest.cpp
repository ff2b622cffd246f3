//===- ImportTest.cpp - Folders to modules, and what is wrong with them ----===//
#include "compiler/import/Import.h"

#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

using namespace mlir;
namespace fs = std::filesystem;

namespace ingot::import {
namespace {

struct Tensor {
  std::string dtype = "F32";
  std::vector<int64_t> shape;
  float value = 1;
};

/// A model folder in the making: a tiny Llama that can be spoiled.
class Import : public ::testing::Test {
protected:
  void SetUp() override {
    folder = fs::path(INGOT_TEST_BINARY_DIR) / "import" /
             ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder);
    fs::create_directories(folder);
    config = R"({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 8,
        "intermediate_size": 6, "num_hidden_layers": 1, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": 11, "max_position_embeddings": 64)";
    add("model.embed_tokens.weight", {11, 8});
    add("model.layers.0.input_layernorm.weight", {8});
    add("model.layers.0.self_attn.q_proj.weight", {8, 8});
    add("model.layers.0.self_attn.k_proj.weight", {4, 8});
    add("model.layers.0.self_attn.v_proj.weight", {4, 8});
    add("model.layers.0.self_attn.o_proj.weight", {8, 8});
    add("model.layers.0.post_attention_layernorm.weight", {8});
    add("model.layers.0.mlp.gate_proj.weight", {6, 8});
    add("model.layers.0.mlp.up_proj.weight", {6, 8});
    add("model.layers.0.mlp.down_proj.weight", {8, 6});
    add("model.norm.weight", {8});
    add("lm_head.weight", {11, 8});
  }

  void add(const std::string &name, std::vector<int64_t> shape, float value = 1,
           std::string dtype = "F32") {
    tensors[name] = {std::move(dtype), std::move(shape), value};
  }

  void writeFolder(const std::string &moreConfig = "") {
    std::ofstream(folder / "config.json") << config << moreConfig << "}";
    std::string header = "{", data;
    for (const auto &[name, tensor] : tensors) {
      int64_t count = 1;
      std::string shape;
      for (int64_t dim : tensor.shape) {
        count *= dim;
        shape += (shape.empty() ? "" : ",") + std::to_string(dim);
      }
      size_t begin = data.size();
      size_t width = tensor.dtype == "I8" ? 1 : 4;
      for (int64_t i = 0; i < count; ++i) {
        char bytes[4];
        std::memcpy(bytes, &tensor.value, 4);
        data.append(bytes, width);
      }
      header += (header.size() > 1 ? "," : "") + ("\"" + name + "\":{\"dtype\":\"" + tensor.dtype) +
                "\",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(begin) + "," +
                std::to_string(data.size()) + "]}";
    }
    header += "}";
    uint64_t length = header.size();
    std::ofstream file(folder / "model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char *>(&length), 8);
    file << header << data;
  }

  Result<ImportedModel> import(ImportOptions options = {}) {
    Result<Checkpoint> checkpoint = Checkpoint::open(folder);
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status().message();
    options.model = folder;
    options.checkpoint = &*checkpoint;
    return importModel(context, options);
  }

  void expectError(ExitCode code, const std::vector<std::string> &parts,
                   ImportOptions options = {}) {
    Result<ImportedModel> model = import(options);
    ASSERT_FALSE(model.ok());
    EXPECT_EQ(model.status().code(), code) << model.status().message();
    for (const std::string &part : parts)
      EXPECT_NE(model.status().message().find(part), std::string::npos)
          << "expected '" << part << "' in: " << model.status().message();
  }

  void expectRemark(const ImportedModel &model, const std::string &part) {
    for (const std::string &remark : model.remarks)
      if (remark.find(part) != std::string::npos)
        return;
    ADD_FAILURE() << "no remark holds '" << part << "'";
  }

  static DictionaryAttr sources(const ImportedModel &model) {
    return (*model.module)->getAttrOfType<DictionaryAttr>(transformer::kSourcesAttr);
  }

  MLIRContext context;
  fs::path folder;
  std::string config;
  std::map<std::string, Tensor> tensors;
};

TEST_F(Import, GoodFolder) {
  writeFolder();
  Result<ImportedModel> model = import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model->spec.modelType, "llama");
  EXPECT_EQ(model->spec.architecture, "LlamaForCausalLM");
  EXPECT_TRUE(model->remarks.empty()) << model->remarks.front();
  EXPECT_EQ(sources(*model).size(), tensors.size());
  for (const char *name : {"forward", "step"}) {
    auto program = model->module->lookupSymbol<func::FuncOp>(name);
    ASSERT_TRUE(program) << name;
    EXPECT_TRUE(program->hasAttr(transformer::kProgramAttr));
  }
  auto step = model->module->lookupSymbol<func::FuncOp>("step");
  // ids, lengths, past, table, and K and V of one layer: 4 blocks of 16 a row, 8 rows, the null
  // block.
  EXPECT_EQ(step.getNumArguments(), 6u);
  EXPECT_EQ(cast<RankedTensorType>(step.getArgumentTypes()[4]).getShape(),
            (ArrayRef<int64_t>{33, 2, 16, 2}));
  EXPECT_EQ(step.getNumResults(), 3u);
}

TEST_F(Import, EveryGoldenCase) {
  size_t count = 0;
  for (const fs::directory_entry &entry :
       fs::directory_iterator(fs::path(INGOT_TEST_SOURCE_DIR) / "golden" / "cases")) {
    folder = entry.path() / "model";
    Result<ImportedModel> model = import();
    EXPECT_TRUE(model.ok()) << entry.path() << ": " << model.status().message();
    ++count;
  }
  EXPECT_GE(count, 25u);
}

TEST_F(Import, WithoutACheckpoint) {
  writeFolder();
  ImportOptions options;
  options.model = folder;
  Result<ImportedModel> model = importModel(context, options);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(sources(*model).size(), tensors.size());
}

TEST_F(Import, SameModuleEachTime) {
  writeFolder();
  std::string texts[2];
  for (std::string &text : texts) {
    Result<ImportedModel> model = import();
    ASSERT_TRUE(model.ok());
    llvm::raw_string_ostream stream(text);
    model->module->print(stream, OpPrintingFlags().enableDebugInfo());
  }
  EXPECT_EQ(texts[0], texts[1]);
}

TEST_F(Import, MissingTensor) {
  tensors.erase("model.layers.0.mlp.up_proj.weight");
  writeFolder();
  expectError(ExitCode::MalformedInput,
              {"missing tensor 'model.layers.0.mlp.up_proj.weight'", "[6, 8]"});
}

TEST_F(Import, MisshapenTensor) {
  add("model.norm.weight", {9});
  writeFolder();
  expectError(ExitCode::MalformedInput,
              {"model.safetensors", "'model.norm.weight'", "expected shape [8]", "got [9]"});
}

TEST_F(Import, TensorOfIntegers) {
  add("model.norm.weight", {8}, 1, "I8");
  writeFolder();
  expectError(ExitCode::MalformedInput, {"'model.norm.weight'", "floating-point", "i8"});
}

TEST_F(Import, SurplusTensor) {
  add("model.layers.0.self_attn.q_proj.bias", {8});
  writeFolder();
  expectError(ExitCode::MalformedInput,
              {"surplus tensor 'model.layers.0.self_attn.q_proj.bias'", "f32[8]"});
}

TEST_F(Import, SurplusLayer) {
  add("model.layers.1.input_layernorm.weight", {8});
  writeFolder();
  expectError(ExitCode::MalformedInput, {"surplus tensor 'model.layers.1.input_layernorm.weight'"});
}

TEST_F(Import, SurplusTensorOfAUsedHead) {
  add("lm_head.bias", {11});
  writeFolder();
  expectError(ExitCode::MalformedInput, {"surplus tensor 'lm_head.bias'"});
}

TEST_F(Import, ManyProblemsAreCounted) {
  for (int i = 0; i < 20; ++i)
    add("extra." + std::to_string(i), {1});
  writeFolder();
  expectError(ExitCode::MalformedInput, {"surplus tensor 'extra.0'", "and 12 more"});
}

TEST_F(Import, StoredBuffersAreIgnoredWithARemark) {
  add("model.layers.0.self_attn.rotary_emb.inv_freq", {1});
  add("model.rotary_emb.inv_freq", {1});
  writeFolder();
  Result<ImportedModel> model = import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  expectRemark(*model, "rotary frequencies");
}

TEST_F(Import, HeadOfAnotherTaskIsIgnoredWithARemark) {
  config.replace(config.find("LlamaForCausalLM"), strlen("LlamaForCausalLM"), "LlamaModel");
  writeFolder();
  Result<ImportedModel> model = import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  expectRemark(*model, "'lm_head.weight'");
  EXPECT_FALSE(model->module->lookupSymbol("step"));
}

TEST_F(Import, TiedHeadTakesTheEmbedding) {
  tensors.erase("lm_head.weight");
  writeFolder(R"(, "tie_word_embeddings": true)");
  Result<ImportedModel> model = import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_FALSE(sources(*model).contains("lm_head.weight"));
}

TEST_F(Import, TiedHeadMayBeTheOneThatIsStored) {
  tensors.erase("model.embed_tokens.weight");
  writeFolder(R"(, "tie_word_embeddings": true)");
  Result<ImportedModel> model = import();
  ASSERT_TRUE(model.ok()) << model.status().message();
}

TEST_F(Import, TiedHeadStoredTwiceAlikeStaysTied) {
  writeFolder(R"(, "tie_word_embeddings": true)");
  Result<ImportedModel> model = import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_FALSE(sources(*model).contains("lm_head.weight"));
}

TEST_F(Import, TiedHeadStoredTwiceDifferentlyIsNotTied) {
  add("lm_head.weight", {11, 8}, 2);
  writeFolder(R"(, "tie_word_embeddings": true)");
  Result<ImportedModel> model = import();
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_TRUE(sources(*model).contains("lm_head.weight"));
  expectRemark(*model, "different values");
}

TEST_F(Import, PoolerMayBeMissing) {
  fs::path base = fs::path(INGOT_TEST_SOURCE_DIR) / "golden" / "cases" / "xlm-roberta-base";
  ImportOptions options;
  options.model = base / "model";
  Result<ImportedModel> model = importModel(context, options);
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->module->lookupSymbol<func::FuncOp>("forward").getNumResults(), 2u);
  // The same config, bound to a checkpoint that has no pooler at all.
  config = R"({"model_type": "roberta", "hidden_size": 4, "num_hidden_layers": 1, "vocab_size": 5,
      "num_attention_heads": 1, "intermediate_size": 4, "max_position_embeddings": 6,
      "type_vocab_size": 1)";
  tensors.clear();
  add("embeddings.word_embeddings.weight", {5, 4});
  add("embeddings.position_embeddings.weight", {6, 4});
  add("embeddings.token_type_embeddings.weight", {1, 4});
  add("embeddings.LayerNorm.gamma", {4});
  add("embeddings.LayerNorm.beta", {4});
  for (const char *name : {"attention.self.query", "attention.self.key", "attention.self.value",
                           "attention.output.dense", "intermediate.dense", "output.dense"}) {
    add("encoder.layer.0." + std::string(name) + ".weight", {4, 4});
    add("encoder.layer.0." + std::string(name) + ".bias", {4});
  }
  for (const char *name : {"attention.output.LayerNorm", "output.LayerNorm"}) {
    add("encoder.layer.0." + std::string(name) + ".weight", {4});
    add("encoder.layer.0." + std::string(name) + ".bias", {4});
  }
  add("embeddings.position_ids", {1, 6});
  writeFolder();
  Result<ImportedModel> bare = import();
  ASSERT_TRUE(bare.ok()) << bare.status().message();
  EXPECT_EQ(bare->module->lookupSymbol<func::FuncOp>("forward").getNumResults(), 1u);
  expectRemark(*bare, "pooler_output left out");
  expectRemark(*bare, "index buffer");
}

TEST_F(Import, MaximaAreChecked) {
  writeFolder();
  expectError(ExitCode::Usage, {"--max-batch", "got -1"}, {.maxBatch = -1});
  expectError(ExitCode::Usage, {"--max-context"}, {.maxContext = int64_t(1) << 40});
  expectError(ExitCode::Usage, {"--max-tokens"}, {.maxTokens = -5});
  Result<ImportedModel> model = import({.maxContext = 100});
  ASSERT_TRUE(model.ok());
  expectRemark(*model, "64 positions");
}

TEST_F(Import, LearnedPositionsAreAHardLimit) {
  folder = fs::path(INGOT_TEST_SOURCE_DIR) / "golden" / "cases" / "bert-base" / "model";
  expectError(ExitCode::Usage, {"--max-context", "40", "got 41"}, {.maxContext = 41});
}

TEST_F(Import, HugeButValidSizesAreRefusedBeforeTheyOverflow) {
  config = R"({"model_type": "llama", "hidden_size": 1048576, "num_attention_heads": 4096,
      "head_dim": 4096, "num_hidden_layers": 1, "vocab_size": 16777216)";
  writeFolder();
  ImportOptions options;
  options.model = folder;
  options.maxBatch = 65536;
  options.maxContext = 1 << 24;
  options.blockSize = 4096;
  Result<ImportedModel> model = importModel(context, options);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), ExitCode::OutOfResources);
}

TEST_F(Import, NoConfig) {
  ImportOptions options;
  options.model = folder / "nowhere";
  Result<ImportedModel> model = importModel(context, options);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), ExitCode::MalformedInput);
  EXPECT_NE(model.status().message().find("config.json"), std::string::npos);
}

} // namespace
} // namespace ingot::import
