//===- FuseResidualNorm.cpp - fuse-residual-norm ----------------------------===//
#include "passes/Passes.h"

#include "passes/FusionUtils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {
#define GEN_PASS_DEF_FUSERESIDUALNORM
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using transformer::AddLayerNormOp;
using transformer::AddRmsNormOp;
using transformer::LayerNormOp;
using transformer::RmsNormOp;
using transformer::SelectTokenOp;
using transformer::WeightOp;

static constexpr llvm::StringLiteral kCategory = "fuse-residual-norm";

namespace {

/// norm(x + residual); other ops may read the sum as well, unless the norm is of a selection of it.
struct ResidualNorm {
  arith::AddFOp add;
  Operation *norm; // rms_norm or layer_norm
  SelectTokenOp select; // between the two, or null
};

struct FuseResidualNorm : ingot::impl::FuseResidualNormBase<FuseResidualNorm> {
  using FuseResidualNormBase::FuseResidualNormBase;
  void runOnOperation() override;
};

} // namespace

/// Why the norm can't be computed where the sum is; empty if it can.
static std::string whyNotFused(ResidualNorm match) {
  if (match.select) {
    // Else the addition of all tokens is made anyway.
    if (getOnlyReader(match.add) != match.select || getOnlyReader(match.select) != match.norm)
      return "the sum is read beside the selection of a token of it";
    return "";
  }
  if (match.add->getBlock() != match.norm->getBlock())
    return "the sum is made in another block";
  for (Value parameter : match.norm->getOperands().drop_front()) {
    Operation *producer = parameter.getDefiningOp();
    if (producer && !isa<WeightOp>(producer) && !producer->isBeforeInBlock(match.add))
      return "a parameter of the norm is made behind the sum";
  }
  return "";
}

/// Program order: the branch was computed after what it is added to.
static bool isNewer(Value value, Value other) {
  Operation *producer = value.getDefiningOp(), *otherProducer = other.getDefiningOp();
  return producer && (!otherProducer || (producer->getBlock() == otherProducer->getBlock() &&
                                         otherProducer->isBeforeInBlock(producer)));
}

/// select(x + residual) becomes select(x) + select(residual): the same numbers, fewer of them.
static ResidualNorm selectFirst(ResidualNorm match) {
  OpBuilder builder(match.select);
  auto select = [&](Value value) -> Value {
    return SelectTokenOp::create(builder, match.select.getLoc(), match.select.getType(), value,
                                 match.select.getIndex());
  };
  arith::AddFOp whole = match.add;
  // The branch is selected last, so that it stays the one that was computed later.
  Value branch = whole.getLhs(), residual = whole.getRhs();
  if (isNewer(residual, branch))
    std::swap(branch, residual);
  residual = select(residual);
  branch = select(branch);
  auto add = arith::AddFOp::create(builder, whole.getLoc(), match.select.getType(), branch, residual);
  match.select.getResult().replaceAllUsesWith(add.getResult());
  match.select->erase();
  // Sizes of the sum are those of a summand.
  whole.getResult().replaceAllUsesWith(whole.getLhs());
  whole->erase();
  return {add, match.norm, {}};
}

/// With `dropResidual` (for tests) what read the sum reads the branch alone.
static void fuse(ResidualNorm match, bool dropResidual) {
  if (match.select)
    match = selectFirst(match);
  arith::AddFOp add = match.add;
  OpBuilder builder(add);
  for (Value parameter : match.norm->getOperands().drop_front())
    if (auto weight = parameter.getDefiningOp<WeightOp>())
      if (!weight->isBeforeInBlock(add))
        weight->moveBefore(add);
  Value x = add.getLhs(), residual = add.getRhs();
  if (isNewer(residual, x))
    std::swap(x, residual);
  Location location = match.norm->getLoc();
  SmallVector<Type, 2> types{add.getType(), match.norm->getResult(0).getType()};
  Operation *fused;
  if (auto norm = dyn_cast<RmsNormOp>(match.norm))
    fused = AddRmsNormOp::create(builder, location, types, x, residual, norm.getWeight(),
                                 norm.getEpsAttr());
  else
    fused = AddLayerNormOp::create(
        builder, location, types, x, residual, cast<LayerNormOp>(match.norm).getWeight(),
        cast<LayerNormOp>(match.norm).getBias(), cast<LayerNormOp>(match.norm).getEpsAttr());
  match.norm->getResult(0).replaceAllUsesWith(fused->getResult(1));
  match.norm->erase();
  add.getResult().replaceAllUsesWith(dropResidual ? x : fused->getResult(0));
  add->erase();
  remarkFused(location, kCategory,
              "the residual addition and its norm are one " +
                  fused->getName().stripDialect().str());
}

void FuseResidualNorm::runOnOperation() {
  SmallVector<ResidualNorm> matches;
  llvm::SmallPtrSet<Operation *, 16> taken;
  getOperation().walk([&](Operation *op) {
    if (!isa<RmsNormOp, LayerNormOp>(op))
      return;
    auto select = op->getOperand(0).getDefiningOp<SelectTokenOp>();
    auto add = (select ? select.getX() : op->getOperand(0)).getDefiningOp<arith::AddFOp>();
    if (!add)
      return;
    ResidualNorm match{add, op, select};
    std::string reason = whyNotFused(match);
    if (reason.empty() && !taken.insert(add).second)
      reason = "the sum has been fused with another norm";
    if (reason.empty())
      matches.push_back(match);
    else
      remarkNotFused(op->getLoc(), kCategory,
                     "the residual addition and its norm stay apart, because " + reason);
  });
  for (ResidualNorm match : matches)
    fuse(match, testDropResidual >= 0 && testDropResidual == layerIn(match.norm->getLoc()));
}
