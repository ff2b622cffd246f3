//===- Recipe.cpp - Static checks of recipes ------------------------------===//
#include "runtime/weights/Recipe.h"
#include "runtime/support/CheckedMath.h"

#include <charconv>
#include <cmath>

namespace ingot {
namespace {

std::string_view opName(RecipeOp op) {
  constexpr std::string_view names[kNumRecipeOps] = {
      "load", "cast", "reshape", "transpose", "slice", "concat", "pad", "add_scalar", "mul_scalar"};
  return unsigned(op) < kNumRecipeOps ? names[unsigned(op)] : "unknown";
}

std::string numberStr(double value) {
  char text[64];
  return std::string(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

/// Runs a recipe over types. Each function is given a step and says what is wrong with it.
class Inference {
public:
  explicit Inference(std::span<const TensorType> sources) : sources_(sources) {}

  Result<TensorType> run(std::span<const RecipeStep> recipe);

private:
  using Ints = const std::vector<int64_t> &;
  /// Empty where all is well, else "expected ..., got ...".
  using Problem = std::string;

  Problem step(const RecipeStep &step);
  Problem load(Ints ints);
  Problem cast(Ints ints);
  Problem reshape(Ints ints);
  Problem transpose(Ints ints);
  Problem slice(Ints ints);
  Problem concat(Ints ints);
  Problem pad(Ints ints);
  Problem arithmetic(double value);

  TensorType &top() { return stack_.back(); }
  Problem checkAxis(int64_t axis, size_t rank) const {
    return axis >= 0 && uint64_t(axis) < rank
               ? ""
               : "expected an axis of a value of rank " + std::to_string(rank) + ", got " +
                     std::to_string(axis);
  }

  std::span<const TensorType> sources_;
  std::vector<TensorType> stack_;
};

std::string Inference::step(const RecipeStep &step) {
  constexpr int kAny = -1;
  constexpr int numInts[kNumRecipeOps] = {1, 1, kAny, kAny, 3, 2, 2, 0, 0};
  if (unsigned(step.op) >= kNumRecipeOps)
    return "expected a known operation, got number " + std::to_string(unsigned(step.op));
  int expected = numInts[unsigned(step.op)];
  if (expected != kAny && step.ints.size() != size_t(expected))
    return "expected " + std::to_string(expected) + " integers, got " +
           std::to_string(step.ints.size());
  if (step.op != RecipeOp::Load && step.op != RecipeOp::Concat && stack_.empty())
    return "expected a value on the stack, got none";
  switch (step.op) {
  case RecipeOp::Load:
    return load(step.ints);
  case RecipeOp::Cast:
    return cast(step.ints);
  case RecipeOp::Reshape:
    return reshape(step.ints);
  case RecipeOp::Transpose:
    return transpose(step.ints);
  case RecipeOp::Slice:
    return slice(step.ints);
  case RecipeOp::Concat:
    return concat(step.ints);
  case RecipeOp::Pad:
    return pad(step.ints);
  case RecipeOp::AddScalar:
  case RecipeOp::MulScalar:
    return arithmetic(step.value);
  }
  return "";
}

std::string Inference::load(Ints ints) {
  if (ints[0] < 0 || uint64_t(ints[0]) >= sources_.size())
    return "expected one of the weight's " + std::to_string(sources_.size()) + " sources, got " +
           std::to_string(ints[0]);
  const TensorType &source = sources_[size_t(ints[0])];
  if (unsigned(source.elementType) >= kNumElementTypes)
    return "expected a source of a known element type, got number " +
           std::to_string(unsigned(source.elementType));
  if (source.shape.size() > kMaxRank)
    return "expected a source of rank " + std::to_string(kMaxRank) + " at most, got " +
           source.str();
  if (!numBytes(source))
    return "expected a source of less than 2^63 bytes, got " + source.str();
  stack_.push_back(source);
  return "";
}

std::string Inference::cast(Ints ints) {
  if (ints[0] < 0 || uint64_t(ints[0]) >= kNumPlanElementTypes)
    return "expected an element type from 0 to " + std::to_string(kNumPlanElementTypes - 1) +
           ", got " + std::to_string(ints[0]);
  top().elementType = ElementType(ints[0]);
  return "";
}

std::string Inference::reshape(Ints ints) {
  if (ints.size() > kMaxRank)
    return "expected a rank of at most " + std::to_string(kMaxRank) + ", got " +
           std::to_string(ints.size());
  std::optional<uint64_t> elements = numElements(ints);
  uint64_t expected = *numElements(top().shape);
  if (elements != expected)
    return "expected a shape of " + std::to_string(expected) + " elements for " + top().str() +
           ", got " + (elements ? std::to_string(*elements) : "no valid shape");
  top().shape = ints;
  return "";
}

std::string Inference::transpose(Ints ints) {
  size_t rank = top().shape.size();
  std::vector<bool> seen(rank, false);
  bool valid = ints.size() == rank;
  for (size_t i = 0; valid && i < rank; ++i) {
    valid = ints[i] >= 0 && uint64_t(ints[i]) < rank && !seen[size_t(ints[i])];
    if (valid)
      seen[size_t(ints[i])] = true;
  }
  if (!valid)
    return "expected a permutation of the " + std::to_string(rank) + " axes of " + top().str() +
           ", got " + shapeStr(ints);
  std::vector<int64_t> shape(rank);
  for (size_t i = 0; i < rank; ++i)
    shape[i] = top().shape[size_t(ints[i])];
  top().shape = std::move(shape);
  return "";
}

std::string Inference::slice(Ints ints) {
  if (Problem problem = checkAxis(ints[0], top().shape.size()); !problem.empty())
    return problem;
  int64_t &size = top().shape[size_t(ints[0])];
  if (ints[1] < 0 || ints[1] > ints[2] || ints[2] > size)
    return "expected 0 <= begin <= end <= " + std::to_string(size) + ", got [" +
           std::to_string(ints[1]) + ", " + std::to_string(ints[2]) + ")";
  size = ints[2] - ints[1];
  return "";
}

std::string Inference::concat(Ints ints) {
  if (ints[1] < 1 || uint64_t(ints[1]) > stack_.size())
    return "expected between 1 and " + std::to_string(stack_.size()) +
           " values (all on the stack), got " + std::to_string(ints[1]);
  size_t first = stack_.size() - size_t(ints[1]);
  TensorType result = stack_[first];
  if (Problem problem = checkAxis(ints[0], result.shape.size()); !problem.empty())
    return problem;
  size_t axis = size_t(ints[0]);
  for (size_t i = first + 1; i < stack_.size(); ++i) {
    const TensorType &value = stack_[i];
    TensorType expected = result;
    if (value.shape.size() == expected.shape.size())
      expected.shape[axis] = value.shape[axis];
    if (value.shape != expected.shape)
      return "expected values that differ in axis " + std::to_string(axis) + " only, got " +
             result.str() + " and " + value.str();
    if (value.elementType != result.elementType) {
      if (!isFloat(value.elementType) || !isFloat(result.elementType))
        return "expected values of one element type, got " + result.str() + " and " + value.str();
      // One type that holds them all but f64 exactly; f64 is what no model stores.
      result.elementType = ElementType::F32;
    }
    std::optional<int64_t> sum = checkedAdd<int64_t>(result.shape[axis], value.shape[axis]);
    if (!sum)
      return "expected a size of less than 2^63, got an overflow";
    result.shape[axis] = *sum;
  }
  stack_.resize(first);
  stack_.push_back(std::move(result));
  return "";
}

std::string Inference::pad(Ints ints) {
  if (Problem problem = checkAxis(ints[0], top().shape.size()); !problem.empty())
    return problem;
  int64_t &size = top().shape[size_t(ints[0])];
  if (ints[1] < size)
    return "expected a size of at least " + std::to_string(size) + ", got " +
           std::to_string(ints[1]);
  size = ints[1];
  return "";
}

std::string Inference::arithmetic(double value) {
  ElementType type = top().elementType;
  bool fits = type == ElementType::F32 || type == ElementType::F16 || type == ElementType::BF16 ||
              type == ElementType::F64;
  if (!fits)
    return "expected a floating-point value of 16 bits or more, got " + top().str() +
           "; cast it to f32 first";
  if (!std::isfinite(value))
    return "expected a finite number, got " + numberStr(value);
  return "";
}

Result<TensorType> Inference::run(std::span<const RecipeStep> recipe) {
  auto wrong = [](const std::string &message) {
    return Status(ExitCode::MalformedInput, "recipe: " + message);
  };
  if (recipe.size() > kMaxRecipeSteps)
    return wrong("expected at most " + std::to_string(kMaxRecipeSteps) + " steps, got " +
                 std::to_string(recipe.size()));
  for (size_t i = 0; i < recipe.size(); ++i) {
    Problem problem = step(recipe[i]);
    if (problem.empty() && !numBytes(top()))
      problem = "expected less than 2^63 bytes, got " + top().str();
    if (!problem.empty())
      return wrong("step " + std::to_string(i) + " (" + recipe[i].str() + "): " + problem);
  }
  if (stack_.size() != 1)
    return wrong("expected one value on the stack at the end, got " +
                 std::to_string(stack_.size()));
  return top();
}

} // namespace

std::string RecipeStep::str() const {
  std::string text(opName(op));
  if (op == RecipeOp::AddScalar || op == RecipeOp::MulScalar)
    return text + " " + numberStr(value);
  if (op == RecipeOp::Cast && ints.size() == 1 && ints[0] >= 0 &&
      uint64_t(ints[0]) < kNumPlanElementTypes)
    return text + " " + std::string(nameOf(ElementType(ints[0])));
  constexpr size_t shown = 16;
  if (ints.size() > shown)
    return text + " " + shapeStr(std::span(ints).first(shown)) + "...";
  return text + " " + shapeStr(ints);
}

std::string recipeStr(std::span<const RecipeStep> recipe) {
  std::string text;
  for (const RecipeStep &step : recipe)
    text += (text.empty() ? "" : "; ") + step.str();
  return text;
}

Result<TensorType> inferRecipe(std::span<const RecipeStep> recipe,
                               std::span<const TensorType> sources) {
  return Inference(sources).run(recipe);
}

Status checkRecipe(std::span<const RecipeStep> recipe, std::span<const TensorType> sources,
                   const TensorType &weight) {
  Result<TensorType> result = inferRecipe(recipe, sources);
  if (!result.ok())
    return result.status();
  bool converts = result->elementType == weight.elementType ||
                  (isFloat(result->elementType) && isFloat(weight.elementType));
  if (!isPlanType(weight.elementType))
    return Status(ExitCode::MalformedInput,
                  "recipe: expected a weight of f32, f16, bf16, i8, u8, i32, i64 or i1, got " +
                      std::string(nameOf(weight.elementType)));
  if (result->shape != weight.shape || !converts)
    return Status(ExitCode::MalformedInput, "recipe: expected a result that converts to " +
                                                weight.str() + ", got " + result->str());
  return Status();
}

} // namespace ingot
