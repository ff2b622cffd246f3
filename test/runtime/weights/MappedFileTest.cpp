//===- MappedFileTest.cpp - Files that become shorter ---------------------===//
#include "runtime/weights/MappedFile.h"

#include "runtime/weights/Checkpoint.h"
#include "runtime/weights/WeightSource.h"
#include "test/runtime/weights/SafetensorsBuilder.h"

#include <gtest/gtest.h>

#include <unistd.h>

using namespace ingot;
using namespace ingot::test;

namespace {

constexpr size_t kPages = 8;

size_t pageBytes() { return size_t(sysconf(_SC_PAGESIZE)); }

TEST(MappedFile, ShorterWhileMapped) {
  TemporaryFolder folder;
  folder.write("f", std::string(kPages * pageBytes(), 'x'));
  folder.write("g", std::string(pageBytes(), 'y'));
  std::string path = folder.path() + "/f";
  Result<MappedFile> mapped = MappedFile::open(path), other = MappedFile::open(folder.path() + "/g");
  ASSERT_TRUE(mapped.ok() && other.ok());
  MappedFile file = std::move(*mapped); // the guard moves along
  ASSERT_EQ(::truncate(path.c_str(), off_t(pageBytes())), 0);
  EXPECT_EQ(file.text()[0], 'x');
  EXPECT_TRUE(file.intact());
  EXPECT_EQ(file.text()[3 * pageBytes() + 5], '\0');
  EXPECT_FALSE(file.intact());
  EXPECT_EQ(file.text()[kPages * pageBytes() - 1], '\0');
  EXPECT_EQ(file.text()[0], 'x');
  EXPECT_TRUE(other->intact());
}

TEST(MappedFile, GuardsAreUsedAgain) {
  TemporaryFolder folder;
  folder.write("f", std::string(2 * pageBytes(), 'x'));
  std::string path = folder.path() + "/f";
  for (int i = 0; i < 3000; ++i)
    ASSERT_TRUE(MappedFile::open(path).ok());
  Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(::truncate(path.c_str(), 0), 0);
  EXPECT_EQ(file->text()[1], '\0');
  EXPECT_FALSE(file->intact());
}

TEST(MappedFile, CheckpointSaysSo) {
  TemporaryFolder folder;
  std::string data(4 * pageBytes(), 'z');
  folder.write("model.safetensors",
               SafetensorsBuilder().add("a", "U8", "[" + std::to_string(data.size()) + "]", data).bytes());
  std::string path = folder.path() + "/model.safetensors";
  Result<Checkpoint> checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok());
  ASSERT_EQ(::truncate(path.c_str(), off_t(pageBytes())), 0);
  EXPECT_TRUE(checkpoint->checkIntact().ok());
  EXPECT_EQ(char(checkpoint->find("a")->bytes.back()), '\0');
  Status status = checkpoint->checkIntact();
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  EXPECT_NE(status.message().find("model.safetensors"), std::string::npos);
}

} // namespace
