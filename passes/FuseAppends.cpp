//===- FuseAppends.cpp - fuse-appends ---------------------------------------===//
#include "passes/Passes.h"

#include "dialects/Transformer/TransformerOps.h"
#include "passes/FusionUtils.h"
#include "passes/ProducerFusion.h"

namespace ingot {
#define GEN_PASS_DEF_FUSEAPPENDS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

static constexpr llvm::StringLiteral kCategory = "fuse-appends";

namespace {
struct FuseAppends : ingot::impl::FuseAppendsBase<FuseAppends> {
  using Base::Base;

  void runOnOperation() override;
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
      return "it makes several tensors";
    passed = output;
    if (!output.getDefiningOp<exec::BufferOp>() ||
        !llvm::is_contained(attention.getIns(), output) ||
        !llvm::all_of(output.getUsers(),
                      [&](Operation *user) { return user == append || user == attention; }))
      return "it makes what is needed elsewhere, too";
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
        return "it appends to what attention reads in another shape";
    }
  }
  return "";
}

/// Makes the appends in front of `attention` a part of it, if they can be.
static void fuse(exec::LaunchOp attention, ProducerFusion &fusion) {
  exec::LaunchOp append = getLaunchInFront(attention);
  if (!append || !fusion.takes(attention))
    return;
  exec::KernelOp kernel = fusion.getKernel(append);
  if (!codegen::hasAnyOp<transformer::CacheAppendOp>(kernel))
    return;
  std::string names = nameBody(kernel);
  Location loc = attention.getLoc();
  Value passed;
  std::string problem = findPassed(append, kernel, attention, passed);
  if (problem.empty())
    problem = fusion.fuse(append, attention, passed);
  if (problem.empty())
    remarkFused(loc, kCategory, "attention takes " + names);
  else
    remarkNotFused(loc, kCategory, names + " stays in front of attention, because " + problem);
}

void FuseAppends::runOnOperation() {
  ProducerFusion fusion(getOperation(), alternatives);
  for (exec::LaunchOp attention : fusion.collect([](exec::LaunchOp, exec::KernelOp kernel) {
         return codegen::hasAnyOp<transformer::AttentionOp>(kernel);
       }))
    fuse(attention, fusion);
}
