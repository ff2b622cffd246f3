//===- Model.cpp - Loading --------------------------------------*- C++ -*-===//
#include "runtime/exec/Model.h"

#include "runtime/format/Streams.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot {

using format::Space;

Result<std::unique_ptr<Model>> Model::load(std::shared_ptr<const Artifact> artifact,
                                           const LoadOptions &options) {
  std::unique_ptr<Model> model(new Model);
  model->stageBegan_ = options.began;
  if (options.began == 0)
    model->stageBegan_ = monotonicSeconds();
  else
    model->finishStage("file");
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
  INGOT_TRY(model->choosePrograms(options.programs));
  auto weights = model->bindWeights(options);
  if (!weights.ok())
    return weights.status();
  model->finishStage("checkpoint");
  INGOT_TRY(model->start(options));
  for (size_t i = 0; i < plan.devices()->size(); ++i) {
    const format::Device &table = *plan.devices()->Get(unsigned(i));
    LoadedDevice &device = model->devices_[i];
    INGOT_TRY(model->checkRoom(i));
    std::pair<Space, uint64_t> const spaces[] = {{Space::Arena, model->arenaBytes_[i]},
                                                 {Space::Constants, table.constant_bytes()},
                                                 {Space::State, model->stateBytes_[i]}};
    const char *const names[] = {"activations", "", "constants", "program state (KV cache)"};
    for (auto [space, bytes] : spaces) {
      auto base = device.device->allocate(bytes, text(names[unsigned(space)], " on device ", i));
      if (!base.ok())
        return base.status();
      device.bases[unsigned(space)] = *base;
    }
  }
  model->finishStage("memory");
  INGOT_TRY(model->loadWeights(weights->get()));
  model->finishStage("weights");
  INGOT_TRY(model->uploadConstants());
  for (unsigned i : model->chosenPrograms_) {
    auto program = Program::create(plan, i, model->devices_);
    if (!program.ok())
      return program.status();
    (*program)->setArtifact(model->artifact_.get());
    model->programs_.push_back(std::move(*program));
  }
  INGOT_TRY(model->checkMemory());
  model->finishStage("programs");
  return model;
}

void Model::finishStage(const char *name) {
  double time = monotonicSeconds();
  stages_.push_back({name, time - stageBegan_});
  stageBegan_ = time;
}

Status Model::choosePrograms(const std::vector<std::string> &names) {
  const format::Plan &plan = artifact_->plan();
  std::string all;
  for (unsigned i = 0; i < plan.programs()->size(); ++i) {
    std::string_view name = plan.programs()->Get(i)->name()->string_view();
    all += text(i ? ", " : "", name);
    if (names.empty() || std::find(names.begin(), names.end(), name) != names.end())
      chosenPrograms_.push_back(i);
  }
  for (const std::string &name : names)
    if (std::none_of(chosenPrograms_.begin(), chosenPrograms_.end(), [&](unsigned i) {
          return plan.programs()->Get(i)->name()->string_view() == name;
        }))
      return Status(ExitCode::Usage,
                    text("expected a program among ", all, ", got ", quoted(name)));
  arenaBytes_.assign(plan.devices()->size(), 0);
  stateBytes_.assign(plan.devices()->size(), 0);
  streamBytes_.assign(plan.devices()->size(), 0);
  freeBefore_.assign(plan.devices()->size(), std::nullopt);
  if (names.empty())
    for (unsigned device = 0; device < plan.devices()->size(); ++device) {
      arenaBytes_[device] = plan.devices()->Get(device)->arena_bytes();
      stateBytes_[device] = plan.devices()->Get(device)->state_bytes();
    }
  for (unsigned program : chosenPrograms_)
    for (const format::Buffer *buffer : *plan.programs()->Get(program)->buffers()) {
      unsigned device = buffer->device();
      if (buffer->space() == Space::Arena) // inside the device's arena (V5)
        arenaBytes_[device] = std::max(arenaBytes_[device], buffer->offset() + buffer->bytes());
      else if (buffer->space() == Space::State)
        stateBytes_[device] = plan.devices()->Get(device)->state_bytes();
    }
  return {};
}

/// The targets that a device of the plan can be: its own, then those of the same kind for which
/// every kernel of its own has a variant (those of streams need none: there are the launches).
static std::vector<uint16_t> targetsOf(const format::Plan &plan, uint16_t own) {
  std::vector<uint16_t> out{own};
  std::vector<bool> ofStreams = streamKernels(plan);
  auto targetOf = [&](uint32_t kernel) {
    return plan.images()->Get(plan.kernels()->Get(kernel)->image())->target();
  };
  for (uint16_t other = 0; other < plan.targets()->size(); ++other) {
    if (other == own || plan.targets()->Get(other)->kind()->string_view() !=
                            plan.targets()->Get(own)->kind()->string_view())
      continue;
    bool complete = plan.kernels() && plan.kernels()->size() != 0;
    for (unsigned i = 0; plan.kernels() && i < plan.kernels()->size() && complete; ++i) {
      if (targetOf(i) != own || ofStreams[i])
        continue;
      const auto *variants = plan.kernels()->Get(i)->variants();
      complete = variants && std::any_of(variants->begin(), variants->end(), [&](uint32_t variant) {
                   return targetOf(variant) == other;
                 });
    }
    if (complete)
      out.push_back(other);
  }
  return out;
}

Status Model::loadDevice(size_t index, const LoadOptions &options) {
  const format::Plan &plan = artifact_->plan();
  uint16_t own = plan.devices()->Get(unsigned(index))->target();
  std::string_view kind = plan.targets()->Get(own)->kind()->string_view();
  std::vector<uint16_t> targets = targetsOf(plan, own);
  std::vector<std::string_view> archs;
  for (uint16_t target : targets)
    archs.push_back(plan.targets()->Get(target)->arch()->string_view());
  unsigned ordinal = 0;
  for (unsigned i = 0; i < index; ++i)
    ordinal += plan.targets()->Get(plan.devices()->Get(i)->target())->kind()->string_view() == kind;
  auto device = options.makeDevice({kind, archs, ordinal, *pool_});
  if (!device.ok())
    return device.status();
  LoadedDevice &loaded = devices_.emplace_back();
  loaded.target = targets[(*device)->archIndex()];
  loaded.device = std::move(*device);
  loaded.streams = options.streams && loaded.target == own;
  for (unsigned program : chosenPrograms_)
    if (loaded.streams)
      streamBytes_[index] += streamBytes(*plan.programs()->Get(program), uint16_t(index));
  return {};
}

Status Model::loadKernels(size_t index) {
  const format::Plan &plan = artifact_->plan();
  LoadedDevice &loaded = devices_[index];
  Device &device = *loaded.device;
  uint16_t own = plan.devices()->Get(unsigned(index))->target();
  auto targetOf = [&](uint32_t kernel) {
    return plan.images()->Get(plan.kernels()->Get(kernel)->image())->target();
  };
  std::vector<uint32_t> images(plan.images() ? plan.images()->size() : 0);
  for (unsigned i = 0; i < images.size(); ++i) {
    if (plan.images()->Get(i)->target() != loaded.target)
      continue;
    auto handle = device.loadImage(artifact_->image(i),
                                   plan.targets()->Get(loaded.target)->arch()->string_view());
    if (!handle.ok())
      return handle.status();
    images[i] = *handle;
  }
  loaded.kernels.assign(plan.kernels() ? plan.kernels()->size() : 0, UINT32_MAX);
  loaded.chosen.assign(loaded.kernels.size(), UINT32_MAX);
  std::vector<bool> ofStreams = streamKernels(plan);
  for (unsigned i = 0; i < loaded.kernels.size(); ++i) {
    if (targetOf(i) != own || (ofStreams[i] && !loaded.streams))
      continue;
    uint32_t chosen = i;
    const auto *variants = plan.kernels()->Get(i)->variants();
    for (unsigned j = 0; targetOf(chosen) != loaded.target; ++j)
      chosen = variants->Get(j); // there is one: targetsOf
    auto handle = resolve(device, *plan.kernels()->Get(chosen), images);
    if (!handle.ok())
      return handle.status();
    loaded.kernels[i] = *handle;
    loaded.chosen[i] = chosen;
  }
  return device.finishLoad();
}

Result<uint32_t> Model::resolve(Device &device, const format::Kernel &kernel,
                                std::span<const uint32_t> images) {
  KernelSpec spec;
  spec.entry = kernel.entry()->c_str();
  spec.image = images[kernel.image()];
  spec.numBuffers = kernel.num_buffers();
  spec.numSizes = kernel.num_sizes();
  for (unsigned i = 0; kernel.block() && i < kernel.block()->size(); ++i)
    spec.block[i] = kernel.block()->Get(i);
  for (unsigned i = 0; kernel.cluster() && i < kernel.cluster()->size(); ++i)
    spec.cluster[i] = kernel.cluster()->Get(i);
  spec.sharedBytes = kernel.shared_bytes();
  spec.scratchBytes = kernel.scratch_bytes();
  spec.overlaps = kernel.overlaps();
  spec.numSizeAddresses = kernel.device_sizes() ? kernel.device_sizes()->size() : 0;
  spec.numTensorMaps = kernel.tensor_maps() ? kernel.tensor_maps()->size() : 0;
  return device.resolveKernel(spec);
}

/// Before anything is taken: does the plan fit what is free?
Status Model::checkRoom(size_t index) {
  auto info = devices_[index].device->memoryInfo();
  if (!info)
    return {};
  freeBefore_[index] = info->free;
  const format::Device &table = *artifact_->plan().devices()->Get(unsigned(index));
  uint64_t need = arenaBytes_[index] + table.weight_bytes() + table.constant_bytes() +
                  stateBytes_[index] + streamBytes_[index]; // each at most 2^46 (V11, V15)
  if (need <= info->free)
    return {};
  return Status(
      ExitCode::OutOfResources,
      text("device ", index, " (", devices_[index].device->description(), "): the plan needs ",
           bytesText(need), " (weights ", bytesText(table.weight_bytes()), ", activations ",
           bytesText(arenaBytes_[index]), ", KV cache and other state ",
           bytesText(stateBytes_[index]), ", constants ", bytesText(table.constant_bytes()),
           streamBytes_[index] ? ", streams " + bytesText(streamBytes_[index]) : std::string(),
           "), free are ", bytesText(info->free), " of ", bytesText(info->total), ", ",
           bytesText(need - info->free),
           " too few; free memory there (`nvidia-smi` lists who uses "
           "it), or compile the model with a smaller --max-batch, --max-tokens or --max-context"));
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
    for (uint64_t bytes : {memory.arena, memory.weightsInPlace ? 0 : memory.weights,
                           memory.constants, memory.state, memory.streams})
      planned += *checkedAlignUp(bytes, kPage);
    if (memory.allocated != planned)
      return Status(ExitCode::Internal, text(memory.device, ": the plan needs ", planned,
                                             " bytes, allocated were ", memory.allocated));
  }
  return {};
}

std::optional<GpuDescription> Model::gpu() const {
  for (const LoadedDevice &loaded : devices_)
    if (std::optional<GpuDescription> gpu = loaded.device->gpu()) {
      gpu->arch = artifact_->plan().targets()->Get(loaded.target)->arch()->str();
      return gpu;
    }
  return std::nullopt;
}

std::vector<DeviceMemory> Model::memory() const {
  std::vector<DeviceMemory> out;
  for (size_t i = 0; i < devices_.size(); ++i) {
    const format::Device &table = *artifact_->plan().devices()->Get(unsigned(i));
    DeviceMemory &memory = out.emplace_back();
    memory.device = devices_[i].device->description();
    memory.arena = arenaBytes_[i];
    memory.weights = table.weight_bytes();
    memory.constants = table.constant_bytes();
    memory.state = stateBytes_[i];
    memory.streams = streamBytes_[i];
    memory.weightsInPlace = weightsInPlace_[i];
    memory.allocated = devices_[i].device->allocatedBytes();
    auto info = devices_[i].device->memoryInfo();
    if (info && freeBefore_[i])
      memory.gone = int64_t(*freeBefore_[i]) - int64_t(info->free);
  }
  return out;
}

bool Model::hasProgram(std::string_view name) const {
  return std::any_of(programs_.begin(), programs_.end(),
                     [&](const auto &program) { return program->name() == name; });
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
    INGOT_TRY(device.fill(devices_[i].bases[unsigned(Space::State)], 0, stateBytes_[i]));
    INGOT_TRY(device.synchronize());
  }
  return {};
}

} // namespace ingot
