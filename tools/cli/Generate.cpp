//===- Generate.cpp - `ingot generate` -------------------------------------===//

#include <memory>

#include "runtime/cli/Commands.h"
#include "tools/cli/Cli.h"
#include "tools/cli/ModelFlags.h"
#include "tools/cli/Terminal.h"

namespace ingot::cli {

namespace {
struct GenerateArguments {
  commands::GenerateOptions options;
  bool sample = false;
  bool greedy = false;
};
} // namespace

/// An option whose absence means "as the model was published with".
template <typename T>
static CLI::Option *addOptional(CLI::App &command, const std::string &name, std::optional<T> &value,
                                const std::string &help) {
  return command.add_option_function<T>(name, [&value](const T &given) { value = given; }, help);
}

void addGenerateCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command = app.add_subcommand("generate", "Continue prompts with a language model");
  auto arguments = std::make_shared<GenerateArguments>();
  commands::GenerateOptions &options = arguments->options;
  addModelFlags(*command, options.model);
  command
      ->add_option("--ids", options.prompts,
                   "Token ids of a prompt (1,2,3), or @FILE with a prompt a line; once for each "
                   "prompt")
      ->required()
      ->allow_extra_args(false);
  command->add_option("--max-new-tokens", options.maxNewTokens, "Most tokens to add to a prompt")
      ->check(CLI::Range(uint64_t(1), uint64_t(1) << 32))
      ->capture_default_str();
  CLI::Option *greedy =
      command->add_flag("--greedy", arguments->greedy, "Always take the likeliest token");
  command->add_flag("--sample", arguments->sample, "Draw tokens")->excludes(greedy);
  addOptional(*command, "--temperature", options.temperature,
              "Divides the logits; 0 takes the likeliest token")
      ->check(CLI::Range(0.0, 1e6));
  addOptional(*command, "--top-k", options.topK, "Draw among the K likeliest tokens; 0 for all")
      ->check(CLI::Range(uint64_t(0), uint64_t(1) << 31));
  addOptional(*command, "--top-p", options.topP,
              "Draw among the likeliest tokens that have this probability together, in (0, 1]")
      ->check(CLI::Range(0.0, 1.0));
  addOptional(*command, "--min-p", options.minP,
              "Draw among tokens this likely relative to the likeliest, in [0, 1]")
      ->check(CLI::Range(0.0, 1.0));
  addOptional(*command, "--repetition-penalty", options.repetitionPenalty,
              "Makes tokens that occurred less likely; 1 for none")
      ->check(CLI::Range(0.0, 1e6));
  command->add_option("--seed", options.seed, "Seed of the draws")
      ->check(notNegative())
      ->capture_default_str();
  command->add_option("--eos", options.eosIds, "Tokens that end a sequence [the model's]")
      ->delimiter(',');
  command->add_flag("--ignore-eos", options.ignoreEos, "Go on behind them");
  addJsonFlag(*command, invocation);
  command->footer("Examples:\n"
                  "  ingot generate smollm2.ingot --ids 504,3575,282,4649,314 --greedy\n"
                  "  ingot generate smollm2.ingot --ids 1,2,3 --ids 4,5 --temperature 0.7 --top-p "
                  "0.9 --seed 1\n"
                  "  ingot generate smollm2.ingot --ids @prompts.txt --max-new-tokens 64 --json\n");
  command->final_callback([&invocation, arguments] {
    invocation.action = [&invocation, arguments]() -> Status {
      commands::GenerateOptions &options = arguments->options;
      if (arguments->sample || arguments->greedy)
        options.sample = arguments->sample;
      options.json = invocation.json;
      Terminal &terminal = Terminal::standardError();
      size_t tokens = 0;
      options.onToken = [&](size_t, int32_t) {
        terminal.progressText("generating", std::to_string(++tokens) + " tokens");
      };
      Result<std::string> text = commands::generate(options);
      terminal.clearProgress();
      return text.ok() ? writeResult(*text) : text.status();
    };
  });
}

} // namespace ingot::cli
