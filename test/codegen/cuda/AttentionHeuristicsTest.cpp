//===- AttentionHeuristicsTest.cpp - Choices of attention kernels -----------===//
#include "codegen/families/Attention/AttentionDesc.h"

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::codegen;

namespace {

struct AttentionHeuristics : testing::Test {
  mlir::MLIRContext context;
  cuda::ArchInfo hopper = *cuda::getArchInfo("sm_90a");

  AttentionHeuristics() { context.loadDialect<exec::ExecDialect>(); }
  AttentionDesc describe(int64_t width, int64_t mostTokens, int64_t mostRows, bool wide = false) {
    AttentionDesc desc;
    desc.width = width;
    desc.mostTokens = mostTokens;
    desc.mostRows = mostRows;
    desc.queryRows = exec::SizeAttr::get(&context, mostTokens);
    desc.elementType = wide ? mlir::Type(mlir::Float32Type::get(&context))
                            : mlir::Type(mlir::BFloat16Type::get(&context));
    return desc;
  }
  AttentionConfig choose(const AttentionDesc &desc, const cuda::ArchInfo &arch) {
    return list(desc, arch).front();
  }
  std::vector<AttentionConfig> list(const AttentionDesc &desc, const cuda::ArchInfo &arch) {
    auto configs = listAttentionConfigs(desc, arch);
    auto *taken = std::get_if<std::vector<AttentionConfig>>(&configs);
    EXPECT_TRUE(taken) << std::get<std::string>(configs);
    return *taken;
  }
};

TEST_F(AttentionHeuristics, FitSharedMemoryOfEveryArchitecture) {
  for (llvm::StringRef name : cuda::getArchNames())
    for (int64_t width : {16, 32, 48, 64, 72, 80, 96, 112, 128, 160, 192, 200, 256})
      for (int64_t tokens : {1, 4096})
        for (bool wide : {false, true}) {
          cuda::ArchInfo arch = *cuda::getArchInfo(name);
          for (const AttentionConfig &taken : list(describe(width, tokens, 16, wide), arch)) {
            EXPECT_LE(taken.sharedBytes + 17 * 4 + 1024, arch.sharedBytesPerBlock)
                << name.str() << " " << width;
            EXPECT_FALSE(taken.reason.empty());
            EXPECT_EQ(taken.keys % 16, 0u);
          }
        }
}

TEST_F(AttentionHeuristics, TakeFewerKeysWhereSharedMemoryIsShort) {
  cuda::ArchInfo consumer = *cuda::getArchInfo("sm_86");
  EXPECT_EQ(choose(describe(64, 4096, 4), consumer).keys, 64u);
  EXPECT_EQ(choose(describe(128, 4096, 4), consumer).keys, 32u);
  EXPECT_EQ(choose(describe(128, 4096, 4), consumer).threads, 128u);
  EXPECT_LT(choose(describe(256, 4096, 4, true), consumer).threads, 128u);
}

TEST_F(AttentionHeuristics, TakeWarpgroupsForManyQueriesOnHopperOnly) {
  EXPECT_TRUE(choose(describe(128, 4096, 4), hopper).warpgroups);
  EXPECT_TRUE(choose(describe(80, 4096, 4), hopper).warpgroups);
  EXPECT_TRUE(choose(describe(256, 4096, 4), hopper).warpgroups);
  EXPECT_FALSE(choose(describe(128, 4096, 4), *cuda::getArchInfo("sm_90")).warpgroups);
  EXPECT_FALSE(choose(describe(128, 4096, 4), *cuda::getArchInfo("sm_80")).warpgroups);
}

TEST_F(AttentionHeuristics, GiveNarrowHeadsMoreQueries) {
  EXPECT_EQ(choose(describe(64, 4096, 4), hopper).consumers(), 3u);
  EXPECT_EQ(choose(describe(128, 4096, 4), hopper).consumers(), 2u);
  EXPECT_LT(choose(describe(256, 4096, 4), hopper).keys,
            choose(describe(128, 4096, 4), hopper).keys);
  // Slopes take the registers.
  AttentionDesc slopes = describe(64, 4096, 4);
  slopes.slopes = 4;
  EXPECT_EQ(list(slopes, hopper)[0].consumers(), 2u);
  EXPECT_EQ(list(slopes, hopper)[1].consumers(), 3u);
}

TEST_F(AttentionHeuristics, SayWhyNoWarpgroups) {
  auto reason = [&](const AttentionDesc &desc) {
    AttentionConfig config = choose(desc, hopper);
    EXPECT_FALSE(config.warpgroups);
    return config.reason;
  };
  EXPECT_NE(reason(describe(128, 4096, 4, true)).find("f32"), std::string::npos);
  // A decode step: no more tokens than rows.
  EXPECT_NE(reason(describe(128, 128, 128)).find("few queries"), std::string::npos);
  AttentionDesc odd = describe(12, 4096, 4);
  odd.chunkBytes = 8;
  EXPECT_NE(reason(odd).find("16 bytes"), std::string::npos);
  AttentionDesc paged = describe(64, 4096, 4);
  paged.paged = true;
  paged.block = 4;
  EXPECT_NE(reason(paged).find("cache blocks"), std::string::npos);
  paged.block = 16;
  EXPECT_TRUE(choose(paged, hopper).warpgroups);
}

} // namespace

TEST_F(AttentionHeuristics, ListOtherWarpgroupsAndKeys) {
  auto ways = [&](int64_t width) {
    std::vector<std::pair<unsigned, unsigned>> ways;
    for (const AttentionConfig &config : list(describe(width, 4096, 4), hopper))
      ways.emplace_back(config.consumers(), config.keys);
    return ways;
  };
  using Ways = std::vector<std::pair<unsigned, unsigned>>;
  EXPECT_EQ(ways(64), (Ways{{3, 128}, {2, 128}}));
  EXPECT_EQ(ways(128), (Ways{{2, 128}, {2, 96}}));
  EXPECT_EQ(ways(192), (Ways{{2, 64}, {2, 96}}));
  EXPECT_EQ(ways(256), (Ways{{2, 64}}));
}
