//===- TuningTest.cpp - Files of measured choices ------------------*- C++ -*-===//
#include "runtime/format/Tuning.h"

#include <gtest/gtest.h>

using namespace ingot;

namespace {

TuningEntry makeEntry(const std::string &kernel, const std::string &gpu = "NVIDIA H100") {
  return {{gpu, "sm_90a", 132, 3352, 1980},
          kernel,
          "{tile_n = 128 : i64}",
          2.5,
          "{tile_n = 256 : i64}",
          3.25,
          4};
}

std::string change(std::string text, const std::string &from, const std::string &to) {
  size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

} // namespace

TEST(Tuning, ReadsWhatItWrites) {
  Tuning tuning;
  tuning.put(makeEntry("a"));
  tuning.put(makeEntry("b \"quoted\""));
  auto read = Tuning::parse(tuning.text(), "t.json");
  ASSERT_TRUE(read.ok()) << read.status().message();
  ASSERT_EQ(read->entries().size(), 2u);
  EXPECT_EQ(read->text(), tuning.text());
  const TuningEntry *entry = read->find(makeEntry("a").gpu, "b \"quoted\"");
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->config, "{tile_n = 128 : i64}");
  EXPECT_EQ(entry->microseconds, 2.5);
  EXPECT_EQ(entry->modelledMicroseconds, 3.25);
  EXPECT_EQ(entry->candidates, 4);
}

TEST(Tuning, HasOneEntryAGpuAndKernel) {
  Tuning tuning;
  tuning.put(makeEntry("a"));
  tuning.put(makeEntry("a", "NVIDIA H200"));
  EXPECT_EQ(tuning.entries().size(), 2u);
  TuningEntry again = makeEntry("a");
  again.microseconds = 1;
  tuning.put(again);
  EXPECT_EQ(tuning.entries().size(), 2u);
  EXPECT_EQ(tuning.find(again.gpu, "a")->microseconds, 1);
  EXPECT_EQ(tuning.find(again.gpu, "b"), nullptr);
}

TEST(Tuning, OfAnotherVersionHasNoEntries) {
  auto read = Tuning::parse(R"({"version": 2, "entries": "in another form"})", "t.json");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->otherVersion(), 2);
  EXPECT_TRUE(read->entries().empty());
}

TEST(Tuning, SaysWhereItIsMalformed) {
  Tuning tuning;
  tuning.put(makeEntry("a"));
  std::string good = tuning.text();
  auto message = [](const std::string &text) {
    auto read = Tuning::parse(text, "t.json");
    EXPECT_EQ(read.status().code(), ExitCode::MalformedInput) << text;
    return read.status().message();
  };
  EXPECT_EQ(message("[]"), "t.json: version: expected a positive integer, got nothing (not set)");
  EXPECT_EQ(message(R"({"version": 1})"),
            "t.json: entries: expected an array, got nothing (not set)");
  EXPECT_EQ(
      message(change(good, "2.5", "-2.5")),
      "t.json: entries[0].microseconds: expected a positive number of microseconds, got -2.5");
  EXPECT_EQ(message(change(good, "132", "0")),
            "t.json: entries[0].gpu.multiprocessors: expected a positive integer, got 0");
  EXPECT_NE(message(change(good, "\"kernel\"", "\"colonel\"")).find("entries[0].kernel: expected"),
            std::string::npos);
  EXPECT_NE(message(good.substr(0, good.size() / 2)).find("t.json"), std::string::npos);
}

TEST(Tuning, KeepsTheFileWhereItCannotWrite) {
  EXPECT_EQ(Tuning().write("/nonexistent/folder/t.json").code(), ExitCode::OutOfResources);
}
