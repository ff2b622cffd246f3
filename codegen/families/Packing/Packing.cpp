//===- Packing.cpp - Indices between padded and packed tokens ---------------===//
#include "codegen/families/Packing/Packing.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Stub.h"
#include "dialects/Transformer/TransformerOps.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

namespace {

constexpr unsigned kThreads = 256, kSumThreads = 1024;

/// What: one scan over a mask.
struct PackingDesc {
  Operation *op = nullptr; // cu_seqlens, token_indices or token_slots
  unsigned mask = 0, cu = 0;

  bool sums() const { return isa<transformer::CuSeqlensOp>(op); }
};

} // namespace

static std::variant<PackingDesc, std::string> describe(exec::KernelOp kernel) {
  PackingDesc desc;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (!isa<transformer::CuSeqlensOp, transformer::TokenIndicesOp, transformer::TokenSlotsOp>(op))
      return "it has " + op.getName().getStringRef().str();
    if (desc.op)
      return std::string("it scans a mask twice");
    desc.op = &op;
  }
  Operation *yield = kernel.getBody().front().getTerminator();
  if (!desc.op || yield->getNumOperands() != 1 || yield->getOperand(0) != desc.op->getResult(0))
    return std::string("it is more than one scan of a mask");
  auto mask = dyn_cast<BlockArgument>(desc.op->getOperand(0));
  auto cu = dyn_cast<BlockArgument>(desc.op->getOperands().back());
  if (!mask || !cu)
    return std::string("the mask or its sums are computed in the kernel");
  desc.mask = mask.getArgNumber();
  desc.cu = cu.getArgNumber(); // the mask itself, where the sums are the result
  return desc;
}

Match PackingFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  if (!cuda::getArchInfo(target.arch))
    return Match::no("architecture " + target.arch + " is not known");
  if (!hasAnyOp<transformer::CuSeqlensOp, transformer::TokenIndicesOp, transformer::TokenSlotsOp>(
          kernel))
    return Match::unrelated("it scans no mask");
  auto desc = describe(kernel);
  if (auto *reason = std::get_if<std::string>(&desc))
    return Match::no(*reason);
  return Match::yes();
}

Result<Selection> PackingFamily::select(exec::KernelOp kernel, const SelectContext &) const {
  PackingDesc desc = std::get<PackingDesc>(describe(kernel));
  Builder builder(kernel.getContext());
  Selection selection;
  selection.desc.text = desc.op->getName().stripDialect().str();
  unsigned threads = desc.sums() ? kSumThreads : kThreads;
  selection.config.attributes = builder.getDictionaryAttr(
      builder.getNamedAttr("threads", builder.getI64IntegerAttr(threads)));
  selection.config.text =
      desc.sums() ? "one block, a warp a row of the mask" : "a block a row of the mask";
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  selection.launch.grid = {desc.sums() ? one : kernel.getInputType(desc.mask).getShape()[0], one,
                           one};
  selection.launch.block = {threads, 1, 1};
  return selection;
}

Result<Code> PackingFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                 const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    auto described = describe(kernel);
    if (auto *reason = std::get_if<std::string>(&described))
      return reportFormless(kernel, *reason);
    PackingDesc desc = std::get<PackingDesc>(described);
    cuda::Stub stub;
    stub.includes = {"codegen/cuda/kernels/packing.cuh"};
    stub.threads = kernel.getConfig()->getAs<IntegerAttr>("threads").getInt();
    for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
      stub.deviceSizes.push_back(i);
    ArrayRef<exec::SizeAttr> shape = kernel.getInputType(desc.mask).getShape();
    std::string rows = cuda::printSize(shape[0]), width = cuda::printSize(shape[1]);
    std::string mask = cuda::bufferName(desc.mask), cu = cuda::bufferName(desc.cu);
    std::string out = cuda::bufferName(kernel.getNumInputs());
    if (desc.sums())
      stub.body = "  ingot::cu_seqlens<Config>(" + mask + ", " + out + ", " +
                  cuda::printSize(kernel.getOutputType(0).getShape()[0]) + ", " + rows + ", " +
                  width + ");\n";
    else if (isa<transformer::TokenIndicesOp>(desc.op))
      stub.body = "  ingot::token_indices<Config>(" + mask + ", " + out + ", " + rows + ", " +
                  width + ", " + cuda::printSize(kernel.getOutputType(0).getShape()[0]) + ");\n";
    else
      stub.body = "  ingot::token_slots<Config>(" + mask + ", " + cu + ", " +
                  cuda::printSize(kernel.getInputType(desc.cu).getShape()[0]) + ", " + out + ", " +
                  rows + ", " + width + ");\n";
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
