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
  // Five waves of 256 columns, nine of 128.
  EXPECT_EQ(choose(describe(4672, 4544), 4096, hopper).tileN, 128);
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
  for (int64_t columns : {768, 2304, 4096, 28672})
    for (bool gated : {false, true}) {
      LinearDesc desc = describe(columns, 768);
      desc.gated = gated;
      EXPECT_EQ(choose(desc, 8192, hopper).outPanels, 0);
      desc.panels = true;
      LinearConfig config = choose(desc, 8192, hopper);
      EXPECT_GT(config.outPanels, 0);
      EXPECT_LE(config.sharedBytes, hopper.sharedBytesPerBlock);
      // Panels are 64 columns of results.
      EXPECT_EQ(config.tileN % (gated ? 128 : 64), 0);
    }
  // Threads of such a weight have columns from here and there.
  LinearDesc desc = describe(808, 768);
  desc.panels = true;
  EXPECT_EQ(choose(desc, 8192, hopper).outPanels, 0);
}

TEST_F(LinearHeuristics, ShareTilesByRowsAndByKWhereThatFillsTheGpu) {
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");
  EXPECT_EQ(choose(describe(2048, 8192), 512, hopper).cluster, 4);
  // Two blocks a pair of tiles do, one tile of rows has no neighbour, or there are more rows.
  EXPECT_EQ(choose(describe(4096, 4096), 512, hopper).cluster, 2);
  EXPECT_NE(choose(describe(4096, 4096), 128, hopper).cluster, 4);
  EXPECT_NE(choose(describe(2048, 8192), 4096, hopper).cluster, 4);
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
            (Tiles{{256, false}, {256, false}, {128, true}, {128, false}, {192, false}}));
  // A wave of 32 tiles of 256 columns takes twice what one of 64 tiles of 128 does. Clusters of four
  // come first.
  EXPECT_EQ(tiles(2048, 8192, 512),
            (Tiles{{128, false}, {128, true}, {128, false}, {192, false}}));
  // No pairs of blocks.
  EXPECT_EQ(tiles(4096, 4096, 128), (Tiles{{128, true}, {192, false}}));
}
