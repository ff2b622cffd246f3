//===- SafetensorsTest.cpp - Every rule of the format, kept and broken ----===//
#include "runtime/weights/Safetensors.h"
#include "test/runtime/weights/SafetensorsBuilder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using namespace ingot::test;
using testing::HasSubstr;

namespace {

SafetensorsHeader parsed(const std::string &file) {
  Result<SafetensorsHeader> header = parseSafetensors(asBytes(file), "f");
  EXPECT_TRUE(header.ok()) << header.status().message();
  return header.ok() ? *std::move(header) : SafetensorsHeader();
}

std::string errorOf(const std::string &file) {
  Result<SafetensorsHeader> header = parseSafetensors(asBytes(file), "f");
  EXPECT_FALSE(header.ok());
  if (header.ok())
    return "";
  EXPECT_EQ(header.status().code(), ExitCode::MalformedInput);
  EXPECT_EQ(header.status().message().substr(0, 2), "f:");
  return header.status().message();
}

/// One tensor "a" with the given header fields and 8 bytes of data.
std::string one(const std::string &fields, size_t dataBytes = 8) {
  return safetensorsBytes("{\"a\":{" + fields + "}}", std::string(dataBytes, '\0'));
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  SafetensorsHeader header = parsed(safetensorsBytes(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,3],"data_offsets":[4,16]},)"
      R"("a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   )",
      std::string(16, 'x')));
  ASSERT_EQ(header.tensors.size(), 2u);
  EXPECT_EQ(header.tensors[0].name, "a");
  EXPECT_EQ(header.tensors[0].type.str(), "f32[]");
  EXPECT_EQ(header.tensors[1].type.str(), "bf16[2, 3]");
  EXPECT_EQ(header.tensors[1].begin, 4u);
  EXPECT_EQ(header.tensors[1].end, 16u);
  EXPECT_EQ(header.metadata[0].second, "pt");
}

TEST(Safetensors, ReadsEveryDtype) {
  for (unsigned i = 0; i < kNumElementTypes; ++i) {
    ElementType type = ElementType(i);
    std::string bytes(sizeOf(type) * 3, '\0');
    std::string file =
        SafetensorsBuilder().add("t", std::string(safetensorsName(type)), "[3]", bytes).bytes();
    EXPECT_EQ(parsed(file).tensors[0].type.elementType, type);
  }
}

TEST(Safetensors, EmptyFilesAndTensors) {
  EXPECT_TRUE(parsed(safetensorsBytes("{}", "")).tensors.empty());
  parsed(safetensorsBytes(R"({"a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},)"
                          R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                          R"("c":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}})",
                          "1234"));
  // A zero hides no negative size, and no overflow matters beside it.
  parsed(one(
      R"("dtype":"F32","shape":[9223372036854775807,9223372036854775807,0],"data_offsets":[0,0])",
      0));
  errorOf(one(R"("dtype":"F32","shape":[0,-1],"data_offsets":[0,0])", 0));
}

TEST(Safetensors, HeaderLength) {
  EXPECT_THAT(errorOf(""), HasSubstr("got 0 bytes"));
  EXPECT_THAT(errorOf("1234567"), HasSubstr("got 7 bytes"));
  EXPECT_THAT(errorOf(safetensorsBytes("", "")), HasSubstr("empty"));
  EXPECT_THAT(errorOf(safetensorsBytes("{}", "", 3)), HasSubstr("truncated"));
  EXPECT_THAT(errorOf(safetensorsBytes("{}", "", 100'000'001)), HasSubstr("at most 100000000"));
  EXPECT_THAT(errorOf(safetensorsBytes("{}", "", UINT64_MAX - 1)), HasSubstr("at most 100000000"));
  EXPECT_THAT(errorOf(safetensorsBytes("{}", "", UINT64_MAX - 7)),
              HasSubstr("no safetensors file"));
  EXPECT_THAT(errorOf(safetensorsBytes(" {}", "")), HasSubstr("starts with '{'"));
  EXPECT_THAT(errorOf(safetensorsBytes("[]", "")), HasSubstr("starts with '{'"));
}

TEST(Safetensors, HeaderJson) {
  errorOf(safetensorsBytes("{", ""));
  errorOf(safetensorsBytes("{}x", ""));
  errorOf(safetensorsBytes("{\"a\":NaN}", ""));
  errorOf(safetensorsBytes("{\"a\":\xff}", ""));
  errorOf(safetensorsBytes("{\"a\":" + std::string(100000, '['), ""));
  EXPECT_THAT(errorOf(safetensorsBytes(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                                       R"("a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                       "12")),
              HasSubstr("\"a\" again"));
  EXPECT_THAT(errorOf(safetensorsBytes("{\"a\":1}", "")), HasSubstr("expected an object, got 1"));
  EXPECT_THAT(errorOf(safetensorsBytes("{\"__metadata__\":{\"a\":1}}", "")), HasSubstr("a string"));
  EXPECT_THAT(errorOf(safetensorsBytes("{\"__metadata__\":[]}", "")), HasSubstr("an object"));
}

TEST(Safetensors, Fields) {
  EXPECT_THAT(errorOf(one(R"("shape":[2],"data_offsets":[0,8])")), HasSubstr("dtype"));
  EXPECT_THAT(errorOf(one(R"("dtype":"F32","data_offsets":[0,8])")), HasSubstr("shape"));
  EXPECT_THAT(errorOf(one(R"("dtype":"F32","shape":[2])")), HasSubstr("data_offsets"));
  EXPECT_THAT(errorOf(one(R"("dtype":"F31","shape":[2],"data_offsets":[0,8])")),
              HasSubstr("got \"F31\""));
  EXPECT_THAT(errorOf(one(R"("dtype":"f32","shape":[2],"data_offsets":[0,8])")),
              HasSubstr("dtype"));
  EXPECT_THAT(errorOf(one(R"("dtype":7,"shape":[2],"data_offsets":[0,8])")), HasSubstr("a string"));
  for (const char *shape : {"2", "[2.0]", "[-2]", "[\"2\"]", "[null]", "[[2]]",
                            "[18446744073709551615]", "[1e1]", "{}"})
    EXPECT_THAT(errorOf(one(R"("dtype":"F32","data_offsets":[0,8],"shape":)" + std::string(shape))),
                HasSubstr("shape"));
  for (const char *offsets : {"8", "[]", "[0]", "[0,8,8]", "[0,8.0]", "[-8,0]", "[0,\"8\"]",
                              "[8,0]", "[0,18446744073709551615]", "[null,8]"})
    EXPECT_THAT(errorOf(one(R"("dtype":"F32","shape":[2],"data_offsets":)" + std::string(offsets))),
                HasSubstr("data_offsets"));
}

TEST(Safetensors, SizesAgree) {
  EXPECT_THAT(errorOf(one(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])")),
              HasSubstr("expected 12 bytes for f32[3], got 8"));
  EXPECT_THAT(errorOf(one(R"("dtype":"F32","shape":[],"data_offsets":[0,8])")),
              HasSubstr("expected 4 bytes"));
  // 2^62 * 4 wraps to zero.
  EXPECT_THAT(
      errorOf(one(R"("dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0])", 0)),
      HasSubstr("less than 2^63"));
  EXPECT_THAT(
      errorOf(one(R"("dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0])", 0)),
      HasSubstr("less than 2^63"));
}

TEST(Safetensors, RangesTileTheData) {
  auto two = [](const char *a, const char *b, size_t bytes) {
    return safetensorsBytes(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + std::string(a) +
                                R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                            std::string(bytes, '\0'));
  };
  parsed(two("[0,4]", "[4,8]", 8));
  parsed(two("[4,8]", "[0,4]", 8));
  EXPECT_THAT(errorOf(two("[0,4]", "[5,9]", 9)), HasSubstr("hole"));
  EXPECT_THAT(errorOf(two("[1,5]", "[5,9]", 9)), HasSubstr("hole"));
  EXPECT_THAT(errorOf(two("[0,4]", "[3,7]", 7)), HasSubstr("overlap"));
  EXPECT_THAT(errorOf(two("[0,4]", "[0,4]", 4)), HasSubstr("overlap"));
  EXPECT_THAT(errorOf(two("[0,4]", "[4,8]", 7)), HasSubstr("truncated"));
  EXPECT_THAT(errorOf(two("[0,4]", "[4,8]", 9)), HasSubstr("follows the data"));
  EXPECT_THAT(errorOf(safetensorsBytes("{}", "x")), HasSubstr("follows the data"));
}

TEST(Safetensors, EveryTruncationIsAnError) {
  std::string file = SafetensorsBuilder()
                         .add("a", "F32", "[2]", floatBytes({1, 2}))
                         .add("b", "U8", "[3]", "xyz")
                         .bytes();
  parsed(file);
  for (size_t size = 0; size < file.size(); ++size)
    errorOf(file.substr(0, size));
}

TEST(Safetensors, HostileHeadersTakeLittleTime) {
  // As large as a header may be, all of it values.
  std::string header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[0";
  while (header.size() + 2 < kMaxSafetensorsHeaderBytes)
    header += ",0";
  EXPECT_THAT(errorOf(safetensorsBytes(header, "")), HasSubstr("at most 1000000 values"));
}

TEST(Safetensors, NamesInErrorsAreEscaped) {
  EXPECT_THAT(errorOf(safetensorsBytes(R"({"\u001b[31m":1})", "")), HasSubstr("\\u001b[31m"));
}

TEST(SafetensorsFile, FindsTensors) {
  TemporaryFolder folder;
  folder.write("m.safetensors",
               SafetensorsBuilder().add("b", "U8", "[1]", "B").add("a", "U8", "[2]", "aA").bytes());
  Result<SafetensorsFile> file = SafetensorsFile::open(folder / "m.safetensors");
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->bytes(*file->find("a"))[1], std::byte('A'));
  EXPECT_EQ(file->bytes(*file->find("b"))[0], std::byte('B'));
  EXPECT_EQ(file->find("c"), nullptr);
  EXPECT_EQ(SafetensorsFile::open(folder / "none").status().code(), ExitCode::MalformedInput);
}

} // namespace
