//===- AttentionHeuristics.cpp - Tiles of attention kernels -----------------===//
#include "codegen/families/Attention/AttentionDesc.h"

#include "llvm/Support/MathExtras.h"

#include <numeric>

using namespace ingot;
using namespace ingot::codegen;

/// Fewer tokens than this leave most of a warpgroup's rows empty.
static constexpr int64_t kFewTokens = 64;

/// A form of many queries: so many threads, keys a tile. A reason if there is none.
static std::variant<AttentionConfig, std::string> makeWarpgroups(const AttentionDesc &desc,
                                                                 const cuda::ArchInfo &arch,
                                                                 unsigned threads, unsigned keys) {
  AttentionConfig config;
  config.warpgroups = true;
  config.threads = threads;
  config.keys = keys;
  config.stages = 2;
  config.blocks = arch.multiprocessors;
  // Boxes of a cache block are whole patterns of eight rows.
  if (desc.paged && std::gcd(desc.block, int64_t(config.keys)) % 8)
    return "cache blocks have " + std::to_string(desc.block) + " tokens, no multiple of 8";
  uint32_t headBytes = llvm::alignTo(desc.width, 64) * 2, consumers = config.consumers();
  config.sharedBytes = 1024 + (consumers * 64 + 2 * config.stages * config.keys) * headBytes +
                       8 * (2 + 2 * consumers + 4 * config.stages);
  config.reason = "warpgroup instructions, " + std::to_string(consumers * 64) + " query rows and " +
                  std::to_string(config.keys) + " keys a tile";
  return config;
}

/// Many queries: 64 of them a warpgroup, a block a multiprocessor. A reason if there is no such
/// form.
static std::variant<std::vector<AttentionConfig>, std::string>
listWarpgroups(const AttentionDesc &desc, const cuda::ArchInfo &arch) {
  if (desc.elementType.isF32())
    return std::string("elements are f32");
  if (desc.mostTokens < kFewTokens || desc.mostTokens <= desc.mostRows)
    return std::string("there are few queries");
  if (!desc.queryRows || desc.chunkBytes % 16)
    return std::string("rows of heads are no multiples of 16 bytes");
  // Narrow heads leave registers for a third warpgroup of queries, whose exponentials are what
  // takes the time there, unless ALiBi makes it spill; accumulators of the widest leave few for
  // scores.
  const bool three = desc.width <= 64 && !desc.slopes;
  auto first = makeWarpgroups(desc, arch, three ? 512 : 384, desc.width <= 128 ? 128 : 64);
  if (auto *reason = std::get_if<std::string>(&first))
    return *reason;
  std::vector<AttentionConfig> configs{std::get<AttentionConfig>(first)};
  // Soft caps spill with three. Of the widths between, some gained by 96 keys (README.md).
  if (desc.width <= 192) {
    auto other = makeWarpgroups(desc, arch, desc.width <= 64 && !three ? 512 : 384,
                                desc.width <= 64 ? 128 : 96);
    if (auto *config = std::get_if<AttentionConfig>(&other);
        config && config->sharedBytes <= uint32_t(arch.sharedBytesPerBlock))
      configs.push_back(*config);
  }
  return configs;
}

std::variant<std::vector<AttentionConfig>, std::string>
codegen::listAttentionConfigs(const AttentionDesc &desc, const cuda::ArchInfo &arch) {
  std::string without;
  if (arch.number == 90 && arch.specific) {
    auto warpgroups = listWarpgroups(desc, arch);
    if (auto *taken = std::get_if<std::vector<AttentionConfig>>(&warpgroups))
      return std::move(*taken);
    without = "; no warpgroup instructions: " + std::get<std::string>(warpgroups);
  }
  AttentionConfig config;
  int64_t bytes = desc.elementType.getIntOrFloatBitWidth() / 8;
  int64_t padded = llvm::alignTo(desc.width, 16);
  int64_t pitch = padded * bytes + 16;
  auto queryRows = [&] { return config.threads / 32 * 16 * config.rowTiles; };
  auto fits = [&] {
    // Tiles, or what blocks of a cluster hand over in their place: AttentionTraits.
    config.sharedBytes =
        std::max<int64_t>((queryRows() + 4 * config.keys) * pitch, queryRows() * (padded + 2) * 4);
    return config.sharedBytes + desc.mostRows * 4 + 1024 <= arch.sharedBytesPerBlock;
  };
  // Two row tiles a warp read keys and values half as often; their accumulators take 128 registers
  // at D = 128.
  config.rowTiles = bytes == 2 && desc.width <= 128 ? 2 : 1;
  config.keys = bytes == 2 ? 64 : 32;
  // Where wide heads find little shared memory: fewer keys on their way, then fewer queries.
  while (!fits() && config.keys > 16)
    config.keys /= 2;
  while (!fits() && config.threads > 32)
    config.threads /= 2;
  if (!fits())
    return "tiles take " + std::to_string(config.sharedBytes) +
           " bytes of shared memory, a block has " + std::to_string(arch.sharedBytesPerBlock);
  unsigned fit =
      (arch.sharedBytesPerBlock + 1024) / (config.sharedBytes + desc.mostRows * 4 + 1024);
  unsigned perMultiprocessor = std::clamp(fit, 1u, 4u);
  config.cluster = arch.number >= 90 ? 8 : 1;
  config.blocks = arch.multiprocessors * perMultiprocessor / config.cluster * config.cluster;
  config.reason = std::to_string(queryRows()) + " query rows and " + std::to_string(config.keys) +
                  " keys a tile, " + std::to_string(perMultiprocessor) + " blocks a multiprocessor";
  if (config.cluster > 1)
    config.reason += ", clusters of 8 share the keys of few rows";
  config.reason += without;
  return std::vector<AttentionConfig>{config};
}
