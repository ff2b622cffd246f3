//===- Sources.cpp - The checkpoint tensors of a module ---------------------===//
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
