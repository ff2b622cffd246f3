//===- JsonTest.cpp - The strict JSON reader ------------------------------===//
#include "runtime/weights/Json.h"
#include "test/runtime/weights/SafetensorsBuilder.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using testing::HasSubstr;

namespace {

JsonDocument parsed(std::string_view text, JsonOptions options = {}) {
  Result<JsonDocument> document = parseJson(text, options);
  EXPECT_TRUE(document.ok()) << document.status().message();
  return document.ok() ? *std::move(document) : *parseJson("null");
}

std::string errorOf(std::string_view text, JsonOptions options = {}) {
  Result<JsonDocument> document = parseJson(text, options);
  EXPECT_FALSE(document.ok()) << text;
  if (document.ok())
    return "";
  EXPECT_EQ(document.status().code(), ExitCode::MalformedInput);
  return document.status().message();
}

TEST(Json, Scalars) {
  EXPECT_EQ(parsed("null").value().kind(), JsonKind::Null);
  EXPECT_TRUE(parsed(" true ").value().boolean());
  EXPECT_FALSE(parsed("\n\t\rfalse").value().boolean());
  EXPECT_EQ(parsed("\"a\"").value().string(), "a");
  EXPECT_EQ(parsed("\"\"").value().string(), "");
}

TEST(Json, IntegersStayExact) {
  EXPECT_EQ(parsed("0").value().integer(), 0);
  EXPECT_EQ(parsed("-0").value().integer(), 0);
  EXPECT_EQ(parsed("9007199254740993").value().integer(), 9007199254740993);
  EXPECT_EQ(parsed("-9223372036854775808").value().integer(), INT64_MIN);
  EXPECT_EQ(parsed("9223372036854775807").value().integer(), INT64_MAX);
  JsonDocument big = parsed("9223372036854775808");
  EXPECT_EQ(big.value().kind(), JsonKind::UInt);
  EXPECT_EQ(big.value().unsignedInteger(), 9223372036854775808u);
  EXPECT_EQ(parsed("18446744073709551615").value().unsignedInteger(), UINT64_MAX);
  // What Python writes for "no limit": a number, but no integer.
  JsonDocument huge = parsed("1000000000000000019884624838656");
  EXPECT_EQ(huge.value().kind(), JsonKind::Double);
  EXPECT_EQ(huge.value().number(), 1e30);
  EXPECT_EQ(parsed("-9223372036854775809").value().kind(), JsonKind::Double);
}

TEST(Json, Doubles) {
  EXPECT_EQ(parsed("1.0").value().kind(), JsonKind::Double);
  EXPECT_EQ(parsed("1e-05").value().number(), 1e-05);
  EXPECT_EQ(parsed("1E+3").value().number(), 1000);
  EXPECT_EQ(parsed("-0.0").value().number(), 0);
  EXPECT_TRUE(std::signbit(parsed("-0.0").value().number()));
  EXPECT_EQ(parsed("1.7976931348623157e308").value().number(), 1.7976931348623157e308);
  EXPECT_EQ(parsed("1e-400").value().number(), 0);
  EXPECT_EQ(parsed("5e-324").value().number(), 5e-324);
  EXPECT_EQ(parsed("0.1").value().number(), 0.1);
  EXPECT_THAT(errorOf("1e400"), HasSubstr("double's range"));
  EXPECT_THAT(errorOf("-1e400"), HasSubstr("double's range"));
}

TEST(Json, MalformedNumbers) {
  for (const char *text : {"01", "-01", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "0x10", "1_000",
                           "--1", "1 2", "-a", "١"})
    errorOf(text);
  EXPECT_THAT(errorOf("01"), HasSubstr("leading zeros"));
}

TEST(Json, NonFiniteOnlyWithOption) {
  JsonOptions allow{.allowNonFinite = true};
  EXPECT_TRUE(std::isnan(parsed("NaN", allow).value().number()));
  EXPECT_EQ(parsed("Infinity", allow).value().number(), HUGE_VAL);
  EXPECT_EQ(parsed("[-Infinity]", allow).value().elements()[0].number(), -HUGE_VAL);
  for (const char *text : {"NaN", "Infinity", "-Infinity"})
    errorOf(text);
  for (const char *text : {"nan", "Inf", "-NaN", "-Inf", "+Infinity", "Infinit"})
    errorOf(text, allow);
}

TEST(Json, Escapes) {
  EXPECT_EQ(parsed(R"("\"\\\/\b\f\n\r\t")").value().string(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(parsed(R"("\u0041\u00e9\u20AC")").value().string(), "Aé€");
  EXPECT_EQ(parsed(R"("\ud83d\ude00")").value().string(), "😀");
  EXPECT_EQ(parsed(R"("a\u0000b")").value().string(), std::string("a\0b", 3));
  for (const char *text :
       {R"("\ud83d")", R"("\ud83dx")", R"("\ud83d\n")", R"("\ud83d\u0041")", R"("\ude00")",
        R"("\u12g4")", R"("\u12")", R"("\x41")", R"("\)", "\"\\\""})
    errorOf(text);
}

TEST(Json, Utf8IsValidated) {
  EXPECT_EQ(parsed("\"é€😀\"").value().string(), "é€😀");
  for (const char *bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xc3", "\xe0\x80\x80", "\xe2\x82",
                          "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xff", "\xc3("})
    EXPECT_THAT(errorOf("\"" + std::string(bad) + "\""), HasSubstr("UTF-8"));
  errorOf("\xef\xbb\xbf{}"); // a byte order mark is no JSON
}

TEST(Json, MalformedStrings) {
  EXPECT_THAT(errorOf("\"abc"), HasSubstr("closing quote"));
  EXPECT_THAT(errorOf("\"a\nb\""), HasSubstr("escaped"));
  EXPECT_THAT(errorOf(std::string_view("\"a\0b\"", 5)), HasSubstr("escaped"));
  errorOf("'a'");
}

TEST(Json, MalformedStructure) {
  for (const char *text : {"",           " ",        "[",         "]",         "{",
                           "}",          "[1",       "[1,",       "[1,]",      "[,1]",
                           "[1 2]",      "{\"a\"",   "{\"a\":",   "{\"a\":1",  "{\"a\":1,",
                           "{\"a\":1,}", "{a:1}",    "{1:1}",     "{\"a\" 1}", "{\"a\":1 \"b\":2}",
                           "[1]]",       "{} {}",    "nul",       "nulll",     "tru",
                           "True",       "None",     "undefined", "// c\n1",   "/* c */ 1",
                           "[1}",        "{\"a\":1]"})
    errorOf(text);
  errorOf(std::string_view("1\0", 2));
  errorOf(std::string_view("\0", 1));
}

TEST(Json, DuplicateKeysAreRefused) {
  EXPECT_THAT(errorOf(R"({"a": 1, "b": 2, "a": 3})"), HasSubstr("\"a\" again"));
  EXPECT_THAT(errorOf(R"({"a": 1, "\u0061": 3})"), HasSubstr("once"));
  parsed(R"({"a": {"a": 1}})");
}

TEST(Json, DepthIsCapped) {
  auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  parsed(nested(64));
  EXPECT_THAT(errorOf(nested(65)), HasSubstr("64 levels"));
  EXPECT_THAT(errorOf(std::string(10'000'000, '[')), HasSubstr("levels"));
  parsed(nested(512), {.maxDepth = 1000000});
  errorOf(nested(513), {.maxDepth = 1000000}); // whatever the caller asks
  std::string objects;
  for (int i = 0; i < 100; ++i)
    objects += "{\"a\":";
  EXPECT_THAT(errorOf(objects), HasSubstr("levels"));
  errorOf("[1]", {.maxDepth = 0});
}

TEST(Json, NumberOfValuesIsCapped) {
  parsed("[1,2]", {.maxValues = 3});
  EXPECT_THAT(errorOf("[1,2,3]", {.maxValues = 3}), HasSubstr("at most 3 values"));
}

TEST(Json, ErrorsSayWhere) {
  EXPECT_EQ(errorOf("{\n  \"a\": 1,\n  \"b\" 2\n}", {.name = "config.json"}),
            "config.json:3:7 (byte 18): expected ':' behind a key, got '2'");
  EXPECT_THAT(errorOf("[1, \x01]"), HasSubstr("byte 0x01"));
  EXPECT_THAT(errorOf("[1, "), HasSubstr("the end of the text"));
}

TEST(Json, ObjectsKeepTheirOrderAndFindKeys) {
  JsonDocument document = parsed(R"({"b": 1, "a": [2, 3], "": 4})");
  ASSERT_EQ(document.value().members().size(), 3u);
  EXPECT_EQ(document.value().members()[0].first, "b");
  EXPECT_EQ(document.value().find("a")->elements()[1].integer(), 3);
  EXPECT_EQ(document.value().find("")->integer(), 4);
  EXPECT_EQ(document.value().find("c"), nullptr);
  EXPECT_EQ(document.value().find("a")->find("b"), nullptr); // no object
}

constexpr char kConfig[] = R"({
  "num_attention_heads": -1, "hidden_size": 576, "rope_theta": 1e4, "tie": true, "act": "silu",
  "head_dim": null, "big": 18446744073709551615, "scaling": {"factor": "8", "list": [1, 2.5, "x"]},
  "ids": [1, 2, 3], "names": ["a", "b"], "nan": NaN
})";

class JsonViewTest : public testing::Test {
protected:
  JsonDocument document = parsed(kConfig, {.name = "config.json", .allowNonFinite = true});
  JsonView root = document.root();
  template <typename T> static std::string error(const Result<T> &result) {
    EXPECT_FALSE(result.ok());
    return result.status().message();
  }
};

TEST_F(JsonViewTest, Reads) {
  EXPECT_EQ(*root["hidden_size"].asPositiveInt(), 576);
  EXPECT_EQ(*root["hidden_size"].asDouble(), 576.0);
  EXPECT_EQ(*root["rope_theta"].asDouble(), 1e4);
  EXPECT_TRUE(*root["tie"].asBool());
  EXPECT_EQ(*root["act"].asString(), "silu");
  EXPECT_EQ(*root["big"].asDouble(), 18446744073709551616.0);
  EXPECT_EQ(*root["ids"].asIntArray(), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(*root["ids"].asDoubleArray(), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(*root["names"].asStringArray(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(*root["ids"].at(2).asInt(), 3);
  EXPECT_EQ(root["scaling"].asObject()->size(), 2u);
  EXPECT_EQ((*root["scaling"].asObject())[0].first, "factor");
  EXPECT_EQ(root["ids"].asArray()->size(), 3u);
}

TEST_F(JsonViewTest, Defaults) {
  EXPECT_EQ(*root["head_dim"].asPositiveIntOr(64), 64);
  EXPECT_EQ(*root["absent"].asIntOr(7), 7);
  EXPECT_EQ(*root["hidden_size"].asIntOr(7), 576);
  EXPECT_EQ(*root["absent"].asStringOr("gelu"), "gelu");
  EXPECT_EQ(*root["absent"].asBoolOr(true), true);
  EXPECT_EQ(*root["absent"].asDoubleOr(0.5), 0.5);
  EXPECT_FALSE(root["act"].asIntOr(3).ok());
  EXPECT_TRUE(root["head_dim"].exists());
  EXPECT_TRUE(root["head_dim"].isAbsentOrNull());
  EXPECT_FALSE(root["absent"]["deeper"].at(3).exists());
}

TEST_F(JsonViewTest, ErrorsNameTheKeyPath) {
  EXPECT_EQ(error(root["num_attention_heads"].asPositiveInt()),
            "config.json: num_attention_heads: expected a positive integer, got -1");
  EXPECT_EQ(error(root["scaling"]["factor"].asDouble()),
            "config.json: scaling.factor: expected a number, got \"8\"");
  EXPECT_EQ(error(root["scaling"]["list"].asIntArray()),
            "config.json: scaling.list[1]: expected an integer, got 2.5");
  EXPECT_EQ(error(root["absent"].asBool()),
            "config.json: absent: expected true or false, got nothing (not set)");
  EXPECT_EQ(error(root["hidden_size"].asInt(1, 100)),
            "config.json: hidden_size: expected an integer from 1 to 100, got 576");
  EXPECT_EQ(error(root["big"].asPositiveInt()),
            "config.json: big: expected an integer of at most 9223372036854775807, got "
            "18446744073709551615");
  EXPECT_EQ(error(root["rope_theta"].asInt()),
            "config.json: rope_theta: expected an integer, got 10000");
  EXPECT_EQ(error(root["a\n\"b"].asInt()),
            "config.json: \"a\\n\\\"b\": expected an integer, got nothing (not set)");
  EXPECT_EQ(error(root.asString()), "config.json: expected a string, got an object");
  EXPECT_EQ(error(root["ids"].asString()),
            "config.json: ids: expected a string, got an array of 3");
}

TEST(JsonFile, ReadsAndRefuses) {
  test::TemporaryFolder folder;
  folder.write("config.json", R"({"a": 1})");
  Result<JsonDocument> document = readJsonFile(folder / "config.json");
  ASSERT_TRUE(document.ok());
  EXPECT_EQ(document->root()["a"].path(), "config.json: a");
  EXPECT_EQ(readJsonFile(folder / "none.json").status().code(), ExitCode::MalformedInput);
  EXPECT_THAT(readJsonFile(folder.path()).status().message(), HasSubstr("a folder"));
  EXPECT_THAT(readJsonFile("/dev/null").status().message(), HasSubstr("regular file"));
  EXPECT_THAT(readJsonFile(folder / "config.json", {.maxFileBytes = 4}).status().message(),
              HasSubstr("at most 4 bytes"));
  folder.write("empty.json", "");
  EXPECT_FALSE(readJsonFile(folder / "empty.json").ok());
}

} // namespace
