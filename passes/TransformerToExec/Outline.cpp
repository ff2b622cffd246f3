//===- Outline.cpp - Kernels out of groups of ops ---------------------------===//
#include "passes/TransformerToExec/Outline.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

using namespace mlir;
using namespace ingot;
using ingot::exec::SizeAttr;

namespace {

/// Builds the body of one kernel, adding arguments as the ops need them.
class BodyBuilder {
public:
  BodyBuilder(exec::KernelOp kernel, const KernelGroup &group, const KernelFormation &formation,
              const SizePropagation &sizes)
      : body(kernel.getBody().front()), builder(OpBuilder::atBlockEnd(&body)), group(group),
        formation(formation), sizes(sizes) {}

  /// Copies the group's ops.
  LogicalResult build();
  /// Ends the body with the values of `outputs`.
  void yield(ArrayRef<Value> outputs, Location location);

  SmallVector<Value> inputs;

private:
  LogicalResult cloneOp(Operation *op);
  /// Makes `value` of the program available in the body.
  LogicalResult provide(Value value);
  Value addInput(Value value);
  /// The value of a size in the body, out of the dimensions of what is there already, or of
  /// arguments of the program as further inputs. Null if it has a divisor and no tensor has it.
  Value makeSize(SizeAttr size, Location location);
  Value findDim(SizeAttr size, ArrayRef<Value> tensors, Location location);
  Value castTo(Value value, RankedTensorType type, Location location);

  Block &body;
  OpBuilder builder;
  const KernelGroup &group;
  const KernelFormation &formation;
  const SizePropagation &sizes;
  IRMapping mapping;
  /// Tensors of the program that the body has, in order.
  SmallVector<Value> available;
  llvm::DenseMap<Attribute, Value> madeSizes;
};

} // namespace

Value BodyBuilder::castTo(Value value, RankedTensorType type, Location location) {
  return value.getType() == type
             ? value
             : tensor::CastOp::create(builder, location, type, value).getResult();
}

Value BodyBuilder::addInput(Value value) {
  inputs.push_back(value);
  available.push_back(value);
  Value argument = body.addArgument(sizes.getBufferType(value).getTensorType(), value.getLoc());
  // The sizes may know more dimensions than the value's type says.
  Value cast = castTo(argument, cast_if_present<RankedTensorType>(value.getType()), value.getLoc());
  mapping.map(value, cast);
  return cast;
}

Value BodyBuilder::findDim(SizeAttr size, ArrayRef<Value> tensors, Location location) {
  for (Value value : tensors)
    for (auto [dim, extent] : llvm::enumerate(sizes.getShape(value)))
      if (extent == size)
        return tensor::DimOp::create(
            builder, location, mapping.contains(value) ? mapping.lookup(value) : addInput(value),
            dim);
  return {};
}

Value BodyBuilder::makeSize(SizeAttr size, Location location) {
  Value &made = madeSizes[size];
  if (made)
    return made;
  if (size.isStatic())
    return made = arith::ConstantIndexOp::create(builder, location, size.getFactor());
  if (Value dim = findDim(size, SmallVector<Value>(available), location))
    return made = dim;
  if (size.getDivisor() != 1)
    return {};
  // The product of its symbols, each of which is a dimension of some argument of the program.
  MLIRContext *context = size.getContext();
  Value product;
  if (size.getFactor() != 1 || size.getSymbols().size() > 1)
    product = makeSize(SizeAttr::get(context, size.getFactor()), location);
  SmallVector<Value> arguments(group.getRoot()->getBlock()->getArguments());
  for (StringAttr name : size.getSymbols()) {
    SizeAttr symbol = SizeAttr::get(context, 1, name);
    Value factor =
        symbol == size ? findDim(symbol, arguments, location) : makeSize(symbol, location);
    if (!factor)
      return {};
    product =
        product ? arith::MulIOp::create(builder, location, product, factor).getResult() : factor;
  }
  return madeSizes[size] = product;
}

LogicalResult BodyBuilder::provide(Value value) {
  if (mapping.contains(value))
    return success();
  Operation *producer = value.getDefiningOp();
  OpRole role = producer ? formation.getRole(producer) : OpRole::Kernel;
  if (role == OpRole::Columns)
    return cloneOp(producer);
  if (role != OpRole::Cloned) {
    addInput(value);
    return success();
  }
  if (auto dim = dyn_cast<ShapedDimOpInterface>(producer)) {
    Value shaped = dim.getShapedValue();
    std::optional<int64_t> position = getConstantIntValue(dim.getDimension());
    if (!position || !isa<RankedTensorType>(shaped.getType()) || *position < 0 ||
        *position >= cast<RankedTensorType>(shaped.getType()).getRank())
      return producer->emitOpError("expects a constant dimension of a ranked tensor");
    SizeAttr size = sizes.getShape(shaped)[*position];
    Value made = makeSize(size, producer->getLoc());
    if (!made)
      return producer->emitOpError("has size ")
             << size.str() << ", which no tensor of its kernel has";
    mapping.map(value, made);
    return success();
  }
  return cloneOp(producer);
}

LogicalResult BodyBuilder::cloneOp(Operation *op) {
  for (Value value : getReadValues(op))
    if (failed(provide(value)))
      return failure();
  builder.clone(*op, mapping);
  for (Value result : op->getResults())
    if (isa<RankedTensorType>(result.getType()))
      available.push_back(result);
  return success();
}

LogicalResult BodyBuilder::build() {
  // Tensors first, so that sizes find dimensions of what is read anyway.
  for (Operation *op : group.ops)
    for (Value read : getReadValues(op)) {
      Value value = formation.getStored(read);
      Operation *producer = value.getDefiningOp();
      if (isa<RankedTensorType>(value.getType()) && !llvm::is_contained(group.ops, producer) &&
          (!producer || formation.getRole(producer) != OpRole::Cloned) && !mapping.contains(value))
        addInput(value);
    }
  for (Operation *op : group.ops)
    if (failed(cloneOp(op)))
      return failure();
  return success();
}

void BodyBuilder::yield(ArrayRef<Value> outputs, Location location) {
  SmallVector<Value> values;
  for (Value output : outputs)
    values.push_back(
        castTo(mapping.lookup(output), sizes.getBufferType(output).getTensorType(), location));
  exec::YieldOp::create(builder, location, values);
}

//===----------------------------------------------------------------------===//
// Outliner
//===----------------------------------------------------------------------===//

/// "linear_activation_addf": the group's ops, the first few.
static std::string makeName(const KernelGroup &group) {
  static constexpr size_t kMostOps = 4;
  std::string name;
  for (Operation *op : ArrayRef(group.ops).take_front(kMostOps)) {
    StringRef mnemonic = op->getName().stripDialect();
    if (!name.empty())
      name += "_";
    name += mnemonic;
  }
  return group.ops.size() > kMostOps ? name + "_etc" : name;
}

/// Everything about a kernel but its name and where it came from.
static std::string getStructure(exec::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream os(text);
  // Locations are not printed by default; the name is the same for all at this point.
  kernel->print(os, OpPrintingFlags().useLocalScope().elideLargeElementsAttrs(
                        std::numeric_limits<int64_t>::max()));
  return text;
}

FailureOr<OutlinedKernel> Outliner::outline(const KernelGroup &group,
                                            const KernelFormation &formation,
                                            const SizePropagation &sizes, const StateValues &states,
                                            ArrayRef<exec::SymbolAttr> symbols) {
  MLIRContext *context = group.getRoot()->getContext();
  Location location = group.getRoot()->getLoc();
  OpBuilder builder(context);
  auto kernel = exec::KernelOp::create(builder, location, "kernel", globals.getTarget(),
                                       ArrayRef<exec::SymbolAttr>(), ArrayRef<exec::BufferType>(),
                                       ArrayRef<exec::BufferType>(), ArrayRef<int64_t>(),
                                       ArrayRef<Location>());
  auto fail = [&] {
    kernel->erase();
    return failure();
  };
  BodyBuilder body(kernel, group, formation, sizes);
  if (failed(body.build()))
    return fail();

  OutlinedKernel result;
  result.inputs = body.inputs;
  for (Operation *op : group.ops)
    for (Value value : op->getResults())
      if (llvm::any_of(value.getUsers(), [&](Operation *user) {
            return readsElements(user) && !llvm::is_contained(group.ops, user);
          }))
        result.outputs.push_back(value);
  body.yield(result.outputs, group.getLast()->getLoc());

  // Size parameters: the program's symbols, named in the order in which the buffers name them.
  llvm::DenseMap<StringAttr, SizeAttr> parameters;
  SmallVector<Attribute> parameterList;
  auto toParameters = [&](Value value) -> Attribute {
    exec::BufferType type = sizes.getBufferType(value);
    for (SizeAttr extent : type.getShape())
      for (StringAttr symbol : extent.getSymbols()) {
        if (parameters.contains(symbol))
          continue;
        auto bounds = llvm::find_if(
            symbols, [&](exec::SymbolAttr known) { return known.getName() == symbol; });
        auto name = StringAttr::get(context, "d" + std::to_string(parameters.size()));
        parameters[symbol] = SizeAttr::get(context, 1, name);
        parameterList.push_back(
            exec::SymbolAttr::get(context, name, bounds->getMinimum(), bounds->getMaximum()));
        result.sizes.push_back(symbol);
      }
    return TypeAttr::get(exec::substitute(type, parameters));
  };
  SmallVector<Attribute> inputTypes, outputTypes;
  for (Value input : result.inputs)
    inputTypes.push_back(toParameters(input));
  SmallVector<int64_t> updates;
  for (Value output : result.outputs) {
    outputTypes.push_back(toParameters(output));
    OpOperand *updated = states.getUpdated(cast<OpResult>(output));
    updates.push_back(updated ? llvm::find(result.inputs, updated->get()) - result.inputs.begin()
                              : -1);
  }
  kernel.setSizesAttr(builder.getArrayAttr(parameterList));
  kernel.setInputsAttr(builder.getArrayAttr(inputTypes));
  kernel.setOutputsAttr(builder.getArrayAttr(outputTypes));
  kernel.setUpdatesAttr(builder.getDenseI64ArrayAttr(updates));

  // An equal kernel is there already?
  exec::KernelOp &known = kernels[getStructure(kernel)];
  if (known) {
    kernel->erase();
  } else {
    known = kernel;
    kernel.setSymName(makeName(group));
    globals.insert(kernel);
  }
  result.kernel = known;
  return result;
}
