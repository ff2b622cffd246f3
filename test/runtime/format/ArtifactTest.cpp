//===- ArtifactTest.cpp - Files: round trip, damage -------------*- C++ -*-===//
#include "runtime/format/Artifact.h"

#include "runtime/format/Describe.h"
#include "runtime/weights/Json.h"
#include "test/runtime/testing/TestArtifact.h"

#include <cstring>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace ingot;
using namespace ingot::testing;

static Status openBytes(const std::vector<std::byte> &bytes, bool verify = true) {
  AlignedBytes aligned(bytes);
  return Artifact::fromBytes(aligned.span(), {.verifyChecksums = verify, .pool = nullptr}).status();
}

TEST(Artifact, RoundTrip) {
  auto file = makeFile(*makePlan());
  std::string path = writeFile("a.ingot", file);
  auto artifact = Artifact::open(path);
  ASSERT_TRUE(artifact.ok()) << artifact.status().message();
  EXPECT_EQ((*artifact)->plan().programs()->size(), 2u);
  auto image = (*artifact)->image(0);
  EXPECT_TRUE(std::equal(image.begin(), image.end(), kernelImage().begin(), kernelImage().end()));
  auto weights = (*artifact)->weights(0);
  ASSERT_EQ(weights.size(), 64u);
  EXPECT_EQ(uintptr_t(weights.data()) % kPage, 0u);
  float first;
  std::memcpy(&first, weights.data(), 4);
  EXPECT_EQ(first, 2);
  EXPECT_FALSE((*artifact)->has(SectionKind::Debug));
  ::unlink(path.c_str());
}

TEST(Artifact, SameCallsGiveTheSameBytes) {
  EXPECT_EQ(makeFile(*makePlan()), makeFile(*makePlan()));
}

TEST(Artifact, EveryFlippedByteIsRefused) {
  auto file = makeFile(*makePlan());
  AlignedBytes aligned(file);
  auto *bytes = const_cast<std::byte *>(aligned.span().data());
  for (size_t i = 0; i < file.size(); i += i < 4096 ? 1 : 61) {
    bytes[i] ^= std::byte(1 << i % 8);
    auto status = Artifact::fromBytes(aligned.span()).status();
    bytes[i] ^= std::byte(1 << i % 8);
    ExitCode expected = i < 12 ? ExitCode::MalformedInput : ExitCode::Integrity;
    EXPECT_EQ(status.code(), expected) << "byte " << i << ": " << status.message();
  }
  EXPECT_TRUE(Artifact::fromBytes(aligned.span()).ok());
}

TEST(Artifact, EveryTruncationIsRefused) {
  auto file = makeFile(*makePlan());
  for (size_t size = 0; size < file.size(); size += size < 300 ? 1 : 509) {
    auto status = openBytes({file.begin(), file.begin() + ptrdiff_t(size)});
    EXPECT_EQ(status.code(), size == 0 ? ExitCode::MalformedInput : ExitCode::Integrity)
        << size << ": " << status.message();
  }
  file.push_back(std::byte(0));
  EXPECT_EQ(openBytes(file).code(), ExitCode::Integrity);
}

TEST(Artifact, ForeignFiles) {
  std::vector<std::byte> text(64, std::byte('x'));
  Status status = openBytes(text);
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  EXPECT_NE(status.message().find("not an .ingot file"), std::string::npos);
  EXPECT_EQ(Artifact::open("/no/such/file").status().code(), ExitCode::Usage);
  EXPECT_EQ(Artifact::open("/tmp").status().code(), ExitCode::Usage);
  EXPECT_EQ(Artifact::open("/dev/null").status().code(), ExitCode::Usage);
}

TEST(Artifact, OtherVersionSaysWhatToDo) {
  auto file = makeFile(*makePlan());
  file[8] = std::byte(kFormatVersion + 1);
  Status status = openBytes(file);
  EXPECT_EQ(status.code(), ExitCode::MalformedInput);
  EXPECT_NE(status.message().find("compile the model again"), std::string::npos);
}

TEST(Artifact, ResealedHeadersAreCheckedToo) {
  auto good = makeFile(*makePlan());
  auto change = [&](size_t at, uint64_t value, size_t bytes = 8) {
    auto file = good;
    std::memcpy(file.data() + at, &value, bytes);
    reseal(file);
    return openBytes(file, false).code();
  };
  for (size_t section = 0; section < kSectionCount; ++section) {
    size_t base = 32 + 32 * section;
    EXPECT_NE(change(base, 9, 4), ExitCode::Ok);                // kind
    EXPECT_NE(change(base + 4, 2, 4), ExitCode::Ok);            // present
    EXPECT_NE(change(base + 8, UINT64_MAX - 63), ExitCode::Ok); // offset
    EXPECT_NE(change(base + 16, UINT64_MAX), ExitCode::Ok);     // size
    EXPECT_NE(change(base + 16, uint64_t(1) << 63), ExitCode::Ok);
  }
  EXPECT_NE(change(12, 3, 4), ExitCode::Ok); // section count
  EXPECT_NE(change(16, 1), ExitCode::Ok);    // file size
  EXPECT_NE(change(160, 1), ExitCode::Ok);   // reserved
}

TEST(Artifact, ChecksumsCanBeSkipped) {
  auto file = makeFile(*makePlan());
  file.back() ^= std::byte(1); // in the weights
  EXPECT_EQ(openBytes(file, true).code(), ExitCode::Integrity);
  EXPECT_TRUE(openBytes(file, false).ok());
}

TEST(Artifact, GarbagePlansNeverCrash) {
  auto good = makeFile(*makePlan());
  FileHeader header;
  std::memcpy(&header, good.data(), sizeof header);
  size_t planBytes = header.sections[0].bytes;
  uint32_t state = 7;
  size_t accepted = 0;
  for (int round = 0; round < 3000; ++round) {
    auto file = good;
    for (int i = 0; i < 1 + round % 3; ++i) {
      state = state * 1664525 + 1013904223;
      size_t at = header.sections[0].offset + state % planBytes;
      state = state * 1664525 + 1013904223;
      file[at] = round % 2 ? std::byte(state >> 24) : std::byte(0xff);
    }
    reseal(file);
    Status status = openBytes(file);
    accepted += status.ok();
    if (!status.ok()) {
      EXPECT_EQ(status.code(), ExitCode::MalformedInput) << status.message();
    }
  }
  EXPECT_LT(accepted, 3000u);
}

TEST(Artifact, WriterLeavesNothingUnlessCommitted) {
  std::string path = temporaryPath("w.ingot");
  {
    auto writer = ArtifactWriter::create(path);
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->beginSection(SectionKind::Code).ok());
    EXPECT_EQ((*writer)->beginSection(SectionKind::Plan).code(), ExitCode::Internal);
    ASSERT_TRUE((*writer)->padTo(10000).ok());
    EXPECT_EQ((*writer)->padTo(9999).code(), ExitCode::Internal);
  }
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
  EXPECT_EQ(ArtifactWriter::create("/no/such/folder/x").status().code(), ExitCode::Usage);
  EXPECT_EQ(ArtifactWriter::create("/dev/null").status().code(), ExitCode::Usage);
}

TEST(Describe, IsJsonWithEverySection) {
  AlignedBytes bytes(makeFile(*makePlan()));
  auto artifact = Artifact::fromBytes(bytes.span());
  ASSERT_TRUE(artifact.ok());
  auto json = describeArtifact(**artifact);
  ASSERT_TRUE(json.ok());
  auto document = parseJson(*json);
  ASSERT_TRUE(document.ok()) << document.status().message();
  for (const std::string &section : describedSections()) {
    if (section != "debug") {
      EXPECT_TRUE(document->root()[section].exists()) << section;
    }
    const std::string one[] = {section};
    auto single = describeArtifact(**artifact, one);
    ASSERT_TRUE(single.ok());
    EXPECT_TRUE(parseJson(*single).ok());
  }
  const std::string unknown[] = {"nothing"};
  EXPECT_EQ(describeArtifact(**artifact, unknown).status().code(), ExitCode::Usage);
}
