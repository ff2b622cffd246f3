//===- InspectCommand.cpp ---------------------------------------*- C++ -*-===//
#include "runtime/cli/Commands.h"
#include "runtime/cli/JsonText.h"
#include "runtime/format/Describe.h"
#include "runtime/support/Text.h"
#include "runtime/support/ThreadPool.h"
#include "runtime/weights/Json.h"

namespace ingot::commands {

const std::vector<std::string> &inspectSections() { return describedSections(); }

/// What the summary shows: all that is small.
static const std::vector<std::string> kSummary = {"file", "plan", "memory", "programs"};

static std::string counts(const Artifact &artifact) {
  const format::Plan &plan = artifact.plan();
  auto count = [](const auto *vector) { return vector ? vector->size() : 0; };
  return text("weights  ", count(plan.weights()), "\nkernels  ", count(plan.kernels()),
              "\nstates   ", count(plan.states()),
              "\nmore     --section steps, kernels, weights, "
              "sources, states, constants, code or debug\n");
}

Result<std::string> inspect(const InspectOptions &options) {
  auto threads = ThreadPool::defaultThreads();
  if (!threads.ok())
    return threads.status();
  auto pool = ThreadPool::create(*threads);
  if (!pool.ok())
    return pool.status();
  auto artifact = Artifact::open(options.file, {options.verifyChecksums, pool->get()});
  if (!artifact.ok())
    return artifact.status();
  bool summary = options.sections.empty() && !options.json;
  auto json = describeArtifact(**artifact, summary ? kSummary : options.sections);
  if (!json.ok())
    return json.status();
  if (options.json)
    return *json + "\n";
  auto document = parseJson(*json, {.name = "description", .maxValues = UINT64_MAX});
  if (!document.ok())
    return Status(ExitCode::Internal, document.status().message());
  // One section needs no heading.
  const JsonValue &value = document->value();
  if (!summary && value.members().size() == 1)
    return renderText(value.members()[0].second);
  return renderText(value) + (summary ? counts(**artifact) : std::string());
}

} // namespace ingot::commands
