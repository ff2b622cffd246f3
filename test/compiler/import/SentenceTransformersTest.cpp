//===- SentenceTransformersTest.cpp - modules.json -------------------------===//
#include "test/compiler/import/TestSupport.h"

#include "compiler/import/SentenceTransformers.h"

#include <filesystem>
#include <fstream>

namespace ingot::import {
namespace {

class SentenceTransformers : public ::testing::Test {
protected:
  void SetUp() override {
    folder = std::filesystem::path(INGOT_TEST_BINARY_DIR) / "sentence-transformers" /
             ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder / "1_Pooling");
  }
  void writeFile(const std::string &name, const std::string &text) {
    std::ofstream(folder / name) << text;
  }
  void writeModules(bool normalize = true) {
    std::string text = R"([{"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"})";
    if (normalize)
      text += R"(, {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"})";
    writeFile("modules.json", text + "]");
  }
  void expectStatus(ExitCode code, const std::string &part) {
    TransformerSpec spec = good(config);
    Status status = readSentenceTransformers(folder, spec);
    EXPECT_EQ(status.code(), code) << status.message();
    EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
  }

  std::filesystem::path folder;
  std::string config = R"({"model_type": "bert", "hidden_size": 48})";
};

TEST_F(SentenceTransformers, NoneWithoutModules) {
  TransformerSpec spec = good(config);
  ASSERT_TRUE(readSentenceTransformers(folder, spec).ok());
  EXPECT_FALSE(spec.sentence);
}

TEST_F(SentenceTransformers, MeanAndNormalize) {
  writeModules();
  writeFile("1_Pooling/config.json", R"({"word_embedding_dimension": 48,
      "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true, "include_prompt": true})");
  TransformerSpec spec = good(config);
  ASSERT_TRUE(readSentenceTransformers(folder, spec).ok());
  EXPECT_EQ(spec.sentence->pooling, Pooling::Mean);
  EXPECT_TRUE(spec.sentence->normalize);
}

TEST_F(SentenceTransformers, ClsWithoutNormalize) {
  writeModules(/*normalize=*/false);
  writeFile("1_Pooling/config.json",
            R"({"pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false})");
  TransformerSpec spec = good(config);
  ASSERT_TRUE(readSentenceTransformers(folder, spec).ok());
  EXPECT_EQ(spec.sentence->pooling, Pooling::FirstToken);
  EXPECT_FALSE(spec.sentence->normalize);
}

TEST_F(SentenceTransformers, RefusesWhatItCannotDo) {
  writeModules();
  writeFile("1_Pooling/config.json", R"({"word_embedding_dimension": 32})");
  expectStatus(ExitCode::MalformedInput, "word_embedding_dimension");
  writeFile("1_Pooling/config.json", R"({"pooling_mode_max_tokens": true})");
  expectStatus(ExitCode::Unsupported, "pooling_mode_max_tokens");
  writeFile("1_Pooling/config.json",
            R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true})");
  expectStatus(ExitCode::Unsupported, "exactly one");
  writeFile("1_Pooling/config.json", "{");
  expectStatus(ExitCode::MalformedInput, "1_Pooling/config.json");
  std::filesystem::remove(folder / "1_Pooling/config.json");
  expectStatus(ExitCode::MalformedInput, "config.json");
  writeFile("modules.json", R"([{"path": "", "type": "a.Transformer"},
                                {"path": "../x", "type": "a.Pooling"}])");
  expectStatus(ExitCode::MalformedInput, "path");
  writeFile("modules.json", R"([{"path": "", "type": "a.Transformer"},
                                {"path": "2_Dense", "type": "a.Dense"}])");
  expectStatus(ExitCode::Unsupported, "a.Dense");
  writeFile("modules.json", R"([{"path": "", "type": "a.Transformer"}])");
  expectStatus(ExitCode::Unsupported, "Pooling");
  writeFile("modules.json", R"({})");
  expectStatus(ExitCode::MalformedInput, "list of modules");
}

TEST_F(SentenceTransformers, OnlyForEncodersWithoutAHead) {
  writeModules();
  writeFile("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  config = R"({"model_type": "qwen3", "hidden_size": 48})";
  expectStatus(ExitCode::Unsupported, "encoders");
}

} // namespace
} // namespace ingot::import
