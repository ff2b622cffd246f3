//===- LinearHeuristics.cpp - Tiles of linear kernels -----------------------===//
#include "codegen/families/Linear/LinearDesc.h"

#include "llvm/Support/MathExtras.h"

using namespace ingot;
using namespace ingot::codegen;

std::string LinearConfig::str() const {
  return "tiles of " + std::to_string(tileM) + " x " + std::to_string(tileN) + ", " +
         std::to_string(stages) + " stages, " + std::to_string(threads) + " threads, " +
         std::to_string(blocksPerMultiprocessor) + " blocks a multiprocessor: " + reason;
}

/// What the skinny path takes: 128 bytes a thread and stage, and sums, [warps][64 tokens][columns].
static uint32_t skinnyBytes(unsigned threads, int stages, int tilesAtOnce) {
  return threads * stages * 128 + threads / 32 * 64 * 8 * tilesAtOnce * 4;
}

/// Two tiles of eight rows of W at once, which share the reading of tokens, where every group of
/// four warps gets some and the multiprocessors still have about the same number of tiles each.
static int chooseTilesAtOnce(int64_t columns, unsigned groups, const cuda::ArchInfo &arch) {
  int64_t all = arch.multiprocessors;
  auto most = [&](int64_t atOnce) {
    return llvm::divideCeil(llvm::divideCeil(columns, 8 * atOnce), all) * atOnce;
  };
  return columns >= 16 * all * groups && most(2) * 20 <= most(1) * 21 ? 2 : 1;
}

/// Gives the config what the shared memory of a multiprocessor, for two blocks if they fit, has
/// room for.
static void fitSharedMemory(LinearConfig &config, const cuda::ArchInfo &arch) {
  auto bytes = [&] {
    uint32_t stages = (config.tileM + config.tileN) * 128 * config.stages;
    return std::max(stages, skinnyBytes(config.threads, config.ringStages, config.tilesAtOnce));
  };
  uint32_t perMultiprocessor = arch.sharedBytesPerBlock + 1024;
  if (2 * (bytes() + 1024) > perMultiprocessor)
    config.ringStages = 1;
  while (config.stages > 2 && bytes() + 1024 > arch.sharedBytesPerBlock)
    --config.stages;
  config.blocksPerMultiprocessor = 2 * (bytes() + 1024) <= perMultiprocessor ? 2 : 1;
  config.sharedBytes = bytes();
}

std::vector<LinearConfig> codegen::listLinearConfigs(const LinearDesc &desc, int64_t mostRows,
                                                     const cuda::ArchInfo &arch) {
  if (arch.number == 90 && arch.specific && !desc.elementType.isF32() && mostRows > 64) {
    std::vector<LinearConfig> configs = listWarpgroups(desc, mostRows, arch);
    for (LinearConfig &config : configs)
      config.tilesAtOnce = chooseTilesAtOnce(desc.columns, config.threads / 128, arch);
    return configs;
  }
  LinearConfig config;
  config.tilesAtOnce = chooseTilesAtOnce(desc.columns, 2 * config.threads / 128, arch);
  int64_t tiles =
      llvm::divideCeil(mostRows, int64_t(128)) * llvm::divideCeil(desc.columns, int64_t(128));
  bool few = tiles < arch.multiprocessors;
  // Accumulators of a 128 x 128 tile fill the registers of two blocks; smaller ones only pay where
  // there would be too few.
  if (desc.elementType.isF32()) {
    config.tileM = config.tileN = 64;
    config.warpsM = 4;
    config.stages = 3;
    config.reason = "three tf32 products an element need the registers";
    fitSharedMemory(config, arch);
    return {config};
  }
  LinearConfig low = config;
  low.tileM = 64;
  low.tileN = 128;
  low.stages = 4;
  low.reason = few ? std::to_string(tiles) + " tiles of 128 x 128 would leave multiprocessors idle"
                   : "half of the tile that each element is used most often in";
  config.reason = few ? "multiprocessors idle, but each element of a tile is used 128 times"
                      : "each element of a tile is used 128 times";
  fitSharedMemory(low, arch);
  fitSharedMemory(config, arch);
  if (few)
    return {low, config};
  return {config, low};
}
