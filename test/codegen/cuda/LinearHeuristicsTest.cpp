//===- LinearHeuristicsTest.cpp - Choices of linear kernels -----------------===//
#include "codegen/families/Linear/LinearDesc.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::codegen;

namespace {

struct LinearHeuristics : testing::Test {
  mlir::MLIRContext context;
  LinearDesc describe(int64_t columns, int64_t k, bool wide = false) {
    LinearDesc desc;
    desc.columns = columns;
    desc.k = desc.rowStride = k;
    desc.elementType = wide ? mlir::Type(mlir::Float32Type::get(&context))
                            : mlir::Type(mlir::BFloat16Type::get(&context));
    return desc;
  }
  LinearConfig choose(const LinearDesc &desc, int64_t rows, const cuda::ArchInfo &arch) {
    return listLinearConfigs(desc, rows, arch).front();
  }
};

TEST_F(LinearHeuristics, FitSharedMemoryOfEveryArchitecture) {
  for (llvm::StringRef name : cuda::getArchNames()) {
    cuda::ArchInfo arch = *cuda::getArchInfo(name);
    for (int64_t columns : {97, 768, 4096, 128256})
      for (int64_t rows : {1, 64, 512, 8192})
        for (bool wide : {false, true}) {
          for (const LinearConfig &config :
               listLinearConfigs(describe(columns, 768, wide), rows, arch)) {
            EXPECT_LE(config.sharedBytes, arch.sharedBytesPerBlock) << name.str() << " " << columns;
            EXPECT_LE(config.blocksPerMultiprocessor * (config.sharedBytes + 1024),
                      arch.sharedBytesPerBlock + 1024)
                << name.str() << " " << columns;
            EXPECT_FALSE(config.reason.empty());
          }
        }
  }
}

TEST_F(LinearHeuristics, TakeWarpgroupsForManyRowsOnHopperOnly) {
  EXPECT_TRUE(choose(describe(4096, 4096), 4096, *cuda::getArchInfo("sm_90a")).warpgroups);
  EXPECT_FALSE(choose(describe(4096, 4096), 4096, *cuda::getArchInfo("sm_90")).warpgroups);
  EXPECT_FALSE(choose(describe(4096, 4096), 8, *cuda::getArchInfo("sm_90a")).warpgroups);
  EXPECT_FALSE(choose(describe(4096, 4096, true), 4096, *cuda::getArchInfo("sm_90a")).warpgroups);
}

TEST_F(LinearHeuristics, ReadTwoTilesAtOnceWhereNoGroupStaysWithout) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  EXPECT_EQ(choose(describe(2048, 2048), 4096, hopper).tilesAtOnce, 1);
  EXPECT_EQ(choose(describe(16384, 2048), 4096, hopper).tilesAtOnce, 2);
  EXPECT_EQ(choose(describe(128256, 2048), 16, hopper).tilesAtOnce, 2);
}

TEST_F(LinearHeuristics, NarrowTilesWhereWideOnesLeaveMultiprocessorsIdle) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  EXPECT_EQ(choose(describe(4096, 4096), 512, hopper).tileN, 128);
  EXPECT_EQ(choose(describe(4096, 4096), 4096, hopper).tileN, 256);
  // 96 tiles of 128 columns for 66 pairs of blocks, 64 of 192.
  EXPECT_EQ(choose(describe(6144, 4096), 512, hopper).tileN, 192);
}

TEST_F(LinearHeuristics, PairBlocksThatHaveANeighbour) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  EXPECT_EQ(choose(describe(768, 768), 128, hopper).cluster, 1);
  EXPECT_EQ(choose(describe(768, 768), 129, hopper).cluster, 2);
}

TEST_F(LinearHeuristics, CopyResultsByPanelsWhereTheEpilogueAllows) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  for (int64_t columns : {2048, 4096, 28672})
    for (bool gated : {false, true}) {
      LinearDesc desc = describe(columns, 4096);
      desc.gated = desc.activated = gated;
      EXPECT_EQ(choose(desc, 8192, hopper).outPanels, 0);
      desc.panels = true;
      LinearConfig config = choose(desc, 8192, hopper);
      EXPECT_GT(config.outPanels, 0);
      EXPECT_LE(config.sharedBytes, hopper.sharedBytesPerBlock);
      // Panels are 64 columns of results.
      EXPECT_EQ(config.tileN % (gated ? 128 : 64), 0);
      // The kernel of few tiles has none, nor have the 224 columns of one wave of 28672.
      EXPECT_EQ(choose(desc, 128, hopper).outPanels, 0);
    }
  // Threads of such a weight have columns from here and there.
  LinearDesc desc = describe(808, 768);
  desc.panels = true;
  EXPECT_EQ(choose(desc, 8192, hopper).outPanels, 0);
}

// README.md's table.
TEST_F(LinearHeuristics, ChooseWhatWasFastestOnAnH100) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  enum { Plain, Residual, Activation, Gate };
  struct Row {
    int64_t rows, columns, k;
    int epilogue, tileN, outPanels;
    bool inTurn;
  };
  for (const Row &row : {Row{4096, 4096, 4096, Residual, 256, 2, false},
                         {4096, 6144, 4096, Plain, 192, 2, true},
                         {4096, 28672, 4096, Gate, 256, 2, false},
                         {4096, 4096, 14336, Residual, 256, 2, false},
                         {4096, 16384, 2048, Gate, 256, 2, false},
                         {4096, 2048, 8192, Residual, 256, 2, false},
                         {4096, 4672, 4544, Plain, 256, 2, false},
                         {512, 28672, 4096, Gate, 224, 0, false},
                         {512, 22016, 4096, Gate, 224, 0, false},
                         {512, 6144, 4096, Plain, 192, 2, true},
                         {34700, 2304, 768, Plain, 192, 2, true},
                         {34700, 768, 768, Residual, 128, 0, true},
                         {34700, 3072, 768, Activation, 192, 2, true},
                         {34700, 768, 3072, Residual, 192, 2, true},
                         {65536, 768, 3072, Plain, 192, 2, true},
                         {65536, 3072, 768, Activation, 192, 2, true},
                         {65536, 1152, 384, Plain, 192, 2, true},
                         {4096, 3072, 2048, Plain, 192, 2, true},
                         {4096, 2048, 2048, Plain, 256, 2, false}}) {
    LinearDesc desc = describe(row.columns, row.k);
    desc.panels = true;
    desc.beside = row.epilogue == Residual;
    desc.gated = row.epilogue == Gate;
    desc.activated = row.epilogue == Gate || row.epilogue == Activation;
    LinearConfig config = choose(desc, row.rows, hopper);
    EXPECT_EQ(config.tileN, row.tileN) << row.rows << ", " << row.columns << " x " << row.k;
    EXPECT_EQ(config.outPanels, row.outPanels) << row.rows << ", " << row.columns << " x " << row.k;
    EXPECT_EQ(config.inTurn, row.inTurn) << row.rows << ", " << row.columns << " x " << row.k;
  }
}

// README.md's table of one wave at 512 rows: the columns of few tiles.
TEST_F(LinearHeuristics, ChooseFewTilesThatWereFastestOnAnH100) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  auto width = [](const FewTiles &tiles, int64_t rows) {
    const int way = tiles.ways >> (2 * (rows - 1)) & 3;
    return way == 0 ? 0 : way == 1 ? tiles.narrow : tiles.wide;
  };
  struct Row {
    int64_t columns, k;
    int width;
    bool activated = false;
  };
  for (const Row &row : {Row{3072, 2048, 96},
                         {2048, 2048, 64},
                         {4096, 4096, 128},
                         {4096, 14336, 128},
                         {4096, 11008, 128},
                         {4672, 4544, 160},
                         {4544, 4544, 160},
                         {4544, 18176, 160},
                         {2304, 768, 96},
                         {768, 768, 64},
                         {3072, 768, 96, true},
                         {768, 3072, 64},
                         {22016, 4096, 0, true}}) {
    LinearDesc desc = describe(row.columns, row.k);
    desc.activated = row.activated;
    FewTiles tiles = chooseFewTiles(desc, 512, 2, hopper);
    EXPECT_EQ(width(tiles, 4), row.width) << row.columns << " x " << row.k;
    EXPECT_EQ(tiles.cover(512), row.width != 0) << row.columns << " x " << row.k;
    // One tile a block at most, for each number of rows, and of as many as fit.
    for (int64_t rows = 1; rows <= 4; ++rows) {
      int64_t columns = width(tiles, rows) ? width(tiles, rows) : tiles.wide;
      EXPECT_EQ(width(tiles, rows) != 0, rows * ((row.columns + columns - 1) / columns) <= 132)
          << row.columns << " x " << row.k << ", " << rows;
    }
    EXPECT_FALSE(tiles.cover(513));
  }
  // Where 4096 rows may come, two widths are for all numbers of rows.
  for (int64_t columns : {4544, 4672})
    EXPECT_EQ(width(chooseFewTiles(describe(columns, 4544), 4096, 2, hopper), 4), 160) << columns;
  // Columns that are not in order have maps of 64 and 128 only.
  FewTiles tiles = chooseFewTiles(describe(3080, 2048), 512, 2, hopper);
  EXPECT_EQ(tiles.narrow, 64);
  EXPECT_EQ(tiles.wide, 128);
}

TEST_F(LinearHeuristics, OrderColumnsOfWholeGroups) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  EXPECT_TRUE(choose(describe(800, 768), 4096, hopper).columnsInOrder);
  EXPECT_FALSE(choose(describe(808, 768), 4096, hopper).columnsInOrder);
}

TEST_F(LinearHeuristics, TakeTilesInTurnWhereEpiloguesAreLong) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  LinearDesc desc = describe(3072, 768);
  desc.activated = true;
  EXPECT_TRUE(choose(desc, 65536, hopper).inTurn);
  EXPECT_FALSE(choose(describe(4096, 14336), 65536, hopper).inTurn);
}

} // namespace

TEST_F(LinearHeuristics, ListWhatTheModelDoesNotRuleOut) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  auto tiles = [&](int64_t columns, int64_t k, int64_t rows) {
    std::vector<std::pair<int, bool>> tiles; // columns, in turn
    for (const LinearConfig &config : listLinearConfigs(describe(columns, k), rows, hopper))
      tiles.emplace_back(config.tileN, config.inTurn);
    return tiles;
  };
  using Tiles = std::vector<std::pair<int, bool>>;
  // By modelled time behind the chosen one; pairs of 256 columns are modelled as no pairs are.
  EXPECT_EQ(tiles(4096, 4096, 4096),
            (Tiles{{256, false}, {256, false}, {128, true}, {224, false}, {192, false}}));
  // Of few tiles, where ways only say how many stages there are.
  EXPECT_EQ(tiles(2048, 8192, 512), (Tiles{{128, true}, {192, false}}));
  EXPECT_EQ(tiles(4096, 4096, 128), (Tiles{{128, true}, {192, false}}));
}
