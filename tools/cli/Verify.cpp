//===- Verify.cpp - `ingot verify` -----------------------------------------===//

#include <cmath>
#include <filesystem>
#include <memory>

#include "compiler/verify/Verify.h"
#include "runtime/weights/JsonWriter.h"
#include "tools/cli/Cli.h"
#include "tools/cli/Terminal.h"
#include "tools/cli/VerifyLaunches.h"

namespace ingot::cli {

namespace {
struct VerifyArguments {
  verify::VerifyOptions options;
  std::string reproduce;
  std::vector<std::string> passOptions;
};
} // namespace

static void addFailure(JsonWriter &json, const verify::Failure &failure) {
  json.key("failure").beginObject();
  json.member("program", failure.program).member("phase", failure.phase);
  json.member("pass", failure.pass).member("inputs", failure.inputs);
  json.member("output", failure.output).member("error", failure.error);
  json.member("budget", failure.budget).member("op", failure.op);
  json.member("location", failure.location).member("op_before", failure.opBefore);
  json.member("op_error", failure.opError).member("note", failure.note);
  json.member("reproducer", failure.reproducer).member("command", failure.command).endObject();
}

static std::string asJson(const verify::VerifyReport &report, const Status &status) {
  JsonWriter json;
  json.beginObject().member("ok", status.ok());
  json.member("model_type", report.modelType).member("target", report.targetArch);
  json.member("seconds", report.seconds);
  json.member("kernels_compiled", report.kernelsCompiled);
  json.member("kernels_reused", report.kernelsReused);
  json.key("programs").beginArray();
  for (const verify::ProgramResult &program : report.programs) {
    json.beginObject().member("name", program.name);
    json.member("cases", program.cases).member("calls", program.calls).key("stages").beginArray();
    for (const verify::StageReport &stage : program.stages) {
      json.beginObject().member("phase", stage.phase).member("pass", stage.pass);
      json.member("changed", stage.changed).member("evaluated", stage.evaluated);
      if (stage.evaluated)
        json.member("error", stage.error)
            .member("budget", stage.budget)
            .member("worst", stage.worst);
      json.endObject();
    }
    json.endArray().endObject();
  }
  json.endArray();
  if (report.failure)
    addFailure(json, *report.failure);
  json.key("remarks").beginArray();
  for (const std::string &remark : report.remarks)
    json.value(remark);
  json.endArray().endObject();
  return json.text() + "\n";
}

static std::string asText(const verify::VerifyReport &report) {
  char line[512];
  std::string text;
  for (const verify::ProgramResult &program : report.programs) {
    snprintf(line, sizeof line, "%s: %llu cases, %llu calls\n", program.name.c_str(),
             (unsigned long long)program.cases, (unsigned long long)program.calls);
    text += line;
    for (const verify::StageReport &stage : program.stages) {
      std::string result = stage.pass.empty() ? "the reference"
                           : !stage.changed   ? "changes nothing"
                                              : "not looked at";
      if (stage.evaluated) {
        bool good = stage.error <= stage.budget;
        snprintf(line, sizeof line, "%s  error %.1e of at most %.1e  (%s)", good ? "ok" : "DRIFTS",
                 stage.error, stage.budget, stage.worst.c_str());
        result = line;
      }
      snprintf(line, sizeof line, "  %-7s %-24s %s\n", stage.phase.c_str(),
               stage.pass.empty() ? "-" : stage.pass.c_str(), result.c_str());
      text += line;
    }
  }
  snprintf(line, sizeof line, "%.1f s on %s; %llu kernels compiled, %llu reused\n", report.seconds,
           report.targetArch.c_str(), (unsigned long long)report.kernelsCompiled,
           (unsigned long long)report.kernelsReused);
  return text + line;
}

static Status splitPassOptions(VerifyArguments &arguments) {
  for (const std::string &text : arguments.passOptions) {
    size_t at = text.find('=');
    if (at == 0 || at == std::string::npos || at + 1 == text.size())
      return Status(ExitCode::Usage,
                    "--pass-option: expected PASS=OPTION=VALUE, got '" + text + "'");
    arguments.options.passOptions.emplace_back(text.substr(0, at), text.substr(at + 1));
  }
  return Status();
}

/// An ingot's launches instead of a model's passes.
static Status runIngot(VerifyArguments &arguments, bool &json) {
  const verify::VerifyOptions &options = arguments.options;
  if (!options.pass.empty() || !arguments.passOptions.empty() ||
      !options.compile.attention.empty() || !options.compile.outputs.empty() ||
      !options.compile.disabledPasses.empty())
    return Status(ExitCode::Usage,
                  "'" + options.compile.model +
                      "' is a file: --pass, --attention, --outputs and --disable are about "
                      "the passes over a MODEL folder");
  verify::IngotOptions ingot;
  ingot.file = options.compile.model;
  ingot.weights = options.weights;
  ingot.seed = options.seed;
  ingot.programs = options.programs;
  ingot.reproducer = options.reproducer;
  ingot.maxBatch = options.compile.maxBatch;
  ingot.maxContext = options.compile.maxContext;
  return verifyLaunches(ingot, json);
}

static Status runVerify(VerifyArguments &arguments, bool &json) {
  std::error_code ignored;
  if (arguments.reproduce.empty() &&
      std::filesystem::is_regular_file(arguments.options.compile.model, ignored))
    return runIngot(arguments, json);
  if (!arguments.reproduce.empty() && arguments.options.compile.model.empty() &&
      verify::isLaunchReproducer(arguments.reproduce))
    return rerunLaunches(arguments.reproduce, json);
  verify::VerifyReport report;
  Status status;
  Terminal &terminal = Terminal::standardError();
  if (!arguments.reproduce.empty()) {
    if (!arguments.options.compile.model.empty())
      return Status(ExitCode::Usage, "--reproduce runs what a reproducer holds: leave MODEL out");
    status = verify::rerunReproducer(arguments.reproduce, report);
  } else {
    if (arguments.options.compile.model.empty())
      return Status(ExitCode::Usage, "no MODEL: name a folder with config.json");
    if (Status bad = splitPassOptions(arguments); !bad.ok())
      return bad;
    status = verify::verifyModel(
        arguments.options, report, [&](size_t done, size_t total, const std::string &what) {
          terminal.progress(unsigned(done) + 1, unsigned(std::max(done + 1, total)), what);
        });
    terminal.clearProgress();
  }
  for (const std::string &remark : report.remarks)
    terminal.note(remark);
  // A pass that drifts is a result as well: the report goes out, then the error.
  if (!status.ok() && !report.failure)
    return status;
  Status written = writeResult(json ? asJson(report, status) : asText(report));
  json = false; // one document on stdout
  return written.ok() ? status : written;
}

void addVerifyCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command = app.add_subcommand(
      "verify",
      "Prove the passes over a model, or the kernels of an ingot, by running and comparing");
  auto arguments = std::make_shared<VerifyArguments>();
  verify::VerifyOptions &options = arguments->options;
  const CLI::Range sizes(int64_t(1), int64_t(1) << 24);

  command->add_option(
      "MODEL", options.compile.model,
      "Folder with config.json (*.safetensors unless --weights is given): its programs after "
      "every pass. Or an ingot compiled with --debug-info: every launch on its device against "
      "the host");
  command->add_option("--weights", options.weights,
                      "Model folder to take the weights from, or random:SEED [MODEL]");
  command->add_option("--seed", options.seed, "Of the random inputs")
      ->check(notNegative())
      ->capture_default_str();
  command->add_option("--programs", options.programs, "Only these programs [all]")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--pass", options.pass, "Only what this pass changes [all]")
      ->check(notEmpty());
  command
      ->add_option("--reproducer", options.reproducer,
                   "On failure: folder for the part that drifts, with its inputs, made if missing")
      ->check(notEmpty());
  command
      ->add_option("--reproduce", arguments->reproduce,
                   "Run a reproducer folder again instead of a MODEL")
      ->check(notEmpty());
  command->add_option("--target", options.compile.target, "host, x86-64-v2, x86-64-v3 or x86-64-v4")
      ->capture_default_str();
  command->add_option("--max-batch", options.compile.maxBatch, "Rows of the largest batch [4]")
      ->check(sizes);
  command->add_option("--max-context", options.compile.maxContext, "Tokens of the longest row [48]")
      ->check(sizes);
  command
      ->add_option("--max-tokens", options.compile.maxTokens,
                   "Tokens of the largest batch [--max-batch times --max-context]")
      ->check(sizes);
  // Test-only: faults that passes can make. Not in the help.
  command->add_option("--pass-option", arguments->passOptions)->allow_extra_args(false)->group("");
  command
      ->add_option("--attention", options.compile.attention,
                   "Back end of attention, as for ingot compile; may be repeated [auto]")
      ->check(notEmpty())
      ->allow_extra_args(false);
  command
      ->add_option("--outputs", options.compile.outputs,
                   "Outputs that a model has only if asked for: attentions")
      ->delimiter(',')
      ->check(notEmpty() & CLI::IsMember({"attentions"}))
      ->allow_extra_args(false);
  command
      ->add_option("--disable", options.compile.disabledPasses,
                   "Passes to leave out, as in fuse-attention")
      ->delimiter(',')
      ->check(notEmpty())
      ->allow_extra_args(false);
  addJsonFlag(*command, invocation);
  command->footer(
      "Exit code 5: a pass or a kernel changes results; the first one and its op are named.\n\n"
      "Examples:\n"
      "  ingot verify ./all-MiniLM-L6-v2\n"
      "  ingot verify ./Llama-3.2-1B-config-only --weights random:1\n"
      "  ingot verify ./SmolLM2-135M --programs step --pass cse\n"
      "  ingot verify ./SmolLM2-135M --reproducer drift\n"
      "  ingot verify --reproduce drift\n"
      "  ingot verify model.ingot --reproducer launch\n");
  command->final_callback([&invocation, arguments] {
    invocation.action = [&invocation, arguments] { return runVerify(*arguments, invocation.json); };
  });
}

} // namespace ingot::cli
