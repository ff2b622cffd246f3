//===- Program.cpp - Resolving a program at load ----------------*- C++ -*-===//
#include "runtime/exec/Program.h"

#include "runtime/format/DType.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>

namespace ingot {

// Enough for every batch size of a decode step at some context lengths. A recording of some hundred
// launches takes a few hundred KiB of the driver's memory.
static constexpr size_t kMostRecordings = 64;

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
  INGOT_TRY(program->makeHostSides(devices));
  for (unsigned i = 0; table.steps() && i < table.steps()->size(); ++i) {
    const format::Step &step = *table.steps()->Get(i);
    if (const format::Launch *launch = step.action_as_Launch()) {
      program->addLaunch(*launch, devices);
    } else if (const format::ReadSize *read = step.action_as_ReadSize()) {
      program->addReadSize(*read, devices);
    } else {
      INGOT_TRY(program->addCopy(*step.action_as_Copy(), devices, i));
    }
  }
  INGOT_TRY(program->addStreams(devices));
  program->linkResidents();
  program->values_.resize(program->sizes_.size());
  program->sizeArgs_.resize(program->sizeIndex_.size());
  program->mapImages_.resize(program->maps_.size());
  // What the driver refuses, it should refuse now.
  INGOT_TRY(program->encodeMaps(/*atMaxima=*/true));
  program->setRecordings(kMostRecordings);
  return program;
}

Program::~Program() { setRecordings(0); }

void Program::setRecordings(size_t most) {
  // They are of one queue.
  if (devices_.size() != 1 || !devices_[0]->canRecord())
    return;
  for (Recorded &entry : recorded_)
    if (entry.recording)
      devices_[0]->dropRecording(*entry.recording);
  recorded_.clear();
  recorded_.resize(most);
  for (Recorded &entry : recorded_)
    entry.symbols.reserve(symbols_.size());
}

void Program::addSymbols(const format::Program &table) {
  bounds_ = symbolBounds(table);
  for (unsigned i = 0; i < bounds_.ranges.size(); ++i)
    symbolNames_.push_back(table.symbols()->Get(i)->name()->str());
  symbols_.resize(symbolNames_.size());
  candidate_.resize(bounds_.numCallerSymbols());
  for (const SizeExpr &bound : bounds_.residentBounds)
    residents_.push_back({internSize(bound), nullptr, {}, {}});
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
  port.isOffsets = table.ascends_to() != nullptr;
  if (port.isOffsets)
    port.ascendsTo = internSize(sizeExpr(*table.ascends_to()));
  port.maxStep = table.max_step();
  port.device = buffer.device();
  port.address = addressOf(table.buffer(), devices);
  port.host = port.address;
  return port;
}

// Inputs of up to this many bytes move together where no more than a page lies between them: an
// upload costs some microseconds whatever its size.
static constexpr uint64_t kSmallInput = 64 << 10, kMostGap = 4096;

/// Host memory for the ports of devices that the host cannot reach, laid out as on the device where
/// that lets inputs move together. Bytes between inputs hold nothing: a program begins with them.
Status Program::makeHostSides(std::vector<LoadedDevice> &devices) {
  auto bytesOf = [](const Port &port) {
    return uint64_t(port.maxElements) * dtypeBytes(port.dtype);
  };
  auto allocate = [&](const Port &port, uint64_t bytes) {
    return devices[port.device].device->allocateHost(bytes,
                                                     text("the host side of ", quoted(port.name)));
  };
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < inputs_.size(); ++i)
    if (!devices[inputs_[i].device].device->hostAccessible())
      order.push_back(i);
  auto address = [&](uint32_t i) { return reinterpret_cast<uintptr_t>(inputs_[i].address); };
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(inputs_[a].device, address(a)) < std::pair(inputs_[b].device, address(b));
  });
  for (uint32_t i : order) {
    if (!transfers_.empty() && transfers_.back().device == inputs_[i].device) {
      uint32_t last = transfers_.back().inputs.back();
      uint64_t end = address(last) + bytesOf(inputs_[last]);
      if (address(i) - end <= kMostGap && bytesOf(inputs_[i]) <= kSmallInput &&
          bytesOf(inputs_[last]) <= kSmallInput) {
        transfers_.back().inputs.push_back(i);
        continue;
      }
    }
    transfers_.push_back({inputs_[i].device, {i}});
  }
  for (Transfer &transfer : transfers_) {
    uint32_t first = transfer.inputs.front(), last = transfer.inputs.back();
    auto memory = allocate(inputs_[first], address(last) + bytesOf(inputs_[last]) - address(first));
    if (!memory.ok())
      return memory.status();
    for (uint32_t i : transfer.inputs)
      inputs_[i].host = static_cast<char *>(*memory) + (address(i) - address(first));
  }
  for (Port &port : outputs_)
    if (!devices[port.device].device->hostAccessible()) {
      auto memory = allocate(port, bytesOf(port));
      if (!memory.ok())
        return memory.status();
      port.host = *memory;
    }
  return {};
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
  uint32_t chosen = devices[launch.device()].chosen[launch.kernel()];
  step.chosen = chosen;
  const format::Kernel &kernel = *plan_->kernels()->Get(chosen);
  if (chosen != launch.kernel()) {
    step.variantGrid = int32_t(variantGrids_.size());
    auto &grid = variantGrids_.emplace_back();
    for (unsigned i = 0; i < 3; ++i)
      grid[i] = sizeExpr(*kernel.grid()->Get(i));
  }
  step.firstSizeAddress = uint32_t(sizeAddresses_.size());
  const auto *wanted = kernel.device_sizes();
  for (unsigned i = 0; wanted && i < wanted->size(); ++i) {
    SizeExpr size = sizeExpr(*launch.sizes()->Get(wanted->Get(i)));
    size_t first = bounds_.numCallerSymbols();
    bool isResident = !size.symbols.empty() && size.symbols[0] >= first;
    sizeAddresses_.push_back(isResident ? residents_[size.symbols[0] - first].address : nullptr);
  }
  step.firstMap = uint32_t(maps_.size());
  addTensorMaps(launch, kernel, step);
  steps_.push_back(std::move(step));
}

void Program::addTensorMaps(const format::Launch &launch, const format::Kernel &kernel,
                            const Step &step) {
  for (unsigned i = 0; kernel.tensor_maps() && i < kernel.tensor_maps()->size(); ++i) {
    const format::TensorMap &table = *kernel.tensor_maps()->Get(i);
    MapUse &map = maps_.emplace_back();
    map.device = launch.device();
    map.firstSize = step.firstSize;
    map.numSizes = uint32_t(sizeIndex_.size()) - step.firstSize;
    map.spec = mapSpec(table, addresses_[step.firstBuffer + table.buffer()]);
    for (unsigned d = 0; d < table.dims()->size(); ++d) {
      map.dims.push_back(sizeExpr(*table.dims()->Get(d)));
      if (d != 0)
        map.strides.push_back(sizeExpr(*table.strides()->Get(d - 1)));
    }
  }
}

/// A map of a buffer but for its sizes: rank 0.
TensorMapSpec Program::mapSpec(const format::TensorMap &table, void *buffer) {
  TensorMapSpec spec;
  spec.address = static_cast<char *>(buffer) + table.offset();
  spec.type = ElementType(table.dtype());
  for (unsigned d = 0; d < table.dims()->size(); ++d) {
    spec.box[d] = table.box()->Get(d);
    if (table.element_strides() && table.element_strides()->size() != 0)
      spec.elementStrides[d] = table.element_strides()->Get(d);
  }
  spec.swizzle = uint32_t(table.swizzle());
  spec.promotion = uint32_t(table.promotion());
  spec.nanFill = table.nan_fill();
  return spec;
}

void Program::addReadSize(const format::ReadSize &read, const std::vector<LoadedDevice> &devices) {
  Step step;
  step.kind = Step::ReadSize;
  step.device = table_->buffers()->Get(read.buffer())->device();
  step.symbol = read.symbol();
  step.source =
      static_cast<char *>(addressOf(read.buffer(), devices)) + read.element() * sizeof(int32_t);
  residents_[read.symbol() - bounds_.numCallerSymbols()].address = step.source;
  steps_.push_back(std::move(step));
}

/// Finds what changes with each symbol that is read.
void Program::linkResidents() {
  for (size_t r = 0; r < residents_.size(); ++r) {
    auto symbol = uint16_t(bounds_.numCallerSymbols() + r);
    for (size_t i = 0; i < sizes_.size(); ++i)
      if (std::find(sizes_[i].symbols.begin(), sizes_[i].symbols.end(), symbol) !=
          sizes_[i].symbols.end())
        residents_[r].dependents.push_back(uint32_t(i));
    for (size_t i = 0; i < sizeIndex_.size(); ++i)
      if (std::find(residents_[r].dependents.begin(), residents_[r].dependents.end(),
                    sizeIndex_[i]) != residents_[r].dependents.end())
        residents_[r].arguments.push_back(uint32_t(i));
  }
}

Status Program::addCopy(const format::Copy &copy, std::vector<LoadedDevice> &devices,
                        size_t index) {
  const format::Buffer &source = *table_->buffers()->Get(copy.source());
  Step step;
  step.kind = Step::Copy;
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
  if (launch)
    return plan_->kernels()->Get(launch->kernel())->entry()->str();
  return steps_[step].kind == Step::Copy ? "copy" : "read_size";
}

std::string Program::stepLocation(size_t step) const {
  const format::Launch *launch = table_->steps()->Get(unsigned(step))->action_as_Launch();
  return launch && launch->location() ? launch->location()->str() : "";
}

} // namespace ingot
