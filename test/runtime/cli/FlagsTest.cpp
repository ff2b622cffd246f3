//===- FlagsTest.cpp --------------------------------------------*- C++ -*-===//
#include "runtime/cli/Flags.h"

#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::commands;

namespace {
struct FlagsTest : ::testing::Test {
  FlagsTest() {
    flags.addPositional("FILE", file);
    flags.add("--name", name);
    flags.add("--list", list);
    flags.add("--count", count, 1, 9);
    flags.add("--ratio", ratio);
    flags.add("--ids", ids);
    flags.addSwitch("--json", json);
  }
  Status parse(std::vector<std::string> arguments) { return flags.parse(arguments); }

  Flags flags;
  std::string file, name;
  std::vector<std::string> list;
  uint64_t count = 3;
  std::optional<double> ratio;
  std::vector<int64_t> ids;
  bool json = false;
};
} // namespace

TEST_F(FlagsTest, Reads) {
  Status status = parse({"--list", "a", "f.ingot", "--list=b", "--count", "9", "--ratio=-0.5",
                         "--json", "--ids", "1,-2", "--ids=3", "--name", "--json"});
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(file, "f.ingot");
  EXPECT_EQ(list, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(count, 9u);
  EXPECT_EQ(ratio, -0.5);
  EXPECT_EQ(ids, (std::vector<int64_t>{1, -2, 3}));
  EXPECT_EQ(name, "--json");
  EXPECT_TRUE(json);
}

TEST_F(FlagsTest, DashesEndTheFlags) {
  ASSERT_TRUE(parse({"--", "--json"}).ok());
  EXPECT_EQ(file, "--json");
  EXPECT_FALSE(json);
}

TEST_F(FlagsTest, Refuses) {
  auto refused = [&](std::vector<std::string> arguments, const char *words) {
    Status status = parse(arguments);
    EXPECT_EQ(status.code(), ExitCode::Usage);
    EXPECT_NE(status.message().find(words), std::string::npos) << status.message();
  };
  refused({}, "expected FILE");
  refused({"a", "b"}, "unexpected argument 'b'");
  refused({"a", "--nothing"}, "unknown flag '--nothing'");
  refused({"a", "--json=1"}, "takes no value");
  refused({"a", "--name"}, "expected a value");
  for (const char *bad : {"0", "10", "-1", "x", "", "1x", "99999999999999999999"})
    refused({"a", "--count", bad}, "--count: expected a number from 1 to 9");
  refused({"a", "--ratio", "x"}, "--ratio: expected a number");
  refused({"a", "--ids", "1,,2"}, "--ids");
}
