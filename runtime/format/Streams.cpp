//===- Streams.cpp ----------------------------------------------*- C++ -*-===//
#include "runtime/format/Streams.h"

#include "runtime/format/Artifact.h"

namespace ingot {

uint16_t streamDevice(const format::Program &program, const format::Stream &stream) {
  return program.steps()->Get(stream.first())->action_as_Launch()->device();
}

uint64_t streamTableBytes(const format::Stream &stream) {
  return stream.steps()->size() * kStreamEntryBytes;
}

uint64_t exchangedBytes(const format::Stream &stream, uint64_t tokens) {
  return kStreamCounterBytes + stream.bytes_per_token() * tokens;
}

uint64_t streamBytes(const format::Stream &stream) {
  uint64_t bytes = streamTableBytes(stream) + exchangedBytes(stream, stream.most_tokens());
  return (bytes + kPage - 1) / kPage * kPage;
}

uint64_t streamBytes(const format::Program &program, uint16_t device) {
  uint64_t bytes = 0;
  for (unsigned i = 0; program.streams() && i < program.streams()->size(); ++i)
    if (const format::Stream &stream = *program.streams()->Get(i);
        streamDevice(program, stream) == device)
      bytes += streamBytes(stream);
  return bytes;
}

std::vector<bool> streamKernels(const format::Plan &plan) {
  std::vector<bool> out(plan.kernels() ? plan.kernels()->size() : 0);
  for (const format::Program *program : *plan.programs())
    for (unsigned i = 0; program->streams() && i < program->streams()->size(); ++i)
      out[program->streams()->Get(i)->kernel()] = true;
  return out;
}

} // namespace ingot
