//===- KernelFamily.cpp - What all kernel families share --------------------===//
#include "codegen/KernelFamily.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/OpDefinition.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

KernelFamily::~KernelFamily() = default;

Result<std::vector<Selection>> KernelFamily::candidates(exec::KernelOp kernel,
                                                        const SelectContext &context) const {
  Result<Selection> selection = select(kernel, context);
  if (!selection.ok())
    return selection.status();
  std::vector<Selection> one;
  one.push_back(std::move(*selection));
  return one;
}

Sample KernelFamily::sample(exec::KernelOp kernel) const {
  Sample sample;
  for (auto symbol : kernel.getSizes().getAsRange<exec::SymbolAttr>())
    sample.sizes.push_back(symbol.getMaximum());
  return sample;
}

std::string codegen::nameOps(exec::KernelOp kernel) {
  llvm::SetVector<StringRef> names;
  Block &body = kernel.getBody().front();
  for (Operation &op : body.without_terminator()) {
    // How an op reads a weight says nothing of what the kernel does.
    bool isRounding = isa<arith::TruncFOp>(op) && isa<BlockArgument>(op.getOperand(0)) &&
                      !llvm::is_contained(op.getUsers(), body.getTerminator());
    if (!isa<tensor::TensorDialect, linalg::LinalgDialect>(op.getDialect()) &&
        !op.hasTrait<OpTrait::ConstantLike>() && !isRounding)
      names.insert(op.getName().stripDialect());
  }
  return llvm::join(names, ", ");
}

Status codegen::reportFormless(exec::KernelOp kernel, const std::string &reason) {
  return Status(ExitCode::Internal, "kernel @" + kernel.getSymName().str() +
                                        " was selected but has no form: " + reason);
}

void codegen::takeLayout(exec::KernelOp kernel, const WeightLayout &layout) {
  Block &body = kernel.getBody().front();
  BlockArgument argument = body.getArgument(layout.input);
  Type original = argument.getType();
  OpBuilder builder = OpBuilder::atBlockBegin(&body);
  argument.setType(layout.type);
  // Everything that used the argument uses what undoes the layout, which itself uses the argument.
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : argument.getUses())
    uses.push_back(&use);
  Value undone = layout.undo(builder, argument.getLoc(), argument);
  if (undone.getType() != original)
    undone = tensor::CastOp::create(builder, argument.getLoc(), original, undone);
  for (OpOperand *use : uses)
    use->set(undone);
}

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
