//===- Refuses.h - Plans that validation refuses ------------------*- C++ -*-===//
#pragma once

#include "runtime/format/Validate.h"
#include "test/runtime/testing/TestArtifact.h"

#include <functional>
#include <gtest/gtest.h>
#include <string>

namespace ingot::testing {

/// The error of the test plan after `change`, which must contain `words`.
inline void refuses(const std::string &words, const std::function<void(format::PlanT &)> &change) {
  auto plan = makePlan();
  change(*plan);
  AlignedBytes bytes(packPlan(*plan));
  auto verified = verifyPlan(bytes.span());
  ASSERT_TRUE(verified.ok());
  Status status = validatePlan(**verified, {kernelImage().size(), true, kPage});
  EXPECT_EQ(status.code(), ExitCode::MalformedInput) << words;
  EXPECT_NE(status.message().find(words), std::string::npos) << words << " | " << status.message();
}

} // namespace ingot::testing
