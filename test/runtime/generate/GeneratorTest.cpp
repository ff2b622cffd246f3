//===- GeneratorTest.cpp - The loop over a paged step program ---*- C++ -*-===//
#include "runtime/generate/Generator.h"

#include "test/runtime/testing/TestArtifact.h"

#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::testing;

namespace {

using Prompts = std::vector<std::vector<int32_t>>;

struct GeneratorTest : ::testing::Test {
  LoadedModel loaded = loadModel();
  std::unique_ptr<Generator> generator = std::move(*Generator::create(*loaded.model));
  GenerateStats stats;

  std::vector<GeneratedRow> generate(const Prompts &prompts, const GenerateSettings &settings) {
    std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
    std::vector<GeneratedRow> rows;
    Status status = generator->generate(views, settings, rows, &stats);
    EXPECT_TRUE(status.ok()) << status.message();
    return rows;
  }

  Status refused(const Prompts &prompts, GenerateSettings settings = {}) {
    std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
    std::vector<GeneratedRow> rows;
    Status status = generator->generate(views, settings, rows);
    EXPECT_EQ(status.code(), ExitCode::Usage) << status.message();
    return status;
  }
};

/// What the test's model continues greedily, computed without cache, batch or chunks.
std::vector<int32_t> expectedTokens(std::vector<int32_t> tokens, size_t count) {
  std::vector<int32_t> out;
  while (out.size() < count) {
    out.push_back(nextToken(tokens));
    tokens.push_back(out.back());
  }
  return out;
}

Prompts manyPrompts() {
  Prompts prompts;
  for (int i = 0; i < 20; ++i) {
    auto &prompt = prompts.emplace_back();
    for (int j = 0; j <= (i * 7) % 12; ++j)
      prompt.push_back((i * 5 + j * j) % int32_t(kVocabulary));
  }
  return prompts;
}

} // namespace

TEST_F(GeneratorTest, GreedyOverPagesChunksAndAQueue) {
  // Twenty prompts of 1 to 12 tokens; at most 3 rows, 4 tokens a row and 6 a call.
  GenerateSettings settings;
  settings.maxNewTokens = 4;
  Prompts prompts = manyPrompts();
  for (int round = 0; round < 3; ++round) { // blocks and rows come back every time
    auto rows = generate(prompts, settings);
    ASSERT_EQ(rows.size(), prompts.size());
    for (size_t i = 0; i < prompts.size(); ++i) {
      EXPECT_EQ(rows[i].tokens, expectedTokens(prompts[i], 4)) << i;
      EXPECT_EQ(rows[i].stop, StopReason::Length);
    }
  }
  EXPECT_EQ(stats.newTokens, 80u);
  EXPECT_GT(stats.prefillCalls, 20u);
}

TEST_F(GeneratorTest, RowsDoNotDependOnEachOther) {
  GenerateSettings settings;
  settings.maxNewTokens = 5;
  settings.sampling = {true, 1.5f, 0, 0.95f, 0, 1.1f};
  settings.seed = 42;
  Prompts prompts = manyPrompts();
  auto rows = generate(prompts, settings);
  for (size_t i = 0; i < prompts.size(); ++i) {
    GenerateSettings alone = settings;
    alone.seed = settings.seed + i;
    EXPECT_EQ(generate({prompts[i]}, alone)[0].tokens, rows[i].tokens) << i;
  }
  settings.seed = 43;
  auto other = generate(prompts, settings);
  size_t different = 0;
  for (size_t i = 0; i < prompts.size(); ++i)
    different += other[i].tokens != rows[i].tokens;
  EXPECT_GT(different, 5u);
}

TEST(Generator, OneTokenARowIsTheDecodeProgramsWork) {
  LoadedModel loaded = loadModel([](format::PlanT &plan) { addDecode(plan); });
  auto generator = std::move(*Generator::create(*loaded.model));
  Port &fed = *(*loaded.model->findProgram("step"))->findPort("input_ids", false);
  Port &decoded = *(*loaded.model->findProgram("decode"))->findPort("input_ids", false);
  auto check = [&](const std::vector<int32_t> &prompt, uint64_t count) {
    GenerateSettings settings;
    settings.maxNewTokens = count;
    std::vector<std::span<const int32_t>> views{prompt};
    std::vector<GeneratedRow> rows;
    Status status = generator->generate(views, settings, rows);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(rows[0].tokens, expectedTokens(prompt, count));
  };
  check({3, 1, 4}, 1);
  EXPECT_EQ(fed.shape[1], 3);
  EXPECT_EQ(decoded.elements, 0u);
  check({3, 1}, 5);
  EXPECT_EQ(fed.shape[1], 2);
  EXPECT_EQ(decoded.shape[1], 1);
  check({5}, 3);
  EXPECT_EQ(fed.shape[1], 2);
}

TEST_F(GeneratorTest, AnyOfTheEosIdsEnds) {
  std::vector<int32_t> prompt{3, 1, 4};
  auto tokens = expectedTokens(prompt, 8);
  GenerateSettings settings;
  settings.maxNewTokens = 8;
  settings.eosIds = {1000, tokens[2]};
  auto rows = generate({prompt, {1}}, settings);
  size_t first = size_t(std::find(tokens.begin(), tokens.end(), tokens[2]) - tokens.begin());
  ASSERT_EQ(rows[0].tokens.size(), first + 1);
  EXPECT_EQ(rows[0].tokens.back(), tokens[2]);
  EXPECT_EQ(rows[0].stop, StopReason::Eos);
}

TEST_F(GeneratorTest, TheContextEnds) {
  GenerateSettings settings;
  settings.maxNewTokens = UINT64_MAX;
  std::vector<int32_t> full(kMaxContext, 2);
  auto rows = generate({full, {1, 2, 3}}, settings);
  EXPECT_EQ(rows[0].tokens.size(), 1u); // the last token needs no room
  EXPECT_EQ(rows[0].stop, StopReason::Context);
  EXPECT_EQ(rows[1].tokens, expectedTokens({1, 2, 3}, kMaxContext - 3 + 1));
  EXPECT_EQ(rows[1].stop, StopReason::Context);
}

TEST_F(GeneratorTest, TheCallbackSeesAllAndCancels) {
  struct Seen {
    std::vector<std::vector<int32_t>> tokens{3};
    size_t left = SIZE_MAX;
  } seen;
  GenerateSettings settings;
  settings.maxNewTokens = 3;
  settings.user = &seen;
  settings.onToken = [](void *user, size_t prompt, int32_t token, size_t position) {
    auto *self = static_cast<Seen *>(user);
    EXPECT_EQ(self->tokens[prompt].size(), position);
    self->tokens[prompt].push_back(token);
    return --self->left == 0;
  };
  auto rows = generate({{1}, {2}, {3}}, settings);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(rows[i].tokens, seen.tokens[i]);
  seen = {};
  seen.left = 4;
  rows = generate({{1}, {2}, {3}}, settings);
  EXPECT_EQ(rows[0].tokens.size() + rows[1].tokens.size() + rows[2].tokens.size(), 4u);
  EXPECT_EQ(rows[2].stop, StopReason::Cancelled);
  // Everything was given back.
  settings.onToken = nullptr;
  EXPECT_EQ(generate({{1}}, settings)[0].tokens, expectedTokens({1}, 3));
}

TEST_F(GeneratorTest, RequestsAreChecked) {
  EXPECT_NE(refused({}).message().find("at least one prompt"), std::string::npos);
  EXPECT_NE(refused({{1}, {}}).message().find("prompt 1"), std::string::npos);
  EXPECT_NE(refused({{1, 13}}).message().find("from 0 to 12, got 13"), std::string::npos);
  refused({{-1}});
  EXPECT_NE(refused({std::vector<int32_t>(17, 1)}).message().find("--max-context"),
            std::string::npos);
  GenerateSettings settings;
  settings.maxNewTokens = 0;
  refused({{1}}, settings);
  settings = {};
  settings.sampling.topP = 2;
  refused({{1}}, settings);
}

TEST_F(GeneratorTest, RepetitionPenaltySeesThePrompt) {
  GenerateSettings settings;
  settings.maxNewTokens = 1;
  settings.sampling.repetitionPenalty = 2;
  // The likeliest token (logit 8) halves if the prompt has it; the next one (7) then wins.
  for (int32_t a = 0; a < kVocabulary; ++a)
    for (int32_t b = 0; b < kVocabulary; ++b) {
      int32_t best = nextToken({a, b}), second = (best + 1) % int32_t(kVocabulary);
      bool seen = best == a || best == b, secondSeen = second == a || second == b;
      if (secondSeen)
        continue;
      EXPECT_EQ(generate({{a, b}}, settings)[0].tokens[0], seen ? second : best);
    }
}

TEST(GeneratorLoad, FewBlocksMakeRowsWait) {
  // Five blocks: one full context (four blocks) at a time.
  LoadedModel loaded = loadModel([](format::PlanT &plan) {
    plan.generation->num_blocks = 5;
    plan.programs[1]->inputs[3]->maximum = 4;
  });
  auto generator = Generator::create(*loaded.model);
  ASSERT_TRUE(generator.ok());
  Prompts prompts = {{1, 2}, {3}, {4, 5, 6}};
  std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
  GenerateSettings settings;
  settings.maxNewTokens = 14;
  std::vector<GeneratedRow> rows;
  ASSERT_TRUE((*generator)->generate(views, settings, rows).ok());
  for (size_t i = 0; i < 3; ++i)
    EXPECT_EQ(rows[i].tokens, expectedTokens(prompts[i], 14));
}

TEST(GeneratorLoad, EncodersDoNotGenerate) {
  LoadedModel loaded = loadModel([](format::PlanT &plan) { plan.generation.reset(); });
  EXPECT_EQ(Generator::create(*loaded.model).status().code(), ExitCode::Usage);
}

TEST(GeneratorDeviceSampling, TheProgramSamples) {
  LoadedModel loaded = loadModel(addSampling);
  ASSERT_TRUE(loaded.model);
  auto generator = Generator::create(*loaded.model);
  ASSERT_TRUE(generator.ok());
  std::vector<std::vector<int32_t>> prompts = {{1}, {2, 3, 4, 5, 6, 7, 8}, {9, 1, 2}, {3, 3}, {5}};
  std::vector<std::span<const int32_t>> views(prompts.begin(), prompts.end());
  GenerateSettings settings;
  settings.maxNewTokens = 6;
  settings.seed = 11;
  std::vector<GeneratedRow> rows;
  ASSERT_TRUE((*generator)->generate(views, settings, rows).ok());
  for (size_t i = 0; i < prompts.size(); ++i) {
    std::vector<int32_t> tokens = prompts[i];
    for (int32_t token : rows[i].tokens) {
      EXPECT_EQ(token, nextToken(tokens));
      tokens.push_back(token);
    }
  }
  settings.sampling.sample = true;
  ASSERT_TRUE((*generator)->generate(views, settings, rows).ok());
  for (size_t i = 0; i < prompts.size(); ++i)
    for (size_t draw = 0; draw < 6; ++draw)
      EXPECT_EQ(rows[i].tokens[draw], int32_t(((11 + i) * 7 + draw * 3) % kVocabulary));
}
