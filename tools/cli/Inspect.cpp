//===- Inspect.cpp - `ingot inspect` ---------------------------------------===//

#include <filesystem>
#include <memory>

#include "compiler/Describe.h"
#include "compiler/Suggest.h"
#include "runtime/cli/Commands.h"
#include "runtime/cli/JsonText.h"
#include "tools/cli/Cli.h"

namespace ingot::cli {

static Status inspectModel(const std::string &folder, bool json) {
  Result<std::string> description = describeModel(folder);
  if (!description.ok())
    return description.status();
  if (json)
    return writeResult(*description + "\n");
  Result<JsonDocument> document = parseJson(*description);
  if (!document.ok())
    return Status(ExitCode::Internal, document.status().message());
  return writeResult(commands::renderText(document->value()));
}

static Status checkSections(const std::vector<std::string> &sections) {
  const std::vector<std::string> &known = commands::inspectSections();
  std::vector<std::string_view> names(known.begin(), known.end());
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
  auto options = std::make_shared<commands::InspectOptions>();
  command->add_option("FILE", options->file, "An .ingot file, or a model folder")->required();
  std::string sections;
  for (const std::string &name : commands::inspectSections())
    sections += (sections.empty() ? "" : ", ") + name;
  command
      ->add_option("--section", options->sections,
                   "Show one section of an ingot in full: " + sections + "; may be repeated")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_flag_callback(
      "--no-verify", [options] { options->verifyChecksums = false; },
      "Skip the checksums of the sections");
  addJsonFlag(*command, invocation);
  command->footer("Examples:\n"
                  "  ingot inspect smollm2.ingot\n"
                  "  ingot inspect smollm2.ingot --section kernels\n"
                  "  ingot inspect smollm2.ingot --section memory --json\n"
                  "  ingot inspect ./SmolLM2-135M\n");
  command->final_callback([&invocation, options] {
    invocation.action = [&invocation, options]() -> Status {
      std::error_code ignored;
      if (std::filesystem::is_directory(options->file, ignored)) {
        if (!options->sections.empty())
          return Status(ExitCode::Usage, "--section: '" + options->file +
                                             "' is a model folder; only an .ingot file has sections");
        return inspectModel(options->file, invocation.json);
      }
      if (Status status = checkSections(options->sections); !status.ok())
        return status;
      options->json = invocation.json;
      Result<std::string> text = commands::inspect(*options);
      return text.ok() ? writeResult(*text) : text.status();
    };
  });
}

} // namespace ingot::cli
