//===- WarpgroupHeuristics.cpp - Tiles of linear kernels on sm_90a ----------===//
//
// What a way to multiply will take is modelled in clocks of a multiprocessor: tiles come in waves
// of as many as there are multiprocessors, each takes its products at the rate that was measured
// for that way, and what of its epilogue nothing else covers.
//
//===----------------------------------------------------------------------===//
#include "codegen/families/Linear/LinearDesc.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

using namespace ingot;
using namespace ingot::codegen;

namespace {
/// A way to multiply (gemm_sm90.cuh), with tiles of 128 rows.
struct Way {
  int tileN, stages, cluster;
  bool inTurn;
  int lead;
  /// Of the matrix units' rate, while products last.
  double rate;
};
} // namespace

/// Fitted to rates on an H100 (README.md).
static constexpr Way kWays[] = {
    {256, 4, 1, false, 0, 0.92},
    {192, 5, 2, false, 2, 0.92},
    {128, 7, 2, true, 0, 0.88},
};
/// Ways that the model does not tell from those, so that only a measurement chooses them: of pairs,
/// and of sharing a tile of 128 columns. Where there is no pair they are none.
static constexpr Way kOtherWays[] = {
    {256, 4, 2, false, 1, 0.92},
    {128, 7, 2, false, 3, 0.88},
};
/// A way that is modelled to take so many times what the best takes is not measured.
static constexpr double kHopeless = 1.6;
static constexpr int kTileM = 128, kTileK = 64;
/// Products (multiply and add) of a multiprocessor in a clock.
static constexpr double kProductsPerClock = 2048;
/// Clocks of an epilogue a column of 64 rows: loads, conversions, stores; an activation. Under the
/// other warpgroup's products, which use the registers, too, they take longer.
static constexpr double kStoreClocks = 6, kActivationClocks = 16, kUnderProducts = 1.8;

/// Modelled clocks of a way; `waves` gets how often every multiprocessor has a tile.
static double modelClocks(const Way &way, const LinearDesc &desc, int64_t mostRows, int cluster,
                          const cuda::ArchInfo &arch, double &waves) {
  int64_t rows = llvm::divideCeil(mostRows, int64_t(kTileM) * cluster);
  int64_t tiles = rows * llvm::divideCeil(desc.columns, int64_t(way.tileN));
  int64_t atOnce = arch.multiprocessors / cluster;
  waves = double(tiles) / double(atOnce);
  double products = double(llvm::divideCeil(desc.k, int64_t(kTileK))) * kTileK * kTileM *
                    way.tileN / (kProductsPerClock * way.rate);
  double epilogue = way.tileN * (kStoreClocks + (desc.activated ? kActivationClocks : 0));
  int64_t turns = llvm::divideCeil(tiles, atOnce);
  // In turn, an epilogue of 128 rows runs under the products of the other warpgroup; sharing a
  // tile, only the lead covers some of it.
  if (way.inTurn)
    return turns * std::max(products, (products + 2 * kUnderProducts * epilogue) / 2);
  return turns * (products + std::max(0.0, epilogue - way.lead * way.tileN * 2));
}

static LinearConfig makeConfig(const Way &way, const LinearDesc &desc, int cluster, double waves,
                               double clocks) {
  LinearConfig config;
  config.warpgroups = true;
  config.threads = 384;
  config.tileM = kTileM;
  config.blocksPerMultiprocessor = 1;
  config.ringStages = 3;
  config.columnsInOrder = desc.columns % 32 == 0;
  config.tileN = way.tileN;
  config.stages = way.stages;
  config.cluster = cluster;
  config.inTurn = way.inTurn;
  config.lead = way.lead;
  config.reason = llvm::formatv("warpgroup instructions, {0}; {1:F1} waves, {2:F0} clocks modelled",
                                way.inTurn ? "tiles in turn" : "sharing tiles", waves, clocks);
  config.sharedBytes = 1024 + config.stages * ((config.tileM + config.tileN) * 128 + 16) + 16;
  return config;
}

std::vector<LinearConfig> codegen::listWarpgroups(const LinearDesc &desc, int64_t mostRows,
                                                  const cuda::ArchInfo &arch) {
  std::vector<std::pair<double, LinearConfig>> chosen, measured;
  auto add = [&](std::vector<std::pair<double, LinearConfig>> &list, const Way &way) {
    // A block without a neighbour below would only copy for itself what it never uses.
    int cluster = mostRows > kTileM ? way.cluster : 1;
    double waves, clocks = modelClocks(way, desc, mostRows, cluster, arch, waves);
    list.emplace_back(clocks, makeConfig(way, desc, cluster, waves, clocks));
  };
  for (const Way &way : kWays)
    add(chosen, way);
  for (const Way &way : kOtherWays)
    if (mostRows > kTileM)
      add(measured, way);
  auto least =
      llvm::min_element(chosen, [](const auto &a, const auto &b) { return a.first < b.first; });
  std::vector<LinearConfig> configs{least->second};
  double most = least->first * kHopeless;
  chosen.erase(least);
  llvm::append_range(chosen, std::move(measured));
  llvm::stable_sort(chosen, [](const auto &a, const auto &b) { return a.first < b.first; });
  for (auto &[clocks, config] : chosen)
    if (clocks <= most)
      configs.push_back(std::move(config));
  return configs;
}
