//===- Sources.cpp - Checkpoint tensors and types, for the runtime ---------===//
#include "codegen/Sources.h"

#include "runtime/format/Checksum.h"

using namespace mlir;
using namespace ingot;

SourceSpec codegen::toSpec(exec::SourceOp source) {
  SourceSpec spec;
  spec.name = source.getSymName().str();
  if (source.getAliases())
    for (StringRef alias : source.getAliases()->getAsValueRange<StringAttr>())
      spec.aliases.push_back(alias.str());
  spec.shape.assign(source.getShape().begin(), source.getShape().end());
  spec.init = static_cast<ingot::Init>(source.getInit());
  if (source.getInitStd())
    spec.initStd = source.getInitStd()->convertToFloat();
  return spec;
}

ElementType codegen::toElementType(Type type) {
  if (type.isF16())
    return ElementType::F16;
  if (type.isBF16())
    return ElementType::BF16;
  if (type.isUnsignedInteger(8))
    return ElementType::U8;
  if (type.isInteger(8))
    return ElementType::I8;
  if (type.isInteger(32))
    return ElementType::I32;
  if (type.isInteger(64))
    return ElementType::I64;
  return type.isInteger(1) ? ElementType::I1 : ElementType::F32;
}

flatbuffers::Offset<format::Stored> codegen::buildStored(flatbuffers::FlatBufferBuilder &builder,
                                                         exec::SourceOp source,
                                                         const WeightSource *weights) {
  if (!weights)
    return 0;
  Result<SourceTensor> tensor = weights->find(toSpec(source));
  if (!tensor.ok() || !tensor->data)
    return 0;
  auto name = builder.CreateString(tensor->name.data(), tensor->name.size());
  uint64_t sum = checksum({tensor->data, size_t(*numBytes(tensor->type))});
  return format::CreateStored(builder, name, uint8_t(tensor->type.elementType), sum);
}
