//===- Cut.cpp - A part of a program as a program --------------------------===//

#include "compiler/verify/Cut.h"

#include "compiler/verify/Stages.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "dialects/Transformer/TransformerOps.h"

#include "llvm/ADT/SetVector.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace ingot::verify {

/// A tensor that is handed over as data; everything else is computed again.
static bool isData(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && isa<FloatType>(type.getElementType()) &&
         !isa_and_nonnull<transformer::WeightOp>(value.getDefiningOp()) &&
         !(value.getDefiningOp() && value.getDefiningOp()->hasTrait<OpTrait::ConstantLike>());
}

std::optional<Cut> cutProgram(ModuleOp program, const llvm::DenseSet<Operation *> &ops,
                              const std::vector<Probe> &probes, const Case &inputs, size_t call) {
  func::FuncOp source = programOf(program);
  Block &body = source.getBody().front();
  MLIRContext *context = program.getContext();

  // What is cloned: the ops, and what they need that is not data.
  llvm::DenseSet<Operation *> kept = ops;
  llvm::SetVector<Value> taken;
  SmallVector<Operation *> pending(ops.begin(), ops.end());
  while (!pending.empty())
    for (Value operand : pending.pop_back_val()->getOperands()) {
      Operation *op = operand.getDefiningOp();
      if (op && kept.contains(op))
        continue;
      if (!op || isData(operand))
        taken.insert(operand);
      else if (kept.insert(op).second)
        pending.push_back(op);
    }

  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attributes;
  SmallVector<Value> arguments;
  Cut cut;
  Call one;
  one.mask = inputs.calls[call].mask;
  Builder builder(context);
  // Ports first, in their order.
  for (BlockArgument argument : body.getArguments()) {
    if (!taken.contains(argument))
      continue;
    unsigned index = argument.getArgNumber();
    if (source.getArgAttr(index, transformer::kStateAttr) && call != 0)
      return std::nullopt;
    arguments.push_back(argument);
    types.push_back(argument.getType());
    attributes.push_back(source.getArgAttrDict(index));
    auto name = source.getArgAttrOfType<StringAttr>(index, transformer::kNameAttr);
    for (const Tensor &tensor : inputs.calls[call].inputs)
      if (name && tensor.name == name.getValue())
        one.inputs.push_back(tensor);
  }
  for (Value value : taken) {
    if (isa<BlockArgument>(value))
      continue;
    const Probe *probe = nullptr;
    for (const Probe &candidate : probes)
      if (candidate.value == value && candidate.type == value.getType())
        probe = &candidate;
    if (!probe)
      return std::nullopt;
    SmallVector<StringRef> sizes;
    auto type = cast<RankedTensorType>(value.getType());
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (!type.isDynamicDim(i))
        continue;
      if (probe->result.axes[i] == Axis::Other)
        return std::nullopt;
      sizes.push_back(probe->result.axes[i] == Axis::Row ? "B" : "S");
    }
    Tensor tensor = probe->result.tensor;
    tensor.name = "value." + std::to_string(arguments.size());
    SmallVector<NamedAttribute> port{
        builder.getNamedAttr(transformer::kNameAttr, builder.getStringAttr(tensor.name))};
    if (!sizes.empty())
      port.push_back(builder.getNamedAttr(transformer::kSizesAttr, builder.getStrArrayAttr(sizes)));
    arguments.push_back(value);
    types.push_back(type);
    attributes.push_back(builder.getDictionaryAttr(port));
    one.inputs.push_back(std::move(tensor));
  }

  // Results: what the rest of the program uses, and new state.
  SmallVector<Value> results;
  SmallVector<DictionaryAttr> resultAttributes;
  Operation *terminator = body.getTerminator();
  for (Operation &op : body.without_terminator()) {
    if (!kept.contains(&op))
      continue;
    for (Value result : op.getResults()) {
      StringAttr state;
      for (OpOperand &use : result.getUses())
        if (use.getOwner() == terminator)
          if (auto name = source.getResultAttrOfType<StringAttr>(use.getOperandNumber(),
                                                                 transformer::kStateAttr))
            state = name;
      bool outside = llvm::any_of(result.getUsers(),
                                  [&](Operation *user) { return !kept.contains(user); });
      if (!state && !(outside && ops.contains(&op) && isData(result)))
        continue;
      results.push_back(result);
      resultAttributes.push_back(builder.getDictionaryAttr(
          state ? builder.getNamedAttr(transformer::kStateAttr, state)
                : builder.getNamedAttr(
                      transformer::kNameAttr,
                      builder.getStringAttr("result." + std::to_string(results.size() - 1)))));
    }
  }
  if (results.empty() || arguments.empty())
    return std::nullopt;

  cut.module = ModuleOp::create(program.getLoc());
  (*cut.module)->setAttrs(program->getAttrDictionary());
  OpBuilder inner = OpBuilder::atBlockEnd(cut.module->getBody());
  auto function = func::FuncOp::create(inner, source.getLoc(), source.getSymName(),
                                       inner.getFunctionType(types, ValueRange(results).getTypes()));
  function->setAttr(transformer::kProgramAttr, inner.getUnitAttr());
  function.setAllArgAttrs(attributes);
  function.setAllResultAttrs(resultAttributes);
  Block *entry = function.addEntryBlock();
  inner.setInsertionPointToStart(entry);
  IRMapping mapping;
  for (auto [argument, twin] : llvm::zip(arguments, entry->getArguments()))
    mapping.map(argument, twin);
  for (Operation &op : body.without_terminator())
    if (kept.contains(&op))
      inner.clone(op, mapping);
  SmallVector<Value> values;
  for (Value result : results)
    values.push_back(mapping.lookup(result));
  func::ReturnOp::create(inner, terminator->getLoc(), values);

  // The table of sources without those that nothing names.
  llvm::DenseSet<StringAttr> used;
  function.walk([&](transformer::WeightOp weight) {
    for (auto name : weight.getSources().getAsRange<StringAttr>())
      used.insert(name);
  });
  SmallVector<NamedAttribute> sources;
  if (auto table = (*cut.module)->getAttrOfType<DictionaryAttr>(transformer::kSourcesAttr))
    for (NamedAttribute entry : table)
      if (used.contains(entry.getName()))
        sources.push_back(entry);
  (*cut.module)->setAttr(transformer::kSourcesAttr, builder.getDictionaryAttr(sources));

  cut.inputs.name = inputs.name;
  cut.inputs.calls.push_back(std::move(one));
  return cut;
}

} // namespace ingot::verify
