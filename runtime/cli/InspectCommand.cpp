//===- InspectCommand.cpp ---------------------------------------*- C++ -*-===//
#include "runtime/cli/Commands.h"
#include "runtime/cli/JsonText.h"
#include "runtime/format/Describe.h"
#include "runtime/format/DescribeGraph.h"
#include "runtime/support/Text.h"
#include "runtime/support/ThreadPool.h"
#include "runtime/weights/Json.h"

#include <algorithm>

namespace ingot::commands {

/// A section by itself: it is drawn, not described.
static constexpr const char *kGraph = "graph";

const std::vector<std::string> &inspectSections() {
  static const std::vector<std::string> sections = [] {
    std::vector<std::string> all = describedSections();
    all.push_back(kGraph);
    return all;
  }();
  return sections;
}

/// Whether the graph is asked for; it cannot stand beside other sections.
static Result<bool> wantsGraph(const InspectOptions &options) {
  bool wanted = std::count(options.sections.begin(), options.sections.end(), kGraph) > 0;
  if (!options.format.empty() && options.format != "dot" && options.format != "json")
    return Status(ExitCode::Usage,
                  text("--format: expected dot or json, got ", quoted(options.format)));
  if (!options.format.empty() && !wanted)
    return Status(ExitCode::Usage, "--format is for --section graph");
  if (wanted && options.sections.size() > 1)
    return Status(ExitCode::Usage, "--section graph cannot be combined with other sections");
  if (wanted && options.json && options.format == "dot")
    return Status(ExitCode::Usage, "--json and --format dot contradict each other");
  return wanted;
}

/// What the summary shows: all that is small.
static const std::vector<std::string> kSummary = {"file", "plan", "memory", "programs"};

static std::string counts(const Artifact &artifact) {
  const format::Plan &plan = artifact.plan();
  auto count = [](const auto *vector) { return vector ? vector->size() : 0; };
  return text("weights  ", count(plan.weights()), "\nkernels  ", count(plan.kernels()),
              "\nstates   ", count(plan.states()),
              "\nmore     --section steps, kernels, weights, "
              "sources, states, constants, code, debug or graph\n");
}

Result<std::string> inspect(const InspectOptions &options) {
  auto graph = wantsGraph(options);
  if (!graph.ok())
    return graph.status();
  auto threads = ThreadPool::defaultThreads();
  if (!threads.ok())
    return threads.status();
  auto pool = ThreadPool::create(*threads);
  if (!pool.ok())
    return pool.status();
  auto artifact = Artifact::open(options.file, {options.verifyChecksums, pool->get()});
  if (!artifact.ok())
    return artifact.status();
  if (*graph)
    return options.json || options.format == "json" ? graphAsJson((*artifact)->plan())
                                                    : graphAsDot((*artifact)->plan());
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
