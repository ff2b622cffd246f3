//===- Signature.cpp - Kernel arguments as buffers and sizes --------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::host {

namespace {

/// The extents of the dynamic dimensions of one argument or result.
FailureOr<SmallVector<GridSize>> readExtents(func::FuncOp func, DictionaryAttr attrs, Type type,
                                             int64_t numSizes, const Twine &what) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor)
    return func.emitError() << what << " of a host kernel must be a ranked tensor, got " << type;
  SmallVector<GridSize> extents;
  if (auto list = attrs ? attrs.getAs<ArrayAttr>("ingot.sizes") : ArrayAttr())
    for (Attribute entry : list) {
      GridSize extent;
      if (auto size = dyn_cast<IntegerAttr>(entry)) {
        extent.sizes.push_back(size.getInt());
      } else {
        SmallVector<int64_t> numbers;
        for (Attribute number : cast<ArrayAttr>(entry))
          numbers.push_back(cast<IntegerAttr>(number).getInt());
        if (numbers.size() < 2 || numbers[0] < 1 || numbers[1] < 1)
          return func.emitError() << what << " has a malformed extent in ingot.sizes";
        extent.factor = numbers[0];
        extent.divisor = numbers[1];
        extent.sizes.append(numbers.begin() + 2, numbers.end());
      }
      for (int64_t size : extent.sizes)
        if (size < 0 || size >= numSizes)
          return func.emitError() << what << " names size argument " << size << " of " << numSizes;
      extents.push_back(std::move(extent));
    }
  if (extents.size() != static_cast<size_t>(tensor.getNumDynamicDims()))
    return func.emitError() << what << " has " << tensor.getNumDynamicDims()
                            << " dynamic dimensions but ingot.sizes has " << extents.size();
  return extents;
}

/// i1 tensors are stored one byte an element.
RankedTensorType storageType(RankedTensorType type) {
  if (!type.getElementType().isInteger(1))
    return type;
  return RankedTensorType::get(type.getShape(), IntegerType::get(type.getContext(), 8));
}

/// An elementwise linalg.generic from `value` to element type `element` (i1 <-> i8).
Value castElements(OpBuilder &builder, Location loc, Value value, Type element) {
  auto type = cast<RankedTensorType>(value.getType());
  auto dims = tensor::getMixedSizes(builder, loc, value);
  Value empty = tensor::EmptyOp::create(builder, loc, dims, element);
  AffineMap map = builder.getMultiDimIdentityMap(type.getRank());
  SmallVector<utils::IteratorType> iterators(type.getRank(), utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             builder, loc, empty.getType(), value, empty, ArrayRef<AffineMap>{map, map}, iterators,
             [&](OpBuilder &nested, Location at, ValueRange args) {
               Value result;
               if (element.isInteger(1))
                 result = arith::CmpIOp::create(
                     nested, at, arith::CmpIPredicate::ne, args[0],
                     arith::ConstantOp::create(nested, at, nested.getI8IntegerAttr(0)));
               else
                 result = arith::ExtUIOp::create(nested, at, element, args[0]);
               linalg::YieldOp::create(nested, at, result);
             })
      .getResult(0);
}

} // namespace

FailureOr<KernelAbi> readAbi(func::FuncOp func) {
  KernelAbi abi;
  abi.numBuffers = func.getNumArguments();
  for (unsigned i = 0; i < func.getNumResults(); ++i)
    abi.numBuffers += !func.getResultAttr(i, "ingot.alias");
  if (auto max = func->getAttrOfType<ArrayAttr>("ingot.size_max"))
    for (Attribute size : max)
      abi.sizeMax.push_back(cast<IntegerAttr>(size).getInt());
  abi.numSizes = abi.sizeMax.size();
  for (auto [index, type] : llvm::enumerate(func.getArgumentTypes()))
    if (failed(readExtents(func, func.getArgAttrDict(index), type, abi.numSizes,
                         "argument " + Twine(index))))
      return failure();
  for (auto [index, type] : llvm::enumerate(func.getResultTypes()))
    if (failed(readExtents(func, func.getResultAttrDict(index), type, abi.numSizes,
                         "result " + Twine(index))))
      return failure();
  return abi;
}

const GridSize *extentOf(Value buffer, const KernelAbi &abi, int64_t dim) {
  auto argument = dyn_cast<BlockArgument>(buffer);
  if (!argument || !isa<func::FuncOp>(argument.getOwner()->getParentOp()) ||
      argument.getArgNumber() >= abi.numBuffers)
    return nullptr;
  auto type = cast<MemRefType>(buffer.getType());
  return type.isDynamicDim(dim)
             ? &abi.extents[argument.getArgNumber()][type.getDynamicDimIndex(dim)]
             : nullptr;
}

Value buildExtent(OpBuilder &builder, Location loc, func::FuncOp func, const KernelAbi &abi,
                  const GridSize &extent) {
  Value product;
  for (int64_t size : extent.sizes) {
    Value next = abi.size(func, size);
    product = product ? arith::MulIOp::create(builder, loc, product, next) : next;
  }
  if (!product || extent.factor != 1) {
    Value factor = arith::ConstantIndexOp::create(builder, loc, extent.factor);
    product = product ? arith::MulIOp::create(builder, loc, product, factor) : factor;
  }
  if (extent.divisor == 1)
    return product;
  return arith::CeilDivSIOp::create(
      builder, loc, product, arith::ConstantIndexOp::create(builder, loc, extent.divisor));
}

LogicalResult bindBuffers(func::FuncOp func, KernelAbi &abi) {
  if (!func.getBody().hasOneBlock())
    return func.emitError("a host kernel's body must be one block");
  OpBuilder builder(func.getContext());
  Location loc = func.getLoc();
  Block &body = func.getBody().front();
  auto returnOp = cast<func::ReturnOp>(body.getTerminator());
  int64_t numInputs = func.getNumArguments();

  struct Operand {
    RankedTensorType type;
    SmallVector<GridSize> extents;
    int64_t alias = -1; // results: the argument whose buffer this is
  };
  SmallVector<Operand> operands;
  auto addOperand = [&](Type type, DictionaryAttr attrs) {
    Operand operand{cast<RankedTensorType>(type),
                    *readExtents(func, attrs, type, abi.numSizes, "operand"), -1};
    if (auto alias = attrs ? attrs.getAs<IntegerAttr>("ingot.alias") : IntegerAttr())
      operand.alias = alias.getInt();
    operands.push_back(operand);
  };
  for (auto [index, type] : llvm::enumerate(func.getArgumentTypes()))
    addOperand(type, func.getArgAttrDict(index));
  for (auto [index, type] : llvm::enumerate(func.getResultTypes()))
    addOperand(type, func.getResultAttrDict(index));
  for (const Operand &operand : operands)
    if (operand.alias >= numInputs ||
        (operand.alias >= 0 && operands[operand.alias].type != operand.type))
      return func.emitError("a result with ingot.alias must have the aliased argument's type");

  // New arguments behind the old ones: buffers, sizes, block position.
  Type index = builder.getIndexType();
  SmallVector<Type> types;
  SmallVector<int64_t> bufferOf; // operand -> buffer
  for (const Operand &operand : operands) {
    bufferOf.push_back(operand.alias >= 0 ? bufferOf[operand.alias] : types.size());
    if (operand.alias >= 0)
      continue;
    RankedTensorType stored = storageType(operand.type);
    types.push_back(MemRefType::get(stored.getShape(), stored.getElementType()));
    abi.extents.push_back(operand.extents);
  }
  types.append(abi.numSizes + 3, index);
  for (Type type : types)
    body.addArgument(type, loc);
  auto argument = [&](int64_t i) -> Value { return body.getArgument(numInputs + i); };

  // Reads.
  builder.setInsertionPointToStart(&body);
  for (int64_t i = 0; i < numInputs; ++i) {
    bool written = llvm::any_of(operands, [&](const Operand &op) { return op.alias == i; });
    RankedTensorType stored = storageType(operands[i].type);
    Value value = bufferization::ToTensorOp::create(builder, loc, stored, argument(i),
                                                    /*restrict=*/true, /*writable=*/written);
    Value old = body.getArgument(i);
    if (stored != operands[i].type)
      value = castElements(builder, loc, value, operands[i].type.getElementType());
    old.replaceAllUsesWith(value);
  }

  // Writes.
  builder.setInsertionPoint(returnOp);
  for (auto [i, result] : llvm::enumerate(returnOp.getOperands())) {
    const Operand &operand = operands[numInputs + i];
    Value value = result;
    RankedTensorType stored = storageType(operand.type);
    if (stored != operand.type)
      value = castElements(builder, loc, value, stored.getElementType());
    Value buffer = argument(bufferOf[numInputs + i]);
    bufferization::MaterializeInDestinationOp::create(builder, loc, Type(), value, buffer,
                                                      /*restrict=*/true, /*writable=*/true);
  }
  func::ReturnOp::create(builder, loc);
  returnOp.erase();
  body.eraseArguments(0, numInputs);
  func.setFunctionType(builder.getFunctionType(types, {}));
  func.setArgAttrsAttr({});
  func.setResAttrsAttr({});
  return success();
}

} // namespace ingot::host
