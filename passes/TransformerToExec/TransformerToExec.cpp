//===- TransformerToExec.cpp - convert-transformer-to-exec ------------------===//
//
// The pass, and the program it emits. Sizes, kernels, outlining and module-level ops are in the
// files beside it.
//
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"
#include "passes/TransformerToExec/Outline.h"

#include "mlir/IR/Matchers.h"

namespace ingot {
#define GEN_PASS_DEF_CONVERTTRANSFORMERTOEXEC
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using ingot::exec::SizeAttr;

namespace {

/// Emits the exec.program of one function.
class ProgramEmitter {
public:
  ProgramEmitter(func::FuncOp function, StringRef name, Globals &globals, Outliner &outliner,
                 bool fuseEpilogues)
      : function(function), name(name), globals(globals), outliner(outliner),
        formation(fuseEpilogues) {}

  LogicalResult emit();

private:
  LogicalResult collectSymbols();
  /// Adds the sizes that are data, bounded by what the caller's can be at most.
  LogicalResult addResidentSymbols();
  LogicalResult emitArguments();
  LogicalResult emitOp(Operation &op);
  LogicalResult emitLaunch(const KernelGroup &group);
  /// Reads the sizes whose tensors have been made.
  void emitReadSizes();
  LogicalResult emitResults();
  LogicalResult emitStateResult(Value value, StringAttr name, Location location);
  /// The buffer of a tensor; state must be its newest version.
  FailureOr<Value> read(Value tensor, Operation *reader);

  func::FuncOp function;
  std::string name; // of the program
  Globals &globals;
  Outliner &outliner;

  SizePropagation sizes;
  StateValues states;
  KernelFormation formation;
  SmallVector<exec::SymbolAttr> symbols;
  SmallVector<exec::LimitAttr> limits;
  OpBuilder builder{function.getContext()};
  llvm::DenseMap<Value, Value> buffers;
  llvm::DenseSet<StringAttr> readSizes;
  /// The newest version of each state.
  llvm::DenseMap<BlockArgument, Value> newest;
};

} // namespace

//===----------------------------------------------------------------------===//
// Symbols
//===----------------------------------------------------------------------===//

LogicalResult ProgramEmitter::collectSymbols() {
  MLIRContext *context = function.getContext();
  auto module = function->getParentOfType<ModuleOp>();
  auto table = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr);
  llvm::SetVector<StringAttr> names;
  for (unsigned i = 0; i < function.getNumArguments(); ++i)
    if (auto given = function.getArgAttrOfType<ArrayAttr>(i, transformer::kSizesAttr))
      names.insert_range(given.getAsRange<StringAttr>());
  for (StringAttr name : names) {
    auto bounds = table ? table.getAs<ArrayAttr>(name) : ArrayAttr();
    SmallVector<int64_t> values;
    if (bounds)
      for (auto bound : bounds.getAsRange<IntegerAttr>())
        values.push_back(bound.getInt());
    if (values.size() != 2)
      return function.emitOpError("expects bounds [min, max] of size ")
             << name << " in '" << transformer::kSizesAttr << "' of the module";
    auto symbol = exec::SymbolAttr::getChecked([&] { return function.emitError(); }, context, name,
                                               values[0], values[1]);
    if (!symbol)
      return failure();
    symbols.push_back(symbol);
  }
  auto limitTable = module->getAttrOfType<ArrayAttr>(transformer::kLimitsAttr);
  if (!limitTable)
    return success();
  for (auto entry : limitTable.getAsRange<DictionaryAttr>()) {
    auto limited = entry.getAs<ArrayAttr>("symbols");
    auto maximum = entry.getAs<IntegerAttr>("max");
    if (!limited || !maximum)
      return function.emitOpError("expects entries {symbols, max} in '")
             << transformer::kLimitsAttr << "' of the module, got " << entry;
    SmallVector<StringAttr> over(limited.getAsRange<StringAttr>());
    // A limit on sizes of other programs says nothing about this one.
    if (llvm::all_of(over, [&](StringAttr name) { return names.contains(name); }))
      limits.push_back(exec::LimitAttr::get(context, over, maximum.getInt()));
  }
  return success();
}

LogicalResult ProgramEmitter::addResidentSymbols() {
  exec::SizeBounds bounds(symbols, limits);
  SmallVector<exec::SymbolAttr> residents;
  for (const ResidentSize &size : sizes.getResidentSizes()) {
    std::optional<int64_t> most = bounds.maximum(size.bound);
    if (!most || *most < 1)
      return mlir::emitError(size.tensor.getLoc())
             << "expects a size whose bound fits 63 bits, got " << size.bound.str();
    residents.push_back(
        exec::SymbolAttr::get(function.getContext(), size.name, 0, *most, size.bound));
  }
  llvm::append_range(symbols, residents);
  return success();
}

//===----------------------------------------------------------------------===//
// Arguments
//===----------------------------------------------------------------------===//

LogicalResult ProgramEmitter::emitArguments() {
  for (BlockArgument argument : function.getArguments()) {
    unsigned index = argument.getArgNumber();
    exec::BufferType type = sizes.getBufferType(argument);
    if (auto name = function.getArgAttrOfType<StringAttr>(index, transformer::kStateAttr)) {
      auto tensorType = cast<RankedTensorType>(argument.getType());
      if (!tensorType.hasStaticShape())
        return function.emitOpError("expects state ")
               << name << " of static shape, got " << tensorType;
      FailureOr<FlatSymbolRefAttr> state = globals.getState(argument.getLoc(), name, tensorType);
      if (failed(state))
        return failure();
      buffers[argument] = exec::GetOp::create(builder, argument.getLoc(), type, *state);
      newest[argument] = argument;
      continue;
    }
    auto name = function.getArgAttrOfType<StringAttr>(index, transformer::kNameAttr);
    if (!name)
      name = builder.getStringAttr("arg" + std::to_string(index));
    DenseI64ArrayAttr range;
    if (auto given = function.getArgAttrOfType<ArrayAttr>(index, transformer::kRangeAttr)) {
      SmallVector<int64_t> bounds;
      for (auto bound : given.getAsRange<IntegerAttr>())
        bounds.push_back(bound.getInt());
      range = builder.getDenseI64ArrayAttr(bounds);
    }
    IntegerAttr fill;
    if (auto given = function.getArgAttrOfType<IntegerAttr>(index, transformer::kOptionalAttr))
      fill = builder.getI64IntegerAttr(given.getInt());
    exec::SizeAttr ascendsTo;
    IntegerAttr maxStep;
    if (auto given = function.getArgAttrOfType<DictionaryAttr>(index, transformer::kOffsetsAttr)) {
      ascendsTo = SizeAttr::get(builder.getContext(), 1, given.getAs<StringAttr>("to"));
      maxStep = given.getAs<IntegerAttr>("max_step");
    }
    buffers[argument] =
        exec::InputOp::create(builder, argument.getLoc(), type, name, globals.getDevice(), range,
                              fill, ascendsTo, maxStep, StringAttr(), IntegerAttr(), IntegerAttr());
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

FailureOr<Value> ProgramEmitter::read(Value tensor, Operation *reader) {
  if (BlockArgument state = states.getState(tensor); state && newest[state] != tensor)
    return reader->emitOpError("reads a state after it was updated; expects it to read the updated "
                               "value or to come before the update");
  return buffers.lookup(tensor);
}

LogicalResult ProgramEmitter::emitLaunch(const KernelGroup &group) {
  FailureOr<OutlinedKernel> outlined = outliner.outline(group, formation, sizes, states, symbols);
  if (failed(outlined))
    return failure();
  Location location = group.getRoot()->getLoc();
  SmallVector<Value> ins, outs;
  for (Value input : outlined->inputs) {
    FailureOr<Value> buffer = read(input, group.getRoot());
    if (failed(buffer))
      return failure();
    ins.push_back(*buffer);
  }
  for (auto [output, updated] : llvm::zip_equal(outlined->outputs, outlined->kernel.getUpdates())) {
    if (updated >= 0) {
      buffers[output] = ins[updated];
      newest[states.getState(output)] = output;
      continue;
    }
    Value buffer = exec::BufferOp::create(builder, output.getLoc(), sizes.getBufferType(output),
                                          globals.getDevice(), IntegerAttr(), IntegerAttr());
    buffers[output] = buffer;
    outs.push_back(buffer);
  }
  SmallVector<Attribute> sizeList;
  for (StringAttr symbol : outlined->sizes)
    sizeList.push_back(SizeAttr::get(builder.getContext(), 1, symbol));
  exec::LaunchOp::create(builder, location,
                         FlatSymbolRefAttr::get(outlined->kernel.getSymNameAttr()),
                         builder.getArrayAttr(sizeList), ArrayAttr(), ins, outs);
  return success();
}

LogicalResult ProgramEmitter::emitOp(Operation &op) {
  switch (formation.getRole(&op)) {
  case OpRole::Cloned:
  case OpRole::Columns:
    return success();
  case OpRole::Weight: {
    FailureOr<FlatSymbolRefAttr> weight = globals.getWeight(cast<transformer::WeightOp>(op));
    if (failed(weight))
      return failure();
    buffers[op.getResult(0)] =
        exec::GetOp::create(builder, op.getLoc(), sizes.getBufferType(op.getResult(0)), *weight);
    return success();
  }
  case OpRole::Constant: {
    Attribute value;
    matchPattern(&op, m_Constant(&value));
    buffers[op.getResult(0)] =
        exec::GetOp::create(builder, op.getLoc(), sizes.getBufferType(op.getResult(0)),
                            globals.getConstant(op.getLoc(), cast<ElementsAttr>(value)));
    return success();
  }
  case OpRole::View: {
    FailureOr<Value> source = read(op.getOperand(0), &op);
    if (failed(source))
      return failure();
    exec::BufferType type = sizes.getBufferType(op.getResult(0));
    buffers[op.getResult(0)] = (*source).getType() == type
                                   ? *source
                                   : exec::ViewOp::create(builder, op.getLoc(), type, *source);
    return success();
  }
  case OpRole::Kernel:
    if (const KernelGroup *group = formation.getGroupEndingAt(&op))
      return emitLaunch(*group);
    return success();
  }
  return success();
}

void ProgramEmitter::emitReadSizes() {
  for (const ResidentSize &size : sizes.getResidentSizes()) {
    Value buffer = buffers.lookup(size.tensor);
    if (buffer && readSizes.insert(size.name).second)
      exec::ReadSizeOp::create(builder, size.tensor.getLoc(), size.name, buffer,
                               builder.getI64IntegerAttr(size.element));
  }
}

//===----------------------------------------------------------------------===//
// Results
//===----------------------------------------------------------------------===//

LogicalResult ProgramEmitter::emitStateResult(Value value, StringAttr name, Location location) {
  auto type = cast<RankedTensorType>(value.getType());
  FailureOr<FlatSymbolRefAttr> state = globals.getState(location, name, type);
  if (failed(state))
    return failure();
  Value buffer = buffers.lookup(value);
  auto root = dyn_cast<exec::GetOp>(exec::getBufferRoot(buffer));
  if (root && root.getNameAttr() == *state)
    return success(); // Written in place.
  if (root && globals.getSymbols().lookup<exec::StateOp>(root.getName()))
    return function.emitOpError("gives state ")
           << name << " the value of another state, " << root.getNameAttr();
  Value target = exec::GetOp::create(builder, location, buffer.getType(), *state);
  exec::CopyOp::create(builder, location, buffer, target);
  return success();
}

LogicalResult ProgramEmitter::emitResults() {
  Operation *terminator = function.getBody().front().getTerminator();
  for (auto [i, value] : llvm::enumerate(terminator->getOperands())) {
    if (auto name = function.getResultAttrOfType<StringAttr>(i, transformer::kStateAttr)) {
      if (failed(emitStateResult(value, name, terminator->getLoc())))
        return failure();
      continue;
    }
    FailureOr<Value> buffer = read(value, terminator);
    if (failed(buffer))
      return failure();
    auto name = function.getResultAttrOfType<StringAttr>(i, transformer::kNameAttr);
    if (!name)
      name = builder.getStringAttr("result" + std::to_string(i));
    Location location = value.getLoc();
    // An output is in the arena: copy what isn't.
    if (!isa<exec::BufferOp, exec::InputOp>(exec::getBufferRoot(*buffer))) {
      Value copy = exec::BufferOp::create(builder, location, (*buffer).getType(),
                                          globals.getDevice(), IntegerAttr(), IntegerAttr());
      exec::CopyOp::create(builder, location, *buffer, copy);
      buffer = copy;
    }
    exec::OutputOp::create(builder, location, name, *buffer, StringAttr());
  }
  return success();
}

LogicalResult ProgramEmitter::emit() {
  if (!function.getBody().hasOneBlock())
    return function.emitOpError("expects a program of one block, got ")
           << function.getBody().getBlocks().size();
  if (failed(collectSymbols()) || failed(sizes.run(function)) || failed(states.run(function)) ||
      failed(formation.run(function, sizes, states)) || failed(addResidentSymbols()))
    return failure();

  auto program = exec::ProgramOp::create(
      builder, function.getLoc(), name,
      builder.getArrayAttr(SmallVector<Attribute>(symbols.begin(), symbols.end())),
      builder.getArrayAttr(SmallVector<Attribute>(limits.begin(), limits.end())));
  if (Attribute unpadding = function->getAttr(transformer::kUnpaddingAttr))
    program->setAttr(exec::ExecDialect::kUnpaddingAttr, unpadding);
  globals.insert(program);
  builder.setInsertionPointToStart(&program.getBody().emplaceBlock());
  if (failed(emitArguments()))
    return failure();
  emitReadSizes();
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (failed(emitOp(op)))
      return failure();
    emitReadSizes();
  }
  for (const ResidentSize &size : sizes.getResidentSizes())
    if (!readSizes.contains(size.name))
      return mlir::emitError(size.tensor.getLoc())
             << "gives the size of other tensors but has no buffer to read it from";
  return emitResults();
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

namespace {

struct ConvertTransformerToExec
    : ingot::impl::ConvertTransformerToExecBase<ConvertTransformerToExec> {
  using ConvertTransformerToExecBase::ConvertTransformerToExecBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<func::FuncOp> functions;
    SmallVector<std::string> names;
    for (Operation &op : *module.getBody()) {
      auto function = dyn_cast<func::FuncOp>(op);
      if (!function || !function->hasAttr(transformer::kProgramAttr)) {
        op.emitOpError("expects a module of programs: func.func with '")
            << transformer::kProgramAttr << "'";
        return signalPassFailure();
      }
      functions.push_back(function);
      // The program takes the name.
      names.push_back(function.getSymName().str());
      function.setSymName(names.back() + ".transformer");
    }
    Globals globals(module, targetKind, targetArch);
    Outliner outliner(globals);
    for (auto [function, name] : llvm::zip_equal(functions, names))
      if (failed(ProgramEmitter(function, name, globals, outliner, fuseEpilogues).emit()))
        return signalPassFailure();
    for (func::FuncOp function : functions)
      function.erase();

    // What described the model, not its programs, stays under this dialect's names.
    for (auto [from, to] :
         {std::pair("transformer.model", exec::ExecDialect::kModelAttr),
          std::pair("transformer.generation", exec::ExecDialect::kGenerationAttr)})
      if (Attribute value = module->getAttr(from))
        module->setAttr(to, value);
    SmallVector<StringAttr> leftovers;
    for (NamedAttribute attribute : module->getAttrs())
      if (attribute.getName().strref().starts_with("transformer."))
        leftovers.push_back(attribute.getName());
    for (StringAttr name : leftovers)
      module->removeAttr(name);
  }
};

} // namespace
