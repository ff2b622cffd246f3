//===- AttentionStub.cpp - What the forms of attention kernels share --------===//
#include "codegen/families/Attention/AttentionStub.h"

#include "codegen/cuda/KernelFunction.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

void codegen::addAttentionConstants(cuda::Stub &stub, const AttentionDesc &desc) {
  transformer::AttentionOp op = desc.op;
  auto text = [](int64_t value) { return std::to_string(value); };
  auto truth = [](bool value) { return std::string(value ? "true" : "false"); };
  stub.constants = {
      {"int kWidth", text(desc.width)},
      {"int kGroup", text(op.getHeads() / op.getKvHeads())},
      {"int kKvHeads", text(op.getKvHeads())},
      {"int kBatchMost", text(desc.mostRows)},
      {"float kScale", cuda::printFloat(op.getScale().convertToDouble())},
      {"bool kCausal", truth(op.getCausal())},
      {"int kWindow", text(op.getWindow().value_or(0))},
      {"float kSoftcap", op.getSoftcap() ? cuda::printFloat(op.getSoftcap()->convertToDouble()) : "0.0f"},
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
      {"int kSharedBytes", text(stub.sharedBytes)}};
}

std::string codegen::printAttentionArguments(exec::KernelOp kernel, const AttentionDesc &desc) {
  auto columns = [&](const AttentionOperand &operand) {
    return cuda::bufferName(operand.buffer) +
           (operand.offset ? " + " + std::to_string(operand.offset) : std::string());
  };
  auto optional = [&](const std::optional<unsigned> &buffer) {
    return buffer ? cuda::bufferName(*buffer) : std::string("nullptr");
  };
  return "ingot::AttentionArguments<" + cuda::Printer::typeName(desc.elementType) + ">{\n      " +
         columns(desc.q) + ", " + columns(desc.k) + ", " + columns(desc.v) + ", " +
         cuda::bufferName(kernel.getNumInputs()) + ",\n      " + optional(desc.cu) + ", " +
         optional(desc.table) + ", " + optional(desc.past) + ", " + optional(desc.slopes) + ", " +
         optional(desc.sinks) + ",\n      " + cuda::printSize(desc.rows) + ", " +
         cuda::printSize(desc.tokens) + ", " + cuda::printSize(desc.tableBlocks) + "}";
}
