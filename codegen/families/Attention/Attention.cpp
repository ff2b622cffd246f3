//===- Attention.cpp - Attention on a GPU -----------------------------------===//
#include "codegen/families/Attention/Attention.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Printer.h"
#include "codegen/cuda/Stub.h"
#include "codegen/families/Attention/AttentionDesc.h"
#include "codegen/families/Attention/AttentionStub.h"
#include "dialects/Exec/SizeExpr.h"

#include <numeric>

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

Match AttentionFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  std::optional<cuda::ArchInfo> arch = cuda::getArchInfo(target.arch);
  if (!arch)
    return Match::no("architecture " + target.arch + " is not known");
  if (!hasAnyOp<transformer::AttentionOp>(kernel))
    return Match::unrelated("it has no attention");
  auto desc = describeAttention(kernel);
  if (auto *reason = std::get_if<std::string>(&desc))
    return Match::no(*reason);
  auto configs = listAttentionConfigs(std::get<AttentionDesc>(desc), *arch);
  if (auto *reason = std::get_if<std::string>(&configs))
    return Match::no(*reason);
  return Match::yes();
}

static Selection makeSelection(exec::KernelOp kernel, const AttentionDesc &desc,
                               const AttentionConfig &config) {
  Builder builder(kernel.getContext());
  auto number = [&](StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  };
  Selection selection;
  selection.desc.text = desc.str();
  selection.desc.key = desc.key();
  selection.config.attributes = builder.getDictionaryAttr(
      {number("threads", config.threads), number("cluster", config.cluster),
       number("row_tiles", config.rowTiles), number("shared", config.sharedBytes),
       builder.getNamedAttr("warpgroups", builder.getBoolAttr(config.warpgroups)),
       number("keys", config.keys), number("stages", config.stages)});
  selection.config.text = config.reason;
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  selection.launch.grid = {exec::SizeAttr::get(kernel.getContext(), config.blocks), one, one};
  selection.launch.block = {config.threads, 1, 1};
  return selection;
}

Result<std::vector<Selection>> AttentionFamily::candidates(exec::KernelOp kernel,
                                                           const SelectContext &context) const {
  cuda::ArchInfo arch = *cuda::getArchInfo(context.target.arch);
  AttentionDesc desc = std::get<AttentionDesc>(describeAttention(kernel));
  std::vector<Selection> selections;
  auto configs = listAttentionConfigs(desc, arch);
  for (const AttentionConfig &config : std::get<std::vector<AttentionConfig>>(configs))
    selections.push_back(makeSelection(kernel, desc, config));
  return selections;
}

Result<Selection> AttentionFamily::select(exec::KernelOp kernel,
                                          const SelectContext &context) const {
  Result<std::vector<Selection>> selections = candidates(kernel, context);
  if (!selections.ok())
    return selections.status();
  return std::move(selections->front());
}

/// Where rows begin that have all tokens, and where the last one ends. Rows of an encoder are as
/// long as its limits allow together. One of a decoder may have all of the tokens, or what its part
/// of the block table holds: each has half of what is left, so that long ones, which take most,
/// count most.
static std::vector<int32_t> sampleRows(exec::KernelOp kernel, AttentionDesc &desc) {
  const int64_t rows = desc.mostRows, tokens = desc.mostTokens;
  int64_t most = tokens;
  if (desc.paged)
    most = std::min(most,
                    exec::SizeBounds::get(kernel.getSizes()).maximum(desc.tableBlocks).value_or(0) *
                        desc.block);
  std::vector<int32_t> offsets{0};
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t left = tokens - offsets.back(), others = rows - 1 - row;
    int64_t length =
        desc.op.getCausal() ? std::max((left + 1) / 2, left - others * most) : left / (others + 1);
    offsets.push_back(offsets.back() + std::min(length, most));
  }
  return offsets;
}

/// As many tokens as there may be; none in a cache before. Rows of a cache have blocks of their own
/// while there are enough.
Sample AttentionFamily::sample(exec::KernelOp kernel) const {
  AttentionDesc desc = std::get<AttentionDesc>(describeAttention(kernel));
  Sample sample = KernelFamily::sample(kernel);
  auto count = [&](unsigned input) {
    return exec::SizeBounds::get(kernel.getSizes())
        .maximumProduct(kernel.getInputType(input).getShape())
        .value_or(0);
  };
  if (desc.cu) {
    std::vector<int32_t> offsets = sampleRows(kernel, desc);
    offsets.resize(count(*desc.cu), offsets.back());
    sample.integers.emplace_back(*desc.cu, std::move(offsets));
  }
  if (desc.past)
    sample.integers.emplace_back(*desc.past, std::vector<int32_t>(count(*desc.past)));
  if (desc.table) {
    std::vector<int32_t> blocks;
    // Block 0 is nobody's.
    for (int64_t i = 0, entries = count(*desc.table); i < entries; ++i)
      blocks.push_back(desc.blocks > 1 ? 1 + i % (desc.blocks - 1) : 0);
    sample.integers.emplace_back(*desc.table, std::move(blocks));
  }
  return sample;
}

/// Boxes of 64 columns of a head and `boxRows` tokens of packed rows [tokens, heads, D].
static TensorMapCode makeHeadMap(exec::KernelOp kernel, const AttentionDesc &desc,
                                 const AttentionOperand &operand, int64_t heads, uint32_t boxRows) {
  MLIRContext *context = kernel.getContext();
  auto size = [&](int64_t value) { return exec::SizeAttr::get(context, value); };
  ArrayRef<exec::SizeAttr> shape = kernel.getInputType(operand.buffer).getShape();
  TensorMapCode map;
  map.buffer = operand.buffer;
  map.offset = operand.offset * 2;
  map.elementType = desc.elementType;
  map.dims = {size(desc.width), size(heads), exec::countElements(context, shape.drop_back())};
  map.strides = {size(desc.width * 2), size(operand.stride * 2)};
  map.box = {64, 1, boxRows};
  return map;
}

/// Boxes of 64 columns and `boxRows` tokens of a cache [blocks, heads, tokens, D].
static TensorMapCode makeCacheMap(exec::KernelOp kernel, const AttentionDesc &desc,
                                  const AttentionOperand &operand, uint32_t boxRows) {
  transformer::AttentionOp op = desc.op;
  auto size = [&](int64_t value) { return exec::SizeAttr::get(kernel.getContext(), value); };
  TensorMapCode map;
  map.buffer = operand.buffer;
  map.elementType = desc.elementType;
  map.dims = {size(desc.width), size(desc.blocks * op.getKvHeads() * desc.block)};
  map.strides = {size(desc.width * 2)};
  map.box = {64, boxRows};
  return map;
}

/// The form by warpgroup instructions.
static void makeWarpgroupStub(cuda::Stub &stub, exec::KernelOp kernel, const AttentionDesc &desc) {
  transformer::AttentionOp op = desc.op;
  int64_t keys = kernel.getConfig()->getAs<IntegerAttr>("keys").getInt();
  int64_t stages = kernel.getConfig()->getAs<IntegerAttr>("stages").getInt();
  int64_t consumers = stub.threads / 128 - 1;
  stub.includes = {"codegen/cuda/kernels/attention_sm90.cuh"};
  stub.blocksPerMultiprocessor = 1;
  stub.constants.push_back({"int kConsumers", std::to_string(consumers)});
  stub.constants.push_back({"int kKeys", std::to_string(keys)});
  stub.constants.push_back({"int kStages", std::to_string(stages)});
  // Together what a multiprocessor has.
  stub.constants.push_back({"int kProducerRegisters", consumers == 2 ? "40" : "32"});
  stub.constants.push_back({"int kConsumerRegisters", consumers == 2 ? "232" : "160"});
  stub.tensorMaps = {makeHeadMap(kernel, desc, desc.q, op.getHeads(), 64)};
  for (const AttentionOperand *operand : {&desc.k, &desc.v})
    stub.tensorMaps.push_back(op.isPaged()
                                  ? makeCacheMap(kernel, desc, *operand, std::gcd(desc.block, keys))
                                  : makeHeadMap(kernel, desc, *operand, op.getKvHeads(), keys));
}

Result<Code> AttentionFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                   const EmitOptions &options) const {
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    auto described = describeAttention(kernel);
    if (auto *reason = std::get_if<std::string>(&described))
      return reportFormless(kernel, *reason);
    AttentionDesc desc = std::get<AttentionDesc>(described);
    auto config = [&](StringRef name) {
      return kernel.getConfig()->getAs<IntegerAttr>(name).getInt();
    };
    cuda::Stub stub;
    stub.threads = config("threads");
    stub.sharedBytes = config("shared");
    stub.cluster = config("cluster");
    stub.waitsItself = true;
    addAttentionConstants(stub, desc);
    bool warpgroups = kernel.getConfig()->getAs<BoolAttr>("warpgroups").getValue();
    if (warpgroups) {
      makeWarpgroupStub(stub, kernel, desc);
    } else {
      stub.includes = {"codegen/cuda/kernels/attention.cuh"};
      stub.constants.push_back({"int kKeys", std::to_string(config("keys"))});
      stub.constants.push_back({"int kRowTiles", std::to_string(config("row_tiles"))});
      stub.constants.push_back({"int kChunkBytes", std::to_string(desc.chunkBytes)});
      stub.constants.push_back({"int kCluster", std::to_string(config("cluster"))});
    }
    std::string type = cuda::Printer::typeName(desc.elementType);
    stub.body = std::string("  ingot::attention") + (warpgroups ? "_sm90" : "") + "<Config, " +
                type + ">(" + printAttentionArguments(kernel, desc) +
                (warpgroups ? ", &map0, &map1, &map2" : "") + ");\n";
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
