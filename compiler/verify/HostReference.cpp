//===- HostReference.cpp - What a kernel means, run on the host ------------===//

#include "compiler/verify/HostReference.h"

#include "codegen/KernelRegistry.h"
#include "codegen/Sources.h"
#include "codegen/cuda/Stub.h"
#include "compiler/Target.h"
#include "compiler/verify/Rounding.h"
#include "dialects/Exec/SizeExpr.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "runtime/support/Try.h"

#include "mlir/IR/OwningOpRef.h"

#include "llvm/ADT/StringExtras.h"

#include <algorithm>
#include <cmath>
#include <thread>

using namespace mlir;

namespace ingot::verify {

/// "linear, activation".
static std::string summarize(exec::KernelOp kernel) {
  std::vector<std::string> names;
  for (Operation &op : kernel.getBody().front().without_terminator())
    if (isa<transformer::TransformerDialect>(op.getDialect()))
      if (std::string name = op.getName().stripDialect().str(); !llvm::is_contained(names, name))
        names.push_back(name);
  return names.empty() ? "elementwise" : llvm::join(names, ", ");
}

/// The unit roundoff of the narrowest type that values of the body have.
static double narrowestUnit(exec::KernelOp kernel) {
  double unit = 0x1p-24;
  auto look = [&](Type type) {
    Type element = getElementTypeOrSelf(type);
    if (element.isBF16())
      unit = std::max(unit, 0x1p-8);
    if (element.isF16())
      unit = std::max(unit, 0x1p-11);
  };
  kernel.getBody().walk([&](Operation *op) {
    llvm::for_each(op->getOperandTypes(), look);
    llvm::for_each(op->getResultTypes(), look);
  });
  return unit;
}

/// Both sides round after every op, the host to the type of the op's result and a fused kernel to
/// that or to a wider one; and both add up in f32 in some order, the device also products of three
/// parts each.
static double budgetOf(exec::KernelOp kernel) {
  int64_t largest = 1;
  for (auto size : kernel.getSizes().getAsRange<exec::SymbolAttr>())
    largest = std::max(largest, size.getMaximum());
  RoundingDepth depth = roundingDepthOf(kernel.getBody().front(), largest);
  double ops = double(std::max<int64_t>(1, depth.ops));
  double narrow = narrowestUnit(kernel);
  double rounding = narrow > 0x1p-24 ? 4 * ops * narrow : 0;
  return std::min(0.05, rounding + 8 * ops * std::sqrt(double(depth.terms)) * 0x1p-24);
}

Result<std::unique_ptr<HostReference>> HostReference::create(ModuleOp module) {
  std::unique_ptr<HostReference> reference(new HostReference);
  Result<Target> target = parseTarget("host");
  if (!target.ok())
    return target.status();
  // Weights that are packed for a CPU are packed for one width of its vectors.
  std::vector<std::string> own;
  for (auto target : module.getBody()->getOps<exec::TargetOp>())
    if (target.getKind() == "host")
      own.push_back(target.getArch().str());
  if (own.empty())
    own.push_back(target->arch);
  std::vector<std::string_view> archs(own.begin(), own.end());
  Result<unsigned> threads = ThreadPool::defaultThreads();
  if (!threads.ok())
    return threads.status();
  Result<std::unique_ptr<ThreadPool>> pool = ThreadPool::create(*threads);
  if (!pool.ok())
    return pool.status();
  reference->pool = std::move(*pool);
  Result<std::unique_ptr<Device>> device = makeDevice({"host", archs, 0, *reference->pool});
  if (!device.ok())
    return device.status();
  reference->target = {"host", own[(*device)->archIndex()]};
  reference->device = std::move(*device);
  INGOT_TRY(reference->compile(module));
  return reference;
}

Status HostReference::compile(ModuleOp module) {
  const codegen::KernelFamily *family =
      codegen::KernelRegistry::getStandard().lookup("host.linalg");
  if (!family)
    return Status(ExitCode::Internal, "no kernel family 'host.linalg'");
  // Copies of their own, because what select decides becomes attributes.
  std::vector<OwningOpRef<Operation *>> owners;
  std::vector<exec::KernelOp> copies;
  std::vector<size_t> indices; // into kernels, of each copy
  for (auto op : module.getBody()->getOps<exec::KernelOp>()) {
    byEntry[op.getSymName()] = kernels.size();
    byEntry[cuda::getEntryName(op.getSymName())] = kernels.size();
    ReferenceKernel &kernel = kernels.emplace_back();
    kernel.op = op;
    kernel.family = op.getFamily().value_or("").str();
    kernel.summary = summarize(op);
    kernel.numInputs = op.getNumInputs();
    for (exec::BufferType type : op.getBufferTypes())
      kernel.types.push_back(codegen::toElementType(type.getElementType()));
    for (bool flag : op.getWrittenBuffers())
      kernel.written.push_back(flag);
    kernel.budget = budgetOf(op);

    exec::KernelOp copy = cast<exec::KernelOp>(op->clone());
    owners.emplace_back(copy);
    codegen::SelectContext context;
    context.target = target;
    // The bytes are the device's, so no weight may be laid out anew.
    context.weightInputs.assign(kernel.numInputs, false);
    context.sharedWeights.assign(kernel.numInputs, false);
    Result<codegen::Selection> selection = family->select(copy, context);
    if (!selection.ok()) {
      kernel.problem = selection.status().message();
      continue;
    }
    Builder builder(op.getContext());
    copy.setFamilyAttr(builder.getStringAttr(family->getName()));
    copy.setConfigAttr(selection->config.attributes);
    kernel.grid = selection->launch.grid;
    copy.setGridAttr(builder.getArrayAttr({kernel.grid[0], kernel.grid[1], kernel.grid[2]}));
    SmallVector<Attribute> inPlace(op.getOwnOutputs().size(), builder.getDenseI64ArrayAttr({}));
    copy.setInPlaceAttr(builder.getArrayAttr(inPlace));
    copies.push_back(copy);
    indices.push_back(kernels.size() - 1);
  }

  codegen::EmitOptions options;
  options.threads = std::max(1u, std::thread::hardware_concurrency());
  Result<codegen::Code> code = family->emit(copies, target, options);
  std::vector<codegen::Code> codes;
  if (code.ok()) {
    codes.push_back(std::move(*code));
  } else {
    // Which one is it?
    for (auto [i, copy] : llvm::enumerate(copies)) {
      Result<codegen::Code> one = family->emit({copy}, target, options);
      if (!one.ok())
        kernels[indices[i]].problem = one.status().message();
      codes.push_back(one.ok() ? std::move(*one) : codegen::Code());
    }
  }
  size_t next = 0;
  for (codegen::Code &part : codes) {
    std::vector<uint32_t> handles;
    for (codegen::CodeImage &image : part.images) {
      images.push_back(std::move(image.bytes));
      Result<uint32_t> handle =
          device->loadImage(std::as_bytes(std::span(images.back())), target.arch);
      if (!handle.ok())
        return handle.status();
      handles.push_back(*handle);
    }
    if (part.kernels.empty())
      ++next; // it has a problem
    for (const codegen::KernelCode &entry : part.kernels) {
      ReferenceKernel &kernel = kernels[indices[next++]];
      KernelSpec spec;
      spec.entry = entry.entry.c_str();
      spec.image = handles[entry.image];
      spec.numBuffers = uint32_t(kernel.types.size());
      spec.numSizes = uint32_t(kernel.op.getSizes().size());
      spec.scratchBytes = entry.scratchBytes;
      Result<uint32_t> handle = device->resolveKernel(spec);
      if (!handle.ok())
        return handle.status();
      kernel.handle = *handle;
    }
  }
  return device->finishLoad();
}

const ReferenceKernel *HostReference::find(StringRef entry) const {
  auto at = byEntry.find(entry);
  return at == byEntry.end() ? nullptr : &kernels[at->second];
}

Status HostReference::run(const ReferenceKernel &kernel, std::span<void *const> buffers,
                          std::span<const int64_t> sizes) {
  llvm::DenseMap<StringAttr, int64_t> values;
  exec::KernelOp op = kernel.op;
  for (auto [size, value] : llvm::zip_equal(op.getSizes().getAsRange<exec::SymbolAttr>(), sizes))
    values[size.getName()] = value;
  LaunchSpec launch;
  launch.kernel = kernel.handle;
  launch.buffers = buffers.data();
  launch.sizes = sizes.data();
  for (unsigned i = 0; i < 3; ++i) {
    std::optional<int64_t> extent = exec::evaluate(kernel.grid[i], values);
    if (!extent)
      return Status(ExitCode::Internal, "kernel @" + op.getSymName().str() +
                                            ": its grid on the host, " + kernel.grid[i].str() +
                                            ", has no value");
    launch.grid[i] = *extent;
  }
  INGOT_TRY(device->launch(launch));
  return device->synchronize();
}

} // namespace ingot::verify
