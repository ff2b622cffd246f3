//===- Sampling.cpp - The next token, on the device -------------------------===//
#include "codegen/families/Sampling/Sampling.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Stub.h"
#include "dialects/Exec/SizeExpr.h"
#include "dialects/Transformer/TransformerOps.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

static constexpr unsigned kThreads = 1024;
/// Blocks of a row: below this many tokens one is as fast.
static constexpr unsigned kCluster = 8;
static constexpr int64_t kClusterTokens = 8192;
/// What the kernel keeps in static shared memory, rounded up.
static constexpr int64_t kStaticBytes = 40 * 1024;

namespace {

/// What: one op on buffers.
struct SamplingDesc {
  Operation *op = nullptr;
  SmallVector<unsigned> buffers; // of its operands

  bool marks() const { return isa<transformer::MarkTokensOp>(op); }
  int64_t vocabulary() const {
    return cast<RankedTensorType>(op->getOperand(0).getType()).getDimSize(1);
  }
};

/// How: blocks a row, and whether its scores stay in shared memory.
struct SamplingConfig {
  unsigned cluster = 1;
  bool cached = false;
  int64_t sharedBytes = 0;
};

} // namespace

static std::variant<SamplingDesc, std::string> describe(exec::KernelOp kernel) {
  SamplingDesc desc;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (!isa<transformer::SampleOp, transformer::MarkTokensOp>(op))
      return "it has " + op.getName().getStringRef().str();
    if (desc.op)
      return std::string("it samples twice");
    desc.op = &op;
  }
  Operation *yield = kernel.getBody().front().getTerminator();
  if (!desc.op || yield->getNumOperands() != 1 || yield->getOperand(0) != desc.op->getResult(0))
    return std::string("it is more than one op of sampling");
  for (Value operand : desc.op->getOperands()) {
    auto argument = dyn_cast<BlockArgument>(operand);
    if (!argument)
      return std::string("an operand is computed in the kernel");
    desc.buffers.push_back(argument.getArgNumber());
  }
  if (desc.marks() && !kernel.getWrittenBuffers()[desc.buffers[0]])
    return std::string("the tokens that were seen are no state");
  if (desc.marks() && ShapedType::isDynamic(desc.vocabulary()))
    return std::string("the vocabulary is not static");
  return desc;
}

static SamplingConfig configure(const SamplingDesc &desc, const cuda::ArchInfo &arch) {
  SamplingConfig config;
  if (desc.marks())
    return config;
  if (arch.number >= 90 && desc.vocabulary() > kClusterTokens)
    config.cluster = kCluster;
  int64_t bytes = (desc.vocabulary() + config.cluster - 1) / config.cluster * 4;
  config.cached = bytes + kStaticBytes <= arch.sharedBytesPerBlock;
  config.sharedBytes = config.cached ? bytes : 0;
  return config;
}

Match SamplingFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  if (!cuda::getArchInfo(target.arch))
    return Match::no("architecture " + target.arch + " is not known");
  if (!hasAnyOp<transformer::SampleOp, transformer::MarkTokensOp>(kernel))
    return Match::unrelated("it samples nothing");
  auto desc = describe(kernel);
  if (auto *reason = std::get_if<std::string>(&desc))
    return Match::no(*reason);
  return Match::yes();
}

Result<Selection> SamplingFamily::select(exec::KernelOp kernel,
                                         const SelectContext &context) const {
  SamplingDesc desc = std::get<SamplingDesc>(describe(kernel));
  SamplingConfig config = configure(desc, *cuda::getArchInfo(context.target.arch));
  Builder builder(kernel.getContext());
  Selection selection;
  selection.desc.text = desc.op->getName().stripDialect().str() +
                        ", V=" + std::to_string(desc.vocabulary());
  selection.config.attributes = builder.getDictionaryAttr(
      {builder.getNamedAttr("cached", builder.getBoolAttr(config.cached)),
       builder.getNamedAttr("cluster", builder.getI64IntegerAttr(config.cluster)),
       builder.getNamedAttr("shared", builder.getI64IntegerAttr(config.sharedBytes))});
  std::string blocks = config.cluster == 1
                           ? "a block a row"
                           : "a cluster of " + std::to_string(config.cluster) + " blocks a row";
  selection.config.text =
      desc.marks() ? blocks
                   : blocks + (config.cached ? ", its scores in shared memory"
                                             : ", which makes its scores anew where it needs them");
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  // The ids of mark_tokens, the logits of sample.
  exec::SizeAttr rows = kernel.getInputType(desc.buffers[desc.marks() ? 1 : 0]).getShape()[0];
  exec::SizeAttr grid =
      exec::multiply(rows, exec::SizeAttr::get(kernel.getContext(), config.cluster));
  if (!grid)
    return Status(ExitCode::Unsupported, "kernel @" + kernel.getSymName().str() +
                                             ": its rows are no product of sizes");
  selection.launch.grid = {grid, one, one};
  selection.launch.block = {kThreads, 1, 1};
  return selection;
}

Result<Code> SamplingFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                  const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    auto described = describe(kernel);
    if (auto *reason = std::get_if<std::string>(&described))
      return reportFormless(kernel, *reason);
    const auto &desc = std::get<SamplingDesc>(described);
    cuda::Stub stub;
    stub.includes = {"codegen/cuda/kernels/sampling.cuh"};
    stub.threads = kThreads;
    auto size = [&](unsigned operand, unsigned axis) {
      return cuda::printSize(kernel.getInputType(desc.buffers[operand]).getShape()[axis]);
    };
    std::string arguments;
    for (unsigned buffer : desc.buffers)
      arguments += cuda::bufferName(buffer) + ", ";
    if (desc.marks()) {
      stub.body = "  ingot::mark_tokens<Config>(" + arguments + size(1, 0) + ", " + size(1, 1) +
                  ", " + size(0, 0) + ", " + size(0, 1) + ");\n";
    } else {
      DictionaryAttr config = *kernel.getConfig();
      stub.cluster = config.getAs<IntegerAttr>("cluster").getInt();
      stub.sharedBytes = config.getAs<IntegerAttr>("shared").getInt();
      bool cached = config.getAs<BoolAttr>("cached").getValue();
      stub.constants = {{"int kCluster", std::to_string(stub.cluster)},
                        {"bool kCached", cached ? "true" : "false"}};
      stub.body = "  ingot::sample_rows<Config>({" + arguments +
                  cuda::bufferName(kernel.getNumInputs()) + ", " + size(0, 0) + ", " +
                  size(0, 1) + ", " + size(1, 0) + "});\n";
    }
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
