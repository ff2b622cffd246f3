//===- AttentionMatch.cpp - The parts of one attention --------------------===//
//
// Matching only looks. It goes from the softmax outwards to the merged heads, then inwards through
// the scores, then along query, key and value to the tokens that they were split from.
//
// Programs in f16 and bf16 widen scores for a product with a number that their type cannot hold,
// and round them again. Attention keeps its scores in f32, so these conversions are looked through.
//
//===----------------------------------------------------------------------===//
#include "passes/FuseAttention/AttentionMatch.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace ingot::transformer;

namespace ingot {

SmallVector<Operation *> getReaders(Value value) {
  SmallVector<Operation *> readers;
  for (Operation *user : value.getUsers())
    if (!isa<ShapedDimOpInterface>(user))
      readers.push_back(user);
  return readers;
}

namespace {

/// The number that every element of `value` is.
std::optional<double> splatOf(Value value) {
  FloatAttr scalar;
  if (auto splat = value.getDefiningOp<tensor::SplatOp>()) {
    if (matchPattern(splat.getInput(), m_Constant(&scalar)))
      return scalar.getValueAsDouble();
    return std::nullopt;
  }
  DenseFPElementsAttr elements;
  if (matchPattern(value, m_Constant(&elements)) && elements.isSplat())
    return elements.getSplatValue<APFloat>().convertToDouble();
  return std::nullopt;
}

/// `value` as x * factor with a constant factor: x, and the factor.
std::optional<std::pair<Value, double>> scaled(Value value) {
  if (auto mul = value.getDefiningOp<arith::MulFOp>()) {
    if (std::optional<double> factor = splatOf(mul.getRhs()))
      return std::pair(mul.getLhs(), *factor);
    if (std::optional<double> factor = splatOf(mul.getLhs()))
      return std::pair(mul.getRhs(), *factor);
  }
  if (auto div = value.getDefiningOp<arith::DivFOp>())
    if (std::optional<double> divisor = splatOf(div.getRhs()); divisor && *divisor != 0)
      return std::pair(div.getLhs(), 1 / *divisor);
  return std::nullopt;
}

class Matcher {
public:
  Matcher(SoftmaxOp softmax, std::string &reason) : reason(reason) { match.softmax = softmax; }

  FailureOr<AttentionMatch> run();

private:
  LogicalResult fail(const Twine &why) {
    reason = why.str();
    return failure();
  }
  /// Fails if a value between scores and probabilities has another reader.
  LogicalResult requireOneUse(Value value, StringRef what) {
    return getReaders(value).size() == 1 ? success() : fail(Twine(what) + " are used elsewhere");
  }
  /// `value` before it was widened or rounded.
  FailureOr<Value> beforeConversions(Value value, StringRef what);
  LogicalResult matchResult();
  LogicalResult matchScores();
  LogicalResult matchAddition(arith::AddFOp add, Value &next);
  LogicalResult matchPositions();
  LogicalResult matchHeads(Value value, StringRef name, bool mayScale, HeadSource &source);
  LogicalResult matchPages();

  std::string &reason;
  AttentionMatch match;
  bool hasScale = false;
  /// What scores were rounded to on their way.
  llvm::SmallSetVector<Type, 1> roundedTo;
};

FailureOr<Value> Matcher::beforeConversions(Value value, StringRef what) {
  for (Operation *op = value.getDefiningOp(); isa_and_nonnull<arith::ExtFOp, arith::TruncFOp>(op);
       op = value.getDefiningOp()) {
    if (failed(requireOneUse(value, what)))
      return failure();
    if (isa<arith::TruncFOp>(op))
      roundedTo.insert(getElementTypeOrSelf(value.getType()));
    value = op->getOperand(0);
  }
  return value;
}

/// softmax -> [scale_heads] -> matmul -> merge_heads.
LogicalResult Matcher::matchResult() {
  Value probabilities = match.softmax.getResult();
  auto mixOf = [](Value value) {
    MatmulOp found;
    for (Operation *user : value.getUsers())
      if (auto matmul = dyn_cast<MatmulOp>(user); matmul && matmul.getLhs() == value)
        found = matmul;
    return found;
  };
  match.mix = mixOf(probabilities);
  if (!match.mix)
    for (Operation *user : probabilities.getUsers())
      if (auto scale = dyn_cast<ScaleHeadsOp>(user); scale && mixOf(scale.getResult())) {
        match.headMask = scale;
        match.mix = mixOf(scale.getResult());
      }
  if (!match.mix)
    return fail(""); // A softmax of something else.
  if (match.headMask) {
    if (failed(requireOneUse(probabilities, "probabilities before the head mask")))
      return failure();
    probabilities = match.headMask.getResult();
  }
  SmallVector<Operation *> readers = getReaders(probabilities);
  match.probabilitiesUsed = readers.size() > 1;
  for (Operation *user : readers)
    if (user->getBlock() == match.mix->getBlock() && user->isBeforeInBlock(match.mix))
      return fail("probabilities are used before the values are mixed");
  if (match.mix.getTransposeRhs())
    return fail("the values are transposed");
  readers = getReaders(match.mix.getResult());
  if (readers.size() == 1)
    match.merge = dyn_cast<MergeHeadsOp>(readers.front());
  if (!match.merge)
    return fail("the result by head is used as it is, not merged to tokens");
  return success();
}

/// scores + bias, where either side may be the scores.
LogicalResult Matcher::matchAddition(arith::AddFOp add, Value &next) {
  auto leadsToProduct = [](Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (auto matmul = dyn_cast<MatmulOp>(op))
        return bool(matmul.getTransposeRhs());
      if (std::optional<std::pair<Value, double>> inner = scaled(value))
        value = inner->first;
      else if (isa<math::TanhOp, AddAlibiOp, AddBiasOp, arith::ExtFOp, arith::TruncFOp>(op))
        value = op->getOperand(0);
      else
        return false;
    }
    return false;
  };
  bool left = leadsToProduct(add.getLhs()), right = leadsToProduct(add.getRhs());
  if (left == right)
    return fail("two values are added, and it isn't clear which one is the scores");
  next = left ? add.getLhs() : add.getRhs();
  match.bias = left ? add.getRhs() : add.getLhs();
  return success();
}

LogicalResult Matcher::matchScores() {
  Value value = match.softmax.getX();
  if (auto apply = value.getDefiningOp<ApplyMaskOp>()) {
    if (failed(requireOneUse(value, "masked scores")))
      return failure();
    match.mask = apply.getMask().getDefiningOp<AttentionMaskOp>();
    if (!match.mask)
      return fail("the mask isn't one of positions and valid keys (transformer.attention_mask)");
    value = apply.getScores();
  }
  auto requireUnscaled = [&](StringRef what) -> LogicalResult {
    if (hasScale || match.softcap || match.alibiBeforeScale)
      return fail(Twine(what) + " before the scale or the soft cap");
    return match.bias ? fail("more than one bias is added") : success();
  };
  for (;;) {
    FailureOr<Value> unconverted = beforeConversions(value, "scores");
    if (failed(unconverted))
      return failure();
    value = *unconverted;
    if ((match.scores = value.getDefiningOp<MatmulOp>()))
      break;
    Operation *op = value.getDefiningOp();
    if (!op)
      return fail("the scores are an argument of the program");
    if (failed(requireOneUse(value, "scores")))
      return failure();
    if (auto bias = dyn_cast<AddBiasOp>(op)) {
      if (failed(requireUnscaled("a bias is added")))
        return failure();
      match.bias = bias.getBias();
      value = bias.getScores();
    } else if (auto add = dyn_cast<arith::AddFOp>(op)) {
      Value next;
      if (failed(requireUnscaled("a bias is added")) || failed(matchAddition(add, next)))
        return failure();
      value = next;
    } else if (auto alibi = dyn_cast<AddAlibiOp>(op)) {
      if (match.alibi)
        return fail("ALiBi is added twice");
      match.alibi = alibi;
      match.alibiBeforeScale = hasScale || match.softcap;
      value = alibi.getScores();
    } else if (std::optional<std::pair<Value, double>> outer = scaled(value)) {
      FailureOr<Value> capped = beforeConversions(outer->first, "scores");
      if (failed(capped))
        return failure();
      auto tanh = capped->getDefiningOp<math::TanhOp>();
      if (match.alibiBeforeScale)
        return fail("ALiBi is added between two scales");
      if (!tanh) {
        hasScale = true;
        match.scale *= outer->second;
        value = *capped;
        continue;
      }
      // c * tanh(f * x) = c * tanh((f * c * x) / c).
      if (match.softcap || hasScale)
        return fail("scores are scaled behind the soft cap");
      if (outer->second <= 0)
        return fail("the soft cap isn't positive");
      FailureOr<Value> uncapped = beforeConversions(tanh.getOperand(), "scores");
      if (failed(requireOneUse(*capped, "scores")) || failed(uncapped))
        return failure();
      std::optional<std::pair<Value, double>> inner = scaled(*uncapped);
      double factor = (inner ? inner->second : 1) * outer->second;
      if (inner && failed(requireOneUse(*uncapped, "scores")))
        return failure();
      match.softcap = outer->second;
      // A quotient of two roundings of one number.
      match.scale *= std::abs(factor - 1) < 1e-6 ? 1 : factor;
      value = inner ? inner->first : *uncapped;
    } else if (isa<math::TanhOp>(op)) {
      return fail("tanh of the scores isn't multiplied by a constant");
    } else if (isa<ApplyMaskOp>(op)) {
      return fail("the mask is applied before a bias, a scale or another mask");
    } else {
      return fail("the scores come from '" + op->getName().getStringRef() + "'");
    }
  }
  if (!match.scores.getTransposeRhs())
    return fail("the keys of the scores aren't transposed");
  for (Type type : roundedTo)
    if (type != match.scores.getType().getElementType())
      return fail("scores are rounded to another type than the queries'");
  return requireOneUse(match.scores.getResult(), "scores");
}

/// ALiBi and the mask must mean the same positions where both need them.
LogicalResult Matcher::matchPositions() {
  AttentionMaskOp mask = match.mask;
  bool maskNeedsThem = mask && (mask.getCausal() || mask.getWindow());
  if (mask) {
    match.queryPositions = mask.getQueryPositions();
    match.keyPositions = mask.getKeyPositions();
  }
  if (!match.alibi)
    return success();
  if (maskNeedsThem && (match.alibi.getQueryPositions() != match.queryPositions ||
                        match.alibi.getKeyPositions() != match.keyPositions))
    return fail("ALiBi and the mask use different positions");
  match.queryPositions = match.alibi.getQueryPositions();
  match.keyPositions = match.alibi.getKeyPositions();
  return success();
}

//===----------------------------------------------------------------------===//
// Query, key, value
//===----------------------------------------------------------------------===//

/// What works on the last axis of each head alone, and so on tokens too.
bool isPerHead(Operation *op) { return isa<RmsNormOp, LayerNormOp, L2NormalizeOp>(op); }

LogicalResult Matcher::matchHeads(Value value, StringRef name, bool mayScale, HeadSource &source) {
  Type type = getElementTypeOrSelf(value.getType());
  auto requireType = [&](Value from) -> LogicalResult {
    return getElementTypeOrSelf(from.getType()) == type
               ? success()
               : fail(name + " are converted to another type on their way");
  };
  while (Operation *op = value.getDefiningOp()) {
    if (auto split = dyn_cast<SplitHeadsOp>(op)) {
      source.tokens = split.getX();
      source.heads = split.getHeads();
      if (split.getX().getType().isDynamicDim(2))
        return fail(name + " are of a width that isn't known");
      std::reverse(source.steps.begin(), source.steps.end());
      return requireType(source.tokens);
    }
    if (auto repeat = dyn_cast<RepeatKvOp>(op); repeat && source.steps.empty() && !source.gather) {
      source.repeats *= repeat.getRepeats();
      value = repeat.getX();
    } else if (auto gather = dyn_cast<CacheGatherOp>(op);
               gather && source.steps.empty() && !source.gather) {
      source.gather = gather;
      source.append = gather.getCache().getDefiningOp<CacheAppendOp>();
      if (!source.append || source.append.getX().getType().getRank() != 4) {
        source.append = nullptr;
        source.heads = gather.getCache().getType().getDimSize(1);
        return requireType(gather.getCache());
      }
      // What is in the cache keeps its scale.
      mayScale = false;
      value = source.append.getX();
    } else if (isPerHead(op)) {
      source.steps.push_back(op);
      mayScale = false; // A norm doesn't commute with it.
      value = op->getOperand(0);
    } else if (auto rope = dyn_cast<RopeOp>(op); rope && !rope.getHeads()) {
      source.steps.push_back(rope);
      value = rope.getX();
    } else if (std::optional<std::pair<Value, double>> outer = scaled(value); outer && mayScale) {
      source.scale *= outer->second;
      value = outer->first;
    } else if (mayScale && source.steps.empty() && isa<arith::ExtFOp, arith::TruncFOp>(op)) {
      value = op->getOperand(0); // Around the product with the scale.
    } else {
      break;
    }
  }
  Operation *op = value.getDefiningOp();
  return fail(name + " by head come from " +
              (op ? "'" + op->getName().getStringRef().str() + "'"
                  : std::string("an argument of the program")) +
              ", not from split_heads");
}

/// Paged keys need values of the same pages, and a mask that counts from the row's past.
LogicalResult Matcher::matchPages() {
  if (bool(match.k.gather) != bool(match.v.gather))
    return fail("keys and values aren't both read through a block table");
  if (!match.isPaged())
    return success();
  if (match.k.gather.getBlockTable() != match.v.gather.getBlockTable())
    return fail("keys and values are read through different block tables");
  if (match.bias)
    return fail("a bias on paged keys isn't supported");
  if (match.probabilitiesUsed)
    return fail("probabilities over paged keys are used");
  auto queries = match.queryPositions ? match.queryPositions.getDefiningOp<TokenPositionsOp>()
                                      : TokenPositionsOp();
  auto keys = match.keyPositions ? match.keyPositions.getDefiningOp<ContextPositionsOp>()
                                 : ContextPositionsOp();
  if (!match.mask || !match.mask.getCausal() || match.mask.getKeyValid() || !queries || !keys ||
      keys.getBlockTable() != match.k.gather.getBlockTable())
    return fail("the mask of paged keys isn't causal from each row's past");
  for (CacheAppendOp append : {match.k.append, match.v.append})
    if (append &&
        (append.getPast() != queries.getPast() || append.getBlockTable() != keys.getBlockTable()))
      return fail("the cache is appended to at other positions than the mask's");
  return success();
}

FailureOr<AttentionMatch> Matcher::run() {
  if (failed(matchResult()) || failed(matchScores()) || failed(matchPositions()) ||
      failed(matchHeads(match.scores.getLhs(), "queries", true, match.q)) ||
      failed(matchHeads(match.scores.getRhs(), "keys", true, match.k)) ||
      failed(matchHeads(match.mix.getRhs(), "values", false, match.v)) || failed(matchPages()))
    return failure();
  if (match.q.gather) {
    reason = "queries are read from a cache";
    return failure();
  }
  match.scale *= match.q.scale * match.k.scale;
  if (match.alibiBeforeScale && match.q.scale * match.k.scale != 1) {
    reason = "ALiBi is added between two scales";
    return failure();
  }
  if (match.q.repeats != 1 || match.k.repeats != match.v.repeats ||
      match.k.heads != match.v.heads || match.q.heads != match.k.heads * match.k.repeats) {
    reason = "keys and values don't have the same heads, repeated for the queries'";
    return failure();
  }
  return match;
}

} // namespace

FailureOr<AttentionMatch> matchAttention(SoftmaxOp softmax, std::string &reason) {
  reason.clear();
  return Matcher(softmax, reason).run();
}

} // namespace ingot
