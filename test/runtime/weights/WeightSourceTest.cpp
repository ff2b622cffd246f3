//===- WeightSourceTest.cpp - Binding checkpoints and random weights ------===//
#include "runtime/weights/WeightSource.h"
#include "test/runtime/weights/SafetensorsBuilder.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::test;
using testing::ElementsAre;
using testing::HasSubstr;

namespace {

class CheckpointSourceTest : public testing::Test {
protected:
  CheckpointSourceTest() {
    folder.write("model.safetensors", SafetensorsBuilder()
                                          .add("bert.a", "F32", "[2]", floatBytes({1, 2}))
                                          .add("b", "F32", "[1,2]", floatBytes({3, 4}))
                                          .add("bert.b", "F32", "[2]", floatBytes({5, 6}))
                                          .add("extra", "U8", "[1]", "x")
                                          .bytes());
    Result<std::unique_ptr<WeightSource>> opened = openWeightSource(folder.path());
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    source = *std::move(opened);
  }
  TemporaryFolder folder;
  std::unique_ptr<WeightSource> source;
};

float firstOf(const SourceTensor &tensor) {
  float value;
  std::memcpy(&value, tensor.data, sizeof(value));
  return value;
}

TEST_F(CheckpointSourceTest, FindsByNameThenAlias) {
  Result<SourceTensor> a = source->find({"a", {"model.a", "bert.a"}, {2}});
  ASSERT_TRUE(a.ok()) << a.status().message();
  EXPECT_EQ(firstOf(*a), 1);
  // The name goes before the alias, even where only the alias would fit.
  EXPECT_EQ(firstOf(*source->find({"b", {"bert.b"}, {1, 2}})), 3);
  EXPECT_EQ(firstOf(*source->find({"bert.b", {"b"}, {2}})), 5);
}

TEST_F(CheckpointSourceTest, SaysWhatIsMissingOrMisshapen) {
  EXPECT_EQ(
      source->find({"c", {"bert.c"}, {2, 3}}).status().message(),
      "model.safetensors: tensor \"c\" or \"bert.c\": expected shape [2, 3], got no such tensor");
  EXPECT_EQ(source->find({"a", {"bert.a"}, {3}}).status().message(),
            "model.safetensors: tensor \"bert.a\": expected shape [3], got [2]");
  EXPECT_EQ(source->find({"c", {}, {}}).status().code(), ExitCode::MalformedInput);
}

TEST(WeightNames, Patterns) {
  EXPECT_TRUE(nameMatches("cls.x", "cls.*"));
  EXPECT_FALSE(nameMatches("clsx", "cls.*"));
  EXPECT_FALSE(nameMatches("a.cls.x", "cls.*"));
  EXPECT_TRUE(nameMatches("position_ids", "*.position_ids"));
  EXPECT_TRUE(nameMatches("a.b.position_ids", "*.position_ids"));
  EXPECT_FALSE(nameMatches("my_position_ids", "*.position_ids"));
  EXPECT_TRUE(nameMatches("a", "a"));
  EXPECT_FALSE(nameMatches("ab", "a"));
}

TEST_F(CheckpointSourceTest, RefusesSurplus) {
  std::vector<SourceSpec> specs = {{"a", {"bert.a"}, {2}}, {"b", {"bert.b"}, {1, 2}}};
  std::vector<std::string> unused = {"*.extra"};
  EXPECT_TRUE(checkSurplus(*source, specs, unused).ok());
  Status status = checkSurplus(*source, specs, {});
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  EXPECT_THAT(status.message(), HasSubstr("\"extra\""));
  EXPECT_TRUE(checkSurplus(*makeRandomSource(1), specs, {}).ok());
}

TEST_F(CheckpointSourceTest, BindsAllOrListsProblems) {
  std::vector<SourceSpec> specs = {{"a", {"bert.a"}, {2}}, {"b", {}, {1, 2}}};
  Result<std::vector<SourceTensor>> bound = bindSources(*source, specs);
  ASSERT_TRUE(bound.ok());
  EXPECT_EQ(firstOf((*bound)[1]), 3);
  EXPECT_THAT(source->surplus(specs), ElementsAre("bert.b", "extra"));
  for (int i = 0; i < 10; ++i)
    specs.push_back({"missing." + std::to_string(i), {}, {1}});
  Status status = bindSources(*source, specs).status();
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  EXPECT_THAT(status.message(), HasSubstr("\"missing.7\""));
  EXPECT_THAT(status.message(), HasSubstr("and 2 more tensors"));
}

TEST(RandomSource, Specifiers) {
  EXPECT_TRUE(openWeightSource("random:0").ok());
  EXPECT_TRUE(openWeightSource("random:18446744073709551615").ok());
  for (const char *text : {"random:", "random:x", "random:-1", "random:1x", "random: 1",
                           "random:18446744073709551616"})
    EXPECT_EQ(openWeightSource(text).status().code(), ExitCode::Usage) << text;
  EXPECT_EQ(openWeightSource("/nowhere/at/all").status().code(), ExitCode::MalformedInput);
}

std::vector<float> valuesOf(uint64_t seed, const SourceSpec &spec, size_t count) {
  std::unique_ptr<WeightSource> source = makeRandomSource(seed);
  Result<SourceTensor> tensor = source->find(spec);
  EXPECT_TRUE(tensor.ok());
  std::vector<float> values(count);
  tensor->random->fill(values.data(), 0, 1, count);
  return values;
}

TEST(RandomSource, DependsOnSeedNameAndPositionOnly) {
  SourceSpec spec{"a", {"x"}, {1000}, Init::Normal, 1};
  std::vector<float> values = valuesOf(1, spec, 1000);
  EXPECT_EQ(values, valuesOf(1, {"a", {}, {10, 100}, Init::Normal, 1}, 1000));
  EXPECT_NE(values, valuesOf(2, spec, 1000));
  EXPECT_NE(values, valuesOf(1, {"b", {}, {1000}, Init::Normal, 1}, 1000));
  RandomFill fill(1, "a", Init::Normal, 1);
  for (uint64_t i = 0; i < 1000; ++i)
    EXPECT_EQ(fill.at(i), values[i]);
  std::vector<float> strided(100);
  fill.fill(strided.data(), 5, 7, 100);
  for (uint64_t i = 0; i < 100; ++i)
    EXPECT_EQ(strided[i], values[5 + 7 * i]);
}

TEST(RandomSource, TheBitsAreFixed) {
  // The same on every machine: a change here changes every `random:SEED` model.
  RandomFill normal(42, "model.embed_tokens.weight", Init::Normal, 0.02f);
  RandomFill ones(42, "model.norm.weight", Init::Ones, 0.02f);
  std::vector<uint32_t> bits;
  for (uint64_t i : {0ull, 1ull, 1000000ull})
    bits.push_back(std::bit_cast<uint32_t>(normal.at(i)));
  bits.push_back(std::bit_cast<uint32_t>(ones.at(0)));
  EXPECT_THAT(bits, ElementsAre(1024101332u, 3159181999u, 3155204874u, 1063479564u));
}

TEST(RandomSource, Distributions) {
  auto moments = [](const std::vector<float> &values) {
    double mean = 0, square = 0;
    for (float value : values)
      mean += value;
    mean /= double(values.size());
    for (float value : values)
      square += (value - mean) * (value - mean);
    return std::pair(mean, std::sqrt(square / double(values.size())));
  };
  constexpr size_t count = 200000;
  auto [mean, deviation] = moments(valuesOf(9, {"a", {}, {count}, Init::Normal, 0.02f}, count));
  EXPECT_NEAR(mean, 0, 2e-4);
  EXPECT_NEAR(deviation, 0.02, 2e-4);
  std::tie(mean, deviation) = moments(valuesOf(9, {"a", {}, {count}, Init::Ones, 5}, count));
  EXPECT_NEAR(mean, 1, 1e-3);
  EXPECT_NEAR(deviation, 0.1, 1e-3);
  for (float value : valuesOf(9, {"a", {}, {100}, Init::Zeros, 1}, 100))
    EXPECT_EQ(value, 0);
  // Two names' values are unrelated.
  std::vector<float> a = valuesOf(9, {"a", {}, {count}, Init::Normal, 1}, count);
  std::vector<float> b = valuesOf(9, {"b", {}, {count}, Init::Normal, 1}, count);
  double product = 0;
  for (size_t i = 0; i < count; ++i)
    product += double(a[i]) * double(b[i]);
  EXPECT_NEAR(product / count, 0, 0.01);
}

TEST(RandomSource, RefusesBadSpecs) {
  std::unique_ptr<WeightSource> source = makeRandomSource(1);
  EXPECT_FALSE(source->find({"a", {}, {2}, Init::Normal, HUGE_VALF}).ok());
  EXPECT_FALSE(source->find({"a", {}, {2}, Init::Normal, -1}).ok());
  EXPECT_FALSE(source->find({"a", {}, {-2}}).ok());
  EXPECT_TRUE(source->surplus({}).empty());
}

} // namespace
