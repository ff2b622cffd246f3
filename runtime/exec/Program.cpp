//===- Program.cpp - Resolving a program at load ----------------*- C++ -*-===//
#include "runtime/exec/Program.h"

#include "runtime/format/DType.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot {

Result<std::unique_ptr<Program>> Program::create(const format::Plan &plan, unsigned index,
                                                 std::vector<LoadedDevice> &devices) {
  const format::Program &table = *plan.programs()->Get(index);
  std::unique_ptr<Program> program(new Program);
  program->plan_ = &plan;
  program->table_ = &table;
  program->name_ = table.name()->str();
  for (LoadedDevice &device : devices)
    program->devices_.push_back(device.device.get());
  program->addSymbols(table);
  for (bool output : {false, true}) {
    const auto *ports = output ? table.outputs() : table.inputs();
    for (unsigned i = 0; ports && i < ports->size(); ++i) {
      auto port = program->makePort(*ports->Get(i), output, devices);
      if (!port.ok())
        return port.status();
      (output ? program->outputs_ : program->inputs_).push_back(std::move(*port));
    }
  }
  program->given_.resize(program->inputs_.size());
  for (unsigned i = 0; table.steps() && i < table.steps()->size(); ++i) {
    const format::Step &step = *table.steps()->Get(i);
    if (const format::Launch *launch = step.action_as_Launch()) {
      program->addLaunch(*launch, devices);
    } else {
      INGOT_TRY(program->addCopy(*step.action_as_Copy(), devices, i));
    }
  }
  program->values_.resize(program->sizes_.size());
  program->sizeArgs_.resize(program->sizeIndex_.size());
  return program;
}

void Program::addSymbols(const format::Program &table) {
  bounds_ = symbolBounds(table);
  for (unsigned i = 0; i < bounds_.ranges.size(); ++i)
    symbolNames_.push_back(table.symbols()->Get(i)->name()->str());
  symbols_.resize(symbolNames_.size());
  candidate_.resize(symbolNames_.size());
}

uint32_t Program::internSize(const SizeExpr &size) {
  auto [at, isNew] = sizeIndices_.try_emplace(size, uint32_t(sizes_.size()));
  if (isNew)
    sizes_.push_back(size);
  return at->second;
}

void *Program::addressOf(uint32_t index, const std::vector<LoadedDevice> &devices) const {
  const format::Buffer &buffer = *table_->buffers()->Get(index);
  return static_cast<char *>(devices[buffer.device()].bases[unsigned(buffer.space())]) +
         buffer.offset();
}

Result<Port> Program::makePort(const format::Port &table, bool output,
                               std::vector<LoadedDevice> &devices) {
  const format::Buffer &buffer = *table_->buffers()->Get(table.buffer());
  Port port;
  port.name = table.name()->str();
  port.description = table.description() ? table.description()->str() : "";
  port.dtype = buffer.dtype();
  port.isOutput = output;
  for (unsigned i = 0; buffer.shape() && i < buffer.shape()->size(); ++i) {
    SizeExpr dim = sizeExpr(*buffer.shape()->Get(i));
    port.dimTexts.push_back(sizeText(dim, symbolNames_));
    port.maxDims.push_back(*maxSize(dim, bounds_));
    port.sizes.push_back(internSize(dim));
    port.dims.push_back(std::move(dim));
  }
  port.maxElements = *maxElements(port.dims, bounds_);
  port.optional = table.optional();
  port.fill = table.fill();
  port.hasRange = table.has_range();
  port.range = portRange(port.dtype, table);
  port.device = buffer.device();
  port.address = addressOf(table.buffer(), devices);
  port.host = port.address;
  Device &device = *devices[port.device].device;
  if (!device.hostAccessible()) {
    auto staging = device.allocateHost(uint64_t(port.maxElements) * dtypeBytes(port.dtype),
                                       text("the host side of ", quoted(port.name)));
    if (!staging.ok())
      return staging.status();
    port.host = *staging;
  }
  return port;
}

void Program::addLaunch(const format::Launch &launch, const std::vector<LoadedDevice> &devices) {
  Step step;
  step.device = launch.device();
  step.kernel = devices[launch.device()].kernels[launch.kernel()];
  step.firstBuffer = uint32_t(addresses_.size());
  for (uint32_t buffer : *launch.buffers())
    addresses_.push_back(addressOf(buffer, devices)); // the arenas never move
  step.firstSize = uint32_t(sizeIndex_.size());
  for (unsigned i = 0; launch.sizes() && i < launch.sizes()->size(); ++i)
    sizeIndex_.push_back(internSize(sizeExpr(*launch.sizes()->Get(i))));
  for (unsigned i = 0; i < 3; ++i)
    step.grid[i] = internSize(sizeExpr(*launch.grid()->Get(i)));
  steps_.push_back(std::move(step));
}

Status Program::addCopy(const format::Copy &copy, std::vector<LoadedDevice> &devices,
                        size_t index) {
  const format::Buffer &source = *table_->buffers()->Get(copy.source());
  Step step;
  step.isCopy = true;
  step.sourceDevice = source.device();
  step.device = table_->buffers()->Get(copy.target())->device();
  step.source = addressOf(copy.source(), devices);
  step.target = addressOf(copy.target(), devices);
  step.elementBytes = uint32_t(dtypeBytes(source.dtype()));
  for (unsigned i = 0; source.shape() && i < source.shape()->size(); ++i)
    step.dims.push_back(internSize(sizeExpr(*source.shape()->Get(i))));
  if (step.device != step.sourceDevice && !devices[step.device].device->hostAccessible() &&
      !devices[step.sourceDevice].device->hostAccessible())
    return Status(ExitCode::DeviceMismatch,
                  text("program ", quoted(name_), ", step ", index, ": copies between device ",
                       step.sourceDevice, " and device ", step.device,
                       ", this runtime copies between a device and the host only"));
  steps_.push_back(std::move(step));
  return {};
}

Port *Program::findPort(std::string_view name, bool output) {
  for (Port &port : output ? outputs_ : inputs_)
    if (port.name == name)
      return &port;
  return nullptr;
}

std::string Program::stepKernel(size_t step) const {
  const format::Launch *launch = table_->steps()->Get(unsigned(step))->action_as_Launch();
  return launch ? plan_->kernels()->Get(launch->kernel())->entry()->str() : "copy";
}

std::string Program::stepLocation(size_t step) const {
  const format::Launch *launch = table_->steps()->Get(unsigned(step))->action_as_Launch();
  return launch && launch->location() ? launch->location()->str() : "";
}

} // namespace ingot
