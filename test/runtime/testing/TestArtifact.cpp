//===- TestArtifact.cpp -----------------------------------------*- C++ -*-===//
#include "test/runtime/testing/TestArtifact.h"

#include "runtime/format/Checksum.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>

namespace ingot::testing {

using namespace format;

const std::vector<std::byte> &kernelImage() {
  static const std::vector<std::byte> image = [] {
    auto file = MappedFile::open(INGOT_TEST_KERNELS);
    EXPECT_TRUE(file.ok()) << file.status().message();
    return std::vector<std::byte>(file->bytes().begin(), file->bytes().end());
  }();
  return image;
}

static std::unique_ptr<SizeT> size(std::vector<uint16_t> symbols, int64_t factor = 1,
                                   int64_t divisor = 1) {
  auto out = std::make_unique<SizeT>();
  out->factor = factor;
  out->symbols = std::move(symbols);
  out->divisor = divisor;
  return out;
}

template <typename... Sizes> static std::vector<std::unique_ptr<SizeT>> sizes(Sizes... list) {
  std::vector<std::unique_ptr<SizeT>> out;
  (out.push_back(std::move(list)), ...);
  return out;
}

static void addSymbol(ProgramT &program, const char *name, int64_t max) {
  auto symbol = std::make_unique<SymbolT>();
  symbol->name = name;
  symbol->max = max;
  program.symbols.push_back(std::move(symbol));
}

static void addLimit(ProgramT &program, std::vector<uint16_t> symbols, int64_t max) {
  auto limit = std::make_unique<SizeLimitT>();
  limit->symbols = std::move(symbols);
  limit->max = max;
  program.limits.push_back(std::move(limit));
}

static uint32_t addBuffer(ProgramT &program, Space space, uint64_t offset, uint64_t bytes,
                          DType dtype, std::vector<std::unique_ptr<SizeT>> shape) {
  auto buffer = std::make_unique<BufferT>();
  buffer->space = space;
  buffer->offset = offset;
  buffer->bytes = bytes;
  buffer->dtype = dtype;
  buffer->shape = std::move(shape);
  program.buffers.push_back(std::move(buffer));
  return uint32_t(program.buffers.size() - 1);
}

static PortT &addPort(std::vector<std::unique_ptr<PortT>> &ports, const char *name,
                      uint32_t buffer) {
  auto port = std::make_unique<PortT>();
  port->name = name;
  port->buffer = buffer;
  ports.push_back(std::move(port));
  return *ports.back();
}

static PortT &addRanged(std::vector<std::unique_ptr<PortT>> &ports, const char *name,
                        uint32_t buffer, int64_t minimum, int64_t maximum) {
  PortT &port = addPort(ports, name, buffer);
  port.has_range = true;
  port.minimum = minimum;
  port.maximum = maximum;
  return port;
}

static void addLaunch(ProgramT &program, uint32_t kernel, std::vector<uint32_t> buffers,
                      std::vector<std::unique_ptr<SizeT>> sizeList,
                      std::vector<std::unique_ptr<SizeT>> grid) {
  auto launch = std::make_unique<LaunchT>();
  launch->kernel = kernel;
  launch->buffers = std::move(buffers);
  launch->sizes = std::move(sizeList);
  launch->grid = std::move(grid);
  launch->location = "model.layer";
  auto step = std::make_unique<StepT>();
  step->action.Set(std::move(*launch));
  program.steps.push_back(std::move(step));
}

static void addCopy(ProgramT &program, uint32_t source, uint32_t target) {
  CopyT copy;
  copy.source = source;
  copy.target = target;
  auto step = std::make_unique<StepT>();
  step->action.Set(std::move(copy));
  program.steps.push_back(std::move(step));
}

static void addKernel(PlanT &plan, const char *entry, std::vector<uint8_t> written,
                      uint16_t numSizes, uint64_t scratch = 0) {
  auto kernel = std::make_unique<KernelT>();
  kernel->entry = entry;
  kernel->num_buffers = uint16_t(written.size());
  kernel->written = std::move(written);
  kernel->num_sizes = numSizes;
  kernel->scratch_bytes = scratch;
  plan.kernels.push_back(std::move(kernel));
}

static std::unique_ptr<ProgramT> makeForward() {
  auto program = std::make_unique<ProgramT>();
  program->name = "forward";
  addSymbol(*program, "B", 4);
  addSymbol(*program, "S", 8);
  addLimit(*program, {0, 1}, 16);
  auto bs = [] { return sizes(size({0}), size({1})); };
  uint32_t x = addBuffer(*program, Space::Arena, 0, 64, DType::F32, bs());
  uint32_t ids = addBuffer(*program, Space::Arena, 64, 64, DType::I32, bs());
  uint32_t mask = addBuffer(*program, Space::Arena, 128, 64, DType::I32, bs());
  uint32_t w = addBuffer(*program, Space::Weights, 0, 16, DType::F32, sizes(size({}, 4)));
  uint32_t y = addBuffer(*program, Space::Arena, 192, 64, DType::F32, bs());
  uint32_t flat = addBuffer(*program, Space::Arena, 192, 64, DType::F32, sizes(size({0, 1})));
  uint32_t copied = addBuffer(*program, Space::Arena, 256, 64, DType::F32, bs());
  uint32_t counter = addBuffer(*program, Space::State, 192, 4, DType::I32, sizes(size({}, 1)));
  uint32_t calls = addBuffer(*program, Space::Arena, 320, 4, DType::I32, sizes(size({}, 1)));
  addPort(program->inputs, "x", x);
  addRanged(program->inputs, "ids", ids, 0, 9);
  PortT &port = addRanged(program->inputs, "mask", mask, 0, 1);
  port.optional = true;
  port.fill = 1;
  addPort(program->outputs, "y", y);
  addPort(program->outputs, "copy", copied);
  addPort(program->outputs, "calls", calls);
  addLaunch(*program, 0, {x, ids, mask, w, y}, sizes(size({0, 1})),
            sizes(size({0, 1}, 1, 4), size({}), size({})));
  addCopy(*program, flat, copied);
  addLaunch(*program, 2, {counter, calls}, {}, sizes(size({}), size({}), size({})));
  return program;
}

static std::unique_ptr<ProgramT> makeStep() {
  auto program = std::make_unique<ProgramT>();
  program->name = "step";
  addSymbol(*program, "B", 3);
  addSymbol(*program, "S", 4);
  addSymbol(*program, "NB", kMaxContext / kBlockSize);
  addLimit(*program, {0, 1}, 6);
  uint32_t ids = addBuffer(*program, Space::Arena, 0, 24, DType::I32, sizes(size({0}), size({1})));
  uint32_t num = addBuffer(*program, Space::Arena, 64, 12, DType::I32, sizes(size({0})));
  uint32_t past = addBuffer(*program, Space::Arena, 128, 12, DType::I32, sizes(size({0})));
  uint32_t table =
      addBuffer(*program, Space::Arena, 192, 48, DType::I32, sizes(size({0}), size({2})));
  uint32_t cache = addBuffer(*program, Space::State, 0, kNumBlocks * kBlockSize * 4, DType::I32,
                             sizes(size({}, kNumBlocks), size({}, kBlockSize)));
  uint32_t logits = addBuffer(*program, Space::Arena, 256, 3 * kVocabulary * 4, DType::F32,
                              sizes(size({0}), size({}, kVocabulary)));
  addRanged(program->inputs, "input_ids", ids, 0, kVocabulary - 1);
  addRanged(program->inputs, "num_tokens", num, 1, kMaxContext);
  addRanged(program->inputs, "past_tokens", past, 0, kMaxContext - 1);
  addRanged(program->inputs, "block_table", table, 0, kNumBlocks - 1);
  addPort(program->outputs, "logits", logits);
  addLaunch(*program, 3, {ids, num, past, table, cache, logits},
            sizes(size({1}), size({2}), size({}, kBlockSize), size({}, kVocabulary)),
            sizes(size({0}), size({}), size({})));
  return program;
}

std::unique_ptr<PlanT> makePlan() {
  auto plan = std::make_unique<PlanT>();
  plan->version = kFormatVersion;
  plan->producer = "ingot tests";
  plan->model_type = "test";
  auto target = std::make_unique<TargetT>();
  target->kind = "host";
  target->arch = "x86-64";
  plan->targets.push_back(std::move(target));
  auto device = std::make_unique<DeviceT>();
  device->arena_bytes = 448;
  device->weight_bytes = 64;
  device->constant_bytes = 64;
  device->state_bytes = 256;
  plan->devices.push_back(std::move(device));
  auto image = std::make_unique<ImageT>();
  image->bytes = kernelImage().size();
  plan->images.push_back(std::move(image));
  addKernel(*plan, "combine", {0, 0, 0, 0, 1}, 1);
  addKernel(*plan, "grid3", {1}, 2, 100);
  addKernel(*plan, "count", {1, 1}, 0);
  addKernel(*plan, "step", {0, 0, 0, 0, 1, 1}, 4);
  auto source = std::make_unique<SourceT>();
  source->name = "w.weight";
  source->shape = {4};
  source->init_std = 0.5f;
  plan->sources.push_back(std::move(source));
  auto weight = std::make_unique<WeightT>();
  weight->name = "w";
  weight->shape = {4};
  weight->bytes = 16;
  weight->sources = {0};
  auto load = std::make_unique<RecipeStepT>();
  load->ints = {0};
  weight->recipe.push_back(std::move(load));
  plan->weights.push_back(std::move(weight));
  plan->weights_embedded = true;
  auto constant = std::make_unique<ConstantT>();
  constant->data = {1, 2, 3};
  plan->constants.push_back(std::move(constant));
  auto state = std::make_unique<StateT>();
  state->name = "cache";
  state->dtype = DType::I32;
  state->shape = {kNumBlocks, kBlockSize};
  state->bytes = kNumBlocks * kBlockSize * 4;
  plan->states.push_back(std::move(state));
  plan->programs.push_back(makeForward());
  plan->programs.push_back(makeStep());
  auto generation = std::make_unique<GenerationT>();
  generation->program = "step";
  generation->input_ids = "input_ids";
  generation->num_tokens = "num_tokens";
  generation->past_tokens = "past_tokens";
  generation->block_table = "block_table";
  generation->logits = "logits";
  generation->block_size = kBlockSize;
  generation->num_blocks = kNumBlocks;
  generation->max_context = kMaxContext;
  generation->vocab_size = kVocabulary;
  plan->generation = std::move(generation);
  return plan;
}

void addDecode(PlanT &plan) {
  std::unique_ptr<ProgramT> decode = makeStep();
  decode->name = "decode";
  decode->symbols[1]->max = 1;
  plan.programs.push_back(std::move(decode));
  plan.generation->decode_program = "decode";
}

void addSampling(PlanT &plan) {
  plan.devices[0]->arena_bytes = 1280;
  addKernel(plan, "sample", {0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 1);
  ProgramT &program = *plan.programs[1];
  auto sampling = std::make_unique<SamplingT>();
  struct {
    const char *name;
    std::string &role;
    DType dtype;
    uint64_t bytes;
    int64_t fill;
  } const ports[] = {
      {"temperature", sampling->temperature, DType::F32, 12, 0},
      {"top_k", sampling->top_k, DType::I32, 12, 0},
      {"top_p", sampling->top_p, DType::F32, 12, 1},
      {"min_p", sampling->min_p, DType::F32, 12, 0},
      {"repetition_penalty", sampling->repetition_penalty, DType::F32, 12, 1},
      {"seed", sampling->seed, DType::I64, 24, 0},
      {"draw", sampling->draw, DType::I64, 24, 0},
      {"slot", sampling->slot, DType::I32, 12, 0},
  };
  std::vector<uint32_t> buffers{5}; // the logits
  uint64_t offset = 448;
  for (const auto &entry : ports) {
    buffers.push_back(
        addBuffer(program, Space::Arena, offset, entry.bytes, entry.dtype, sizes(size({0}))));
    offset += 64;
    PortT &port = addPort(program.inputs, entry.name, buffers.back());
    port.optional = true;
    port.fill = entry.fill;
    entry.role = entry.name;
  }
  PortT &slot = *program.inputs.back();
  slot.has_range = true;
  slot.maximum = 2;
  buffers.push_back(addBuffer(program, Space::Arena, offset, 12, DType::I32, sizes(size({0}))));
  addPort(program.outputs, "tokens", buffers.back());
  sampling->tokens = "tokens";
  addLaunch(program, uint32_t(plan.kernels.size() - 1), buffers, sizes(size({}, kVocabulary)),
            sizes(size({0}), size({}), size({})));
  plan.generation->sampling = std::move(sampling);
}

void addResidentSize(ProgramT &program) {
  addSymbol(program, "T", 16);
  program.symbols.back()->min = 0;
  program.symbols.back()->bound = size({0, 1});
  ReadSizeT read;
  read.symbol = 2;
  read.buffer = 8; // calls
  auto step = std::make_unique<StepT>();
  step->action.Set(std::move(read));
  program.steps.push_back(std::move(step));
  addLaunch(program, 0, {0, 1, 2, 3, 6}, sizes(size({2})),
            sizes(size({2}, 1, 4), size({}), size({})));
}

void addStream(PlanT &plan, bool resident) {
  plan.devices[0]->arena_bytes = 704;
  auto program = std::make_unique<ProgramT>();
  program->name = "chain";
  addSymbol(*program, "B", 6);
  auto add = [&](uint64_t offset) {
    return addBuffer(*program, Space::Arena, offset, 96, DType::F32, sizes(size({0}), size({}, 4)));
  };
  std::vector<uint32_t> buffers;
  for (uint64_t i = 0; i < 5; ++i)
    buffers.push_back(add(i * 128));
  addPort(program->inputs, "x", buffers.front());
  addPort(program->outputs, "y", buffers.back());
  uint16_t tokens = 0;
  if (resident) {
    tokens = 1;
    addSymbol(*program, "T", 6);
    program->symbols.back()->min = 0;
    program->symbols.back()->bound = size({0});
    ReadSizeT read;
    read.symbol = tokens;
    read.buffer = addBuffer(*program, Space::Arena, 640, 4, DType::I32, sizes(size({}, 1)));
    addPort(program->inputs, "count", read.buffer);
    auto step = std::make_unique<StepT>();
    step->action.Set(std::move(read));
    program->steps.push_back(std::move(step));
  }
  auto twice = uint32_t(plan.kernels.size());
  addKernel(plan, "twice", {0, 1}, 1);
  for (int i = 0; i < 4; ++i)
    addLaunch(*program, twice, {buffers[i], buffers[i + 1]}, sizes(size({tokens}, 4)),
              sizes(size({}), size({}), size({})));
  auto stream = std::make_unique<StreamT>();
  stream->kernel = uint32_t(plan.kernels.size());
  stream->first = resident ? 2 : 1;
  for (int i = 0; i < 3; ++i) {
    auto step = std::make_unique<StreamStepT>();
    step->task = i == 0 ? 0 : 1;
    step->exchanged = {i == 0 ? -1 : (i - 1) * 16, i == 2 ? -1 : i * 16};
    stream->steps.push_back(std::move(step));
  }
  for (int i = 0; i < 2; ++i) {
    stream->tasks.push_back(std::make_unique<StreamTaskT>());
    stream->tasks.back()->kernel = twice;
  }
  auto map = std::make_unique<TensorMapT>();
  map->dims = sizes(size({}, 4), size({}, 6));
  map->strides = sizes(size({}, 16));
  map->box = {4, 3};
  stream->tasks[0]->tensor_maps.push_back(std::move(map));
  stream->symbol = tokens;
  stream->most_tokens = 3;
  stream->bytes_per_token = 32;
  stream->sizes = sizes(size({}, 3));
  program->streams.push_back(std::move(stream));
  plan.programs.push_back(std::move(program));
  addKernel(plan, "chain", {0, 1}, 2);
  plan.kernels.back()->device_sizes = {0};
  plan.kernels.back()->grid = sizes(size({}, 5), size({}), size({}));
}

void addCandidate(PlanT &plan, const std::string &kernel, const std::string &config,
                  const char *entry, bool modelled, unsigned launches) {
  auto program = std::make_unique<ProgramT>();
  program->name = "measure " + kernel + " " + config;
  uint32_t x = addBuffer(*program, Space::Weights, 0, 16, DType::F32, sizes(size({}, 4)));
  uint32_t y = addBuffer(*program, Space::Arena, 0, 16, DType::F32, sizes(size({}, 4)));
  addKernel(plan, entry, {0, 1}, 1);
  for (unsigned i = 0; i < launches; ++i)
    addLaunch(*program, uint32_t(plan.kernels.size() - 1), {x, y}, sizes(size({}, 4)),
              sizes(size({}), size({}), size({})));
  program->candidate = std::make_unique<CandidateT>();
  program->candidate->kernel = kernel;
  program->candidate->config = config;
  program->candidate->modelled = modelled;
  plan.programs.push_back(std::move(program));
}

std::vector<std::byte> packPlan(const PlanT &plan) {
  flatbuffers::FlatBufferBuilder builder;
  FinishPlanBuffer(builder, Plan::Pack(builder, &plan));
  auto *data = reinterpret_cast<const std::byte *>(builder.GetBufferPointer());
  return {data, data + builder.GetSize()};
}

std::vector<std::byte> makeFile(const PlanT &plan, std::span<const std::byte> code) {
  std::string path = temporaryPath("make.ingot");
  auto writer = ArtifactWriter::create(path);
  EXPECT_TRUE(writer.ok()) << writer.status().message();
  auto expectOk = [](const Status &status) { EXPECT_TRUE(status.ok()) << status.message(); };
  expectOk((*writer)->beginSection(SectionKind::Plan));
  expectOk((*writer)->write(packPlan(plan)));
  expectOk((*writer)->beginSection(SectionKind::Code));
  expectOk((*writer)->write(code));
  if (plan.weights_embedded) {
    const float values[4] = {2, 3, 4, 5};
    expectOk((*writer)->beginSection(SectionKind::Weights));
    expectOk((*writer)->write(std::as_bytes(std::span(values))));
    expectOk((*writer)->padTo(kPage));
  }
  expectOk((*writer)->commit());
  auto file = MappedFile::open(path);
  EXPECT_TRUE(file.ok());
  std::vector<std::byte> bytes(file->bytes().begin(), file->bytes().end());
  ::remove(path.c_str());
  return bytes;
}

void reseal(std::vector<std::byte> &file) {
  FileHeader header;
  std::memcpy(&header, file.data(), sizeof header);
  for (SectionEntry &entry : header.sections)
    if (entry.present && entry.offset <= file.size() && entry.bytes <= file.size() - entry.offset)
      entry.checksum = checksum(std::span(file).subspan(entry.offset, entry.bytes));
  header.headerChecksum = 0;
  header.headerChecksum = checksum(std::as_bytes(std::span(&header, 1)));
  std::memcpy(file.data(), &header, sizeof header);
}

AlignedBytes::AlignedBytes(const std::vector<std::byte> &bytes) : size_(bytes.size()) {
  data_ = static_cast<std::byte *>(std::aligned_alloc(kPage, (size_ + kPage) / kPage * kPage));
  std::copy(bytes.begin(), bytes.end(), data_);
}

AlignedBytes::~AlignedBytes() { std::free(data_); }

LoadedModel loadModel(const std::function<void(PlanT &)> &change, const LoadOptions &options) {
  auto plan = makePlan();
  if (change)
    change(*plan);
  LoadedModel out;
  out.bytes = std::make_unique<AlignedBytes>(makeFile(*plan));
  auto artifact = Artifact::fromBytes(out.bytes->span());
  EXPECT_TRUE(artifact.ok()) << artifact.status().message();
  if (!artifact.ok())
    return out;
  auto model = Model::load(*artifact, options);
  EXPECT_TRUE(model.ok()) << model.status().message();
  if (model.ok())
    out.model = std::move(*model);
  return out;
}

std::string temporaryPath(const std::string &name) {
  const auto *info = ::testing::UnitTest::GetInstance()->current_test_info();
  std::string test = info ? std::string(info->test_suite_name()) + "." + info->name() + "." : "";
  return ::testing::TempDir() + "ingot." + test + name;
}

std::string writeFile(const std::string &name, const std::vector<std::byte> &bytes) {
  std::string path = temporaryPath(name);
  FILE *file = std::fopen(path.c_str(), "wb");
  EXPECT_NE(file, nullptr);
  EXPECT_EQ(std::fwrite(bytes.data(), 1, bytes.size(), file), bytes.size());
  std::fclose(file);
  return path;
}

int32_t nextToken(const std::vector<int32_t> &tokens) {
  uint32_t hash = 17;
  for (int32_t token : tokens)
    hash = hash * 31 + uint32_t(token);
  return int32_t(hash % uint32_t(kVocabulary));
}

} // namespace ingot::testing
