//===- ProgramOps.cpp - Verifiers of programs and their ports ---------------===//
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"

#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace ingot::exec;

static SymbolAttr findSymbol(ProgramOp program, StringAttr name) {
  for (auto symbol : program.getSymbols().getAsRange<SymbolAttr>())
    if (symbol.getName() == name)
      return symbol;
  return {};
}

/// The first symbol of `sizes` that a step of the program reads, or null.
static SymbolAttr findResident(ProgramOp program, ArrayRef<SizeAttr> sizes) {
  for (SizeAttr size : sizes)
    for (StringAttr name : size.getSymbols())
      if (SymbolAttr symbol = findSymbol(program, name); symbol && symbol.isResident())
        return symbol;
  return {};
}

/// C4 of programs.
static LogicalResult verifyResidents(ProgramOp program) {
  SmallVector<SymbolAttr> callers, residents;
  for (auto symbol : program.getSymbols().getAsRange<SymbolAttr>()) {
    if (symbol.isResident()) {
      residents.push_back(symbol);
      continue;
    }
    if (!residents.empty() || symbol.getMinimum() < 1)
      return program.emitOpError("expects symbols of the caller from 1 on, before those that are "
                                 "read from buffers, got ")
             << symbol;
    callers.push_back(symbol);
  }
  SizeBounds bounds = SizeBounds::get(program.getSymbols(), program.getLimits());
  for (SymbolAttr symbol : residents) {
    if (!namesOnly(symbol.getBound(), callers) ||
        bounds.maximum(symbol.getBound()) != symbol.getMaximum())
      return program.emitOpError("expects a bound over symbols of the caller, whose maximum is the "
                                 "symbol's, got ")
             << symbol;
    int64_t reads = llvm::count_if(program.getBody().front().getOps<ReadSizeOp>(),
                                   [&](ReadSizeOp op) { return op.getSymbolAttr() == symbol.getName(); });
    if (reads != 1)
      return program.emitOpError("expects one exec.read_size of symbol '")
             << symbol.getName().getValue() << "', got " << reads;
  }
  return success();
}

LogicalResult ProgramOp::verify() {
  // C1
  llvm::StringSet<> symbols;
  for (auto symbol : getSymbols().getAsRange<SymbolAttr>())
    if (!symbols.insert(symbol.getName().getValue()).second)
      return emitOpError("expects unique symbols, got '")
             << symbol.getName().getValue() << "' twice";
  if (failed(verifyResidents(*this)))
    return failure();
  // C2, C5
  for (auto limit : getLimits().getAsRange<LimitAttr>()) {
    llvm::StringSet<> limited;
    for (StringAttr name : limit.getSymbols())
      if (!symbols.contains(name.getValue()) || findSymbol(*this, name).isResident() ||
          !limited.insert(name.getValue()).second)
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
  BufferType type = getResult().getType();
  auto program = cast<ProgramOp>((*this)->getParentOp());
  // C4
  if (SymbolAttr resident = findResident(program, type.getShape()))
    return emitOpError("expects a shape that the caller knows, got one of ") << resident;
  // C5
  if (getMaxStep() && (!getAscendsTo() || *getMaxStep() < 1))
    return emitOpError("expects 'max_step' to be positive and beside 'ascends_to'");
  if (!getAscendsTo())
    return success();
  if (type.getShape().size() != 1 || !type.getElementType().isInteger(32) || getFill())
    return emitOpError("expects offsets to be an i32 buffer of rank 1 without 'fill', got ") << type;
  for (StringAttr name : getAscendsTo()->getSymbols())
    if (SymbolAttr symbol = findSymbol(program, name); !symbol || symbol.isResident())
      return emitOpError("expects 'ascends_to' over symbols of the caller, got '")
             << name.getValue() << "'";
  return success();
}

LogicalResult ReadSizeOp::verify() {
  // C1
  SymbolAttr symbol = findSymbol(cast<ProgramOp>((*this)->getParentOp()), getSymbolAttr());
  if (!symbol || !symbol.isResident())
    return emitOpError("expects a symbol of the program that has a bound, got '")
           << getSymbol() << "'";
  // C2
  BufferType type = getBuffer().getType();
  ArrayRef<SizeAttr> shape = type.getShape();
  if (!type.getElementType().isInteger(32) || shape.size() != 1 || !shape[0].isStatic() ||
      static_cast<int64_t>(getElement()) < 0 ||
      static_cast<int64_t>(getElement()) >= shape[0].getFactor())
    return emitOpError("expects an element of an i32 buffer of one fixed dimension, got element ")
           << static_cast<int64_t>(getElement()) << " of " << type;
  return success();
}

LogicalResult OutputOp::verify() {
  // C1
  Operation *root = getBufferRoot(getBuffer());
  if (!isa<BufferOp, InputOp>(root))
    return emitOpError("expects a buffer in the arena, got one of ") << root->getName();
  // C2
  if (SymbolAttr resident = findResident(cast<ProgramOp>((*this)->getParentOp()),
                                         getBuffer().getType().getShape()))
    return emitOpError("expects a shape that the caller knows, got one of ") << resident;
  return success();
}
