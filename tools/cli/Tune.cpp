//===- Tune.cpp - `ingot tune` ---------------------------------------------===//

#include <memory>

#include "compiler/Compiler.h"
#include "runtime/weights/JsonWriter.h"
#include "tools/cli/Cli.h"

namespace ingot::cli {

static Status makePack(const CompileOptions &options, bool json) {
  CompileReport report;
  if (Status status = compileShown(options, report); !status.ok())
    return status;
  if (json) {
    JsonWriter writer;
    writer.beginObject().member("output", options.output);
    writer.member("kernels", report.measuredKernels).member("candidates", report.kernels);
    writer.member("target", report.targetArch).member("seconds", report.seconds);
    writer.member("weight_bytes", report.weightBytes).member("file_bytes", report.fileBytes);
    return writeResult(writer.endObject().text() + "\n");
  }
  return writeResult(options.output + ": " + std::to_string(report.kernels) + " ways to run " +
                     std::to_string(report.measuredKernels) + " kernels of " + report.modelType +
                     " for " + report.targetArch + ", " + formatBytes(report.fileBytes) +
                     "; measuring takes " + formatBytes(report.weightBytes + report.arenaBytes) +
                     " of the GPU's memory:\n  ingot-run tune " + options.output +
                     " -o tuning.json\n");
}

void addTuneCommand(CLI::App &app, Invocation &invocation) {
  CLI::App *command =
      app.add_subcommand("tune", "Make a pack that measures a model's kernels on a GPU");
  auto options = std::make_shared<CompileOptions>();
  options->target = "sm_90a";
  options->dtype = "bf16";
  options->embedWeights = false;
  options->tuningPack = true;
  const CLI::Range sizes(int64_t(1), int64_t(1) << 24);
  command->add_option("MODEL", options->model, "Folder with config.json")->required();
  command->add_option("-o,--output", options->output, "The pack to write")
      ->required()
      ->check(notEmpty());
  command
      ->add_option("--target", options->target,
                   "The GPU: sm_80, sm_86, sm_89, sm_90, sm_90a, sm_100a")
      ->capture_default_str();
  command->add_option("--dtype", options->dtype, "As for ingot compile")->capture_default_str();
  command
      ->add_option("--max-batch", options->maxBatch,
                   "As for ingot compile, and so below: kernels "
                   "are measured at their largest sizes")
      ->check(sizes);
  command->add_option("--max-context", options->maxContext)->check(sizes);
  command->add_option("--max-tokens", options->maxTokens)->check(sizes);
  command->add_flag("--packed-input", options->packedInput);
  addJsonFlag(*command, invocation);
  command->footer(
      "No GPU is needed here; ingot-run tune measures, on the GPU, and needs nothing else.\n\n"
      "Examples:\n"
      "  ingot tune ./Llama-3.2-1B -o llama.pack --max-tokens 4096\n"
      "  ingot-run tune llama.pack -o tuning.json\n"
      "  ingot compile ./Llama-3.2-1B -o llama.ingot --target sm_90a --dtype bf16 "
      "--tuning tuning.json\n");
  command->final_callback([&invocation, options] {
    invocation.action = [&invocation, options] { return makePack(*options, invocation.json); };
  });
}

} // namespace ingot::cli
