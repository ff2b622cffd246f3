//===- Builder.cpp - What all parts of the builder use ---------------------===//
#include "compiler/import/BuilderImpl.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinAttributes.h"

using namespace mlir;

namespace ingot::import {

ProgramBuilder::ProgramBuilder(const TransformerSpec &spec, const Maxima &maxima,
                               SourceTable &sources, ModuleOp module, Type elementType)
    : spec(spec), maxima(maxima), sources(sources), module(module), elementType(elementType),
      b(module.getLoc(), OpBuilder::atBlockEnd(module.getBody())) {}

void ProgramBuilder::at(const std::string &path) { atHead(basePath(spec, path)); }

void ProgramBuilder::atHead(const std::string &path) {
  b.setLoc(NameLoc::get(b.getStringAttr(path)));
}

std::string ProgramBuilder::layerPath(int64_t layer, const std::string &path) const {
  return spec.names.layers + "." + std::to_string(layer) + "." + path;
}

Value ProgramBuilder::weight(const std::string &source, ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, elementType);
  // The last value of a recipe converts to the weight's type, whatever the checkpoint stores.
  return transformer::WeightOp::create(b, type, source);
}

Value ProgramBuilder::baseWeight(const std::string &path, const std::string &parameter,
                                 std::vector<int64_t> shape, Init init, bool isLayerNorm) {
  std::string source = sources.addBase(path, parameter, shape, init, isLayerNorm);
  return weight(source, shape);
}

Value ProgramBuilder::linear(Value x, const std::string &path, int64_t in, int64_t out, bool bias) {
  at(path);
  Value w = baseWeight(path, "weight", {out, in}, Init::Normal);
  Value offset = bias ? baseWeight(path, "bias", {out}, Init::Zeros) : Value();
  return transformer::LinearOp::create(b, x, w, offset);
}

Value ProgramBuilder::norm(Value x, const std::string &path, int64_t width, const NormSpec &norm) {
  at(path);
  bool isLayerNorm = norm.kind == NormKind::LayerNorm;
  Value gain = baseWeight(path, "weight", {width}, Init::Ones, isLayerNorm);
  if (!isLayerNorm)
    return transformer::RmsNormOp::create(b, x, gain, b.getF64FloatAttr(norm.eps));
  Value offset = baseWeight(path, "bias", {width}, Init::Zeros, isLayerNorm);
  return transformer::LayerNormOp::create(b, x, gain, offset, b.getF64FloatAttr(norm.eps));
}

static transformer::ActivationKind toDialect(Activation kind) {
  using transformer::ActivationKind;
  switch (kind) {
  case Activation::Linear:
    return ActivationKind::Linear;
  case Activation::Gelu:
    return ActivationKind::Gelu;
  case Activation::GeluTanh:
    return ActivationKind::GeluTanh;
  case Activation::Gelu10:
    return ActivationKind::Gelu10;
  case Activation::QuickGelu:
    return ActivationKind::QuickGelu;
  case Activation::Silu:
    return ActivationKind::Silu;
  case Activation::Relu:
    return ActivationKind::Relu;
  case Activation::Relu2:
    return ActivationKind::Relu2;
  case Activation::Relu6:
    return ActivationKind::Relu6;
  case Activation::LeakyRelu:
    return ActivationKind::LeakyRelu;
  case Activation::Tanh:
    return ActivationKind::Tanh;
  case Activation::Sigmoid:
    return ActivationKind::Sigmoid;
  case Activation::Mish:
    return ActivationKind::Mish;
  case Activation::Laplace:
    return ActivationKind::Laplace;
  }
  return ActivationKind::Linear;
}

Value ProgramBuilder::activation(Value x, Activation kind) {
  auto attr = transformer::ActivationKindAttr::get(b.getContext(), toDialect(kind));
  return transformer::ActivationOp::create(b, x, attr);
}

Value ProgramBuilder::splatLike(TypedAttr scalar, Value like) {
  auto shape = cast<RankedTensorType>(like.getType());
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < shape.getRank(); ++i)
    if (shape.isDynamicDim(i))
      sizes.push_back(tensor::DimOp::create(b, like, i));
  Value constant = arith::ConstantOp::create(b, scalar);
  return tensor::SplatOp::create(b, shape.clone(scalar.getType()), constant, sizes);
}

Value ProgramBuilder::asOutput(Value x) {
  auto type = cast<RankedTensorType>(x.getType());
  if (type.getElementType().isF32())
    return x;
  return arith::ExtFOp::create(b, type.clone(b.getF32Type()), x);
}

Value ProgramBuilder::add(Value left, Value right) { return arith::AddFOp::create(b, left, right); }

//===----------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------===//

static StringRef initName(Init init) {
  switch (init) {
  case Init::Ones:
    return "ones";
  case Init::Zeros:
    return "zeros";
  case Init::Normal:
    return "normal";
  }
  return "normal";
}

static DictionaryAttr sourcesAttr(Builder &b, const std::vector<SourceSpec> &sources, double std) {
  SmallVector<NamedAttribute> entries;
  for (const SourceSpec &source : sources) {
    SmallVector<Attribute> aliases;
    for (const std::string &alias : source.aliases)
      aliases.push_back(b.getStringAttr(alias));
    entries.push_back(b.getNamedAttr(
        source.name,
        b.getDictionaryAttr({b.getNamedAttr("shape", b.getI64ArrayAttr(source.shape)),
                             b.getNamedAttr("init", b.getStringAttr(initName(source.init))),
                             b.getNamedAttr("std", b.getF64FloatAttr(std)),
                             b.getNamedAttr("aliases", b.getArrayAttr(aliases))})));
  }
  return b.getDictionaryAttr(entries);
}

static DictionaryAttr generationAttr(Builder &b, const TransformerSpec &spec,
                                     const Maxima &maxima) {
  const GenerationSpec &g = spec.generation;
  auto integer = [&](StringRef name, int64_t value) {
    return b.getNamedAttr(name, b.getI64IntegerAttr(value));
  };
  auto number = [&](StringRef name, double value) {
    return b.getNamedAttr(name, b.getF64FloatAttr(value));
  };
  return b.getDictionaryAttr({
      integer("block_size", maxima.blockSize),
      integer("num_blocks", maxima.blocks()),
      integer("max_context", maxima.context),
      integer("vocab_size", spec.embedding.vocab),
      b.getNamedAttr("eos_ids", b.getDenseI64ArrayAttr(g.eosIds)),
      integer("bos_id", g.bosId),
      integer("pad_id", g.padId),
      b.getNamedAttr("do_sample", b.getBoolAttr(g.doSample)),
      number("temperature", g.temperature),
      integer("top_k", g.topK),
      number("top_p", g.topP),
      number("min_p", g.minP),
      number("repetition_penalty", g.repetitionPenalty),
  });
}

OwningOpRef<ModuleOp> buildModule(MLIRContext &context, const TransformerSpec &spec,
                                  const Maxima &maxima, SourceTable &sources, ElementType dtype) {
  context.loadDialect<arith::ArithDialect, func::FuncDialect, tensor::TensorDialect,
                      transformer::TransformerDialect>();
  OwningOpRef<ModuleOp> module = ModuleOp::create(UnknownLoc::get(&context));
  Type elementType = dtype == ElementType::BF16  ? Type(BFloat16Type::get(&context))
                     : dtype == ElementType::F16 ? Type(Float16Type::get(&context))
                                                 : Type(Float32Type::get(&context));
  ProgramBuilder(spec, maxima, sources, *module, elementType).buildForward();
  bool generates = spec.task == Task::CausalLM;
  if (generates)
    ProgramBuilder(spec, maxima, sources, *module, elementType).buildStep();

  Builder b(&context);
  auto range = [&](StringRef name, int64_t max) {
    return b.getNamedAttr(name, b.getI64ArrayAttr({1, max}));
  };
  SmallVector<NamedAttribute> sizes{range("B", maxima.batch), range("S", maxima.sequence())};
  if (generates)
    sizes.push_back(range("NB", maxima.blocksPerRow()));
  ModuleOp op = *module;
  op->setAttr(transformer::kSizesAttr, b.getDictionaryAttr(sizes));
  op->setAttr(transformer::kLimitsAttr,
              b.getArrayAttr({b.getDictionaryAttr(
                  {b.getNamedAttr("symbols", b.getStrArrayAttr({"B", "S"})),
                   b.getNamedAttr("max", b.getI64IntegerAttr(maxima.tokens))})}));
  op->setAttr(transformer::kSourcesAttr, sourcesAttr(b, sources.sources(), spec.initStd));
  op->setAttr(
      transformer::kModelAttr,
      b.getDictionaryAttr({b.getNamedAttr("type", b.getStringAttr(spec.modelType)),
                           b.getNamedAttr("architecture", b.getStringAttr(spec.architecture)),
                           b.getNamedAttr("unused", b.getStrArrayAttr(llvm::to_vector_of<StringRef>(
                                                        unusedPatterns(spec))))}));
  if (generates)
    op->setAttr(transformer::kGenerationAttr, generationAttr(b, spec, maxima));
  return module;
}

} // namespace ingot::import
