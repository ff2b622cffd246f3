//===- Producers.cpp - Kernels that make what they read ---------------------===//
#include "passes/Producers.h"

#include "codegen/KernelRegistry.h"
#include "passes/Liveness.h"

using namespace mlir;
using namespace ingot;
using codegen::KernelFamily;
using codegen::TargetInfo;

SmallVector<std::pair<const KernelFamily *, TargetInfo>> Producers::find(exec::KernelOp kernel) {
  SmallVector<std::pair<const KernelFamily *, TargetInfo>> found;
  auto target = symbols.lookup<exec::TargetOp>(kernel.getTarget());
  SmallVector<std::string> archs(alternatives);
  archs.push_back(target.getArch().str());
  for (const std::string &arch : archs) {
    TargetInfo info{target.getKind().str(), arch};
    for (const auto &family : codegen::KernelRegistry::getStandard().getFamilies())
      if (family->getTargetKind() == info.kind && family->match(kernel, info).matched) {
        found.push_back({family.get(), info});
        break;
      }
  }
  return found;
}

bool Producers::takes(exec::KernelOp kernel) {
  auto families = find(kernel);
  return families.size() == alternatives.size() + 1 &&
         llvm::all_of(families, [](const auto &taker) { return taker.first->takesProducers(); });
}

std::string Producers::whyNotTaken(exec::KernelOp kernel, exec::KernelOp merged) {
  for (const auto &[family, info] : find(kernel))
    if (codegen::Match match = family->match(merged, info); !match.matched)
      return match.reason;
  return "";
}

bool ingot::changesBetween(exec::LaunchOp first, exec::LaunchOp second) {
  llvm::SmallPtrSet<Operation *, 4> read;
  for (Value input : first.getIns())
    read.insert(exec::getBufferRoot(input));
  for (Operation *op = first->getNextNode(); op != second; op = op->getNextNode()) {
    if (!op)
      return true;
    if (!isa<exec::LaunchOp, exec::CopyOp, exec::ReadSizeOp>(op))
      continue;
    for (const BufferUse &use : Liveness::getUses(op))
      if (use.writes && read.contains(use.root))
        return true;
  }
  return false;
}
