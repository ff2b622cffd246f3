//===- Shapes.cpp - Where result dimensions come from ---------------------===//
#include "dialects/Transformer/Shapes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/TypeUtilities.h"
#include "llvm/Support/CheckedArithmetic.h"

using namespace mlir;

namespace ingot::transformer {

ResultDim ResultDim::constant(int64_t size) {
  ResultDim dim;
  dim.factor = size;
  return dim;
}

ResultDim ResultDim::of(Value value, int64_t dim) { return ResultDim().sameAs(value, dim); }

ResultDim ResultDim::lastElement(Value value, ArrayRef<std::pair<Value, int64_t>> bound) {
  ResultDim dim;
  dim.element = value;
  dim.sources.assign(bound.begin(), bound.end());
  return dim;
}

ResultDim ResultDim::sameAs(Value value, int64_t dim) const {
  ResultDim result = *this;
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (type && dim < 0)
    dim += type.getRank();
  result.sources.push_back({value, dim});
  return result;
}

ResultDim ResultDim::times(int64_t by) const {
  ResultDim result = *this;
  result.factor *= by;
  return result;
}

ResultDim ResultDim::over(int64_t by) const {
  ResultDim result = *this;
  // A verifier refuses a divisor that is not positive; inference only has to survive it.
  result.divisor *= by > 0 ? by : 1;
  return result;
}

FailureOr<int64_t> ResultDim::staticSize() const {
  if (sources.empty())
    return factor;
  if (element && !isa<RankedTensorType>(element.getType()))
    return failure();
  int64_t size = ShapedType::kDynamic;
  for (auto [value, dim] : sources) {
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (!type || dim < 0 || dim >= type.getRank())
      return failure();
    if (!element && ShapedType::isDynamic(size))
      size = type.getDimSize(dim);
  }
  if (ShapedType::isDynamic(size))
    return size;
  std::optional<int64_t> product = llvm::checkedMul(size, factor);
  if (!product)
    return failure();
  return *product / divisor;
}

/// max(min(index_cast(element), bound), 0): the form that whoever follows sizes recognizes.
OpFoldResult ResultDim::reifyElement(OpBuilder &builder, Location loc) const {
  Value last = getValueOrCreateConstantIndexOp(builder, loc,
                                               tensor::getMixedSize(builder, loc, element, 0));
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  last = builder.createOrFold<arith::SubIOp>(loc, last, one);
  Value read = tensor::ExtractOp::create(builder, loc, element, last);
  Value size = arith::IndexCastOp::create(builder, loc, builder.getIndexType(), read);
  Value bound;
  for (auto [value, dim] : sources) {
    Value factor = getValueOrCreateConstantIndexOp(builder, loc,
                                                   tensor::getMixedSize(builder, loc, value, dim));
    bound = bound ? builder.createOrFold<arith::MulIOp>(loc, bound, factor) : factor;
  }
  size = arith::MinSIOp::create(builder, loc, size, bound);
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  return arith::MaxSIOp::create(builder, loc, size, zero).getResult();
}

OpFoldResult ResultDim::reify(OpBuilder &builder, Location loc) const {
  if (element)
    return reifyElement(builder, loc);
  FailureOr<int64_t> size = staticSize();
  if (succeeded(size) && !ShapedType::isDynamic(*size))
    return builder.getIndexAttr(*size);
  auto [value, dim] = sources.front();
  OpFoldResult source = tensor::getMixedSize(builder, loc, value, dim);
  if (factor == 1 && divisor == 1)
    return source;
  AffineExpr d0 = builder.getAffineDimExpr(0);
  return affine::makeComposedFoldedAffineApply(builder, loc, (d0 * factor).floorDiv(divisor),
                                               {source});
}

SmallVector<ResultDim, 4> leadingDims(Value value, int64_t drop) {
  SmallVector<ResultDim, 4> dims;
  if (auto type = dyn_cast<RankedTensorType>(value.getType()))
    for (int64_t i = 0; i < type.getRank() - drop; ++i)
      dims.push_back(ResultDim::of(value, i));
  return dims;
}

Type elementTypeOf(Value value) { return getElementTypeOrSelf(value.getType()); }

LogicalResult inferTypes(std::optional<Location> loc, StringRef opName,
                         const FailureOr<ResultShapes> &shapes, SmallVectorImpl<Type> &types) {
  if (succeeded(shapes)) {
    for (const ResultShape &shape : *shapes) {
      SmallVector<int64_t> sizes;
      for (const ResultDim &dim : shape.dims) {
        FailureOr<int64_t> size = dim.staticSize();
        if (failed(size) || (!ShapedType::isDynamic(*size) && *size < 0))
          return emitOptionalError(loc, "'", opName, "' op operands have the wrong rank or size");
        sizes.push_back(*size);
      }
      types.push_back(RankedTensorType::get(sizes, shape.elementType));
    }
    return success();
  }
  return emitOptionalError(loc, "'", opName, "' op operands have the wrong rank or size");
}

bool areCompatible(TypeRange inferred, TypeRange actual) {
  if (inferred.size() != actual.size())
    return false;
  for (auto [a, b] : llvm::zip_equal(inferred, actual))
    if (getElementTypeOrSelf(a) != getElementTypeOrSelf(b) || failed(verifyCompatibleShape(a, b)))
      return false;
  return true;
}

LogicalResult reifyShapes(Operation *op, const FailureOr<ResultShapes> &shapes, OpBuilder &builder,
                          ReifiedRankedShapedTypeDims &reified) {
  if (failed(shapes))
    return failure();
  for (auto [shape, type] : llvm::zip_equal(*shapes, op->getResultTypes())) {
    SmallVector<OpFoldResult> sizes;
    for (auto [dim, size] : llvm::zip_equal(shape.dims, cast<RankedTensorType>(type).getShape()))
      sizes.push_back(ShapedType::isDynamic(size)
                          ? OpFoldResult(getValueOrCreateConstantIndexOp(
                                builder, op->getLoc(), dim.reify(builder, op->getLoc())))
                          : OpFoldResult(builder.getIndexAttr(size)));
    reified.push_back(std::move(sizes));
  }
  return success();
}

FailureOr<SmallVector<Value>> castToResultTypes(Operation *op, FailureOr<SmallVector<Value>> values,
                                                OpBuilder &builder) {
  if (failed(values))
    return failure();
  for (auto [value, type] : llvm::zip_equal(*values, op->getResultTypes()))
    if (value.getType() != type)
      value = tensor::CastOp::create(builder, op->getLoc(), type, value);
  return values;
}

LogicalResult requireEqualDims(Operation *op, StringRef constraint, OperandDim expected,
                               OperandDim got) {
  auto sizeOf = [](OperandDim &operand) {
    auto type = cast<RankedTensorType>(operand.value.getType());
    if (operand.dim < 0)
      operand.dim += type.getRank();
    return type.getDimSize(operand.dim);
  };
  int64_t expectedSize = sizeOf(expected), gotSize = sizeOf(got);
  if (ShapedType::isDynamic(expectedSize) || ShapedType::isDynamic(gotSize) ||
      expectedSize == gotSize)
    return success();
  return op->emitOpError() << constraint << ": dimension " << got.dim << " of " << got.name
                           << " must be dimension " << expected.dim << " of " << expected.name
                           << ": expected " << expectedSize << ", got " << gotSize;
}

LogicalResult requireRepeatable(Operation *op, StringRef constraint, OperandDim expected,
                                OperandDim got) {
  for (int64_t i = 0; i < 2; ++i, ++expected.dim, ++got.dim)
    if (cast<RankedTensorType>(got.value.getType()).getDimSize(got.dim) != 1 &&
        failed(requireEqualDims(op, constraint, expected, got)))
      return failure();
  return success();
}

LogicalResult requireSameElementType(Operation *op, StringRef constraint, StringRef expectedName,
                                     Value expected, StringRef gotName, Value got) {
  if (elementTypeOf(expected) == elementTypeOf(got))
    return success();
  return op->emitOpError() << constraint << ": " << gotName << " must have the element type of "
                           << expectedName << ": expected " << elementTypeOf(expected) << ", got "
                           << elementTypeOf(got);
}

LogicalResult requireAtLeast(Operation *op, StringRef constraint, StringRef name, int64_t value,
                             int64_t minimum) {
  if (value >= minimum)
    return success();
  return op->emitOpError() << constraint << ": " << name << " must be at least " << minimum
                           << ", got " << value;
}

LogicalResult requireFinite(Operation *op, StringRef constraint, StringRef name,
                            const APFloat &value, double minimum, bool strict) {
  double v = value.convertToDouble();
  if (value.isFinite() && (strict ? v > minimum : v >= minimum))
    return success();
  SmallString<24> minimumText, text;
  APFloat(minimum).toString(minimumText);
  value.toString(text);
  return op->emitOpError() << constraint << ": " << name << " must be finite and "
                           << (strict ? "more than " : "at least ") << minimumText << ", got "
                           << text;
}

} // namespace ingot::transformer
