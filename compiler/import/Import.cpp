//===- Import.cpp - A model folder becomes a transformer module ------------===//
#include "compiler/import/Import.h"

#include "compiler/import/Builder.h"
#include "compiler/import/Family.h"
#include "compiler/import/Generation.h"
#include "compiler/import/SentenceTransformers.h"
#include "runtime/weights/Json.h"

#include "mlir/IR/Verifier.h"

#include <limits>
#include <optional>
#include <vector>

#include <sys/stat.h>

using namespace mlir;

namespace ingot::import {
namespace {

constexpr int64_t kDefaultContext = 2048;
constexpr int64_t kDefaultBatch = 8;

bool exists(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

Result<JsonDocument> readFolderJson(const std::string &folder, const std::string &name) {
  Result<std::string> file = resolveModelFile(folder, name);
  if (!file.ok())
    return file.status();
  return readJsonFile(*file, {.name = name, .allowNonFinite = true});
}

Result<TransformerSpec> readFolder(const std::string &folder, std::vector<std::string> &remarks) {
  if (!exists(folder + "/config.json"))
    return Status(ExitCode::MalformedInput, folder +
                                                ": expected a model folder with config.json, got " +
                                                (exists(folder) ? "none" : "no such folder"));
  Result<JsonDocument> document = readFolderJson(folder, "config.json");
  if (!document.ok())
    return document.status();
  Result<TransformerSpec> spec = readSpec(document->root());
  if (!spec.ok())
    return spec.status();
  if (Status status = readSentenceTransformers(folder, *spec); !status.ok())
    return status;
  if (spec->task == Task::CausalLM) {
    JsonView absent(nullptr, "generation_config.json");
    Status status;
    if (exists(folder + "/generation_config.json")) {
      Result<JsonDocument> generation = readFolderJson(folder, "generation_config.json");
      status = generation.ok()
                   ? readGeneration(generation->root(), document->root(), *spec, remarks)
                   : generation.status();
    } else {
      status = readGeneration(absent, document->root(), *spec, remarks);
    }
    if (!status.ok())
      return status;
  }
  return spec;
}

/// Options or their defaults, checked against what the model and i32 positions can do.
Result<Maxima> chooseMaxima(const TransformerSpec &spec, const ImportOptions &options,
                            std::vector<std::string> &remarks) {
  Maxima maxima;
  auto outOfRange = [](const char *flag, int64_t value, int64_t max) {
    return Status(ExitCode::Usage, std::string(flag) + ": expected 1 to " + std::to_string(max) +
                                       ", got " + std::to_string(value));
  };
  constexpr int64_t kMaxBatch = 1 << 16, kMaxTokens = 1 << 24;
  maxima.batch = options.maxBatch ? options.maxBatch : kDefaultBatch;
  if (maxima.batch < 1 || maxima.batch > kMaxBatch)
    return outOfRange("--max-batch", maxima.batch, kMaxBatch);
  maxima.context =
      options.maxContext ? options.maxContext : std::min(spec.maxPositions, kDefaultContext);
  int64_t hardLimit = spec.positionsAreHardLimit ? spec.maxPositions : kMaxTokens;
  if (maxima.context < 1 || maxima.context > hardLimit)
    return outOfRange("--max-context", maxima.context, hardLimit);
  if (maxima.context > spec.maxPositions && !(spec.embedding.rope && spec.embedding.rope->dynamic))
    remarks.push_back("--max-context " + std::to_string(maxima.context) + " is more than the " +
                      std::to_string(spec.maxPositions) + " positions the model was made for");
  maxima.tokens = options.maxTokens ? options.maxTokens : std::max(kDefaultContext, maxima.context);
  if (maxima.tokens < 1 || maxima.tokens > kMaxTokens)
    return outOfRange("--max-tokens", maxima.tokens, kMaxTokens);
  maxima.blockSize = options.blockSize;
  if (maxima.blockSize < 1 || maxima.blockSize > 4096)
    return outOfRange("block size", maxima.blockSize, 4096);
  // A call has at least one token a row.
  maxima.batch = std::min(maxima.batch, maxima.tokens);
  // Block numbers are i32, and a layer's cache must be a size that can be said.
  std::optional<uint64_t> state = numElements(
      {{maxima.blocks(), spec.attention.kvHeads, maxima.blockSize, spec.attention.headDim}});
  if (maxima.blocks() > std::numeric_limits<int32_t>::max() || !state || *state > (1ull << 50))
    return Status(ExitCode::OutOfResources,
                  "--max-batch " + std::to_string(maxima.batch) + " and --max-context " +
                      std::to_string(maxima.context) + " need a key/value cache of " +
                      std::to_string(maxima.blocks()) +
                      " blocks a layer; expected at most 2^31 blocks and 2^50 elements");
  return maxima;
}

} // namespace

Result<ImportedModel> importModel(MLIRContext &context, const ImportOptions &options) {
  ImportedModel imported;
  Result<TransformerSpec> spec = readFolder(options.model, imported.remarks);
  if (!spec.ok())
    return spec.status();
  spec->attentionsOutput = options.attentions;
  if (options.checkpoint)
    fitToCheckpoint(*spec, *options.checkpoint, imported.remarks);
  Result<Maxima> maxima = chooseMaxima(*spec, options, imported.remarks);
  if (!maxima.ok())
    return maxima.status();

  SourceTable sources(*spec);
  imported.module = buildModule(context, *spec, *maxima, sources, options.dtype);
  if (failed(verify(*imported.module)))
    return Status(ExitCode::Internal, "the importer made a module that does not verify; this is a "
                                      "defect of ingot, please report the model's config.json");
  if (options.checkpoint)
    if (Status status =
            checkSources(*spec, sources.sources(), *options.checkpoint, imported.remarks);
        !status.ok())
      return status;
  imported.spec = std::move(*spec);
  return imported;
}

} // namespace ingot::import
