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
  int outPanels;
  /// Of the matrix units' rate, while products last.
  double rate;
};
} // namespace

/// Fitted to what was measured on an H100 (README.md): in each of its rows the choice is the
/// fastest, or at most 4 % behind. Those with panels are for epilogues that allow them.
static constexpr Way kWays[] = {
    {256, 4, 2, false, 1, 2, 0.92}, {192, 4, 2, true, 0, 2, 0.87},  {192, 5, 2, false, 2, 0, 0.85},
    {128, 7, 2, true, 0, 0, 0.75},  {256, 4, 1, false, 0, 0, 0.87}, {224, 5, 2, false, 2, 0, 0.85},
};
/// One that the model does not tell from the last, so that only a measurement chooses it.
static constexpr Way kWidePairs = {256, 4, 2, false, 1, 0, 0.87};
/// A way that is modelled to take so many times what the best takes is not measured.
static constexpr double kHopeless = 1.6;
static constexpr int kTileM = 128, kTileK = 64;
/// Products (multiply and add) of a multiprocessor in a clock.
static constexpr double kProductsPerClock = 2048;
/// Clocks of an epilogue a column of 64 rows: conversions and stores, an activation, and what lies
/// beside results, which takes longer where nothing asks for it ahead: in turn, by panels. Under
/// the other warpgroup's products, which use the registers, too, all take longer.
static constexpr double kStoreClocks = 18.5, kPanelClocks = 20, kActivationClocks = 6.2;
static constexpr double kBesideClocks = 18.5, kBesidePanelClocks = 24, kBesideTurnClocks = 36;
static constexpr double kUnderProducts = 1.6, kPanelsUnderProducts = 1.1;

/// Modelled clocks of a way; `waves` gets how often every multiprocessor has a tile.
static double modelClocks(const Way &way, const LinearDesc &desc, int64_t mostRows, int cluster,
                          const cuda::ArchInfo &arch, double &waves) {
  int64_t rows = llvm::divideCeil(mostRows, int64_t(kTileM) * cluster);
  int64_t tiles = rows * llvm::divideCeil(desc.columns, int64_t(way.tileN));
  int64_t atOnce = arch.multiprocessors / cluster;
  waves = double(tiles) / double(atOnce);
  double products = double(llvm::divideCeil(desc.k, int64_t(kTileK))) * kTileK * kTileM *
                    way.tileN / (kProductsPerClock * way.rate);
  double beside = !way.outPanels ? kBesideClocks
                  : way.inTurn   ? kBesideTurnClocks
                                 : kBesidePanelClocks;
  double epilogue =
      way.tileN * ((way.outPanels ? kPanelClocks : kStoreClocks) +
                   (desc.activated ? kActivationClocks : 0) + (desc.beside ? beside : 0));
  int64_t turns = llvm::divideCeil(tiles, atOnce);
  // In turn, an epilogue of 128 rows runs under the products of the other warpgroup; sharing a
  // tile, only the lead covers some of it.
  if (way.inTurn)
    return turns * std::max(products,
                            products / 2 +
                                epilogue * (way.outPanels ? kPanelsUnderProducts : kUnderProducts));
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
  config.outPanels = way.outPanels;
  config.reason =
      llvm::formatv("warpgroup instructions, {0}{1}; {2:F1} waves, {3:F0} clocks modelled",
                    way.inTurn ? "tiles in turn" : "sharing tiles",
                    way.outPanels ? ", results by panels" : "", waves, clocks);
  config.sharedBytes = 1024 + config.stages * ((config.tileM + config.tileN) * 128 + 16) +
                       config.outPanels * 2 * 64 * 128 + 16;
  return config;
}

std::vector<LinearConfig> codegen::listWarpgroups(const LinearDesc &desc, int64_t mostRows,
                                                  const cuda::ArchInfo &arch) {
  const bool panels = desc.panels && desc.columns % 32 == 0;
  const bool few = chooseFewTiles(desc, mostRows, mostRows > kTileM ? 2 : 1, arch).cover(mostRows);
  std::vector<std::pair<double, LinearConfig>> ways;
  auto add = [&](const Way &way) {
    // A panel is 64 columns of results, of a gated layer of 128 sums.
    if (way.outPanels && (!panels || few || way.tileN % (desc.gated ? 128 : 64)))
      return;
    // Of few tiles, a way only says how many stages there are.
    if (way.tileN == 256 && !way.outPanels && (panels || few))
      return;
    // As gemm_sm90.cuh has it: of columns in order only.
    if (way.tileN == 224 && (few || desc.columns % 32))
      return;
    // A block without a neighbour below would only copy for itself what it never uses.
    int cluster = mostRows > kTileM ? way.cluster : 1;
    double waves, clocks = modelClocks(way, desc, mostRows, cluster, arch, waves);
    ways.emplace_back(clocks, makeConfig(way, desc, cluster, waves, clocks));
  };
  for (const Way &way : kWays)
    add(way);
  if (mostRows > kTileM)
    add(kWidePairs);
  // Of few tiles, most stages first.
  llvm::stable_sort(ways, [&](const auto &a, const auto &b) {
    return few ? a.second.stages > b.second.stages : a.first < b.first;
  });
  std::vector<LinearConfig> configs;
  for (auto &[clocks, config] : ways)
    if (few || clocks <= ways.front().first * kHopeless)
      configs.push_back(std::move(config));
  return configs;
}
