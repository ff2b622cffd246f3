//===- Attention.cpp - Attention on a GPU -----------------------------------===//
#include "codegen/families/Attention/Attention.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Stub.h"
#include "dialects/Exec/SizeExpr.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/Support/MathExtras.h"

#include <variant>

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

namespace {

/// Columns of a buffer that are rows of heads.
struct Operand {
  unsigned buffer = 0;
  int64_t stride = 0, offset = 0;
};

/// What: one attention over rows.
struct AttentionDesc {
  transformer::AttentionOp op;
  Type elementType;
  int64_t width = 0;       // D of queries, keys and values
  int64_t chunkBytes = 16; // every row of a head starts at a multiple of
  Operand q, k, v;
  std::optional<unsigned> cu, table, past, slopes, sinks;
  exec::SizeAttr rows, tokens, tableBlocks;
  int64_t mostRows = 0;
  int64_t block = 1, blocks = 1;

  std::string str();
};

/// How. A block is four warps of 16 query rows each.
struct AttentionConfig {
  unsigned threads = 128;
  unsigned cluster = 1;
  unsigned rowTiles = 1; // 16 query rows each, of a warp
  uint32_t sharedBytes = 0;
  unsigned blocks = 0; // the grid
  std::string reason;
};

constexpr int64_t kMostBatch = 4096;
constexpr int64_t kMostWidth = 256;
/// Query rows of a block with one row tile a warp.
constexpr int64_t kQueryRows = 64;

} // namespace

std::string AttentionDesc::str() {
  std::string type;
  llvm::raw_string_ostream(type) << elementType;
  return std::string("attention, ") + (op.isPacked() ? "packed" : "padded") +
         (op.isPaged() ? ", paged" : "") + ", heads=" + std::to_string(op.getHeads()) + "/" +
         std::to_string(op.getKvHeads()) + " D=" + std::to_string(width) + ", " + type;
}

/// The argument (and its columns) that an operand is.
static std::optional<Operand> traceColumns(Value value) {
  Operand operand;
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  auto type = cast<RankedTensorType>(value.getType());
  operand.stride = type.getDimSize(type.getRank() - 1);
  if (auto slice = value.getDefiningOp<tensor::ExtractSliceOp>()) {
    auto source = cast<RankedTensorType>(slice.getSource().getType());
    unsigned last = source.getRank() - 1;
    if (!slice.getDroppedDims().none() || !slice.hasUnitStride() || source.isDynamicDim(last))
      return std::nullopt;
    for (unsigned i = 0; i < last; ++i)
      if (slice.getStaticOffset(i) != 0)
        return std::nullopt;
    if (ShapedType::isDynamic(slice.getStaticOffset(last)))
      return std::nullopt;
    operand.offset = slice.getStaticOffset(last);
    operand.stride = source.getDimSize(last);
    value = slice.getSource();
  }
  auto argument = dyn_cast<BlockArgument>(value);
  if (!argument)
    return std::nullopt;
  operand.buffer = argument.getArgNumber();
  return operand;
}

static std::variant<AttentionDesc, std::string> describe(exec::KernelOp kernel,
                                                         const cuda::ArchInfo &arch) {
  AttentionDesc desc;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (auto attention = dyn_cast<transformer::AttentionOp>(op)) {
      if (desc.op)
        return std::string("it has two attentions");
      desc.op = attention;
    } else if (!isa<tensor::ExtractSliceOp, tensor::CastOp, tensor::DimOp>(op) &&
               !op.hasTrait<OpTrait::ConstantLike>()) {
      return "it has " + op.getName().getStringRef().str() + " besides attention";
    }
  }
  transformer::AttentionOp op = desc.op;
  if (!op)
    return std::string("it has no attention");
  Operation *yield = kernel.getBody().front().getTerminator();
  if (yield->getNumOperands() != 1 || yield->getOperand(0) != op.getOut())
    return std::string("it gives more than the attention's output");
  if (op.getBackend() == transformer::AttentionBackend::Math)
    return std::string("the math back end makes the scores as a tensor");
  if (!op.isPaged() && !op.isPacked())
    return std::string("its rows are padded; packed rows are what a GPU runs fast");
  if (op.getBias() || op.getHeadMask() || op.getProbabilities())
    return std::string("it has a bias or a head mask, or returns probabilities");
  desc.elementType = cast<RankedTensorType>(op.getQ().getType()).getElementType();
  auto qType = cast<RankedTensorType>(op.getQ().getType());
  int64_t queryWidth = qType.getDimSize(qType.getRank() - 1);
  if (ShapedType::isDynamic(queryWidth))
    return std::string("the width is not static");
  desc.width = queryWidth / op.getHeads();
  if (op.getValueWidth() != desc.width)
    return std::string("keys and values have different widths");
  if (desc.width > kMostWidth)
    return "D=" + std::to_string(desc.width) + " is more than " + std::to_string(kMostWidth);
  if (!(op.getScale().convertToDouble() > 0))
    return std::string("the scale is not positive");
  auto q = traceColumns(op.getQ()), k = traceColumns(op.getK()), v = traceColumns(op.getV());
  if (!q || !k || !v)
    return std::string("queries, keys or values are computed in the kernel");
  desc.q = *q;
  desc.k = *k;
  desc.v = *v;
  desc.chunkBytes = 16;
  for (int64_t elements : {desc.width, desc.q.stride, desc.q.offset, desc.k.stride, desc.k.offset,
                           desc.v.stride, desc.v.offset})
    while (elements * desc.elementType.getIntOrFloatBitWidth() / 8 % desc.chunkBytes)
      desc.chunkBytes /= 2;
  std::string computed;
  auto argument = [&](Value value, std::optional<unsigned> &number) {
    if (!value)
      return;
    if (auto block = dyn_cast<BlockArgument>(value))
      number = block.getArgNumber();
    else
      computed = "lengths, tables or slopes are computed in the kernel";
  };
  argument(op.getCuSeqlens(), desc.cu);
  argument(op.getBlockTable(), desc.table);
  argument(op.getPast(), desc.past);
  argument(op.getAlibiSlopes(), desc.slopes);
  argument(op.getSinks(), desc.sinks);
  if (!computed.empty())
    return computed;
  if (desc.sinks && !kernel.getInputType(*desc.sinks).getElementType().isF32())
    return std::string("sinks are not f32");
  MLIRContext *context = kernel.getContext();
  exec::SizeBounds bounds = exec::SizeBounds::get(kernel.getSizes());
  desc.tokens = desc.tableBlocks = exec::SizeAttr::get(context, 0);
  if (op.isPaged()) {
    ArrayRef<exec::SizeAttr> table = kernel.getInputType(*desc.table).getShape();
    desc.rows = table[0];
    desc.tableBlocks = table[1];
    auto cache = cast<RankedTensorType>(op.getK().getType());
    desc.blocks = cache.getDimSize(0);
    desc.block = cache.getDimSize(2);
    if (!op.isPacked())
      desc.tokens = kernel.getInputType(desc.q.buffer).getShape()[1];
  } else {
    exec::SizeAttr entries = kernel.getInputType(*desc.cu).getShape()[0];
    if (!entries.isStatic())
      return std::string("the number of rows is not static");
    desc.rows = exec::SizeAttr::get(context, entries.getFactor() - 1);
  }
  desc.mostRows = bounds.maximum(desc.rows).value_or(kMostBatch + 1);
  if (desc.mostRows > kMostBatch)
    return "up to " + std::to_string(desc.mostRows) + " rows, past " + std::to_string(kMostBatch);
  return desc;
}

/// The heuristics.
static std::variant<AttentionConfig, std::string> choose(const AttentionDesc &desc,
                                                         const cuda::ArchInfo &arch) {
  AttentionConfig config;
  int64_t bytes = desc.elementType.getIntOrFloatBitWidth() / 8;
  int64_t padded = llvm::alignTo(desc.width, 16);
  int64_t pitch = padded * bytes + 16, keys = bytes == 2 ? 64 : 32;
  // Two row tiles a warp read keys and values half as often; their accumulators take 128 registers
  // at D = 128.
  config.rowTiles = bytes == 2 && desc.width <= 128 ? 2 : 1;
  config.sharedBytes = (kQueryRows * config.rowTiles + 4 * keys) * pitch;
  if (config.sharedBytes + desc.mostRows * 4 + 1024 > arch.sharedBytesPerBlock)
    return "tiles take " + std::to_string(config.sharedBytes) +
           " bytes of shared memory, a block has " + std::to_string(arch.sharedBytesPerBlock);
  unsigned fit =
      (arch.sharedBytesPerBlock + 1024) / (config.sharedBytes + desc.mostRows * 4 + 1024);
  unsigned perMultiprocessor = std::clamp(fit, 1u, 4u);
  config.cluster = arch.number >= 90 ? 8 : 1;
  config.blocks = arch.multiprocessors * perMultiprocessor / config.cluster * config.cluster;
  config.reason = std::to_string(kQueryRows * config.rowTiles) + " query rows and " +
                  std::to_string(keys) + " keys a tile, " + std::to_string(perMultiprocessor) +
                  " blocks a multiprocessor";
  if (config.cluster > 1)
    config.reason += ", clusters of 8 share the keys of few rows";
  return config;
}

Match AttentionFamily::match(exec::KernelOp kernel, const TargetInfo &target) const {
  std::optional<cuda::ArchInfo> arch = cuda::getArchInfo(target.arch);
  if (!arch)
    return Match::no("architecture " + target.arch + " is not known");
  if (!hasAnyOp<transformer::AttentionOp>(kernel))
    return Match::unrelated("it has no attention");
  auto desc = describe(kernel, *arch);
  if (auto *reason = std::get_if<std::string>(&desc))
    return Match::no(*reason);
  auto config = choose(std::get<AttentionDesc>(desc), *arch);
  if (auto *reason = std::get_if<std::string>(&config))
    return Match::no(*reason);
  return Match::yes();
}

Result<Selection> AttentionFamily::select(exec::KernelOp kernel,
                                          const SelectContext &context) const {
  cuda::ArchInfo arch = *cuda::getArchInfo(context.target.arch);
  AttentionDesc desc = std::get<AttentionDesc>(describe(kernel, arch));
  AttentionConfig config = std::get<AttentionConfig>(choose(desc, arch));
  Builder builder(kernel.getContext());
  auto number = [&](StringRef name, int64_t value) {
    return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
  };
  Selection selection;
  selection.desc.text = desc.str();
  selection.config.attributes = builder.getDictionaryAttr(
      {number("threads", config.threads), number("cluster", config.cluster),
       number("row_tiles", config.rowTiles), number("shared", config.sharedBytes)});
  selection.config.text = config.reason;
  exec::SizeAttr one = exec::SizeAttr::get(kernel.getContext(), 1);
  selection.launch.grid = {exec::SizeAttr::get(kernel.getContext(), config.blocks), one, one};
  selection.launch.block = {config.threads, 1, 1};
  return selection;
}

static std::string printFloat(double value) {
  char buffer[48];
  snprintf(buffer, sizeof buffer, "%.9g", value);
  std::string text = buffer;
  return text + (text.find_first_of(".e") == std::string::npos ? ".0f" : "f");
}

Result<Code> AttentionFamily::emit(ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                                   const EmitOptions &options) const {
  cuda::ArchInfo arch = *cuda::getArchInfo(target.arch);
  std::vector<cuda::Stub> stubs;
  for (exec::KernelOp kernel : kernels) {
    auto described = describe(kernel, arch);
    if (auto *reason = std::get_if<std::string>(&described))
      return Status(ExitCode::Internal, "kernel @" + kernel.getSymName().str() +
                                            " was selected but has no form: " + *reason);
    AttentionDesc desc = std::get<AttentionDesc>(described);
    transformer::AttentionOp op = desc.op;
    auto config = [&](StringRef name) {
      return kernel.getConfig()->getAs<IntegerAttr>(name).getInt();
    };
    auto text = [](int64_t value) { return std::to_string(value); };
    auto truth = [](bool value) { return std::string(value ? "true" : "false"); };
    cuda::Stub stub;
    stub.includes = {"codegen/cuda/kernels/attention.cuh"};
    stub.threads = config("threads");
    stub.sharedBytes = config("shared");
    stub.cluster = config("cluster");
    stub.waitsItself = true;
    stub.constants = {{"int kRowTiles", text(config("row_tiles"))},
                      {"int kWidth", text(desc.width)},
                      {"int kChunkBytes", text(desc.chunkBytes)},
                      {"int kGroup", text(op.getHeads() / op.getKvHeads())},
                      {"int kKvHeads", text(op.getKvHeads())},
                      {"int kBatchMost", text(desc.mostRows)},
                      {"float kScale", printFloat(op.getScale().convertToDouble())},
                      {"bool kCausal", truth(op.getCausal())},
                      {"int kWindow", text(op.getWindow().value_or(0))},
                      {"float kSoftcap",
                       op.getSoftcap() ? printFloat(op.getSoftcap()->convertToDouble()) : "0.0f"},
                      {"bool kAlibi", truth(desc.slopes.has_value())},
                      {"bool kAlibiBeforeScale", truth(op.getAlibiBeforeScale())},
                      {"bool kSinks", truth(desc.sinks.has_value())},
                      {"int kQueryStride", text(desc.q.stride)},
                      {"int kKeyStride", text(desc.k.stride)},
                      {"int kValueStride", text(desc.v.stride)},
                      {"int kOutputStride", text(desc.width * op.getHeads())},
                      {"bool kPaged", truth(op.isPaged())},
                      {"int kBlock", text(desc.block)},
                      {"int kBlocks", text(desc.blocks)},
                      {"int kCluster", text(config("cluster"))},
                      {"int kSharedBytes", text(config("shared"))}};
    auto columns = [&](const Operand &operand) {
      return cuda::bufferName(operand.buffer) +
             (operand.offset ? " + " + text(operand.offset) : std::string());
    };
    auto optional = [&](const std::optional<unsigned> &buffer) {
      return buffer ? cuda::bufferName(*buffer) : std::string("nullptr");
    };
    std::string type = cuda::Printer::typeName(desc.elementType);
    stub.body = "  ingot::attention<Config, " + type + ">(ingot::AttentionArguments<" + type +
                ">{\n      " + columns(desc.q) + ", " + columns(desc.k) + ", " + columns(desc.v) +
                ", " + cuda::bufferName(kernel.getNumInputs()) + ",\n      " + optional(desc.cu) +
                ", " + optional(desc.table) + ", " + optional(desc.past) + ", " +
                optional(desc.slopes) + ", " + optional(desc.sinks) + ",\n      " +
                cuda::printSize(desc.rows) + ", " + cuda::printSize(desc.tokens) + ", " +
                cuda::printSize(desc.tableBlocks) + "});\n";
    stubs.push_back(std::move(stub));
  }
  return cuda::compileStubs(kernels, stubs, target, options);
}
