//===- FuseAppends.cpp - fuse-appends ---------------------------------------===//
#include "passes/Passes.h"

#include "dialects/Transformer/TransformerOps.h"
#include "passes/FusionUtils.h"
#include "passes/KernelMerge.h"
#include "passes/Producers.h"

namespace ingot {
#define GEN_PASS_DEF_FUSEAPPENDS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

static constexpr llvm::StringLiteral kCategory = "fuse-appends";

namespace {

class AppendFuser {
public:
  AppendFuser(ModuleOp module, ArrayRef<std::string> alternatives)
      : module(module), symbols(module), merger(symbols), producers(symbols, alternatives) {}

  void run();

private:
  /// Makes the appends in front of `attention` a part of it, if they can be.
  void fuse(exec::LaunchOp attention);
  exec::KernelOp getKernel(exec::LaunchOp launch) {
    return symbols.lookup<exec::KernelOp>(launch.getKernel());
  }

  ModuleOp module;
  SymbolTable symbols;
  KernelMerger merger;
  Producers producers;
};

struct FuseAppends : ingot::impl::FuseAppendsBase<FuseAppends> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<std::string> archs(alternatives.begin(), alternatives.end());
    AppendFuser(getOperation(), archs).run();
  }
};

} // namespace

/// The launch that is the step in front of `step`, if it is one.
static exec::LaunchOp getLaunchInFront(Operation *step) {
  for (Operation *op = step->getPrevNode(); op; op = op->getPrevNode()) {
    if (isa<exec::BufferOp, exec::GetOp, exec::ViewOp, exec::InputOp, exec::OutputOp>(op))
      continue;
    return dyn_cast<exec::LaunchOp>(op);
  }
  return {};
}

/// What `append` makes for `attention`: nothing, or a buffer that nobody else reads. A problem if
/// the two have other bytes in common than those of caches that both name alike.
static std::string findPassed(exec::LaunchOp append, exec::KernelOp kernel,
                              exec::LaunchOp attention, Value &passed) {
  for (Value output : append.getOuts()) {
    if (passed)
      return "makes several tensors";
    passed = output;
    if (!output.getDefiningOp<exec::BufferOp>() ||
        !llvm::is_contained(attention.getIns(), output) ||
        !llvm::all_of(output.getUsers(),
                      [&](Operation *user) { return user == append || user == attention; }))
      return "makes what is needed elsewhere, too";
  }
  for (int64_t updated : kernel.getUpdates()) {
    if (updated < 0)
      continue;
    Value cache = append.getIns()[updated];
    Operation *root = exec::getBufferRoot(cache);
    auto get = dyn_cast<exec::GetOp>(root);
    for (Value input : attention.getIns()) {
      auto other = dyn_cast<exec::GetOp>(exec::getBufferRoot(input));
      bool same =
          get && other ? get.getName() == other.getName() : root == exec::getBufferRoot(input);
      if (same && input != cache)
        return "appends to what attention reads in another shape";
    }
  }
  return "";
}

void AppendFuser::fuse(exec::LaunchOp attention) {
  exec::LaunchOp append = getLaunchInFront(attention);
  if (!append || !producers.takes(getKernel(attention)))
    return;
  exec::KernelOp kernel = getKernel(append);
  if (!codegen::hasAnyOp<transformer::CacheAppendOp>(kernel))
    return;
  std::string names = nameBody(kernel);
  auto refuse = [&](const std::string &why) {
    remarkNotFused(attention.getLoc(), kCategory,
                   names + " stays in front of attention, because it " + why);
  };
  Value passed;
  if (std::string problem = findPassed(append, kernel, attention, passed); !problem.empty())
    return refuse(problem);
  FailureOr<MergedLaunch> merged = merger.merge(append, attention, passed);
  if (failed(merged))
    return refuse("has no form as one kernel with it");
  if (std::string problem = producers.whyNotTaken(getKernel(attention), merged->kernel);
      !problem.empty())
    return refuse("has no form in its kernel: " + problem);
  remarkFused(attention.getLoc(), kCategory, "attention takes " + names);
  merger.launch(*merged, append, attention, attention);
  if (passed)
    passed.getDefiningOp()->erase();
}

void AppendFuser::run() {
  SmallVector<exec::LaunchOp> attentions;
  for (auto program : module.getOps<exec::ProgramOp>())
    for (auto launch : program.getBody().getOps<exec::LaunchOp>())
      if (codegen::hasAnyOp<transformer::AttentionOp>(getKernel(launch)))
        attentions.push_back(launch);
  for (exec::LaunchOp attention : attentions)
    fuse(attention);
  eraseUnlaunched(module, symbols);
}
