//===- ShardIndex.h - model.safetensors.index.json ----------------*- C++ -*-===//
#pragma once

#include "runtime/support/Status.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// Which shard holds which tensor.
struct ShardIndex {
  struct Entry {
    std::string tensor;
    uint32_t shard; // index into `shards`
  };
  std::vector<std::string> shards; // plain file names, sorted
  std::vector<Entry> tensors;      // sorted by name
};

/// Reads a shard index. A shard is a plain `.safetensors` file name: no separator, no "..", no
/// control character. `name` is what errors call the text.
Result<ShardIndex> parseShardIndex(std::string_view text, std::string_view name);

} // namespace ingot
