//===- ingot.cpp - The command line -----------------------------------------===//
//
//   ingot compile | run | generate | bench | tune | inspect | extract-weights | verify
//
// Exit codes are those of runtime/support/Status.h. Command lines are parsed by CLI11, which reports
// through exceptions; they end here.
//
//===----------------------------------------------------------------------===//

#include <algorithm>
#include <csignal>
#include <new>
#include <unistd.h>

#include "compiler/Suggest.h"
#include "tools/cli/Cli.h"
#include "tools/cli/Terminal.h"

using namespace ingot;

/// Runs where `new` fails. There is no memory to clean up with, and none is needed: output files get
/// their name only when they are complete.
[[noreturn]] static void outOfMemory() {
  static const char message[] =
      "ingot: error: out of memory; compile with smaller --max-batch, --max-context or --max-tokens, "
      "or on a machine with more memory\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
  _exit(static_cast<int>(ExitCode::OutOfResources));
}

/// The hint behind "not expected": the nearest command or option, and where the list is.
static std::string hintFor(const CLI::App &app) {
  std::vector<CLI::App *> chosen = app.get_subcommands();
  const CLI::App &command = chosen.empty() ? app : *chosen.front();
  std::vector<std::string> names;
  for (const CLI::App *subcommand : command.get_subcommands([](auto *) { return true; }))
    names.push_back(subcommand->get_name());
  for (const CLI::Option *option : command.get_options())
    for (const std::string &name : option->get_lnames())
      names.push_back("--" + name);
  std::vector<std::string_view> views(names.begin(), names.end());
  std::string hint;
  for (const std::string &typed : app.remaining(true))
    if (hint.empty())
      hint = didYouMean(std::string_view(typed).substr(0, typed.find('=')), views);
  std::string path = chosen.empty() ? "ingot" : "ingot " + command.get_name();
  return hint + "\nTry '" + path + " --help'.";
}

/// What is wrong. A flag that nobody knows says more than the value that is missing because of it.
static std::string describe(const CLI::ParseError &error, const CLI::App &app) {
  if (dynamic_cast<const CLI::RequiredError *>(&error))
    for (const std::string &typed : app.remaining(true))
      if (typed.starts_with("--"))
        return "The following argument was not expected: " + typed;
  return error.what();
}

static int run(int argc, char **argv) {
  CLI::App app("Ingot compiles transformer models ahead of time into one file and runs it.", "ingot");
  app.set_version_flag("--version", "ingot " INGOT_VERSION);
  app.require_subcommand(1);
  app.footer("Examples:\n"
             "  ingot compile ./all-MiniLM-L6-v2 -o minilm.ingot\n"
             "  ingot run minilm.ingot --input input_ids=@ids.npy --output "
             "sentence_embedding=@out.npy\n"
             "  ingot generate smollm2.ingot --ids 504,3575,282,4649,314\n"
             "  ingot inspect smollm2.ingot\n\n"
             "Exit codes: 0 ok, 1 internal error, 2 usage, 3 malformed input, 4 unsupported model, op "
             "or target,\n5 accuracy mismatch, 6 integrity, 7 device mismatch, 8 out of memory or "
             "disk.");
  cli::Invocation invocation;
  cli::addCompileCommand(app, invocation);
  cli::addRunCommand(app, invocation);
  cli::addGenerateCommand(app, invocation);
  cli::addBenchCommand(app, invocation);
  cli::addTuneCommand(app, invocation);
  cli::addInspectCommand(app, invocation);
  cli::addExtractCommand(app, invocation);
  cli::addVerifyCommand(app, invocation);

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &help) {
    return app.exit(help);
  } catch (const CLI::ParseError &error) {
    // The flag may stand behind the mistake.
    bool json = std::find(argv, argv + argc, std::string_view("--json")) != argv + argc;
    return cli::reportError(Status(ExitCode::Usage, describe(error, app) + hintFor(app)), json);
  }
  Status status = invocation.action();
  return status.ok() ? 0 : cli::reportError(status, invocation.json);
}

int main(int argc, char **argv) {
  std::set_new_handler(outOfMemory);
  // A reader that goes away ("| head") and a file-size limit are errors of the write.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::exception &error) {
    return cli::reportError(Status(ExitCode::Internal, error.what()), false);
  }
}
