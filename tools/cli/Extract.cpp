//===- Extract.cpp - `ingot extract-weights` --------------------------------===//

#include <memory>

#include "runtime/cli/Commands.h"
#include "tools/cli/Cli.h"

namespace ingot::cli {

void addExtractCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command = app.add_subcommand("extract-weights",
                                         "Restore the checkpoint that an ingot was compiled from");
  auto options = std::make_shared<commands::ExtractOptions>();
  command->add_option("FILE", options->file, "An .ingot file with weights")->required();
  command->add_option("-o,--output", options->output, "Folder for model.safetensors")
      ->required()
      ->check(notEmpty());
  addJsonFlag(*command, invocation);
  command->footer(
      "Every tensor that the model reads is restored bit for bit, in the type it was "
      "stored in, or the\ncommand fails and says why. The names are those of the checkpoint; "
      "the file is always one, its\ntensors in the order of their names, its metadata "
      "{\"format\": \"pt\"}. Shards, other metadata,\nconfig.json, the tokenizer and "
      "tensors that the model does not read are not in an ingot.\n\n"
      "Example:\n"
      "  ingot extract-weights smollm2.ingot -o restored\n");
  command->final_callback([&invocation, options] {
    invocation.action = [&invocation, options]() -> Status {
      options->json = invocation.json;
      Result<std::string> text = commands::extractWeights(*options);
      return text.ok() ? writeResult(*text) : text.status();
    };
  });
}

} // namespace ingot::cli
