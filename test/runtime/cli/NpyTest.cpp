//===- NpyTest.cpp ----------------------------------------------*- C++ -*-===//
#include "runtime/cli/Npy.h"

#include "test/runtime/testing/TestArtifact.h"

#include <cstring>
#include <gtest/gtest.h>
#include <unistd.h>

using namespace ingot;
using namespace ingot::testing;

static std::vector<std::byte> file(std::string header, size_t body, int version = 1) {
  std::string out("\x93NUMPY", 6);
  out += char(version);
  out += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    out += char(header.size() >> (8 * i) & 0xff);
  out += header + std::string(body, '\1');
  auto *data = reinterpret_cast<const std::byte *>(out.data());
  return {data, data + out.size()};
}

static const char *const kGood = "{'descr': '<i4', 'fortran_order': False, 'shape': (2, 3), }\n";

TEST(Npy, Versions) {
  for (int version : {1, 2, 3}) {
    auto bytes = file(kGood, 24, version);
    auto array = parseNpy(bytes);
    ASSERT_TRUE(array.ok()) << array.status().message();
    EXPECT_EQ(array->type, ElementType::I32);
    EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(array->data.size(), 24u);
  }
  EXPECT_FALSE(parseNpy(file(kGood, 24, 4)).ok());
}

TEST(Npy, Spellings) {
  auto reads = [](const char *header, size_t body) { return parseNpy(file(header, body)).ok(); };
  EXPECT_TRUE(reads("{\"shape\":(),\"fortran_order\":False,\"descr\":\"<f8\"}", 8));
  EXPECT_TRUE(reads("{'descr': '|b1', 'fortran_order': True, 'shape': (5,), }", 5));
  EXPECT_TRUE(reads("{'descr': '<f2', 'fortran_order': False, 'shape': (0, 4), }", 0));
  EXPECT_FALSE(reads("{'descr': '>i4', 'fortran_order': False, 'shape': (1,), }", 4));
  EXPECT_FALSE(reads("{'descr': '<i4', 'fortran_order': True, 'shape': (2, 3), }", 24));
}

TEST(Npy, MalformedHeaders) {
  for (const char *header :
       {"", "{", "}", "{}", "42", "{'descr'", "{'descr': }", "{'descr': '<i4'}",
        "{'descr': '<i4', 'descr': '<i4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': '<i4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1.5,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1 1)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (18446744073709551616,)}",
        "{'descr': '<i4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"})
    EXPECT_EQ(parseNpy(file(header, 4)).status().code(), ExitCode::MalformedInput) << header;
  auto good = file(kGood, 24);
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parseNpy(std::span(good).first(size)).ok());
  EXPECT_FALSE(parseNpy(file(kGood, 25)).ok());
}

TEST(Npy, RoundTrip) {
  std::string path = temporaryPath("a.npy");
  const float values[] = {1, 2, 3, 4, 5, 6};
  const int64_t shape[] = {3, 2};
  ASSERT_TRUE(writeNpy(path, format::DType::F32, shape, values).ok());
  auto back = readNpy(path);
  ASSERT_TRUE(back.ok()) << back.status().message();
  EXPECT_EQ(back->array.shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(std::memcmp(back->array.data.data(), values, sizeof values), 0);
  EXPECT_EQ((uintptr_t(back->array.data.data()) - uintptr_t(back->file.bytes().data())) % 64, 0u);
  const uint16_t brain[] = {0x3f80, 0xc000};
  const int64_t two[] = {2};
  ASSERT_TRUE(writeNpy(path, format::DType::BF16, two, brain).ok());
  auto widened = readNpy(path);
  ASSERT_TRUE(widened.ok());
  EXPECT_EQ(widened->array.type, ElementType::F32);
  float second;
  std::memcpy(&second, widened->array.data.data() + 4, 4);
  EXPECT_EQ(second, -2);
  ::unlink(path.c_str());
  EXPECT_FALSE(writeNpy("/no/such/folder/a.npy", format::DType::F32, two, values).ok());
  EXPECT_TRUE(writeNpy("/dev/null", format::DType::F32, two, values).ok());
  EXPECT_NE(::access("/dev/null", W_OK), -1);
}
