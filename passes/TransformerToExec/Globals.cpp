//===- Globals.cpp - Targets, weights, constants and state ------------------===//
#include "passes/TransformerToExec/Globals.h"

using namespace mlir;
using namespace ingot;

/// Where an op stands in the module: what others refer to comes first.
static int getRank(Operation &op) {
  if (isa<exec::TargetOp>(op))
    return 0;
  if (isa<exec::DeviceOp>(op))
    return 1;
  if (isa<exec::SourceOp>(op))
    return 2;
  if (isa<exec::WeightOp>(op))
    return 3;
  if (isa<exec::ConstantOp>(op))
    return 4;
  if (isa<exec::StateOp>(op))
    return 5;
  if (isa<exec::KernelOp>(op))
    return 6;
  return 7; // Programs, and the functions that they are made of.
}

void Globals::insert(Operation *op) {
  // Behind all that has its rank or a lower one.
  Block &body = *module.getBody();
  auto behind = llvm::find_if(llvm::reverse(body),
                              [&](Operation &other) { return getRank(other) <= getRank(*op); });
  symbols.insert(op, behind == body.rend() ? body.begin() : ++Block::iterator(*behind));
}

template <typename OpT, typename... Args>
FlatSymbolRefAttr Globals::make(Location location, StringRef name, Args &&...args) {
  OpBuilder builder(module.getContext());
  auto op =
      OpT::create(builder, location, builder.getStringAttr(name), std::forward<Args>(args)...);
  insert(op);
  return FlatSymbolRefAttr::get(op.getSymNameAttr());
}

Globals::Globals(ModuleOp module, StringRef targetKind, StringRef targetArch)
    : module(module), symbols(module) {
  Builder builder(module.getContext());
  target = make<exec::TargetOp>(module.getLoc(), targetKind, builder.getStringAttr(targetKind),
                                builder.getStringAttr(targetArch));
  device = make<exec::DeviceOp>(module.getLoc(), (targetKind + "0").str(), target, IntegerAttr(),
                                IntegerAttr(), IntegerAttr(), IntegerAttr());
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

FailureOr<FlatSymbolRefAttr> Globals::getSource(Operation *user, StringAttr name) {
  FlatSymbolRefAttr &source = sources[name];
  if (source)
    return source;
  auto table = module->getAttrOfType<DictionaryAttr>(transformer::kSourcesAttr);
  auto entry = table ? table.getAs<DictionaryAttr>(name) : DictionaryAttr();
  auto shape = entry ? entry.getAs<ArrayAttr>("shape") : ArrayAttr();
  if (!shape)
    return user->emitOpError("names source ") << name << ", which has no entry with a shape in '"
                                              << transformer::kSourcesAttr << "' of the module";
  Builder builder(module.getContext());
  SmallVector<int64_t> dims;
  for (auto dim : shape.getAsRange<IntegerAttr>())
    dims.push_back(dim.getInt());
  exec::Init init = exec::Init::Normal;
  if (auto text = entry.getAs<StringAttr>("init")) {
    std::optional<exec::Init> parsed = exec::symbolizeInit(text.getValue());
    if (!parsed)
      return user->emitOpError("expects init of source ")
             << name << " to be normal, ones or zeros, got " << text;
    init = *parsed;
  }
  FloatAttr std;
  if (auto given = entry.getAs<FloatAttr>("std"))
    std = builder.getF32FloatAttr(given.getValueAsDouble());
  auto aliases = entry.getAs<ArrayAttr>("aliases");
  source =
      make<exec::SourceOp>(module.getLoc(), name.getValue(), builder.getDenseI64ArrayAttr(dims),
                           exec::InitAttr::get(module.getContext(), init), std,
                           aliases && !aliases.empty() ? aliases : ArrayAttr());
  return source;
}

FailureOr<FlatSymbolRefAttr> Globals::getWeight(transformer::WeightOp weight) {
  MLIRContext *context = module.getContext();
  auto type = cast<RankedTensorType>(weight.getResult().getType());
  Attribute key =
      ArrayAttr::get(context, {weight.getSources(), weight.getRecipe(), TypeAttr::get(type)});
  FlatSymbolRefAttr &global = weights[key];
  if (global)
    return global;

  SmallVector<Attribute> sourceRefs, steps;
  for (auto name : weight.getSources().getAsRange<StringAttr>()) {
    FailureOr<FlatSymbolRefAttr> source = getSource(weight, name);
    if (failed(source))
      return failure();
    sourceRefs.push_back(*source);
  }
  // The two dialects number recipe steps as plan.fbs does.
  for (auto step : weight.getRecipe().getAsRange<transformer::StepAttr>())
    steps.push_back(exec::StepAttr::get(context, static_cast<exec::RecipeOp>(step.getOp()),
                                        step.getInts(), step.getValue().convertToDouble()));
  StringRef first = cast<StringAttr>(weight.getSources()[0]).getValue();
  global = make<exec::WeightOp>(weight.getLoc(), ("w." + first).str(),
                                ArrayAttr::get(context, sourceRefs), ArrayAttr::get(context, steps),
                                device, TypeAttr::get(type), IntegerAttr());
  return global;
}

//===----------------------------------------------------------------------===//
// Constants and state
//===----------------------------------------------------------------------===//

FlatSymbolRefAttr Globals::getConstant(Location location, ElementsAttr value) {
  FlatSymbolRefAttr &global = constants[value];
  if (!global)
    global = make<exec::ConstantOp>(location, "c" + std::to_string(constants.size() - 1), device,
                                    value, IntegerAttr());
  return global;
}

FailureOr<FlatSymbolRefAttr> Globals::getState(Location location, StringAttr name,
                                               RankedTensorType type) {
  FlatSymbolRefAttr &global = states[name];
  if (!global)
    global =
        make<exec::StateOp>(location, name.getValue(), device, TypeAttr::get(type), IntegerAttr());
  auto state = symbols.lookup<exec::StateOp>(global.getValue());
  if (state.getType() != type)
    return emitError(location) << "expects state " << name << " of type " << state.getType()
                               << ", as in another program, got " << type;
  return global;
}
