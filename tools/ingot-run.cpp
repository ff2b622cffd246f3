//===- ingot-run.cpp - Runs .ingot files without the compiler -----*- C++ -*-===//
//
// Needs nothing but libc. stdout is the result, stderr the log; exit codes as in
// runtime/support/Status.h.
//
//===----------------------------------------------------------------------===//
#include "runtime/cli/Commands.h"
#include "runtime/cli/Flags.h"
#include "runtime/support/Text.h"
#include "runtime/weights/JsonWriter.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <unistd.h>

using namespace ingot;

static const char *const kHelp = R"(ingot-run - runs compiled transformer models

  ingot-run run FILE       runs a program of FILE once
  ingot-run generate FILE  continues prompts
  ingot-run bench FILE     times decode steps, prefills, batches
  ingot-run tune PACK      measures which way to run each kernel is the fastest here
  ingot-run inspect FILE   shows what is in FILE
  ingot-run extract-weights FILE  restores the checkpoint that FILE was compiled from
  ingot-run --version

`ingot-run COMMAND --help` shows the command's flags.

Examples:
  ingot-run run minilm.ingot --input input_ids=@ids.npy --output sentence_embedding=@out.npy
  ingot-run generate smollm2.ingot --ids 504,3575,282,4649,314 --max-new-tokens 16
  ingot-run inspect smollm2.ingot
)";

static const char *const kModelHelp = R"(
  --weights FROM       a model folder, a .safetensors file or random:SEED, for a file without
                       weights (or instead of those in it)
  --threads N          worker threads [INGOT_NUM_THREADS, else all processors]
  --format FORMAT      of section graph: dot (Graphviz) or json (Model Explorer) [dot]
  --no-verify          skip the checksums of the sections (the plan is checked all the same)
  --no-streams         launch every kernel by itself, also where one can do many of them at once
  --json               print the result, and any error, as JSON
)";

static const char *const kRunHelp = R"(ingot-run run FILE [flags] - runs a program once

  --program NAME       which program [the only one, else forward]
  --input NAME=@X.npy  an input; or values: NAME=1,2,3;4,5,6 with rows between semicolons
  --output NAME=@Y.npy writes an output; NAME alone prints it. None: a summary of all outputs
  --repeat N           runs N times and reports the times
  --profile            times every launch and reports by kernel)";

static const char *const kRunExamples = R"(
Examples:
  ingot-run run minilm.ingot --input input_ids=@ids.npy --input attention_mask=@mask.npy \
      --output sentence_embedding=@out.npy
  ingot-run run smollm2.ingot --input "input_ids=504,3575,282" --output logits --json
  ingot-run run smollm2.ingot --weights random:1 --input input_ids=1,2,3 --repeat 20 --profile
)";

static const char *const kGenerateHelp =
    R"(ingot-run generate FILE --ids IDS [flags] - continues prompts

  --ids IDS            token ids 1,2,3; or @FILE with a prompt a line, or an .npy; repeatable
  --max-new-tokens N   at most so many new tokens a prompt [128]
  --greedy, --sample   take the likeliest token, or draw [as the model was published]
  --temperature T      divides the logits; 0 is greedy        --top-k K    0 for off
  --top-p P            in (0, 1]                              --min-p P    in [0, 1]
  --repetition-penalty R   above 0; 1 for off
  --seed S             prompt i draws with seed S + i [0]
  --eos IDS            tokens that end a sequence [the model's]
  --ignore-eos         never end early)";

static const char *const kGenerateExamples = R"(
Prints the new tokens of each prompt, a line each, and why it stopped.

Examples:
  ingot-run generate smollm2.ingot --ids 504,3575,282,4649,314 --greedy
  ingot-run generate smollm2.ingot --ids 1,2,3 --ids 4,5 --temperature 0.7 --top-p 0.9 --seed 1
  ingot-run generate smollm2.ingot --ids @prompts.txt --max-new-tokens 64 --json
)";

static const char *const kBenchHelp = R"(ingot-run bench FILE [flags] - times a model's programs

  --decode ROWSxTOKENS     a decode step of rows that have that many tokens in the cache
  --prefill ROWSxTOKENS    prompts of that length through the step program
  --forward ROWSxTOKENS    a batch through forward; 8x128@50: half of it is padding
                           (each repeatable; one load serves all cases)
  --runs N, --warmup N     counted runs of each case, and the least runs before them, for a
                           fifth of a second unless none [20, 3])";

static const char *const kBenchExamples = R"(
Inputs are random within their ranges; results stay on the device.

Examples:
  ingot-run bench smollm2.ingot --decode 1x100 --decode 8x100 --prefill 1x256
  ingot-run bench minilm.ingot --forward 8x128 --forward 8x128@50 --json
)";

static const char *const kTuneHelp =
    R"(ingot-run tune PACK -o FILE [flags] - measures candidates of kernels

  -o FILE              the tuning file (JSON); what it has of this GPU is not measured again, so an
                       interrupted run goes on where it was, and packs of several models share it
  --again              measure all the same
  --rounds N           counted runs of each candidate that is not clearly behind [15]
  --json               print JSON

PACK comes from `ingot tune MODEL --target sm_90a -o PACK`. Operands are random; a candidate that
computes something else than the others is left out. What was measured is used by `ingot compile
MODEL --tuning FILE`.

Example:
  ingot-run tune llama.pack -o tuning.json
)";

static const char *const kInspectHelp = R"(ingot-run inspect FILE [flags] - shows what is in a file

  --section NAME       one section in full; repeatable:)";

static const char *const kInspectExamples = R"(
  --no-verify          skip the checksums of the sections
  --json               print JSON: everything, or the sections asked for

Examples:
  ingot-run inspect smollm2.ingot
  ingot-run inspect smollm2.ingot --section kernels
  ingot-run inspect smollm2.ingot --section memory --json
)";

static const char *const kExtractHelp =
    R"(ingot-run extract-weights FILE -o DIR - restores the checkpoint

  -o DIR               folder for model.safetensors; made if missing
  --json               print JSON

Every tensor that the model reads is restored bit for bit, in the type it was stored in, or the
command fails and says why. config.json, the tokenizer and tensors that the model does not read are
not in an ingot.

Example:
  ingot-run extract-weights smollm2.ingot -o restored
)";

namespace {

void addModelFlags(commands::Flags &flags, commands::ModelOptions &model, uint64_t &threads) {
  flags.addPositional("FILE, an .ingot file", model.file);
  flags.add("--weights", model.weights);
  flags.add("--threads", threads, 1, 1024);
  flags.addSwitch("--no-verify", [&model] { model.verifyChecksums = false; });
  flags.addSwitch("--no-streams", [&model] { model.streams = false; });
}

Result<std::string> runCommand(std::span<const std::string> arguments) {
  commands::RunOptions options;
  commands::Flags flags;
  uint64_t threads = 0;
  addModelFlags(flags, options.model, threads);
  flags.add("--program", options.program);
  flags.add("--input", options.inputs);
  flags.add("--output", options.outputs);
  flags.add("--repeat", options.repeat, 1, 1'000'000'000);
  flags.addSwitch("--profile", options.profile);
  flags.addSwitch("--json", options.json);
  if (Status status = flags.parse(arguments); !status.ok())
    return status;
  options.model.threads = unsigned(threads);
  return commands::run(options);
}

Result<std::string> generateCommand(std::span<const std::string> arguments) {
  commands::GenerateOptions options;
  commands::Flags flags;
  uint64_t threads = 0;
  bool greedy = false, sample = false;
  addModelFlags(flags, options.model, threads);
  flags.add("--ids", options.prompts);
  flags.add("--max-new-tokens", options.maxNewTokens, 1, UINT32_MAX);
  flags.addSwitch("--greedy", greedy);
  flags.addSwitch("--sample", sample);
  flags.add("--temperature", options.temperature);
  flags.add("--top-k", options.topK, 0, UINT32_MAX);
  flags.add("--top-p", options.topP);
  flags.add("--min-p", options.minP);
  flags.add("--repetition-penalty", options.repetitionPenalty);
  flags.add("--seed", options.seed, 0, UINT64_MAX);
  flags.add("--eos", options.eosIds);
  flags.addSwitch("--ignore-eos", options.ignoreEos);
  flags.addSwitch("--json", options.json);
  if (Status status = flags.parse(arguments); !status.ok())
    return status;
  if (greedy && sample)
    return Status(ExitCode::Usage, "--greedy and --sample exclude each other");
  if (greedy || sample)
    options.sample = sample;
  options.model.threads = unsigned(threads);
  return commands::generate(options);
}

Result<std::string> benchCommand(std::span<const std::string> arguments) {
  commands::BenchOptions options;
  commands::Flags flags;
  uint64_t threads = 0;
  addModelFlags(flags, options.model, threads);
  flags.add("--forward", options.forward);
  flags.add("--prefill", options.prefill);
  flags.add("--decode", options.decode);
  flags.add("--runs", options.runs, 1, 1'000'000);
  flags.add("--warmup", options.warmup, 0, 1'000'000);
  flags.addSwitch("--json", options.json);
  if (Status status = flags.parse(arguments); !status.ok())
    return status;
  options.model.threads = unsigned(threads);
  return commands::bench(options);
}

Result<std::string> tuneCommand(std::span<const std::string> arguments) {
  commands::TuneOptions options;
  commands::Flags flags;
  flags.addPositional("PACK, a file of ingot tune", options.model.file);
  flags.add("-o", options.output);
  flags.addSwitch("--again", options.again);
  flags.add("--rounds", options.rounds, 1, 10'000);
  flags.addSwitch("--json", options.json);
  if (Status status = flags.parse(arguments); !status.ok())
    return status;
  if (options.output.empty())
    return Status(ExitCode::Usage, "expected -o FILE, the tuning file to write");
  options.onKernel = [](size_t index, size_t count, const std::string &kernel) {
    std::fprintf(stderr, "[%zu/%zu] %s\n", index + 1, count, quoted(kernel).c_str());
  };
  options.onWrong = [](const std::string &kernel, const std::string &what) {
    std::fprintf(stderr, "warning: %s: left out, it computes something else: %s\n",
                 quoted(kernel).c_str(), quoted(what).c_str());
  };
  return commands::tune(options);
}

Result<std::string> inspectCommand(std::span<const std::string> arguments) {
  commands::InspectOptions options;
  commands::Flags flags;
  flags.addPositional("FILE, an .ingot file", options.file);
  flags.add("--section", options.sections);
  flags.add("--format", options.format);
  flags.addSwitch("--no-verify", [&options] { options.verifyChecksums = false; });
  flags.addSwitch("--json", options.json);
  if (Status status = flags.parse(arguments); !status.ok())
    return status;
  return commands::inspect(options);
}

Result<std::string> extractCommand(std::span<const std::string> arguments) {
  commands::ExtractOptions options;
  commands::Flags flags;
  flags.addPositional("FILE, an .ingot file", options.file);
  flags.add("-o", options.output);
  flags.addSwitch("--json", options.json);
  if (Status status = flags.parse(arguments); !status.ok())
    return status;
  if (options.output.empty())
    return Status(ExitCode::Usage, "expected -o DIR, the folder for model.safetensors");
  return commands::extractWeights(options);
}

struct Command {
  const char *name;
  Result<std::string> (*run)(std::span<const std::string>);
  std::string (*help)();
};

std::string inspectHelp() {
  std::string sections;
  for (const std::string &section : commands::inspectSections())
    sections += " " + section;
  return text(kInspectHelp, "\n                      ", sections, kInspectExamples);
}

const Command kCommands[] = {
    {"run", runCommand, [] { return text(kRunHelp, kModelHelp, kRunExamples); }},
    {"generate", generateCommand,
     [] { return text(kGenerateHelp, kModelHelp, kGenerateExamples); }},
    {"bench", benchCommand, [] { return text(kBenchHelp, kModelHelp, kBenchExamples); }},
    {"tune", tuneCommand, [] { return std::string(kTuneHelp); }},
    {"inspect", inspectCommand, inspectHelp},
    {"extract-weights", extractCommand, [] { return std::string(kExtractHelp); }},
};

const char *kindOf(ExitCode code) {
  static const char *const kinds[] = {"ok",
                                      "internal",
                                      "usage",
                                      "malformed-input",
                                      "unsupported",
                                      "accuracy-mismatch",
                                      "integrity",
                                      "device-mismatch",
                                      "out-of-resources"};
  return kinds[unsigned(code)];
}

int fail(const Status &status, bool json) {
  const char *noColor = std::getenv("NO_COLOR");
  bool color = ::isatty(STDERR_FILENO) && !(noColor && *noColor);
  std::fprintf(stderr, "ingot-run: %serror:%s %s\n", color ? "\033[1;31m" : "",
               color ? "\033[0m" : "", status.message().c_str());
  if (json) {
    JsonWriter writer;
    writer.beginObject().key("error").beginObject();
    writer.member("code", int(status.code())).member("kind", kindOf(status.code()));
    writer.member("message", status.message()).endObject().endObject();
    std::printf("%s\n", writer.text().c_str());
    std::fflush(stdout);
  }
  return int(status.code());
}

int print(std::string_view out) {
  if (std::fwrite(out.data(), 1, out.size(), stdout) == out.size() && std::fflush(stdout) == 0)
    return 0;
  return fail(Status(ExitCode::OutOfResources,
                     text("cannot write to standard output: ", std::strerror(errno))),
              false);
}

bool contains(std::span<const std::string> arguments, std::string_view a, std::string_view b) {
  return std::any_of(arguments.begin(), arguments.end(),
                     [=](const std::string &argument) { return argument == a || argument == b; });
}

} // namespace

int main(int argc, char **argv) {
  std::vector<std::string> arguments(argv + (argc > 0), argv + argc);
  if (arguments.empty())
    return fail(
        Status(ExitCode::Usage,
               "expected a command: run, generate, bench, tune, inspect or extract-weights; "
               "ingot-run --help shows more"),
        false);
  std::string name = arguments[0];
  if (name == "--help" || name == "-h" || name == "help")
    return print(kHelp);
  if (name == "--version")
    return print("ingot-run 0.1.0\n");
  arguments.erase(arguments.begin());
  bool json = contains(arguments, "--json", "--json");
  for (const Command &command : kCommands) {
    if (name != command.name)
      continue;
    if (contains(arguments, "--help", "-h"))
      return print(command.help());
    Result<std::string> out = command.run(arguments);
    return out.ok() ? print(*out) : fail(out.status(), json);
  }
  return fail(
      Status(
          ExitCode::Usage,
          text("expected a command: run, generate, bench, tune, inspect or extract-weights, got ",
               quoted(name))),
      json);
}
