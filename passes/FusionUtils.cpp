//===- FusionUtils.cpp - What fusion passes share ---------------------------===//
#include "passes/FusionUtils.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;
using namespace ingot;
using transformer::RecipeOp;
using transformer::StepAttr;
using transformer::WeightOp;

bool ingot::readsOnlySizes(Operation *op) { return isa<ShapedDimOpInterface>(op); }

Operation *ingot::getOnlyReader(Value value) {
  Operation *reader = nullptr;
  for (Operation *user : value.getUsers()) {
    if (readsOnlySizes(user) || user == reader)
      continue;
    if (reader)
      return nullptr;
    reader = user;
  }
  return reader;
}

WeightOp ingot::getOwnWeight(Value value) {
  return value.hasOneUse() ? value.getDefiningOp<WeightOp>() : WeightOp();
}

WeightOp ingot::concatWeights(OpBuilder &builder, Location location, ArrayRef<WeightOp> weights) {
  MLIRContext *context = builder.getContext();
  SmallVector<Attribute> sources, steps;
  WeightOp first = weights.front();
  SmallVector<int64_t> shape(first.getType().getShape());
  shape[0] = 0;
  for (WeightOp weight : weights) {
    int64_t firstSource = sources.size();
    llvm::append_range(sources, weight.getSources());
    for (auto step : weight.getRecipe().getAsRange<StepAttr>()) {
      if (step.getOp() == RecipeOp::Load)
        step = StepAttr::get(context, RecipeOp::Load,
                             ArrayRef<int64_t>{step.getInts()[0] + firstSource});
      steps.push_back(step);
    }
    shape[0] += weight.getType().getDimSize(0);
  }
  int64_t count = weights.size();
  steps.push_back(StepAttr::get(context, RecipeOp::Concat, ArrayRef<int64_t>{0, count}));
  return WeightOp::create(builder, location,
                          RankedTensorType::get(shape, first.getType().getElementType()),
                          builder.getArrayAttr(sources), builder.getArrayAttr(steps));
}

WeightOp ingot::appendStep(OpBuilder &builder, WeightOp weight, StepAttr step,
                           RankedTensorType type) {
  SmallVector<Attribute> steps(weight.getRecipe().begin(), weight.getRecipe().end());
  steps.push_back(step);
  return WeightOp::create(builder, weight.getLoc(), type, weight.getSources(),
                          builder.getArrayAttr(steps));
}

Value ingot::sliceColumns(OpBuilder &builder, Location location, Value value, int64_t begin,
                          int64_t width) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, location, value);
  SmallVector<OpFoldResult> offsets(sizes.size(), builder.getIndexAttr(0));
  SmallVector<OpFoldResult> strides(sizes.size(), builder.getIndexAttr(1));
  offsets.back() = builder.getIndexAttr(begin);
  sizes.back() = builder.getIndexAttr(width);
  return tensor::ExtractSliceOp::create(builder, location, value, offsets, sizes, strides);
}

std::optional<int64_t> ingot::layerIn(Location loc) {
  std::optional<int64_t> layer;
  loc->walk([&](Location inner) {
    auto named = dyn_cast<NameLoc>(inner);
    if (!named)
      return WalkResult::advance();
    for (StringRef part : llvm::split(named.getName().getValue(), '.')) {
      int64_t number;
      if (!part.getAsInteger(10, number)) {
        layer = number;
        return WalkResult::interrupt();
      }
    }
    return WalkResult::advance();
  });
  return layer;
}

void ingot::remarkFused(Location location, StringRef category, const std::string &what) {
  remark::passed(location, remark::RemarkOpts::name("Fused").category(category))
      << "fused: " + what;
}

void ingot::remarkNotFused(Location location, StringRef category, const std::string &why) {
  remark::missed(location, remark::RemarkOpts::name("NotFused").category(category))
      << "not fused: " + why;
}
