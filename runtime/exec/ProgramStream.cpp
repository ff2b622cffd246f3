//===- ProgramStream.cpp - Launches that one kernel does together -*- C++ -*-===//
//
// A stream's kernel stands beside the launches that it can replace: with few tokens it keeps the
// memory busy where launches leave gaps, with more they are faster. Which is taken is decided by
// every run; under a profile or an observer, who look at launches, it is the launches.
//
//===----------------------------------------------------------------------===//
#include "runtime/exec/Program.h"
#include "runtime/exec/Stream.h"

#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

namespace ingot {

/// Streams of devices that do them: their tables are made and uploaded once, as nothing in them
/// depends on sizes.
Status Program::addStreams(std::vector<LoadedDevice> &devices) {
  for (unsigned i = 0; table_->streams() && i < table_->streams()->size(); ++i) {
    const format::Stream &table = *table_->streams()->Get(i);
    uint16_t device = streamDevice(*table_, table);
    if (!devices[device].streams)
      continue;
    Stream &stream = streams_.emplace_back();
    stream.table = &table;
    stream.device = device;
    stream.kernel = devices[device].kernels[table.kernel()];
    stream.sizes.push_back(internSize({1, {table.symbol()}, 1}));
    for (unsigned j = 0; table.sizes() && j < table.sizes()->size(); ++j)
      stream.sizes.push_back(internSize(sizeExpr(*table.sizes()->Get(j))));
    stream.arguments.resize(stream.sizes.size());
    if (size_t first = bounds_.numCallerSymbols(); table.symbol() >= first)
      stream.tokensAddress = residents_[table.symbol() - first].address;
    const auto &grid = *plan_->kernels()->Get(table.kernel())->grid();
    for (unsigned axis = 0; axis < 3; ++axis)
      stream.grid[axis] = evaluate(sizeExpr(*grid.Get(axis)), {});
    INGOT_TRY(uploadStream(stream).withContext(text("program ", quoted(name_), ": ")));
  }
  return {};
}

Status Program::uploadStream(Stream &stream) {
  const format::Stream &table = *stream.table;
  Device &device = *devices_[stream.device];
  auto memory = device.allocate(streamBytes(table), text("a stream of ", table.steps()->size(),
                                                         " launches of ", quoted(name_)));
  if (!memory.ok())
    return memory.status();
  stream.buffers[0] = *memory;
  stream.buffers[1] = static_cast<char *>(*memory) + streamTableBytes(table);
  std::vector<StreamEntry> entries(table.steps()->size());
  for (unsigned i = 0; i < entries.size(); ++i) {
    const format::StreamStep &step = *table.steps()->Get(i);
    const Step &launch = steps_[table.first() + i];
    StreamEntry &entry = entries[i];
    entry.task = step.task();
    entry.part = step.part();
    for (unsigned j = 0; j < step.exchanged()->size(); ++j) {
      int64_t offset = step.exchanged()->Get(j);
      bool isExchanged = offset != -1;
      void *address = addresses_[launch.firstBuffer + j];
      entry.buffers[j] = isExchanged ? uint64_t(offset) : reinterpret_cast<uintptr_t>(address);
      entry.exchanged |= uint32_t(isExchanged) << j;
    }
    const auto *maps = table.tasks()->Get(step.task())->tensor_maps();
    for (unsigned j = 0; maps && j < maps->size(); ++j) {
      const format::TensorMap &map = *maps->Get(j);
      TensorMapSpec spec = mapSpec(map, addresses_[launch.firstBuffer + map.buffer()]);
      spec.rank = map.dims()->size();
      for (unsigned d = 0; d < spec.rank; ++d) {
        spec.dims[d] = uint64_t(evaluate(sizeExpr(*map.dims()->Get(d)), {}));
        if (d != 0)
          spec.strides[d - 1] = uint64_t(evaluate(sizeExpr(*map.strides()->Get(d - 1)), {}));
      }
      INGOT_TRY(device.encodeTensorMap(spec, entry.maps[j]));
    }
  }
  INGOT_TRY(device.upload(stream.buffers[0], entries.data(), streamTableBytes(table)));
  return device.synchronize();
}

/// Where a size is only known to the device, its bound counts: it is how exchanged memory is laid
/// out, too.
bool Program::isUsed(const Stream &stream) const {
  return !profile_ && !observer_ &&
         symbols_[stream.table->symbol()] <= int64_t(stream.table->most_tokens());
}

std::vector<Program::StreamUse> Program::streamUses() const {
  std::vector<StreamUse> uses;
  for (const Stream &stream : streams_)
    uses.push_back({plan_->kernels()->Get(stream.table->kernel())->entry()->str(),
                    stream.table->first(), stream.table->steps()->size(), isUsed(stream)});
  return uses;
}

/// Exchanged memory is all ones until something is exchanged: a word says by itself that it is
/// there. Filled in front of the first step and not of the stream, whose kernel may then begin
/// while the launch before it ends: a launch behind a fill waits for it (the driver overlaps
/// kernels only), and the kernel uses the counter before it waits for anything.
Status Program::fillStreams() {
  for (const Stream &stream : streams_) {
    if (!isUsed(stream))
      continue;
    auto tokens = uint64_t(symbols_[stream.table->symbol()]);
    Status status = devices_[stream.device]->fill(stream.buffers[1], 0xff,
                                                  exchangedBytes(*stream.table, tokens));
    if (!status.ok())
      return status.withContext(text("program ", quoted(name_), ": "));
  }
  return {};
}

Status Program::runStream(Stream &stream) {
  for (size_t i = 0; i < stream.sizes.size(); ++i)
    stream.arguments[i] = values_[stream.sizes[i]];
  LaunchSpec launch;
  launch.kernel = stream.kernel;
  launch.buffers = stream.buffers;
  launch.sizes = stream.arguments.data();
  launch.sizeAddresses = &stream.tokensAddress;
  for (unsigned i = 0; i < 3; ++i)
    launch.grid[i] = stream.grid[i];
  Status status = devices_[stream.device]->launch(launch);
  if (status.ok())
    return status;
  uint32_t first = stream.table->first(), last = first + stream.table->steps()->size() - 1;
  return status.withContext(
      text("program ", quoted(name_), ", steps ", first, " to ", last, " as a stream: "));
}

} // namespace ingot
