//===- SplitResidualNorm.cpp - split-residual-norm --------------------------===//
#include "passes/Passes.h"

#include "passes/FusionUtils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot {
#define GEN_PASS_DEF_SPLITRESIDUALNORM
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using transformer::AddRmsNormOp;
using transformer::PackedTokenOp;
using transformer::RmsNormOp;

static constexpr llvm::StringLiteral kCategory = "split-residual-norm";

namespace {

/// An add_rms_norm of few rows; with `token` and `residualToken` the addends are one token of each
/// row of what was added to.
struct ResidualNorm {
  AddRmsNormOp op;
  PackedTokenOp token, residualToken;

  Value getBranch() { return token ? token.getX() : op.getX(); }
  Value getResidual() { return token ? residualToken.getX() : op.getResidual(); }
};

struct SplitResidualNorm : ingot::impl::SplitResidualNormBase<SplitResidualNorm> {
  using Base::Base;
  void runOnOperation() override;

private:
  /// The program of one token a row, if there are few rows at most.
  func::FuncOp findProgram();
};

} // namespace

/// The addends as one token each of two lists of packed tokens.
static ResidualNorm match(AddRmsNormOp op) {
  auto token = op.getX().getDefiningOp<PackedTokenOp>();
  auto residual = op.getResidual().getDefiningOp<PackedTokenOp>();
  if (token && residual && token.getCuSeqlens() == residual.getCuSeqlens() &&
      token.getLike() == residual.getLike() && token.getLast() == residual.getLast())
    return {op, token, residual};
  return {op, {}, {}};
}

static bool isLinear(Operation *op) {
  return isa_and_nonnull<transformer::LinearOp, transformer::GatedLinearOp>(op);
}

/// Why the addition can't go to the layer in front and the norm to the one behind; empty if it can.
static std::string whyNotSplit(ResidualNorm match) {
  if (!isLinear(getOnlyReader(match.op.getNormed())))
    return "the normalized rows are not those of one linear layer alone";
  Operation *branch = match.getBranch().getDefiningOp();
  if (!isLinear(branch))
    return "what is added is made by no linear layer";
  Operation *reader = match.token ? match.token.getOperation() : match.op.getOperation();
  if (getOnlyReader(match.getBranch()) != reader)
    return "what is added is read elsewhere, too";
  if (match.token && getOnlyReader(match.token) != match.op)
    return "a token of what is added is read elsewhere, too";
  return "";
}

static void split(ResidualNorm match) {
  AddRmsNormOp op = match.op;
  OpBuilder builder(op);
  Value branch = match.getBranch(), residual = match.getResidual();
  Value sum = arith::AddFOp::create(builder, op.getLoc(), branch, residual);
  if (match.token)
    sum = PackedTokenOp::create(builder, match.token.getLoc(), match.token.getType(), sum,
                                match.token.getCuSeqlens(), match.token.getLike(),
                                match.token.getLast());
  auto norm = RmsNormOp::create(builder, op.getLoc(), op.getNormed().getType(), sum, op.getWeight(),
                                op.getEpsAttr());
  op.getSum().replaceAllUsesWith(sum);
  op.getNormed().replaceAllUsesWith(norm.getResult());
  op.erase();
  for (PackedTokenOp token : {match.token, match.residualToken})
    if (token && token.use_empty())
      token.erase();
  remarkFused(norm.getLoc(), kCategory, "the residual addition is the linear layer's in front");
}

func::FuncOp SplitResidualNorm::findProgram() {
  ModuleOp module = getOperation();
  auto generation = module->getAttrOfType<DictionaryAttr>(transformer::kGenerationAttr);
  auto sizes = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr);
  auto name = generation ? generation.getAs<StringAttr>("decode_program") : StringAttr();
  auto function = name ? module.lookupSymbol<func::FuncOp>(name) : func::FuncOp();
  if (!function || !sizes)
    return {};
  // Rows are those of any port that has them; ids are [rows, 1].
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto axes = function.getArgAttrOfType<ArrayAttr>(i, transformer::kSizesAttr);
    if (!axes || axes.size() != 2)
      continue;
    auto bounds = sizes.getAs<ArrayAttr>(cast<StringAttr>(axes[1]));
    auto rows = sizes.getAs<ArrayAttr>(cast<StringAttr>(axes[0]));
    if (!bounds || !rows || cast<IntegerAttr>(bounds[1]).getInt() != 1)
      continue;
    return cast<IntegerAttr>(rows[1]).getInt() <= mostRows ? function : func::FuncOp();
  }
  return {};
}

void SplitResidualNorm::runOnOperation() {
  func::FuncOp function = findProgram();
  if (!function)
    return;
  SmallVector<AddRmsNormOp> norms;
  function.walk([&](AddRmsNormOp op) { norms.push_back(op); });
  for (AddRmsNormOp op : norms) {
    ResidualNorm found = match(op);
    std::string reason = whyNotSplit(found);
    if (reason.empty())
      split(found);
    else
      remarkNotFused(op.getLoc(), kCategory,
                     "the residual addition stays with its norm, because " + reason);
  }
}
