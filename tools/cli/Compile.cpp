//===- Compile.cpp - `ingot compile` ---------------------------------------===//

#include <memory>

#include "compiler/Compiler.h"
#include "runtime/weights/JsonWriter.h"
#include "tools/cli/Cli.h"
#include "tools/cli/Terminal.h"

namespace ingot::cli {

namespace {
struct CompileArguments {
  CompileOptions options;
  std::string weights = "embed";
  std::string maxMemory;
};
} // namespace

static void programAsJson(const ProgramReport &program, JsonWriter &json) {
  json.beginObject().member("name", program.name).member("launches", program.launches);
  json.member("imported_ops", program.importedOps).member("ops", program.ops);
  json.member("activation_bytes", program.activationBytes).key("costs").beginArray();
  for (const CostEstimate &cost : program.costs) {
    json.beginObject().member("what", cost.what).member("tokens", cost.tokens);
    json.member("flops", cost.flops).member("bytes", cost.bytes).key("predicted_seconds");
    (cost.seconds > 0 ? json.value(cost.seconds) : json.null()).endObject();
  }
  json.endArray().key("savings").beginArray();
  for (const PaddingSaving &saving : program.savings) {
    json.beginObject().member("what", saving.what).member("fill", saving.fill);
    json.member("tokens", saving.tokens).member("flops", saving.flops);
    json.member("share", saving.share).endObject();
  }
  json.endArray().endObject();
}

static std::string asJson(const CompileOptions &options, const CompileReport &report) {
  JsonWriter json;
  json.beginObject();
  if (options.stopAfter.empty())
    json.member("output", options.output);
  json.member("model_type", report.modelType).member("target", report.targetArch);
  if (!report.ir.empty())
    json.member("phase", options.stopAfter).member("ir", report.ir);
  json.member("seconds", report.seconds);
  json.member("peak_bytes", report.peakBytes);
  json.member("peak_resident_bytes", report.peakResidentBytes);
  json.member("arena_bytes", report.arenaBytes);
  json.member("weight_bytes", report.weightBytes);
  json.member("state_bytes", report.stateBytes);
  json.member("kernels", report.kernels);
  json.member("code_bytes", report.codeBytes);
  json.member("file_bytes", report.fileBytes);
  json.member("ceiling", report.ceiling);
  json.key("programs").beginArray();
  for (const ProgramReport &program : report.programs)
    programAsJson(program, json);
  json.endArray().key("phases").beginArray();
  for (const PhaseReport &phase : report.phases)
    json.beginObject()
        .member("name", phaseName(phase.phase))
        .member("seconds", phase.seconds)
        .member("peak_bytes", phase.peakBytes)
        .endObject();
  json.endArray().key("remarks").beginArray();
  for (const std::string &remark : report.remarks)
    json.value(remark);
  json.endArray().endObject();
  return json.text() + "\n";
}

/// 1.23 with the prefix of its size: 4.1 G.
static std::string formatCount(double value, const char *unit) {
  static constexpr const char *prefixes[] = {"", "k", "M", "G", "T", "P"};
  size_t prefix = 0;
  for (; value >= 999.5 && prefix + 1 < std::size(prefixes); ++prefix)
    value /= 1000;
  char text[64];
  snprintf(text, sizeof text, "%.3g %s%s", value, prefixes[prefix], unit);
  return text;
}

static std::string formatSeconds(double seconds) {
  char text[64];
  snprintf(text, sizeof text, seconds < 1 ? "%.3g ms" : "%.3g s",
           seconds < 1 ? seconds * 1e3 : seconds);
  return text;
}

/// The table of a program: what fusion made of it, what a call costs, what that takes at best.
static std::string programAsText(const ProgramReport &program, const std::string &ceiling) {
  char line[512];
  snprintf(line, sizeof line,
           "  program %-10s %llu ops imported, %llu left, %llu launches; activations %s without "
           "inputs and outputs\n",
           program.name.c_str(), (unsigned long long)program.importedOps,
           (unsigned long long)program.ops, (unsigned long long)program.launches,
           formatBytes(program.activationBytes).c_str());
  std::string text = line;
  for (const CostEstimate &cost : program.costs) {
    double tokens = double(cost.tokens);
    snprintf(line, sizeof line, "    %-29s %6llu tokens, %11s and %9s a token", cost.what.c_str(),
             (unsigned long long)cost.tokens, formatCount(cost.flops / tokens, "FLOP").c_str(),
             formatCount(cost.bytes / tokens, "B").c_str());
    text += line;
    if (cost.seconds > 0)
      text += "; at least " + formatSeconds(cost.seconds) + " on " + ceiling;
    text += "\n";
    for (const PaddingSaving &saving : program.savings) {
      if (saving.what != cost.what)
        continue;
      snprintf(line, sizeof line,
               "      %2.0f %% of it tokens: %llu tokens and %s less (%.0f %%)\n",
               saving.fill * 100, (unsigned long long)saving.tokens,
               formatCount(saving.flops, "FLOP").c_str(), saving.share * 100);
      text += line;
    }
  }
  return text;
}

static std::string asText(const CompileOptions &options, const CompileReport &report) {
  char line[256];
  std::string text = options.output + ": " + report.modelType + " for " + report.targetArch + "\n";
  auto add = [&](const char *name, const std::string &value) {
    snprintf(line, sizeof line, "  %-12s ", name);
    text += line + value + "\n";
  };
  add("file", formatBytes(report.fileBytes) + ": weights " + formatBytes(report.weightBytes) +
                  (options.embedWeights ? "" : " (not embedded)") + ", code " +
                  formatBytes(report.codeBytes));
  add("run memory", "activations " + formatBytes(report.arenaBytes) + " at most, state " +
                        formatBytes(report.stateBytes));
  add("kernels", std::to_string(report.kernels));
  for (const ProgramReport &program : report.programs)
    text += programAsText(program, report.ceiling);
  std::string phases;
  for (const PhaseReport &phase : report.phases) {
    snprintf(line, sizeof line, "%s%s %.2f", phases.empty() ? "" : ", ",
             std::string(phaseName(phase.phase)).c_str(), phase.seconds);
    phases += line;
  }
  snprintf(line, sizeof line, "%.2f s: ", report.seconds);
  add("compile time", line + phases);
  add("peak memory", formatBytes(report.peakBytes) + " (" + formatBytes(report.peakResidentBytes) +
                         " with mapped files)");
  return text;
}

Status compileShown(const CompileOptions &options, CompileReport &report) {
  Terminal &terminal = Terminal::standardError();
  Status status = compile(options, report, [&](Phase phase) {
    terminal.progress(static_cast<unsigned>(phase) + 1, phaseTable.size(), phaseName(phase));
  });
  terminal.clearProgress();
  for (const std::string &remark : report.remarks)
    terminal.note(remark);
  return status;
}

static Status compileModel(CompileArguments &arguments, bool json) {
  CompileOptions &options = arguments.options;
  CompileReport report;
  if (Status status = compileShown(options, report); !status.ok())
    return status;
  if (json)
    return writeResult(asJson(options, report));
  if (!options.stopAfter.empty())
    return writeResult(report.ir);
  return writeResult(asText(options, report));
}

void addCompileCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command = app.add_subcommand("compile", "Compile a Hugging Face folder to an ingot");
  auto arguments = std::make_shared<CompileArguments>();
  CompileOptions &options = arguments->options;
  const CLI::Range sizes(int64_t(1), int64_t(1) << 24);

  command->add_option("MODEL", options.model, "Folder with config.json and *.safetensors")
      ->required();
  command->add_option("-o,--output", options.output, "The .ingot file to write")->check(notEmpty());
  command
      ->add_option(
          "--target", options.target,
          "host (this machine), x86-64-v2 to x86-64-v4, or a GPU: sm_80, sm_86, "
          "sm_89, sm_90, sm_90a, sm_100a; or several processors or GPUs, as in sm_90a,sm_80: the "
          "ingot then runs on each")
      ->capture_default_str();
  command->add_option("--dtype", options.dtype, "Type of weights and activations: f32, bf16 or f16")
      ->capture_default_str();
  command->add_option("--max-batch", options.maxBatch, "Most rows (sequences) a call takes [8]")
      ->check(sizes);
  command
      ->add_option("--max-context", options.maxContext,
                   "Longest sequence in tokens, prompt and continuation "
                   "[the model's maximum, at most 2048]")
      ->check(sizes);
  command
      ->add_option("--max-tokens", options.maxTokens,
                   "Most tokens a call takes, padding included [2048 or --max-context]")
      ->check(sizes);
  command
      ->add_option("--weights", arguments->weights,
                   "embed: in the file; none: bound when the ingot is loaded")
      ->capture_default_str();
  command
      ->add_option("--max-memory", arguments->maxMemory,
                   "Refuse to compile what needs more at run time (512M, 2.5GiB)")
      ->check(notEmpty());
  command
      ->add_option(
          "--attention", options.attention,
          "Back end of attention: auto, flash (f16, bf16), efficient (any type, any bias) or "
          "math (scores in memory), for all layers or BACKEND:LAYERS for some, as in "
          "math:0,3-5; may be repeated, the last one for a layer counts [auto]")
      ->check(notEmpty())
      ->allow_extra_args(false);
  command
      ->add_option("--outputs", options.outputs,
                   "Outputs that a model has only if asked for: attentions (the probabilities of "
                   "each layer, [B, heads, S, S]; its attention then runs by math)")
      ->delimiter(',')
      ->check(notEmpty())
      ->allow_extra_args(false);
  command
      ->add_option("--tuning", options.tuning,
                   "File of measured choices, from ingot-run tune; may be repeated, the last one "
                   "for a kernel counts")
      ->check(notEmpty())
      ->allow_extra_args(false);
  command
      ->add_option(
          "--gpu", options.gpu,
          "Of --tuning and of what comes with ingot, what was measured on GPUs of this "
          "name, as in h200 [all that fit the target, of what comes with ingot h100 first]")
      ->check(notEmpty());
  command
      ->add_option("--streams", options.streams,
                   "Most tokens of a call for which a GPU runs the launches of all layers as one "
                   "grid (sm_90a), 0 for none [3, where it pays]")
      ->check(CLI::Range(int64_t(0), int64_t(8)));
  command
      ->add_option(
          "--disable", options.disabledPasses,
          "Passes to leave out, as in fuse-attention; for finding out which one is to blame")
      ->delimiter(',')
      ->check(notEmpty())
      ->allow_extra_args(false);
  command
      ->add_option("--stop-after", options.stopAfter,
                   "Print the IR after a phase and stop: import, fuse, unpad, lower, plan")
      ->check(notEmpty());
  command
      ->add_option("--dump-phases", options.dumpPhases,
                   "Folder for the IR after each phase, NN-phase.mlir")
      ->check(notEmpty());
  command
      ->add_option("--dump-kernels", options.dumpKernels,
                   "Folder for what each kernel goes through")
      ->check(notEmpty());
  command->add_flag("--remarks", options.allRemarks,
                    "Show what passes did, too, and not only what they could not do");
  command->add_flag("--packed-input", options.packedInput,
                    "Take packed tokens and cu_seqlens instead of padded batches with a mask");
  command->add_flag("--no-fallback", options.noFallback,
                    "Make every remark about a path not taken an error");
  command->add_flag("--debug-info", options.debugInfo,
                    "Keep the IR of each phase in the file's debug section");
  addJsonFlag(*command, invocation);
  command->footer("Examples:\n"
                  "  ingot compile ./all-MiniLM-L6-v2 -o minilm.ingot\n"
                  "  ingot compile ./SmolLM2-135M -o smol.ingot --max-batch 4 --max-context 1024\n"
                  "  ingot compile ./SmolLM2-135M -o smol.ingot --weights none\n"
                  "  ingot compile ./Llama-3.2-1B -o llama.ingot --target sm_90a --dtype bf16\n"
                  "  ingot compile ./SmolLM2-135M --stop-after lower\n");

  command->final_callback([&invocation, arguments] {
    invocation.action = [&invocation, arguments]() -> Status {
      if (arguments->weights != "embed" && arguments->weights != "none")
        return Status(ExitCode::Usage, "unknown --weights '" + arguments->weights +
                                           "': expected embed or none (compile embeds the "
                                           "checkpoint's weights or leaves them out; another "
                                           "folder is bound with ingot run --weights DIR)");
      arguments->options.embedWeights = arguments->weights == "embed";
      if (!arguments->maxMemory.empty()) {
        Result<uint64_t> limit = parseBytes(arguments->maxMemory);
        if (!limit.ok())
          return limit.status().withContext("--max-memory ");
        arguments->options.maxMemory = *limit;
      }
      return compileModel(*arguments, invocation.json);
    };
  });
}

} // namespace ingot::cli
