//===- Bench.cpp - `ingot bench` --------------------------------------------===//

#include <memory>

#include "runtime/cli/Commands.h"
#include "tools/cli/Cli.h"
#include "tools/cli/ModelFlags.h"

namespace ingot::cli {

void addBenchCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command = app.add_subcommand("bench", "Time the programs of an ingot");
  auto options = std::make_shared<commands::BenchOptions>();
  addModelFlags(*command, options->model);
  command
      ->add_option("--decode", options->decode,
                   "ROWSxTOKENS: a decode step of rows that have that many tokens in the cache; "
                   "once for each case")
      ->allow_extra_args(false);
  command
      ->add_option("--prefill", options->prefill,
                   "ROWSxTOKENS: prompts of that length through the step program")
      ->allow_extra_args(false);
  command
      ->add_option("--forward", options->forward,
                   "ROWSxTOKENS: a batch through forward; 8x128@50: half of it is padding")
      ->allow_extra_args(false);
  command->add_option("--runs", options->runs, "Counted runs of each case [20]")
      ->check(CLI::Range(uint64_t(1), uint64_t(1000000)));
  command
      ->add_option("--warmup", options->warmup,
                   "Least runs before them, for a fifth of a second unless none [3]")
      ->check(CLI::Range(uint64_t(0), uint64_t(1000000)));
  addJsonFlag(*command, invocation);
  command->footer("Inputs are random within their ranges; results stay on the device.\n\n"
                  "Examples:\n"
                  "  ingot bench smollm2.ingot --decode 1x100 --decode 8x100 --prefill 1x256\n"
                  "  ingot bench minilm.ingot --forward 8x128 --forward 8x128@50 --json\n");
  command->final_callback([&invocation, options] {
    invocation.action = [&invocation, options]() -> Status {
      options->json = invocation.json;
      Result<std::string> text = commands::bench(*options);
      return text.ok() ? writeResult(*text) : text.status();
    };
  });
}

} // namespace ingot::cli
