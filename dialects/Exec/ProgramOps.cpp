//===- ProgramOps.cpp - Verifiers of programs and their ports ---------------===//
#include "dialects/Exec/ExecOps.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace ingot::exec;

LogicalResult ProgramOp::verify() {
  // C1
  llvm::StringSet<> symbols;
  for (auto symbol : getSymbols().getAsRange<SymbolAttr>())
    if (!symbols.insert(symbol.getName().getValue()).second)
      return emitOpError("expects unique symbols, got '")
             << symbol.getName().getValue() << "' twice";
  // C2
  for (auto limit : getLimits().getAsRange<LimitAttr>()) {
    llvm::StringSet<> limited;
    for (StringAttr name : limit.getSymbols())
      if (!symbols.contains(name.getValue()) || !limited.insert(name.getValue()).second)
        return emitOpError("expects limits over distinct symbols of the program, got '")
               << name.getValue() << "'";
  }
  // C3
  llvm::StringSet<> inputs, outputs;
  for (Operation &op : getBody().front()) {
    if (auto input = dyn_cast<InputOp>(op); input && !inputs.insert(input.getName()).second)
      return input.emitOpError("expects unique input names, got \"")
             << input.getName() << "\" twice";
    if (auto output = dyn_cast<OutputOp>(op); output && !outputs.insert(output.getName()).second)
      return output.emitOpError("expects unique output names, got \"")
             << output.getName() << "\" twice";
  }
  return success();
}

LogicalResult InputOp::verify() {
  // C2
  auto integer = dyn_cast<IntegerType>(getResult().getType().getElementType());
  auto fill = [&] { return static_cast<int64_t>(*getFill()); };
  if (std::optional<ArrayRef<int64_t>> range = getRange()) {
    if (!integer)
      return emitOpError("expects an integer element type with 'range', got ")
             << getResult().getType().getElementType();
    if (range->size() != 2 || (*range)[0] > (*range)[1])
      return emitOpError("expects 'range' to be two bounds in order");
    if (getFill() && (fill() < (*range)[0] || fill() > (*range)[1]))
      return emitOpError("expects 'fill' within [")
             << (*range)[0] << ", " << (*range)[1] << "], got " << fill();
  }
  return success();
}

LogicalResult OutputOp::verify() {
  // C1
  Operation *root = getBufferRoot(getBuffer());
  if (!isa<BufferOp, InputOp>(root))
    return emitOpError("expects a buffer in the arena, got one of ") << root->getName();
  return success();
}
