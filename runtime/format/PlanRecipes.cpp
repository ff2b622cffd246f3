//===- PlanRecipes.cpp ------------------------------------------*- C++ -*-===//
#include "runtime/format/PlanRecipes.h"

#include "runtime/support/Text.h"

namespace ingot {

// The weights library mirrors these enumerations and does not include the plan.
static_assert(unsigned(format::DType::MAX) + 1 == kNumPlanElementTypes &&
              unsigned(format::DType::I1) == unsigned(ElementType::I1) &&
              unsigned(format::DType::BF16) == unsigned(ElementType::BF16));
static_assert(unsigned(format::RecipeOp::MAX) + 1 == kNumRecipeOps &&
              unsigned(format::RecipeOp::MulScalar) == unsigned(RecipeOp::MulScalar) &&
              unsigned(format::RecipeOp::Slice) == unsigned(RecipeOp::Slice));
static_assert(unsigned(format::Init::Zeros) == unsigned(Init::Zeros) &&
              unsigned(format::Init::MAX) == unsigned(Init::Zeros));

Status tensorType(const std::string &where, format::DType dtype,
                  const flatbuffers::Vector<uint64_t> *shape, TensorType &type) {
  type.elementType = ElementType(dtype);
  type.shape.clear();
  for (unsigned i = 0; shape && i < shape->size(); ++i) {
    uint64_t dim = shape->Get(i);
    if (dim < 1 || dim > uint64_t(INT64_MAX))
      return Status(ExitCode::MalformedInput,
                    text("plan: ", where, ": expected dimensions from 1 to 2^63 - 1, got ", dim));
    type.shape.push_back(int64_t(dim));
  }
  if (type.shape.size() > kMaxRank || !numElements(type.shape))
    return Status(ExitCode::MalformedInput,
                  text("plan: ", where, ": expected a rank of at most ", kMaxRank,
                       " and elements that fit 63 bits, got ", type.str()));
  return {};
}

Result<std::vector<RecipeStep>> planRecipe(const std::string &where, const format::Weight &weight) {
  std::vector<RecipeStep> steps;
  for (unsigned i = 0; weight.recipe() && i < weight.recipe()->size(); ++i) {
    const format::RecipeStep &step = *weight.recipe()->Get(i);
    if (unsigned(step.op()) >= kNumRecipeOps)
      return Status(ExitCode::MalformedInput,
                    text("plan: ", where, ": recipe[", i, "]: expected an op below ", kNumRecipeOps,
                         ", got ", unsigned(step.op())));
    RecipeStep &out = steps.emplace_back();
    out.op = RecipeOp(step.op());
    if (step.ints())
      out.ints.assign(step.ints()->begin(), step.ints()->end());
    out.value = step.value();
  }
  return steps;
}

SourceSpec planSource(const format::Source &source) {
  SourceSpec spec;
  spec.name = source.name()->str();
  for (unsigned i = 0; source.aliases() && i < source.aliases()->size(); ++i)
    spec.aliases.push_back(source.aliases()->Get(i)->str());
  for (unsigned i = 0; source.shape() && i < source.shape()->size(); ++i)
    spec.shape.push_back(int64_t(source.shape()->Get(i)));
  spec.init = Init(source.init());
  spec.initStd = source.init_std();
  return spec;
}

} // namespace ingot
