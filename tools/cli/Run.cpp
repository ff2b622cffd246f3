//===- Run.cpp - `ingot run` -----------------------------------------------===//

#include <memory>

#include "runtime/cli/Commands.h"
#include "tools/cli/Cli.h"
#include "tools/cli/ModelFlags.h"

namespace ingot::cli {

void addRunCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command = app.add_subcommand("run", "Run a program of an ingot once");
  auto options = std::make_shared<commands::RunOptions>();
  addModelFlags(*command, options->model);
  command->add_option("--program", options->program,
                      "Which program [the only one, else forward]");
  command
      ->add_option("--input", options->inputs,
                   "NAME=@FILE.npy, or NAME=1,2,3;4,5,6 with a row between semicolons; once for "
                   "each input")
      ->allow_extra_args(false);
  command
      ->add_option("--output", options->outputs,
                   "NAME=@FILE.npy, or NAME to print it; once for each output that is wanted")
      ->allow_extra_args(false);
  command->add_option("--repeat", options->repeat, "Run that often and report the times")
      ->check(CLI::Range(uint64_t(1), uint64_t(1000000000)));
  command->add_flag("--profile", options->profile, "Time every launch, report by kernel");
  addJsonFlag(*command, invocation);
  command->footer("Examples:\n"
                  "  ingot run minilm.ingot --input input_ids=@ids.npy --input "
                  "attention_mask=@mask.npy \\\n"
                  "      --output sentence_embedding=@embeddings.npy\n"
                  "  ingot run smollm2.ingot --input \"input_ids=504,3575,282\" --output logits\n"
                  "  ingot run smollm2.ingot --weights random:1 --input \"input_ids=1,2,3\" "
                  "--repeat 100\n");
  command->final_callback([&invocation, options] {
    invocation.action = [&invocation, options]() -> Status {
      options->json = invocation.json;
      Result<std::string> text = commands::run(*options);
      return text.ok() ? writeResult(*text) : text.status();
    };
  });
}

} // namespace ingot::cli
