//===- RopeTest.cpp - Frequency tables against the reference's bits --------===//
#include "test/compiler/import/TestSupport.h"

#include "runtime/weights/Json.h"
#include "runtime/weights/JsonWriter.h"

#include <bit>
#include <cstdlib>

namespace ingot::import {
namespace {

/// JSON text of a parsed value, to hand a part of a file on.
void write(JsonWriter &json, const JsonValue &value) {
  switch (value.kind()) {
  case JsonKind::Bool:
    json.value(value.boolean());
    break;
  case JsonKind::Int:
    json.value(value.integer());
    break;
  case JsonKind::Double:
    json.value(value.number());
    break;
  case JsonKind::String:
    json.value(value.string());
    break;
  case JsonKind::Array:
    json.beginArray();
    for (const JsonValue &element : value.elements())
      write(json, element);
    json.endArray();
    break;
  case JsonKind::Object:
    json.beginObject();
    for (const JsonValue::Member &member : value.members()) {
      json.key(member.first);
      write(json, member.second);
    }
    json.endObject();
    break;
  default:
    break;
  }
}

// Where a power is not rounded as the reference's vector library rounds it, a table differs in the
// last place, and a blend of two such values in one more.
constexpr int64_t kMaxUlps = 2;

TEST(Rope, TablesAgreeWithTheReference) {
  Result<JsonDocument> file = readJsonFile(INGOT_TEST_SOURCE_DIR "/golden/rope_frequencies.json");
  ASSERT_TRUE(file.ok()) << file.status().message();
  int64_t exact = 0, total = 0;
  for (const JsonValue::Member &entry : file->value().members()) {
    JsonWriter json;
    write(json, *entry.second.find("config"));
    TransformerSpec spec = good(json.text());
    ASSERT_TRUE(spec.embedding.rope) << entry.first;
    const RopeSpec &rope = *spec.embedding.rope;
    const std::vector<JsonValue> &expected = entry.second.find("inv_freq")->elements();
    ASSERT_EQ(rope.invFreq.size(), expected.size()) << entry.first;
    for (size_t i = 0; i < expected.size(); ++i) {
      int64_t want = std::strtoll(expected[i].string().c_str(), nullptr, 16);
      int64_t got = std::bit_cast<uint32_t>(rope.invFreq[i]);
      EXPECT_LE(std::abs(want - got), kMaxUlps)
          << entry.first << " [" << i << "]: " << rope.invFreq[i];
      exact += want == got, ++total;
    }
    EXPECT_DOUBLE_EQ(rope.attentionFactor, entry.second.find("attention_factor")->number())
        << entry.first;
    EXPECT_EQ(rope.dynamic, entry.first == "dynamic-short");
  }
  EXPECT_GE(exact * 10, total * 9) << exact << " of " << total << " bit for bit";
}

TEST(Rope, BothGenerationsOfKeysSayTheSame) {
  const char *older = R"({"model_type": "llama", "rope_theta": 500000.0, "rope_scaling":
      {"type": "linear", "factor": 4.0}})";
  const char *newer = R"({"model_type": "llama", "rope_parameters":
      {"rope_type": "linear", "rope_theta": 500000.0, "factor": 4.0}})";
  EXPECT_EQ(good(older).embedding.rope->invFreq, good(newer).embedding.rope->invFreq);
  // The theta of the dictionary wins; an empty dictionary says nothing.
  const char *both = R"({"model_type": "llama", "rope_theta": 10000.0, "rope_scaling": {},
      "rope_parameters": {"rope_theta": 500000.0, "type": "linear", "factor": 4}})";
  EXPECT_EQ(good(both).embedding.rope->invFreq, good(newer).embedding.rope->invFreq);
}

TEST(Rope, RopeTypeWinsOverType) {
  TransformerSpec spec = good(R"({"model_type": "llama", "rope_scaling":
      {"type": "linear", "rope_type": "dynamic", "factor": 2.0}})");
  EXPECT_TRUE(spec.embedding.rope->dynamic);
  EXPECT_EQ(spec.embedding.rope->maxPosition, 2048);
}

TEST(Rope, WhatIsMissingOrWrongIsNamed) {
  auto scaling = [](const std::string &text) {
    return R"({"model_type": "llama", "rope_scaling": )" + text + "}";
  };
  expectUnsupported(
      scaling(R"({"rope_type": "longrope", "factor": 2.0})"),
      {"rope_scaling.rope_type", "longrope", "default, linear, dynamic, llama3, yarn"});
  expectMalformed(scaling(R"("linear")"), {"rope_scaling", "a dictionary"});
  expectMalformed(scaling(R"({"type": "linear"})"), {"rope_scaling.factor", "needs it"});
  expectMalformed(scaling(R"({"type": "linear", "factor": 0})"), {"rope_scaling.factor"});
  expectMalformed(scaling(R"({"type": "linear", "factor": NaN})"), {"rope_scaling.factor"});
  expectMalformed(scaling(R"({"type": 3})"), {"rope_scaling.type"});
  expectMalformed(scaling(R"({"rope_type": "llama3", "factor": 8.0})"), {"low_freq_factor"});
  expectMalformed(scaling(R"({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0,
                              "high_freq_factor": 4.0})"),
                  {"high_freq_factor"});
  expectMalformed(scaling(R"({"rope_type": "yarn"})"), {"rope_scaling.factor"});
  expectMalformed(scaling(R"({"rope_type": "yarn", "factor": 2.0, "rope_theta": 1.0})"),
                  {"rope_theta"});
  expectMalformed(scaling(R"({"rope_type": "yarn", "factor": 2.0,
                              "original_max_position_embeddings": 0})"),
                  {"original_max_position_embeddings"});
  expectUnsupported(scaling(R"({"full_attention": {"rope_type": "default"}})"), {"full_attention"});
}

} // namespace
} // namespace ingot::import
