//===- FewTilesHeuristics.cpp - Linear kernels of few rows on sm_90a --------===//
//
// Where every block has one tile at most (gemm_few_sm90.cuh), its width and what a pair of blocks
// shares are modelled: the clocks of a stage are what binds of the matrix units, shared memory and
// L2. How many rows there are is known on the device only, so that a kernel has two widths, and a
// table that says for each number of 128 rows which of them is taken.
//
//===----------------------------------------------------------------------===//
#include "codegen/families/Linear/LinearDesc.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <limits>

using namespace ingot;
using namespace ingot::codegen;

namespace {
/// As in gemm_few_sm90.cuh.
enum class FewWay { Many, Narrow, Wide };
} // namespace

/// Fitted to what an H100 took (README.md): of the matrix units' rate what products get; bytes a
/// clock of a multiprocessor's shared memory, of L2 to all multiprocessors together and to one at
/// most, and of sums from the other block of a pair, its waits included.
static constexpr double kMostRate = 0.92, kSharedBytes = 128, kL2Bytes = 5280, kL2MostBytes = 64;
static constexpr double kExchangedBytes = 7;
/// Clocks of an epilogue a column of 64 rows, as in WarpgroupHeuristics.cpp.
static constexpr double kStoreClocks = 18.5, kActivationClocks = 6.2;
static constexpr double kNever = std::numeric_limits<double>::infinity();
/// Rows of the table, of 128 rows of x each.
static constexpr int64_t kMostTileRows = 32;

static double epilogueClocks(const LinearDesc &desc) {
  return kStoreClocks + (desc.activated ? kActivationClocks : 0);
}

/// Modelled clocks of tiles of `tileN` columns for `rows` times 128 rows of x; never if some block
/// would have two.
static double modelFewClocks(const LinearDesc &desc, int64_t tileN, int64_t rows, int cluster,
                             const cuda::ArchInfo &arch) {
  const int64_t blocks = arch.multiprocessors / cluster * cluster;
  const int64_t tilesN = llvm::divideCeil(desc.columns, tileN), tiles = rows * tilesN;
  const int64_t pairs = llvm::divideCeil(rows, int64_t(2)) * tilesN;
  const int64_t stages = llvm::divideCeil(desc.k, int64_t(64));
  if (tiles > blocks)
    return kNever;
  // What a pair of blocks shares, as in gemm_few_sm90.cuh.
  const bool ordered = desc.columns % 32 == 0;
  const bool split = cluster == 2 && stages >= 8 && tileN % 64 == 0 && 2 * tiles <= blocks;
  const bool share =
      cluster == 2 && !split && rows > 1 && (ordered || tileN == 128) && 2 * pairs <= blocks;
  // Of 16 elements of K, which are 32 bytes a row, each row of X is read once, those of W by both
  // warpgroups, and the copies write them all.
  const double products = double(tileN) / kMostRate;
  const double shared = 32 * (2 * 128 + 3 * double(tileN)) / kSharedBytes;
  const int64_t busy = split ? 2 * tiles : tiles;
  const double fromL2 = 32 * (128 + double(tileN) / (share ? 2 : 1)) /
                        std::min(kL2MostBytes, kL2Bytes / double(busy));
  const double step = std::max({products, shared, fromL2});
  const double column = epilogueClocks(desc);
  if (!split)
    return double(stages) * 4 * step + double(tileN) * column;
  return double(llvm::divideCeil(stages, int64_t(2))) * 4 * step +
         double(tileN) / 2 * (column + 128 * sizeof(float) / kExchangedBytes);
}

/// The same of tiles for many rows, roughly: what a width loses that leaves some rows to them.
static double modelManyClocks(const LinearDesc &desc, int64_t rows, const cuda::ArchInfo &arch) {
  const int64_t tiles = rows * llvm::divideCeil(desc.columns, int64_t(192));
  return llvm::divideCeil(tiles, int64_t(arch.multiprocessors)) * double(desc.k) / 16 * 192 / 0.87 +
         192 * epilogueClocks(desc);
}

static FewWay wayOf(uint64_t ways, int64_t rows) {
  return rows > kMostTileRows ? FewWay::Many : FewWay(ways >> (2 * (rows - 1)) & 3);
}

bool FewTiles::cover(int64_t rows) const {
  return wayOf(ways, llvm::divideCeil(rows, int64_t(128))) != FewWay::Many;
}

FewTiles codegen::chooseFewTiles(const LinearDesc &desc, int64_t mostRows, int cluster,
                                 const cuda::ArchInfo &arch) {
  std::vector<int64_t> widths{64, 128};
  if (desc.columns % 32 == 0)
    widths = {64, 96, 128, 160};
  const int64_t most = std::min<int64_t>(llvm::divideCeil(mostRows, int64_t(128)), kMostTileRows);
  // Of two widths: the way for some number of rows, and its clocks.
  auto choose = [&](int64_t narrow, int64_t wide, int64_t rows) {
    auto model = [&](int64_t width, FewWay way) {
      return std::pair(modelFewClocks(desc, width, rows, cluster, arch), way);
    };
    auto best = std::min(model(narrow, FewWay::Narrow), model(wide, FewWay::Wide));
    return best.first < kNever ? best : std::pair(modelManyClocks(desc, rows, arch), FewWay::Many);
  };
  std::vector<double> fewest(most + 1, kNever);
  auto eachPair = [&](auto visit) {
    for (unsigned i = 0; i < widths.size(); ++i)
      for (unsigned j = i + 1; j < widths.size(); ++j)
        visit(widths[i], widths[j]);
  };
  eachPair([&](int64_t narrow, int64_t wide) {
    for (int64_t rows = 1; rows <= most; ++rows)
      fewest[rows] = std::min(fewest[rows], choose(narrow, wide, rows).first);
  });
  // Most rows count first, then what the others lose.
  FewTiles tiles;
  std::pair<double, double> least{kNever, kNever};
  eachPair([&](int64_t narrow, int64_t wide) {
    double losses = 0;
    uint64_t ways = 0;
    for (int64_t rows = 1; rows <= most; ++rows) {
      auto [clocks, way] = choose(narrow, wide, rows);
      losses += clocks / fewest[rows];
      ways |= uint64_t(way) << (2 * (rows - 1));
    }
    std::pair<double, double> key{choose(narrow, wide, most).first, losses};
    if (key >= least)
      return;
    least = key;
    tiles.narrow = narrow;
    tiles.wide = wide;
    tiles.ways = ways;
  });
  return tiles;
}
