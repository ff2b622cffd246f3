//===- NamesTest.cpp - Phases, targets, suggestions ------------------------===//

#include "compiler/Phases.h"
#include "compiler/Suggest.h"
#include "compiler/Target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using testing::HasSubstr;

TEST(Suggest, NamesTheNearest) {
  EXPECT_EQ(didYouMean("lowr", {"import", "fuse", "lower"}), "; did you mean 'lower'?");
  EXPECT_EQ(didYouMean("kern", {"plan", "kernels"}), "; did you mean 'kernels'?");
  EXPECT_EQ(didYouMean("completely different", {"import", "fuse"}), "");
  EXPECT_EQ(didYouMean("", {"import"}), "");
  EXPECT_EQ(didYouMean(std::string(1000000, 'x'), {"import"}), "");
  EXPECT_EQ(didYouMean("x", {}), "");
}

TEST(Phases, RoundTrip) {
  for (const PhaseInfo &info : phaseTable) {
    Result<Phase> phase = parsePhase(info.name);
    ASSERT_TRUE(phase.ok());
    EXPECT_EQ(*phase, info.phase);
    EXPECT_EQ(phaseName(*phase), info.name);
  }
  Result<Phase> unknown = parsePhase("plann");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.status().code(), ExitCode::Usage);
  EXPECT_THAT(unknown.status().message(), HasSubstr("did you mean 'plan'?"));
}

TEST(Target, Levels) {
  for (const char *level : {"x86-64-v2", "x86-64-v3", "x86-64-v4"}) {
    Result<Target> target = parseTarget(level);
    ASSERT_TRUE(target.ok());
    EXPECT_EQ(target->kind, "host");
    EXPECT_EQ(target->arch, level);
  }
}

TEST(Target, Gpus) {
  Result<Target> target = parseTarget("sm_90a");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->kind, "cuda");
  EXPECT_EQ(target->arch, "sm_90a");
}

TEST(Target, Refusals) {
  EXPECT_EQ(parseTarget("sm_60").status().code(), ExitCode::Unsupported);
  EXPECT_EQ(parseTarget("").status().code(), ExitCode::Usage);
  EXPECT_EQ(parseTarget("x86-64").status().code(), ExitCode::Usage);
  EXPECT_THAT(parseTarget("hst").status().message(), HasSubstr("did you mean 'host'?"));
}

TEST(Target, Several) {
  Result<std::vector<Target>> targets = parseTargets("sm_90a,sm_80");
  ASSERT_TRUE(targets.ok());
  ASSERT_EQ(targets->size(), 2u);
  EXPECT_EQ((*targets)[0].arch, "sm_90a");
  EXPECT_EQ((*targets)[1].arch, "sm_80");
  EXPECT_EQ(parseTargets("x86-64-v2")->size(), 1u);
  for (const char *text : {"", "sm_80,", ",sm_80", "sm_80,,sm_90", "sm_80,sm_80"})
    EXPECT_EQ(parseTargets(text).status().code(), ExitCode::Usage) << text;
  Status mixed = parseTargets("sm_80,x86-64-v3").status();
  EXPECT_EQ(mixed.code(), ExitCode::Unsupported);
  EXPECT_THAT(mixed.message(), HasSubstr("sm_80 and x86-64-v3"));
}

TEST(Target, Dtype) {
  Target host{"host", "x86-64-v3"};
  EXPECT_TRUE(checkDtype("f32", host).ok());
  EXPECT_TRUE(checkDtype("bf16", host).ok());
  EXPECT_TRUE(checkDtype("f16", host).ok());
  EXPECT_EQ(checkDtype("f16", {"host", "x86-64-v2"}).code(), ExitCode::Unsupported);
  EXPECT_EQ(checkDtype("fp32", host).code(), ExitCode::Usage);
}
