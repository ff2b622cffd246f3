//===- Tokenwise.cpp - What ops do with packed tokens ---------------------===//
//
// Most ops do to packed tokens what they do to padded ones: they are built again on the packed operands.
// Ops that look at other tokens of a row (positions, pooling, attention, the cache) say here when their
// mask is the batch's, and what their packed form is.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/Tokenwise.h"

#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include "dialects/Transformer/TransformerInterfaces.cpp.inc"

using namespace mlir;

namespace ingot::transformer {

namespace {

using Built = FailureOr<SmallVector<Value>>;

//===----------------------------------------------------------------------===//
// Ops that work on a token at a time
//===----------------------------------------------------------------------===//

/// A copy of `op` on the packed forms of `tokens`, results typed by `inferTypes`.
Built rebuild(OpBuilder &builder, Operation *op, Packing &packing, ArrayRef<Value> tokens,
              function_ref<LogicalResult(Operation *, SmallVectorImpl<Type> &)> inferTypes) {
  for (Value value : tokens)
    if (!packing.isPadded(value))
      return packing.fail("it does not work on [B, S, ...] with the batch's B and S");
  IRMapping mapping;
  for (Value value : tokens)
    mapping.map(value, packing.getPacked(value));
  Operation *copy = op->clone(mapping);
  SmallVector<Type> types;
  if (failed(inferTypes(copy, types)) || types.size() != op->getNumResults()) {
    copy->destroy();
    return packing.fail("its packed form has no types");
  }
  for (auto [result, type] : llvm::zip_equal(copy->getResults(), types))
    result.setType(type);
  builder.insert(copy);
  return SmallVector<Value>(copy->getResults());
}

LogicalResult inferFromInterface(Operation *op, SmallVectorImpl<Type> &types) {
  return cast<InferTypeOpInterface>(op).inferReturnTypes(
      op->getContext(), op->getLoc(), op->getOperands(), op->getRawDictionaryAttrs(),
      op->getPropertiesStorage(), op->getRegions(), types);
}

/// The floating-point operations of x·Wᵀ for a row of x.
int64_t productFlops(Value weight) {
  auto type = cast<RankedTensorType>(weight.getType());
  return type.hasStaticShape() ? 2 * type.getNumElements() : 0;
}

/// Operands that are tokens, by op. Everything else an op takes is the same for all tokens.
SmallVector<Value> tokensOf(EmbeddingOp op) { return {op.getIds()}; }
SmallVector<Value> tokensOf(LinearOp op) { return {op.getX()}; }
SmallVector<Value> tokensOf(GatedLinearOp op) { return {op.getX()}; }
SmallVector<Value> tokensOf(ActivationOp op) { return {op.getX()}; }
SmallVector<Value> tokensOf(RmsNormOp op) { return {op.getX()}; }
SmallVector<Value> tokensOf(LayerNormOp op) { return {op.getX()}; }
SmallVector<Value> tokensOf(L2NormalizeOp op) { return {op.getX()}; }
SmallVector<Value> tokensOf(AddRmsNormOp op) { return {op.getX(), op.getResidual()}; }
SmallVector<Value> tokensOf(AddLayerNormOp op) { return {op.getX(), op.getResidual()}; }
SmallVector<Value> tokensOf(RopeOp op) { return {op.getX(), op.getCos(), op.getSin()}; }

int64_t flopsOf(Operation *) { return 0; }
int64_t flopsOf(LinearOp op) { return productFlops(op.getWeight()); }
int64_t flopsOf(GatedLinearOp op) { return productFlops(op.getWeight()); }

template <typename OpT>
struct TokenwiseModel : TokenwiseOpInterface::ExternalModel<TokenwiseModel<OpT>, OpT> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    return rebuild(builder, op, packing, tokensOf(cast<OpT>(op)), inferFromInterface);
  }
  int64_t getFlopsPerToken(Operation *op) const { return flopsOf(cast<OpT>(op)); }
};

/// Upstream elementwise ops: all tensors have one shape.
template <typename OpT>
struct ElementwiseModel : TokenwiseOpInterface::ExternalModel<ElementwiseModel<OpT>, OpT> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    SmallVector<Value> tokens;
    for (Value operand : op->getOperands())
      if (isa<TensorType>(operand.getType()))
        tokens.push_back(operand);
    return rebuild(builder, op, packing, tokens,
                   [&](Operation *copy, SmallVectorImpl<Type> &types) -> LogicalResult {
                     for (Value operand : copy->getOperands())
                       if (auto shape = dyn_cast<RankedTensorType>(operand.getType())) {
                         for (Type type : op->getResultTypes())
                           types.push_back(shape.clone(getElementTypeOrSelf(type)));
                         return success();
                       }
                     return failure();
                   });
  }
};

struct RopeTableModel : TokenwiseOpInterface::ExternalModel<RopeTableModel, RopeTableOp> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto table = cast<RopeTableOp>(op);
    if (table.getInvFreq().getType().getRank() != 1)
      return packing.fail("its frequencies differ by row");
    return rebuild(builder, op, packing, {table.getPositions()}, inferFromInterface);
  }
};

//===----------------------------------------------------------------------===//
// Reshapes and slices behind B and S
//===----------------------------------------------------------------------===//

struct SplatModel : TokenwiseOpInterface::ExternalModel<SplatModel, tensor::SplatOp> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto splat = cast<tensor::SplatOp>(op);
    auto shape = splat.getType().getShape();
    if (!packing.isPadded(splat.getResult()) || !splat.getType().isDynamicDim(0) ||
        !splat.getType().isDynamicDim(1))
      return packing.fail("it does not make a [B, S, ...] with the batch's B and S");
    SmallVector<int64_t> dims{ShapedType::kDynamic};
    llvm::append_range(dims, shape.drop_front(2));
    SmallVector<Value> sizes{tensor::DimOp::create(builder, op->getLoc(), packing.indices, 0)};
    llvm::append_range(sizes, splat.getDynamicSizes().drop_front(2));
    auto type = RankedTensorType::get(dims, splat.getType().getElementType());
    return SmallVector<Value>{
        tensor::SplatOp::create(builder, op->getLoc(), type, splat.getInput(), sizes)};
  }
};

/// The type [T, ...] of packed `packed` with the trailing dimensions of `padded` from `drop` on.
RankedTensorType packedType(Value packed, RankedTensorType padded) {
  SmallVector<int64_t> dims{cast<RankedTensorType>(packed.getType()).getDimSize(0)};
  llvm::append_range(dims, padded.getShape().drop_front(2));
  return RankedTensorType::get(dims, padded.getElementType());
}

struct ExtractSliceModel
    : TokenwiseOpInterface::ExternalModel<ExtractSliceModel, tensor::ExtractSliceOp> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto slice = cast<tensor::ExtractSliceOp>(op);
    SmallVector<OpFoldResult> offsets = slice.getMixedOffsets(), strides = slice.getMixedStrides();
    auto isWhole = [&](int64_t dim) {
      return isConstantIntValue(offsets[dim], 0) && isConstantIntValue(strides[dim], 1);
    };
    // With the result's B and S the batch's, too, no token is left out.
    if (!packing.isPadded(slice.getSource()) || !packing.isPadded(slice.getResult()) ||
        slice.getSourceType().getRank() != slice.getType().getRank() || !isWhole(0) || !isWhole(1))
      return packing.fail("it does not slice tokens behind B and S");
    Value packed = packing.getPacked(slice.getSource());
    SmallVector<OpFoldResult> sizes = slice.getMixedSizes();
    SmallVector<OpFoldResult> tokenSizes{tensor::getMixedSize(builder, op->getLoc(), packed, 0)};
    llvm::append_range(tokenSizes, ArrayRef(sizes).drop_front(2));
    return SmallVector<Value>{tensor::ExtractSliceOp::create(
        builder, op->getLoc(), packedType(packed, slice.getType()), packed,
        ArrayRef(offsets).drop_front(), tokenSizes, ArrayRef(strides).drop_front())};
  }
};

/// Reassociation of [B, S, ...] as one of [T, ...]; nothing if B or S is merged with anything.
std::optional<SmallVector<ReassociationIndices>>
packReassociation(ArrayRef<ReassociationIndices> groups) {
  if (groups.size() < 2 || groups[0].size() != 1 || groups[1].size() != 1)
    return std::nullopt;
  SmallVector<ReassociationIndices> packed;
  for (const ReassociationIndices &group : groups.drop_front()) {
    packed.emplace_back();
    for (int64_t dim : group)
      packed.back().push_back(dim - 1);
  }
  return packed;
}

struct ExpandModel : TokenwiseOpInterface::ExternalModel<ExpandModel, tensor::ExpandShapeOp> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto expand = cast<tensor::ExpandShapeOp>(op);
    auto groups = packReassociation(expand.getReassociationIndices());
    if (!groups || !packing.isPadded(expand.getSrc()))
      return packing.fail("it reshapes B or S");
    Value packed = packing.getPacked(expand.getSrc());
    SmallVector<OpFoldResult> sizes{tensor::getMixedSize(builder, op->getLoc(), packed, 0)};
    llvm::append_range(sizes, ArrayRef(expand.getMixedOutputShape()).drop_front(2));
    return SmallVector<Value>{tensor::ExpandShapeOp::create(
        builder, op->getLoc(), packedType(packed, expand.getResultType()), packed, *groups, sizes)};
  }
};

struct CollapseModel : TokenwiseOpInterface::ExternalModel<CollapseModel, tensor::CollapseShapeOp> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto collapse = cast<tensor::CollapseShapeOp>(op);
    auto groups = packReassociation(collapse.getReassociationIndices());
    if (!groups || !packing.isPadded(collapse.getSrc()))
      return packing.fail("it reshapes B or S");
    Value packed = packing.getPacked(collapse.getSrc());
    return SmallVector<Value>{
        tensor::CollapseShapeOp::create(builder, op->getLoc(),
                                        packedType(packed, collapse.getResultType()), packed,
                                        *groups)};
  }
};

//===----------------------------------------------------------------------===//
// Positions and pooling
//===----------------------------------------------------------------------===//

constexpr const char *kOtherMask = "its mask is not the one that the batch is packed by";

struct PositionsModel : TokenwiseOpInterface::ExternalModel<PositionsModel, PositionsOp> {
  Value getTokenMask(Operation *op) const { return cast<PositionsOp>(op).getMask(); }
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto positions = cast<PositionsOp>(op);
    Value counted;
    if (positions.getMask() != packing.mask) {
      // Of the valid tokens only some count: valid and another mask, which packed tokens have of their own.
      auto both = positions.getMask().getDefiningOp<arith::AndIOp>();
      if (!both || !llvm::is_contained(both->getOperands(), packing.mask))
        return packing.fail(kOtherMask);
      counted = packing.getPacked(both.getLhs() == packing.mask ? both.getRhs() : both.getLhs());
    }
    return SmallVector<Value>{PackedPositionsOp::create(
        builder, op->getLoc(), packing.cuSeqlens, counted ? counted : packing.indices, Value(),
        counted, positions.getOffsetAttr(),
        counted ? positions.getPaddingPositionAttr() : IntegerAttr())};
  }
};

struct TokenPositionsModel
    : TokenwiseOpInterface::ExternalModel<TokenPositionsModel, TokenPositionsOp> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto positions = cast<TokenPositionsOp>(op);
    if (!packing.lengths || !packing.isPadded(positions.getLike()))
      return packing.fail("tokens are not at the front of their rows");
    return SmallVector<Value>{PackedPositionsOp::create(
        builder, op->getLoc(), packing.cuSeqlens, packing.indices, positions.getPast(), Value(),
        builder.getI64IntegerAttr(0), IntegerAttr())};
  }
};

struct MeanPoolModel : TokenwiseOpInterface::ExternalModel<MeanPoolModel, MeanPoolOp> {
  Value getTokenMask(Operation *op) const { return cast<MeanPoolOp>(op).getMask(); }
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto pool = cast<MeanPoolOp>(op);
    if (pool.getMask() != packing.mask || !packing.isPadded(pool.getX()))
      return packing.fail(kOtherMask);
    return SmallVector<Value>{PackedMeanPoolOp::create(
        builder, op->getLoc(), packing.getPacked(pool.getX()), packing.cuSeqlens, packing.mask)};
  }
};

/// lengths - 1.
bool isLastToken(Value index, Value lengths) {
  auto isAll = [](Value value, int64_t integer) {
    if (auto splat = value.getDefiningOp<tensor::SplatOp>())
      value = splat.getInput();
    APInt constant;
    return matchPattern(value, m_ConstantInt(&constant)) && constant.getSExtValue() == integer;
  };
  if (auto sub = index.getDefiningOp<arith::SubIOp>())
    return sub.getLhs() == lengths && isAll(sub.getRhs(), 1);
  if (auto add = index.getDefiningOp<arith::AddIOp>())
    return add.getLhs() == lengths && isAll(add.getRhs(), -1);
  return false;
}

struct SelectTokenModel : TokenwiseOpInterface::ExternalModel<SelectTokenModel, SelectTokenOp> {
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto select = cast<SelectTokenOp>(op);
    auto first = select.getIndex().getDefiningOp<FirstTokenOp>();
    bool isFirst = first && first.getMask() == packing.mask;
    bool isLast = packing.lengths && isLastToken(select.getIndex(), packing.lengths);
    if (!packing.isPadded(select.getX()) || (!isFirst && !isLast))
      return packing.fail("its token is not known to be the first or the last valid one of its row");
    return SmallVector<Value>{PackedTokenOp::create(
        builder, op->getLoc(), packing.getPacked(select.getX()), packing.cuSeqlens, packing.mask,
        isFirst ? UnitAttr() : builder.getUnitAttr())};
  }
};

//===----------------------------------------------------------------------===//
// Attention and the cache
//===----------------------------------------------------------------------===//

struct AttentionMaskModel : TokenwiseOpInterface::ExternalModel<AttentionMaskModel, AttentionMaskOp> {
  Value getTokenMask(Operation *op) const { return cast<AttentionMaskOp>(op).getKeyValid(); }
  Built buildPacked(Operation *, OpBuilder &, Packing &packing) const {
    return packing.fail("it relates all tokens of a row to each other");
  }
};

struct AttentionModel : TokenwiseOpInterface::ExternalModel<AttentionModel, AttentionOp> {
  Value getTokenMask(Operation *op) const { return cast<AttentionOp>(op).getKeyValid(); }

  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto attention = cast<AttentionOp>(op);
    if (std::optional<std::string> reason = whyNot(attention, packing))
      return packing.fail(*reason);
    Value q = packing.getPacked(attention.getQ()), k, v;
    if (!attention.isPaged()) {
      k = packing.getPacked(attention.getK());
      v = packing.getPacked(attention.getV());
    }
    auto copy = cast<AttentionOp>(op->clone());
    copy.getQMutable().set(q);
    if (k) {
      copy.getKMutable().set(k);
      copy.getVMutable().set(v);
    }
    copy.getQueryPositionsMutable().clear();
    copy.getKeyPositionsMutable().clear();
    copy.getKeyValidMutable().clear();
    copy.getCuSeqlensMutable().assign(packing.cuSeqlens);
    copy.getOut().setType(packedType(q, cast<RankedTensorType>(attention.getOut().getType())));
    builder.insert(copy);
    return SmallVector<Value>(copy->getResults());
  }

  int64_t getFlopsPerPair(Operation *op) const {
    auto attention = cast<AttentionOp>(op);
    int64_t q = cast<RankedTensorType>(attention.getQ().getType()).getShape().back();
    int64_t out = cast<RankedTensorType>(attention.getOut().getType()).getShape().back();
    return ShapedType::isDynamic(q) || ShapedType::isDynamic(out) ? 0 : 2 * (q + out);
  }

private:
  static std::optional<std::string> whyNot(AttentionOp op, Packing &packing) {
    if (op.isPacked() || !packing.isPadded(op.getQ()))
      return "it does not work on [B, S, ...] with the batch's B and S";
    if (op.getReturnProbabilities())
      return "it returns probabilities";
    if (op.getBias())
      return "its bias is for padded batches";
    if (op.getBackend() == AttentionBackend::Math)
      return "back end math makes scores of whole rows";
    if (op.isPaged())
      return packing.lengths ? std::nullopt
                             : std::optional<std::string>("tokens are not at the front of their rows");
    if (!packing.isPadded(op.getK()) || !packing.isPadded(op.getV()))
      return "its keys are not the tokens of the batch";
    if (op.getKeyValid() != packing.mask)
      return kOtherMask;
    // Only differences of positions count, and those of a row's valid tokens are those of its packed
    // tokens.
    auto positions = op.getQueryPositions().getDefiningOp<PositionsOp>();
    if (op.getQueryPositions() != op.getKeyPositions() || !positions ||
        positions.getMask() != packing.mask)
      return "its positions do not count the valid tokens of the mask";
    return std::nullopt;
  }
};

struct CacheAppendModel : TokenwiseOpInterface::ExternalModel<CacheAppendModel, CacheAppendOp> {
  Value getTokenLengths(Operation *op) const {
    auto append = cast<CacheAppendOp>(op);
    return append.getX().getType().getRank() == 3 ? append.getNumTokens() : Value();
  }
  Built buildPacked(Operation *op, OpBuilder &builder, Packing &packing) const {
    auto append = cast<CacheAppendOp>(op);
    if (!packing.lengths || append.getNumTokens() != packing.lengths ||
        !packing.isPadded(append.getX()))
      return packing.fail("it does not append the tokens that the batch is packed by");
    Value x = packing.getPacked(append.getX());
    auto copy = cast<CacheAppendOp>(op->clone());
    copy.getXMutable().set(x);
    copy.getNumTokensMutable().clear();
    copy.getCuSeqlensMutable().assign(packing.cuSeqlens);
    builder.insert(copy);
    return SmallVector<Value>(copy->getResults());
  }
};

//===----------------------------------------------------------------------===//
// Registration
//===----------------------------------------------------------------------===//

template <typename... Ops> void attachTokenwise(MLIRContext &context) {
  (Ops::template attachInterface<TokenwiseModel<Ops>>(context), ...);
}

/// The elementwise ops among `Ops`, told by their traits.
template <typename... Ops> void attachElementwise(MLIRContext &context) {
  auto attach = [&]<typename OpT>() {
    if constexpr (OpT::template hasTrait<OpTrait::Elementwise>())
      OpT::template attachInterface<ElementwiseModel<OpT>>(context);
  };
  (attach.template operator()<Ops>(), ...);
}

} // namespace

void attachTokenwiseModels(MLIRContext &context) {
  attachTokenwise<EmbeddingOp, LinearOp, GatedLinearOp, ActivationOp, RmsNormOp, LayerNormOp,
                  L2NormalizeOp, AddRmsNormOp, AddLayerNormOp, RopeOp>(context);
  RopeTableOp::attachInterface<RopeTableModel>(context);
  PositionsOp::attachInterface<PositionsModel>(context);
  TokenPositionsOp::attachInterface<TokenPositionsModel>(context);
  MeanPoolOp::attachInterface<MeanPoolModel>(context);
  SelectTokenOp::attachInterface<SelectTokenModel>(context);
  AttentionMaskOp::attachInterface<AttentionMaskModel>(context);
  AttentionOp::attachInterface<AttentionModel>(context);
  CacheAppendOp::attachInterface<CacheAppendModel>(context);

  tensor::SplatOp::attachInterface<SplatModel>(context);
  tensor::ExtractSliceOp::attachInterface<ExtractSliceModel>(context);
  tensor::ExpandShapeOp::attachInterface<ExpandModel>(context);
  tensor::CollapseShapeOp::attachInterface<CollapseModel>(context);
  attachElementwise<
#define GET_OP_LIST
#include "mlir/Dialect/Arith/IR/ArithOps.cpp.inc"
      >(context);
  attachElementwise<
#define GET_OP_LIST
#include "mlir/Dialect/Math/IR/MathOps.cpp.inc"
      >(context);
}

} // namespace ingot::transformer
