//===- RecipeTest.cpp - Static checks of recipes --------------------------===//
#include "runtime/weights/Recipe.h"

#include <cmath>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

using namespace ingot;
using testing::HasSubstr;
using Step = RecipeStep;

namespace {

constexpr int64_t kHuge = int64_t(1) << 62;
const std::vector<TensorType> kSources = {
    {ElementType::BF16, {6, 4}}, {ElementType::F32, {6, 4}}, {ElementType::I32, {6, 4}},
    {ElementType::F32, {}},      {ElementType::F32, {0, 4}}, {ElementType::F8E4M3, {6, 4}}};

std::string typeOf(std::vector<Step> recipe) {
  Result<TensorType> type = inferRecipe(recipe, kSources);
  EXPECT_TRUE(type.ok()) << type.status().message();
  return type.ok() ? type->str() : "";
}

std::string errorOf(std::vector<Step> recipe) {
  Result<TensorType> type = inferRecipe(recipe, kSources);
  EXPECT_FALSE(type.ok()) << recipeStr(recipe);
  EXPECT_EQ(type.status().code(), ExitCode::MalformedInput);
  return type.status().message();
}

TEST(Recipe, Infers) {
  EXPECT_EQ(typeOf({Step::load(0)}), "bf16[6, 4]");
  EXPECT_EQ(typeOf({Step::load(0), Step::cast(ElementType::F32)}), "f32[6, 4]");
  EXPECT_EQ(typeOf({Step::load(0), Step::reshape({2, 3, 4})}), "bf16[2, 3, 4]");
  EXPECT_EQ(typeOf({Step::load(3), Step::reshape({1, 1})}), "f32[1, 1]");
  EXPECT_EQ(typeOf({Step::load(3), Step::transpose({})}), "f32[]");
  EXPECT_EQ(typeOf({Step::load(4), Step::reshape({7, 0})}), "f32[7, 0]");
  EXPECT_EQ(typeOf({Step::load(0), Step::reshape({1, 6, 4}), Step::transpose({2, 0, 1})}),
            "bf16[4, 1, 6]");
  EXPECT_EQ(typeOf({Step::load(0), Step::slice(0, 1, 3)}), "bf16[2, 4]");
  EXPECT_EQ(typeOf({Step::load(0), Step::slice(1, 4, 4)}), "bf16[6, 0]");
  EXPECT_EQ(typeOf({Step::load(1), Step::load(1), Step::concat(0, 2)}), "f32[12, 4]");
  EXPECT_EQ(typeOf({Step::load(0), Step::load(1), Step::concat(1, 2)}), "f32[6, 8]");
  EXPECT_EQ(typeOf({Step::load(2), Step::load(2), Step::load(2), Step::concat(0, 3)}),
            "i32[18, 4]");
  EXPECT_EQ(typeOf({Step::load(0), Step::concat(0, 1)}), "bf16[6, 4]");
  EXPECT_EQ(typeOf({Step::load(0), Step::pad(0, 8), Step::addScalar(1), Step::mulScalar(2)}),
            "bf16[8, 4]");
}

TEST(Recipe, ErrorsNameTheStep) {
  EXPECT_EQ(
      errorOf({Step::load(0), Step::reshape({5, 5})}),
      "recipe: step 1 (reshape [5, 5]): expected a shape of 24 elements for bf16[6, 4], got 25");
  EXPECT_EQ(recipeStr(std::vector<Step>{Step::load(0), Step::cast(ElementType::F32),
                                        Step::mulScalar(0.5)}),
            "load [0]; cast f32; mul_scalar 0.5");
}

TEST(Recipe, Stack) {
  EXPECT_THAT(errorOf({}), HasSubstr("one value on the stack at the end, got 0"));
  EXPECT_THAT(errorOf({Step::load(0), Step::load(0)}), HasSubstr("got 2"));
  for (const Step &step : {Step::cast(ElementType::F32), Step::reshape({1}), Step::transpose({0}),
                           Step::slice(0, 0, 1), Step::pad(0, 1), Step::addScalar(1)})
    EXPECT_THAT(errorOf({step}), HasSubstr("got none"));
  EXPECT_THAT(errorOf({Step::concat(0, 1)}), HasSubstr("concat"));
  EXPECT_THAT(errorOf({Step::load(0), Step::concat(0, 2)}), HasSubstr("between 1 and 1"));
}

TEST(Recipe, Operands) {
  for (int64_t index : {int64_t(-1), int64_t(6), INT64_MAX, INT64_MIN})
    EXPECT_THAT(errorOf({Step::load(index)}), HasSubstr("sources"));
  for (int64_t type : {int64_t(-1), int64_t(8), int64_t(256)})
    EXPECT_THAT(errorOf({Step::load(0), {RecipeOp::Cast, {type}}}), HasSubstr("element type"));
  for (RecipeOp op :
       {RecipeOp::Load, RecipeOp::Cast, RecipeOp::Slice, RecipeOp::Concat, RecipeOp::Pad})
    EXPECT_THAT(errorOf({Step::load(0), {op, {}}}), HasSubstr("integers, got 0"));
  EXPECT_THAT(errorOf({Step::load(0), {RecipeOp::AddScalar, {1}, 1.0}}), HasSubstr("0 integers"));
  EXPECT_THAT(errorOf({Step::load(0), {RecipeOp(99), {}}}), HasSubstr("number 99"));
  EXPECT_THAT(errorOf({Step::load(0), {RecipeOp(255), {}}}), HasSubstr("unknown"));
}

TEST(Recipe, Shapes) {
  for (std::vector<int64_t> shape : std::vector<std::vector<int64_t>>{
           {}, {24, 2}, {-24}, {-4, -6}, {kHuge, kHuge}, {0}, {1, 1, 1, 1, 1, 1, 1, 1, 24}})
    EXPECT_THAT(errorOf({Step::load(0), Step::reshape(shape)}), HasSubstr("expected a"));
  for (std::vector<int64_t> permutation : std::vector<std::vector<int64_t>>{
           {}, {0}, {0, 0}, {0, 2}, {-1, 0}, {0, 1, 2}, {1, 1}, {INT64_MAX, 0}})
    EXPECT_THAT(errorOf({Step::load(0), Step::transpose(permutation)}), HasSubstr("permutation"));
  for (Step step :
       {Step::slice(2, 0, 1), Step::slice(-1, 0, 1), Step::slice(0, -1, 1), Step::slice(0, 3, 2),
        Step::slice(0, 0, 7), Step::slice(0, INT64_MIN, INT64_MAX)})
    errorOf({Step::load(0), step});
  for (Step step : {Step::pad(2, 8), Step::pad(-1, 8), Step::pad(0, 5), Step::pad(0, -1),
                    Step::pad(0, kHuge), Step::pad(0, INT64_MAX)})
    errorOf({Step::load(0), step});
  EXPECT_THAT(errorOf({Step::load(3), Step::slice(0, 0, 1)}), HasSubstr("rank 0"));
}

TEST(Recipe, Concats) {
  EXPECT_THAT(errorOf({Step::load(0), Step::load(3), Step::concat(0, 2)}), HasSubstr("differ"));
  EXPECT_THAT(errorOf({Step::load(0), Step::load(0), Step::slice(1, 0, 1), Step::concat(0, 2)}),
              HasSubstr("differ in axis 0 only"));
  EXPECT_THAT(errorOf({Step::load(0), Step::load(2), Step::concat(0, 2)}),
              HasSubstr("one element type"));
  EXPECT_THAT(errorOf({Step::load(0), Step::load(0), Step::concat(2, 2)}), HasSubstr("axis"));
  EXPECT_THAT(errorOf({Step::load(0), Step::concat(0, 0)}), HasSubstr("between"));
  EXPECT_THAT(errorOf({Step::load(0), Step::concat(0, -1)}), HasSubstr("between"));
  // Sizes that fit alone and not together; the zero-sized axis hides no overflow.
  EXPECT_THAT(errorOf({Step::load(4), Step::pad(1, INT64_MAX), Step::load(4), Step::concat(1, 2)}),
              HasSubstr("overflow"));
}

TEST(Recipe, Arithmetic) {
  EXPECT_THAT(errorOf({Step::load(2), Step::addScalar(1)}), HasSubstr("cast it to f32 first"));
  EXPECT_THAT(errorOf({Step::load(5), Step::mulScalar(1)}), HasSubstr("16 bits"));
  EXPECT_THAT(errorOf({Step::load(0), Step::mulScalar(HUGE_VAL)}), HasSubstr("finite"));
  EXPECT_THAT(errorOf({Step::load(0), Step::addScalar(std::nan(""))}), HasSubstr("finite"));
}

TEST(Recipe, Limits) {
  std::vector<Step> many(kMaxRecipeSteps + 1, Step::load(0));
  EXPECT_THAT(errorOf(many), HasSubstr("at most 4096 steps"));
  std::vector<TensorType> deep = {{ElementType::F32, std::vector<int64_t>(9, 1)},
                                  {ElementType::F32, {kHuge, 8}},
                                  {ElementType::F32, {-1}},
                                  {ElementType(77), {1}}};
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_FALSE(inferRecipe(std::vector<Step>{Step::load(i)}, deep).ok());
}

TEST(Recipe, ResultMustConvert) {
  auto check = [](int64_t source, TensorType weight) {
    return checkRecipe(std::vector<Step>{Step::load(source)}, kSources, weight);
  };
  EXPECT_TRUE(check(0, {ElementType::F32, {6, 4}}).ok());
  EXPECT_TRUE(check(1, {ElementType::BF16, {6, 4}}).ok());
  EXPECT_TRUE(check(2, {ElementType::I32, {6, 4}}).ok());
  EXPECT_THAT(check(0, {ElementType::F32, {4, 6}}).message(),
              HasSubstr("expected a result that converts to f32[4, 6], got bf16[6, 4]"));
  EXPECT_FALSE(check(2, {ElementType::I64, {6, 4}}).ok());
  EXPECT_FALSE(check(2, {ElementType::F32, {6, 4}}).ok());
  EXPECT_FALSE(check(1, {ElementType::F64, {6, 4}}).ok());
}

} // namespace
