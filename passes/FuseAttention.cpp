//===- FuseAttention.cpp - fuse-attention ---------------------------------===//
#include "passes/FuseAttention/AttentionMatch.h"
#include "passes/FusionUtils.h"
#include "passes/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

namespace ingot {
#define GEN_PASS_DEF_FUSEATTENTION
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using namespace ingot::transformer;

namespace {

/// Builds the fused form of one match.
class Rewriter {
public:
  Rewriter(IRRewriter &b, AttentionMatch &match) : b(b), match(match) {}

  AttentionOp run(double scale);

private:
  Value onTokens(HeadSource &source);
  Value onTokens(Operation *step, Value tokens, int64_t heads);
  Value source(HeadSource &source);
  Value zeroPositions(Value tokens);

  IRRewriter &b;
  AttentionMatch &match;
};

struct FuseAttention : ingot::impl::FuseAttentionBase<FuseAttention> {
  using FuseAttentionBase::FuseAttentionBase;
  void runOnOperation() override;
};

} // namespace

//===----------------------------------------------------------------------===//
// Rewriting
//===----------------------------------------------------------------------===//

/// A step on heads, done on tokens [B, S, heads * D].
Value Rewriter::onTokens(Operation *step, Value tokens, int64_t heads) {
  Location loc = step->getLoc();
  if (auto rope = dyn_cast<RopeOp>(step))
    return RopeOp::create(b, loc, tokens, rope.getCos(), rope.getSin(), b.getI64IntegerAttr(heads),
                          rope.getInterleavedAttr());
  // A norm of each head: heads become an axis for it.
  auto type = cast<RankedTensorType>(tokens.getType());
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, loc, tokens);
  int64_t width = type.getDimSize(2) / heads;
  sizes.back() = b.getIndexAttr(heads);
  sizes.push_back(b.getIndexAttr(width));
  SmallVector<int64_t> shape{type.getDimSize(0), type.getDimSize(1), heads, width};
  SmallVector<ReassociationIndices> groups{{0}, {1}, {2, 3}};
  auto byHead = type.clone(shape);
  Value split = tensor::ExpandShapeOp::create(b, loc, byHead, tokens, groups, sizes);
  Operation *norm = b.clone(*step);
  norm->setOperand(0, split);
  norm->getResult(0).setType(byHead);
  return tensor::CollapseShapeOp::create(b, loc, type, norm->getResult(0), groups);
}

Value Rewriter::onTokens(HeadSource &source) {
  Value tokens = source.tokens;
  for (Operation *step : source.steps)
    tokens = onTokens(step, tokens, source.heads);
  return tokens;
}

/// The operand of attention: tokens, or the cache that they were appended to.
Value Rewriter::source(HeadSource &source) {
  if (!source.gather)
    return onTokens(source);
  if (!source.append)
    return source.gather.getCache();
  OpBuilder::InsertionGuard guard(b);
  CacheAppendOp append = source.append;
  b.setInsertionPoint(append);
  Value tokens = onTokens(source);
  auto appended = CacheAppendOp::create(b, append.getLoc(), append.getType(), append.getCache(),
                                        tokens, append.getBlockTable(), append.getPast(),
                                        append.getNumTokens(), append.getCuSeqlens());
  b.replaceAllUsesWith(append.getResult(), appended.getResult());
  return appended.getResult();
}

/// Positions of an attention that depends on none, [B, S].
Value Rewriter::zeroPositions(Value tokens) {
  Location loc = tokens.getLoc();
  auto type = cast<RankedTensorType>(tokens.getType());
  SmallVector<Value> sizes;
  for (int64_t dim : {0, 1})
    if (type.isDynamicDim(dim))
      sizes.push_back(tensor::DimOp::create(b, loc, tokens, dim));
  Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
  return tensor::SplatOp::create(
      b, loc, RankedTensorType::get(type.getShape().take_front(2), b.getI32Type()), zero, sizes);
}

AttentionOp Rewriter::run(double scale) {
  b.setInsertionPoint(match.mix);
  Value q = source(match.q), k = source(match.k), v = source(match.v);
  Value queryPositions, keyPositions, keyValid, table, past;
  if (match.isPaged()) {
    table = match.k.gather.getBlockTable();
    past = match.queryPositions.getDefiningOp<TokenPositionsOp>().getPast();
  } else {
    queryPositions = match.queryPositions ? match.queryPositions : zeroPositions(q);
    keyPositions = match.keyPositions ? match.keyPositions : zeroPositions(k);
    keyValid = match.mask ? match.mask.getKeyValid() : Value();
  }
  Value probabilities = match.mix.getLhs();
  auto flag = [&](bool is) { return is ? b.getUnitAttr() : UnitAttr(); };
  auto op = AttentionOp::create(
      b, match.softmax.getLoc(), match.merge.getType(),
      match.probabilitiesUsed ? probabilities.getType() : Type(), q, k, v, queryPositions, keyPositions, keyValid,
      /*cu_seqlens=*/Value(), table, past, match.bias,
      match.alibi ? match.alibi.getSlopes() : Value(), match.softmax.getSinks(),
      match.headMask ? match.headMask.getFactors() : Value(),
      b.getI64IntegerAttr(match.q.heads), b.getI64IntegerAttr(match.k.heads),
      b.getF64FloatAttr(scale), match.mask ? match.mask.getCausalAttr() : UnitAttr(),
      match.mask ? match.mask.getWindowAttr() : IntegerAttr(),
      match.softcap ? b.getF64FloatAttr(*match.softcap) : FloatAttr(),
      flag(match.alibiBeforeScale), flag(match.probabilitiesUsed), AttentionBackendAttr());
  b.replaceAllUsesWith(match.merge.getResult(), op.getOut());
  if (match.probabilitiesUsed)
    b.replaceUsesWithIf(probabilities, op.getProbabilities(), [&](OpOperand &use) {
      return use.getOwner() != match.mix.getOperation() && !isa<ShapedDimOpInterface>(use.getOwner());
    });
  return op;
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

/// "4 heads, 2 of keys and values, causal, window 8, paged".
static std::string describe(AttentionOp op) {
  std::string text = std::to_string(op.getHeads()) + " heads";
  if (op.getKvHeads() != op.getHeads())
    text += ", " + std::to_string(op.getKvHeads()) + " of keys and values";
  if (op.getCausal())
    text += ", causal";
  if (op.getWindow())
    text += ", window " + std::to_string(*op.getWindow());
  if (op.getSoftcap())
    text += ", soft cap";
  for (auto [name, value] : {std::pair<StringRef, Value>{"bias", op.getBias()},
                             {"ALiBi", op.getAlibiSlopes()},
                             {"sinks", op.getSinks()},
                             {"head mask", op.getHeadMask()},
                             {"paged", op.getBlockTable()}})
    if (value)
      text += ", " + name.str();
  if (op.getReturnProbabilities())
    text += ", returns probabilities";
  return text;
}

/// Erases what nobody uses any more, last first.
static void eraseDead(RewriterBase &rewriter, Block &block) {
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
    if (isOpTriviallyDead(&op))
      rewriter.eraseOp(&op);
}

void FuseAttention::runOnOperation() {
  func::FuncOp program = getOperation();
  if (program.isExternal())
    return;
  SmallVector<SoftmaxOp> candidates(program.getOps<SoftmaxOp>());
  IRRewriter rewriter(&getContext());
  for (auto [index, softmax] : llvm::enumerate(candidates)) {
    Location loc = softmax.getLoc();
    std::string reason;
    FailureOr<AttentionMatch> match = matchAttention(softmax, reason);
    if (failed(match)) {
      if (!reason.empty())
        remark::missed(loc, remark::RemarkOpts::name("NotFused").category("fuse-attention"))
            << "attention not fused because " + reason;
      continue;
    }
    bool drops = testDropScale == layerIn(loc).value_or(static_cast<int64_t>(index));
    AttentionOp op = Rewriter(rewriter, *match).run(drops ? 1.0 : match->scale);
    remark::passed(loc, remark::RemarkOpts::name("Fused").category("fuse-attention"))
        << "attention fused: " + describe(op);
  }
  eraseDead(rewriter, program.getBody().front());
}
