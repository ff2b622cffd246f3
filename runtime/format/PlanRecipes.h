//===- PlanRecipes.h - Plan tables as the weights library's types -*- C++ -*-===//
#pragma once

#include "runtime/format/plan_generated.h"
#include "runtime/support/Status.h"
#include "runtime/weights/Recipe.h"
#include "runtime/weights/WeightSource.h"

#include <string>
#include <vector>

namespace ingot {

/// The type of a shape in the plan; MalformedInput (with `where`) where a dimension or the number
/// of elements is 0 or does not fit 63 bits.
Status tensorType(const std::string &where, format::DType dtype,
                  const flatbuffers::Vector<uint64_t> *shape, TensorType &type);

/// A weight's recipe; MalformedInput where a step's op is unknown.
Result<std::vector<RecipeStep>> planRecipe(const std::string &where, const format::Weight &weight);

/// A source of a validated plan.
SourceSpec planSource(const format::Source &source);

} // namespace ingot
