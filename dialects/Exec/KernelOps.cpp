//===- KernelOps.cpp - Assembly and verifiers of kernels and launches -------===//
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"

#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;
using namespace ingot::exec;

//===----------------------------------------------------------------------===//
// exec.kernel
//===----------------------------------------------------------------------===//

void KernelOp::build(OpBuilder &builder, OperationState &state, StringRef name,
                     FlatSymbolRefAttr target, ArrayRef<SymbolAttr> sizes,
                     ArrayRef<BufferType> inputs, ArrayRef<BufferType> outputs,
                     ArrayRef<int64_t> updates, ArrayRef<Location> inputLocations) {
  auto toAttribute = [](BufferType type) -> Attribute { return TypeAttr::get(type); };
  state.addAttribute(getSymNameAttrName(state.name), builder.getStringAttr(name));
  state.addAttribute(getTargetAttrName(state.name), target);
  state.addAttribute(getSizesAttrName(state.name),
                     builder.getArrayAttr(SmallVector<Attribute>(sizes.begin(), sizes.end())));
  state.addAttribute(getInputsAttrName(state.name),
                     builder.getArrayAttr(llvm::map_to_vector(inputs, toAttribute)));
  state.addAttribute(getOutputsAttrName(state.name),
                     builder.getArrayAttr(llvm::map_to_vector(outputs, toAttribute)));
  state.addAttribute(getUpdatesAttrName(state.name), builder.getDenseI64ArrayAttr(updates));
  Block &body = state.addRegion()->emplaceBlock();
  for (auto [type, location] : llvm::zip_equal(inputs, inputLocations))
    body.addArgument(type.getTensorType(), location);
}

SmallVector<unsigned> KernelOp::getOwnOutputs() {
  SmallVector<unsigned> own;
  for (auto [i, updated] : llvm::enumerate(getUpdates()))
    if (updated < 0)
      own.push_back(i);
  return own;
}

SmallVector<BufferType> KernelOp::getBufferTypes() {
  SmallVector<BufferType> types;
  for (unsigned i = 0; i < getNumInputs(); ++i)
    types.push_back(getInputType(i));
  for (unsigned i : getOwnOutputs())
    types.push_back(getOutputType(i));
  return types;
}

SmallVector<bool> KernelOp::getWrittenBuffers() {
  SmallVector<bool> written(getNumInputs(), false);
  for (int64_t updated : getUpdates()) {
    if (updated < 0)
      written.push_back(true);
    else
      written[updated] = true;
  }
  return written;
}

ArrayRef<int64_t> KernelOp::getInPlaceInputs(unsigned ownOutput) {
  if (!getInPlace() || ownOutput >= getInPlace()->size())
    return {};
  return cast<DenseI64ArrayAttr>((*getInPlace())[ownOutput]).asArrayRef();
}

ParseResult KernelOp::parse(OpAsmParser &parser, OperationState &result) {
  Builder &builder = parser.getBuilder();
  StringAttr name;
  FlatSymbolRefAttr target;
  SmallVector<Attribute> sizes, inputs, outputs;
  SmallVector<int64_t> updates;
  SmallVector<OpAsmParser::Argument> arguments;
  if (parser.parseSymbolName(name, getSymNameAttrName(result.name), result.attributes) ||
      parser.parseKeyword("for") ||
      parser.parseAttribute(target, getTargetAttrName(result.name), result.attributes) ||
      parser.parseKeyword("sizes"))
    return failure();

  auto parseSize = [&]() -> ParseResult {
    FailureOr<SymbolAttr> size = SymbolAttr::parseBare(parser);
    if (failed(size))
      return failure();
    sizes.push_back(*size);
    return success();
  };
  auto parseInput = [&]() -> ParseResult {
    BufferType type;
    OpAsmParser::Argument &argument = arguments.emplace_back();
    if (parser.parseArgument(argument) || parser.parseColonType(type) ||
        parser.parseOptionalLocationSpecifier(argument.sourceLoc))
      return failure();
    argument.type = type.getTensorType();
    inputs.push_back(TypeAttr::get(type));
    return success();
  };
  auto parseOutput = [&]() -> ParseResult {
    BufferType type;
    if (parser.parseType(type))
      return failure();
    outputs.push_back(TypeAttr::get(type));
    updates.push_back(-1);
    if (failed(parser.parseOptionalKeyword("updates")))
      return success();
    OpAsmParser::UnresolvedOperand updated;
    if (parser.parseOperand(updated))
      return failure();
    auto it = llvm::find_if(arguments, [&](const OpAsmParser::Argument &argument) {
      return argument.ssaName.name == updated.name && argument.ssaName.number == updated.number;
    });
    if (it == arguments.end())
      return parser.emitError(updated.location, "expects an argument of the kernel");
    updates.back() = it - arguments.begin();
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseSize) ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseInput) ||
      parser.parseArrow() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseOutput) ||
      parser.parseOptionalAttrDictWithKeyword(result.attributes))
    return failure();

  result.addAttribute(getSizesAttrName(result.name), builder.getArrayAttr(sizes));
  result.addAttribute(getInputsAttrName(result.name), builder.getArrayAttr(inputs));
  result.addAttribute(getOutputsAttrName(result.name), builder.getArrayAttr(outputs));
  result.addAttribute(getUpdatesAttrName(result.name), builder.getDenseI64ArrayAttr(updates));
  Region *body = result.addRegion();
  if (parser.parseRegion(*body, arguments))
    return failure();
  KernelOp::ensureTerminator(*body, builder, result.location);
  return success();
}

void KernelOp::print(OpAsmPrinter &printer) {
  printer << " ";
  printer.printSymbolName(getSymName());
  printer << " for " << getTargetAttr() << " sizes(";
  llvm::interleaveComma(getSizes().getAsRange<SymbolAttr>(), printer,
                        [&](SymbolAttr size) { size.printBare(printer.getStream()); });
  printer << ")(";
  for (auto [i, argument] : llvm::enumerate(getBody().getArguments())) {
    printer << (i ? ", " : "") << argument << ": " << getInputType(i);
    printer.printOptionalLocationSpecifier(argument.getLoc());
  }
  printer << ") -> (";
  for (auto [i, updated] : llvm::enumerate(getUpdates())) {
    printer << (i ? ", " : "") << getOutputType(i);
    if (updated >= 0)
      printer << " updates " << getBody().getArgument(updated);
  }
  printer << ")";
  printer.printOptionalAttrDictWithKeyword(
      (*this)->getAttrs(), {getSymNameAttrName(), getTargetAttrName(), getSizesAttrName(),
                            getInputsAttrName(), getOutputsAttrName(), getUpdatesAttrName()});
  printer << " ";
  printer.printRegion(getBody(), /*printEntryBlockArgs=*/false);
}

LogicalResult KernelOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  // C1
  if (!symbolTables.lookupNearestSymbolFrom<TargetOp>(*this, getTargetAttr()))
    return emitOpError("expects an exec.target, got ") << getTargetAttr();
  // C7
  if (!getVariantOfAttr())
    return success();
  auto other = symbolTables.lookupNearestSymbolFrom<KernelOp>(*this, getVariantOfAttr());
  if (!other || other.getVariantOfAttr())
    return emitOpError("expects 'variant_of' to name a kernel that is no variant, got ")
           << getVariantOfAttr();
  auto target = symbolTables.lookupNearestSymbolFrom<TargetOp>(*this, getTargetAttr());
  auto otherTarget = symbolTables.lookupNearestSymbolFrom<TargetOp>(*this, other.getTargetAttr());
  if (target == otherTarget || !otherTarget || target.getKind() != otherTarget.getKind())
    return emitOpError("expects another target of the kind of the kernel that it is a variant of, ")
           << other.getTargetAttr() << ", got " << getTargetAttr();
  if (getSizes() != other.getSizes() || getInputs() != other.getInputs() ||
      getOutputs() != other.getOutputs() || getUpdates() != other.getUpdates() ||
      getInPlaceAttr() != other.getInPlaceAttr())
    return emitOpError("expects the sizes, inputs, outputs, updates and 'in_place' of the kernel "
                       "that it is a variant of, ")
           << getVariantOfAttr();
  return success();
}

/// C2: the buffer types name the size parameters, all of them and nothing else.
static LogicalResult verifyParameters(KernelOp kernel) {
  SmallVector<SymbolAttr> sizes(kernel.getSizes().getAsRange<SymbolAttr>());
  llvm::StringSet<> names;
  for (SymbolAttr size : sizes)
    if (!names.insert(size.getName().getValue()).second)
      return kernel.emitOpError("expects unique size parameters, got '")
             << size.getName().getValue() << "' twice";
  llvm::DenseSet<StringAttr> named;
  for (ArrayAttr types : {kernel.getInputs(), kernel.getOutputs()}) {
    for (Type type : types.getAsValueRange<TypeAttr>()) {
      auto buffer = dyn_cast<BufferType>(type);
      if (!buffer)
        return kernel.emitOpError("expects buffer types, got ") << type;
      for (SizeAttr extent : buffer.getShape()) {
        if (!namesOnly(extent, sizes))
          return kernel.emitOpError("expects extents over its size parameters, got ")
                 << extent.str();
        named.insert_range(extent.getSymbols());
      }
    }
  }
  for (SymbolAttr size : sizes)
    if (!named.contains(size.getName()))
      return kernel.emitOpError("expects every size parameter in a buffer type, got none for '")
             << size.getName().getValue() << "'";
  return success();
}

/// C4: what outputs update.
static LogicalResult verifyUpdates(KernelOp kernel) {
  if (kernel.getUpdates().size() != kernel.getNumOutputs())
    return kernel.emitOpError("expects one entry of 'updates' an output, got ")
           << kernel.getUpdates().size() << " for " << kernel.getNumOutputs() << " outputs";
  llvm::DenseSet<int64_t> seen;
  for (auto [i, updated] : llvm::enumerate(kernel.getUpdates())) {
    if (updated < 0)
      continue;
    if (updated >= kernel.getNumInputs() || !seen.insert(updated).second)
      return kernel.emitOpError("expects an updated input that exists and is updated once, got ")
             << updated;
    if (kernel.getInputType(updated) != kernel.getOutputType(i))
      return kernel.emitOpError("expects output ")
             << i << " to have the type of the input it updates, " << kernel.getInputType(updated)
             << ", got " << kernel.getOutputType(i);
  }
  return success();
}

LogicalResult KernelOp::verify() {
  if (failed(verifyParameters(*this)) || failed(verifyUpdates(*this)))
    return failure();
  // C5
  if (getGrid().has_value() != getFamily().has_value())
    return emitOpError("expects 'family' and 'grid' together, got one of them");
  if (getGrid()) {
    SmallVector<SymbolAttr> sizes(getSizes().getAsRange<SymbolAttr>());
    if (getGrid()->size() != 3)
      return emitOpError("expects a grid of 3 sizes, got ") << getGrid()->size();
    for (auto size : getGrid()->getAsRange<SizeAttr>())
      if (!namesOnly(size, sizes))
        return emitOpError("expects a grid over its size parameters, got ") << size.str();
  }
  // C6
  if (getInPlace()) {
    SmallVector<unsigned> own = getOwnOutputs();
    if (getInPlace()->size() != own.size())
      return emitOpError("expects one list in 'in_place' for each of ")
             << own.size() << " outputs that update nothing, got " << getInPlace()->size();
    for (auto [output, list] : llvm::zip_equal(own, *getInPlace())) {
      auto inputs = dyn_cast<DenseI64ArrayAttr>(list);
      if (!inputs)
        return emitOpError("expects lists of inputs in 'in_place', got ") << list;
      BufferType type = getOutputType(output);
      for (int64_t input : inputs.asArrayRef()) {
        if (input < 0 || input >= getNumInputs())
          return emitOpError("expects inputs that exist in 'in_place', got ") << input;
        if (getInputType(input).getElementBytes() != type.getElementBytes())
          return emitOpError("expects inputs with elements of the bytes of ")
                 << type << " in 'in_place', got " << getInputType(input);
      }
    }
  }
  return success();
}

LogicalResult KernelOp::verifyRegions() {
  // C3
  Block &body = getBody().front();
  if (body.getNumArguments() != getNumInputs())
    return emitOpError("expects one argument of the body an input, got ")
           << body.getNumArguments() << " for " << getNumInputs() << " inputs";
  for (auto [i, argument] : llvm::enumerate(body.getArguments()))
    if (argument.getType() != getInputType(i).getTensorType())
      return emitOpError("expects argument ") << i << " of type " << getInputType(i).getTensorType()
                                              << ", got " << argument.getType();
  auto yield = dyn_cast<YieldOp>(body.getTerminator());
  if (!yield || yield.getValues().size() != getNumOutputs())
    return emitOpError("expects exec.yield of ")
           << getNumOutputs() << " values, got " << (yield ? yield.getValues().size() : size_t(0));
  for (auto [i, value] : llvm::enumerate(yield.getValues()))
    if (value.getType() != getOutputType(i).getTensorType())
      return emitOpError("expects to yield ") << getOutputType(i).getTensorType() << " as output "
                                              << i << ", got " << value.getType();
  return success();
}

//===----------------------------------------------------------------------===//
// exec.launch
//===----------------------------------------------------------------------===//

KernelOp LaunchOp::lookupKernel(SymbolTableCollection &symbols) {
  return symbols.lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
}

LogicalResult LaunchOp::verify() {
  // C4
  if (getGrid() && getGrid()->size() != 3)
    return emitOpError("expects a grid of 3 sizes, got ") << getGrid()->size();
  SmallVector<SymbolAttr> symbols(
      (*this)->getParentOfType<ProgramOp>().getSymbols().getAsRange<SymbolAttr>());
  auto verifyOver = [&](StringRef what, ArrayAttr sizes) -> LogicalResult {
    for (auto size : sizes.getAsRange<SizeAttr>())
      if (!namesOnly(size, symbols))
        return emitOpError("expects ")
               << what << " over the symbols of the program, got " << size.str();
    return success();
  };
  if (failed(verifyOver("sizes", getSizes()))) // C2
    return failure();
  // C7
  if (getExchanged().has_value() != getPart().has_value())
    return emitOpError("expects 'exchanged' and 'part' together, got one of them");
  if (getExchanged()) {
    ArrayRef<int64_t> exchanged = *getExchanged();
    if (exchanged.size() != getNumOperands())
      return emitOpError("expects an entry of 'exchanged' an operand, got ")
             << exchanged.size() << " for " << getNumOperands() << " operands";
    auto isPlace = [](int64_t offset) { return offset >= 0 && offset % 16 == 0; };
    for (int64_t offset : exchanged)
      if (offset != -1 && !isPlace(offset))
        return emitOpError("expects to exchange at a multiple of 16 bytes, or -1, got ") << offset;
    if (!isPlace(*getPart()))
      return emitOpError("expects its part at a multiple of 16 bytes, got ") << *getPart();
  }
  return getGrid() ? verifyOver("a grid", *getGrid()) : success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  // C1
  KernelOp kernel = lookupKernel(symbolTables);
  if (!kernel)
    return emitOpError("expects an exec.kernel, got ") << getKernelAttr();

  // C2
  if (getSizes().size() != kernel.getSizes().size())
    return emitOpError("expects ") << kernel.getSizes().size() << " sizes for @"
                                   << kernel.getSymName() << ", got " << getSizes().size();
  auto program = (*this)->getParentOfType<ProgramOp>();
  SizeBounds bounds = SizeBounds::get(program.getSymbols(), program.getLimits());
  llvm::DenseMap<StringAttr, SizeAttr> values;
  for (auto [size, parameter] : llvm::zip_equal(getSizes().getAsRange<SizeAttr>(),
                                                kernel.getSizes().getAsRange<SymbolAttr>())) {
    std::optional<int64_t> minimum = bounds.minimum(size), maximum = bounds.maximum(size);
    if (!minimum || !maximum || *minimum < parameter.getMinimum() ||
        *maximum > parameter.getMaximum())
      return emitOpError("expects ")
             << parameter.getName().getValue() << " of @" << kernel.getSymName() << " within ["
             << parameter.getMinimum() << ", " << parameter.getMaximum() << "], got " << size.str()
             << (maximum ? " of up to " + std::to_string(*maximum) : std::string(" past 64 bits"));
    values[parameter.getName()] = size;
  }

  // C3
  SmallVector<BufferType> types = kernel.getBufferTypes();
  SmallVector<bool> written = kernel.getWrittenBuffers();
  if (getIns().size() != kernel.getNumInputs() || getNumOperands() != types.size())
    return emitOpError("expects ")
           << kernel.getNumInputs() << " inputs and " << types.size() - kernel.getNumInputs()
           << " outputs for @" << kernel.getSymName() << ", got " << getIns().size() << " and "
           << getOuts().size();
  FlatSymbolRefAttr device =
      getNumOperands() ? getBufferDevice(getOperand(0), symbolTables) : FlatSymbolRefAttr();
  for (auto [i, operand] : llvm::enumerate(getOperands())) {
    BufferType expected = substitute(types[i], values);
    if (expected != operand.getType())
      return emitOpError("expects operand ")
             << i << " of type " << expected << ", as @" << kernel.getSymName()
             << " has it at these sizes, got " << operand.getType();
    // C5
    if (getBufferDevice(operand, symbolTables) != device)
      return emitOpError("expects operands on one device, got ")
             << device << " and " << getBufferDevice(operand, symbolTables);
    // C6
    auto get = dyn_cast<GetOp>(getBufferRoot(operand));
    if (written[i] && get && !symbolTables.lookupNearestSymbolFrom<StateOp>(get, get.getNameAttr()))
      return emitOpError("expects to write the arena or state, but writes ") << get.getNameAttr();
  }
  // C5
  auto deviceOp = device ? symbolTables.lookupNearestSymbolFrom<DeviceOp>(*this, device) : nullptr;
  if (deviceOp && deviceOp.getTargetAttr() != kernel.getTargetAttr())
    return emitOpError("expects a kernel for ")
           << deviceOp.getTargetAttr() << " on device " << device << ", got one for "
           << kernel.getTargetAttr();
  return success();
}

void LaunchOp::getEffects(SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  // Which inputs are updated is known to the kernel only; where it can't be reached, say the most.
  auto kernel = SymbolTable::lookupNearestSymbolFrom<KernelOp>(*this, getKernelAttr());
  SmallVector<bool> written =
      kernel ? kernel.getWrittenBuffers() : SmallVector<bool>(getNumOperands(), true);
  for (OpOperand &operand : getInsMutable()) {
    effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (operand.getOperandNumber() < written.size() && written[operand.getOperandNumber()])
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
  for (OpOperand &operand : getOutsMutable())
    effects.emplace_back(MemoryEffects::Write::get(), &operand);
}
