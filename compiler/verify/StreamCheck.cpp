//===- StreamCheck.cpp - Streams against their launches ---------------------===//
#include "compiler/verify/StreamCheck.h"

#include "compiler/verify/LaunchCompare.h"
#include "runtime/support/Try.h"

namespace ingot::verify {
namespace {

/// A stream adds up in another order than its launches, which round to 16 bits a few times a layer:
/// of the largest value, 16 roundings to bf16. What a block reads too early is off by as much as
/// values are.
constexpr double kBudget = 16.0 / 256;

/// What a program gave.
struct Output {
  std::string name;
  ElementType type;
  std::vector<std::byte> bytes;
};
using Outputs = std::vector<Output>;

/// Runs a call, and keeps its outputs of floats.
Result<Outputs> runCall(Program &program, const Call &call) {
  Result<std::vector<Tensor>> tensors = inputsFor(program, call);
  if (!tensors.ok())
    return tensors.status();
  std::vector<InputTensor> given;
  for (const Tensor &tensor : *tensors)
    given.push_back(
        {tensor.name, tensor.type, tensor.shape, tensor.data.data(), tensor.data.size()});
  std::vector<OutputTensor> wanted;
  for (const Port &port : program.outputs())
    if (isFloat(ElementType(port.dtype)))
      wanted.push_back({port.name});
  INGOT_TRY(program.run(given, wanted));
  Outputs outputs;
  for (const OutputTensor &output : wanted) {
    const auto *begin = static_cast<const std::byte *>(output.data);
    outputs.push_back(
        {std::string(output.name), ElementType(output.dtype), {begin, begin + output.bytes}});
  }
  return outputs;
}

LaunchFailure makeFailure(const LaunchesReport &report, const Program &program,
                          const StreamReport &stream, const std::string &inputs, unsigned output,
                          const std::string &name, const LaunchDifference &difference) {
  LaunchFailure failure;
  failure.program = report.program;
  failure.inputs = inputs;
  failure.kernel = stream.kernel;
  failure.family = kStreamFamily;
  failure.reference = "its launches";
  failure.summary = std::to_string(stream.launches) + " launches as one grid";
  failure.location = "output " + name;
  failure.step = stream.first;
  failure.steps = program.numSteps();
  failure.buffer = output;
  failure.error = difference.error;
  failure.budget = kBudget;
  failure.element = difference.element;
  failure.elements = difference.elements;
  failure.got = difference.got;
  failure.expected = difference.expected;
  return failure;
}

} // namespace

Status checkStreams(Model &model, Program &program, const std::vector<Case> &cases,
                    LaunchesReport &report, std::optional<LaunchFailure> &failure) {
  for (const Program::StreamUse &use : program.streamUses())
    report.streams.push_back({use.kernel, use.first, use.launches, 0, 0, kBudget, ""});
  if (report.streams.empty())
    return Status();
  for (const Case &one : cases) {
    // A program that is profiled runs launch by launch.
    std::vector<double> seconds(program.numSteps());
    std::vector<Outputs> expected;
    program.setProfile(&seconds);
    Status status = model.reset();
    for (size_t call = 0; call < one.calls.size() && status.ok(); ++call) {
      expected.emplace_back();
      if (!takesCall(program, one.calls[call]))
        continue;
      Result<Outputs> outputs = runCall(program, one.calls[call]);
      status = outputs.status();
      if (outputs.ok())
        expected.back() = std::move(*outputs);
    }
    program.setProfile(nullptr);
    INGOT_TRY(status);
    INGOT_TRY(model.reset());
    for (size_t call = 0; call < one.calls.size(); ++call) {
      if (!takesCall(program, one.calls[call]))
        continue;
      std::string inputs =
          one.name + (one.calls.size() == 1 ? "" : ", call " + std::to_string(call));
      Result<Outputs> outputs = runCall(program, one.calls[call]);
      if (!outputs.ok())
        return outputs.status();
      std::vector<Program::StreamUse> uses = program.streamUses();
      for (size_t i = 0; i < outputs->size(); ++i) {
        LaunchDifference difference =
            compareBuffers((*outputs)[i].type, expected[call][i].bytes, (*outputs)[i].bytes);
        for (size_t j = 0; j < uses.size(); ++j) {
          StreamReport &stream = report.streams[j];
          if (!uses[j].runs)
            continue;
          stream.calls += i == 0;
          if (!(difference.error <= stream.error)) {
            stream.error = difference.error;
            stream.worst = inputs;
          }
          if (difference.error <= kBudget)
            continue;
          failure = makeFailure(report, program, stream, inputs, unsigned(i), (*outputs)[i].name,
                                difference);
          return Status();
        }
      }
    }
  }
  return Status();
}

} // namespace ingot::verify
