//===- shard_index.cpp - Fuzzes model.safetensors.index.json --------------===//
#include "runtime/weights/ShardIndex.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  ingot::Result<ingot::ShardIndex> index = ingot::parseShardIndex(text, "fuzz");
  if (!index.ok())
    return 0;
  // What was accepted may be opened: plain names of the folder.
  for (const std::string &shard : index->shards)
    if (shard.find('/') != std::string::npos || shard.find('\0') != std::string::npos ||
        shard == ".." || shard.empty())
      abort();
  for (const ingot::ShardIndex::Entry &entry : index->tensors)
    if (entry.shard >= index->shards.size())
      abort();
  return 0;
}
