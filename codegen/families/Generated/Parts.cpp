//===- Parts.cpp - What of a kernel is independent of the rest --------------===//
#include "codegen/families/Generated/Parts.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "llvm/ADT/EquivalenceClasses.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

static bool computes(Operation *op) {
  return !op->hasTrait<OpTrait::ConstantLike>() && !isa<tensor::TensorDialect>(op->getDialect()) &&
         llvm::any_of(op->getResultTypes(), llvm::IsaPred<TensorType>);
}

/// For each output the number of its part.
static SmallVector<unsigned> numberParts(exec::KernelOp kernel) {
  llvm::EquivalenceClasses<Operation *> together;
  Block &body = kernel.getBody().front();
  auto connect = [&](Operation *reader, auto &&connect, Value value) -> void {
    Operation *producer = value.getDefiningOp();
    if (!producer)
      return;
    if (computes(producer))
      together.unionSets(reader, producer);
    else if (!isa<ShapedDimOpInterface>(producer))
      for (Value operand : producer->getOperands())
        connect(reader, connect, operand);
  };
  SmallVector<Operation *> roots;
  for (Operation &op : body.without_terminator()) {
    if (!computes(&op))
      continue;
    together.insert(&op);
    op.walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        connect(&op, connect, operand);
    });
  }
  SmallVector<unsigned> numbers;
  SmallVector<Operation *> leaders;
  for (Value output : body.getTerminator()->getOperands()) {
    Operation *op = output.getDefiningOp();
    while (op && !computes(op) && op->getNumOperands())
      op = op->getOperand(0).getDefiningOp();
    Operation *leader = op && computes(op) ? together.getLeaderValue(op) : nullptr;
    auto known = leader ? llvm::find(leaders, leader) : leaders.end();
    numbers.push_back(known - leaders.begin());
    if (known == leaders.end())
      leaders.push_back(leader);
  }
  return numbers;
}

/// Outputs that are not of part `number` go, then what nothing needs any more.
static KernelPart extractPart(exec::KernelOp whole, ArrayRef<unsigned> numbers, unsigned number) {
  KernelPart part;
  part.kernel = cast<exec::KernelOp>(whole->clone());
  exec::KernelOp kernel = *part.kernel;
  Block &body = kernel.getBody().front();
  Operation *yield = body.getTerminator();
  SmallVector<Attribute> inputs, outputs;
  SmallVector<int64_t> updates;
  SmallVector<unsigned> outputBuffers;
  unsigned buffer = whole.getNumInputs();
  llvm::BitVector dropped(yield->getNumOperands());
  for (auto [i, updated] : llvm::enumerate(whole.getUpdates())) {
    unsigned own = updated < 0 ? buffer++ : 0;
    if (numbers[i] != number) {
      dropped.set(i);
      continue;
    }
    outputs.push_back(whole.getOutputs()[i]);
    updates.push_back(updated);
    if (updated < 0)
      outputBuffers.push_back(own);
  }
  yield->eraseOperands(dropped);
  SmallVector<Operation *> ops;
  for (Operation &op : body.without_terminator())
    ops.push_back(&op);
  for (Operation *op : llvm::reverse(ops))
    if (op->use_empty() && isMemoryEffectFree(op))
      op->erase();
  SmallVector<int64_t> positions;
  for (unsigned i = 0; i < whole.getNumInputs(); ++i) {
    BlockArgument argument = body.getArgument(inputs.size());
    positions.push_back(inputs.size());
    if (argument.use_empty()) {
      body.eraseArgument(inputs.size());
      continue;
    }
    inputs.push_back(whole.getInputs()[i]);
    part.buffers.push_back(i);
  }
  for (int64_t &updated : updates)
    if (updated >= 0)
      updated = positions[updated];
  llvm::append_range(part.buffers, outputBuffers);
  Builder builder(kernel.getContext());
  kernel.setInputsAttr(builder.getArrayAttr(inputs));
  kernel.setOutputsAttr(builder.getArrayAttr(outputs));
  kernel.setUpdatesAttr(builder.getDenseI64ArrayAttr(updates));
  return part;
}

std::vector<KernelPart> codegen::splitParts(exec::KernelOp kernel) {
  SmallVector<unsigned> numbers = numberParts(kernel);
  unsigned count = numbers.empty() ? 0 : *llvm::max_element(numbers) + 1;
  std::vector<KernelPart> parts;
  for (unsigned number = 0; number < count; ++number)
    parts.push_back(extractPart(kernel, numbers, number));
  return parts;
}
