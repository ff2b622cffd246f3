//===- StreamOps.cpp - Verifiers of streams ---------------------------------===//
#include "dialects/Exec/ExecOps.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace ingot::exec;

//===----------------------------------------------------------------------===//
// exec.stream
//===----------------------------------------------------------------------===//

std::optional<unsigned> StreamOp::findTask(StringRef kernel) {
  for (auto [i, task] : llvm::enumerate(getTasks().getAsRange<FlatSymbolRefAttr>()))
    if (task.getValue() == kernel)
      return i;
  return std::nullopt;
}

LogicalResult StreamOp::verify() {
  // C3
  if (int64_t(getSteps()) < 2 || getSteps() < getTasks().size())
    return emitOpError("expects at least two steps, and one a task, got ")
           << getSteps() << " for " << getTasks().size() << " tasks";
  for (auto [name, value] :
       {std::pair("most_tokens", int64_t(getMostTokens())),
        std::pair("blocks", int64_t(getBlocks())), std::pair("shared", int64_t(getShared()))})
    if (value <= 0)
      return emitOpError("expects '") << name << "' to be positive, got " << value;
  return success();
}

LogicalResult StreamOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // C1
  if (!symbols.lookupNearestSymbolFrom<TargetOp>(*this, getTargetAttr()))
    return emitOpError("expects an exec.target, got ") << getTargetAttr();
  // C2
  llvm::StringSet<> seen;
  for (auto task : getTasks().getAsRange<FlatSymbolRefAttr>()) {
    auto kernel = symbols.lookupNearestSymbolFrom<KernelOp>(*this, task);
    if (!kernel || !kernel.getFamily() || kernel.getVariantOf() ||
        kernel.getTargetAttr() != getTargetAttr())
      return emitOpError("expects tasks to be kernels with a family for ")
             << getTargetAttr() << " that are no variants, got " << task;
    if (!seen.insert(task.getValue()).second)
      return emitOpError("expects each task once, got ") << task << " twice";
  }
  return success();
}

//===----------------------------------------------------------------------===//
// exec.streamed
//===----------------------------------------------------------------------===//

SmallVector<LaunchOp> StreamedOp::getLaunches() {
  SmallVector<LaunchOp> launches;
  for (Operation *op = (*this)->getNextNode(); op; op = op->getNextNode()) {
    if (!isa<LaunchOp, CopyOp, ReadSizeOp, StreamedOp>(op))
      continue;
    auto launch = dyn_cast<LaunchOp>(op);
    if (!launch || !launch.getExchanged())
      break;
    launches.push_back(launch);
  }
  return launches;
}

LogicalResult StreamedOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // C1
  auto stream = symbols.lookupNearestSymbolFrom<StreamOp>(*this, getStreamAttr());
  if (!stream)
    return emitOpError("expects an exec.stream, got ") << getStreamAttr();
  // C2
  auto program = cast<ProgramOp>((*this)->getParentOp());
  if (llvm::none_of(program.getSymbols().getAsRange<SymbolAttr>(),
                    [&](SymbolAttr symbol) { return symbol.getName() == getTokensAttr(); }))
    return emitOpError("expects a symbol of the program, got '") << getTokens() << "'";
  // C3
  SmallVector<LaunchOp> launches = getLaunches();
  if (launches.size() != stream.getSteps())
    return emitOpError("expects the ") << stream.getSteps() << " launches of " << getStreamAttr()
                                       << ", got " << launches.size();
  // C5
  int64_t end = getBytesPerToken();
  if (end < 0 || end % 16 != 0)
    return emitOpError("expects a multiple of 16 bytes a token, got ") << end;
  llvm::DenseMap<StringAttr, ArrayAttr> sizes;
  for (LaunchOp launch : launches) {
    if (!stream.findTask(launch.getKernel()))
      return launch.emitOpError("expects a task of ")
             << getStreamAttr() << " in its run, got " << launch.getKernelAttr();
    // C4
    ArrayAttr &first = sizes[launch.getKernelAttr().getAttr()];
    if (first && first != launch.getSizes())
      return launch.emitOpError("expects the sizes of other launches of ")
             << launch.getKernelAttr() << " in the run of " << getStreamAttr();
    first = launch.getSizes();
    ArrayRef<int64_t> exchanged = *launch.getExchanged();
    for (int64_t offset : exchanged)
      if (offset >= end)
        return launch.emitOpError("expects to exchange below byte ")
               << end << " a token, got " << offset;
    if (int64_t part = *launch.getPart(); part != 0 && part >= end)
      return launch.emitOpError("expects its part below byte ")
             << end << " a token, got " << *launch.getPart();
  }
  return success();
}
