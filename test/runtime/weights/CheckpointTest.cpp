//===- CheckpointTest.cpp - Model folders, good and hostile ---------------===//
#include "runtime/weights/Checkpoint.h"
#include "test/runtime/weights/SafetensorsBuilder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

using namespace ingot;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

std::string tensorFile(const std::string &name, char value = 'x') {
  return SafetensorsBuilder().add(name, "U8", "[1]", std::string(1, value)).bytes();
}

std::string errorOf(const std::string &path) {
  Result<Checkpoint> checkpoint = Checkpoint::open(path);
  EXPECT_FALSE(checkpoint.ok());
  if (checkpoint.ok())
    return "";
  EXPECT_EQ(checkpoint.status().code(), ExitCode::MalformedInput);
  return checkpoint.status().message();
}

constexpr char kIndex[] = R"({"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}})";

TEST(Checkpoint, OneFile) {
  TemporaryFolder folder;
  folder.write("model.safetensors", tensorFile("a"));
  for (const std::string &path :
       {folder.path(), folder.path() + "/", folder / "model.safetensors"}) {
    Result<Checkpoint> checkpoint = Checkpoint::open(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
    EXPECT_EQ(checkpoint->tensors().size(), 1u);
    ASSERT_NE(checkpoint->find("a"), nullptr);
    EXPECT_EQ(checkpoint->find("a")->bytes[0], std::byte('x'));
    EXPECT_EQ(checkpoint->fileOf(*checkpoint->find("a")), "model.safetensors");
    EXPECT_EQ(checkpoint->find("b"), nullptr);
  }
}

TEST(Checkpoint, Sharded) {
  TemporaryFolder folder;
  folder.write("model.safetensors.index.json", kIndex);
  folder.write("1.safetensors", tensorFile("a", 'A'));
  folder.write("2.safetensors", tensorFile("b", 'B'));
  Result<Checkpoint> opened = Checkpoint::open(folder.path());
  ASSERT_TRUE(opened.ok()) << opened.status().message();
  Checkpoint checkpoint = *std::move(opened); // pointers survive a move
  EXPECT_EQ(checkpoint.find("b")->bytes[0], std::byte('B'));
  EXPECT_EQ(checkpoint.fileOf(*checkpoint.find("b")), "2.safetensors");
  EXPECT_EQ(checkpoint.find("a")->type->str(), "u8[1]");
}

TEST(Checkpoint, IndexAndShardsMustAgree) {
  TemporaryFolder folder;
  folder.write("model.safetensors.index.json", kIndex);
  folder.write("1.safetensors", tensorFile("a"));
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("2.safetensors"));
  folder.write("2.safetensors", tensorFile("c"));
  EXPECT_THAT(errorOf(folder.path()),
              HasSubstr("tensor \"b\": expected in \"2.safetensors\", got no such tensor"));
  folder.write("1.safetensors",
               SafetensorsBuilder().add("a", "U8", "[1]", "a").add("b", "U8", "[1]", "b").bytes());
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("got it in \"1.safetensors\""));
  folder.write("2.safetensors", tensorFile("b")); // b twice
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("another file there"));
  folder.write("1.safetensors",
               SafetensorsBuilder().add("a", "U8", "[1]", "a").add("z", "U8", "[1]", "b").bytes());
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("tensor \"z\""));
  folder.write("1.safetensors", "broken");
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("1.safetensors"));
}

TEST(Checkpoint, NothingThere) {
  TemporaryFolder folder;
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("got neither"));
  EXPECT_THAT(errorOf(folder / "absent"), HasSubstr("got nothing"));
  folder.write("other.safetensors", tensorFile("a"));
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("other.safetensors"));
  folder.write("model.gguf", "");
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("model.gguf"));
  folder.write("readme.txt", "");
  EXPECT_THAT(errorOf(folder / "readme.txt"), HasSubstr("another file"));
}

TEST(Checkpoint, PicklesAreRefusedWithAHint) {
  for (const char *name :
       {"pytorch_model.bin", "model.pt", "x.pth", "pytorch_model.bin.index.json"}) {
    TemporaryFolder folder;
    folder.write(name, "");
    EXPECT_THAT(errorOf(folder.path()), HasSubstr(name));
    EXPECT_THAT(errorOf(folder.path()), HasSubstr("save_pretrained"));
  }
  TemporaryFolder folder;
  folder.write("m.bin", "");
  EXPECT_THAT(errorOf(folder / "m.bin"), HasSubstr("pickle"));
  // A pickle beside safetensors is no matter.
  folder.write("model.safetensors", tensorFile("a"));
  EXPECT_TRUE(Checkpoint::open(folder.path()).ok());
}

TEST(Checkpoint, LinksStayInTheFolder) {
  TemporaryFolder folder, outside;
  outside.write("secret.safetensors", tensorFile("a"));
  ASSERT_EQ(
      symlink((outside / "secret.safetensors").c_str(), (folder / "model.safetensors").c_str()), 0);
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("a file of this folder, got a link to"));
  unlink((folder / "model.safetensors").c_str());
  folder.write("real.safetensors", tensorFile("a"));
  ASSERT_EQ(symlink("real.safetensors", (folder / "model.safetensors").c_str()), 0);
  EXPECT_TRUE(Checkpoint::open(folder.path()).ok());
  unlink((folder / "model.safetensors").c_str());
  ASSERT_EQ(symlink("nowhere", (folder / "model.safetensors").c_str()), 0);
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("cannot open"));
  unlink((folder / "model.safetensors").c_str());
  ASSERT_EQ(symlink("model.safetensors", (folder / "model.safetensors").c_str()), 0); // a loop
  errorOf(folder.path());
}

TEST(Checkpoint, ShardsAreNoLinksOutOrPipes) {
  TemporaryFolder folder, outside;
  folder.write("model.safetensors.index.json", kIndex);
  folder.write("1.safetensors", tensorFile("a"));
  outside.write("2.safetensors", tensorFile("b"));
  ASSERT_EQ(symlink((outside / "2.safetensors").c_str(), (folder / "2.safetensors").c_str()), 0);
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("got a link to"));
  unlink((folder / "2.safetensors").c_str());
  ASSERT_EQ(mkfifo((folder / "2.safetensors").c_str(), 0600), 0);
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("regular file"));
  unlink((folder / "2.safetensors").c_str());
  ASSERT_EQ(mkdir((folder / "2.safetensors").c_str(), 0700), 0);
  EXPECT_THAT(errorOf(folder.path()), HasSubstr("regular file"));
}

TEST(Checkpoint, TheHubCacheLayoutIsAccepted) {
  TemporaryFolder cache;
  for (const char *name : {"m", "m/blobs", "m/snapshots", "m/snapshots/r"})
    ASSERT_EQ(mkdir((cache / name).c_str(), 0700), 0);
  cache.write("m/blobs/0123", tensorFile("a"));
  cache.write("m/private.safetensors", tensorFile("a"));
  std::string link = cache / "m/snapshots/r/model.safetensors";
  ASSERT_EQ(symlink("../../blobs/0123", link.c_str()), 0);
  EXPECT_TRUE(Checkpoint::open(cache / "m/snapshots/r").ok());
  unlink(link.c_str());
  ASSERT_EQ(symlink("../../private.safetensors", link.c_str()), 0);
  EXPECT_THAT(errorOf(cache / "m/snapshots/r"), HasSubstr("got a link to"));
}

TEST(Checkpoint, NoFileOfTheFolderIsADevice) {
  TemporaryFolder folder;
  ASSERT_EQ(symlink("/dev/zero", (folder / "model.safetensors").c_str()), 0);
  errorOf(folder.path());
}

} // namespace
