//===- RecipeExecuteTest.cpp - Recipes against a naive interpreter --------===//
#include "runtime/weights/Convert.h"
#include "runtime/weights/Recipe.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

using namespace ingot;
using testing::HasSubstr;
using Step = RecipeStep;

namespace {

/// A tensor of f32 computed step by step, element by element.
struct Naive {
  std::vector<int64_t> shape;
  std::vector<float> data;

  float &at(const std::vector<int64_t> &index) {
    int64_t flat = 0;
    for (size_t i = 0; i < shape.size(); ++i)
      flat = flat * shape[i] + index[i];
    return data[size_t(flat)];
  }
  template <typename Body> static void forEach(const std::vector<int64_t> &shape, Body body) {
    std::vector<int64_t> index(shape.size(), 0);
    for (uint64_t left = *numElements(shape); left > 0; --left) {
      body(index);
      for (size_t i = shape.size(); i-- > 0;) {
        if (++index[i] < shape[i])
          break;
        index[i] = 0;
      }
    }
  }
  /// Element `index` is that of `from` at `map(index)`, or zero where that is outside.
  template <typename Map> static Naive mapped(Naive from, std::vector<int64_t> shape, Map map) {
    Naive result{shape, std::vector<float>(*numElements(shape))};
    forEach(shape, [&](const std::vector<int64_t> &index) {
      std::vector<int64_t> source = map(index);
      bool inside = true;
      for (size_t i = 0; i < source.size(); ++i)
        inside &= source[i] >= 0 && source[i] < from.shape[i];
      result.at(index) = inside ? from.at(source) : 0;
    });
    return result;
  }
};

Naive interpret(const std::vector<Step> &recipe, const std::vector<Naive> &sources) {
  std::vector<Naive> stack;
  for (const Step &step : recipe) {
    const std::vector<int64_t> &ints = step.ints;
    if (step.op == RecipeOp::Load) {
      stack.push_back(sources[size_t(ints[0])]);
      continue;
    }
    if (step.op == RecipeOp::Concat) {
      size_t first = stack.size() - size_t(ints[1]), axis = size_t(ints[0]);
      Naive sum = stack[first];
      for (size_t i = first + 1; i < stack.size(); ++i) {
        Naive next = stack[i], before = sum;
        std::vector<int64_t> shape = sum.shape;
        shape[axis] += next.shape[axis];
        sum = Naive::mapped(before, shape, [](auto index) { return index; });
        Naive::forEach(next.shape, [&](std::vector<int64_t> index) {
          float value = next.at(index);
          index[axis] += before.shape[axis];
          sum.at(index) = value;
        });
      }
      stack.resize(first);
      stack.push_back(sum);
      continue;
    }
    Naive &top = stack.back();
    std::vector<int64_t> shape = top.shape;
    switch (step.op) {
    case RecipeOp::Reshape:
      top.shape = ints;
      break;
    case RecipeOp::Transpose:
      for (size_t i = 0; i < ints.size(); ++i)
        shape[i] = top.shape[size_t(ints[i])];
      top = Naive::mapped(top, shape, [&](const std::vector<int64_t> &index) {
        std::vector<int64_t> source(index.size());
        for (size_t i = 0; i < ints.size(); ++i)
          source[size_t(ints[i])] = index[i];
        return source;
      });
      break;
    case RecipeOp::Slice:
      shape[size_t(ints[0])] = ints[2] - ints[1];
      top = Naive::mapped(top, shape, [&](std::vector<int64_t> index) {
        index[size_t(ints[0])] += ints[1];
        return index;
      });
      break;
    case RecipeOp::Pad:
      shape[size_t(ints[0])] = ints[1];
      top = Naive::mapped(top, shape, [](auto index) { return index; });
      break;
    case RecipeOp::AddScalar:
      for (float &value : top.data)
        value += float(step.value);
      break;
    case RecipeOp::MulScalar:
      for (float &value : top.data)
        value *= float(step.value);
      break;
    default:
      break;
    }
  }
  return stack.back();
}

Naive counting(std::vector<int64_t> shape, float first = 1) {
  Naive tensor{shape, std::vector<float>(*numElements(shape))};
  for (size_t i = 0; i < tensor.data.size(); ++i)
    tensor.data[i] = first + float(i);
  return tensor;
}

SourceTensor sourceOf(const Naive &tensor) {
  return {{ElementType::F32, tensor.shape},
          reinterpret_cast<const std::byte *>(tensor.data.data())};
}

template <typename T>
std::vector<T> execute(const std::vector<Step> &recipe, const std::vector<SourceTensor> &sources,
                       const TensorType &weight, RecipeOptions options = {}) {
  std::vector<T> result(*numElements(weight.shape), T(77));
  Status status =
      executeRecipe(recipe, sources, weight, std::as_writable_bytes(std::span(result)), options);
  EXPECT_TRUE(status.ok()) << status.message();
  return result;
}

void expectAsNaive(const std::vector<Step> &recipe, const std::vector<Naive> &tensors) {
  std::vector<SourceTensor> sources;
  for (const Naive &tensor : tensors)
    sources.push_back(sourceOf(tensor));
  Naive expected = interpret(recipe, tensors);
  EXPECT_EQ(execute<float>(recipe, sources, {ElementType::F32, expected.shape}), expected.data)
      << recipeStr(recipe);
}

TEST(RecipeExecute, Steps) {
  Naive a = counting({6, 4}), b = counting({6, 4}, 100);
  expectAsNaive({Step::load(0)}, {a});
  expectAsNaive({Step::load(0), Step::transpose({1, 0})}, {a});
  expectAsNaive({Step::load(0), Step::slice(0, 2, 5), Step::slice(1, 1, 2)}, {a});
  expectAsNaive({Step::load(0), Step::load(1), Step::concat(1, 2)}, {a, b});
  expectAsNaive({Step::load(0), Step::pad(0, 9), Step::pad(1, 5)}, {a});
  expectAsNaive({Step::load(0), Step::pad(1, 5), Step::addScalar(3), Step::mulScalar(-2)}, {a});
  expectAsNaive({Step::load(0), Step::reshape({2, 3, 2, 2}), Step::transpose({2, 0, 3, 1})}, {a});
  // A reshape of a transposed value cannot be a view.
  expectAsNaive({Step::load(0), Step::transpose({1, 0}), Step::reshape({24})}, {a});
  expectAsNaive({Step::load(0), Step::slice(1, 0, 3), Step::reshape({9, 2})}, {a});
  expectAsNaive({Step::load(0), Step::reshape({})}, {counting({1})});
}

TEST(RecipeExecute, BlockedLayout) {
  // [N, K] to [N / n0, K, n0] with a ragged last block.
  for (int64_t rows : {1, 15, 16, 17, 100, 128})
    for (int64_t columns : {1, 3, 64, 130}) {
      int64_t padded = (rows + 15) / 16 * 16;
      expectAsNaive({Step::load(0), Step::pad(0, padded), Step::reshape({padded / 16, 16, columns}),
                     Step::transpose({0, 2, 1})},
                    {counting({rows, columns})});
    }
}

TEST(RecipeExecute, LargeTransposes) {
  expectAsNaive({Step::load(0), Step::transpose({1, 0})}, {counting({700, 65})});
  expectAsNaive({Step::load(0), Step::transpose({2, 1, 0})}, {counting({5, 70, 129})});
  expectAsNaive({Step::load(0), Step::transpose({1, 0}), Step::pad(0, 600)}, {counting({3, 550})});
}

TEST(RecipeExecute, LayoutsNeedNoTemporaryMemory) {
  Naive a = counting({100, 8});
  std::vector<Step> recipe = {Step::load(0),
                              Step::load(0),
                              Step::concat(0, 2),
                              Step::pad(0, 208),
                              Step::reshape({13, 16, 8}),
                              Step::transpose({0, 2, 1})};
  execute<float>(recipe, {sourceOf(a)}, {ElementType::F32, {13, 8, 16}}, {.maxTemporaryBytes = 0});
  // One that does need it says how much.
  recipe = {Step::load(0), Step::transpose({1, 0}), Step::reshape({800})};
  std::vector<float> result(800);
  Status status =
      executeRecipe(recipe, std::vector{sourceOf(a)}, {ElementType::F32, {800}},
                    std::as_writable_bytes(std::span(result)), {.maxTemporaryBytes = 3199});
  EXPECT_EQ(status.code(), ExitCode::OutOfResources);
  EXPECT_THAT(status.message(), HasSubstr("step 2 (reshape [800]): expected at most 3199 bytes"));
  execute<float>(recipe, {sourceOf(a)}, {ElementType::F32, {800}}, {.maxTemporaryBytes = 3200});
}

TEST(RecipeExecute, RandomRecipes) {
  std::mt19937 random(3);
  auto below = [&](int64_t bound) { return int64_t(random() % uint64_t(bound)); };
  for (int round = 0; round < 4000; ++round) {
    std::vector<int64_t> shape;
    for (int64_t rank = below(4); rank >= 0; --rank)
      shape.push_back(1 + below(6));
    std::vector<Naive> tensors = {counting(shape), counting(shape, 1000)};
    std::vector<Step> recipe = {Step::load(0)};
    for (int64_t length = below(8); length > 0; --length) {
      size_t rank = shape.size();
      size_t axis = rank ? size_t(below(int64_t(rank))) : 0;
      switch (rank ? below(7) : 0) {
      case 0: { // factors in random groups
        int64_t left = int64_t(*numElements(shape));
        if (left == 0)
          break;
        std::vector<int64_t> dims;
        while (left > 1 && dims.size() < 6) {
          int64_t factor = 1 + below(left);
          while (left % factor)
            --factor;
          dims.push_back(factor);
          left /= factor;
        }
        dims.push_back(left);
        shape = dims;
        recipe.push_back(Step::reshape(dims));
        break;
      }
      case 1: {
        std::vector<int64_t> permutation(rank), next(rank);
        for (size_t i = 0; i < rank; ++i)
          permutation[i] = int64_t(i);
        std::shuffle(permutation.begin(), permutation.end(), random);
        for (size_t i = 0; i < rank; ++i)
          next[i] = shape[size_t(permutation[i])];
        shape = next;
        recipe.push_back(Step::transpose(permutation));
        break;
      }
      case 2: {
        int64_t begin = below(shape[axis] + 1), end = begin + below(shape[axis] - begin + 1);
        shape[axis] = end - begin;
        recipe.push_back(Step::slice(int64_t(axis), begin, end));
        break;
      }
      case 3:
        shape[axis] += below(4);
        recipe.push_back(Step::pad(int64_t(axis), shape[axis]));
        break;
      case 4: { // with the other tensor, brought into the same shape
        std::vector<Step> other(recipe);
        for (Step &step : other)
          if (step.op == RecipeOp::Load)
            step.ints[0] ^= 1;
        recipe.insert(recipe.end(), other.begin(), other.end());
        recipe.push_back(Step::concat(int64_t(axis), 2));
        shape[axis] *= 2;
        break;
      }
      case 5:
        recipe.push_back(Step::addScalar(double(below(9))));
        break;
      default:
        recipe.push_back(Step::mulScalar(double(1 + below(3))));
        break;
      }
      if (*numElements(shape) > 20000 || recipe.size() > 200)
        break;
    }
    expectAsNaive(recipe, tensors);
    if (testing::Test::HasFailure())
      return;
  }
}

TEST(RecipeExecute, Types) {
  std::vector<uint16_t> bf16 = {0x3f80, 0xc000, 0x4040};
  SourceTensor source{{ElementType::BF16, {3}}, reinterpret_cast<std::byte *>(bf16.data())};
  using F = std::vector<float>;
  EXPECT_EQ(execute<float>({Step::load(0)}, {source}, {ElementType::F32, {3}}), (F{1, -2, 3}));
  EXPECT_EQ(execute<float>({Step::load(0), Step::cast(ElementType::F32)}, {source},
                           {ElementType::F32, {3}}),
            (F{1, -2, 3}));
  EXPECT_EQ(execute<uint16_t>({Step::load(0)}, {source}, {ElementType::BF16, {3}}), bf16);
  EXPECT_EQ(execute<uint16_t>({Step::load(0)}, {source}, {ElementType::F16, {3}}),
            (std::vector<uint16_t>{0x3c00, 0xc000, 0x4200}));
  EXPECT_EQ(execute<int32_t>({Step::load(0), Step::cast(ElementType::I32)}, {source},
                             {ElementType::I32, {3}}),
            (std::vector<int32_t>{1, -2, 3}));
  std::vector<double> f64 = {0.5, 1e-3};
  SourceTensor wide{{ElementType::F64, {2}}, reinterpret_cast<std::byte *>(f64.data())};
  EXPECT_EQ(execute<float>({Step::load(0), Step::load(1), Step::concat(0, 2), Step::pad(0, 6)},
                           {wide, source}, {ElementType::F32, {6}}),
            (F{0.5f, 1e-3f, 1, -2, 3, 0}));
  std::vector<int64_t> ids = {1, -1, 1ll << 40};
  SourceTensor integers{{ElementType::I64, {3}}, reinterpret_cast<std::byte *>(ids.data())};
  EXPECT_EQ(execute<int64_t>({Step::load(0), Step::pad(0, 4)}, {integers}, {ElementType::I64, {4}}),
            (std::vector<int64_t>{1, -1, 1ll << 40, 0}));
  EXPECT_EQ(execute<int8_t>({Step::load(0), Step::cast(ElementType::I8)}, {integers},
                            {ElementType::I8, {3}}),
            (std::vector<int8_t>{1, -1, 127}));
  // A type that only checkpoints have, copied by a reshape on the way.
  std::vector<int16_t> shorts = {1, 2, 3, 4, 5, 6};
  SourceTensor narrow{{ElementType::I16, {2, 3}}, reinterpret_cast<std::byte *>(shorts.data())};
  EXPECT_EQ(execute<int32_t>({Step::load(0), Step::transpose({1, 0}), Step::reshape({6}),
                              Step::cast(ElementType::I32)},
                             {narrow}, {ElementType::I32, {6}}),
            (std::vector<int32_t>{1, 4, 2, 5, 3, 6}));
}

TEST(RecipeExecute, EmptyTensors) {
  SourceTensor empty{{ElementType::F32, {0, int64_t(1) << 40}}, nullptr};
  execute<float>({Step::load(0)}, {empty}, empty.type);
  EXPECT_EQ(execute<float>({Step::load(0), Step::slice(1, 0, 2), Step::pad(0, 1)}, {empty},
                           {ElementType::F32, {1, 2}}),
            (std::vector<float>{0, 0}));
  execute<float>({Step::load(0), Step::reshape({3, 0, INT64_MAX}), Step::transpose({2, 0, 1})},
                 {empty}, {ElementType::F32, {INT64_MAX, 3, 0}});
}

TEST(RecipeExecute, HugeIntermediateValuesCostNothing) {
  Naive a = counting({4, 4});
  int64_t huge = int64_t(1) << 56;
  EXPECT_EQ(execute<float>({Step::load(0), Step::pad(0, huge), Step::slice(0, 3, 5)}, {sourceOf(a)},
                           {ElementType::F32, {2, 4}}),
            (std::vector<float>{13, 14, 15, 16, 0, 0, 0, 0}));
  std::vector<float> result(4);
  Status status = executeRecipe(
      std::vector<Step>{Step::load(0), Step::pad(0, huge), Step::transpose({1, 0}),
                        Step::reshape({4 * huge}), Step::slice(0, 0, 4)},
      std::vector{sourceOf(a)}, {ElementType::F32, {4}}, std::as_writable_bytes(std::span(result)));
  EXPECT_EQ(status.code(), ExitCode::OutOfResources);
}

TEST(RecipeExecute, RefusesWrongDestinationsAndSources) {
  Naive a = counting({4});
  std::vector<float> result(5);
  auto bytes = std::as_writable_bytes(std::span(result));
  std::vector<Step> recipe = {Step::load(0)};
  EXPECT_EQ(executeRecipe(recipe, std::vector{sourceOf(a)}, {ElementType::F32, {4}}, bytes).code(),
            ExitCode::Internal);
  EXPECT_EQ(executeRecipe(recipe, std::vector{sourceOf(a)}, {ElementType::F32, {5}}, bytes).code(),
            ExitCode::MalformedInput);
  SourceTensor none{{ElementType::F32, {5}}, nullptr};
  EXPECT_EQ(executeRecipe(recipe, std::vector{none}, {ElementType::F32, {5}}, bytes).code(),
            ExitCode::Internal);
}

TEST(RecipeExecute, RandomSourcesAreViewsToo) {
  RandomFill fill(5, "w", Init::Normal, 1);
  SourceTensor source{{ElementType::F32, {70, 9}}, nullptr, fill};
  Naive materialized{{70, 9}, std::vector<float>(630)};
  fill.fill(materialized.data.data(), 0, 1, 630);
  for (const std::vector<Step> &recipe :
       std::vector<std::vector<Step>>{{Step::load(0)},
                                      {Step::load(0), Step::transpose({1, 0})},
                                      {Step::load(0), Step::pad(0, 80), Step::reshape({5, 16, 9}),
                                       Step::transpose({0, 2, 1})}}) {
    Naive expected = interpret(recipe, {materialized});
    EXPECT_EQ(execute<float>(recipe, {source}, {ElementType::F32, expected.shape}), expected.data);
  }
}

} // namespace
