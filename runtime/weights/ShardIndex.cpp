//===- ShardIndex.cpp - model.safetensors.index.json ----------------------===//
#include "runtime/weights/ShardIndex.h"
#include "runtime/weights/Json.h"
#include "runtime/weights/Utf8.h"

#include <algorithm>

namespace ingot {
namespace {

/// What is wrong with a shard's name, or null.
const char *shardNameProblem(std::string_view name) {
  constexpr std::string_view suffix = ".safetensors";
  if (name.size() <= suffix.size() || name.substr(name.size() - suffix.size()) != suffix)
    return "a file name that ends in .safetensors";
  if (name.size() > 255)
    return "a file name of at most 255 bytes";
  if (name[0] == '.')
    return "a file name that does not start with a dot";
  for (char c : name)
    if (c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return "a plain file name of the same folder, without separators";
  return nullptr;
}

} // namespace

Result<ShardIndex> parseShardIndex(std::string_view text, std::string_view name) {
  Result<JsonDocument> json =
      parseJson(text, {.name = std::string(name), .allowNonFinite = true, .maxDepth = 16});
  if (!json.ok())
    return json.status();
  JsonView map = json->root()["weight_map"];
  if (!map.is(JsonKind::Object))
    return map.expected("an object of tensor names and their files");
  const std::vector<JsonValue::Member> &members = map.value()->members();
  if (members.empty())
    return map.expected("at least one tensor");

  ShardIndex index;
  for (const JsonValue::Member &member : members) {
    if (member.second.kind() != JsonKind::String)
      return map[member.first].expected("a file name");
    if (const char *problem = shardNameProblem(member.second.string()))
      return map[member.first].expected(problem);
    index.shards.push_back(member.second.string());
  }
  std::sort(index.shards.begin(), index.shards.end());
  index.shards.erase(std::unique(index.shards.begin(), index.shards.end()), index.shards.end());

  index.tensors.reserve(members.size());
  for (const JsonValue::Member &member : members) {
    auto shard = std::lower_bound(index.shards.begin(), index.shards.end(), member.second.string());
    index.tensors.push_back({member.first, uint32_t(shard - index.shards.begin())});
  }
  std::sort(
      index.tensors.begin(), index.tensors.end(),
      [](const ShardIndex::Entry &a, const ShardIndex::Entry &b) { return a.tensor < b.tensor; });
  return index;
}

} // namespace ingot
