//===- Model.cpp - Loading --------------------------------------*- C++ -*-===//
#include "runtime/exec/Model.h"

#include "runtime/format/PlanRecipes.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/WeightSource.h"

#include <algorithm>

namespace ingot {

using format::Space;

Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<const Artifact> artifact,
                                           const LoadOptions &options) {
  std::unique_ptr<Model> model(new Model);
  model->artifact_ = std::move(artifact);
  const format::Plan &plan = model->artifact_->plan();
  unsigned threads = options.threads;
  if (threads == 0) {
    auto fallback = ThreadPool::defaultThreads();
    if (!fallback.ok())
      return fallback.status();
    threads = *fallback;
  }
  auto pool = ThreadPool::create(threads);
  if (!pool.ok())
    return pool.status();
  model->pool_ = std::move(*pool);
  // Code before memory: a machine that cannot run the code should say so at once.
  for (size_t i = 0; i < plan.devices()->size(); ++i)
    INGOT_TRY(model->loadDevice(i, options));
  for (size_t i = 0; i < plan.devices()->size(); ++i)
    INGOT_TRY(model->loadKernels(i));
  for (size_t i = 0; i < plan.devices()->size(); ++i) {
    const format::Device &table = *plan.devices()->Get(unsigned(i));
    LoadedDevice &device = model->devices_[i];
    std::pair<Space, uint64_t> const spaces[] = {{Space::Arena, table.arena_bytes()},
                                                 {Space::Constants, table.constant_bytes()},
                                                 {Space::State, table.state_bytes()}};
    const char *const names[] = {"activations", "", "constants", "program state (KV cache)"};
    for (auto [space, bytes] : spaces) {
      auto base = device.device->allocate(bytes, text(names[unsigned(space)], " on device ", i));
      if (!base.ok())
        return base.status();
      device.bases[unsigned(space)] = *base;
    }
  }
  INGOT_TRY(model->loadWeights(options));
  INGOT_TRY(model->uploadConstants());
  for (unsigned i = 0; i < plan.programs()->size(); ++i) {
    auto program = Program::create(plan, i, model->devices_);
    if (!program.ok())
      return program.status();
    model->programs_.push_back(std::move(*program));
  }
  INGOT_TRY(model->checkMemory());
  return model;
}

Status Model::loadDevice(size_t index, const LoadOptions &options) {
  const format::Plan &plan = artifact_->plan();
  const format::Target &target =
      *plan.targets()->Get(plan.devices()->Get(unsigned(index))->target());
  auto device =
      options.makeDevice(target.kind()->string_view(), target.arch()->string_view(), *pool_);
  if (!device.ok())
    return device.status();
  devices_.emplace_back().device = std::move(*device);
  return {};
}

Status Model::loadKernels(size_t index) {
  const format::Plan &plan = artifact_->plan();
  Device &device = *devices_[index].device;
  uint16_t target = plan.devices()->Get(unsigned(index))->target();
  std::vector<uint32_t> images(plan.images() ? plan.images()->size() : 0);
  for (unsigned i = 0; i < images.size(); ++i) {
    if (plan.images()->Get(i)->target() != target)
      continue;
    auto handle =
        device.loadImage(artifact_->image(i), plan.targets()->Get(target)->arch()->string_view());
    if (!handle.ok())
      return handle.status();
    images[i] = *handle;
  }
  std::vector<uint32_t> &kernels = devices_[index].kernels;
  kernels.assign(plan.kernels() ? plan.kernels()->size() : 0, UINT32_MAX);
  for (unsigned i = 0; i < kernels.size(); ++i) {
    const format::Kernel &kernel = *plan.kernels()->Get(i);
    if (plan.images()->Get(kernel.image())->target() != target)
      continue;
    KernelSpec spec;
    spec.entry = kernel.entry()->c_str();
    spec.image = images[kernel.image()];
    spec.numBuffers = kernel.num_buffers();
    spec.numSizes = kernel.num_sizes();
    for (unsigned j = 0; kernel.block() && j < kernel.block()->size(); ++j)
      spec.block[j] = kernel.block()->Get(j);
    spec.sharedBytes = kernel.shared_bytes();
    spec.scratchBytes = kernel.scratch_bytes();
    auto handle = device.resolveKernel(spec);
    if (!handle.ok())
      return handle.status();
    kernels[i] = *handle;
  }
  return device.finishLoad();
}

Status Model::loadWeights(const LoadOptions &options) {
  const format::Plan &plan = artifact_->plan();
  weightsInPlace_.assign(devices_.size(), false);
  bool embedded = plan.weights_embedded() && options.weights.empty();
  bool needed = plan.weights() && plan.weights()->size() != 0;
  if (!embedded && needed && options.weights.empty())
    return Status(ExitCode::Usage, "the file holds no weights: give a checkpoint folder or "
                                   "random:SEED (--weights)");
  for (size_t i = 0; i < devices_.size(); ++i) {
    Device &device = *devices_[i].device;
    void *&base = devices_[i].bases[unsigned(Space::Weights)];
    uint64_t bytes = plan.devices()->Get(unsigned(i))->weight_bytes();
    if (embedded) {
      if (const void *adopted = device.adoptReadOnly(artifact_->weights(i))) {
        base = const_cast<void *>(adopted); // V6: no launch writes to weights
        weightsInPlace_[i] = true;
        continue;
      }
    }
    auto data = device.allocate(bytes, text("weights on device ", i));
    if (!data.ok())
      return data.status();
    base = *data;
    if (embedded)
      INGOT_TRY(device.upload(base, artifact_->weights(i).data(), bytes));
  }
  if (embedded || !needed)
    return {};
  return bindWeights(options.weights);
}

namespace {

/// One weight an item: recipes are independent and single-threaded.
struct RecipeJob {
  const format::Plan &plan;
  const std::vector<SourceTensor> &sources;
  std::vector<LoadedDevice> &devices;
  std::vector<Status> results;

  Status make(unsigned index, std::span<std::byte> to) const {
    const format::Weight &weight = *plan.weights()->Get(index);
    auto recipe = planRecipe(weight.name()->str(), weight);
    if (!recipe.ok())
      return recipe.status();
    TensorType type;
    INGOT_TRY(tensorType(weight.name()->str(), weight.dtype(), weight.shape(), type));
    std::vector<SourceTensor> operands;
    for (unsigned i = 0; weight.sources() && i < weight.sources()->size(); ++i)
      operands.push_back(sources[weight.sources()->Get(i)]);
    return executeRecipe(*recipe, operands, type, to)
        .withContext(text("weight ", quoted(weight.name()->string_view()), ": "));
  }

  static void body(void *context, unsigned, int64_t begin, int64_t end) {
    auto *self = static_cast<RecipeJob *>(context);
    for (int64_t i = begin; i < end; ++i) {
      const format::Weight &weight = *self->plan.weights()->Get(unsigned(i));
      LoadedDevice &device = self->devices[weight.device()];
      if (!device.device->hostAccessible())
        continue;
      auto *at = static_cast<std::byte *>(device.bases[unsigned(Space::Weights)]) + weight.offset();
      self->results[size_t(i)] = self->make(unsigned(i), {at, weight.bytes()});
    }
  }
};

} // namespace

Status Model::bindWeights(const std::string &from) {
  const format::Plan &plan = artifact_->plan();
  auto source = openWeightSource(from);
  if (!source.ok())
    return source.status();
  std::vector<SourceSpec> specs;
  for (unsigned i = 0; plan.sources() && i < plan.sources()->size(); ++i)
    specs.push_back(planSource(*plan.sources()->Get(i)));
  auto tensors = bindSources(**source, specs);
  if (!tensors.ok())
    return tensors.status();
  RecipeJob job{plan, *tensors, devices_, std::vector<Status>(plan.weights()->size())};
  pool_->run(int64_t(plan.weights()->size()), RecipeJob::body, &job);
  for (const Status &status : job.results)
    INGOT_TRY(status);
  // Devices that the host cannot write: through a buffer, one weight after the other.
  std::vector<std::byte> buffer;
  for (unsigned i = 0; i < plan.weights()->size(); ++i) {
    const format::Weight &weight = *plan.weights()->Get(i);
    LoadedDevice &device = devices_[weight.device()];
    if (device.device->hostAccessible())
      continue;
    buffer.resize(weight.bytes());
    INGOT_TRY(job.make(i, buffer));
    auto *at = static_cast<std::byte *>(device.bases[unsigned(Space::Weights)]) + weight.offset();
    INGOT_TRY(device.device->upload(at, buffer.data(), weight.bytes()));
    INGOT_TRY(device.device->synchronize());
  }
  return {};
}

Status Model::uploadConstants() {
  const format::Plan &plan = artifact_->plan();
  for (unsigned i = 0; plan.constants() && i < plan.constants()->size(); ++i) {
    const format::Constant &constant = *plan.constants()->Get(i);
    LoadedDevice &device = devices_[constant.device()];
    auto *at = static_cast<char *>(device.bases[unsigned(Space::Constants)]) + constant.offset();
    INGOT_TRY(device.device->upload(at, constant.data()->data(), constant.data()->size()));
  }
  for (LoadedDevice &device : devices_)
    INGOT_TRY(device.device->synchronize());
  return {};
}

Status Model::checkMemory() const {
  for (const DeviceMemory &memory : this->memory()) {
    uint64_t planned = 0;
    for (uint64_t bytes :
         {memory.arena, memory.weightsInPlace ? 0 : memory.weights, memory.constants, memory.state})
      planned += *checkedAlignUp(bytes, kPage);
    if (memory.allocated != planned)
      return Status(ExitCode::Internal, text(memory.device, ": the plan needs ", planned,
                                             " bytes, allocated were ", memory.allocated));
  }
  return {};
}

std::vector<DeviceMemory> Model::memory() const {
  std::vector<DeviceMemory> out;
  for (size_t i = 0; i < devices_.size(); ++i) {
    const format::Device &table = *artifact_->plan().devices()->Get(unsigned(i));
    DeviceMemory &memory = out.emplace_back();
    memory.device = devices_[i].device->description();
    memory.arena = table.arena_bytes();
    memory.weights = table.weight_bytes();
    memory.constants = table.constant_bytes();
    memory.state = table.state_bytes();
    memory.weightsInPlace = weightsInPlace_[i];
    memory.allocated = devices_[i].device->allocatedBytes();
  }
  return out;
}

Result<Program *> Model::findProgram(std::string_view name) {
  std::string names;
  for (auto &program : programs_) {
    if (program->name() == name)
      return program.get();
    names += text(names.empty() ? "" : ", ", program->name());
  }
  return Status(ExitCode::Usage, text("expected a program among ", names, ", got ", quoted(name)));
}

Status Model::reset() {
  for (size_t i = 0; i < devices_.size(); ++i) {
    Device &device = *devices_[i].device;
    INGOT_TRY(device.zero(devices_[i].bases[unsigned(Space::State)],
                          artifact_->plan().devices()->Get(unsigned(i))->state_bytes()));
    INGOT_TRY(device.synchronize());
  }
  return {};
}

} // namespace ingot
