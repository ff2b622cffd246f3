//===- PlanBuilder.cpp - An exec module becomes a plan ----------------------===//
//
// A walk over the module: one function a table of plan.fbs.
//
//===----------------------------------------------------------------------===//
#include "codegen/PlanBuilder.h"

#include "codegen/PlanContext.h"
#include "codegen/Sources.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;
using exec::SizeAttr;
using flatbuffers::Offset;

namespace {

class PlanBuilder : PlanContext {
public:
  PlanBuilder(ModuleOp module, const PlacedCode &code, const WeightSource *weights)
      : PlanContext(module), module(module), code(code), weights(weights) {}

  Result<std::vector<uint8_t>> build();

private:
  void buildTargets();
  void buildDevices();
  void buildSources();
  void buildWeights();
  void buildStates();
  void buildConstants();
  void buildImages();
  void buildKernels();
  void buildStreams();
  Offset<format::Generation> buildGeneration();
  Offset<flatbuffers::Vector<Offset<format::KeyValue>>> buildProvenance(DictionaryAttr model);

  ModuleOp module;
  const PlacedCode &code;
  const WeightSource *weights;
  llvm::StringMap<unsigned> targets, sources;
  Offsets<format::Target> targetTables;
  Offsets<format::Device> deviceTables;
  Offsets<format::Source> sourceTables;
  Offsets<format::Weight> weightTables;
  Offsets<format::State> stateTables;
  Offsets<format::Constant> constantTables;
  Offsets<format::Image> imageTables;
  Offsets<format::Kernel> kernelTables;
  Offsets<format::Program> programTables;
};

} // namespace

StringRef codegen::getString(DictionaryAttr attributes, StringRef key, StringRef otherwise) {
  auto value = attributes ? attributes.getAs<StringAttr>(key) : StringAttr();
  return value ? value.getValue() : otherwise;
}
int64_t codegen::getInteger(DictionaryAttr attributes, StringRef key, int64_t otherwise) {
  auto value = attributes.getAs<IntegerAttr>(key);
  return value ? value.getInt() : otherwise;
}

format::DType codegen::toDType(Type type) {
  if (type.isF16())
    return format::DType::F16;
  if (type.isBF16())
    return format::DType::BF16;
  if (type.isUnsignedInteger(8))
    return format::DType::U8;
  if (type.isInteger(8))
    return format::DType::I8;
  if (type.isInteger(32))
    return format::DType::I32;
  if (type.isInteger(64))
    return format::DType::I64;
  return type.isInteger(1) ? format::DType::I1 : format::DType::F32;
}

static std::vector<uint64_t> toShape(RankedTensorType type) {
  return {type.getShape().begin(), type.getShape().end()};
}

static uint64_t bytesOf(Type type) {
  // Static types that verify-exec has checked.
  return *exec::SizeBounds(ArrayRef<exec::SymbolAttr>())
              .maximumBytes(exec::BufferType::getStatic(cast<RankedTensorType>(type)));
}

//===----------------------------------------------------------------------===//
// Module level
//===----------------------------------------------------------------------===//

void PlanBuilder::buildTargets() {
  for (auto target : module.getBody()->getOps<exec::TargetOp>()) {
    targets[target.getSymName()] = targetTables.size();
    targetTables.push_back(
        format::CreateTarget(fbb, string(target.getKind()), string(target.getArch())));
  }
}

void PlanBuilder::buildDevices() {
  for (auto device : module.getBody()->getOps<exec::DeviceOp>()) {
    devices[device.getSymName()] = deviceTables.size();
    deviceTables.push_back(format::CreateDevice(
        fbb, targets.lookup(device.getTarget()), device.getArenaBytes().value_or(0),
        device.getWeightBytes().value_or(0), device.getConstantBytes().value_or(0),
        device.getStateBytes().value_or(0)));
  }
}

void PlanBuilder::buildSources() {
  for (auto source : module.getBody()->getOps<exec::SourceOp>()) {
    sources[source.getSymName()] = sourceTables.size();
    Offsets<flatbuffers::String> aliases;
    if (source.getAliases())
      for (StringRef alias : source.getAliases()->getAsValueRange<StringAttr>())
        aliases.push_back(string(alias));
    std::vector<uint64_t> shape(source.getShape().begin(), source.getShape().end());
    auto name = string(source.getSymName());
    auto aliasList = fbb.CreateVector(aliases);
    auto dims = fbb.CreateVector(shape);
    float std = source.getInitStd() ? source.getInitStd()->convertToFloat() : 0.0f;
    auto stored = buildStored(fbb, source, weights);
    sourceTables.push_back(format::CreateSource(
        fbb, name, aliasList, dims, static_cast<format::Init>(source.getInit()), std, stored));
  }
}

void PlanBuilder::buildWeights() {
  for (auto weight : module.getBody()->getOps<exec::WeightOp>()) {
    Offsets<format::RecipeStep> recipe;
    for (auto step : weight.getRecipe().getAsRange<exec::StepAttr>()) {
      auto ints =
          fbb.CreateVector(std::vector<int64_t>(step.getInts().begin(), step.getInts().end()));
      recipe.push_back(format::CreateRecipeStep(fbb, static_cast<format::RecipeOp>(step.getOp()),
                                                ints, step.getValue().getValueAsDouble()));
    }
    std::vector<uint32_t> sourceList;
    for (auto source : weight.getSources().getAsRange<FlatSymbolRefAttr>())
      sourceList.push_back(sources.lookup(source.getValue()));
    auto type = cast<RankedTensorType>(weight.getType());
    auto name = string(weight.getSymName());
    auto shape = fbb.CreateVector(toShape(type));
    auto sourceVector = fbb.CreateVector(sourceList);
    auto recipeVector = fbb.CreateVector(recipe);
    weightTables.push_back(format::CreateWeight(
        fbb, name, toDType(type.getElementType()), shape, *weight.getOffset(), bytesOf(type),
        deviceIndex(weight.getDevice()), sourceVector, recipeVector));
  }
}

void PlanBuilder::buildStates() {
  for (auto state : module.getBody()->getOps<exec::StateOp>()) {
    auto type = cast<RankedTensorType>(state.getType());
    auto name = string(state.getSymName());
    auto shape = fbb.CreateVector(toShape(type));
    stateTables.push_back(format::CreateState(fbb, name, deviceIndex(state.getDevice()),
                                              *state.getOffset(), bytesOf(type),
                                              toDType(type.getElementType()), shape));
  }
}

/// Row-major bytes of a constant, as a buffer holds them.
static std::vector<uint8_t> toBytes(ElementsAttr value) {
  auto dense = cast<DenseElementsAttr>(value);
  auto type = cast<RankedTensorType>(value.getType());
  std::vector<uint8_t> bytes;
  if (type.getElementType().isInteger(1)) { // one byte an element here, one bit there
    for (bool bit : dense.getValues<bool>())
      bytes.push_back(bit);
    return bytes;
  }
  ArrayRef<char> raw = dense.getRawData();
  int64_t copies = dense.isSplat() ? type.getNumElements() : 1;
  bytes.reserve(raw.size() * copies);
  for (int64_t i = 0; i < copies; ++i)
    bytes.insert(bytes.end(), raw.begin(), raw.end());
  return bytes;
}

void PlanBuilder::buildConstants() {
  for (auto constant : module.getBody()->getOps<exec::ConstantOp>()) {
    if (!isa<DenseElementsAttr>(constant.getValue())) {
      fail("constant @" + constant.getSymName() + ": expected dense elements");
      continue;
    }
    auto data = fbb.CreateVector(toBytes(constant.getValue()));
    constantTables.push_back(format::CreateConstant(fbb, *constant.getOffset(), data,
                                                    deviceIndex(constant.getDevice())));
  }
}

void PlanBuilder::buildImages() {
  for (const PlacedImage &image : code.images)
    imageTables.push_back(format::CreateImage(fbb, targets.lookup(image.target.getValue()),
                                              image.offset, image.bytes));
}

/// A size over the kernel's size parameters, which become indices.
static Offset<format::Size> buildArgumentSize(PlanContext &plan, exec::KernelOp kernel,
                                              SizeAttr size) {
  std::vector<uint16_t> indices;
  for (StringAttr symbol : size.getSymbols())
    for (auto [i, parameter] : llvm::enumerate(kernel.getSizes().getAsRange<exec::SymbolAttr>()))
      if (parameter.getName() == symbol)
        indices.push_back(i);
  if (indices.size() != size.getSymbols().size())
    plan.fail("kernel @" + kernel.getSymName() + ": a size of its code is not over its parameters");
  llvm::sort(indices);
  auto vector = plan.fbb.CreateVector(indices);
  return format::CreateSize(plan.fbb, size.getFactor(), vector, size.getDivisor());
}

static Offset<flatbuffers::Vector<Offset<format::Size>>>
buildArgumentSizes(PlanContext &plan, exec::KernelOp kernel, ArrayRef<SizeAttr> list) {
  Offsets<format::Size> tables;
  for (SizeAttr size : list)
    tables.push_back(buildArgumentSize(plan, kernel, size));
  return plan.fbb.CreateVector(tables);
}

Offset<format::TensorMap> codegen::buildTensorMap(PlanContext &plan, exec::KernelOp kernel,
                                                  const TensorMapCode &map) {
  flatbuffers::FlatBufferBuilder &fbb = plan.fbb;
  auto dims = buildArgumentSizes(plan, kernel, map.dims);
  auto strides = buildArgumentSizes(plan, kernel, map.strides);
  auto box = fbb.CreateVector(map.box.data(), map.box.size());
  Offset<flatbuffers::Vector<uint32_t>> elementStrides = 0;
  if (!map.elementStrides.empty())
    elementStrides = fbb.CreateVector(map.elementStrides.data(), map.elementStrides.size());
  return format::CreateTensorMap(fbb, map.buffer, map.offset, toDType(map.elementType), dims,
                                 strides, box, elementStrides, map.swizzle, map.promotion,
                                 map.nanFill);
}

void PlanBuilder::buildKernels() {
  llvm::StringMap<std::vector<uint32_t>> variants; // by the kernel that they are of
  for (auto [index, placed] : llvm::enumerate(code.kernels)) {
    exec::KernelOp kernel = placed.kernel;
    kernels[kernel.getSymName()] = index;
    if (std::optional<StringRef> other = kernel.getVariantOf())
      variants[*other].push_back(index);
  }
  for (const PlacedKernel &placed : code.kernels) {
    exec::KernelOp kernel = placed.kernel;
    std::vector<uint8_t> written;
    for (bool flag : kernel.getWrittenBuffers())
      written.push_back(flag);
    std::vector<uint32_t> block;
    if (placed.code.block[0] != 0)
      block.assign(placed.code.block.begin(), placed.code.block.end());
    auto entry = string(placed.code.entry);
    auto writtenVector = fbb.CreateVector(written);
    auto blockVector = fbb.CreateVector(block);
    auto description = stringOrNull(kernel.getDescription().value_or(""));
    // Absent rather than empty where there is nothing: what the host target writes stays as it is.
    Offset<flatbuffers::Vector<uint32_t>> cluster = 0;
    if (placed.code.cluster[0] != 0)
      cluster = fbb.CreateVector(placed.code.cluster.data(), 3);
    Offset<flatbuffers::Vector<uint16_t>> deviceSizes = 0;
    if (!placed.code.deviceSizes.empty())
      deviceSizes =
          fbb.CreateVector(placed.code.deviceSizes.data(), placed.code.deviceSizes.size());
    Offsets<format::TensorMap> maps;
    for (const TensorMapCode &map : placed.code.tensorMaps)
      maps.push_back(buildTensorMap(*this, kernel, map));
    Offset<flatbuffers::Vector<Offset<format::TensorMap>>> mapVector = 0;
    if (!maps.empty())
      mapVector = fbb.CreateVector(maps);
    Offset<flatbuffers::Vector<uint32_t>> variantVector = 0;
    if (auto at = variants.find(kernel.getSymName()); at != variants.end())
      variantVector = fbb.CreateVector(at->second);
    Offset<flatbuffers::Vector<Offset<format::Size>>> grid = 0;
    if (kernel.getVariantOf()) {
      SmallVector<SizeAttr> extents(kernel.getGrid()->getAsRange<SizeAttr>());
      grid = buildArgumentSizes(*this, kernel, extents);
    }
    kernelTables.push_back(format::CreateKernel(
        fbb, entry, placed.code.image, written.size(), kernel.getSizes().size(), writtenVector,
        blockVector, placed.code.sharedBytes, placed.code.scratchBytes, description, cluster,
        placed.code.overlaps, deviceSizes, mapVector, variantVector, grid));
  }
}

/// The kernels of streams, which no program launches: they bring their own grid.
void PlanBuilder::buildStreams() {
  for (const PlacedStream &placed : code.streams) {
    exec::StreamOp stream = placed.stream;
    kernels[stream.getSymName()] = kernelTables.size();
    streams[stream.getSymName()] = &placed;
    uint16_t sizes = 1; // the number of tokens
    for (auto [name, task] :
         llvm::zip_equal(stream.getTasks().getAsRange<FlatSymbolRefAttr>(), placed.code.tasks))
      if (task.takesSizes())
        sizes += symbols.lookup<exec::KernelOp>(name.getValue()).getSizes().size();
    const KernelCode &kernel = placed.code.kernel;
    auto entry = string(kernel.entry);
    auto written = fbb.CreateVector(std::vector<uint8_t>{0, 1});
    auto block = fbb.CreateVector(kernel.block.data(), kernel.block.size());
    auto description = stringOrNull(stream.getDescription().value_or(""));
    auto deviceSizes = fbb.CreateVector(kernel.deviceSizes.data(), kernel.deviceSizes.size());
    Offsets<format::Size> extents;
    for (int64_t extent : {int64_t(stream.getBlocks()), int64_t(1), int64_t(1)})
      extents.push_back(format::CreateSize(fbb, extent));
    auto grid = fbb.CreateVector(extents);
    format::KernelBuilder table(fbb);
    table.add_entry(entry);
    table.add_image(kernel.image);
    table.add_num_buffers(2);
    table.add_num_sizes(sizes);
    table.add_written(written);
    table.add_block(block);
    table.add_shared_bytes(kernel.sharedBytes);
    table.add_description(description);
    table.add_overlaps(kernel.overlaps);
    table.add_device_sizes(deviceSizes);
    table.add_grid(grid);
    kernelTables.push_back(table.Finish());
  }
}

//===----------------------------------------------------------------------===//
// About the model
//===----------------------------------------------------------------------===//

static float getFloat(DictionaryAttr attributes, StringRef key, float otherwise) {
  auto value = attributes.getAs<FloatAttr>(key);
  return value ? static_cast<float>(value.getValueAsDouble()) : otherwise;
}

Offset<format::Generation> PlanBuilder::buildGeneration() {
  auto attributes = module->getAttrOfType<DictionaryAttr>(exec::ExecDialect::kGenerationAttr);
  if (!attributes)
    return 0;
  auto program = string(getString(attributes, "program", "step"));
  auto inputIds = string(getString(attributes, "input_ids", "input_ids"));
  auto numTokens = string(getString(attributes, "num_tokens", "num_tokens"));
  auto pastTokens = string(getString(attributes, "past_tokens", "past_tokens"));
  auto blockTable = string(getString(attributes, "block_table", "block_table"));
  auto logits = string(getString(attributes, "logits", "logits"));
  std::vector<int64_t> eos;
  if (auto ids = attributes.getAs<DenseI64ArrayAttr>("eos_ids"))
    eos.assign(ids.asArrayRef().begin(), ids.asArrayRef().end());
  auto eosVector = fbb.CreateVector(eos);
  auto doSample = attributes.getAs<BoolAttr>("do_sample");
  Offset<format::Sampling> sampling = 0;
  if (auto ports = attributes.getAs<DictionaryAttr>("sampling")) {
    // The names of the ports, by default those of their parts.
    auto name = [&](StringRef part) { return string(getString(ports, part, part)); };
    auto tokens = name("tokens"), temperature = name("temperature"), topK = name("top_k");
    auto topP = name("top_p"), minP = name("min_p"), penalty = name("repetition_penalty");
    auto seed = name("seed"), draw = name("draw"), slot = name("slot");
    sampling = format::CreateSampling(fbb, tokens, temperature, topK, topP, minP, penalty, seed,
                                      draw, slot);
  }
  auto decodeProgram = stringOrNull(getString(attributes, "decode_program"));
  return format::CreateGeneration(
      fbb, program, inputIds, numTokens, pastTokens, blockTable, logits,
      getInteger(attributes, "block_size", 0), getInteger(attributes, "num_blocks", 0),
      getInteger(attributes, "max_context", 0), getInteger(attributes, "vocab_size", 0), eosVector,
      getInteger(attributes, "bos_id", -1), getInteger(attributes, "pad_id", -1),
      doSample && doSample.getValue(), getFloat(attributes, "temperature", 1),
      getInteger(attributes, "top_k", 0), getFloat(attributes, "top_p", 1),
      getFloat(attributes, "min_p", 0), getFloat(attributes, "repetition_penalty", 1), sampling,
      decodeProgram);
}

Offset<flatbuffers::Vector<Offset<format::KeyValue>>>
PlanBuilder::buildProvenance(DictionaryAttr model) {
  Offsets<format::KeyValue> entries;
  if (auto provenance = model ? model.getAs<DictionaryAttr>("provenance") : DictionaryAttr())
    for (NamedAttribute entry : provenance)
      if (auto value = dyn_cast<StringAttr>(entry.getValue())) {
        auto key = string(entry.getName().strref());
        auto text = string(value.getValue());
        entries.push_back(format::CreateKeyValue(fbb, key, text));
      }
  return fbb.CreateVector(entries);
}

Result<std::vector<uint8_t>> PlanBuilder::build() {
  buildTargets();
  buildDevices();
  buildSources();
  buildWeights();
  buildStates();
  buildConstants();
  buildImages();
  buildKernels();
  buildStreams();
  if (!status.ok())
    return status;
  for (auto program : module.getBody()->getOps<exec::ProgramOp>()) {
    Result<Offset<format::Program>> table = buildProgram(*this, program);
    if (!table.ok())
      return table.status();
    programTables.push_back(*table);
  }

  auto model = module->getAttrOfType<DictionaryAttr>(exec::ExecDialect::kModelAttr);
  auto producer = string("ingot 0.1.0");
  auto modelType = stringOrNull(getString(model, "type", getString(model, "model_type")));
  auto architecture = stringOrNull(getString(model, "architecture"));
  auto configSha256 = stringOrNull(getString(model, "config_sha256"));
  auto provenance = buildProvenance(model);
  auto targetVector = fbb.CreateVector(targetTables);
  auto deviceVector = fbb.CreateVector(deviceTables);
  auto imageVector = fbb.CreateVector(imageTables);
  auto sourceVector = fbb.CreateVector(sourceTables);
  auto weightVector = fbb.CreateVector(weightTables);
  auto constantVector = fbb.CreateVector(constantTables);
  auto stateVector = fbb.CreateVector(stateTables);
  auto kernelVector = fbb.CreateVector(kernelTables);
  auto programVector = fbb.CreateVector(programTables);
  auto generation = buildGeneration();
  std::vector<flatbuffers::Offset<flatbuffers::String>> unused;
  if (auto patterns = model ? model.getAs<ArrayAttr>("unused") : ArrayAttr())
    for (StringRef pattern : patterns.getAsValueRange<StringAttr>())
      unused.push_back(string(pattern));
  auto unusedVector = fbb.CreateVector(unused);
  fbb.Finish(format::CreatePlan(fbb, kFormatVersion, producer, modelType, architecture,
                                configSha256, provenance, targetVector, deviceVector, imageVector,
                                sourceVector, weightVector, weights != nullptr, constantVector,
                                stateVector, kernelVector, programVector, generation, unusedVector),
             format::PlanIdentifier());
  return std::vector<uint8_t>(fbb.GetBufferPointer(), fbb.GetBufferPointer() + fbb.GetSize());
}

Result<std::vector<uint8_t>> codegen::buildPlan(ModuleOp module, const PlacedCode &code,
                                                const WeightSource *weights) {
  return PlanBuilder(module, code, weights).build();
}
