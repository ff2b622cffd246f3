//===- FuseNorms.cpp - fuse-norms -------------------------------------------===//
#include "passes/Passes.h"

#include "dialects/Transformer/TransformerOps.h"
#include "passes/FusionUtils.h"
#include "passes/KernelMerge.h"
#include "passes/Producers.h"

namespace ingot {
#define GEN_PASS_DEF_FUSENORMS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

static constexpr llvm::StringLiteral kCategory = "fuse-norms";

namespace {

class NormFuser {
public:
  NormFuser(ModuleOp module, ArrayRef<std::string> alternatives)
      : module(module), symbols(module), merger(symbols), producers(symbols, alternatives) {}

  void run();

private:
  /// Makes `norm` a part of the launch that reads it, if it can be.
  void fuse(exec::LaunchOp norm);
  bool hasWeights(exec::LaunchOp norm);
  exec::KernelOp getKernel(exec::LaunchOp launch) {
    return symbols.lookup<exec::KernelOp>(launch.getKernel());
  }

  ModuleOp module;
  SymbolTable symbols;
  KernelMerger merger;
  Producers producers;
};

struct FuseNorms : ingot::impl::FuseNormsBase<FuseNorms> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<std::string> archs(alternatives.begin(), alternatives.end());
    NormFuser(getOperation(), archs).run();
  }
};

} // namespace

/// A kernel that is one norm of rows.
static bool isNorm(exec::KernelOp kernel) {
  return kernel && kernel.getNumOutputs() == 1 &&
         codegen::hasAnyOp<transformer::RmsNormOp, transformer::LayerNormOp>(kernel) &&
         nameBody(kernel).find(',') == std::string::npos;
}

/// The launch that alone reads what `norm` makes.
static exec::LaunchOp getReader(exec::LaunchOp norm) {
  Value normed = norm.getOuts().front();
  exec::LaunchOp reader;
  for (Operation *user : normed.getUsers()) {
    if (user == norm)
      continue;
    auto launch = dyn_cast<exec::LaunchOp>(user);
    if (reader || !launch || llvm::is_contained(launch.getOuts(), normed))
      return {};
    reader = launch;
  }
  return reader && reader->getBlock() == norm->getBlock() ? reader : exec::LaunchOp();
}

/// The gain is read before the kernels in front have ended; the first operand is what is normalized.
bool NormFuser::hasWeights(exec::LaunchOp norm) {
  return llvm::all_of(norm.getIns().drop_front(), [&](Value parameter) {
    auto get = parameter.getDefiningOp<exec::GetOp>();
    return get && symbols.lookup<exec::WeightOp>(get.getName());
  });
}

void NormFuser::fuse(exec::LaunchOp norm) {
  exec::LaunchOp reader = getReader(norm);
  // Only where what reads it may begin with a norm is there something to miss.
  if (!reader || !producers.takes(getKernel(reader)))
    return;
  std::string names = nameBody(getKernel(norm)), others = nameBody(getKernel(reader));
  auto refuse = [&](const std::string &why) {
    remarkNotFused(norm.getLoc(), kCategory,
                   names + " stays in front of " + others + ", because " + why);
  };
  if (!hasWeights(norm))
    return refuse("its gain is no weight");
  if (changesBetween(norm, reader))
    return refuse("what it reads is overwritten before that");
  Value normed = norm.getOuts().front();
  FailureOr<MergedLaunch> merged = merger.merge(norm, reader, normed);
  if (failed(merged))
    return refuse("both have no form as one kernel");
  if (std::string problem = producers.whyNotTaken(getKernel(reader), merged->kernel);
      !problem.empty())
    return refuse(problem);
  remarkFused(norm.getLoc(), kCategory, others + " normalizes what it reads");
  merger.launch(*merged, norm, reader, reader);
  normed.getDefiningOp()->erase();
}

void NormFuser::run() {
  SmallVector<exec::LaunchOp> norms;
  for (auto program : module.getOps<exec::ProgramOp>())
    for (auto launch : program.getBody().getOps<exec::LaunchOp>())
      if (isNorm(getKernel(launch)) && launch.getOuts().front().getDefiningOp<exec::BufferOp>())
        norms.push_back(launch);
  for (exec::LaunchOp norm : norms)
    fuse(norm);
  eraseUnlaunched(module, symbols);
}
