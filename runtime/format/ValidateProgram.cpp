//===- ValidateProgram.cpp --------------------------------------*- C++ -*-===//
#include "runtime/format/ValidateProgram.h"

#include "runtime/format/Artifact.h"
#include "runtime/format/DType.h"
#include "runtime/format/Validate.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <limits>

namespace ingot::validation {

using format::Space;

namespace {

struct BufferInfo {
  const format::Buffer *table = nullptr;
  std::vector<SizeExpr> dims;
};

/// Checks one program, from its symbols to its steps.
class ProgramChecker {
public:
  ProgramChecker(const format::Plan &plan, unsigned index)
      : plan_(plan), program_(*plan.programs()->Get(index)), where_(text("programs[", index, "]")) {
    if (program_.name())
      where_ += text(" ", quoted(program_.name()->string_view()));
  }

  Status check() {
    INGOT_TRY(checkSymbols());
    INGOT_TRY(checkBuffers());
    INGOT_TRY(checkPorts());
    INGOT_TRY(checkSteps());
    return checkStreams(plan_, program_, bounds_, where_);
  }

private:
  std::string at(std::string_view what, size_t index) const {
    return text(where_, ": ", what, "[", index, "]");
  }

  Status checkSymbols();
  Status checkBuffers();
  Status checkBuffer(const std::string &where, BufferInfo &info) const;
  Status checkPorts();
  Status checkInput(const std::string &where, const format::Port &port) const;
  Status checkSymbolsBound() const;
  Status checkSteps();
  Status checkLaunch(const std::string &where, const format::Launch &launch) const;
  Status checkSizeAddress(const std::string &where, const format::Launch &launch,
                          uint16_t index) const;
  Status checkCopy(const std::string &where, const format::Copy &copy) const;
  Status checkReadSize(const std::string &where, const format::ReadSize &read);
  Status checkResident(const std::string &where, unsigned index) const;
  Status checkOffsets(const std::string &where, const format::Port &port) const;
  /// Fails if a size needs a symbol that no step has read yet.
  Status checkKnown(const std::string &where, const SizeExpr &size) const;

  const format::Plan &plan_;
  const format::Program &program_;
  std::string where_;
  SymbolBounds bounds_;
  std::vector<BufferInfo> buffers_;
  /// The symbols whose values are known: the caller's, and what the steps so far have read.
  std::vector<bool> known_;
  std::vector<uint32_t> readFrom_; // the buffer of each symbol that a step has read
};

bool isWritable(Space space) { return space == Space::Arena || space == Space::State; }

const char *spaceName(Space space) {
  static const char *const names[] = {"arena", "weights", "constants", "state"};
  return unsigned(space) < 4 ? names[unsigned(space)] : "?";
}

uint64_t spaceBytes(const format::Device &device, Space space) {
  switch (space) {
  case Space::Arena:
    return device.arena_bytes();
  case Space::Weights:
    return device.weight_bytes();
  case Space::Constants:
    return device.constant_bytes();
  case Space::State:
    return device.state_bytes();
  }
  return 0;
}

Status ProgramChecker::checkSymbols() {
  size_t symbols = count(program_.symbols());
  if (symbols > kMaxSymbols)
    return expected(where_, text("at most ", kMaxSymbols, " symbols"), text(symbols));
  INGOT_TRY(checkUniqueNames(where_ + ": symbols", program_.symbols()));
  for (unsigned i = 0; i < symbols; ++i) {
    const format::Symbol &symbol = *program_.symbols()->Get(i);
    known_.push_back(!symbol.bound());
    if (symbol.bound())
      continue; // below, when the bounds of the others are known
    if (i > 0 && !known_[i - 1])
      return expected(at("symbols", i), "the caller's symbols before those that are read",
                      "one behind them");
    if (symbol.min() < 1 || symbol.min() > symbol.max() || symbol.max() > kMaxSymbolValue)
      return expected(at("symbols", i), text("1 <= min <= max <= ", kMaxSymbolValue),
                      text("min ", symbol.min(), ", max ", symbol.max()));
  }
  if (count(program_.limits()) > kMaxSymbols)
    return expected(where_, text("at most ", kMaxSymbols, " limits"),
                    text(count(program_.limits())));
  for (unsigned i = 0; i < count(program_.limits()); ++i) {
    const format::SizeLimit &limit = *program_.limits()->Get(i);
    std::vector<bool> seen(symbols);
    std::optional<int64_t> least = 1;
    for (uint16_t symbol : *limit.symbols()) {
      if (symbol >= symbols || seen[symbol] || !known_[symbol])
        return expected(at("limits", i), text("distinct symbols below ", symbols, " of the caller"),
                        text(symbol));
      seen[symbol] = true;
      if (least)
        least = checkedMul(*least, program_.symbols()->Get(symbol)->min());
    }
    if (limit.symbols()->size() == 0 || !least || *least > limit.max())
      return expected(at("limits", i), "a limit that the symbols' minima keep",
                      text("max ", limit.max()));
  }
  bounds_ = symbolBounds(program_);
  for (unsigned i = unsigned(bounds_.numCallerSymbols()); i < symbols; ++i)
    INGOT_TRY(checkResident(at("symbols", i), i));
  return {};
}

Status ProgramChecker::checkResident(const std::string &where, unsigned index) const {
  const format::Symbol &symbol = *program_.symbols()->Get(index);
  const format::Size &bound = *symbol.bound();
  // Over the caller's symbols only: the others have no maximum yet.
  for (unsigned i = 0; i < count(bound.symbols()); ++i)
    if (bound.symbols()->Get(i) >= bounds_.numCallerSymbols())
      return expected(where + ": bound",
                      text("symbols below ", bounds_.numCallerSymbols(), " of the caller"),
                      text(bound.symbols()->Get(i)));
  INGOT_TRY(checkSize(where + ": bound", bound, bounds_));
  int64_t most = *maxSize(sizeExpr(bound), bounds_);
  if (symbol.min() != 0 || symbol.max() > kMaxSymbolValue || symbol.max() < most)
    return expected(where, text("min 0 and max from ", most, " (its bound's) to ", kMaxSymbolValue),
                    text("min ", symbol.min(), ", max ", symbol.max()));
  return {};
}

Status ProgramChecker::checkKnown(const std::string &where, const SizeExpr &size) const {
  for (uint16_t symbol : size.symbols)
    if (!known_[symbol])
      return expected(where, "symbols that are known there",
                      text(quoted(program_.symbols()->Get(symbol)->name()->string_view()),
                           ", which no step has read before"));
  return {};
}

Status ProgramChecker::checkBuffers() {
  buffers_.resize(program_.buffers()->size());
  for (unsigned i = 0; i < buffers_.size(); ++i) {
    buffers_[i].table = program_.buffers()->Get(i);
    std::string where = at("buffers", i);
    if (buffers_[i].table->name())
      where += text(" ", quoted(buffers_[i].table->name()->string_view()));
    INGOT_TRY(checkBuffer(where, buffers_[i]));
  }
  return {};
}

Status ProgramChecker::checkBuffer(const std::string &where, BufferInfo &info) const {
  const format::Buffer &buffer = *info.table;
  if (buffer.device() >= plan_.devices()->size())
    return expected(where, text("a device below ", plan_.devices()->size()), text(buffer.device()));
  if (unsigned(buffer.space()) > unsigned(Space::State))
    return expected(where, "a space from 0 to 3", text(unsigned(buffer.space())));
  size_t elementBytes = dtypeBytes(buffer.dtype());
  if (elementBytes == 0)
    return expected(where, "an element type", text(unsigned(buffer.dtype())));
  if (count(buffer.shape()) > kMaxTensorRank)
    return expected(where, text("a rank of at most ", kMaxTensorRank),
                    text(buffer.shape()->size()));
  for (unsigned i = 0; i < count(buffer.shape()); ++i) {
    INGOT_TRY(checkSize(text(where, ": shape[", i, "]"), *buffer.shape()->Get(i), bounds_));
    info.dims.push_back(sizeExpr(*buffer.shape()->Get(i)));
  }
  auto elements = maxElements(info.dims, bounds_);
  auto bytes = elements ? checkedMul(*elements, int64_t(elementBytes)) : std::nullopt;
  if (!bytes || uint64_t(*bytes) > buffer.bytes())
    return expected(where,
                    bytes ? text("at least ", *bytes, " bytes for its shape at the maxima")
                          : std::string("a shape whose bytes fit 63 bits at the maxima"),
                    text(buffer.bytes()));
  uint64_t limit = spaceBytes(*plan_.devices()->Get(buffer.device()), buffer.space());
  if (buffer.offset() % kBufferAlignment != 0)
    return expected(where, text("an offset that is a multiple of ", kBufferAlignment),
                    text(buffer.offset()));
  if (!rangeFits(buffer.offset(), buffer.bytes(), limit))
    return expected(where,
                    text("a range inside the ", limit, " bytes of the ", spaceName(buffer.space()),
                         " of device ", buffer.device()),
                    text("offset ", buffer.offset(), " + ", buffer.bytes(), " bytes"));
  return {};
}

Status ProgramChecker::checkPorts() {
  INGOT_TRY(checkUniqueNames(where_ + ": inputs", program_.inputs()));
  INGOT_TRY(checkUniqueNames(where_ + ": outputs", program_.outputs()));
  for (bool output : {false, true}) {
    const auto *ports = output ? program_.outputs() : program_.inputs();
    for (unsigned i = 0; i < count(ports); ++i) {
      const format::Port &port = *ports->Get(i);
      std::string where =
          text(at(output ? "outputs" : "inputs", i), " ", quoted(port.name()->string_view()));
      if (port.buffer() >= buffers_.size())
        return expected(where, text("a buffer below ", buffers_.size()), text(port.buffer()));
      for (const SizeExpr &dim : buffers_[port.buffer()].dims)
        INGOT_TRY(checkKnown(where, dim)); // no step has run: the caller must know its shape
      if (!output)
        INGOT_TRY(checkInput(where, port));
    }
  }
  // Inputs are all written before the first step: two of them must not share bytes.
  std::vector<const format::Buffer *> inputs;
  for (unsigned i = 0; i < count(program_.inputs()); ++i)
    inputs.push_back(buffers_[program_.inputs()->Get(i)->buffer()].table);
  std::sort(inputs.begin(), inputs.end(), [](const auto *a, const auto *b) {
    return std::pair(a->device(), a->offset()) < std::pair(b->device(), b->offset());
  });
  for (size_t i = 1; i < inputs.size(); ++i)
    if (inputs[i - 1]->device() == inputs[i]->device() &&
        inputs[i - 1]->offset() + inputs[i - 1]->bytes() > inputs[i]->offset())
      return expected(where_ + ": inputs", "ranges of the arena that do not overlap",
                      text("two that share offset ", inputs[i]->offset()));
  return checkSymbolsBound();
}

Status ProgramChecker::checkInput(const std::string &where, const format::Port &port) const {
  const format::Buffer &buffer = *buffers_[port.buffer()].table;
  if (buffer.space() != Space::Arena)
    return expected(where, "a buffer in the arena", spaceName(buffer.space()));
  INGOT_TRY(checkOffsets(where, port));
  if (!port.has_range() && !port.optional())
    return {};
  int64_t low = port.has_range() ? port.minimum() : port.fill();
  int64_t high = port.has_range() ? port.maximum() : port.fill();
  if (port.has_range() && !isInteger(buffer.dtype()))
    return expected(where, "no range for a floating-point input", "a range");
  if (low > high || (port.optional() && (port.fill() < low || port.fill() > high)))
    return expected(where, "minimum <= fill <= maximum",
                    text("minimum ", low, ", fill ", port.fill(), ", maximum ", high));
  int64_t typeLow = std::numeric_limits<int64_t>::min(), typeHigh = -(typeLow + 1);
  switch (buffer.dtype()) {
  case format::DType::I8:
    typeLow = -128, typeHigh = 127;
    break;
  case format::DType::U8:
    typeLow = 0, typeHigh = 255;
    break;
  case format::DType::I1:
    typeLow = 0, typeHigh = 1;
    break;
  case format::DType::I32:
    typeLow = std::numeric_limits<int32_t>::min(), typeHigh = std::numeric_limits<int32_t>::max();
    break;
  default:
    break;
  }
  if (low < typeLow || high > typeHigh)
    return expected(where, text("a range and fill that fit ", dtypeName(buffer.dtype())),
                    text("[", low, ", ", high, "]"));
  return {};
}

Status ProgramChecker::checkOffsets(const std::string &where, const format::Port &port) const {
  if (!port.ascends_to())
    return {};
  const BufferInfo &buffer = buffers_[port.buffer()];
  INGOT_TRY(checkSize(where + ": ascends_to", *port.ascends_to(), bounds_));
  INGOT_TRY(checkKnown(where + ": ascends_to", sizeExpr(*port.ascends_to())));
  if (buffer.table->dtype() != format::DType::I32 || buffer.dims.size() != 1 || port.optional() ||
      port.max_step() < 0)
    return expected(where, "offsets in a required i32 input of rank 1, with max_step >= 0",
                    text(dtypeName(buffer.table->dtype()), " of rank ", buffer.dims.size(),
                         port.optional() ? ", optional" : "", ", max_step ", port.max_step()));
  return {};
}

Status ProgramChecker::checkSymbolsBound() const {
  for (uint16_t symbol = 0; symbol < bounds_.numCallerSymbols(); ++symbol) {
    bool bound = false;
    for (unsigned i = 0; i < count(program_.inputs()); ++i) {
      const format::Port &port = *program_.inputs()->Get(i);
      for (const SizeExpr &dim : buffers_[port.buffer()].dims)
        bound |= !port.optional() && dim == SizeExpr{1, {symbol}, 1};
    }
    if (!bound)
      return expected(at("symbols", symbol), "a symbol that is a dimension of a required input",
                      "one that no input's shape gives");
  }
  return {};
}

Status ProgramChecker::checkSteps() {
  readFrom_.resize(known_.size());
  for (unsigned i = 0; i < count(program_.steps()); ++i) {
    const format::Step &step = *program_.steps()->Get(i);
    std::string where = at("steps", i);
    if (const format::Launch *launch = step.action_as_Launch())
      INGOT_TRY(checkLaunch(where, *launch));
    else if (const format::Copy *copy = step.action_as_Copy())
      INGOT_TRY(checkCopy(where, *copy));
    else if (const format::ReadSize *read = step.action_as_ReadSize())
      INGOT_TRY(checkReadSize(where, *read));
    else
      return expected(where, "a launch, a copy or the reading of a size",
                      text("action ", unsigned(step.action_type())));
  }
  return {};
}

Status ProgramChecker::checkLaunch(const std::string &place, const format::Launch &launch) const {
  std::string where = place;
  if (launch.location())
    where += text(" (", quoted(launch.location()->string_view()), ")");
  if (launch.kernel() >= count(plan_.kernels()))
    return expected(where, text("a kernel below ", count(plan_.kernels())), text(launch.kernel()));
  const format::Kernel &kernel = *plan_.kernels()->Get(launch.kernel());
  where += text(" of kernel ", quoted(kernel.entry()->string_view()));
  if (launch.device() >= plan_.devices()->size())
    return expected(where, text("a device below ", plan_.devices()->size()), text(launch.device()));
  uint16_t target = plan_.images()->Get(kernel.image())->target();
  if (target != plan_.devices()->Get(launch.device())->target())
    return expected(where, "a kernel for the device's target", text("one for target ", target));
  if (launch.buffers()->size() != kernel.num_buffers())
    return expected(where, text(kernel.num_buffers(), " buffers"), text(launch.buffers()->size()));
  if (count(launch.sizes()) != kernel.num_sizes())
    return expected(where, text(kernel.num_sizes(), " sizes"), text(count(launch.sizes())));
  for (unsigned i = 0; i < launch.buffers()->size(); ++i) {
    uint32_t index = launch.buffers()->Get(i);
    std::string argument = text(where, ": buffer argument ", i);
    if (index >= buffers_.size())
      return expected(argument, text("a buffer below ", buffers_.size()), text(index));
    const format::Buffer &buffer = *buffers_[index].table;
    if (buffer.device() != launch.device())
      return expected(argument, text("a buffer on device ", launch.device()),
                      text("one on device ", buffer.device()));
    if (kernel.written()->Get(i) && !isWritable(buffer.space()))
      return expected(argument, "a buffer that may be written (arena or state)",
                      text("one in the ", spaceName(buffer.space())));
  }
  for (unsigned i = 0; i < count(launch.sizes()); ++i) {
    INGOT_TRY(checkSize(text(where, ": sizes[", i, "]"), *launch.sizes()->Get(i), bounds_));
    INGOT_TRY(checkKnown(where, sizeExpr(*launch.sizes()->Get(i))));
  }
  for (unsigned i = 0; i < count(kernel.device_sizes()); ++i)
    INGOT_TRY(checkSizeAddress(where, launch, kernel.device_sizes()->Get(i)));
  if (launch.grid()->size() != 3)
    return expected(where, "a grid of 3 sizes", text(launch.grid()->size()));
  std::vector<SizeExpr> grid;
  for (unsigned i = 0; i < 3; ++i) {
    INGOT_TRY(checkSize(text(where, ": grid[", i, "]"), *launch.grid()->Get(i), bounds_));
    grid.push_back(sizeExpr(*launch.grid()->Get(i)));
    INGOT_TRY(checkKnown(where, grid.back()));
  }
  if (!maxElements(grid, bounds_))
    return expected(where, "a grid whose number of blocks fits 63 bits at the maxima",
                    "a larger one");
  INGOT_TRY(checkKernelSizes(where, plan_, launch.kernel(), program_, launch));
  for (unsigned i = 0; i < count(kernel.variants()); ++i)
    INGOT_TRY(checkKernelSizes(text(where, ": variant ", i), plan_, kernel.variants()->Get(i),
                               program_, launch));
  return {};
}

Status ProgramChecker::checkSizeAddress(const std::string &where, const format::Launch &launch,
                                        uint16_t index) const {
  SizeExpr size = sizeExpr(*launch.sizes()->Get(index));
  bool isResident = false;
  for (uint16_t symbol : size.symbols)
    isResident |= symbol >= bounds_.numCallerSymbols();
  if (!isResident)
    return {};
  // The kernel gets the address of the symbol, so the size can be nothing else.
  if (size != SizeExpr{1, {size.symbols[0]}, 1} ||
      buffers_[readFrom_[size.symbols[0]]].table->device() != launch.device())
    return expected(text(where, ": sizes[", index, "]"),
                    "one symbol, read on the launch's device, for a size that is wanted by address",
                    "another size");
  return {};
}

/// The number of elements of a shape without symbols.
std::optional<int64_t> fixedElements(std::span<const SizeExpr> dims) {
  for (const SizeExpr &dim : dims)
    if (!dim.symbols.empty())
      return std::nullopt;
  return maxElements(dims, {});
}

/// Do two shapes of known element size have the same bytes at all symbol values?
bool sameBytes(const BufferInfo &a, const BufferInfo &b) {
  auto bytesExpr = [](const BufferInfo &info) -> std::optional<SizeExpr> {
    SizeExpr out;
    out.factor = int64_t(dtypeBytes(info.table->dtype()));
    for (const SizeExpr &dim : info.dims) {
      auto factor = checkedMul(out.factor, dim.factor);
      if (dim.divisor != 1 || !factor)
        return std::nullopt;
      out.factor = *factor;
      out.symbols.insert(out.symbols.end(), dim.symbols.begin(), dim.symbols.end());
    }
    std::sort(out.symbols.begin(), out.symbols.end());
    return out;
  };
  auto bytesA = bytesExpr(a), bytesB = bytesExpr(b);
  if (bytesA && bytesB)
    return *bytesA == *bytesB;
  return a.dims == b.dims && dtypeBytes(a.table->dtype()) == dtypeBytes(b.table->dtype());
}

Status ProgramChecker::checkCopy(const std::string &where, const format::Copy &copy) const {
  for (uint32_t index : {copy.source(), copy.target()})
    if (index >= buffers_.size())
      return expected(where, text("a buffer below ", buffers_.size()), text(index));
  const BufferInfo &source = buffers_[copy.source()], &target = buffers_[copy.target()];
  if (!isWritable(target.table->space()))
    return expected(where, "a target that may be written (arena or state)",
                    text("one in the ", spaceName(target.table->space())));
  if (!sameBytes(source, target))
    return expected(where, "a source and a target of the same byte size", "different sizes");
  for (const SizeExpr &dim : source.dims)
    INGOT_TRY(checkKnown(where, dim));
  return {};
}

Status ProgramChecker::checkReadSize(const std::string &where, const format::ReadSize &read) {
  if (read.symbol() >= known_.size() || known_[read.symbol()])
    return expected(where, "a symbol that is read from a buffer, once", text(read.symbol()));
  if (read.buffer() >= buffers_.size())
    return expected(where, text("a buffer below ", buffers_.size()), text(read.buffer()));
  const BufferInfo &buffer = buffers_[read.buffer()];
  auto elements = fixedElements(buffer.dims);
  if (buffer.table->dtype() != format::DType::I32 || !elements ||
      read.element() >= uint64_t(*elements))
    return expected(where, "an element of an i32 buffer of fixed shape",
                    text("element ", read.element(), " of ", dtypeName(buffer.table->dtype()),
                         " with ", elements ? text(*elements) : std::string("?"), " elements"));
  known_[read.symbol()] = true;
  readFrom_[read.symbol()] = read.buffer();
  return {};
}

} // namespace

Status checkSize(const std::string &where, const format::Size &size, const SymbolBounds &bounds) {
  if (size.factor() < 1 || size.divisor() < 1)
    return expected(where, "a size with factor >= 1 and divisor >= 1",
                    text("factor ", size.factor(), ", divisor ", size.divisor()));
  for (unsigned i = 0; i < count(size.symbols()); ++i)
    if (size.symbols()->Get(i) >= bounds.ranges.size())
      return expected(where, text("symbols below ", bounds.ranges.size()),
                      text(size.symbols()->Get(i)));
  if (!maxSize(sizeExpr(size), bounds))
    return expected(where, "a size that fits 63 bits at the symbols' maxima", "a larger one");
  return {};
}

Status checkProgram(const format::Plan &plan, unsigned index) {
  return ProgramChecker(plan, index).check();
}

} // namespace ingot::validation
