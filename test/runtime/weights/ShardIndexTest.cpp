//===- ShardIndexTest.cpp - Shard indices, good and hostile ---------------===//
#include "runtime/weights/ShardIndex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using testing::HasSubstr;

namespace {

std::string errorOf(const std::string &text) {
  Result<ShardIndex> index = parseShardIndex(text, "index");
  EXPECT_FALSE(index.ok()) << text;
  EXPECT_EQ(index.status().code(), ExitCode::MalformedInput);
  return index.status().message();
}

TEST(ShardIndex, Reads) {
  Result<ShardIndex> index = parseShardIndex(
      R"({"metadata": {"total_size": 12}, "weight_map": {"b": "2.safetensors",
          "a": "1.safetensors", "c": "1.safetensors"}})",
      "index");
  ASSERT_TRUE(index.ok()) << index.status().message();
  EXPECT_EQ(index->shards, (std::vector<std::string>{"1.safetensors", "2.safetensors"}));
  ASSERT_EQ(index->tensors.size(), 3u);
  EXPECT_EQ(index->tensors[0].tensor, "a");
  EXPECT_EQ(index->tensors[1].shard, 1u);
}

TEST(ShardIndex, HostileNames) {
  for (const char *name :
       {"../m.safetensors", "/etc/m.safetensors", "a/m.safetensors", "..", ".", "", "m.bin",
        ".safetensors", ".m.safetensors", "a\\\\m.safetensors", "a\\u0000.safetensors",
        "a\\n.safetensors", "pytorch_model.bin", "m.safetensors/", "m.safetensors\\u0000"})
    EXPECT_THAT(errorOf("{\"weight_map\": {\"a\": \"" + std::string(name) + "\"}}"),
                HasSubstr("index: weight_map.a: expected a"))
        << name;
  EXPECT_THAT(errorOf("{\"weight_map\": {\"a\": \"" + std::string(300, 'x') + ".safetensors\"}}"),
              HasSubstr("255"));
}

TEST(ShardIndex, Malformed) {
  for (const char *text : {"", "[]", "{}", "null", R"({"weight_map": []})", R"({"weight_map": {}})",
                           R"({"weight_map": {"a": 1}})", R"({"weight_map": {"a": null}})",
                           R"({"weight_map": {"a": "1.safetensors", "a": "1.safetensors"}})",
                           R"({"weight_map": {"a": "1.safetensors"}, "weight_map": {}})"})
    errorOf(text);
}

} // namespace
