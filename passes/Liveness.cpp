//===- Liveness.cpp - When the bytes of a program's buffers are needed ------===//
#include "passes/Liveness.h"

using namespace mlir;
using namespace ingot;

SmallVector<BufferUse> Liveness::getUses(Operation *step) {
  SmallVector<BufferUse> uses;
  if (auto copy = dyn_cast<exec::CopyOp>(step)) {
    uses.push_back({exec::getBufferRoot(copy.getSource()), true, false});
    uses.push_back({exec::getBufferRoot(copy.getTarget()), false, true});
    return uses;
  }
  if (auto read = dyn_cast<exec::ReadSizeOp>(step)) {
    uses.push_back({exec::getBufferRoot(read.getBuffer()), true, false});
    return uses;
  }
  auto launch = cast<exec::LaunchOp>(step);
  auto kernel =
      SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
  SmallVector<bool> written = kernel.getWrittenBuffers();
  for (auto [i, operand] : llvm::enumerate(launch.getOperands()))
    uses.push_back({exec::getBufferRoot(operand), i < launch.getIns().size(), written[i]});
  return uses;
}

Liveness::Liveness(exec::ProgramOp program) {
  // A root lives from the first step that uses it; an input from before the first step.
  Block &body = program.getBody().front();
  llvm::DenseMap<Operation *, Lifetime> found;
  llvm::DenseMap<StringAttr, Operation *> sizeRoots; // what the sizes were read from
  SmallVector<Operation *> roots;
  for (Operation &op : body) {
    if (isa<exec::InputOp, exec::BufferOp>(op))
      roots.push_back(&op);
    if (isa<exec::InputOp>(op))
      found[&op] = {&op, -1, -1};
    if (!isa<exec::LaunchOp, exec::CopyOp, exec::ReadSizeOp>(op))
      continue;
    int64_t step = steps.size();
    steps.push_back(&op);
    for (const BufferUse &use : getUses(&op)) {
      Lifetime &lifetime =
          found.try_emplace(use.root, Lifetime{use.root, step, step}).first->second;
      lifetime.last = step;
    }
    // Kernels may read a size where it came from, as long as there are launches that need it.
    if (auto read = dyn_cast<exec::ReadSizeOp>(op))
      sizeRoots[read.getSymbolAttr()] = exec::getBufferRoot(read.getBuffer());
    if (auto launch = dyn_cast<exec::LaunchOp>(op))
      for (auto size : launch.getSizes().getAsRange<exec::SizeAttr>())
        for (StringAttr symbol : size.getSymbols())
          if (Operation *root = sizeRoots.lookup(symbol))
            found[root].last = step;
  }
  // An output lives to the end.
  for (auto output : body.getOps<exec::OutputOp>()) {
    Operation *root = exec::getBufferRoot(output.getBuffer());
    int64_t end = steps.size();
    found.try_emplace(root, Lifetime{root, end, end}).first->second.last = end;
  }
  for (Operation *root : roots) {
    auto lifetime = found.find(root);
    if (lifetime == found.end())
      continue;
    indices[root] = lifetimes.size();
    lifetimes.push_back(lifetime->second);
  }
}

const Lifetime *Liveness::lookup(Operation *root) const {
  auto it = indices.find(root);
  return it == indices.end() ? nullptr : &lifetimes[it->second];
}
