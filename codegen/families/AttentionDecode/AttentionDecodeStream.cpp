//===- AttentionDecodeStream.cpp - Attention of few tokens within a stream --===//
#include "codegen/cuda/KernelFunction.h"
#include "codegen/families/Attention/AttentionStub.h"
#include "codegen/families/AttentionDecode/AttentionDecode.h"
#include "codegen/families/AttentionDecode/AttentionDecodeCode.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

/// Of stream_attention.cuh: warps that attend, keys that each takes at a time, elements of a box,
/// query heads of a tile, and parts of an item's keys.
static constexpr int64_t kWarps = 8, kKeys = 16, kBoxWidth = 64, kHeads = 8, kMostParts = 8;
static constexpr int64_t kMostWidth = 128;

/// Why keys and values cannot come through the ring of a stream; empty if they can.
static std::string whyNotStreamed(const AttentionDesc &desc,
                                  const std::optional<AttentionAppend> &append) {
  if (desc.width > kMostWidth)
    return "D=" + std::to_string(desc.width) + " is more than the " + std::to_string(kMostWidth) +
           " whose keys, values and sums a warp has registers for";
  if (desc.block % kKeys)
    return "blocks of " + std::to_string(desc.block) + " keys are no multiples of " +
           std::to_string(kKeys);
  if (append && (append->k.buffer != desc.q.buffer || append->v.buffer != desc.q.buffer))
    return "queries, new keys and new values are in several buffers";
  return "";
}

/// A cache as rows of heads, in boxes of a warp's keys.
static TensorMapCode mapCache(exec::KernelOp kernel, const AttentionDesc &desc, unsigned buffer) {
  transformer::AttentionOp op = desc.op;
  auto size = [&](int64_t value) { return exec::SizeAttr::get(kernel.getContext(), value); };
  TensorMapCode map;
  map.buffer = buffer;
  map.elementType = desc.elementType;
  map.dims = {size(desc.width), size(desc.blocks * int64_t(op.getKvHeads()) * desc.block)};
  map.strides = {size(desc.width * 2)};
  map.box = {uint32_t(kBoxWidth), uint32_t(kKeys)};
  return map;
}

std::variant<StreamTask, std::string>
AttentionDecodeFamily::getStreamTask(exec::KernelOp kernel) const {
  std::optional<AttentionAppend> append;
  auto described = describeAttention(kernel, &append);
  if (auto *reason = std::get_if<std::string>(&described))
    return *reason;
  const auto &desc = std::get<AttentionDesc>(described);
  if (std::string reason = whyNotStreamed(desc, append); !reason.empty())
    return reason;
  transformer::AttentionOp op = desc.op;
  std::string type = cuda::Printer::typeName(desc.elementType);
  cuda::Stub stub;
  addDecodeConstants(stub, kernel, desc, append);
  StreamTask task;
  task.include = "codegen/cuda/kernels/stream_attention.cuh";
  task.kind = "StreamAttention";
  task.elementType = type;
  task.result = kernel.getNumInputs();
  task.constants = std::move(stub.constants);
  task.constants.push_back({"int kThreads", std::to_string(kWarps * 32)});
  task.constants.push_back({"int kQuery", std::to_string(desc.q.buffer)});
  task.constants.push_back({"int kResult", std::to_string(task.result)});
  std::string appendType = "ingot::DecodeAppend<" + type + ">";
  task.functions = {
      {"ingot::AttentionArguments<" + type + ">", "arguments",
       printAttentionArguments(kernel, desc), /*takesSizes=*/true},
      {appendType, "append", append ? printAppend(desc, *append) : appendType + "{}"}};
  task.tensorMaps = {mapCache(kernel, desc, desc.k.buffer), mapCache(kernel, desc, desc.v.buffer)};
  task.tokens = desc.queryRows;
  task.exchanged = {desc.q.buffer};
  // StreamAttention: of each warp what it hands over, a new key and value, what is rotated with,
  // and what it knows of its tile and item.
  int64_t group = op.getHeads() / op.getKvHeads(), tiles = llvm::divideCeil(group, kHeads);
  int64_t heads = llvm::divideCeil(group, tiles);
  constexpr int64_t kTileBytes = 144, kShareBytes = 80;
  int64_t warpBytes = llvm::alignTo(heads * (desc.width + 2) * 4, 16) + kTileBytes + kShareBytes;
  if (append)
    warpBytes += 2 * desc.width * 2 + 2 * append->rotated * 4;
  task.workBytes = kWarps * warpBytes;
  task.partBytes = op.getKvHeads() * tiles * kMostParts * heads * (desc.width + 2) * 4;
  return task;
}
