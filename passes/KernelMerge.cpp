//===- KernelMerge.cpp - Two kernels as one ---------------------------------===//
#include "passes/KernelMerge.h"

#include "codegen/KernelFamily.h"
#include "dialects/Exec/SizeExpr.h"
#include "passes/Liveness.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace ingot;
using ingot::exec::SizeAttr;

namespace {

/// Collects the parts of the merged kernel.
class Merge {
public:
  Merge(exec::KernelOp kernel, MergedLaunch &result, Value passed)
      : kernel(kernel), body(kernel.getBody().front()), result(result), passed(passed),
        builder(OpBuilder::atBlockEnd(&body)) {}

  LogicalResult add(exec::LaunchOp launch, exec::KernelOp source);
  void finish(Location location);

private:
  exec::KernelOp kernel;
  Block &body;
  MergedLaunch &result;
  Value passed, passedValue;
  OpBuilder builder;
  SmallVector<Attribute> parameters, inputTypes, outputTypes;
  SmallVector<int64_t> updates;
  SmallVector<Value> yielded;
};

} // namespace

std::string ingot::nameBody(exec::KernelOp kernel) {
  std::string name = codegen::nameOps(kernel);
  // Nothing but copies.
  return name.empty() ? kernel.getBody().front().front().getName().stripDialect().str() : name;
}

LogicalResult Merge::add(exec::LaunchOp launch, exec::KernelOp source) {
  MLIRContext *context = kernel.getContext();
  // Parameters that are the same size of the program are one.
  llvm::DenseMap<StringAttr, SizeAttr> renamed;
  for (auto [parameter, size] :
       llvm::zip_equal(source.getSizes().getAsRange<exec::SymbolAttr>(), launch.getSizes())) {
    size_t index = llvm::find(result.sizes, size) - result.sizes.begin();
    auto name = StringAttr::get(context, "d" + std::to_string(index));
    if (index == result.sizes.size()) {
      result.sizes.push_back(size);
      parameters.push_back(
          exec::SymbolAttr::get(context, name, parameter.getMinimum(), parameter.getMaximum()));
    }
    renamed[parameter.getName()] = SizeAttr::get(context, 1, name);
  }
  IRMapping mapping;
  SmallVector<int64_t> positions;
  for (auto [i, input] : llvm::enumerate(launch.getIns())) {
    BlockArgument argument = source.getBody().getArgument(i);
    if (passed && input == passed) {
      if (passedValue.getType() != argument.getType())
        return failure();
      mapping.map(argument, passedValue);
      positions.push_back(-1);
      continue;
    }
    size_t index = llvm::find(result.ins, input) - result.ins.begin();
    if (index == result.ins.size()) {
      exec::BufferType type = exec::substitute(source.getInputType(i), renamed);
      if (!type)
        return failure();
      result.ins.push_back(input);
      inputTypes.push_back(TypeAttr::get(type));
      body.addArgument(argument.getType(), argument.getLoc());
    }
    auto updated = llvm::find(updates, int64_t(index));
    mapping.map(argument, updated != updates.end() ? yielded[updated - updates.begin()]
                                                   : Value(body.getArgument(index)));
    positions.push_back(index);
  }
  for (Operation &op : source.getBody().front().without_terminator())
    builder.clone(op, mapping);
  ValueRange outs = launch.getOuts();
  Operation *yield = source.getBody().front().getTerminator();
  for (auto [i, updated] : llvm::enumerate(source.getUpdates())) {
    Value value = mapping.lookup(yield->getOperand(i));
    if (updated < 0) {
      Value buffer = outs.front();
      outs = outs.drop_front();
      if (buffer == passed) {
        passedValue = value;
        continue; // Stays a value of the body.
      }
      result.outs.push_back(buffer);
    }
    exec::BufferType type = exec::substitute(source.getOutputType(i), renamed);
    if (!type)
      return failure();
    yielded.push_back(value);
    outputTypes.push_back(TypeAttr::get(type));
    updates.push_back(updated < 0 ? -1 : positions[updated]);
  }
  return success();
}

void Merge::finish(Location location) {
  exec::YieldOp::create(builder, location, yielded);
  kernel.setSizesAttr(builder.getArrayAttr(parameters));
  kernel.setInputsAttr(builder.getArrayAttr(inputTypes));
  kernel.setOutputsAttr(builder.getArrayAttr(outputTypes));
  kernel.setUpdatesAttr(builder.getDenseI64ArrayAttr(updates));
}

FailureOr<MergedLaunch> KernelMerger::merge(exec::LaunchOp earlier, exec::LaunchOp later,
                                            Value passed) {
  auto first = symbols.lookup<exec::KernelOp>(earlier.getKernel());
  auto second = symbols.lookup<exec::KernelOp>(later.getKernel());
  if (first.getTarget() != second.getTarget())
    return failure();
  OpBuilder builder(first.getContext());
  auto kernel = exec::KernelOp::create(builder, first.getLoc(), "kernel", first.getTargetAttr(),
                                       ArrayRef<exec::SymbolAttr>(), ArrayRef<exec::BufferType>(),
                                       ArrayRef<exec::BufferType>(), ArrayRef<int64_t>(),
                                       ArrayRef<Location>());
  MergedLaunch result;
  Merge merge(kernel, result, passed);
  if (failed(merge.add(earlier, first)) || failed(merge.add(later, second))) {
    kernel->erase();
    return failure();
  }
  merge.finish(second.getLoc());

  std::string text;
  llvm::raw_string_ostream os(text);
  kernel->print(os, OpPrintingFlags().useLocalScope().elideLargeElementsAttrs(
                        std::numeric_limits<int64_t>::max()));
  exec::KernelOp &known = kernels[text];
  if (known) {
    kernel->erase();
  } else {
    known = kernel;
    std::string name = nameBody(kernel);
    for (size_t comma; (comma = name.find(", ")) != std::string::npos;)
      name.replace(comma, 2, "_");
    kernel.setSymName(name);
    symbols.insert(kernel, ++Block::iterator(second));
  }
  result.kernel = known;
  return result;
}

void ingot::eraseUnlaunched(ModuleOp module, SymbolTable &symbols) {
  llvm::DenseSet<StringAttr> launched;
  module.walk([&](exec::LaunchOp launch) { launched.insert(launch.getKernelAttr().getAttr()); });
  for (auto kernel : llvm::to_vector(module.getOps<exec::KernelOp>()))
    if (!launched.contains(kernel.getSymNameAttr()))
      symbols.erase(kernel);
}

exec::LaunchOp KernelMerger::launch(const MergedLaunch &merged, exec::LaunchOp earlier,
                                    exec::LaunchOp later, exec::LaunchOp place) {
  OpBuilder builder(place);
  auto launch = exec::LaunchOp::create(
      builder, place.getLoc(),
      FlatSymbolRefAttr::get(exec::KernelOp(merged.kernel).getSymNameAttr()),
      builder.getArrayAttr(merged.sizes), ArrayAttr(), merged.ins, merged.outs);
  earlier.erase();
  later.erase();
  return launch;
}

bool ingot::changesBetween(exec::LaunchOp first, exec::LaunchOp second) {
  llvm::SmallPtrSet<Operation *, 4> read;
  for (Value input : first.getIns())
    read.insert(exec::getBufferRoot(input));
  for (Operation *op = first->getNextNode(); op != second; op = op->getNextNode()) {
    if (!op)
      return true;
    if (!isa<exec::LaunchOp, exec::CopyOp, exec::ReadSizeOp>(op))
      continue;
    for (const BufferUse &use : Liveness::getUses(op))
      if (use.writes && read.contains(use.root))
        return true;
  }
  return false;
}
