//===- ProducerFusion.cpp - Kernels that make what they read ----------------===//
#include "passes/ProducerFusion.h"

#include "codegen/KernelRegistry.h"

using namespace mlir;
using namespace ingot;
using codegen::KernelFamily;
using codegen::TargetInfo;

SmallVector<exec::LaunchOp>
ProducerFusion::collect(llvm::function_ref<bool(exec::LaunchOp, exec::KernelOp)> isSuch) {
  SmallVector<exec::LaunchOp> found;
  for (auto program : module.getOps<exec::ProgramOp>())
    for (auto launch : program.getBody().getOps<exec::LaunchOp>())
      if (exec::KernelOp kernel = getKernel(launch); kernel && isSuch(launch, kernel))
        found.push_back(launch);
  return found;
}

SmallVector<std::pair<const KernelFamily *, TargetInfo>>
ProducerFusion::findFamilies(exec::KernelOp kernel) {
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

bool ProducerFusion::takes(exec::LaunchOp reader) {
  auto families = findFamilies(getKernel(reader));
  return families.size() == alternatives.size() + 1 &&
         llvm::all_of(families, [](const auto &taker) { return taker.first->takesProducers(); });
}

std::string ProducerFusion::fuse(exec::LaunchOp producer, exec::LaunchOp reader, Value passed) {
  if (changesBetween(producer, reader))
    return "what it reads is overwritten before that";
  FailureOr<MergedLaunch> merged = merger.merge(producer, reader, passed);
  if (failed(merged))
    return "both have no form as one kernel";
  for (const auto &[family, info] : findFamilies(getKernel(reader)))
    if (codegen::Match match = family->match(merged->kernel, info); !match.matched)
      return match.reason;
  merger.launch(*merged, producer, reader, reader);
  if (passed)
    passed.getDefiningOp()->erase();
  return "";
}
