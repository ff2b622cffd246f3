//===- OutputCheck.cpp - Do candidates compute the same? ----------*- C++ -*-===//
#include "runtime/tune/OutputCheck.h"

#include "runtime/format/DType.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/Convert.h"

#include <cmath>
#include <cstring>

namespace ingot {

namespace {

/// What is looked at of an output at most.
constexpr uint64_t kPieces = 128, kPieceBytes = uint64_t(1) << 20;

/// Looks at the first launch, and ends the run behind it.
class FirstLaunch final : public LaunchObserver {
public:
  FirstLaunch(const format::Plan &plan, const format::Program &table)
      : plan_(plan), table_(table) {}

  Status before(const LaunchView &launch) override {
    // What an earlier candidate left there must not be taken for this one's.
    return visit(launch, [&](size_t i) {
      return launch.device.fill(launch.buffers[i], 0, launch.bytes[i]);
    });
  }

  Status after(const LaunchView &launch) override {
    const auto &step = *table_.steps()->Get(unsigned(launch.step))->action_as_Launch();
    INGOT_TRY(visit(launch, [&](size_t i) {
      outputs_.types.push_back(table_.buffers()->Get(step.buffers()->Get(unsigned(i)))->dtype());
      return read(launch, i);
    }));
    done_ = true;
    return Status(ExitCode::Internal, "the first launch is all that is looked at");
  }

  bool done() const { return done_; }
  Outputs &outputs() { return outputs_; }

private:
  /// Of a large output pieces from its first to its last byte: wrong tiles come in numbers.
  Status read(const LaunchView &launch, size_t i) {
    uint64_t bytes = launch.bytes[i], piece = bytes, pieces = 1, stride = 0;
    if (bytes > kPieces * kPieceBytes) {
      piece = kPieceBytes;
      pieces = kPieces;
      stride = (bytes - piece) / (pieces - 1) / 64 * 64;
    }
    auto *source = static_cast<const std::byte *>(launch.buffers[i]);
    std::vector<std::byte> &to = outputs_.bytes.emplace_back(piece * pieces);
    for (uint64_t k = 0; k < pieces; ++k)
      INGOT_TRY(launch.device.download(
          to.data() + k * piece, source + (k + 1 < pieces ? k * stride : bytes - piece), piece));
    return launch.device.synchronize();
  }

  /// Calls `function` with the index of each buffer that the launch writes.
  template <typename Function> Status visit(const LaunchView &launch, Function function) {
    const auto &written = *plan_.kernels()->Get(launch.kernel)->written();
    for (size_t i = 0; i < launch.buffers.size(); ++i)
      if (written.Get(unsigned(i)))
        INGOT_TRY(function(i));
    return {};
  }

  const format::Plan &plan_;
  const format::Program &table_;
  Outputs outputs_;
  bool done_ = false;
};

/// Units in the last place of a float of that type, relative to it.
double unitOf(format::DType type) {
  return type == format::DType::BF16 ? 0x1p-8 : type == format::DType::F16 ? 0x1p-11 : 0x1p-18;
}
/// How far two may be apart that sum up in other orders: an element, and all by norms.
constexpr double kElementUnits = 4, kNormUnits = 1;

float elementAt(format::DType type, const std::byte *bytes, size_t index) {
  if (type == format::DType::F32) {
    float value;
    std::memcpy(&value, bytes + index * 4, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, bytes + index * 2, 2);
  return type == format::DType::BF16 ? bf16ToF32(bits) : f16ToF32(bits);
}

std::string findDifference(size_t output, format::DType type,
                           const std::vector<std::byte> &expected,
                           const std::vector<std::byte> &got) {
  if (isInteger(type))
    return text("output ", output, ": other integers");
  size_t count = expected.size() / dtypeBytes(type);
  double squares = 0;
  for (size_t i = 0; i < count; ++i) {
    double value = elementAt(type, expected.data(), i);
    squares += value * value;
  }
  double unit = unitOf(type), mean = std::sqrt(squares / double(count)), apart = 0;
  for (size_t i = 0; i < count; ++i) {
    double a = elementAt(type, expected.data(), i), b = elementAt(type, got.data(), i);
    apart += (a - b) * (a - b);
    // Not true for what is no number.
    if (std::fabs(a - b) <= kElementUnits * unit * (std::fabs(a) + mean))
      continue;
    return text("output ", output, ", element ", i, ": expected ", float(a), ", got ", float(b));
  }
  double relative = std::sqrt(apart / double(count)) / mean;
  if (apart > 0 && !(relative <= kNormUnits * unit))
    return text("output ", output, ": all elements together are ", float(relative),
                " of their size apart, expected at most ", float(kNormUnits * unit));
  return {};
}

} // namespace

Result<Outputs> readOutputs(const format::Plan &plan, const format::Program &table,
                            Program &program) {
  FirstLaunch observer(plan, table);
  program.setObserver(&observer);
  Status status = program.execute();
  program.setObserver(nullptr);
  if (!observer.done())
    return status.ok() ? Status(ExitCode::MalformedInput,
                                text("program ", quoted(program.name()), " launches nothing"))
                       : status;
  return std::move(observer.outputs());
}

std::string findNonFinite(const Outputs &outputs) {
  for (size_t output = 0; output < outputs.bytes.size(); ++output) {
    format::DType type = outputs.types[output];
    const std::vector<std::byte> &bytes = outputs.bytes[output];
    for (size_t i = 0; !isInteger(type) && i < bytes.size() / dtypeBytes(type); ++i)
      if (float value = elementAt(type, bytes.data(), i); !std::isfinite(value))
        return text("output ", output, ", element ", i, " is ", value);
  }
  return {};
}

std::string findDifference(const Outputs &expected, const Outputs &got) {
  if (expected.types != got.types)
    return "other outputs";
  for (size_t i = 0; i < expected.bytes.size(); ++i) {
    if (expected.bytes[i].size() != got.bytes[i].size())
      return text("output ", i, ": ", got.bytes[i].size(), " bytes, expected ",
                  expected.bytes[i].size());
    if (expected.bytes[i] == got.bytes[i])
      continue;
    if (std::string difference =
            findDifference(i, expected.types[i], expected.bytes[i], got.bytes[i]);
        !difference.empty())
      return difference;
  }
  return {};
}

} // namespace ingot
