//===- CApi.cpp - The C API over the runtime's classes ----------*- C++ -*-===//
#include "runtime/include/ingot/runtime.h"

#include "runtime/format/Describe.h"
#include "runtime/generate/Generator.h"
#include "runtime/support/Text.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

using namespace ingot;

struct ingot_file {
  std::shared_ptr<const Artifact> artifact;
  std::string description;
};

struct ingot_program {
  Model *model = nullptr;
  Program *program = nullptr;
  std::vector<InputTensor> inputs; // reserved for all ports, so that a run allocates nothing
  std::vector<OutputTensor> outputs;
};

struct ingot_model {
  std::unique_ptr<Model> model;
  std::unique_ptr<Generator> generator; // null if the model has no generation loop
  std::vector<int64_t> eosIds;
  std::vector<std::unique_ptr<ingot_program>> programs;
};

struct ingot_generation {
  std::vector<GeneratedRow> rows;
};

static thread_local std::string lastError;

static ingot_status report(const Status &status) {
  if (!status.ok())
    lastError = status.message();
  return ingot_status(status.code());
}

static ingot_status busy() {
  return report(Status(ExitCode::Usage, "another call is using this model; calls on one model must "
                                        "not overlap"));
}

uint32_t ingot_api_version(void) { return INGOT_API_VERSION; }

const char *ingot_last_error(void) { return lastError.c_str(); }

ingot_status ingot_open(const char *path, ingot_file **file) {
  if (!path || !file)
    return report(Status(ExitCode::Usage, "ingot_open: expected a path and a place for the file"));
  auto threads = ThreadPool::defaultThreads();
  if (!threads.ok())
    return report(threads.status());
  auto pool = ThreadPool::create(*threads);
  if (!pool.ok())
    return report(pool.status());
  auto artifact = Artifact::open(path, {.verifyChecksums = true, .pool = pool->get()});
  if (!artifact.ok())
    return report(artifact.status());
  auto description = describeArtifact(**artifact);
  if (!description.ok())
    return report(description.status());
  *file = new ingot_file{*artifact, *description};
  return INGOT_OK;
}

void ingot_close(ingot_file *file) { delete file; }

ingot_status ingot_describe(ingot_file *file, const char **json) {
  *json = file->description.c_str();
  return INGOT_OK;
}

/// A copy of the caller's options as this version knows them: members it lacks stay at their
/// default.
template <typename T> static Status readOptions(const char *what, const T *given, T &options) {
  if (!given)
    return {};
  size_t size = given->struct_size;
  if (size < sizeof(size_t) || size > (size_t(1) << 16))
    return Status(ExitCode::Usage,
                  text(what, ": expected struct_size ", sizeof(T), ", got ", size));
  std::memcpy(&options, given, std::min(size, sizeof(T)));
  return {};
}

ingot_status ingot_load(ingot_file *file, const ingot_load_options *given, ingot_model **model) {
  ingot_load_options options = {};
  if (Status status = readOptions("ingot_load_options", given, options); !status.ok())
    return report(status);
  LoadOptions load;
  load.weights = options.weights ? options.weights : "";
  load.threads = options.threads;
  for (std::string_view rest = options.programs ? options.programs : ""; !rest.empty();) {
    size_t comma = std::min(rest.find(','), rest.size());
    load.programs.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  auto loaded = Model::load(file->artifact, load);
  if (!loaded.ok())
    return report(loaded.status());
  auto out = std::make_unique<ingot_model>();
  out->model = std::move(*loaded);
  const format::Generation *generation = file->artifact->plan().generation();
  if (generation && out->model->hasProgram(generation->program()->string_view())) {
    auto generator = Generator::create(*out->model);
    if (!generator.ok())
      return report(generator.status());
    out->generator = std::move(*generator);
    out->eosIds = out->generator->defaults().eosIds;
  }
  for (auto &program : out->model->programs()) {
    auto &handle = out->programs.emplace_back(std::make_unique<ingot_program>());
    handle->model = out->model.get();
    handle->program = program.get();
    handle->inputs.reserve(program->inputs().size() + 1);
    handle->outputs.reserve(program->outputs().size() + 1);
  }
  *model = out.release();
  return INGOT_OK;
}

void ingot_unload(ingot_model *model) { delete model; }

ingot_status ingot_reset(ingot_model *model) {
  BusyGuard guard(*model->model);
  return guard.ok() ? report(model->model->reset()) : busy();
}

ingot_status ingot_find_program(ingot_model *model, const char *name, ingot_program **program) {
  auto found = model->model->findProgram(name ? name : "");
  if (!found.ok())
    return report(found.status());
  for (auto &candidate : model->programs)
    if (candidate->program == *found)
      *program = candidate.get();
  return INGOT_OK;
}

size_t ingot_port_count(const ingot_program *program, int outputs) {
  return (outputs ? program->program->outputs() : program->program->inputs()).size();
}

ingot_status ingot_port(const ingot_program *program, int outputs, size_t index,
                        ingot_port_info *info) {
  auto &ports = outputs ? program->program->outputs() : program->program->inputs();
  if (index >= ports.size())
    return report(Status(ExitCode::Usage, text("ingot_port: expected an index below ", ports.size(),
                                               ", got ", index)));
  const Port &port = ports[index];
  *info = {};
  info->name = port.name.c_str();
  info->description = port.description.c_str();
  info->dtype = ingot_dtype(port.dtype);
  info->rank = int(port.dims.size());
  for (size_t i = 0; i < port.dims.size(); ++i) {
    info->dims[i] = port.dimTexts[i].c_str();
    info->max_dims[i] = port.maxDims[i];
  }
  info->max_elements = port.maxElements;
  info->optional = port.optional;
  info->fill = port.fill;
  info->has_range = port.hasRange;
  info->minimum = port.hasRange ? port.range.minimum : 0;
  info->maximum = port.hasRange ? port.range.maximum : 0;
  return INGOT_OK;
}

/// A C caller may have put any number there; reading it as the enumeration would be undefined.
static int dtypeOf(const ingot_tensor &tensor) {
  static_assert(sizeof tensor.dtype == sizeof(int));
  int value;
  std::memcpy(&value, &tensor.dtype, sizeof value);
  return value;
}

static Status readInput(const ingot_tensor &tensor, InputTensor &input) {
  int dtype = dtypeOf(tensor);
  std::string_view name = tensor.name ? tensor.name : "";
  if (tensor.rank < 0 || tensor.rank > INGOT_MAX_RANK || (tensor.rank != 0 && !tensor.shape))
    return Status(ExitCode::Usage, text("input ", quoted(name), ": expected a rank of 0 to ",
                                        INGOT_MAX_RANK, " and a shape, got rank ", tensor.rank));
  if (dtype < 0 || dtype > int(INGOT_F64))
    return Status(ExitCode::Usage, text("input ", quoted(name), ": unknown dtype ", dtype));
  if (!tensor.data && tensor.bytes != 0)
    return Status(ExitCode::Usage, text("input ", quoted(name), ": data is null"));
  // ingot_dtype's first nine values are ElementType's.
  input = {
      name, ElementType(dtype), {tensor.shape, size_t(tensor.rank)}, tensor.data, tensor.bytes};
  return {};
}
static_assert(unsigned(INGOT_F64) == unsigned(ElementType::F64) &&
              unsigned(INGOT_BOOL) == unsigned(ElementType::I1) &&
              unsigned(INGOT_I32) == unsigned(format::DType::I32));

static Status runProgram(ingot_program &handle, const ingot_tensor *inputs, size_t numInputs,
                         ingot_tensor *outputs, size_t numOutputs) {
  Program &program = *handle.program;
  if (numInputs > program.inputs().size() || (numInputs && !inputs) || (numOutputs && !outputs))
    return Status(ExitCode::Usage,
                  text("expected at most ", program.inputs().size(), " inputs, got ", numInputs));
  if (numOutputs > program.outputs().size())
    return Status(ExitCode::Usage, text("expected at most ", program.outputs().size(),
                                        " outputs, got ", numOutputs));
  handle.inputs.resize(numInputs);
  handle.outputs.assign(numOutputs, {});
  for (size_t i = 0; i < numInputs; ++i)
    if (Status status = readInput(inputs[i], handle.inputs[i]); !status.ok())
      return status;
  for (size_t i = 0; i < numOutputs; ++i) {
    OutputTensor &output = handle.outputs[i];
    output.name = outputs[i].name ? outputs[i].name : "";
    output.data = outputs[i].data;
    output.bytes = outputs[i].bytes;
    Port *port = program.findPort(output.name, /*output=*/true);
    if (port && output.data && dtypeOf(outputs[i]) != int(port->dtype))
      return Status(ExitCode::Usage, text("output ", quoted(output.name), ": expected dtype ",
                                          int(port->dtype), ", got ", dtypeOf(outputs[i])));
  }
  if (Status status = program.run(handle.inputs, handle.outputs); !status.ok())
    return status;
  for (size_t i = 0; i < numOutputs; ++i) {
    const OutputTensor &output = handle.outputs[i];
    outputs[i].data = output.data;
    outputs[i].bytes = output.bytes;
    outputs[i].dtype = ingot_dtype(output.dtype);
    outputs[i].rank = int(output.shape.size());
    outputs[i].shape = output.shape.data();
  }
  return {};
}

ingot_status ingot_run(ingot_program *program, const ingot_tensor *inputs, size_t num_inputs,
                       ingot_tensor *outputs, size_t num_outputs) {
  BusyGuard guard(*program->model);
  return guard.ok() ? report(runProgram(*program, inputs, num_inputs, outputs, num_outputs))
                    : busy();
}

static Status needGenerator(const ingot_model &model) {
  return model.generator ? Status()
                         : Status(ExitCode::Usage, "this model does not generate: its file "
                                                   "describes no step program (encoders only run), "
                                                   "or it was loaded without that program");
}

ingot_status ingot_generate_options_init(ingot_model *model, ingot_generate_options *options) {
  if (Status status = needGenerator(*model); !status.ok())
    return report(status);
  GenerateSettings settings = model->generator->defaults();
  *options = {};
  options->struct_size = sizeof *options;
  options->max_new_tokens = settings.maxNewTokens;
  options->do_sample = settings.sampling.sample;
  options->temperature = settings.sampling.temperature;
  options->top_k = settings.sampling.topK;
  options->top_p = settings.sampling.topP;
  options->min_p = settings.sampling.minP;
  options->repetition_penalty = settings.sampling.repetitionPenalty;
  options->eos_ids = model->eosIds.data();
  options->num_eos_ids = model->eosIds.size();
  return INGOT_OK;
}

static Status generateRows(ingot_model &model, const ingot_prompt *prompts, size_t numPrompts,
                           const ingot_generate_options *given, std::vector<GeneratedRow> &rows) {
  if (Status status = needGenerator(model); !status.ok())
    return status;
  ingot_generate_options options;
  (void)ingot_generate_options_init(&model, &options);
  if (Status status = readOptions("ingot_generate_options", given, options); !status.ok())
    return status;
  GenerateSettings settings;
  settings.maxNewTokens = options.max_new_tokens;
  settings.sampling = {options.do_sample != 0, options.temperature, options.top_k,
                       options.top_p,          options.min_p,       options.repetition_penalty};
  settings.seed = options.seed;
  if (options.num_eos_ids && !options.eos_ids)
    return Status(ExitCode::Usage, "eos_ids is null");
  settings.eosIds.assign(options.eos_ids, options.eos_ids + options.num_eos_ids);
  if (options.callback) {
    settings.user = &options;
    settings.onToken = [](void *user, size_t prompt, int32_t token, size_t position) {
      auto *self = static_cast<ingot_generate_options *>(user);
      return self->callback(self->user, prompt, token, position) != 0;
    };
  }
  std::vector<std::span<const int32_t>> views;
  for (size_t i = 0; prompts && i < numPrompts; ++i) {
    if (prompts[i].num_tokens && !prompts[i].tokens)
      return Status(ExitCode::Usage, text("prompt ", i, ": tokens is null"));
    views.emplace_back(prompts[i].tokens, prompts[i].num_tokens);
  }
  return model.generator->generate(views, settings, rows);
}

ingot_status ingot_generate(ingot_model *model, const ingot_prompt *prompts, size_t num_prompts,
                            const ingot_generate_options *options, ingot_generation **generation) {
  BusyGuard guard(*model->model);
  if (!guard.ok())
    return busy();
  auto out = std::make_unique<ingot_generation>();
  Status status = generateRows(*model, prompts, num_prompts, options, out->rows);
  if (!status.ok())
    return report(status);
  *generation = out.release();
  return INGOT_OK;
}

ingot_status ingot_generation_get(const ingot_generation *generation, size_t index,
                                  ingot_generation_row *row) {
  if (index >= generation->rows.size())
    return report(Status(ExitCode::Usage, text("ingot_generation_get: expected an index below ",
                                               generation->rows.size(), ", got ", index)));
  const GeneratedRow &result = generation->rows[index];
  row->tokens = result.tokens.data();
  row->num_tokens = result.tokens.size();
  row->stop = ingot_stop_reason(result.stop);
  return INGOT_OK;
}

void ingot_generation_free(ingot_generation *generation) { delete generation; }
