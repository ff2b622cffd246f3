//===- JsonWriterTest.cpp - The JSON writer -------------------------------===//
#include "runtime/weights/JsonWriter.h"
#include "runtime/weights/Json.h"
#include "runtime/weights/Utf8.h"

#include <cmath>
#include <gtest/gtest.h>
#include <limits>
#include <random>

using namespace ingot;

namespace {

TEST(JsonWriter, Layout) {
  JsonWriter json;
  json.beginObject().member("name", "x").key("shape").beginArray().value(8).value(128).endArray();
  json.key("empty").beginObject().endObject().key("list").beginArray();
  json.beginObject().member("a", true).endObject().endArray().key("none").null().endObject();
  EXPECT_EQ(json.text(), R"({
  "name": "x",
  "shape": [8, 128],
  "empty": {},
  "list": [
    {
      "a": true
    }
  ],
  "none": null
})");
  JsonWriter line(0);
  line.beginObject()
      .member("a", 1)
      .key("b")
      .beginArray()
      .value("x")
      .value(2u)
      .endArray()
      .endObject();
  EXPECT_EQ(line.text(), R"({"a":1,"b":["x",2]})");
}

TEST(JsonWriter, NumbersReadBack) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    double number = std::bit_cast<double>(random());
    if (!std::isfinite(number))
      continue;
    Result<JsonDocument> document = parseJson(JsonWriter(0).value(number).text());
    ASSERT_TRUE(document.ok());
    EXPECT_EQ(*document->root().asDouble(), number);
  }
  EXPECT_EQ(JsonWriter().value(0.1f).text(), "0.1");
  EXPECT_EQ(JsonWriter().value(std::numeric_limits<uint64_t>::max()).text(),
            "18446744073709551615");
  EXPECT_EQ(JsonWriter().value(std::numeric_limits<int64_t>::min()).text(), "-9223372036854775808");
  EXPECT_EQ(JsonWriter().value(std::nan("")).text(), "null");
  EXPECT_EQ(JsonWriter().value(-HUGE_VAL).text(), "null");
}

TEST(JsonWriter, StringsReadBack) {
  std::string all;
  for (int c = 0; c < 128; ++c)
    all += char(c);
  all += "é€😀";
  Result<JsonDocument> document = parseJson(quoteJson(all));
  ASSERT_TRUE(document.ok()) << document.status().message();
  EXPECT_EQ(document->value().string(), all);
  EXPECT_EQ(quoteJson("a\xff\xc3"), "\"a\uFFFD\uFFFD\"");
  EXPECT_EQ(quoteJson("\x1b[31m"), "\"\\u001b[31m\"");
}

TEST(JsonWriter, ShortQuotesCutBetweenCharacters) {
  EXPECT_EQ(quoteShort("abc"), "\"abc\"");
  std::string longText(79, 'a');
  longText += "ééé";
  EXPECT_EQ(quoteShort(longText), "\"" + std::string(79, 'a') + "\"...");
  EXPECT_EQ(quoteShort(std::string(1000, '\xff')).substr(0, 4), "\"\uFFFD");
}

} // namespace
