//===- Inspect.cpp - `ingot inspect` ---------------------------------------===//

#include <filesystem>
#include <memory>

#include "compiler/Compiler.h"
#include "compiler/Describe.h"
#include "compiler/Suggest.h"
#include "runtime/cli/Commands.h"
#include "runtime/cli/JsonText.h"
#include "runtime/weights/JsonWriter.h"
#include "tools/cli/Cli.h"

namespace ingot::cli {

/// `text`, or for a person what it says.
static Status writeJson(const std::string &text, bool json) {
  if (json)
    return writeResult(text + "\n");
  Result<JsonDocument> document = parseJson(text);
  if (!document.ok())
    return Status(ExitCode::Internal, document.status().message());
  return writeResult(commands::renderText(document->value()));
}

static Status inspectModel(const std::string &folder, bool json) {
  Result<std::string> description = describeModel(folder);
  return description.ok() ? writeJson(*description, json) : description.status();
}

namespace {
struct InspectArguments : commands::InspectOptions {
  /// Of model folders.
  CompileOptions compile;
};
} // namespace

//===----------------------------------------------------------------------===//
// attention: what select-attention chose. Only the compiler knows of it; in an ingot it is part of
// the provenance.
//===----------------------------------------------------------------------===//

static const char kAttention[] = "attention";

static std::string asJson(const std::vector<AttentionReport> &rows) {
  JsonWriter json;
  json.beginObject().key(kAttention).beginArray();
  for (const AttentionReport &row : rows) {
    size_t colon = row.choice.find(": ");
    json.beginObject().member("program", row.program).member("layers", row.layers);
    json.member("back end", row.choice.substr(0, colon));
    json.member("reason", colon == std::string::npos ? "" : row.choice.substr(colon + 2));
    json.endObject();
  }
  json.endArray().endObject();
  return json.text();
}

static Result<std::vector<AttentionReport>> attentionOf(const InspectArguments &arguments,
                                                        bool isModel) {
  if (isModel) {
    CompileOptions options = arguments.compile;
    options.model = arguments.file;
    options.stopAfter = "fuse";
    CompileReport report;
    if (Status status = compile(options, report); !status.ok())
      return status;
    return std::move(report.attention);
  }
  commands::InspectOptions options = arguments;
  options.sections = {"plan"};
  options.json = true;
  Result<std::string> plan = commands::inspect(options);
  if (!plan.ok())
    return plan.status();
  Result<JsonDocument> document = parseJson(*plan);
  if (!document.ok())
    return Status(ExitCode::Internal, document.status().message());
  std::vector<AttentionReport> rows;
  const JsonValue *section = document->value().find("plan");
  const JsonValue *provenance = section ? section->find("provenance") : nullptr;
  if (!provenance || provenance->kind() != JsonKind::Object)
    return rows;
  for (const auto &[key, value] : provenance->members()) {
    // "attention/PROGRAM/LAYERS"
    std::string_view name = key;
    size_t begin = sizeof kAttention, end = name.rfind('/');
    if (!name.starts_with("attention/") || end < begin || value.kind() != JsonKind::String)
      continue;
    rows.push_back({std::string(name.substr(begin, end - begin)), std::string(name.substr(end + 1)),
                    value.string()});
  }
  return rows;
}

static std::vector<std::string_view> sectionNames() {
  const std::vector<std::string> &known = commands::inspectSections();
  std::vector<std::string_view> names(known.begin(), known.end());
  names.push_back(kAttention);
  return names;
}

static Status checkSections(const std::vector<std::string> &sections) {
  std::vector<std::string_view> names = sectionNames();
  for (const std::string &section : sections)
    if (std::find(names.begin(), names.end(), section) == names.end())
      return Status(ExitCode::Usage, "unknown --section '" + section + "'" +
                                         didYouMean(section, names) + "; the sections are " +
                                         listNames(names));
  return Status();
}

void addInspectCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command =
      app.add_subcommand("inspect", "Show what is in an ingot or in a model folder");
  auto options = std::make_shared<InspectArguments>();
  command->add_option("FILE", options->file, "An .ingot file, or a model folder")->required();
  command
      ->add_option("--section", options->sections,
                   "Show one section of an ingot in full: " + listNames(sectionNames()) +
                       "; may be repeated. attention (which layer runs which back end, and why) "
                       "is also there for a model folder")
      ->delimiter(',')
      ->allow_extra_args(false);
  command
      ->add_option("--target", options->compile.target,
                   "For a model folder: the target to choose for")
      ->capture_default_str();
  command
      ->add_option("--attention", options->compile.attention,
                   "For a model folder: as for ingot compile")
      ->allow_extra_args(false);
  command->add_option("--format", options->format,
                      "Of section graph: dot (Graphviz) or json (Model Explorer) [dot]");
  command->add_flag_callback(
      "--no-verify", [options] { options->verifyChecksums = false; },
      "Skip the checksums of the sections");
  addJsonFlag(*command, invocation);
  command->footer("Examples:\n"
                  "  ingot inspect smollm2.ingot\n"
                  "  ingot inspect smollm2.ingot --section kernels\n"
                  "  ingot inspect smollm2.ingot --section memory --json\n"
                  "  ingot inspect smollm2.ingot --section graph --format json > smollm2.json\n"
                  "  ingot inspect ./SmolLM2-135M\n"
                  "  ingot inspect ./SmolLM2-135M --section attention\n");
  command->final_callback([&invocation, options] {
    invocation.action = [&invocation, options]() -> Status {
      std::error_code ignored;
      bool isModel = std::filesystem::is_directory(options->file, ignored);
      if (options->sections == std::vector<std::string>{kAttention}) {
        Result<std::vector<AttentionReport>> rows = attentionOf(*options, isModel);
        return rows.ok() ? writeJson(asJson(*rows), invocation.json) : rows.status();
      }
      if (isModel) {
        if (!options->sections.empty())
          return Status(ExitCode::Usage, "--section: '" + options->file +
                                             "' is a model folder; of the sections it has "
                                             "attention alone, the others an .ingot file");
        return inspectModel(options->file, invocation.json);
      }
      if (Status status = checkSections(options->sections); !status.ok())
        return status;
      if (std::find(options->sections.begin(), options->sections.end(), kAttention) !=
          options->sections.end())
        return Status(ExitCode::Usage, "--section attention: show it by itself");
      options->json = invocation.json;
      Result<std::string> text = commands::inspect(*options);
      return text.ok() ? writeResult(*text) : text.status();
    };
  });
}

} // namespace ingot::cli
