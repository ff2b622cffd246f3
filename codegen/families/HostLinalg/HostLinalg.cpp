//===- HostLinalg.cpp - The kernel family of the CPU ----------------------===//
#include "codegen/families/HostLinalg/HostLinalg.h"

#include "codegen/families/HostLinalg/KernelModule.h"
#include "codegen/families/HostLinalg/UnpackInPlace.h"
#include "codegen/host/HostImage.h"
#include "codegen/host/KernelCache.h"
#include "dialects/Exec/SizeExpr.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <atomic>
#include <mutex>
#include <thread>

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

namespace {

/// A grid axis over the kernel's own size parameters.
exec::SizeAttr toSize(exec::KernelOp kernel, const host::GridSize &size) {
  SmallVector<StringAttr> symbols;
  for (int64_t index : size.sizes)
    symbols.push_back(cast<exec::SymbolAttr>(kernel.getSizes()[index]).getName());
  return exec::SizeAttr::get(kernel.getContext(), size.factor, symbols, size.divisor);
}

/// W[N, K] to panels [N / columns, K, columns], the last one filled up with zeros.
WeightLayout panelLayout(exec::KernelOp kernel, unsigned input, int64_t columns) {
  MLIRContext *context = kernel.getContext();
  auto type = cast<RankedTensorType>(kernel.getBody().front().getArgument(input).getType());
  int64_t n = type.getDimSize(0), k = type.getDimSize(1);
  int64_t panels = llvm::divideCeil(n, columns);
  WeightLayout layout;
  layout.input = input;
  auto step = [&](exec::RecipeOp op, ArrayRef<int64_t> ints) {
    layout.steps.push_back(
        exec::StepAttr::get(context, op, ints, Builder(context).getF64FloatAttr(0)));
  };
  if (panels * columns != n)
    step(exec::RecipeOp::Pad, {0, panels * columns});
  step(exec::RecipeOp::Reshape, {panels, columns, k});
  step(exec::RecipeOp::Transpose, {0, 2, 1});
  layout.type = RankedTensorType::get({panels, k, columns}, type.getElementType());
  layout.undo = [type, columns](OpBuilder &builder, Location loc, Value packed) -> Value {
    Value empty = tensor::EmptyOp::create(builder, loc, type.getShape(), type.getElementType());
    return linalg::UnPackOp::create(builder, loc, packed, empty, ArrayRef<int64_t>{0},
                                    ArrayRef<OpFoldResult>{builder.getIndexAttr(columns)})
        .getResult();
  };
  layout.description = "W[" + std::to_string(n) + ", " + std::to_string(k) + "] in panels of " +
                       std::to_string(columns) + " rows";
  return layout;
}

DictionaryAttr toConfig(MLIRContext *context, const host::KernelPlan &plan) {
  Builder builder(context);
  SmallVector<NamedAttribute> entries{
      builder.getNamedAttr("strategy", builder.getStringAttr(plan.strategy)),
      builder.getNamedAttr("tile", builder.getDenseI64ArrayAttr(plan.tile))};
  if (plan.columns)
    entries.push_back(builder.getNamedAttr("columns", builder.getI64IntegerAttr(plan.columns)));
  return builder.getDictionaryAttr(entries);
}

/// The kernel function as this family realises it.
std::string printHostFunction(exec::KernelOp kernel, bool mayAlias) {
  exec::SizeBounds bounds = exec::SizeBounds::get(kernel.getSizes());
  return printKernelFunction(kernel, mayAlias, [&](func::FuncOp func) {
    makeUnpackInPlace(func, bounds.maximumBytes(kernel.getOutputType(0)));
  });
}

/// The text without the kernel's name, which decides nothing but the name of the entry point.
std::string anonymous(const std::string &text, exec::KernelOp kernel) {
  std::string name = "@" + kernel.getSymName().str() + "(";
  size_t at = text.find(name);
  return at == std::string::npos ? text : std::string(text).replace(at, name.size(), "@(");
}

Result<std::vector<int64_t>> choosePanels(const std::string &text, const host::HostTarget &target) {
  Result<KernelModule> module = parseKernelFunction(text);
  return module.ok() ? host::chooseWeightPanels(*module->module, target) : module.status();
}

Result<host::KernelPlan> planKernel(const std::string &text, const host::HostTarget &target) {
  Result<KernelModule> module = parseKernelFunction(text);
  return module.ok() ? host::planHostKernel(*module->module, target) : module.status();
}

/// Whether the whole kernel is one elementwise pass, so that an output may overwrite an input.
bool isOnePass(const host::KernelPlan &plan) { return plan.strategy == "rows" && plan.onePass; }

} // namespace

Match HostLinalgFamily::match(exec::KernelOp, const TargetInfo &target) const {
  Result<host::HostTarget> known = host::getHostTarget(target.arch);
  return known.ok() ? Match::yes() : Match::no(known.status().message());
}

Result<Selection> HostLinalgFamily::select(exec::KernelOp kernel,
                                           const SelectContext &context) const {
  Result<host::HostTarget> target = host::getHostTarget(context.target.arch);
  if (!target.ok())
    return target.status();
  Selection selection;
  std::string text = printHostFunction(kernel, /*mayAlias=*/false);
  Result<std::vector<int64_t>> panels = host::KernelCache::panels(
      anonymous(text, kernel), *target, [&] { return choosePanels(text, *target); });
  if (!panels.ok())
    return panels.status();

  // The plan of the kernel as it will be emitted, with its weights laid out.
  exec::KernelOp laidOut = cast<exec::KernelOp>(kernel->clone());
  OwningOpRef<Operation *> owner(laidOut);
  for (auto [input, columns] : llvm::enumerate(*panels)) {
    if (!columns || !context.weightInputs[input])
      continue;
    WeightLayout layout = panelLayout(kernel, input, columns);
    takeLayout(laidOut, layout);
    selection.weightLayouts.push_back(std::move(layout));
  }
  if (!selection.weightLayouts.empty())
    text = printHostFunction(laidOut, /*mayAlias=*/false);
  Result<host::KernelPlan> plan = host::KernelCache::plan(
      anonymous(text, kernel), *target, [&] { return planKernel(text, *target); });
  if (!plan.ok())
    return plan.status();
  selection.desc.text = nameOps(kernel);
  selection.config.attributes = toConfig(kernel.getContext(), *plan);
  selection.config.text = plan->strategy + ": " + plan->reason;
  for (unsigned axis = 0; axis < 3; ++axis)
    selection.launch.grid[axis] = toSize(kernel, plan->grid[axis]);
  if (isOnePass(*plan))
    selection.inPlace = elementwiseInPlaceInputs(kernel);
  if (std::optional<int64_t> input = getUnpackedInput(kernel))
    selection.inPlace.assign(1, SmallVector<int64_t>{*input});
  return selection;
}

Result<Code> HostLinalgFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &targetInfo,
                                    const EmitOptions &options) const {
  Result<host::HostTarget> target = host::getHostTarget(targetInfo.arch);
  if (!target.ok())
    return target.status();
  // One object a kernel, in a context of its own: what comes out depends on the kernel alone.
  std::vector<std::string> sources;
  for (exec::KernelOp kernel : kernels) {
    bool mayAlias = false;
    for (unsigned output = 0; output < kernel.getOwnOutputs().size(); ++output)
      mayAlias |= !kernel.getInPlaceInputs(output).empty();
    sources.push_back(printHostFunction(kernel, mayAlias));
  }
  std::vector<host::HostObject> objects(kernels.size());
  std::vector<Status> errors(kernels.size());
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i = next++; i < sources.size(); i = next++) {
      auto compile = [&]() -> Result<host::HostObject> {
        Result<KernelModule> module = parseKernelFunction(sources[i]);
        if (!module.ok())
          return module.status();
        host::HostImageOptions imageOptions{*target, {}};
        if (!options.dumpDirectory.empty())
          imageOptions.onStep = [&](StringRef step, ModuleOp current) {
            llvm::SmallString<128> path(options.dumpDirectory);
            llvm::sys::path::append(path, std::to_string(i) + "." + step.str() + ".mlir");
            std::error_code error;
            llvm::raw_fd_ostream out(path, error);
            if (!error)
              current.print(out);
          };
        return host::compileHostObject(*module->module, imageOptions);
      };
      // What is to be dumped has to be made.
      Result<host::HostObject> object =
          options.dumpDirectory.empty() ? host::KernelCache::object(sources[i], *target, compile)
                                        : compile();
      if (object.ok())
        objects[i] = std::move(*object);
      else
        errors[i] = object.status();
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 1; i < options.threads && i < sources.size(); ++i)
    workers.emplace_back(work);
  work();
  for (std::thread &worker : workers)
    worker.join();
  for (const Status &error : errors)
    if (!error.ok())
      return error;
  Result<host::HostImage> image = host::linkHostImage(objects);
  if (!image.ok())
    return image.status();

  Code code;
  code.images.push_back({{image->elf.begin(), image->elf.end()}});
  for (size_t i = 0; i < kernels.size(); ++i) {
    exec::KernelOp kernel = kernels[i];
    const host::HostKernelInfo &info = objects[i].kernels.front();
    // Memory is launched over by the grid that select gave: it must be the one the code was cut for.
    for (unsigned axis = 0; axis < 3; ++axis)
      if (!kernel.getGrid() || (*kernel.getGrid())[axis] != toSize(kernel, info.plan.grid[axis]))
        return Status(ExitCode::Internal, "kernel " + kernel.getSymName().str() +
                                              " was selected with another grid than it was "
                                              "compiled for");
    KernelCode entry;
    entry.entry = info.entry;
    entry.scratchBytes = info.scratchBytes;
    code.kernels.push_back(std::move(entry));
  }
  return code;
}
