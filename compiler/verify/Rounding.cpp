//===- Rounding.cpp - How far rounding takes a program's results -----------===//

#include "compiler/verify/Rounding.h"

#include "dialects/Transformer/TransformerDialect.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace ingot::verify {

static bool isFloatTensor(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType>(type.getElementType());
}

/// Makes numbers out of numbers: no weight, no constant, nothing that only moves them.
static bool rounds(Operation &op) {
  return !isa<transformer::WeightOp>(op) && !isa<tensor::TensorDialect>(op.getDialect()) &&
         llvm::any_of(op.getResults(), isFloatTensor) &&
         llvm::any_of(op.getOperands(), isFloatTensor);
}

/// The most that any size of the module can be.
static int64_t largestSize(ModuleOp module) {
  int64_t largest = 1;
  auto sizes = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr);
  for (NamedAttribute entry : sizes ? sizes : DictionaryAttr::get(module.getContext()))
    if (auto bounds = dyn_cast<ArrayAttr>(entry.getValue()); bounds && bounds.size() == 2)
      if (auto most = dyn_cast<IntegerAttr>(bounds[1]))
        largest = std::max(largest, most.getInt());
  return largest;
}

RoundingDepth roundingDepthOf(func::FuncOp program) {
  if (!llvm::hasSingleElement(program.getBody()))
    return {};
  return roundingDepthOf(program.getBody().front(),
                         largestSize(program->getParentOfType<ModuleOp>()));
}

RoundingDepth roundingDepthOf(Block &block, int64_t dynamic) {
  RoundingDepth depth;
  llvm::DenseMap<Value, int64_t> depths;
  for (Operation &op : block) {
    int64_t deepest = 0;
    for (Value operand : op.getOperands())
      deepest = std::max(deepest, depths.lookup(operand));
    if (rounds(op)) {
      ++deepest;
      // Sums run along the last dimension of what an op reads, or one that it makes of a batch's
      // sizes.
      for (Value operand : op.getOperands())
        if (auto type = dyn_cast<RankedTensorType>(operand.getType());
            type && type.getRank() > 0 && isFloatTensor(operand))
          depth.terms = std::max(depth.terms, ShapedType::isDynamic(type.getShape().back())
                                                  ? dynamic
                                                  : type.getShape().back());
    }
    for (Value result : op.getResults())
      depths[result] = deepest;
    depth.ops = std::max(depth.ops, deepest);
  }
  return depth;
}

double expectedError(RoundingDepth depth) {
  constexpr double kUnit = 0x1p-24, kMost = 1e-4;
  return std::min(kMost, kUnit * double(depth.ops) * std::sqrt(double(depth.terms)));
}

} // namespace ingot::verify
