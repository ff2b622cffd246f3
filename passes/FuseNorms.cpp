//===- FuseNorms.cpp - fuse-norms -------------------------------------------===//
#include "passes/Passes.h"

#include "dialects/Transformer/TransformerOps.h"
#include "passes/FusionUtils.h"
#include "passes/ProducerFusion.h"

namespace ingot {
#define GEN_PASS_DEF_FUSENORMS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

static constexpr llvm::StringLiteral kCategory = "fuse-norms";

namespace {
struct FuseNorms : ingot::impl::FuseNormsBase<FuseNorms> {
  using Base::Base;

  void runOnOperation() override;
};
} // namespace

/// A kernel that is one norm of rows.
static bool isNorm(exec::KernelOp kernel) {
  return kernel.getNumOutputs() == 1 &&
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

/// The gain is read before the kernels in front have ended; the first operand is what is
/// normalized.
static bool hasWeights(exec::LaunchOp norm, const SymbolTable &symbols) {
  return llvm::all_of(norm.getIns().drop_front(), [&](Value parameter) {
    auto get = parameter.getDefiningOp<exec::GetOp>();
    return get && symbols.lookup<exec::WeightOp>(get.getName());
  });
}

/// Makes `norm` a part of the launch that reads it, if it can be.
static void fuse(exec::LaunchOp norm, ProducerFusion &fusion) {
  exec::LaunchOp reader = getReader(norm);
  // Only where what reads it may begin with a norm is there something to miss.
  if (!reader || !fusion.takes(reader))
    return;
  std::string names = nameBody(fusion.getKernel(norm));
  std::string others = nameBody(fusion.getKernel(reader));
  Location loc = norm.getLoc();
  std::string problem = hasWeights(norm, fusion.getSymbols())
                            ? fusion.fuse(norm, reader, norm.getOuts().front())
                            : "its gain is no weight";
  if (problem.empty())
    remarkFused(loc, kCategory, others + " normalizes what it reads");
  else
    remarkNotFused(loc, kCategory, names + " stays in front of " + others + ", because " + problem);
}

void FuseNorms::runOnOperation() {
  ProducerFusion fusion(getOperation(), alternatives);
  for (exec::LaunchOp norm : fusion.collect([](exec::LaunchOp launch, exec::KernelOp kernel) {
         return isNorm(kernel) && launch.getOuts().front().getDefiningOp<exec::BufferOp>();
       }))
    fuse(norm, fusion);
}
