//===- KernelFamily.cpp - What all kernel families share --------------------===//
#include "codegen/KernelFamily.h"

#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

KernelFamily::~KernelFamily() = default;

/// Adds to `inputs` the arguments that `value` is computed from, element by element. False if
/// something on the way isn't elementwise.
static bool collectElementwiseInputs(Value value, llvm::SmallSetVector<unsigned, 4> &inputs) {
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    inputs.insert(argument.getArgNumber());
    return true;
  }
  Operation *op = value.getDefiningOp();
  if (op->hasTrait<OpTrait::ConstantLike>())
    return true;
  if (!OpTrait::hasElementwiseMappableTraits(op))
    return false;
  return llvm::all_of(op->getOperands(),
                      [&](Value operand) { return collectElementwiseInputs(operand, inputs); });
}

SmallVector<SmallVector<int64_t>> codegen::elementwiseInPlaceInputs(exec::KernelOp kernel) {
  SmallVector<SmallVector<int64_t>> result;
  Operation *yield = kernel.getBody().front().getTerminator();
  // With several outputs, one that is written early could destroy what a later one reads.
  bool singleOutput = kernel.getNumOutputs() == 1;
  for (unsigned output : kernel.getOwnOutputs()) {
    SmallVector<int64_t> &shared = result.emplace_back();
    llvm::SmallSetVector<unsigned, 4> inputs;
    if (!singleOutput || !collectElementwiseInputs(yield->getOperand(output), inputs))
      continue;
    for (unsigned input : inputs)
      if (kernel.getInputType(input) == kernel.getOutputType(output))
        shared.push_back(input);
  }
  return result;
}
