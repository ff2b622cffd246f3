//===- Liveness.cpp - When the bytes of a program's buffers are needed ------===//
#include "passes/Liveness.h"

using namespace mlir;
using namespace ingot;

const void *ingot::getStorageKey(Operation *root) {
  if (auto get = dyn_cast<exec::GetOp>(root))
    return get.getNameAttr().getAttr().getAsOpaquePointer();
  return root;
}

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

namespace {
/// The steps of a stream's run, and the roots that its launches do not exchange.
struct StreamRun {
  int64_t first, last;
  llvm::SmallPtrSet<Operation *, 16> roots;
};
} // namespace

/// A run whose first launch is the step `first`.
static StreamRun findRun(exec::StreamedOp streamed, int64_t first) {
  SmallVector<exec::LaunchOp> launches = streamed.getLaunches();
  StreamRun run{first, first + int64_t(launches.size()) - 1, {}};
  for (exec::LaunchOp launch : launches)
    for (auto [operand, place] : llvm::zip_equal(launch->getOperands(), *launch.getExchanged()))
      if (place < 0)
        run.roots.insert(exec::getBufferRoot(operand));
  return run;
}

Liveness::Liveness(exec::ProgramOp program) {
  // A root lives from the first step that uses it; an input from before the first step.
  Block &body = program.getBody().front();
  llvm::DenseMap<Operation *, Lifetime> found;
  llvm::DenseMap<StringAttr, Operation *> sizeRoots; // what the sizes were read from
  SmallVector<Operation *> roots;
  SmallVector<StreamRun> runs;
  for (Operation &op : body) {
    if (auto streamed = dyn_cast<exec::StreamedOp>(op))
      runs.push_back(findRun(streamed, steps.size()));
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
  for (const StreamRun &run : runs)
    for (Operation *root : run.roots)
      if (auto lifetime = found.find(root); lifetime != found.end()) {
        lifetime->second.first = std::min(lifetime->second.first, run.first);
        lifetime->second.last = std::max(lifetime->second.last, run.last);
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
