//===- WeightOps.cpp - Weights by name and recipe -------------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Recipes
//===----------------------------------------------------------------------===//

/// None if the count leaves 64 bits.
static std::optional<int64_t> countElements(ArrayRef<int64_t> shape) {
  std::optional<int64_t> count = 1;
  for (int64_t size : shape)
    count = count ? llvm::checkedMul(*count, size) : count;
  return count;
}

FailureOr<SmallVector<int64_t>> inferRecipeShape(ArrayRef<StepAttr> recipe,
                                                 ArrayRef<SmallVector<int64_t>> sourceShapes,
                                                 function_ref<InFlightDiagnostic()> emitError) {
  SmallVector<SmallVector<int64_t>> stack;
  for (auto [index, step] : llvm::enumerate(recipe)) {
    ArrayRef<int64_t> ints = step.getInts();
    auto error = [&, index = index, step = step]() {
      return emitError() << "step " << index << " (" << stringifyRecipeOp(step.getOp()) << ") ";
    };
    auto checkAxis = [&]() -> LogicalResult {
      if (ints[0] < static_cast<int64_t>(stack.back().size()))
        return success();
      return error() << "names axis " << ints[0] << " of a value of shape [" << stack.back() << "]";
    };
    if (step.getOp() != RecipeOp::Load && stack.empty())
      return error() << "finds an empty stack";
    switch (step.getOp()) {
    case RecipeOp::Load:
      if (ints[0] >= static_cast<int64_t>(sourceShapes.size()))
        return error() << "names source " << ints[0] << " of " << sourceShapes.size();
      stack.push_back(sourceShapes[ints[0]]);
      break;
    case RecipeOp::Cast:
    case RecipeOp::AddScalar:
    case RecipeOp::MulScalar:
      break;
    case RecipeOp::Reshape:
      if (!countElements(ints) || countElements(stack.back()) != countElements(ints))
        return error() << "cannot make [" << ints << "] of [" << stack.back() << "]";
      stack.back().assign(ints.begin(), ints.end());
      break;
    case RecipeOp::Transpose: {
      SmallVector<int64_t> &top = stack.back();
      if (ints.size() != top.size())
        return error() << "permutes " << ints.size() << " axes of a value of shape [" << top << "]";
      SmallVector<int64_t> result;
      for (int64_t axis : ints)
        result.push_back(top[axis]);
      top = std::move(result);
      break;
    }
    case RecipeOp::Slice:
      if (failed(checkAxis()))
        return failure();
      if (ints[2] > stack.back()[ints[0]])
        return error() << "ends at " << ints[2] << " on an axis of size " << stack.back()[ints[0]];
      stack.back()[ints[0]] = ints[2] - ints[1];
      break;
    case RecipeOp::Concat: {
      if (ints[1] > static_cast<int64_t>(stack.size()))
        return error() << "takes " << ints[1] << " values and finds " << stack.size();
      if (failed(checkAxis()))
        return failure();
      SmallVector<int64_t> result = stack.pop_back_val();
      for (int64_t i = 1; i < ints[1]; ++i) {
        SmallVector<int64_t> next = stack.pop_back_val();
        bool fits = next.size() == result.size();
        for (size_t axis = 0; fits && axis < next.size(); ++axis)
          fits = static_cast<int64_t>(axis) == ints[0] || next[axis] == result[axis];
        if (!fits)
          return error() << "cannot join [" << next << "] and [" << result << "] along axis "
                         << ints[0];
        std::optional<int64_t> joined = llvm::checkedAdd(result[ints[0]], next[ints[0]]);
        if (!joined)
          return error() << "makes an axis longer than 64 bits can say";
        result[ints[0]] = *joined;
      }
      stack.push_back(std::move(result));
      break;
    }
    case RecipeOp::Pad:
      if (failed(checkAxis()))
        return failure();
      if (ints[1] < stack.back()[ints[0]])
        return error() << "to " << ints[1] << " on an axis of size " << stack.back()[ints[0]];
      stack.back()[ints[0]] = ints[1];
      break;
    }
  }
  if (stack.size() != 1)
    return emitError() << "the recipe must leave one value, got " << stack.size();
  return stack.front();
}

/// C3 without shapes: the number of values on the stack.
static LogicalResult checkStack(WeightOp op) {
  int64_t depth = 0;
  for (auto [index, step] : llvm::enumerate(op.getRecipe().getAsRange<StepAttr>())) {
    int64_t takes = step.getOp() == RecipeOp::Load     ? 0
                    : step.getOp() == RecipeOp::Concat ? step.getInts()[1]
                                                       : 1;
    if (takes > depth)
      return op.emitOpError() << "C3: step " << index << " (" << stringifyRecipeOp(step.getOp())
                              << ") takes " << takes << " values and finds " << depth;
    depth += 1 - takes;
  }
  if (depth == 1)
    return success();
  return op.emitOpError() << "C3: the recipe must leave one value, got " << depth;
}

//===----------------------------------------------------------------------===//
// transformer.weight
//===----------------------------------------------------------------------===//

LogicalResult WeightOp::verify() {
  // C1
  if (getSources().empty())
    return emitOpError("C1: needs at least one source");
  if (llvm::any_of(getSources().getAsRange<StringAttr>(), [](StringAttr s) { return s.empty(); }))
    return emitOpError("C1: a source has an empty name");
  // C2
  int64_t numSources = getSources().size();
  for (auto step : getRecipe().getAsRange<StepAttr>())
    if (step.getOp() == RecipeOp::Load && step.getInts()[0] >= numSources)
      return emitOpError() << "C2: load names source " << step.getInts()[0] << " of " << numSources;
  // C3
  if (failed(checkStack(*this)))
    return failure();

  auto module = (*this)->getParentOfType<ModuleOp>();
  auto table = module ? module->getAttrOfType<DictionaryAttr>(kSourcesAttr) : DictionaryAttr();
  if (!table)
    return success();
  // C4
  SmallVector<SmallVector<int64_t>> shapes;
  for (auto source : getSources().getAsRange<StringAttr>()) {
    auto entry = table.getAs<DictionaryAttr>(source);
    auto shape = entry ? entry.getAs<ArrayAttr>("shape") : ArrayAttr();
    if (!shape)
      return emitOpError() << "C4: source " << source << " is not in the module's " << kSourcesAttr;
    SmallVector<int64_t> &sizes = shapes.emplace_back();
    for (Attribute size : shape)
      sizes.push_back(isa<IntegerAttr>(size) ? cast<IntegerAttr>(size).getInt() : 0);
  }
  // C5
  SmallVector<StepAttr> steps(getRecipe().getAsRange<StepAttr>());
  FailureOr<SmallVector<int64_t>> shape =
      inferRecipeShape(steps, shapes, [&]() { return emitOpError() << "C5: "; });
  if (failed(shape))
    return failure();
  ArrayRef<int64_t> expected = getType().getShape();
  if (ArrayRef<int64_t>(*shape) != expected)
    return emitOpError() << "C5: the recipe must give the result's shape: expected [" << expected
                         << "], got [" << *shape << "]";
  return success();
}

void WeightOp::build(OpBuilder &builder, OperationState &state, RankedTensorType type,
                     StringRef source) {
  Attribute load = StepAttr::get(builder.getContext(), RecipeOp::Load, ArrayRef<int64_t>{0});
  build(builder, state, type, builder.getStrArrayAttr({source}), builder.getArrayAttr({load}));
}

LogicalResult WeightOp::reifyResultShapes(OpBuilder &builder, ReifiedRankedShapedTypeDims &shapes) {
  shapes.push_back(getAsIndexOpFoldResult(builder.getContext(), getType().getShape()));
  return success();
}

} // namespace ingot::transformer
