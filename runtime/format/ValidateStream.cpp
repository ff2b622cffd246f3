//===- ValidateStream.cpp - Validation of a program's streams ----*- C++ -*-===//
//
// V15. Steps, buffers and kernels of the plan have been checked. Whether exchanged bytes are needed
// elsewhere, only the compiler can tell; here nothing may lead outside the memory there is.
//
//===----------------------------------------------------------------------===//
#include "runtime/format/DType.h"
#include "runtime/format/Streams.h"
#include "runtime/format/Validate.h"
#include "runtime/format/ValidateProgram.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <iterator>
#include <map>

namespace ingot::validation {

namespace {

/// Checks the streams of a program, one after the other.
class StreamChecker {
public:
  StreamChecker(const format::Plan &plan, const format::Program &program,
                const SymbolBounds &bounds);

  Status check(const format::Stream &stream, const std::string &where) {
    stream_ = &stream;
    where_ = where;
    written_.clear();
    INGOT_TRY(checkLaunches());
    INGOT_TRY(checkKernel());
    INGOT_TRY(checkTokens());
    for (unsigned i = 0; i < stream_->steps()->size(); ++i)
      INGOT_TRY(checkStep(i));
    return {};
  }

private:
  Status checkLaunches();
  Status checkKernel() const;
  Status checkTokens() const;
  Status checkKnown(const SizeExpr &size) const;
  Status checkStep(unsigned index);
  Status checkExchanged(const std::string &where, const format::Launch &launch, unsigned argument,
                        int64_t offset);
  Status addWritten(const std::string &where, uint64_t offset, uint64_t bytes);

  const format::Launch &launch(unsigned index) const {
    return *program_.steps()->Get(stream_->first() + index)->action_as_Launch();
  }

  const format::Plan &plan_;
  const format::Program &program_;
  const SymbolBounds &bounds_;
  std::vector<uint64_t> readAt_; // the step that reads each symbol
  std::vector<bool> isOutput_;   // of each buffer

  // Of the stream that is being checked.
  const format::Stream *stream_ = nullptr;
  std::string where_;
  uint16_t device_ = 0;
  std::map<uint64_t, uint64_t> written_; // what steps so far exchange: offset to end
};

StreamChecker::StreamChecker(const format::Plan &plan, const format::Program &program,
                             const SymbolBounds &bounds)
    : plan_(plan), program_(program), bounds_(bounds), readAt_(bounds.ranges.size(), UINT64_MAX),
      isOutput_(program.buffers()->size()) {
  for (unsigned i = 0; i < count(program.steps()); ++i)
    if (const auto *read = program.steps()->Get(i)->action_as_ReadSize())
      readAt_[read->symbol()] = i;
  for (unsigned i = 0; i < count(program.outputs()); ++i)
    isOutput_[program.outputs()->Get(i)->buffer()] = true;
}

Status StreamChecker::checkLaunches() {
  uint64_t steps = count(program_.steps()), own = stream_->steps()->size();
  if (own == 0 || !rangeFits(stream_->first(), own, steps))
    return expected(where_, text("a range inside the ", steps, " steps of the program"),
                    text("first ", stream_->first(), ", ", own, " steps"));
  for (unsigned i = 0; i < own; ++i) {
    const auto *step = program_.steps()->Get(stream_->first() + i)->action_as_Launch();
    std::string where = text(where_, ": steps[", i, "]");
    if (!step)
      return expected(where, "a launch", "a copy or the reading of a size");
    if (i == 0)
      device_ = step->device();
    if (step->device() != device_)
      return expected(where, text("a launch on device ", device_),
                      text("one on device ", step->device()));
  }
  const format::Target &target = *plan_.targets()->Get(plan_.devices()->Get(device_)->target());
  if (target.kind()->string_view() != "cuda")
    return expected(where_, "launches on a device of kind 'cuda'",
                    quoted(target.kind()->string_view()));
  return {};
}

Status StreamChecker::checkKernel() const {
  if (stream_->kernel() >= count(plan_.kernels()))
    return expected(where_, text("a kernel below ", count(plan_.kernels())),
                    text(stream_->kernel()));
  const format::Kernel &kernel = *plan_.kernels()->Get(stream_->kernel());
  std::string where = text(where_, ": kernel ", quoted(kernel.entry()->string_view()));
  uint16_t target = plan_.images()->Get(kernel.image())->target();
  if (target != plan_.devices()->Get(device_)->target())
    return expected(where, "a kernel for the device's target", text("one for target ", target));
  if (kernel.num_buffers() != 2 || kernel.num_sizes() != 1 + count(stream_->sizes()))
    return expected(where, text("2 buffers and ", 1 + count(stream_->sizes()), " sizes"),
                    text(kernel.num_buffers(), " and ", kernel.num_sizes()));
  if (count(kernel.device_sizes()) != 1 || kernel.device_sizes()->Get(0) != 0 ||
      count(kernel.tensor_maps()) != 0)
    return expected(where, "size 0 by address, no other, and no tensor maps",
                    text(count(kernel.device_sizes()), " sizes by address, ",
                         count(kernel.tensor_maps()), " tensor maps"));
  bool isConstant = count(kernel.grid()) == 3;
  for (unsigned i = 0; isConstant && i < 3; ++i)
    isConstant = count(kernel.grid()->Get(i)->symbols()) == 0;
  if (!isConstant)
    return expected(where, "a grid of 3 constant sizes",
                    text(count(kernel.grid()), " sizes, or one with symbols"));
  return {};
}

/// Is it known in front of the stream, and on its device, if a step reads it?
Status StreamChecker::checkKnown(const SizeExpr &size) const {
  for (uint16_t symbol : size.symbols) {
    bool known = symbol < bounds_.numCallerSymbols();
    if (!known && readAt_[symbol] < stream_->first()) {
      const auto *read = program_.steps()->Get(unsigned(readAt_[symbol]))->action_as_ReadSize();
      known = program_.buffers()->Get(read->buffer())->device() == device_;
    }
    if (!known)
      return expected(where_, "symbols that are known there",
                      text(quoted(program_.symbols()->Get(symbol)->name()->string_view()),
                           ", which no step has read on device ", device_, " before"));
  }
  return {};
}

Status StreamChecker::checkTokens() const {
  if (stream_->symbol() >= bounds_.ranges.size())
    return expected(where_, text("a symbol below ", bounds_.ranges.size()),
                    text(stream_->symbol()));
  INGOT_TRY(checkKnown({1, {stream_->symbol()}, 1}));
  for (unsigned i = 0; i < count(stream_->sizes()); ++i) {
    INGOT_TRY(checkSize(text(where_, ": sizes[", i, "]"), *stream_->sizes()->Get(i), bounds_));
    INGOT_TRY(checkKnown(sizeExpr(*stream_->sizes()->Get(i))));
  }
  if (stream_->most_tokens() < 1 || stream_->most_tokens() > kMaxStreamTokens)
    return expected(where_, text("most_tokens from 1 to ", kMaxStreamTokens),
                    text(stream_->most_tokens()));
  if (stream_->bytes_per_token() > kMaxSpaceBytes / kMaxStreamTokens)
    return expected(where_, text("at most ", kMaxSpaceBytes / kMaxStreamTokens, " bytes per token"),
                    text(stream_->bytes_per_token()));
  return {};
}

Status StreamChecker::checkStep(unsigned index) {
  const format::StreamStep &step = *stream_->steps()->Get(index);
  const format::Launch &launch = this->launch(index);
  const format::Kernel &kernel = *plan_.kernels()->Get(launch.kernel());
  std::string where =
      text(where_, ": steps[", index, "] of kernel ", quoted(kernel.entry()->string_view()));
  if (step.task() >= stream_->tasks()->size())
    return expected(where, text("a task below ", stream_->tasks()->size()), text(step.task()));
  if (step.exchanged()->size() != kernel.num_buffers() ||
      step.exchanged()->size() > kMaxStreamBuffers)
    return expected(where,
                    text("an entry for each of ", kernel.num_buffers(),
                         " buffer arguments, and at most ", kMaxStreamBuffers),
                    text(step.exchanged()->size()));
  const format::StreamTask &task = *stream_->tasks()->Get(step.task());
  if (task.kernel() != launch.kernel())
    return expected(where, text("a task of its kernel, ", launch.kernel()),
                    text("one of kernel ", task.kernel()));
  if (task.part_bytes() > 0) {
    std::string place = text(where, ": part");
    if (step.part() % 16 != 0 ||
        !rangeFits(step.part(), task.part_bytes(), stream_->bytes_per_token()))
      return expected(place,
                      text("a multiple of 16 with ", task.part_bytes(), " bytes inside ",
                           stream_->bytes_per_token(), " per token"),
                      text(step.part()));
    INGOT_TRY(addWritten(place, step.part(), task.part_bytes()));
  }
  // What is only read first: a launch does not wait for itself.
  for (bool isWritten : {false, true})
    for (unsigned i = 0; i < kernel.num_buffers(); ++i)
      if (step.exchanged()->Get(i) != -1 && (kernel.written()->Get(i) != 0) == isWritten)
        INGOT_TRY(checkExchanged(text(where, ": buffer argument ", i), launch, i,
                                 step.exchanged()->Get(i)));
  const auto *maps = task.tensor_maps();
  if (count(maps) > kMaxStreamMaps)
    return expected(where, text("at most ", kMaxStreamMaps, " tensor maps"), text(count(maps)));
  for (unsigned i = 0; i < count(maps); ++i) {
    std::string place = text(where, ": tensor map ", i);
    INGOT_TRY(checkConstantMap(place, kernel, *maps->Get(i), program_, launch));
    if (step.exchanged()->Get(maps->Get(i)->buffer()) != -1)
      return expected(place, text("a map of a buffer argument that is not exchanged"),
                      text("one of argument ", maps->Get(i)->buffer(), ", which is"));
  }
  return {};
}

Status StreamChecker::checkExchanged(const std::string &where, const format::Launch &launch,
                                     unsigned argument, int64_t offset) {
  uint32_t index = launch.buffers()->Get(argument);
  const format::Buffer &buffer = *program_.buffers()->Get(index);
  if (buffer.space() != format::Space::Arena)
    return expected(where, "a buffer of the arena, as it is exchanged", "one that outlives it");
  if (isOutput_[index])
    return expected(where, "a buffer that is no output, as it is exchanged", "an output");
  std::vector<SizeExpr> dims;
  for (unsigned i = 0; i < count(buffer.shape()); ++i)
    dims.push_back(sizeExpr(*buffer.shape()->Get(i)));
  // Fits 63 bits: it is no more than the buffer has (V5).
  uint64_t bytes = uint64_t(*maxElements(dims, bounds_)) * dtypeBytes(buffer.dtype());
  auto tokens = uint64_t(bounds_.ranges[stream_->symbol()].max);
  if (bytes % tokens != 0)
    return expected(where, text("bytes at the maxima that ", tokens, " tokens share"), text(bytes));
  if (offset < 0 || offset % 16 != 0 ||
      !rangeFits(uint64_t(offset), bytes / tokens, stream_->bytes_per_token()))
    return expected(where,
                    text("-1, or a multiple of 16 with ", bytes / tokens, " bytes inside ",
                         stream_->bytes_per_token(), " per token"),
                    text(offset));
  if (plan_.kernels()->Get(launch.kernel())->written()->Get(argument))
    return addWritten(where, uint64_t(offset), bytes / tokens);
  // Else the kernel would wait for what never comes.
  auto written = written_.find(uint64_t(offset));
  uint64_t there = written == written_.end() ? 0 : written->second - written->first;
  if (there < bytes / tokens)
    return expected(
        where, "what an earlier step of the stream writes, as it is exchanged",
        text(bytes / tokens, " bytes at offset ", offset, ", where ", there, " are written"));
  return {};
}

/// A word says by itself that it is there, so it is written once.
Status StreamChecker::addWritten(const std::string &where, uint64_t offset, uint64_t bytes) {
  auto next = written_.lower_bound(offset);
  bool meets = (next != written_.end() && next->first < offset + bytes) ||
               (next != written_.begin() && std::prev(next)->second > offset);
  if (meets)
    return expected(where, "bytes that no step of the stream has written before",
                    text("offset ", offset, ", ", bytes, " bytes"));
  written_[offset] = offset + bytes;
  return {};
}

} // namespace

Status checkStreams(const format::Plan &plan, const format::Program &program,
                    const SymbolBounds &bounds, const std::string &where) {
  StreamChecker checker(plan, program, bounds);
  uint64_t end = 0;
  for (unsigned i = 0; i < count(program.streams()); ++i) {
    const format::Stream &stream = *program.streams()->Get(i);
    std::string place = text(where, ": streams[", i, "]");
    if (stream.first() < end)
      return expected(place, text("a first step from ", end, " on, behind the stream before"),
                      text(stream.first()));
    INGOT_TRY(checker.check(stream, place));
    end = uint64_t(stream.first()) + stream.steps()->size();
  }
  return {};
}

Status checkStreamKernels(const format::Plan &plan) {
  std::vector<bool> ofStreams = streamKernels(plan);
  std::vector<uint64_t> bytes(plan.devices()->size());
  for (unsigned p = 0; p < plan.programs()->size(); ++p) {
    const format::Program &program = *plan.programs()->Get(p);
    for (unsigned i = 0; i < count(program.steps()); ++i)
      if (const auto *launch = program.steps()->Get(i)->action_as_Launch();
          launch && ofStreams[launch->kernel()])
        return expected(text("programs[", p, "]: steps[", i, "]"),
                        "a kernel that is not one of a stream", text(launch->kernel()));
    for (unsigned i = 0; i < count(program.streams()); ++i) {
      const format::Stream &stream = *program.streams()->Get(i);
      uint64_t &sum = bytes[streamDevice(program, stream)];
      sum += streamBytes(stream); // each at most 2^47
      if (sum > kMaxSpaceBytes)
        return expected(text("programs[", p, "]: streams[", i, "]"),
                        text("streams of at most ", kMaxSpaceBytes, " bytes on a device"),
                        text(sum));
    }
  }
  return {};
}

} // namespace ingot::validation
