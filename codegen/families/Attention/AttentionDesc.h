//===- AttentionDesc.h - What and how of an attention kernel ----*- C++ -*-===//
#pragma once

#include "codegen/cuda/Stub.h"
#include "dialects/Transformer/TransformerOps.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace ingot::codegen {

/// Columns of a buffer that are rows of heads.
struct AttentionOperand {
  unsigned buffer = 0;
  int64_t stride = 0, offset = 0;
};

/// What: one attention over rows.
struct AttentionDesc {
  transformer::AttentionOp op;
  mlir::Type elementType;
  int64_t width = 0;       // D of queries, keys and values
  int64_t chunkBytes = 16; // every row of a head starts at a multiple of
  AttentionOperand q, k, v;
  std::optional<unsigned> cu, table, past, slopes, sinks;
  exec::SizeAttr rows, tokens, tableBlocks;
  exec::SizeAttr queryRows; // of q's buffer: tokens of all rows, or a bound
  int64_t mostRows = 0, mostTokens = 0;
  bool paged = false;
  int64_t block = 1, blocks = 1; // of the cache

  std::string str() const { return str(""); }
  /// With the bounds and the options that take time: what measurements are kept under.
  std::string key() const;

private:
  std::string str(const std::string &more) const;
};

/// Appends of new keys and values to the caches that attention reads, as part of its kernel.
struct AttentionAppend {
  AttentionOperand k, v;             // as they are projected
  std::optional<unsigned> cos, sin; // of the rotation of queries and keys
  int64_t rotated = 0;               // elements of a head in pairs (j, j + rotated / 2)
};

/// Reads the desc of a body, or says why it is no attention for these families. With `append` what is
/// appended, and the rotation, are read, too, where the body has them: then `append` has a value.
std::variant<AttentionDesc, std::string>
describeAttention(exec::KernelOp kernel, std::optional<AttentionAppend> *append = nullptr);

/// How.
struct AttentionConfig {
  unsigned threads = 128;
  unsigned cluster = 1;
  /// Warpgroup instructions fed by the tensor copy engine (attention_sm90.cuh), else mma.sync.
  bool warpgroups = false;
  unsigned rowTiles = 1; // without: 16 query rows each, of a warp
  unsigned keys = 64;    // of a tile
  unsigned stages = 2;   // with: tiles on their way
  uint32_t sharedBytes = 0;
  unsigned blocks = 0; // the grid
  std::string reason;

  /// Warpgroups of 64 query rows each.
  unsigned consumers() const { return threads / 128 - 1; }
};

/// The heuristics: the config that they choose and others that are worth measuring behind it, or
/// why there is none.
std::variant<std::vector<AttentionConfig>, std::string>
listAttentionConfigs(const AttentionDesc &desc, const cuda::ArchInfo &arch);

} // namespace ingot::codegen
