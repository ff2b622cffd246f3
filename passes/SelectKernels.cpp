//===- SelectKernels.cpp - select-kernels -----------------------------------===//
#include "passes/Passes.h"

#include "codegen/KernelRegistry.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"
#include "passes/TuningChoice.h"

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

/// A family and what it decided.
struct Choice {
  const KernelFamily *family = nullptr;
  Selection selection;
};

class Selector {
public:
  Selector(ModuleOp module, ArrayRef<std::string> alternatives, const TuningChoice &tuning)
      : module(module), symbols(module), alternatives(alternatives), tuning(tuning) {}

  LogicalResult run();

private:
  LogicalResult addTargets();
  LogicalResult select(exec::KernelOp kernel);
  codegen::SelectContext makeContext(exec::KernelOp kernel);
  FailureOr<Choice> choose(exec::KernelOp kernel, const codegen::SelectContext &context);
  Result<Selection> chooseConfig(const KernelFamily &family, exec::KernelOp kernel,
                                 const codegen::SelectContext &context);
  FailureOr<std::vector<Choice>> chooseAlike(MutableArrayRef<exec::KernelOp> variants);
  LogicalResult apply(exec::KernelOp kernel, const Choice &choice);
  void applyLayout(exec::KernelOp kernel, const WeightLayout &layout);
  FlatSymbolRefAttr getLaidOut(exec::WeightOp weight, const WeightLayout &layout);
  LogicalResult setGrid(exec::LaunchOp launch, exec::KernelOp kernel);
  void eraseUnused();

  /// The weight that a launch passes as input `i`, or null.
  exec::WeightOp getWeight(exec::LaunchOp launch, unsigned input);

  ModuleOp module;
  SymbolTable symbols;
  ArrayRef<std::string> alternatives;
  const TuningChoice &tuning;
  /// The targets of the variants of a target's kernels, by that target's name.
  llvm::StringMap<SmallVector<exec::TargetOp>> others;
  llvm::MapVector<exec::KernelOp, SmallVector<exec::LaunchOp>> launches;
  /// The kernels that use each weight.
  llvm::DenseMap<StringAttr, llvm::SmallPtrSet<Operation *, 2>> weightUsers;
  /// Weights in other layouts, by weight, steps and type.
  llvm::DenseMap<Attribute, FlatSymbolRefAttr> laidOut;
};

struct SelectKernels : ingot::impl::SelectKernelsBase<SelectKernels> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<std::string> archs(alternatives.begin(), alternatives.end());
    Result<TuningChoice> measured = TuningChoice::read({tuning.begin(), tuning.end()}, gpu);
    if (!measured.ok()) {
      emitError(getOperation().getLoc()) << measured.status().message();
      return signalPassFailure();
    }
    measured->reportUnread(getOperation().getLoc());
    if (failed(Selector(getOperation(), archs, *measured).run()))
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
  auto used = launches.find(kernel);
  if (used == launches.end())
    return; // a variant: its weights are those of the kernel that it is of
  for (exec::LaunchOp launch : used->second) {
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

LogicalResult Selector::apply(exec::KernelOp kernel, const Choice &choice) {
  Builder builder(kernel.getContext());
  const Selection &selection = choice.selection;
  StringRef family = choice.family->getName();
  for (const WeightLayout &layout : selection.weightLayouts)
    applyLayout(kernel, layout);
  kernel.setFamilyAttr(builder.getStringAttr(family));
  kernel.setConfigAttr(selection.config.attributes ? selection.config.attributes
                                                   : builder.getDictionaryAttr({}));
  SmallVector<Attribute> grid(selection.launch.grid.begin(), selection.launch.grid.end());
  if (llvm::is_contained(grid, Attribute()))
    return kernel.emitOpError("got no grid from family '") << family << "'";
  kernel.setGridAttr(builder.getArrayAttr(grid));
  kernel.setDescription(selection.desc.text + "; " + selection.config.text);
  SmallVector<Attribute> inPlace;
  for (const SmallVector<int64_t> &inputs : selection.inPlace)
    inPlace.push_back(builder.getDenseI64ArrayAttr(inputs));
  inPlace.resize(kernel.getOwnOutputs().size(), builder.getDenseI64ArrayAttr({}));
  kernel.setInPlaceAttr(builder.getArrayAttr(inPlace));
  if (auto used = launches.find(kernel); used != launches.end())
    for (exec::LaunchOp launch : used->second)
      if (failed(setGrid(launch, kernel)))
        return failure();

  std::string text =
      "@" + kernel.getSymName().str() + ": " + family.str() + ": " + kernel.getDescription()->str();
  for (const WeightLayout &layout : selection.weightLayouts)
    text += "; " + layout.description;
  remark::passed(kernel.getLoc(), remark::RemarkOpts::name("Selected").category("select-kernels"))
      << text;
  return success();
}

/// The candidate that the kernel asks for, else the one that was measured to be the fastest, else
/// the family's own choice.
Result<Selection> Selector::chooseConfig(const KernelFamily &family, exec::KernelOp kernel,
                                         const codegen::SelectContext &context) {
  auto takes = kernel->getAttrOfType<IntegerAttr>(exec::ExecDialect::kTakesAttr);
  if (!takes && tuning.empty())
    return family.select(kernel, context);
  Result<std::vector<Selection>> candidates = family.candidates(kernel, context);
  if (!candidates.ok())
    return candidates.status();
  if (takes) {
    size_t index = takes.getInt();
    if (index >= candidates->size())
      return Status(ExitCode::Internal, "expected a candidate below " +
                                            std::to_string(candidates->size()) + ", got " +
                                            std::to_string(index));
    kernel->removeAttr(exec::ExecDialect::kTakesAttr);
    return std::move((*candidates)[index]);
  }
  return tuning.choose(family, kernel, context.target, std::move(*candidates));
}

/// Asks the families for one kernel.
FailureOr<Choice> Selector::choose(exec::KernelOp kernel, const codegen::SelectContext &context) {
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
    Result<Selection> selection = chooseConfig(*family, kernel, context);
    if (!selection.ok())
      return emitError(kernel.getLoc())
             << (selection.status().code() == ExitCode::Unsupported ? kUnsupportedPrefix.str() : "")
             << family->getName() << " took kernel @" << kernel.getSymName()
             << " but failed to choose how to run it: " << selection.status().message();
    return Choice{family.get(), std::move(*selection)};
  }
  return emitError(kernel.getLoc())
         << kUnsupportedPrefix << "no kernel family of target '" << context.target.kind << "' ("
         << context.target.arch << ") takes kernel @" << kernel.getSymName() << ": "
         << describe(kernel) << (declined.empty() ? "; the target has no families" : declined);
}

static const WeightLayout *findLayout(const Selection &selection, unsigned input) {
  for (const WeightLayout &layout : selection.weightLayouts)
    if (layout.input == input)
      return &layout;
  return nullptr;
}

static bool isSame(const WeightLayout *a, const WeightLayout *b) {
  return !a || !b ? a == b : a->steps == b->steps && a->type == b->type;
}

/// Chooses for a kernel and its variants, which are passed the same bytes: what they do not agree
/// on is not laid out, and none may overwrite what another still reads.
FailureOr<std::vector<Choice>> Selector::chooseAlike(MutableArrayRef<exec::KernelOp> variants) {
  codegen::SelectContext context = makeContext(variants.front());
  std::vector<Choice> choices;
  for (bool agreed = false; !agreed;) {
    choices.clear();
    for (exec::KernelOp variant : variants) {
      auto target = symbols.lookup<exec::TargetOp>(variant.getTarget());
      context.target = {target.getKind().str(), target.getArch().str()};
      FailureOr<Choice> choice = choose(variant, context);
      if (failed(choice))
        return failure();
      choices.push_back(std::move(*choice));
    }
    agreed = true;
    for (unsigned input = 0; input < context.weightInputs.size(); ++input) {
      const WeightLayout *first = findLayout(choices.front().selection, input);
      if (llvm::all_of(choices, [&](const Choice &choice) {
            return isSame(first, findLayout(choice.selection, input));
          }))
        continue;
      agreed = false;
      context.weightInputs[input] = false;
      remark::missed(variants.front().getLoc(),
                     remark::RemarkOpts::name("Layout").category("select-kernels"))
          << "@" + variants.front().getSymName().str() + ": input " + std::to_string(input) +
                 " is not laid out anew: the targets ask for different layouts of one weight";
    }
  }
  for (unsigned output = 0; output < variants.front().getOwnOutputs().size(); ++output) {
    SmallVector<int64_t> common;
    for (unsigned input = 0; input < variants.front().getNumInputs(); ++input)
      if (llvm::all_of(choices, [&](const Choice &choice) {
            return output < choice.selection.inPlace.size() &&
                   llvm::is_contained(choice.selection.inPlace[output], input);
          }))
        common.push_back(input);
    for (Choice &choice : choices)
      if (variants.size() > 1 && output < choice.selection.inPlace.size())
        choice.selection.inPlace[output] = common;
  }
  return choices;
}

LogicalResult Selector::select(exec::KernelOp kernel) {
  SmallVector<exec::KernelOp> variants{kernel};
  OpBuilder builder(kernel.getContext());
  builder.setInsertionPointAfter(kernel);
  for (exec::TargetOp target : others[kernel.getTarget()]) {
    auto variant = cast<exec::KernelOp>(kernel->clone());
    variant.setTargetAttr(FlatSymbolRefAttr::get(target.getSymNameAttr()));
    variant.setVariantOfAttr(FlatSymbolRefAttr::get(kernel.getSymNameAttr()));
    std::string arch = target.getArch().str();
    llvm::replace(arch, '-', '_');
    variant.setSymName((kernel.getSymName() + "_" + arch).str());
    symbols.insert(variant, ++Block::iterator(variants.back()));
    variants.push_back(variant);
  }
  FailureOr<std::vector<Choice>> choices = chooseAlike(variants);
  if (failed(choices))
    return failure();
  for (auto [variant, choice] : llvm::zip_equal(variants, *choices))
    if (failed(apply(variant, choice)))
      return failure();
  return success();
}

/// A target for each alternative, beside the one that the kernels are for.
LogicalResult Selector::addTargets() {
  SmallVector<exec::TargetOp> given(module.getBody()->getOps<exec::TargetOp>());
  for (exec::TargetOp target : given) {
    Operation *last = target;
    for (const std::string &arch : alternatives) {
      if (arch == target.getArch())
        return target.emitError("is an alternative to itself");
      auto other = cast<exec::TargetOp>(target->clone());
      other.setArch(arch);
      std::string name = arch;
      llvm::replace(name, '-', '_');
      other.setSymName((target.getSymName() + "_" + name).str());
      symbols.insert(other, ++Block::iterator(last));
      others[target.getSymName()].push_back(other);
      last = other;
    }
  }
  return success();
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
    else if (kernel && !kernel.getVariantOf() && launches[kernel].empty())
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
  if (failed(addTargets()))
    return failure();
  // One diagnostic a kernel: a person wants all that is unsupported at once.
  bool ok = true;
  for (auto kernel : llvm::to_vector(module.getBody()->getOps<exec::KernelOp>()))
    if (!kernel.getFamily() && launches.contains(kernel))
      ok &= succeeded(select(kernel));
  if (!ok)
    return failure();
  eraseUnused();
  return success();
}
