//===- ConvertTest.cpp ------------------------------------------*- C++ -*-===//
#include "runtime/exec/Convert.h"

#include <cmath>
#include <cstring>
#include <gtest/gtest.h>
#include <limits>

using namespace ingot;
using format::DType;

template <typename From, typename To>
static Status convert(DType to, ElementType from, std::vector<From> in, std::vector<To> &out,
                      IntegerRange range = {}) {
  out.resize(in.size());
  return convertElements(out.data(), to, range, in.data(), from, in.size());
}

TEST(Convert, Integers) {
  std::vector<int32_t> out;
  EXPECT_TRUE(convert<int64_t>(DType::I32, ElementType::I64, {1, -5, 7}, out, {-9, 9}).ok());
  EXPECT_EQ(out, (std::vector<int32_t>{1, -5, 7}));
  EXPECT_FALSE(convert<int64_t>(DType::I32, ElementType::I64, {1, 10}, out, {-9, 9}).ok());
  EXPECT_TRUE(convert<uint8_t>(DType::I32, ElementType::I1, {0, 1, 255}, out).ok());
  EXPECT_EQ(out, (std::vector<int32_t>{0, 1, 1}));
  EXPECT_FALSE(
      convert<uint64_t>(DType::I32, ElementType::U64, {UINT64_MAX}, out, {0, INT32_MAX}).ok());
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(convert<int16_t>(DType::U8, ElementType::I16, {0, 255}, bytes, {0, 255}).ok());
  EXPECT_FALSE(convert<int16_t>(DType::U8, ElementType::I16, {-1}, bytes, {0, 255}).ok());
}

TEST(Convert, PortRangeIsCutToTheType) {
  flatbuffers::FlatBufferBuilder builder;
  format::PortT table;
  table.name = "p";
  table.has_range = true;
  table.minimum = -1000;
  table.maximum = 100;
  builder.Finish(format::Port::Pack(builder, &table));
  const auto &port = *flatbuffers::GetRoot<format::Port>(builder.GetBufferPointer());
  EXPECT_EQ(portRange(DType::I8, port).minimum, -128);
  EXPECT_EQ(portRange(DType::I8, port).maximum, 100);
  EXPECT_EQ(portRange(DType::I1, port).maximum, 1);
}

TEST(Convert, FloatsRoundToNearestEven) {
  std::vector<uint16_t> half, back;
  std::vector<float> out;
  // Every finite half survives the way to float and back.
  std::vector<uint16_t> all;
  for (unsigned bits = 0; bits < 0x10000; ++bits)
    if ((bits & 0x7c00) != 0x7c00)
      all.push_back(uint16_t(bits));
  ASSERT_TRUE(convert(DType::F32, ElementType::F16, all, out).ok());
  ASSERT_TRUE(convert(DType::F16, ElementType::F32, out, back).ok());
  EXPECT_EQ(back, all);
  float inf = std::numeric_limits<float>::infinity();
  std::vector<float> in{65504,    65519,      65520,        1e30f,       -inf,
                        0x1p-25f, 0x1.8p-25f, 1 + 0x1p-11f, 1 + 0x3p-11f};
  ASSERT_TRUE(convert(DType::F16, ElementType::F32, in, half).ok());
  EXPECT_EQ(half,
            (std::vector<uint16_t>{0x7bff, 0x7bff, 0x7c00, 0x7c00, 0xfc00, 0, 1, 0x3c00, 0x3c02}));
  ASSERT_TRUE(
      convert<float>(DType::BF16, ElementType::F32, {1, 1 + 0x1p-8f, 1 + 0x3p-8f}, half).ok());
  EXPECT_EQ(half, (std::vector<uint16_t>{0x3f80, 0x3f80, 0x3f82}));
  ASSERT_TRUE(convert<float>(DType::F16, ElementType::F32, {NAN}, half).ok());
  EXPECT_EQ(half[0] & 0x7e00, 0x7e00);
  ASSERT_TRUE(convert<double>(DType::F32, ElementType::F64, {0.1}, out).ok());
  EXPECT_EQ(out[0], 0.1f);
}

TEST(Convert, MisalignedSources) {
  alignas(8) char bytes[17] = {};
  int64_t values[2] = {3, 4};
  std::memcpy(bytes + 1, values, 16);
  int32_t out[2];
  ASSERT_TRUE(convertElements(out, DType::I32, {}, bytes + 1, ElementType::I64, 2).ok());
  EXPECT_EQ(out[1], 4);
}

TEST(Convert, Fill) {
  int32_t integers[3];
  fillElements(integers, DType::I32, -7, 3);
  EXPECT_EQ(integers[2], -7);
  float floats[2];
  fillElements(floats, DType::F32, 3, 2);
  EXPECT_EQ(floats[1], 3);
}
