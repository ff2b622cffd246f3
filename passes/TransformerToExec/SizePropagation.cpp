//===- SizePropagation.cpp - Symbolic sizes of a program's values -----------===//
#include "passes/TransformerToExec/SizePropagation.h"

#include "dialects/Exec/ExecOps.h"
#include "dialects/Transformer/TransformerDialect.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

using namespace mlir;
using namespace ingot;
using ingot::exec::SizeAttr;

exec::BufferType SizePropagation::getBufferType(Value tensor) const {
  return exec::BufferType::get(tensor.getContext(), getShape(tensor),
                               getElementTypeOrSelf(tensor.getType()));
}

LogicalResult SizePropagation::set(Value value, ArrayRef<SizeAttr> shape) {
  auto type = cast<RankedTensorType>(value.getType());
  SmallVector<SizeAttr> checked(shape);
  for (auto [dim, size] : llvm::zip_equal(type.getShape(), checked)) {
    if (ShapedType::isDynamic(dim))
      continue;
    if (size.isStatic() && size.getFactor() != dim)
      return emitError(value.getLoc()) << "expects a dimension of " << size.str() << " in " << type
                                       << ", as the operands give it, got " << dim;
    size = SizeAttr::get(value.getContext(), dim);
  }
  shapes[value] = std::move(checked);
  return success();
}

SizeAttr SizePropagation::evaluate(AffineExpr expr, AffineMap map, ValueRange operands) {
  MLIRContext *context = expr.getContext();
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return constant.getValue() < 0 ? SizeAttr() : SizeAttr::get(context, constant.getValue());
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return evaluate(operands[dim.getPosition()]);
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return evaluate(operands[map.getNumDims() + symbol.getPosition()]);
  auto binary = cast<AffineBinaryOpExpr>(expr);
  SizeAttr lhs = evaluate(binary.getLHS(), map, operands);
  SizeAttr rhs = evaluate(binary.getRHS(), map, operands);
  if (!lhs || !rhs)
    return {};
  switch (expr.getKind()) {
  case AffineExprKind::Mul:
    return exec::multiply(lhs, rhs);
  case AffineExprKind::CeilDiv:
    return rhs.isStatic() ? exec::ceilDivide(lhs, rhs.getFactor()) : SizeAttr();
  case AffineExprKind::FloorDiv:
    return exec::divideExactly(lhs, rhs);
  default:
    return {};
  }
}

SizeAttr SizePropagation::evaluate(Value index) {
  APInt constant;
  if (matchPattern(index, m_ConstantInt(&constant)))
    return constant.isNegative() ? SizeAttr()
                                 : SizeAttr::get(index.getContext(), constant.getSExtValue());
  Operation *op = index.getDefiningOp();
  if (!op)
    return {};
  if (auto dim = dyn_cast<ShapedDimOpInterface>(op)) {
    std::optional<int64_t> position = getConstantIntValue(dim.getDimension());
    auto shape = shapes.find(dim.getShapedValue());
    if (!position || shape == shapes.end() || *position < 0 ||
        *position >= static_cast<int64_t>(shape->second.size()))
      return {};
    return shape->second[*position];
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op))
    return evaluate(apply.getAffineMap().getResult(0), apply.getAffineMap(),
                    apply.getMapOperands());
  if (op->getNumOperands() == 1 && isa<arith::IndexCastOp, arith::IndexCastUIOp>(op))
    return evaluate(op->getOperand(0));
  if (op->getNumOperands() != 2)
    return {};
  // No size is negative.
  if (isa<arith::MaxSIOp>(op) && matchPattern(op->getOperand(1), m_Zero()))
    return evaluate(op->getOperand(0));
  if (isa<arith::MinSIOp>(op))
    return evaluateElement(op);
  SizeAttr lhs = evaluate(op->getOperand(0)), rhs = evaluate(op->getOperand(1));
  if (!lhs || !rhs)
    return {};
  if (isa<arith::MulIOp>(op))
    return exec::multiply(lhs, rhs);
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(op))
    return exec::divideExactly(lhs, rhs);
  if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op) && rhs.isStatic())
    return exec::ceilDivide(lhs, rhs.getFactor());
  return {};
}

SizeAttr SizePropagation::evaluateElement(Operation *op) {
  auto cast = op->getOperand(0).getDefiningOp<arith::IndexCastOp>();
  auto extract = cast ? cast.getIn().getDefiningOp<tensor::ExtractOp>() : nullptr;
  SizeAttr bound = evaluate(op->getOperand(1));
  if (!extract || !bound || extract.getIndices().size() != 1)
    return {};
  RankedTensorType type = extract.getTensor().getType();
  std::optional<int64_t> element = getConstantIntValue(extract.getIndices().front());
  if (!type.hasStaticShape() || !type.getElementType().isInteger(32) || !element || *element < 0 ||
      *element >= type.getDimSize(0))
    return {};
  for (const ResidentSize &known : residents)
    if (known.tensor == extract.getTensor() && known.element == *element && known.bound == bound)
      return SizeAttr::get(op->getContext(), 1, known.name);
  // T, T1, T2, …
  StringAttr name;
  for (unsigned suffix = residents.size(); !name || names.contains(name); ++suffix)
    name = StringAttr::get(op->getContext(), suffix == 0 ? "T" : "T" + std::to_string(suffix));
  names.insert(name);
  residents.push_back({name, bound, extract.getTensor(), *element});
  return SizeAttr::get(op->getContext(), 1, name);
}

bool SizePropagation::isReadForSize(Value tensor) const {
  return llvm::any_of(residents,
                      [&](const ResidentSize &size) { return size.tensor == tensor; });
}

FailureOr<SmallVector<SizeAttr>> SizePropagation::evaluate(ArrayRef<OpFoldResult> sizes) {
  SmallVector<SizeAttr> result;
  for (OpFoldResult size : sizes) {
    if (auto attribute = dyn_cast<Attribute>(size)) {
      result.push_back(
          SizeAttr::get(attribute.getContext(), cast<IntegerAttr>(attribute).getInt()));
      continue;
    }
    SizeAttr evaluated = evaluate(cast<Value>(size));
    if (!evaluated)
      return failure();
    result.push_back(evaluated);
  }
  return result;
}

/// Calls the op's shape reification on IR that is removed again.
static LogicalResult reify(ReifyRankedShapedTypeOpInterface op,
                           function_ref<LogicalResult(const ReifiedRankedShapedTypeDims &)> use) {
  // What is created goes right before the op; remember what was there.
  Operation *before = op->getPrevNode();
  OpBuilder builder(op);
  ReifiedRankedShapedTypeDims dims;
  LogicalResult result = op.reifyResultShapes(builder, dims);
  if (failed(result) || dims.size() != op->getNumResults())
    result = op->emitOpError("has dynamic results and failed to reify their shapes");
  else
    result = use(dims);
  while (op->getPrevNode() != before)
    op->getPrevNode()->erase();
  return result;
}

LogicalResult SizePropagation::propagate(Operation &op) {
  SmallVector<Value> tensors;
  for (Value result : op.getResults()) {
    if (!isa<TensorType>(result.getType()))
      continue;
    if (!isa<RankedTensorType>(result.getType()))
      return op.emitOpError("expects ranked tensors in a program, got ") << result.getType();
    tensors.push_back(result);
  }
  if (tensors.empty())
    return success();

  auto setStatic = [&](Value value) {
    return set(value,
               exec::BufferType::getStatic(cast<RankedTensorType>(value.getType())).getShape());
  };
  if (llvm::all_of(tensors, [](Value value) {
        return cast<RankedTensorType>(value.getType()).hasStaticShape();
      })) {
    for (Value value : tensors)
      if (failed(setStatic(value)))
        return failure();
    return success();
  }

  // Elementwise ops have the shape of their tensor operands.
  if (OpTrait::hasElementwiseMappableTraits(&op)) {
    for (Value operand : op.getOperands())
      if (isa<RankedTensorType>(operand.getType())) {
        for (Value value : tensors)
          if (failed(set(value, getShape(operand))))
            return failure();
        return success();
      }
  }
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return set(cast.getDest(), getShape(cast.getSource()));
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    SmallVector<SizeAttr> shape;
    ArrayRef<SizeAttr> source = getShape(collapse.getSrc());
    for (const ReassociationIndices &group : collapse.getReassociationIndices()) {
      SmallVector<SizeAttr> parts;
      for (int64_t dim : group)
        parts.push_back(source[dim]);
      shape.push_back(exec::countElements(op.getContext(), parts));
      if (!shape.back())
        return op.emitOpError("collapses dimensions whose product has no symbolic form");
    }
    return set(collapse.getResult(), shape);
  }
  auto fail = [&] {
    return op.emitOpError("expects dimensions that are products of the program's sizes; the shape "
                          "of its result can't be expressed so: ")
           << tensors.front().getType();
  };
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    FailureOr<SmallVector<SizeAttr>> shape = evaluate(expand.getMixedOutputShape());
    return failed(shape) ? fail() : set(expand.getResult(), *shape);
  }
  if (auto splat = dyn_cast<tensor::SplatOp>(op)) {
    SmallVector<SizeAttr> shape;
    auto dynamic = splat.getDynamicSizes().begin();
    for (int64_t dim : splat.getType().getShape())
      shape.push_back(ShapedType::isDynamic(dim) ? evaluate(*dynamic++)
                                                 : SizeAttr::get(op.getContext(), dim));
    return llvm::is_contained(shape, SizeAttr()) ? fail() : set(splat.getResult(), shape);
  }
  auto reifiable = dyn_cast<ReifyRankedShapedTypeOpInterface>(op);
  if (!reifiable)
    return op.emitOpError("has dynamic results and can't say their shapes: it implements no "
                          "ReifyRankedShapedTypeOpInterface");
  return reify(reifiable, [&](const ReifiedRankedShapedTypeDims &dims) -> LogicalResult {
    for (auto [value, sizes] : llvm::zip_equal(op.getResults(), dims)) {
      FailureOr<SmallVector<SizeAttr>> shape = evaluate(sizes);
      if (failed(shape))
        return fail();
      if (failed(set(value, *shape)))
        return failure();
    }
    return success();
  });
}

LogicalResult SizePropagation::run(func::FuncOp program) {
  for (BlockArgument argument : program.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      return program.emitOpError("expects ranked tensors as arguments, got ")
             << argument.getType() << " as argument " << argument.getArgNumber();
    auto names =
        program.getArgAttrOfType<ArrayAttr>(argument.getArgNumber(), transformer::kSizesAttr);
    size_t given = names ? names.size() : 0;
    if (given != type.getNumDynamicDims())
      return program.emitOpError("expects the names of ")
             << type.getNumDynamicDims() << " dynamic dimensions in '" << transformer::kSizesAttr
             << "' of argument " << argument.getArgNumber() << ", got " << given;
    if (given)
      this->names.insert_range(names.getAsRange<StringAttr>());
    SmallVector<SizeAttr> shape;
    unsigned next = 0;
    for (int64_t dim : type.getShape()) {
      if (ShapedType::isDynamic(dim))
        shape.push_back(SizeAttr::get(program.getContext(), 1, cast<StringAttr>(names[next++])));
      else
        shape.push_back(SizeAttr::get(program.getContext(), dim));
    }
    if (failed(set(argument, shape)))
      return failure();
  }
  for (auto [number, type] : llvm::enumerate(program.getResultTypes()))
    if (!isa<RankedTensorType>(type))
      return program.emitOpError("expects ranked tensors as results, got ")
             << type << " as result " << number;
  for (Operation &op : program.getBody().front().without_terminator())
    if (failed(propagate(op)))
      return failure();
  return success();
}
