//===- Describe.cpp ---------------------------------------------*- C++ -*-===//
#include "runtime/format/Describe.h"

#include "runtime/format/DType.h"
#include "runtime/format/PlanRecipes.h"
#include "runtime/format/SizeMath.h"
#include "runtime/format/Streams.h"
#include "runtime/support/Text.h"
#include "runtime/weights/JsonWriter.h"

#include <algorithm>

namespace ingot {

namespace {

std::string_view view(const flatbuffers::String *string) {
  return string ? string->string_view() : std::string_view();
}

template <typename T> unsigned count(const flatbuffers::Vector<T> *vector) {
  return vector ? vector->size() : 0;
}

class Describer {
public:
  Describer(const Artifact &artifact, JsonWriter &json)
      : artifact_(artifact), plan_(artifact.plan()), json_(json) {}

  void file();
  void plan();
  void memory();
  void programs();
  void steps();
  void kernels();
  void cudaLaunch(const format::Kernel &kernel);
  void weights();
  void sources();
  void states();
  void constants();
  void code();
  void debug();

private:
  void generation(const format::Generation &generation);
  void program(const format::Program &program);
  void unpadding(const format::Program &program);
  void streams(const format::Program &program, std::span<const std::string> symbols);
  void ports(const format::Program &program, bool outputs, std::span<const std::string> symbols);
  void shape(const flatbuffers::Vector<flatbuffers::Offset<format::Size>> *dims,
             std::span<const std::string> symbols);
  void shape(const flatbuffers::Vector<uint64_t> *dims);
  static std::vector<std::string> symbolNames(const format::Program &program);
  static std::string sizes(const flatbuffers::Vector<flatbuffers::Offset<format::Size>> *list,
                           std::span<const std::string> symbols);

  const Artifact &artifact_;
  const format::Plan &plan_;
  JsonWriter &json_;
};

void Describer::file() {
  json_.beginObject();
  json_.member("version", artifact_.header().version).member("bytes", artifact_.fileBytes());
  json_.key("sections").beginArray();
  for (size_t i = 0; i < kSectionCount; ++i) {
    const SectionEntry &entry = artifact_.entry(SectionKind(i));
    if (!entry.present)
      continue;
    json_.beginObject().member("name", sectionName(SectionKind(i))).member("offset", entry.offset);
    json_.member("bytes", entry.bytes).member("checksum", hexText(entry.checksum)).endObject();
  }
  json_.endArray().endObject();
}

void Describer::plan() {
  json_.beginObject();
  json_.member("producer", view(plan_.producer())).member("model_type", view(plan_.model_type()));
  json_.member("architecture", view(plan_.architecture()));
  json_.member("config_sha256", view(plan_.config_sha256()));
  json_.member("weights_embedded", plan_.weights_embedded());
  json_.key("targets").beginArray();
  for (const format::Target *target : *plan_.targets())
    json_.beginObject()
        .member("kind", view(target->kind()))
        .member("arch", view(target->arch()))
        .endObject();
  json_.endArray();
  json_.key("provenance").beginObject();
  for (unsigned i = 0; i < count(plan_.provenance()); ++i)
    json_.member(view(plan_.provenance()->Get(i)->key()),
                 view(plan_.provenance()->Get(i)->value()));
  json_.endObject();
  json_.key("generation");
  if (plan_.generation())
    generation(*plan_.generation());
  else
    json_.null();
  json_.endObject();
}

void Describer::generation(const format::Generation &generation) {
  json_.beginObject();
  json_.member("program", view(generation.program()));
  if (generation.decode_program())
    json_.member("decode_program", view(generation.decode_program()));
  json_.member("vocab_size", generation.vocab_size());
  json_.member("max_context", generation.max_context());
  json_.member("block_size", generation.block_size()).member("num_blocks", generation.num_blocks());
  json_.key("eos_ids").beginArray();
  for (unsigned i = 0; i < count(generation.eos_ids()); ++i)
    json_.value(generation.eos_ids()->Get(i));
  json_.endArray();
  json_.member("bos_id", generation.bos_id()).member("pad_id", generation.pad_id());
  json_.member("do_sample", generation.do_sample());
  json_.member("temperature", generation.temperature()).member("top_k", generation.top_k());
  json_.member("top_p", generation.top_p()).member("min_p", generation.min_p());
  json_.member("repetition_penalty", generation.repetition_penalty());
  json_.member("samples_on_device", generation.sampling() != nullptr);
  json_.endObject();
}

void Describer::memory() {
  json_.beginArray();
  for (unsigned i = 0; i < plan_.devices()->size(); ++i) {
    const format::Device &device = *plan_.devices()->Get(i);
    const format::Target &target = *plan_.targets()->Get(device.target());
    json_.beginObject().member("device", i);
    json_.member("target", text(view(target.kind()), " ", view(target.arch())));
    json_.member("activation_bytes", device.arena_bytes());
    json_.member("weight_bytes", device.weight_bytes());
    json_.member("constant_bytes", device.constant_bytes());
    json_.member("state_bytes", device.state_bytes());
    uint64_t streams = 0;
    for (const format::Program *program : *plan_.programs())
      streams += streamBytes(*program, uint16_t(i));
    if (streams != 0)
      json_.member("stream_bytes", streams);
    json_.member("peak_bytes", device.arena_bytes() + device.weight_bytes() +
                                   device.constant_bytes() + device.state_bytes() + streams);
    json_.endObject();
  }
  json_.endArray();
}

std::vector<std::string> Describer::symbolNames(const format::Program &program) {
  std::vector<std::string> names;
  for (unsigned i = 0; i < count(program.symbols()); ++i)
    names.push_back(program.symbols()->Get(i)->name()->str());
  return names;
}

void Describer::shape(const flatbuffers::Vector<flatbuffers::Offset<format::Size>> *dims,
                      std::span<const std::string> symbols) {
  json_.beginArray();
  for (unsigned i = 0; i < count(dims); ++i) {
    SizeExpr size = sizeExpr(*dims->Get(i));
    if (size.symbols.empty())
      json_.value(evaluate(size, {}));
    else
      json_.value(sizeText(size, symbols));
  }
  json_.endArray();
}

void Describer::shape(const flatbuffers::Vector<uint64_t> *dims) {
  json_.beginArray();
  for (unsigned i = 0; i < count(dims); ++i)
    json_.value(dims->Get(i));
  json_.endArray();
}

void Describer::programs() {
  json_.beginArray();
  for (const format::Program *table : *plan_.programs())
    program(*table);
  json_.endArray();
}

void Describer::program(const format::Program &program) {
  std::vector<std::string> names = symbolNames(program);
  json_.beginObject().member("name", view(program.name()));
  json_.key("symbols").beginArray();
  for (unsigned i = 0; i < names.size(); ++i) {
    const format::Symbol &symbol = *program.symbols()->Get(i);
    json_.beginObject().member("name", names[i]);
    json_.member("min", symbol.min()).member("max", symbol.max());
    if (symbol.bound()) // read from a buffer while the program runs
      json_.member("bound", sizeText(sizeExpr(*symbol.bound()), names));
    json_.endObject();
  }
  json_.endArray().key("limits").beginArray();
  for (unsigned i = 0; i < count(program.limits()); ++i) {
    const format::SizeLimit &limit = *program.limits()->Get(i);
    SizeExpr product{1, {limit.symbols()->begin(), limit.symbols()->end()}, 1};
    json_.value(text(sizeText(product, names), " <= ", limit.max()));
  }
  json_.endArray();
  ports(program, false, names);
  ports(program, true, names);
  json_.member("steps", count(program.steps())).member("buffers", program.buffers()->size());
  if (program.unpadding())
    unpadding(program);
  json_.endObject();
}

/// The largest padded batch [B, S] of a program: its places, and those of a row. Zeros if there is
/// none.
static std::pair<int64_t, int64_t> largestBatch(const format::Program &program) {
  if (!program.symbols() || !program.inputs())
    return {0, 0};
  SymbolBounds bounds = symbolBounds(program);
  for (const format::Symbol *symbol : *program.symbols()) {
    if (!symbol->bound())
      continue;
    SizeExpr batch = sizeExpr(*symbol->bound());
    for (const format::Port *port : *program.inputs()) {
      const auto *shape = program.buffers()->Get(port->buffer())->shape();
      if (!shape || shape->size() != 2)
        continue;
      SizeExpr rows = sizeExpr(*shape->Get(0)), width = sizeExpr(*shape->Get(1));
      std::vector<uint16_t> both = rows.symbols;
      both.insert(both.end(), width.symbols.begin(), width.symbols.end());
      std::sort(both.begin(), both.end());
      if (both == batch.symbols)
        return {maxSize(batch, bounds).value_or(0), maxSize(width, bounds).value_or(0)};
    }
  }
  return {0, 0};
}

/// What packing saves of the largest padded batch, by how much of it is tokens; rows of equal
/// length.
void Describer::unpadding(const format::Program &program) {
  const format::Unpadding &table = *program.unpadding();
  json_.key("unpadding").beginObject();
  json_.member("packed_ops", table.packed_ops()).member("padded_ops", table.padded_ops());
  json_.member("flops_per_token", table.flops_per_token());
  json_.member("flops_per_pair", table.flops_per_pair());
  auto [places, width] = largestBatch(program);
  if (places == 0) { // packed input
    json_.endObject();
    return;
  }
  json_.member("largest_batch", places).key("saved").beginArray();
  for (int percent : {50, 30, 10}) {
    double fill = percent / 100.0, tokens = double(places) * (1 - fill);
    double pairs = double(places) * double(width) * (1 - fill * fill);
    json_.beginObject().member("fill_percent", percent).member("tokens", int64_t(tokens));
    double flops =
        tokens * double(table.flops_per_token()) + pairs * double(table.flops_per_pair());
    json_.member("flops", uint64_t(flops)).endObject();
  }
  json_.endArray().endObject();
}

void Describer::ports(const format::Program &program, bool outputs,
                      std::span<const std::string> symbols) {
  const auto *ports = outputs ? program.outputs() : program.inputs();
  json_.key(outputs ? "outputs" : "inputs").beginArray();
  for (unsigned i = 0; i < count(ports); ++i) {
    const format::Port &port = *ports->Get(i);
    const format::Buffer &buffer = *program.buffers()->Get(port.buffer());
    json_.beginObject()
        .member("name", view(port.name()))
        .member("dtype", dtypeName(buffer.dtype()));
    json_.key("shape");
    shape(buffer.shape(), symbols);
    if (port.has_range())
      json_.key("range").beginArray().value(port.minimum()).value(port.maximum()).endArray();
    if (port.optional())
      json_.member("default", port.fill());
    if (port.ascends_to()) {
      json_.member("ascends_to", sizeText(sizeExpr(*port.ascends_to()), symbols));
      if (port.max_step())
        json_.member("max_step", port.max_step());
    }
    if (!view(port.description()).empty())
      json_.member("description", view(port.description()));
    json_.endObject();
  }
  json_.endArray();
}

std::string Describer::sizes(const flatbuffers::Vector<flatbuffers::Offset<format::Size>> *list,
                             std::span<const std::string> symbols) {
  std::string out;
  for (unsigned i = 0; i < count(list); ++i)
    out += text(i ? ", " : "", sizeText(sizeExpr(*list->Get(i)), symbols));
  return out;
}

void Describer::steps() {
  static const char *const spaces[] = {"arena", "weights", "constants", "state"};
  json_.beginArray();
  for (const format::Program *program : *plan_.programs()) {
    std::vector<std::string> names = symbolNames(*program);
    auto bufferText = [&](uint32_t index) {
      const format::Buffer &buffer = *program->buffers()->Get(index);
      return text(spaces[unsigned(buffer.space())], "+", buffer.offset(), " ",
                  dtypeName(buffer.dtype()), "[", sizes(buffer.shape(), names), "]");
    };
    json_.beginObject().member("program", view(program->name())).key("steps").beginArray();
    for (unsigned i = 0; i < count(program->steps()); ++i) {
      const format::Step &step = *program->steps()->Get(i);
      json_.beginObject().member("step", i);
      if (const format::Copy *copy = step.action_as_Copy()) {
        json_.member("action", "copy").key("buffers").beginArray();
        json_.value(bufferText(copy->source())).value(bufferText(copy->target())).endArray();
      } else if (const format::ReadSize *read = step.action_as_ReadSize()) {
        json_.member("action", "read_size").member("size", names[read->symbol()]);
        json_.member("element", read->element()).key("buffers").beginArray();
        json_.value(bufferText(read->buffer())).endArray();
      } else {
        const format::Launch &launch = *step.action_as_Launch();
        json_.member("action", view(plan_.kernels()->Get(launch.kernel())->entry()));
        json_.member("location", view(launch.location()));
        json_.member("grid", sizes(launch.grid(), names));
        json_.member("sizes", sizes(launch.sizes(), names));
        json_.key("buffers").beginArray();
        for (uint32_t buffer : *launch.buffers())
          json_.value(bufferText(buffer));
        json_.endArray();
      }
      json_.endObject();
    }
    json_.endArray();
    if (count(program->streams()) != 0)
      streams(*program, names);
    json_.endObject();
  }
  json_.endArray();
}

/// Which of the steps one kernel can do, and up to how many tokens.
void Describer::streams(const format::Program &program, std::span<const std::string> symbols) {
  json_.key("streams").beginArray();
  for (const format::Stream *stream : *program.streams()) {
    json_.beginObject();
    json_.member("kernel", view(plan_.kernels()->Get(stream->kernel())->entry()));
    json_.member("first_step", stream->first()).member("launches", stream->steps()->size());
    json_.member("tokens", symbols[stream->symbol()]).member("most_tokens", stream->most_tokens());
    json_.member("sizes", sizes(stream->sizes(), symbols));
    json_.member("table_bytes", streamTableBytes(*stream));
    json_.member("exchanged_bytes", exchangedBytes(*stream, stream->most_tokens()));
    json_.endObject();
  }
  json_.endArray();
}

/// What only kernels of a GPU have, where it is not the usual.
void Describer::cudaLaunch(const format::Kernel &kernel) {
  auto list = [&](const char *name, const auto *values) {
    if (count(values) == 0)
      return;
    json_.key(name).beginArray();
    for (auto value : *values)
      json_.value(value);
    json_.endArray();
  };
  std::vector<std::string> arguments; // sizes are over these
  for (unsigned i = 0; i < kernel.num_sizes(); ++i)
    arguments.push_back(text("size", i));
  list("block", kernel.block());
  list("cluster", kernel.cluster());
  if (kernel.overlaps())
    json_.member("overlaps", true);
  list("device_sizes", kernel.device_sizes());
  list("variants", kernel.variants());
  if (count(kernel.grid()) != 0)
    json_.member("grid", sizes(kernel.grid(), arguments));
  if (count(kernel.tensor_maps()) == 0)
    return;
  json_.key("tensor_maps").beginArray();
  for (const format::TensorMap *map : *kernel.tensor_maps()) {
    json_.beginObject().member("buffer", map->buffer()).member("offset", map->offset());
    json_.member("dtype", dtypeName(map->dtype())).member("dims", sizes(map->dims(), arguments));
    json_.member("strides", sizes(map->strides(), arguments));
    list("box", map->box());
    list("element_strides", map->element_strides());
    // 0, 32, 64, 128 bytes and 0, 64, 128, 256 bytes.
    json_.member("swizzle",
                 map->swizzle() == format::Swizzle::None ? 0 : 16 << unsigned(map->swizzle()));
    json_.member("l2_promotion", map->promotion() == format::L2Promotion::None
                                     ? 0
                                     : 32 << unsigned(map->promotion()));
    json_.member("nan_fill", map->nan_fill()).endObject();
  }
  json_.endArray();
}

void Describer::kernels() {
  std::vector<unsigned> launches(count(plan_.kernels()));
  for (const format::Program *program : *plan_.programs())
    for (unsigned i = 0; i < count(program->steps()); ++i)
      if (const format::Launch *launch = program->steps()->Get(i)->action_as_Launch())
        ++launches[launch->kernel()];
  json_.beginArray();
  for (unsigned i = 0; i < count(plan_.kernels()); ++i) {
    const format::Kernel &kernel = *plan_.kernels()->Get(i);
    json_.beginObject().member("entry", view(kernel.entry())).member("image", kernel.image());
    json_.member("launches", launches[i]);
    json_.member("buffers", kernel.num_buffers()).member("sizes", kernel.num_sizes());
    json_.member("scratch_bytes", kernel.scratch_bytes());
    if (kernel.shared_bytes())
      json_.member("shared_bytes", kernel.shared_bytes());
    cudaLaunch(kernel);
    json_.member("description", view(kernel.description())).endObject();
  }
  json_.endArray();
}

void Describer::weights() {
  json_.beginArray();
  for (unsigned i = 0; i < count(plan_.weights()); ++i) {
    const format::Weight &weight = *plan_.weights()->Get(i);
    json_.beginObject().member("name", view(weight.name()));
    json_.member("dtype", dtypeName(weight.dtype())).key("shape");
    shape(weight.shape());
    json_.member("device", weight.device()).member("offset", weight.offset());
    json_.member("bytes", weight.bytes()).key("sources").beginArray();
    for (unsigned j = 0; j < count(weight.sources()); ++j)
      json_.value(view(plan_.sources()->Get(weight.sources()->Get(j))->name()));
    json_.endArray();
    auto recipe = planRecipe("", weight);
    json_.member("recipe", recipe.ok() ? recipeStr(*recipe) : std::string()).endObject();
  }
  json_.endArray();
}

void Describer::sources() {
  static const char *const inits[] = {"normal", "ones", "zeros"};
  json_.beginArray();
  for (unsigned i = 0; i < count(plan_.sources()); ++i) {
    const format::Source &source = *plan_.sources()->Get(i);
    json_.beginObject().member("name", view(source.name())).key("shape");
    shape(source.shape());
    json_.member("init", inits[unsigned(source.init())]).member("init_std", source.init_std());
    json_.key("aliases").beginArray();
    for (unsigned j = 0; j < count(source.aliases()); ++j)
      json_.value(view(source.aliases()->Get(j)));
    json_.endArray().endObject();
  }
  json_.endArray();
}

void Describer::states() {
  json_.beginArray();
  for (unsigned i = 0; i < count(plan_.states()); ++i) {
    const format::State &state = *plan_.states()->Get(i);
    json_.beginObject().member("name", view(state.name()));
    json_.member("dtype", dtypeName(state.dtype())).key("shape");
    shape(state.shape());
    json_.member("device", state.device()).member("offset", state.offset());
    json_.member("bytes", state.bytes()).endObject();
  }
  json_.endArray();
}

void Describer::constants() {
  json_.beginArray();
  for (unsigned i = 0; i < count(plan_.constants()); ++i) {
    const format::Constant &constant = *plan_.constants()->Get(i);
    json_.beginObject().member("device", constant.device()).member("offset", constant.offset());
    json_.member("bytes", constant.data()->size()).endObject();
  }
  json_.endArray();
}

void Describer::code() {
  json_.beginArray();
  for (unsigned i = 0; i < count(plan_.images()); ++i) {
    const format::Image &image = *plan_.images()->Get(i);
    const format::Target &target = *plan_.targets()->Get(image.target());
    json_.beginObject().member("image", i);
    json_.member("target", text(view(target.kind()), " ", view(target.arch())));
    json_.member("offset", image.offset()).member("bytes", image.bytes()).endObject();
  }
  json_.endArray();
}

void Describer::debug() {
  auto bytes = artifact_.section(SectionKind::Debug);
  json_.value(std::string_view(reinterpret_cast<const char *>(bytes.data()), bytes.size()));
}

struct Part {
  const char *name;
  void (Describer::*describe)();
};

constexpr Part kParts[] = {
    {"file", &Describer::file},       {"plan", &Describer::plan},
    {"memory", &Describer::memory},   {"programs", &Describer::programs},
    {"steps", &Describer::steps},     {"kernels", &Describer::kernels},
    {"weights", &Describer::weights}, {"sources", &Describer::sources},
    {"states", &Describer::states},   {"constants", &Describer::constants},
    {"code", &Describer::code},       {"debug", &Describer::debug},
};

} // namespace

const std::vector<std::string> &describedSections() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Part &part : kParts)
      out.push_back(part.name);
    return out;
  }();
  return names;
}

Result<std::string> describeArtifact(const Artifact &artifact,
                                     std::span<const std::string> sections) {
  const std::vector<std::string> &known = describedSections();
  for (const std::string &section : sections)
    if (std::find(known.begin(), known.end(), section) == known.end()) {
      std::string names;
      for (const std::string &name : known)
        names += (names.empty() ? "" : ", ") + name;
      return Status(ExitCode::Usage,
                    text("expected a section among ", names, ", got ", quoted(section)));
    }
  JsonWriter json;
  Describer describer(artifact, json);
  json.beginObject();
  for (const Part &part : kParts) {
    bool wanted = sections.empty()
                      ? part.name != std::string_view("debug")
                      : std::find(sections.begin(), sections.end(), part.name) != sections.end();
    if (!wanted)
      continue;
    json.key(part.name);
    (describer.*part.describe)();
  }
  json.endObject();
  return json.text();
}

} // namespace ingot
