//===- ExtractCommand.cpp -----------------------------------------*- C++ -*-===//
//
// The checkpoint of an ingot, restored from its weights. One tensor is in memory at a time.
//
//===----------------------------------------------------------------------===//
#include "runtime/cli/Commands.h"
#include "runtime/format/Artifact.h"
#include "runtime/format/Checksum.h"
#include "runtime/format/PlanRecipes.h"
#include "runtime/support/Text.h"
#include "runtime/support/ThreadPool.h"
#include "runtime/support/Try.h"
#include "runtime/weights/JsonWriter.h"
#include "runtime/weights/RecipeInvert.h"
#include "runtime/weights/SafetensorsWriter.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <sys/stat.h>

namespace ingot::commands {
namespace {

/// A tensor of the checkpoint that the ingot was made of.
struct StoredTensor {
  size_t source = 0; // index into Plan.sources
  std::string name;
  TensorType type;
  uint64_t checksum = 0;
  std::vector<const EmbeddedWeight *> weights;
};

class Extraction {
public:
  explicit Extraction(const Artifact &artifact) : artifact_(artifact), plan_(artifact.plan()) {}

  Status collect();
  Status write(const std::string &path);

  size_t tensors() const { return stored_.size(); }
  uint64_t bytes() const { return bytes_; }

private:
  Status collectSources();
  Status collectWeights();
  Status restore(const StoredTensor &tensor, std::vector<std::byte> &bytes) const;

  const Artifact &artifact_;
  const format::Plan &plan_;
  std::vector<StoredTensor> stored_; // by name
  std::vector<TensorType> sourceTypes_;
  std::vector<EmbeddedWeight> weights_;
  uint64_t bytes_ = 0;
};

Status Extraction::collectSources() {
  for (unsigned i = 0; plan_.sources() && i < plan_.sources()->size(); ++i) {
    const format::Source &source = *plan_.sources()->Get(i);
    std::string where = text("sources[", i, "] ", quoted(source.name()->string_view()));
    TensorType &type = sourceTypes_.emplace_back();
    INGOT_TRY(tensorType(where, format::DType::F32, source.shape(), type));
    if (!source.stored())
      return Status(ExitCode::Unsupported,
                    text(where, ": the ingot does not say what the checkpoint stored for it"));
    type.elementType = ElementType(source.stored()->type());
    if (!numBytes(type))
      return Status(ExitCode::MalformedInput, text("plan: ", where, ": is past 2^63 bytes"));
    stored_.push_back({i, source.stored()->name()->str(), type, source.stored()->checksum(), {}});
  }
  return {};
}

Status Extraction::collectWeights() {
  weights_.reserve(plan_.weights() ? plan_.weights()->size() : 0); // pointers into it are kept
  for (unsigned i = 0; plan_.weights() && i < plan_.weights()->size(); ++i) {
    const format::Weight &weight = *plan_.weights()->Get(i);
    std::string where = text("weights[", i, "] ", quoted(weight.name()->string_view()));
    EmbeddedWeight &embedded = weights_.emplace_back();
    embedded.name = weight.name()->str();
    INGOT_TRY(tensorType(where, weight.dtype(), weight.shape(), embedded.type));
    Result<std::vector<RecipeStep>> recipe = planRecipe(where, weight);
    if (!recipe.ok())
      return recipe.status();
    embedded.recipe = *std::move(recipe);
    for (unsigned j = 0; weight.sources() && j < weight.sources()->size(); ++j) {
      size_t source = weight.sources()->Get(j);
      embedded.tensors.push_back(source);
      embedded.sourceTypes.push_back(sourceTypes_[source]);
      if (stored_[source].weights.empty() || stored_[source].weights.back() != &embedded)
        stored_[source].weights.push_back(&embedded);
    }
    std::optional<uint64_t> range = weightRangeOffset(plan_, weight.device());
    std::span<const std::byte> section = artifact_.section(SectionKind::Weights);
    // Validation has placed every weight inside its device's range, and the ranges inside the
    // section.
    embedded.data = section.data() + *range + weight.offset();
  }
  return {};
}

Status Extraction::collect() {
  if (!plan_.weights_embedded())
    return Status(ExitCode::Usage,
                  "the ingot holds no weights: it was compiled with --weights none");
  INGOT_TRY(collectSources());
  INGOT_TRY(collectWeights());
  std::sort(stored_.begin(), stored_.end(),
            [](const StoredTensor &a, const StoredTensor &b) { return a.name < b.name; });
  for (size_t i = 0; i < stored_.size(); ++i) {
    if (i > 0 && stored_[i].name == stored_[i - 1].name)
      return Status(
          ExitCode::MalformedInput,
          text("plan: sources: two say that they were stored as ", quoted(stored_[i].name)));
    // What no weight holds could be of any size; don't let it ask for memory.
    uint64_t held = 0;
    for (const EmbeddedWeight *weight : stored_[i].weights)
      held += *numElements(weight->type.shape);
    if (held < *numElements(stored_[i].type.shape))
      return Status(ExitCode::Unsupported,
                    text("tensor ", quoted(stored_[i].name), ": ", stored_[i].type.str(),
                         " is more than the ingot's weights hold of it"));
  }
  return {};
}

Status Extraction::restore(const StoredTensor &tensor, std::vector<std::byte> &bytes) const {
  bytes.resize(*numBytes(tensor.type));
  std::string doubt;
  Status status = restoreTensor(tensor.source, tensor.type, tensor.weights, bytes, doubt);
  if (status.ok() && checksum(bytes) != tensor.checksum)
    status = doubt.empty() ? Status(ExitCode::Integrity,
                                    "what the weights give is not what the checkpoint stored")
                           : Status(ExitCode::Unsupported, doubt);
  return status.withContext(text("tensor ", quoted(tensor.name), " cannot be restored: "));
}

Status Extraction::write(const std::string &path) {
  std::vector<SafetensorsWriter::Tensor> tensors;
  uint64_t total = 0;
  for (const StoredTensor &tensor : stored_) {
    tensors.push_back({tensor.name, tensor.type});
    if (__builtin_add_overflow(total, *numBytes(tensor.type), &total) || total > INT64_MAX)
      return Status(ExitCode::MalformedInput, "plan: sources are past 2^63 bytes in all");
  }
  Result<std::unique_ptr<SafetensorsWriter>> writer = SafetensorsWriter::create(path, tensors);
  if (!writer.ok())
    return writer.status();
  std::vector<std::byte> bytes;
  for (const StoredTensor &tensor : stored_) {
    INGOT_TRY(restore(tensor, bytes));
    INGOT_TRY((*writer)->write(bytes));
  }
  INGOT_TRY((*writer)->commit());
  bytes_ = (*writer)->fileBytes();
  return {};
}

} // namespace

Result<std::string> extractWeights(const ExtractOptions &options) {
  auto threads = ThreadPool::defaultThreads();
  if (!threads.ok())
    return threads.status();
  auto pool = ThreadPool::create(*threads);
  if (!pool.ok())
    return pool.status();
  auto artifact = Artifact::open(options.file, {true, pool->get()});
  if (!artifact.ok())
    return artifact.status();
  Extraction extraction(**artifact);
  if (Status status = extraction.collect(); !status.ok())
    return status.withContext(options.file + ": ");
  if (::mkdir(options.output.c_str(), 0777) != 0 && errno != EEXIST)
    return Status(ExitCode::Usage, text("-o: cannot make the folder ", quoted(options.output), ": ",
                                        std::strerror(errno)));
  struct stat info;
  if (::stat(options.output.c_str(), &info) != 0 || !S_ISDIR(info.st_mode))
    return Status(ExitCode::Usage, text("-o: ", quoted(options.output), " is not a folder"));
  std::string path = options.output + "/model.safetensors";
  if (Status status = extraction.write(path); !status.ok())
    return status.withContext(options.file + ": ");
  if (options.json) {
    JsonWriter json;
    json.beginObject().member("output", path).member("tensors", extraction.tensors());
    json.member("bytes", extraction.bytes()).endObject();
    return json.text() + "\n";
  }
  return text(path, ": ", extraction.tensors(), " tensors, ", bytesText(extraction.bytes()),
              ", each as the checkpoint had it bit for bit\n");
}

} // namespace ingot::commands
