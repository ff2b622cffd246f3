//===- AttentionDecode.cpp - Attention of few tokens over a paged cache -----===//
#include "codegen/families/AttentionDecode/AttentionDecode.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/families/Attention/AttentionDesc.h"
#include "codegen/families/Attention/AttentionStub.h"
#include "codegen/families/AttentionDecode/AttentionDecodeCode.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

static constexpr int64_t kMostTokens = 64;
static constexpr unsigned kThreads = 256, kCluster = 8, kHeads = 8;

/// Few packed tokens over a paged cache in 16 bits: what the family is for; else why not.
static std::optional<std::string> whyNotMeant(const AttentionDesc &desc) {
  transformer::AttentionOp op = desc.op;
  if (!desc.paged || !op.isPacked())
    return "its keys are in no paged cache, or its tokens are padded";
  if (desc.mostTokens < 1 || desc.mostTokens > kMostTokens)
    return "there may be more than " + std::to_string(kMostTokens) + " tokens";
  if (desc.elementType.isF32())
    return "f32 is no 16-bit type";
  return std::nullopt;
}

Match AttentionDecodeFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  std::optional<cuda::ArchInfo> arch = cuda::getArchInfo(target.arch);
  if (!arch || arch->number < 90)
    return Match::unrelated("blocks cannot share an item without clusters");
  if (!hasAnyOp<transformer::AttentionOp>(kernel))
    return Match::unrelated("it has no attention");
  // cuda.attention takes what is left, and says what keeps a body from being an attention.
  std::optional<AttentionAppend> append;
  std::variant<AttentionDesc, std::string> described = describeAttention(kernel, &append);
  if (auto *reason = std::get_if<std::string>(&described))
    return Match::unrelated(*reason);
  const auto &desc = std::get<AttentionDesc>(described);
  transformer::AttentionOp op = desc.op;
  if (std::optional<std::string> reason = whyNotMeant(desc))
    return Match::unrelated(*reason);
  if (desc.width % 8 != 0)
    return Match::no("D=" + std::to_string(desc.width) + " is no multiple of 8");
  if (desc.chunkBytes != 16)
    return Match::no("rows of heads are not aligned to 16 bytes");
  if (append && append->rotated % 16 != 0)
    return Match::no("halves of " + std::to_string(append->rotated) +
                     " rotated elements are no multiples of 8");
  if (desc.blocks * op.getKvHeads() * desc.block > INT32_MAX)
    return Match::no("the cache has " + std::to_string(desc.blocks * op.getKvHeads() * desc.block) +
                     " rows of heads, more than 32 bits count");
  return Match::yes();
}

Result<Selection> AttentionDecodeFamily::select(exec::KernelOp kernel,
                                                const SelectContext &context) const {
  cuda::ArchInfo arch = *cuda::getArchInfo(context.target.arch);
  std::optional<AttentionAppend> append;
  AttentionDesc desc = std::get<AttentionDesc>(describeAttention(kernel, &append));
  transformer::AttentionOp op = desc.op;
  // Every warp's sums, [head][D], a maximum and a sum, and what blocks of a cluster give each
  // other; of wide heads the queries too: DecodeTraits of the kernel.
  int64_t group = op.getHeads() / op.getKvHeads(), tiles = llvm::divideCeil(group, kHeads);
  int64_t heads = llvm::divideCeil(group, tiles);
  int64_t shared = (kThreads / 32 * heads * (desc.width + 2) + heads * desc.width + kCluster +
                    kCluster * heads * 2) *
                   4;
  if (desc.width > 64)
    shared += llvm::divideCeil(desc.width, 32) * kThreads * 16;
  if (append)
    shared += kThreads / 32 * desc.width * 4; // a new key and value of each warp
  Builder builder(kernel.getContext());
  Selection selection;
  selection.desc.text = (append && append->cos ? "rope, " : "") +
                        std::string(append ? "cache_append, " : "") + desc.str();
  selection.config.attributes =
      builder.getDictionaryAttr(builder.getNamedAttr("shared", builder.getI64IntegerAttr(shared)));
  selection.config.text = "a block or a part of a cluster of 8 for a token and key/value head, 16 "
                          "keys a warp at a time: the cache's bytes are the time";
  if (tiles > 1)
    selection.config.text +=
        "; " + std::to_string(tiles) + " tiles of the " + std::to_string(group) + " query heads";
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  unsigned blocks = arch.multiprocessors / kCluster * kCluster;
  selection.launch.grid = {exec::SizeAttr::get(kernel.getContext(), blocks), one, one};
  selection.launch.block = {kThreads, 1, 1};
  return selection;
}

EarlyReads AttentionDecodeFamily::getEarlyReads(exec::KernelOp kernel) const {
  std::optional<AttentionAppend> append;
  AttentionDesc desc = std::get<AttentionDesc>(describeAttention(kernel, &append));
  // Where keys are, and those that are in the cache: new ones are operands of their own.
  return {{*desc.cu, *desc.table, *desc.past, desc.k.buffer, desc.v.buffer}, false};
}

void codegen::addDecodeConstants(cuda::Stub &stub, exec::KernelOp kernel, const AttentionDesc &desc,
                                 const std::optional<AttentionAppend> &append) {
  auto number = [&](const char *name, int64_t value) {
    stub.constants.push_back({name, std::to_string(value)});
  };
  stub.sharedBytes = kernel.getConfig()->getAs<IntegerAttr>("shared").getInt();
  addAttentionConstants(stub, desc);
  number("int kCluster", kCluster);
  stub.constants.push_back({"bool kAppend", append ? "true" : "false"});
  number("int kRotated", append ? append->rotated : 0);
  number("int kNewKeyStride", append ? append->k.stride : 0);
  number("int kNewValueStride", append ? append->v.stride : 0);
  stub.constants.push_back(
      {"bool kReadsEarly", kernel.getConfig()->contains(kReadsEarly) ? "true" : "false"});
}

std::string codegen::printAppend(const AttentionDesc &desc, const AttentionAppend &append) {
  auto columns = [](const AttentionOperand &operand) {
    return cuda::bufferName(operand.buffer) + " + " + std::to_string(operand.offset);
  };
  auto table = [](const std::optional<unsigned> &buffer) {
    return buffer ? cuda::bufferName(*buffer) : std::string("nullptr");
  };
  return "ingot::DecodeAppend<" + cuda::Printer::typeName(desc.elementType) + ">{" +
         columns(append.k) + ", " + columns(append.v) + ", " + table(append.cos) + ", " +
         table(append.sin) + ", " + cuda::bufferName(desc.k.buffer) + ", " +
         cuda::bufferName(desc.v.buffer) + "}";
}

Result<Code> AttentionDecodeFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                         const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    std::optional<AttentionAppend> append;
    auto described = describeAttention(kernel, &append);
    if (auto *reason = std::get_if<std::string>(&described))
      return reportFormless(kernel, *reason);
    const auto &desc = std::get<AttentionDesc>(described);
    cuda::Stub stub;
    stub.includes = {"codegen/cuda/kernels/attention_decode.cuh"};
    stub.threads = kThreads;
    // So many registers that a block of the next kernel finds some: what wide heads can't leave.
    stub.blocksPerMultiprocessor = desc.width <= 128 ? 2 : 1;
    stub.cluster = kCluster;
    stub.waitsItself = true;
    addDecodeConstants(stub, kernel, desc, append);
    std::string type = cuda::Printer::typeName(desc.elementType);
    stub.body = "  ingot::attention_decode<Config, " + type + ">(" +
                printAttentionArguments(kernel, desc) +
                (append ? ",\n      " + printAppend(desc, *append) : "") + ");\n";
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
