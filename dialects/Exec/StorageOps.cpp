//===- StorageOps.cpp - Verifiers and folds of storage ops ------------------===//
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::exec;

Operation *exec::getBufferRoot(Value buffer) {
  Operation *op = buffer.getDefiningOp();
  while (auto view = dyn_cast<ViewOp>(op))
    op = view.getSource().getDefiningOp();
  return op;
}

FlatSymbolRefAttr exec::getBufferDevice(Value buffer, SymbolTableCollection &symbolTables) {
  Operation *root = getBufferRoot(buffer);
  if (auto get = dyn_cast<GetOp>(root)) {
    root = symbolTables.lookupNearestSymbolFrom(root, get.getNameAttr());
    if (!root)
      return {};
  }
  return root->getAttrOfType<FlatSymbolRefAttr>("device");
}

//===----------------------------------------------------------------------===//
// Shared by the verifiers
//===----------------------------------------------------------------------===//

static LogicalResult verifyDevice(Operation *op, FlatSymbolRefAttr device,
                                  SymbolTableCollection &symbolTables) {
  if (!symbolTables.lookupNearestSymbolFrom<DeviceOp>(op, device))
    return op->emitOpError("expects an exec.device, got ") << device;
  return success();
}

static LogicalResult verifyOffset(Operation *op, std::optional<int64_t> offset) {
  if (offset && (*offset < 0 || *offset % kBufferAlignment != 0))
    return op->emitOpError("expects an offset that is a multiple of ")
           << kBufferAlignment << " and not negative, got " << *offset;
  return success();
}

static LogicalResult verifyStaticType(Operation *op, Type type) {
  auto tensor = cast<RankedTensorType>(type);
  if (!tensor.hasStaticShape())
    return op->emitOpError("expects a type with static extents, got ") << type;
  if (!BufferType::isSupportedElementType(tensor.getElementType()))
    return op->emitOpError("expects an element type that buffers allow, got ")
           << tensor.getElementType();
  return success();
}

/// The constraints of ops that place bytes in the arena: exec.buffer and exec.input.
static LogicalResult verifyPlacement(Operation *op, std::optional<int64_t> offset,
                                     std::optional<int64_t> bytes) {
  if (offset.has_value() != bytes.has_value())
    return op->emitOpError("expects 'offset' and 'bytes' together, got one of them");
  if (bytes && *bytes < 0)
    return op->emitOpError("expects 'bytes' that are not negative, got ") << *bytes;
  return verifyOffset(op, offset);
}

static LogicalResult verifyProgramSymbols(Operation *op, BufferType type) {
  auto program = op->getParentOfType<ProgramOp>();
  SmallVector<SymbolAttr> symbols(program.getSymbols().getAsRange<SymbolAttr>());
  for (SizeAttr extent : type.getShape())
    if (!namesOnly(extent, symbols))
      return op->emitOpError("expects extents over the symbols of program @")
             << program.getSymName() << ", got " << extent.str();
  return success();
}

//===----------------------------------------------------------------------===//
// exec.source
//===----------------------------------------------------------------------===//

LogicalResult SourceOp::verify() {
  // C1
  for (int64_t dim : getShape())
    if (dim < 0)
      return emitOpError("expects dimensions that are not negative, got ") << dim;
  return success();
}

//===----------------------------------------------------------------------===//
// exec.weight
//===----------------------------------------------------------------------===//

LogicalResult WeightOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  // C1
  for (auto source : getSources().getAsRange<FlatSymbolRefAttr>())
    if (!symbolTables.lookupNearestSymbolFrom<SourceOp>(*this, source))
      return emitOpError("expects an exec.source, got ") << source;
  return verifyDevice(*this, getDeviceAttr(), symbolTables);
}

LogicalResult WeightOp::verify() {
  // C2
  if (failed(verifyStaticType(*this, getType())))
    return failure();
  // C3
  if (getRecipe().empty())
    return emitOpError("expects a recipe of at least one step");
  for (auto step : getRecipe().getAsRange<StepAttr>())
    if (step.getOp() == RecipeOp::Load &&
        step.getInts().front() >= static_cast<int64_t>(getSources().size()))
      return emitOpError("loads source ")
             << step.getInts().front() << ", but has " << getSources().size() << " sources";
  // C4
  return verifyOffset(*this, getOffset());
}

//===----------------------------------------------------------------------===//
// exec.constant, exec.state
//===----------------------------------------------------------------------===//

LogicalResult ConstantOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  return verifyDevice(*this, getDeviceAttr(), symbolTables); // C1
}

LogicalResult ConstantOp::verify() {
  // C2
  if (!isa<RankedTensorType>(getValue().getType()))
    return emitOpError("expects a ranked tensor, got ") << getValue().getType();
  if (failed(verifyStaticType(*this, getValue().getType())))
    return failure();
  return verifyOffset(*this, getOffset()); // C3
}

LogicalResult StateOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  return verifyDevice(*this, getDeviceAttr(), symbolTables); // C1
}

LogicalResult StateOp::verify() {
  if (failed(verifyStaticType(*this, getType()))) // C2
    return failure();
  return verifyOffset(*this, getOffset()); // C3
}

//===----------------------------------------------------------------------===//
// exec.buffer, exec.input
//===----------------------------------------------------------------------===//

LogicalResult BufferOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  if (failed(verifyDevice(*this, getDeviceAttr(), symbolTables)) || // C1
      failed(verifyPlacement(*this, getOffset(), getBytes())))      // C2
    return failure();
  return verifyProgramSymbols(*this, getResult().getType()); // C3
}

LogicalResult InputOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  if (failed(verifyDevice(*this, getDeviceAttr(), symbolTables)) || // C1
      failed(verifyPlacement(*this, getOffset(), getBytes())))      // C3
    return failure();
  return verifyProgramSymbols(*this, getResult().getType()); // C4
}

//===----------------------------------------------------------------------===//
// exec.get
//===----------------------------------------------------------------------===//

LogicalResult GetOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  Operation *global = symbolTables.lookupNearestSymbolFrom(*this, getNameAttr());
  Type type;
  if (auto weight = dyn_cast_or_null<WeightOp>(global))
    type = weight.getType();
  else if (auto constant = dyn_cast_or_null<ConstantOp>(global))
    type = constant.getValue().getType();
  else if (auto state = dyn_cast_or_null<StateOp>(global))
    type = state.getType();
  else // C1
    return emitOpError("expects an exec.weight, exec.constant or exec.state, got ")
           << getNameAttr();
  // C2
  BufferType expected = BufferType::getStatic(cast<RankedTensorType>(type));
  if (expected != getResult().getType())
    return emitOpError("expects ") << expected << ", got " << getResult().getType();
  return success();
}

//===----------------------------------------------------------------------===//
// exec.view
//===----------------------------------------------------------------------===//

LogicalResult ViewOp::verify() {
  BufferType source = getSource().getType(), result = getResult().getType();
  // C1
  if (source.getElementType() != result.getElementType())
    return emitOpError("expects element type ")
           << source.getElementType() << ", got " << result.getElementType();
  // C2
  SizeAttr from = countElements(getContext(), source.getShape());
  SizeAttr to = countElements(getContext(), result.getShape());
  if (!from || !to)
    return emitOpError("expects numbers of elements that are products of symbols");
  if (from != to)
    return emitOpError("expects ") << from.str() << " elements, got " << to.str();
  return verifyProgramSymbols(*this, result);
}

OpFoldResult ViewOp::fold(FoldAdaptor) {
  if (getSource().getType() == getResult().getType())
    return getSource();
  if (auto view = getSource().getDefiningOp<ViewOp>()) {
    getSourceMutable().assign(view.getSource());
    return getResult();
  }
  return {};
}

//===----------------------------------------------------------------------===//
// exec.copy
//===----------------------------------------------------------------------===//

LogicalResult CopyOp::canonicalize(CopyOp copy, PatternRewriter &rewriter) {
  if (copy.getSource() != copy.getTarget())
    return rewriter.notifyMatchFailure(copy, "copies between two buffers");
  rewriter.eraseOp(copy);
  return success();
}
