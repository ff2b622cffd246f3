//===- FusedAttentionOps.cpp - Attention as one op ------------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"

using namespace mlir;

namespace ingot::transformer {

//===----------------------------------------------------------------------===//
// Verifier
//===----------------------------------------------------------------------===//

/// C1, C2: operands and ranks of one form.
static LogicalResult verifyForm(AttentionOp op) {
  auto requireTogether = [&](StringRef form, StringRef name, bool isThere,
                             bool wanted) -> LogicalResult {
    if (isThere == wanted)
      return success();
    return op.emitOpError() << "C1: " << form << " attention has " << (wanted ? "" : "no ") << name;
  };
  bool isPaged = op.isPaged(), isPacked = op.isPacked();
  bool hasPositions = !isPaged && !isPacked;
  StringRef form = isPacked  ? isPaged ? "packed, paged" : "packed"
                   : isPaged ? "padded, paged"
                             : "padded";
  // C1
  if (failed(requireTogether(form, "past", bool(op.getPast()), isPaged)) ||
      failed(requireTogether(form, "query_positions", bool(op.getQueryPositions()),
                             hasPositions)) ||
      failed(requireTogether(form, "key_positions", bool(op.getKeyPositions()), hasPositions)))
    return failure();
  if (op.getKeyValid() && !hasPositions)
    return op.emitOpError() << "C1: " << form << " attention has no key_valid";
  if (isPaged && !isPacked && !op.getCausal())
    return op.emitOpError("C1: padded, paged attention must be causal");
  // C2
  int64_t queryRank = isPacked ? 2 : 3, keyRank = isPaged ? 4 : queryRank;
  for (auto [name, value, rank] :
       {std::tuple<StringRef, Value, int64_t>{"q", op.getQ(), queryRank},
        {"k", op.getK(), keyRank},
        {"v", op.getV(), keyRank}})
    if (cast<RankedTensorType>(value.getType()).getRank() != rank)
      return op.emitOpError() << "C2: " << name << " of " << form << " attention must be of rank "
                              << rank << ", got " << value.getType();
  return success();
}

/// C3, C4: heads and widths.
static LogicalResult verifyWidths(AttentionOp op) {
  // C3
  int64_t heads = op.getHeads(), kvHeads = op.getKvHeads();
  if (failed(requireAtLeast(op, "C3", "heads", heads, 1)) ||
      failed(requireAtLeast(op, "C3", "kv_heads", kvHeads, 1)))
    return failure();
  if (heads % kvHeads != 0)
    return op.emitOpError() << "C3: heads must be a multiple of kv_heads = " << kvHeads << ", got "
                            << heads;
  // C4
  auto headWidth = [&](StringRef name, Value value, int64_t count, bool isCache,
                       int64_t &width) -> LogicalResult {
    auto type = cast<RankedTensorType>(value.getType());
    width = type.getDimSize(type.getRank() - 1);
    if (isCache) {
      if (!type.isDynamicDim(1) && type.getDimSize(1) != count)
        return op.emitOpError() << "C4: " << name << " must have kv_heads = " << count
                                << " heads, got " << type;
      if (type.isDynamicDim(2) || type.getDimSize(2) < 1)
        return op.emitOpError() << "C4: the block axis of " << name
                                << " must be static and positive, got " << type;
      return success();
    }
    if (ShapedType::isDynamic(width))
      return success();
    if (width % count != 0)
      return op.emitOpError() << "C4: the last axis of " << name
                              << " must be a multiple of its heads = " << count << ", got "
                              << width;
    width /= count;
    return success();
  };
  int64_t queryWidth, keyWidth, valueWidth;
  if (failed(headWidth("q", op.getQ(), heads, false, queryWidth)) ||
      failed(headWidth("k", op.getK(), kvHeads, op.isPaged(), keyWidth)) ||
      failed(headWidth("v", op.getV(), kvHeads, op.isPaged(), valueWidth)))
    return failure();
  if (!ShapedType::isDynamic(queryWidth) && !ShapedType::isDynamic(keyWidth) &&
      queryWidth != keyWidth)
    return op.emitOpError() << "C4: a head of k must be as wide as one of q: expected "
                            << queryWidth << ", got " << keyWidth;
  return success();
}

/// C5: what has B, S, C, T.
static LogicalResult verifySizes(AttentionOp op) {
  Value q = op.getQ(), k = op.getK(), v = op.getV();
  SmallVector<std::pair<OperandDim, OperandDim>> pairs;
  if (op.isPaged()) {
    pairs.push_back({{"k", k, 0}, {"v", v, 0}});
    pairs.push_back({{"k", k, 2}, {"v", v, 2}});
    OperandDim rows{"block_table", op.getBlockTable(), 0};
    if (!op.isPacked())
      pairs.push_back({{"q", q, 0}, rows});
    pairs.push_back({rows, {"past", op.getPast(), 0}});
  } else {
    pairs.push_back({{"q", q, 0}, {"k", k, 0}});
    pairs.push_back({{"q", q, 0}, {"v", v, 0}});
  }
  if (op.getQueryPositions()) {
    pairs.push_back({{"k", k, 1}, {"v", v, 1}});
    for (int64_t dim : {0, 1}) {
      pairs.push_back({{"q", q, dim}, {"query_positions", op.getQueryPositions(), dim}});
      pairs.push_back({{"k", k, dim}, {"key_positions", op.getKeyPositions(), dim}});
      if (op.getKeyValid())
        pairs.push_back({{"k", k, dim}, {"key_valid", op.getKeyValid(), dim}});
    }
  }
  for (auto &[expected, got] : pairs)
    if (failed(requireEqualDims(op, "C5", expected, got)))
      return failure();
  return success();
}

/// C7 to C9: what changes the scores.
static LogicalResult verifyScores(AttentionOp op) {
  // C7
  if (!op.getScale().isFinite())
    return op.emitOpError("C7: scale must be finite");
  if (op.getWindow() && failed(requireAtLeast(op, "C7", "window", *op.getWindow(), 1)))
    return failure();
  if (op.getSoftcap() &&
      failed(requireFinite(op, "C7", "softcap", *op.getSoftcap(), 0.0, /*strict=*/true)))
    return failure();
  // C8
  if (Value bias = op.getBias()) {
    if (!op.getQueryPositions())
      return op.emitOpError("C8: bias must be absent unless attention is padded and not paged");
    auto type = cast<RankedTensorType>(bias.getType());
    if (type.getDimSize(0) != 1 &&
        failed(requireEqualDims(op, "C8", {"q", op.getQ(), 0}, {"bias", bias, 0})))
      return failure();
    int64_t heads = type.getDimSize(1);
    if (!ShapedType::isDynamic(heads) && heads != 1 &&
        heads != static_cast<int64_t>(op.getHeads()))
      return op.emitOpError() << "C8: bias must have 1 or heads = " << op.getHeads()
                              << " heads, got " << heads;
    if (failed(requireEqualDims(op, "C8", {"q", op.getQ(), 1}, {"bias", bias, 2})) ||
        failed(requireEqualDims(op, "C8", {"k", op.getK(), 1}, {"bias", bias, 3})))
      return failure();
  }
  // C9
  for (auto [name, value] :
       {std::pair<StringRef, Value>{"alibi_slopes", op.getAlibiSlopes()},
        {"sinks", op.getSinks()},
        {"head_mask", op.getHeadMask()}}) {
    if (!value)
      continue;
    int64_t size = cast<RankedTensorType>(value.getType()).getDimSize(0);
    if (!ShapedType::isDynamic(size) && size != static_cast<int64_t>(op.getHeads()))
      return op.emitOpError() << "C9: " << name << " must have heads = " << op.getHeads()
                              << " elements, got " << size;
  }
  if (op.getAlibiBeforeScale() && !op.getAlibiSlopes())
    return op.emitOpError("C9: alibi_before_scale needs alibi_slopes");
  return success();
}

LogicalResult AttentionOp::verify() {
  // C1, C2, C3, C4, C5
  if (failed(verifyForm(*this)) || failed(verifyWidths(*this)) || failed(verifySizes(*this)))
    return failure();
  // C6
  if (failed(requireSameElementType(*this, "C6", "q", getQ(), "k", getK())) ||
      failed(requireSameElementType(*this, "C6", "q", getQ(), "v", getV())))
    return failure();
  // C7, C8, C9
  if (failed(verifyScores(*this)))
    return failure();
  // C10
  if (getReturnProbabilities() && !getQueryPositions())
    return emitOpError(
        "C10: return_probabilities needs attention that is padded and not paged");
  // C11
  if (getBackend())
    if (std::optional<std::string> reason = whyNot(*getBackend()))
      return emitOpError() << "C11: " << *reason;
  return success();
}

std::optional<std::string> AttentionOp::whyNot(AttentionBackend backend) {
  if (backend == AttentionBackend::Math)
    return std::nullopt;
  std::string name = stringifyAttentionBackend(backend).str();
  if (getReturnProbabilities())
    return name + " returns no probabilities";
  if (getHeadMask())
    return name + " takes no head_mask";
  if (backend == AttentionBackend::Efficient)
    return std::nullopt;
  std::string text;
  llvm::raw_string_ostream os(text);
  if (Type type = elementTypeOf(getQ()); !type.isF16() && !type.isBF16()) {
    os << "flash takes f16 or bf16, got '" << type << "'";
    return text;
  }
  if (getBias()) {
    os << "flash takes no bias, got one of '" << getBias().getType() << "'";
    return text;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Shapes
//===----------------------------------------------------------------------===//

int64_t AttentionOp::getValueWidth() {
  auto type = cast<RankedTensorType>(getV().getType());
  int64_t width = type.getDimSize(type.getRank() - 1);
  return isPaged() || ShapedType::isDynamic(width) ? width
                                                   : width / static_cast<int64_t>(getKvHeads());
}

FailureOr<ResultShapes> AttentionOp::resultShapes(Adaptor op) {
  Value q = op.getQ(), k = op.getK(), v = op.getV();
  ResultShape out{elementTypeOf(q), leadingDims(q, /*drop=*/1)};
  ResultDim width = ResultDim::of(v, -1).times(op.getHeads());
  out.dims.push_back(op.getBlockTable() ? width : width.over(op.getKvHeads()));
  ResultShapes shapes{out};
  if (op.getReturnProbabilities())
    shapes.push_back({elementTypeOf(q),
                      {ResultDim::of(q, 0).sameAs(k, 0), ResultDim::constant(op.getHeads()),
                       ResultDim::of(q, 1), ResultDim::of(k, 1)}});
  return shapes;
}

} // namespace ingot::transformer
