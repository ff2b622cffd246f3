//===- RecipeInvertTest.cpp - Checkpoint tensors back from weights --------===//
#include "runtime/weights/RecipeInvert.h"

#include <bit>
#include <cstring>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using testing::HasSubstr;
using Step = RecipeStep;

namespace {

struct Stored {
  TensorType type;
  std::vector<std::byte> bytes;
};

/// Every pattern of bits occurs in a large 16-bit tensor, NaNs and denormals too.
Stored patterned(ElementType type, std::vector<int64_t> shape, uint32_t first) {
  Stored tensor{{type, std::move(shape)}, {}};
  tensor.bytes.resize(*numBytes(tensor.type));
  uint64_t size = sizeOf(type);
  for (uint64_t i = 0; i * size < tensor.bytes.size(); ++i) {
    uint64_t bits = size == 2 ? first + i : std::bit_cast<uint32_t>(float(first) + float(i) / 8);
    std::memcpy(tensor.bytes.data() + i * size, &bits, size);
  }
  return tensor;
}

/// What `recipe` makes of the tensors, and them again out of that.
class Restored {
public:
  Restored(const std::vector<Step> &recipe, const std::vector<Stored> &tensors, TensorType weight)
      : tensors(tensors) {
    embedded.name = "w";
    embedded.type = weight;
    embedded.recipe = recipe;
    std::vector<SourceTensor> sources;
    for (size_t i = 0; i < tensors.size(); ++i) {
      sources.push_back({tensors[i].type, tensors[i].bytes.data()});
      embedded.tensors.push_back(i);
      embedded.sourceTypes.push_back(tensors[i].type);
    }
    bytes.resize(*numBytes(weight));
    Status status = executeRecipe(recipe, sources, weight, bytes);
    EXPECT_TRUE(status.ok()) << status.message();
    embedded.data = bytes.data();
  }

  Status restore(size_t tensor, std::vector<std::byte> &to) {
    const EmbeddedWeight *weights[] = {&embedded};
    to.assign(tensors[tensor].bytes.size(), std::byte(0x55));
    doubt.clear();
    return restoreTensor(tensor, tensors[tensor].type, weights, to, doubt);
  }

  void expectAll() {
    for (size_t i = 0; i < tensors.size(); ++i) {
      std::vector<std::byte> got;
      Status status = restore(i, got);
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(got, tensors[i].bytes) << recipeStr(embedded.recipe) << ", tensor " << i;
    }
  }

  std::string doubt;

private:
  std::vector<Stored> tensors;
  EmbeddedWeight embedded;
  std::vector<std::byte> bytes;
};

void expectRestored(const std::vector<Step> &recipe, const std::vector<Stored> &tensors,
                    TensorType weight) {
  Restored(recipe, tensors, weight).expectAll();
}

TEST(RecipeInvert, Layouts) {
  Stored a = patterned(ElementType::F32, {6, 4}, 1), b = patterned(ElementType::F32, {2, 4}, 100),
         c = patterned(ElementType::F32, {3, 4}, 200);
  expectRestored({Step::load(0)}, {a}, {ElementType::F32, {6, 4}});
  expectRestored({Step::load(0), Step::transpose({1, 0})}, {a}, {ElementType::F32, {4, 6}});
  // Query, key and value in one, in blocks of rows with a ragged end.
  expectRestored({Step::load(0), Step::load(1), Step::load(2), Step::concat(0, 3)}, {a, b, c},
                 {ElementType::F32, {11, 4}});
  expectRestored({Step::load(0), Step::load(1), Step::load(2), Step::concat(0, 3), Step::pad(0, 16),
                  Step::reshape({2, 8, 4}), Step::transpose({0, 2, 1})},
                 {a, b, c}, {ElementType::F32, {2, 4, 8}});
}

TEST(RecipeInvert, WidenedTypesKeepEveryBit) {
  for (ElementType type : {ElementType::F16, ElementType::BF16}) {
    expectRestored({Step::load(0)}, {patterned(type, {256, 256}, 0)},
                   {ElementType::F32, {256, 256}});
    expectRestored({Step::load(0), Step::load(1), Step::concat(0, 2)},
                   {patterned(type, {3, 8}, 0x3c00), patterned(type, {2, 8}, 0x4000)},
                   {ElementType::F32, {5, 8}});
  }
  // Each tensor in the type that it has.
  expectRestored(
      {Step::load(0), Step::load(1), Step::concat(0, 2)},
      {patterned(ElementType::BF16, {3, 8}, 0x3c00), patterned(ElementType::F32, {2, 8}, 7)},
      {ElementType::F32, {5, 8}});
}

TEST(RecipeInvert, FoldedPowersOfTwo) {
  for (double factor : {0.25, 8.0, -2.0}) {
    expectRestored({Step::load(0), Step::mulScalar(factor)},
                   {patterned(ElementType::F32, {6, 4}, 3)}, {ElementType::F32, {6, 4}});
    expectRestored({Step::load(0), Step::mulScalar(factor)},
                   {patterned(ElementType::BF16, {6, 4}, 0x3f80)}, {ElementType::F32, {6, 4}});
  }
}

TEST(RecipeInvert, WhatRoundsIsDoubted) {
  // Whether bytes are the original's is for a checksum to say; this says why they may not be.
  Restored rounded({Step::load(0)}, {patterned(ElementType::F32, {6, 4}, 3)},
                   {ElementType::BF16, {6, 4}});
  std::vector<std::byte> got;
  EXPECT_TRUE(rounded.restore(0, got).ok());
  EXPECT_THAT(rounded.doubt, HasSubstr("rounded to bf16"));
  Restored scaled({Step::load(0), Step::mulScalar(0.3)}, {patterned(ElementType::F32, {6, 4}, 3)},
                  {ElementType::F32, {6, 4}});
  EXPECT_TRUE(scaled.restore(0, got).ok());
  EXPECT_THAT(scaled.doubt, HasSubstr("multiplied by 0.3"));
}

TEST(RecipeInvert, MissingElementsAreRefused) {
  Restored part({Step::load(0), Step::slice(0, 0, 5)}, {patterned(ElementType::F32, {6, 4}, 3)},
                {ElementType::F32, {5, 4}});
  std::vector<std::byte> got;
  Status status = part.restore(0, got);
  EXPECT_EQ(status.code(), ExitCode::Unsupported);
  EXPECT_THAT(status.message(), HasSubstr("lack 4 of its elements"));
}

TEST(RecipeInvert, SeveralWeightsOfOneTensor) {
  // A table whose rows two weights share.
  Stored table = patterned(ElementType::F32, {6, 4}, 9);
  std::vector<std::byte> halves[2];
  EmbeddedWeight weights[2];
  for (int half : {0, 1}) {
    EmbeddedWeight &weight = weights[half];
    weight = {"half",
              {ElementType::F32, {3, 4}},
              {Step::load(0), Step::slice(0, 3 * half, 3 * half + 3)},
              {0},
              {table.type}};
    halves[half].resize(*numBytes(weight.type));
    std::vector<SourceTensor> sources{{table.type, table.bytes.data()}};
    ASSERT_TRUE(executeRecipe(weight.recipe, sources, weight.type, halves[half]).ok());
    weight.data = halves[half].data();
  }
  const EmbeddedWeight *both[] = {&weights[0], &weights[1]};
  std::vector<std::byte> got(table.bytes.size());
  std::string doubt;
  ASSERT_TRUE(restoreTensor(0, table.type, both, got, doubt).ok());
  EXPECT_EQ(got, table.bytes);
  EXPECT_EQ(doubt, "");
  EXPECT_FALSE(restoreTensor(0, table.type, std::span(both).first(1), got, doubt).ok());
}

} // namespace
