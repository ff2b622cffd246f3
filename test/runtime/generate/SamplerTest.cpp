//===- SamplerTest.cpp - Processors and distributions -----------*- C++ -*-===//
#include "runtime/generate/Sampler.h"

#include "runtime/generate/Random.h"
#include "runtime/generate/SamplingRule.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <map>

using namespace ingot;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

struct Draws {
  std::vector<float> logits;
  SamplingOptions options;
  TokenSet seen{64, 64};

  int32_t one(uint64_t draw, uint64_t seed = 1) {
    Sampler sampler(logits.size());
    auto token = sampler.pick(logits, options, seen, seed, draw);
    EXPECT_TRUE(token.ok());
    return *token;
  }

  /// Shares of 40000 draws.
  std::map<int32_t, double> shares() {
    Sampler sampler(logits.size());
    std::map<int32_t, double> out;
    const int count = 40000;
    for (int i = 0; i < count; ++i)
      out[*sampler.pick(logits, options, seen, 99, uint64_t(i))] += 1.0 / count;
    return out;
  }

  /// The shares must be `weights` normalized; tokens with weight 0 never occur.
  void expectShares(std::map<int32_t, double> weights) {
    double total = 0;
    for (auto [token, weight] : weights)
      total += weight;
    auto got = shares();
    for (auto [token, share] : got)
      EXPECT_TRUE(weights.count(token)) << "token " << token << " is not allowed";
    for (auto [token, weight] : weights)
      EXPECT_NEAR(got[token], weight / total, 0.01) << token;
  }
};

std::vector<float> logsOf(std::vector<double> weights) {
  std::vector<float> out;
  for (double weight : weights)
    out.push_back(weight == 0 ? -kInf : float(std::log(weight)));
  return out;
}

} // namespace

TEST(Sampler, GreedyTakesTheFirstLargest) {
  Draws d{{1, 5, 5, 2}, {}};
  EXPECT_EQ(d.one(0), 1);
  d.options.sample = true;
  d.options.temperature = 0;
  EXPECT_EQ(d.one(0), 1);
  d.options.temperature = 1e-45f; // scores overflow: greedy
  EXPECT_EQ(d.one(0), 1);
}

TEST(Sampler, SoftmaxShares) {
  Draws d{logsOf({1, 2, 3, 4, 0}), {.sample = true}};
  d.expectShares({{0, 1}, {1, 2}, {2, 3}, {3, 4}});
}

TEST(Sampler, Temperature) {
  Draws d{logsOf({1, 2, 4}), {.sample = true, .temperature = 0.5f}};
  d.expectShares({{0, 1}, {1, 4}, {2, 16}});
  d.options.temperature = 2;
  d.expectShares({{0, 1}, {1, std::sqrt(2.0)}, {2, 2}});
}

TEST(Sampler, TopKKeepsTies) {
  Draws d{logsOf({5, 3, 3, 1, 1}), {.sample = true, .topK = 2}};
  d.expectShares({{0, 5}, {1, 3}, {2, 3}});
  d.options.topK = 1;
  d.expectShares({{0, 5}});
  d.options.topK = 100;
  d.expectShares({{0, 5}, {1, 3}, {2, 3}, {3, 1}, {4, 1}});
}

TEST(Sampler, TopPKeepsTheTokenThatCrosses) {
  Draws d{logsOf({0.1, 0.5, 0.25, 0.15}), {.sample = true, .topP = 0.6f}};
  d.expectShares({{1, 0.5}, {2, 0.25}}); // 0.5 before the second, 0.75 before the third
  d.options.topP = 0.8f;
  d.expectShares({{1, 0.5}, {2, 0.25}, {3, 0.15}});
  d.options.topP = 1e-6f;
  d.expectShares({{1, 0.5}});
}

TEST(Sampler, MinP) {
  Draws d{logsOf({0.5, 0.3, 0.06, 0.04}), {.sample = true, .minP = 0.1f}};
  d.expectShares({{0, 0.5}, {1, 0.3}, {2, 0.06}});
  d.options.minP = 1;
  d.expectShares({{0, 0.5}});
}

TEST(Sampler, OrderIsTemperatureTopKTopPMinP) {
  // Top-p sees the probabilities that top-k left: 4/7 alone reaches 0.55; of all, 4/10 would not.
  Draws d{logsOf({4, 3, 2, 1}), {.sample = true, .topK = 2, .topP = 0.55f}};
  d.expectShares({{0, 4}});
  // Temperature comes first: 16/25 of the two.
  d = {logsOf({4, 3, 2, 1}), {.sample = true, .temperature = 0.5f, .topK = 2, .topP = 0.62f}};
  d.expectShares({{0, 16}});
  d.options.topP = 0.66f;
  d.expectShares({{0, 16}, {1, 9}});
}

TEST(Sampler, RepetitionPenaltyDividesOrMultiplies) {
  Draws d{{4, 3.5f, -1, -1.5f}, {.repetitionPenalty = 2}};
  EXPECT_EQ(d.one(0), 0);
  d.seen.insert(0);
  EXPECT_EQ(d.one(0), 1); // 4 / 2 < 3.5
  d.seen.insert(1);
  d.seen.insert(1); // once, however often it occurred
  EXPECT_EQ(d.one(0), 0);
  d.logits = {-1, -1.5f};
  d.seen.clear();
  d.seen.insert(0);
  EXPECT_EQ(d.one(0), 1); // -1 * 2 < -1.5
}

TEST(Sampler, NumbersThatAreNone) {
  Sampler sampler(3);
  TokenSet seen(3, 3);
  for (bool sample : {false, true})
    for (std::vector<float> logits :
         {std::vector<float>{1, NAN, 2}, {-kInf, -kInf, -kInf}, {1, kInf, 2}, {NAN, NAN, NAN}})
      EXPECT_EQ(sampler.pick(logits, {.sample = sample}, seen, 0, 0).status().code(),
                ExitCode::MalformedInput);
}

TEST(Sampler, DrawsDependOnSeedAndCounterOnly) {
  Draws d{logsOf(std::vector<double>(50, 1)), {.sample = true}};
  int different = 0;
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(d.one(i), d.one(i));
    different += d.one(i, 1) != d.one(i, 2);
  }
  EXPECT_GT(different, 80);
}

TEST(Sampler, OptionsAreChecked) {
  auto bad = [](SamplingOptions options) {
    EXPECT_EQ(checkSamplingOptions(options).code(), ExitCode::Usage);
  };
  bad({.temperature = -1});
  bad({.temperature = kInf});
  bad({.temperature = NAN});
  bad({.topP = 0});
  bad({.topP = 1.1f});
  bad({.minP = -0.1f});
  bad({.minP = NAN});
  bad({.repetitionPenalty = 0});
  EXPECT_TRUE(checkSamplingOptions({}).ok());
}

TEST(Random, UniformMomentsAndIndependence) {
  double sum = 0, squares = 0, product = 0;
  const int count = 100000;
  for (int i = 0; i < count; ++i) {
    double a = uniform(5, uint64_t(i)), b = uniform(6, uint64_t(i));
    ASSERT_GE(a, 0);
    ASSERT_LT(a, 1);
    sum += a;
    squares += a * a;
    product += (a - 0.5) * (b - 0.5);
  }
  EXPECT_NEAR(sum / count, 0.5, 0.005);
  EXPECT_NEAR(squares / count, 1 / 3.0, 0.005);
  EXPECT_NEAR(product / count, 0, 0.002);
}

TEST(SamplingRule, WeightsAreExponentials) {
  EXPECT_EQ(samplingWeight(0), kFullWeight);
  EXPECT_EQ(samplingWeight(-0.0f), kFullWeight);
  EXPECT_EQ(samplingWeight(-kInf), 0u);
  EXPECT_EQ(samplingWeight(-29), 0u);
  // Kernels have the same arithmetic: these are what they must give.
  EXPECT_EQ(samplingWeight(-1), 404487723136u);
  EXPECT_EQ(samplingWeight(-0.3f), 814538238208u);
  EXPECT_EQ(samplingWeight(-13.7f), 1234143u);
  uint64_t before = kFullWeight;
  for (float x = -1e-6f; x > -28; x *= 1.001f) {
    double exact = std::exp(double(x)) * 0x1p40;
    uint64_t weight = samplingWeight(x);
    EXPECT_NEAR(double(weight), exact, 3e-8 * exact + 1) << x;
    EXPECT_LE(weight, before + before / 100000000 + 1) << x;
    before = weight;
  }
}

TEST(SamplingRule, SharesAreRoundedUp) {
  EXPECT_EQ(shareOf(0.5f, 10), 5u);
  EXPECT_EQ(shareOf(0.5f, 11), 6u);
  EXPECT_EQ(shareOf(1e-30f, 7), 1u);
  EXPECT_EQ(shareOf(1, kFullWeight), kFullWeight);
  EXPECT_EQ(shareOf(0, 9), 0u);
}

TEST(SamplingRule, UniformBelow) {
  for (uint64_t i = 0; i < 1000; ++i) {
    EXPECT_EQ(uniformBelow(3, i, uint64_t(1) << 53), randomBits(3, i));
    EXPECT_EQ(uniformBelow(3, i, 1), 0u);
    EXPECT_EQ(uniformBelow(3, i, 1000), uint64_t(uniform(3, i) * 1000));
  }
}
