//===- ProgramRun.cpp - Running a program -----------------------*- C++ -*-===//
#include "runtime/exec/Program.h"

#include "runtime/format/Artifact.h"
#include "runtime/format/DType.h"
#include "runtime/support/Clock.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <cstring>

namespace ingot {

static Status usage(std::string message) { return Status(ExitCode::Usage, std::move(message)); }

std::string Program::portList(bool outputs) const {
  std::string out;
  for (const Port &port : outputs ? outputs_ : inputs_)
    out += text(out.empty() ? "" : ", ", port.name, port.optional ? " (optional)" : "");
  return out.empty() ? "none" : out;
}

Status Program::matchInputs(std::span<const InputTensor> inputs) {
  std::fill(given_.begin(), given_.end(), nullptr);
  for (const InputTensor &input : inputs) {
    Port *port = findPort(input.name, /*output=*/false);
    if (!port)
      return usage(text("program ", quoted(name_), ": expected inputs among ", portList(false),
                        ", got ", quoted(input.name)));
    const InputTensor *&slot = given_[size_t(port - inputs_.data())];
    if (slot)
      return usage(text("input ", quoted(input.name), " is given twice"));
    slot = &input;
  }
  for (size_t i = 0; i < inputs_.size(); ++i)
    if (!given_[i] && !inputs_[i].optional)
      return usage(text("program ", quoted(name_), ": input ", quoted(inputs_[i].name),
                        " is missing; its inputs are ", portList(false)));
  return {};
}

Status Program::checkShape(const Port &port, std::span<const int64_t> shape) const {
  if (shape.size() == port.dims.size())
    return {};
  std::string dims;
  for (const std::string &dim : port.dimTexts)
    dims += text(dims.empty() ? "" : ", ", dim);
  return usage(text("input ", quoted(port.name), ": expected rank ", port.dims.size(), " [", dims,
                    "], got rank ", shape.size(), " ", shapeStr(shape)));
}

Status Program::bindShapes() {
  std::fill(candidate_.begin(), candidate_.end(), 0);
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!given_[i])
      continue;
    Port &port = inputs_[i];
    INGOT_TRY(checkShape(port, given_[i]->shape));
    for (size_t d = 0; d < port.dims.size(); ++d) {
      const SizeExpr &dim = port.dims[d];
      int64_t got = given_[i]->shape[d];
      if (dim.symbols.size() != 1 || dim.factor != 1 || dim.divisor != 1)
        continue;
      uint16_t symbol = dim.symbols[0];
      const SymbolBounds::Range &range = bounds_.ranges[symbol];
      if (got < range.min || got > range.max)
        return usage(text("input ", quoted(port.name), ": dimension ", d, " (",
                          symbolNames_[symbol], "): expected ", range.min, " to ", range.max,
                          ", got ", got, "; the maximum is chosen when the model is compiled"));
      if (candidate_[symbol] != 0 && candidate_[symbol] != got)
        return usage(text("input ", quoted(port.name), ": dimension ", d, " (",
                          symbolNames_[symbol], "): expected ", candidate_[symbol],
                          " as in the other inputs, got ", got));
      candidate_[symbol] = got;
    }
  }
  INGOT_TRY(bind(candidate_));
  for (size_t i = 0; i < inputs_.size(); ++i)
    for (size_t d = 0; given_[i] && d < inputs_[i].dims.size(); ++d)
      if (given_[i]->shape[d] != inputs_[i].shape[d])
        return usage(text("input ", quoted(inputs_[i].name), ": dimension ", d, " (",
                          inputs_[i].dimTexts[d], "): expected ", inputs_[i].shape[d], ", got ",
                          given_[i]->shape[d]));
  return {};
}

Status Program::bind(std::span<const int64_t> symbols) {
  if (std::equal(symbols.begin(), symbols.end(), symbols_.begin()) && !symbols_.empty())
    return {};
  for (size_t i = 0; i < symbols.size(); ++i)
    if (symbols[i] < bounds_.ranges[i].min || symbols[i] > bounds_.ranges[i].max)
      return usage(text(symbolNames_[i], ": expected ", bounds_.ranges[i].min, " to ",
                        bounds_.ranges[i].max, ", got ", symbols[i]));
  for (const SymbolBounds::Limit &limit : bounds_.limits) {
    // Each factor is at most 2^40; compare by dividing, so that no product overflows.
    int64_t room = limit.max;
    for (uint16_t symbol : limit.symbols)
      room /= symbols[symbol];
    if (room >= 1)
      continue;
    std::string product, got;
    for (uint16_t symbol : limit.symbols) {
      product += text(product.empty() ? "" : " * ", symbolNames_[symbol]);
      got += text(got.empty() ? "" : " * ", symbols[symbol]);
    }
    return usage(text(product, ": expected at most ", limit.max, ", got ", got,
                      "; pass fewer or shorter rows, or compile with a larger --max-tokens"));
  }
  std::copy(symbols.begin(), symbols.end(), symbols_.begin());
  for (size_t i = 0; i < residents_.size(); ++i)
    symbols_[symbols.size() + i] = evaluate(bounds_.residentBounds[i], symbols_);
  for (size_t i = 0; i < sizes_.size(); ++i)
    values_[i] = evaluate(sizes_[i], symbols_);
  for (size_t i = 0; i < sizeIndex_.size(); ++i)
    sizeArgs_[i] = values_[sizeIndex_[i]];
  for (std::vector<Port> *ports : {&inputs_, &outputs_})
    for (Port &port : *ports) {
      port.elements = 1;
      for (size_t d = 0; d < port.sizes.size(); ++d) {
        port.shape[d] = values_[port.sizes[d]];
        port.elements *= size_t(port.shape[d]);
      }
    }
  if (maps_.empty())
    return {};
  Status status = encodeMaps(/*atMaxima=*/false);
  if (!status.ok() && !symbols_.empty())
    symbols_[0] = 0; // nothing is bound: the next run begins here again
  return status;
}

/// Encodes the maps whose sizes have changed. At the maxima each size argument counts with its own.
Status Program::encodeMaps(bool atMaxima) {
  std::vector<int64_t> maxima;
  for (size_t i = 0; atMaxima && !maps_.empty() && i < sizeIndex_.size(); ++i)
    maxima.push_back(*maxSize(sizes_[sizeIndex_[i]], bounds_));
  std::span<const int64_t> arguments = atMaxima ? maxima : sizeArgs_;
  for (size_t i = 0; i < maps_.size(); ++i) {
    MapUse &map = maps_[i];
    std::span<const int64_t> sizes = arguments.subspan(map.firstSize, map.numSizes);
    TensorMapSpec spec = map.spec;
    spec.rank = uint32_t(map.dims.size());
    for (size_t d = 0; d < map.dims.size(); ++d) {
      spec.dims[d] = uint64_t(evaluate(map.dims[d], sizes));
      if (d != 0)
        spec.strides[d - 1] = uint64_t(evaluate(map.strides[d - 1], sizes));
    }
    if (spec == map.spec)
      continue;
    map.spec.rank = 0; // mapImages_[i] is void until this succeeds
    INGOT_TRY(devices_[map.device]
                  ->encodeTensorMap(spec, mapImages_[i])
                  .withContext(text("program ", quoted(name_), ": ")));
    map.spec = spec;
  }
  return {};
}

void Program::fillDefault(Port &port) {
  fillElements(port.host, port.dtype, port.fill, port.elements);
}

Status Program::loadInput(Port &port, const InputTensor &input) {
  if (input.bytes != port.elements * sizeOf(input.type))
    return usage(text("input ", quoted(port.name), ": expected ",
                      port.elements * sizeOf(input.type), " bytes for ", nameOf(input.type),
                      shapeStr(input.shape), ", got ", input.bytes));
  Status status =
      convertElements(port.host, port.dtype, port.range, input.data, input.type, port.elements);
  if (status.ok() && port.isOffsets)
    status = checkOffsets(port);
  if (status.ok())
    return status;
  return status.withContext(text("input ", quoted(port.name), ": "));
}

/// Offsets index memory as ids do, so they are checked as ids are.
Status Program::checkOffsets(const Port &port) const {
  std::span offsets(static_cast<const int32_t *>(port.host), port.elements);
  int64_t end = values_[port.ascendsTo];
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != end)
    return usage(text("expected offsets from 0 to ", end, ", got ",
                      offsets.empty() ? "none" : text(offsets.front(), " to ", offsets.back())));
  for (size_t i = 1; i < offsets.size(); ++i) {
    int64_t step = int64_t(offsets[i]) - offsets[i - 1];
    if (step < 0 || (port.maxStep != 0 && step > port.maxStep))
      return usage(text("expected offsets that rise by 0 to ",
                        port.maxStep ? text(port.maxStep) : text(end), " at once, got ",
                        offsets[i - 1], ", ", offsets[i], " at element ", i));
  }
  return {};
}

Status Program::checkOutputs(std::span<OutputTensor> outputs) {
  for (const OutputTensor &output : outputs) {
    Port *port = findPort(output.name, /*output=*/true);
    if (!port)
      return usage(text("program ", quoted(name_), ": expected outputs among ", portList(true),
                        ", got ", quoted(output.name)));
    size_t bytes = port->elements * dtypeBytes(port->dtype);
    if (output.data && output.bytes < bytes)
      return usage(text("output ", quoted(output.name), ": expected a buffer of ", bytes,
                        " bytes, got ", output.bytes));
  }
  return {};
}

Status Program::run(std::span<const InputTensor> inputs, std::span<OutputTensor> outputs) {
  INGOT_TRY(matchInputs(inputs));
  INGOT_TRY(bindShapes());
  INGOT_TRY(checkOutputs(outputs));
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (given_[i])
      INGOT_TRY(loadInput(inputs_[i], *given_[i]));
    else
      fillDefault(inputs_[i]);
  }
  INGOT_TRY(execute());
  for (OutputTensor &output : outputs)
    INGOT_TRY(handOut(output));
  return {};
}

Status Program::execute() {
  if (!recorded_.empty() && !profile_ && !observer_)
    return executeRecorded();
  INGOT_TRY(enqueue());
  for (Device *device : devices_)
    INGOT_TRY(device->synchronize());
  if (artifact_ && !artifact_->intact())
    return Status(ExitCode::Integrity,
                  text(artifact_->path(), ": the file became shorter while it was in use"));
  return {};
}

Status Program::uploadInputs() {
  for (const Transfer &transfer : transfers_) {
    const Port &first = inputs_[transfer.inputs.front()], &last = inputs_[transfer.inputs.back()];
    auto gap = uint64_t(static_cast<char *>(last.address) - static_cast<char *>(first.address));
    INGOT_TRY(devices_[transfer.device]->upload(first.address, first.host,
                                                gap + last.elements * dtypeBytes(last.dtype)));
  }
  return {};
}

Status Program::enqueue() {
  INGOT_TRY(uploadInputs());
  INGOT_TRY(fillStreams());
  auto stream = streams_.begin();
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (stream != streams_.end() && stream->table->first() == i) {
      Stream &next = *stream++;
      if (isUsed(next)) {
        INGOT_TRY(runStream(next));
        i += next.table->steps()->size() - 1;
        continue;
      }
    }
    double begin = profile_ ? monotonicSeconds() : 0;
    Status status = observer_ ? runObserved(i) : runStep(steps_[i]);
    if (status.ok() && profile_) {
      status = devices_[steps_[i].device]->synchronize();
      (*profile_)[i] += monotonicSeconds() - begin;
    }
    if (!status.ok())
      return status.withContext(text("program ", quoted(name_), ", step ", i, " (", stepKernel(i),
                                     ", ", quoted(stepLocation(i)), "): "));
  }
  return fetched_ ? download(*fetched_) : Status();
}

/// The first run of a set of sizes walks the steps, the second records them: most prefills never
/// come again, every decode step does.
Status Program::executeRecorded() {
  Device &device = *devices_[0];
  Recorded *entry = nullptr, *oldest = &recorded_[0];
  for (Recorded &candidate : recorded_) {
    if (candidate.lastUse != 0 && candidate.symbols == symbols_)
      entry = &candidate;
    if (candidate.lastUse < oldest->lastUse)
      oldest = &candidate;
  }
  if (!entry) {
    entry = oldest;
    if (entry->recording)
      device.dropRecording(*entry->recording);
    entry->recording.reset();
    entry->symbols.assign(symbols_.begin(), symbols_.end());
    INGOT_TRY(enqueue());
  } else {
    if (!entry->recording)
      INGOT_TRY(record(*entry));
    INGOT_TRY(device.replay(*entry->recording).withContext(text("program ", quoted(name_), ": ")));
  }
  entry->lastUse = ++runs_;
  return device.synchronize().withContext(text("program ", quoted(name_), ": "));
}

Status Program::record(Recorded &entry) {
  Device &device = *devices_[0];
  INGOT_TRY(device.beginRecording());
  if (Status status = enqueue(); !status.ok()) {
    device.abandonRecording();
    return status;
  }
  auto recording = device.endRecording();
  if (!recording.ok())
    return recording.status().withContext(text("program ", quoted(name_), ": "));
  entry.recording = *recording;
  return {};
}

int64_t Program::gridOf(const Step &step, unsigned axis) const {
  if (step.variantGrid < 0)
    return values_[step.grid[axis]];
  return evaluate(variantGrids_[size_t(step.variantGrid)][axis],
                  std::span(sizeArgs_).subspan(step.firstSize));
}

Status Program::runStep(const Step &step) {
  if (step.kind == Step::Copy)
    return runCopy(step);
  if (step.kind == Step::ReadSize)
    return runReadSize(step);
  LaunchSpec launch;
  launch.kernel = step.kernel;
  launch.buffers = addresses_.data() + step.firstBuffer;
  launch.sizes = sizeArgs_.data() + step.firstSize;
  launch.sizeAddresses = sizeAddresses_.data() + step.firstSizeAddress;
  launch.tensorMaps = mapImages_.data() + step.firstMap;
  for (unsigned i = 0; i < 3; ++i)
    launch.grid[i] = gridOf(step, i);
  return devices_[step.device]->launch(launch);
}

Status Program::runReadSize(const Step &step) {
  Device &device = *devices_[step.device];
  if (!device.hostAccessible())
    return {};
  INGOT_TRY(device.synchronize());
  int32_t value;
  std::memcpy(&value, step.source, sizeof(value));
  size_t index = step.symbol - bounds_.numCallerSymbols();
  int64_t bound = values_[residents_[index].bound];
  if (value < 0 || value > bound)
    return Status(ExitCode::MalformedInput, text("size ", symbolNames_[step.symbol],
                                                 ": expected 0 to ", bound, ", got ", value));
  setResident(index, value);
  return {};
}

void Program::setResident(size_t index, int64_t value) {
  int64_t &symbol = symbols_[bounds_.numCallerSymbols() + index];
  if (symbol == value)
    return;
  symbol = value;
  for (uint32_t i : residents_[index].dependents)
    values_[i] = evaluate(sizes_[i], symbols_);
  for (uint32_t i : residents_[index].arguments)
    sizeArgs_[i] = values_[sizeIndex_[i]];
}

Status Program::runCopy(const Step &step) {
  uint64_t bytes = step.elementBytes;
  for (uint32_t dim : step.dims)
    bytes *= uint64_t(values_[dim]);
  Device &source = *devices_[step.sourceDevice], &target = *devices_[step.device];
  if (&source == &target)
    return target.copy(step.target, step.source, bytes);
  // Two queues meet: what the copy reads must be done, and what overwrites its target must wait.
  INGOT_TRY(source.synchronize());
  INGOT_TRY(target.synchronize());
  if (source.hostAccessible()) {
    INGOT_TRY(target.upload(step.target, step.source, bytes));
    return target.synchronize();
  }
  INGOT_TRY(source.download(step.target, step.source, bytes));
  return source.synchronize();
}

Status Program::download(Port &output) {
  if (output.host == output.address)
    return {};
  return devices_[output.device]->download(output.host, output.address,
                                           output.elements * dtypeBytes(output.dtype));
}

Status Program::fetch(Port &output) {
  if (output.host == output.address || &output == fetched_)
    return {};
  INGOT_TRY(download(output));
  return devices_[output.device]->synchronize();
}

void Program::fetchAfterSteps(Port &output) {
  if (fetched_ == &output)
    return;
  fetched_ = &output;
  setRecordings(recorded_.size()); // those that there are lack it
}

Status Program::handOut(OutputTensor &output) {
  Port &port = *findPort(output.name, /*output=*/true);
  INGOT_TRY(fetch(port));
  size_t bytes = port.elements * dtypeBytes(port.dtype);
  if (output.data)
    std::memcpy(output.data, port.host, bytes);
  else
    output.data = port.host;
  output.bytes = bytes;
  output.dtype = port.dtype;
  output.shape = {port.shape.data(), port.dims.size()};
  return {};
}

} // namespace ingot
