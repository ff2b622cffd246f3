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

/// Fitted to rates on an H100 (README.md).
static constexpr Way kWays[] = {
    {256, 4, 1, false, 0, 0, 0.92},
    {192, 5, 2, false, 2, 0, 0.92},
    {128, 7, 2, true, 0, 0, 0.88},
};
/// Ways that the model does not tell from those, so that only a measurement chooses them: of pairs,
/// and of sharing a tile of 128 columns. Where there is no pair they are none.
static constexpr Way kOtherWays[] = {
    {256, 4, 2, false, 1, 0, 0.92},
    {128, 7, 2, false, 3, 0, 0.88},
};
/// Where results go by the copy engine. Not measured yet: rates are those above, less where tiles
/// of 128 columns take more of shared memory's 128 bytes a clock than there are.
static constexpr Way kPanelWays[] = {
    {256, 4, 2, false, 1, 2, 0.92},
    {192, 4, 2, true, 0, 2, 0.90},
    {128, 6, 2, true, 0, 2, 0.80},
};
/// Others of them, which only a measurement chooses.
static constexpr Way kOtherPanelWays[] = {
    {256, 4, 1, false, 0, 2, 0.92},
    {256, 3, 2, false, 1, 4, 0.92},
    {192, 4, 2, false, 2, 3, 0.92},
};
/// Tiles shared by rows and by K in clusters of four (gemm_few_sm90.cuh).
static constexpr Way kFours = {128, 7, 4, false, 0, 0, 0.80};
/// A way that is modelled to take so many times what the best takes is not measured.
static constexpr double kHopeless = 1.6;
static constexpr int kTileM = 128, kTileK = 64;
/// Products (multiply and add) of a multiprocessor in a clock.
static constexpr double kProductsPerClock = 2048;
/// Clocks of an epilogue a column of 64 rows: loads, conversions, stores; an activation. Under the
/// other warpgroup's products, which use the registers, too, they take longer.
static constexpr double kStoreClocks = 6, kActivationClocks = 16, kUnderProducts = 1.8;
/// The first by panels: the copy engine stores.
static constexpr double kPanelClocks = 4;

/// Modelled clocks of a way; `waves` gets how often every multiprocessor has a tile.
static double modelClocks(const Way &way, const LinearDesc &desc, int64_t mostRows, int cluster,
                          const cuda::ArchInfo &arch, double &waves) {
  int64_t rows = llvm::divideCeil(mostRows, int64_t(kTileM) * cluster);
  int64_t tiles = rows * llvm::divideCeil(desc.columns, int64_t(way.tileN));
  int64_t atOnce = arch.multiprocessors / cluster;
  waves = double(tiles) / double(atOnce);
  double products = double(llvm::divideCeil(desc.k, int64_t(kTileK))) * kTileK * kTileM *
                    way.tileN / (kProductsPerClock * way.rate);
  double epilogue = way.tileN * ((way.outPanels ? kPanelClocks : kStoreClocks) +
                                 (desc.activated ? kActivationClocks : 0));
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
  config.outPanels = way.outPanels;
  config.reason =
      llvm::formatv("warpgroup instructions, {0}{1}; {2:F1} waves, {3:F0} clocks modelled",
                    way.inTurn ? "tiles in turn" : "sharing tiles",
                    way.outPanels ? ", results by panels" : "", waves, clocks);
  config.sharedBytes = 1024 + config.stages * ((config.tileM + config.tileN) * 128 + 16) +
                       config.outPanels * 2 * 64 * 128 + 16;
  return config;
}

/// Whether clusters of four have half a tile of K a block, and that is most blocks' only one.
static bool areFoursBest(const LinearDesc &desc, int64_t mostRows, const cuda::ArchInfo &arch,
                         int64_t &tiles) {
  tiles = llvm::divideCeil(mostRows, int64_t(2 * kTileM)) *
          llvm::divideCeil(desc.columns, int64_t(128));
  // One of them may have to wait: multiprocessors come in parts of 16 and 18.
  int64_t atOnce = arch.multiprocessors / 4 - 1;
  return mostRows > kTileM && desc.k >= 2048 && 4 * tiles >= 3 * atOnce && tiles <= atOnce;
}

std::vector<LinearConfig> codegen::listWarpgroups(const LinearDesc &desc, int64_t mostRows,
                                                  const cuda::ArchInfo &arch) {
  std::vector<std::pair<double, LinearConfig>> chosen, measured;
  auto add = [&](std::vector<std::pair<double, LinearConfig>> &list, const Way &way) {
    // A panel is 64 columns of results, of a gated layer of 128 sums.
    if (way.outPanels && way.tileN % (desc.gated ? 128 : 64))
      return;
    // A block without a neighbour below would only copy for itself what it never uses.
    int cluster = mostRows > kTileM ? way.cluster : 1;
    double waves, clocks = modelClocks(way, desc, mostRows, cluster, arch, waves);
    list.emplace_back(clocks, makeConfig(way, desc, cluster, waves, clocks));
  };
  const bool panels = desc.panels && desc.columns % 32 == 0;
  for (const Way &way : kWays)
    add(panels ? measured : chosen, way);
  for (const Way &way : kOtherWays)
    if (mostRows > kTileM)
      add(measured, way);
  if (panels) {
    for (const Way &way : kPanelWays)
      add(chosen, way);
    for (const Way &way : kOtherPanelWays)
      add(measured, way);
  }
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
  if (int64_t tiles; areFoursBest(desc, mostRows, arch, tiles)) {
    LinearConfig fours = makeConfig(kFours, desc, 4, 1, 0);
    fours.reason = llvm::formatv(
        "warpgroup instructions, {0} tiles for four blocks each, by rows and by K", tiles);
    configs.insert(configs.begin(), std::move(fours));
  }
  return configs;
}
