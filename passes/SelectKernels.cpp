//===- SelectKernels.cpp - select-kernels -----------------------------------===//
#include "passes/Passes.h"

#include "codegen/KernelRegistry.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"

namespace ingot {
#define GEN_PASS_DEF_SELECTKERNELS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using codegen::KernelFamily;
using codegen::Selection;
using codegen::WeightLayout;
using exec::SizeAttr;

namespace {

class Selector {
public:
  explicit Selector(ModuleOp module) : module(module), symbols(module) {}

  LogicalResult run();

private:
  LogicalResult select(exec::KernelOp kernel);
  codegen::SelectContext makeContext(exec::KernelOp kernel);
  LogicalResult apply(exec::KernelOp kernel, const KernelFamily &family,
                      const Selection &selection);
  void applyLayout(exec::KernelOp kernel, const WeightLayout &layout);
  FlatSymbolRefAttr getLaidOut(exec::WeightOp weight, const WeightLayout &layout);
  LogicalResult setGrid(exec::LaunchOp launch, exec::KernelOp kernel);
  void eraseUnused();

  /// The weight that a launch passes as input `i`, or null.
  exec::WeightOp getWeight(exec::LaunchOp launch, unsigned input);

  ModuleOp module;
  SymbolTable symbols;
  llvm::MapVector<exec::KernelOp, SmallVector<exec::LaunchOp>> launches;
  /// The kernels that use each weight.
  llvm::DenseMap<StringAttr, llvm::SmallPtrSet<Operation *, 2>> weightUsers;
  /// Weights in other layouts, by weight, steps and type.
  llvm::DenseMap<Attribute, FlatSymbolRefAttr> laidOut;
};

struct SelectKernels : ingot::impl::SelectKernelsBase<SelectKernels> {
  void runOnOperation() override {
    if (failed(Selector(getOperation()).run()))
      signalPassFailure();
  }
};

} // namespace

/// "transformer.linear, arith.addf on f32[d0, d1, 384], f32[384, 384]".
static std::string describe(exec::KernelOp kernel) {
  std::string text;
  llvm::raw_string_ostream os(text);
  llvm::interleaveComma(kernel.getBody().front().without_terminator(), os,
                        [&](Operation &op) { os << op.getName(); });
  os << " on ";
  llvm::interleaveComma(kernel.getBufferTypes(), os, [&](exec::BufferType type) {
    os << type.getElementType() << "[";
    llvm::interleaveComma(type.getShape(), os, [&](SizeAttr size) { size.printBare(os); });
    os << "]";
  });
  return text;
}

exec::WeightOp Selector::getWeight(exec::LaunchOp launch, unsigned input) {
  auto get = launch.getIns()[input].getDefiningOp<exec::GetOp>();
  return get ? symbols.lookup<exec::WeightOp>(get.getName()) : exec::WeightOp();
}

codegen::SelectContext Selector::makeContext(exec::KernelOp kernel) {
  codegen::SelectContext context;
  auto target = symbols.lookup<exec::TargetOp>(kernel.getTarget());
  context.target = {target.getKind().str(), target.getArch().str()};
  for (unsigned i = 0; i < kernel.getNumInputs(); ++i) {
    bool isWeight = true, isShared = false;
    for (exec::LaunchOp launch : launches[kernel]) {
      exec::WeightOp weight = getWeight(launch, i);
      isWeight &= weight != nullptr;
      isShared |= weight && weightUsers[weight.getSymNameAttr()].size() > 1;
    }
    context.weightInputs.push_back(isWeight);
    context.sharedWeights.push_back(isWeight && isShared);
  }
  return context;
}

//===----------------------------------------------------------------------===//
// Weight layouts
//===----------------------------------------------------------------------===//

FlatSymbolRefAttr Selector::getLaidOut(exec::WeightOp weight, const WeightLayout &layout) {
  MLIRContext *context = weight.getContext();
  SmallVector<Attribute> recipe(weight.getRecipe().begin(), weight.getRecipe().end());
  recipe.append(layout.steps.begin(), layout.steps.end());
  auto newRecipe = ArrayAttr::get(context, recipe);
  Attribute key =
      ArrayAttr::get(context, {weight.getSymNameAttr(), newRecipe, TypeAttr::get(layout.type)});
  FlatSymbolRefAttr &result = laidOut[key];
  if (result)
    return result;
  OpBuilder builder(weight);
  exec::WeightOp copy = cast<exec::WeightOp>(weight->clone());
  copy.setRecipeAttr(newRecipe);
  copy.setTypeAttr(TypeAttr::get(layout.type));
  copy.setSymName((weight.getSymName() + ".packed").str());
  symbols.insert(copy, ++Block::iterator(weight));
  return result = FlatSymbolRefAttr::get(copy.getSymNameAttr());
}

void Selector::applyLayout(exec::KernelOp kernel, const WeightLayout &layout) {
  // The parameter, and the body's start undoing the layout.
  auto type = exec::BufferType::getStatic(layout.type);
  SmallVector<Attribute> inputs(kernel.getInputs().begin(), kernel.getInputs().end());
  inputs[layout.input] = TypeAttr::get(type);
  kernel.setInputsAttr(ArrayAttr::get(kernel.getContext(), inputs));
  takeLayout(kernel, layout);
  for (exec::LaunchOp launch : launches[kernel]) {
    FlatSymbolRefAttr weight = getLaidOut(getWeight(launch, layout.input), layout);
    OpBuilder atLaunch(launch);
    launch.getInsMutable()[layout.input].set(
        exec::GetOp::create(atLaunch, launch.getLoc(), type, weight));
  }
}

//===----------------------------------------------------------------------===//
// Selection
//===----------------------------------------------------------------------===//

LogicalResult Selector::setGrid(exec::LaunchOp launch, exec::KernelOp kernel) {
  llvm::DenseMap<StringAttr, SizeAttr> values;
  for (auto [size, parameter] : llvm::zip_equal(launch.getSizes().getAsRange<SizeAttr>(),
                                                kernel.getSizes().getAsRange<exec::SymbolAttr>()))
    values[parameter.getName()] = size;
  SmallVector<Attribute> grid;
  for (auto extent : kernel.getGrid()->getAsRange<SizeAttr>()) {
    SizeAttr size = exec::substitute(extent, values);
    if (!size)
      return launch.emitOpError("launches @") << kernel.getSymName() << " with a grid of "
                                              << extent.str() << ", which has no form as a size at "
                                              << "the launch's sizes";
    grid.push_back(size);
  }
  launch.setGridAttr(ArrayAttr::get(launch.getContext(), grid));
  return success();
}

LogicalResult Selector::apply(exec::KernelOp kernel, const KernelFamily &family,
                              const Selection &selection) {
  Builder builder(kernel.getContext());
  for (const WeightLayout &layout : selection.weightLayouts)
    applyLayout(kernel, layout);
  kernel.setFamilyAttr(builder.getStringAttr(family.getName()));
  kernel.setConfigAttr(selection.config.attributes ? selection.config.attributes
                                                   : builder.getDictionaryAttr({}));
  SmallVector<Attribute> grid(selection.launch.grid.begin(), selection.launch.grid.end());
  if (llvm::is_contained(grid, Attribute()))
    return kernel.emitOpError("got no grid from family '") << family.getName() << "'";
  kernel.setGridAttr(builder.getArrayAttr(grid));
  kernel.setDescription(selection.desc.text + "; " + selection.config.text);
  SmallVector<Attribute> inPlace;
  for (const SmallVector<int64_t> &inputs : selection.inPlace)
    inPlace.push_back(builder.getDenseI64ArrayAttr(inputs));
  inPlace.resize(kernel.getOwnOutputs().size(), builder.getDenseI64ArrayAttr({}));
  kernel.setInPlaceAttr(builder.getArrayAttr(inPlace));
  for (exec::LaunchOp launch : launches[kernel])
    if (failed(setGrid(launch, kernel)))
      return failure();

  std::string text = "@" + kernel.getSymName().str() + ": " + family.getName().str() + ": " +
                     kernel.getDescription()->str();
  for (const WeightLayout &layout : selection.weightLayouts)
    text += "; " + layout.description;
  remark::passed(kernel.getLoc(), remark::RemarkOpts::name("Selected").category("select-kernels"))
      << text;
  return success();
}

LogicalResult Selector::select(exec::KernelOp kernel) {
  codegen::SelectContext context = makeContext(kernel);
  std::string declined;
  for (const std::unique_ptr<KernelFamily> &family :
       codegen::KernelRegistry::getStandard().getFamilies()) {
    if (family->getTargetKind() != context.target.kind)
      continue;
    codegen::Match match = family->match(kernel, context.target);
    if (!match.matched) {
      declined += "\n  " + family->getName().str() + ": " + match.reason;
      if (match.concerns)
        remark::missed(kernel.getLoc(),
                       remark::RemarkOpts::name("Declined").category("select-kernels"))
            << "@" + kernel.getSymName().str() + ": " + family->getName().str() +
                   " declined: " + match.reason;
      continue;
    }
    Result<Selection> selection = family->select(kernel, context);
    if (!selection.ok())
      return emitError(kernel.getLoc())
             << (selection.status().code() == ExitCode::Unsupported ? kUnsupportedPrefix.str() : "")
             << family->getName() << " took kernel @" << kernel.getSymName()
             << " but failed to choose how to run it: " << selection.status().message();
    return apply(kernel, *family, *selection);
  }
  return emitError(kernel.getLoc())
         << kUnsupportedPrefix << "no kernel family of target '" << context.target.kind << "' ("
         << context.target.arch << ") takes kernel @" << kernel.getSymName() << ": "
         << describe(kernel) << (declined.empty() ? "; the target has no families" : declined);
}

void Selector::eraseUnused() {
  llvm::DenseSet<StringAttr> used;
  module.walk([&](exec::GetOp get) {
    if (get.use_empty())
      get.erase();
    else
      used.insert(get.getNameAttr().getAttr());
  });
  for (Operation &op : llvm::make_early_inc_range(*module.getBody())) {
    auto kernel = dyn_cast<exec::KernelOp>(op);
    if (isa<exec::WeightOp, exec::ConstantOp>(op) &&
        !used.contains(SymbolTable::getSymbolName(&op)))
      symbols.erase(&op);
    else if (kernel && launches[kernel].empty())
      symbols.erase(&op);
  }
}

LogicalResult Selector::run() {
  module.walk([&](exec::LaunchOp launch) {
    auto kernel = symbols.lookup<exec::KernelOp>(launch.getKernel());
    launches[kernel].push_back(launch);
    for (unsigned i = 0; i < launch.getIns().size(); ++i)
      if (exec::WeightOp weight = getWeight(launch, i))
        weightUsers[weight.getSymNameAttr()].insert(kernel);
  });
  // One diagnostic a kernel: a person wants all that is unsupported at once.
  bool ok = true;
  for (auto kernel : module.getBody()->getOps<exec::KernelOp>())
    if (!kernel.getFamily() && launches.contains(kernel))
      ok &= succeeded(select(kernel));
  if (!ok)
    return failure();
  eraseUnused();
  return success();
}
