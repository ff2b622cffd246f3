//===- FoldConstants.cpp - fold-constants -----------------------------------===//
#include "passes/Passes.h"

#include "passes/FusionUtils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace ingot {
#define GEN_PASS_DEF_FOLDCONSTANTS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using transformer::ApplyMaskOp;
using transformer::AttentionMaskOp;
using transformer::EmbeddingOp;
using transformer::LinearOp;
using transformer::StepAttr;
using transformer::WeightOp;

static constexpr llvm::StringLiteral kCategory = "fold-constants";

//===----------------------------------------------------------------------===//
// Masks
//===----------------------------------------------------------------------===//

/// The scalar of which every element of `value` is, or null.
static Attribute getSplat(Value value) {
  Attribute constant;
  if (auto splat = value.getDefiningOp<tensor::SplatOp>())
    return matchPattern(splat.getInput(), m_Constant(&constant)) ? constant : Attribute();
  auto elements =
      matchPattern(value, m_Constant(&constant)) ? dyn_cast<SplatElementsAttr>(constant) : nullptr;
  return elements ? elements.getSplatValue<Attribute>() : Attribute();
}

static bool isTrue(Value mask) {
  auto splat = dyn_cast_if_present<IntegerAttr>(getSplat(mask));
  return splat && splat.getValue().isOne();
}

namespace {

/// Keys that are valid everywhere need no word about it.
struct DropValidKeys : OpRewritePattern<AttentionMaskOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(AttentionMaskOp op, PatternRewriter &rewriter) const override {
    if (!op.getKeyValid() || !isTrue(op.getKeyValid()))
      return rewriter.notifyMatchFailure(op, "validity of the keys is not constantly true");
    rewriter.modifyOpInPlace(op, [&] { op.getKeyValidMutable().clear(); });
    return success();
  }
};

/// A mask that hides nothing leaves the scores as they are.
struct DropOpenMask : OpRewritePattern<ApplyMaskOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(ApplyMaskOp op, PatternRewriter &rewriter) const override {
    auto mask = op.getMask().getDefiningOp<AttentionMaskOp>();
    bool isOpen =
        mask ? !mask.getKeyValid() && !mask.getCausal() && !mask.getWindow() : isTrue(op.getMask());
    if (!isOpen || op.getScores().getType() != op.getType())
      return rewriter.notifyMatchFailure(op, "the mask may hide scores");
    rewriter.replaceOp(op, op.getScores());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Position tables
//===----------------------------------------------------------------------===//

/// Rows of a table at constant ids that count up are a slice of the table.
struct SliceTable : OpRewritePattern<EmbeddingOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(EmbeddingOp op, PatternRewriter &rewriter) const override {
    DenseIntElementsAttr ids;
    WeightOp table = getOwnWeight(op.getTable());
    if (!table || !matchPattern(op.getIds(), m_Constant(&ids)) || !op.getType().hasStaticShape())
      return rewriter.notifyMatchFailure(op, "table or ids are not constant");
    int64_t first = 0, next = 0, rows = table.getType().getDimSize(0);
    for (auto [i, id] : llvm::enumerate(ids.getValues<APInt>())) {
      if (i == 0)
        first = next = id.getSExtValue();
      if (id.getSExtValue() != next++)
        return rewriter.notifyMatchFailure(op, "the ids don't count up");
    }
    if (first < 0 || next > rows || first == next)
      return rewriter.notifyMatchFailure(op, "the ids are not rows of the table");
    MLIRContext *context = rewriter.getContext();
    SmallVector<int64_t> shape(table.getType().getShape());
    shape[0] = next - first;
    Type elementType = table.getType().getElementType();
    WeightOp slice = table;
    if (shape[0] != rows)
      slice = appendStep(rewriter, slice,
                         StepAttr::get(context, transformer::RecipeOp::Slice, {0, first, next}),
                         RankedTensorType::get(shape, elementType));
    if (slice.getType() != op.getType())
      slice = appendStep(
          rewriter, slice,
          StepAttr::get(context, transformer::RecipeOp::Reshape, op.getType().getShape()),
          op.getType());
    remarkFused(op.getLoc(), kCategory, "rows at constant positions are a slice of the table");
    rewriter.replaceOp(op, slice.getResult());
    return success();
  }
};

//===----------------------------------------------------------------------===//
// Scalar factors
//===----------------------------------------------------------------------===//

/// linear(x) * c, or embedding(ids) * c.
struct ScaledWeight {
  arith::MulFOp product;
  Operation *producer;
  double factor;
  SmallVector<WeightOp, 2> weights;
};

} // namespace

static std::optional<ScaledWeight> matchScaled(arith::MulFOp product) {
  for (auto [scaled, scalar] : {std::pair(product.getLhs(), product.getRhs()),
                                std::pair(product.getRhs(), product.getLhs())}) {
    auto factor = dyn_cast_if_present<FloatAttr>(getSplat(scalar));
    Operation *producer = scaled.getDefiningOp();
    if (!factor || !isa_and_nonnull<LinearOp, EmbeddingOp>(producer) ||
        producer->getResult(0).getType() != product.getType())
      continue;
    ScaledWeight match{product, producer, factor.getValueAsDouble(), {}};
    auto parameters = isa<LinearOp>(producer) ? producer->getOperands().drop_front()
                                              : producer->getOperands().take_front();
    for (Value parameter : parameters)
      match.weights.push_back(getOwnWeight(parameter));
    return match;
  }
  return std::nullopt;
}

static std::string whyNotFolded(ScaledWeight match) {
  if (getOnlyReader(match.producer->getResult(0)) != match.product)
    return "what it scales is read by something else as well";
  if (llvm::is_contained(match.weights, WeightOp()))
    return "the weight has other users, so a scaled one would be a second copy of it";
  int exponent;
  double fraction = std::frexp(std::abs(match.factor), &exponent);
  if (fraction != 0.5)
    return std::to_string(match.factor) + " is not a power of two, so products would be rounded "
                                          "otherwise than the reference rounds them";
  if (match.weights.front().getType().getElementType().isF16())
    return "f16 has too few exponents: a small or large weight would be rounded";
  // Even the largest checkpoint's weights stay far from the ends of f32's and bf16's range.
  if (std::abs(exponent) > 16)
    return "a factor of 2^" + std::to_string(exponent - 1) + " may leave the type's range";
  return "";
}

static void fold(ScaledWeight match) {
  OpBuilder builder(match.producer);
  for (WeightOp weight : match.weights) {
    builder.setInsertionPoint(weight);
    WeightOp scaled = appendStep(
        builder, weight,
        StepAttr::get(builder.getContext(), transformer::RecipeOp::MulScalar, match.factor),
        weight.getType());
    weight.getResult().replaceAllUsesWith(scaled.getResult());
    weight->erase();
  }
  arith::MulFOp product = match.product;
  remarkFused(product.getLoc(), kCategory,
              "the factor " + std::to_string(match.factor) + " is in the weight");
  product.getResult().replaceAllUsesWith(match.producer->getResult(0));
  product->erase();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {
struct FoldConstants : ingot::impl::FoldConstantsBase<FoldConstants> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<DropValidKeys, DropOpenMask, SliceTable>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();

    SmallVector<arith::MulFOp> products;
    getOperation().walk([&](arith::MulFOp product) { products.push_back(product); });
    for (arith::MulFOp product : products) {
      std::optional<ScaledWeight> match = matchScaled(product);
      if (!match)
        continue;
      if (std::string reason = whyNotFolded(*match); reason.empty())
        fold(*match);
      else
        remarkNotFused(product.getLoc(), kCategory,
                       "the factor stays an operation, because " + reason);
    }
  }
};
} // namespace
