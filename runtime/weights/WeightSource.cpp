//===- WeightSource.cpp - Where weights come from -------------------------===//
#include "runtime/weights/WeightSource.h"
#include "runtime/weights/Utf8.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ingot {

WeightSource::~WeightSource() = default;

namespace {

class CheckpointSource final : public WeightSource {
public:
  explicit CheckpointSource(Checkpoint checkpoint) : checkpoint_(std::move(checkpoint)) {}

  Result<SourceTensor> find(const SourceSpec &spec) const override {
    const CheckpointTensor *tensor = checkpoint_.find(spec.name);
    for (size_t i = 0; !tensor && i < spec.aliases.size(); ++i)
      tensor = checkpoint_.find(spec.aliases[i]);
    if (!tensor)
      return Status(ExitCode::MalformedInput, missing(spec));
    if (tensor->type->shape != spec.shape)
      return Status(ExitCode::MalformedInput, checkpoint_.fileOf(*tensor) + ": tensor " +
                                                  quoteShort(tensor->name) + ": expected shape " +
                                                  shapeStr(spec.shape) + ", got " +
                                                  shapeStr(tensor->type->shape));
    return SourceTensor{*tensor->type, tensor->bytes.data(), std::nullopt, tensor->name};
  }

  std::vector<std::string> surplus(std::span<const SourceSpec> specs) const override {
    std::vector<std::string_view> wanted;
    for (const SourceSpec &spec : specs) {
      wanted.push_back(spec.name);
      wanted.insert(wanted.end(), spec.aliases.begin(), spec.aliases.end());
    }
    std::sort(wanted.begin(), wanted.end());
    std::vector<std::string> names;
    for (const CheckpointTensor &tensor : checkpoint_.tensors())
      if (!std::binary_search(wanted.begin(), wanted.end(), tensor.name))
        names.emplace_back(tensor.name);
    return names;
  }

  Status checkIntact() const override { return checkpoint_.checkIntact(); }

private:
  std::string missing(const SourceSpec &spec) const {
    const std::vector<std::string> &files = checkpoint_.files();
    std::string text = files.size() == 1
                           ? files[0]
                           : files[0] + " and " + std::to_string(files.size() - 1) + " more files";
    text += ": tensor " + quoteShort(spec.name);
    constexpr size_t shown = 3;
    for (size_t i = 0; i < std::min(shown, spec.aliases.size()); ++i)
      text += " or " + quoteShort(spec.aliases[i]);
    if (spec.aliases.size() > shown)
      text += " or " + std::to_string(spec.aliases.size() - shown) + " other names";
    return text + ": expected shape " + shapeStr(spec.shape) + ", got no such tensor";
  }

  Checkpoint checkpoint_;
};

class RandomSource final : public WeightSource {
public:
  explicit RandomSource(uint64_t seed) : seed_(seed) {}

  Result<SourceTensor> find(const SourceSpec &spec) const override {
    if (spec.init == Init::Normal && !(std::isfinite(spec.initStd) && spec.initStd >= 0))
      return Status(ExitCode::MalformedInput,
                    "tensor " + quoteShort(spec.name) +
                        ": expected a finite standard deviation of at least 0, got " +
                        std::to_string(spec.initStd));
    if (!numElements(spec.shape))
      return Status(ExitCode::MalformedInput, "tensor " + quoteShort(spec.name) +
                                                  ": expected less than 2^63 elements, got " +
                                                  shapeStr(spec.shape));
    return SourceTensor{{ElementType::F32, spec.shape},
                        nullptr,
                        RandomFill(seed_, spec.name, spec.init, spec.initStd)};
  }

  std::vector<std::string> surplus(std::span<const SourceSpec>) const override { return {}; }
  Status checkIntact() const override { return Status(); }

private:
  uint64_t seed_;
};

} // namespace

std::unique_ptr<WeightSource> makeCheckpointSource(Checkpoint checkpoint) {
  return std::make_unique<CheckpointSource>(std::move(checkpoint));
}

std::unique_ptr<WeightSource> makeRandomSource(uint64_t seed) {
  return std::make_unique<RandomSource>(seed);
}

Result<std::unique_ptr<WeightSource>> openWeightSource(const std::string &text) {
  constexpr std::string_view scheme = "random:";
  if (std::string_view(text).substr(0, scheme.size()) == scheme) {
    uint64_t seed = 0;
    const char *first = text.data() + scheme.size(), *last = text.data() + text.size();
    std::from_chars_result read = std::from_chars(first, last, seed);
    if (read.ec != std::errc() || read.ptr != last)
      return Status(ExitCode::Usage, "--weights: expected random:SEED with SEED from 0 to "
                                     "18446744073709551615, got " +
                                         quoteShort(text));
    return makeRandomSource(seed);
  }
  Result<Checkpoint> checkpoint = Checkpoint::open(text);
  if (!checkpoint.ok())
    return checkpoint.status();
  return makeCheckpointSource(*std::move(checkpoint));
}

bool nameMatches(std::string_view name, std::string_view pattern) {
  if (pattern.ends_with(".*"))
    return name.starts_with(pattern.substr(0, pattern.size() - 1));
  if (pattern.starts_with("*."))
    return name == pattern.substr(2) || name.ends_with(pattern.substr(1));
  return name == pattern;
}

Status checkSurplus(const WeightSource &source, std::span<const SourceSpec> specs,
                    std::span<const std::string> unused) {
  constexpr size_t shown = 8;
  std::string names;
  size_t count = 0;
  for (const std::string &name : source.surplus(specs)) {
    if (std::any_of(unused.begin(), unused.end(),
                    [&](const std::string &pattern) { return nameMatches(name, pattern); }))
      continue;
    if (count++ < shown)
      names += (names.empty() ? "" : ", ") + quoteShort(name);
  }
  if (count == 0)
    return Status();
  if (count > shown)
    names += " and " + std::to_string(count - shown) + " more";
  return Status(ExitCode::MalformedInput,
                "the checkpoint holds surplus tensors, which this model has no use for: " + names +
                    "; it is a checkpoint of another architecture or task");
}

Result<std::vector<SourceTensor>> bindSources(const WeightSource &source,
                                              std::span<const SourceSpec> specs) {
  constexpr size_t shown = 8;
  std::vector<SourceTensor> tensors;
  std::string problems;
  size_t numProblems = 0;
  ExitCode code = ExitCode::MalformedInput;
  for (const SourceSpec &spec : specs) {
    Result<SourceTensor> tensor = source.find(spec);
    if (tensor.ok()) {
      tensors.push_back(*std::move(tensor));
      continue;
    }
    if (numProblems == 0)
      code = tensor.status().code();
    if (numProblems++ < shown)
      problems += (problems.empty() ? "" : "\n") + tensor.status().message();
  }
  if (numProblems > shown)
    problems += "\nand " + std::to_string(numProblems - shown) + " more tensors";
  if (numProblems > 0)
    return Status(code, problems);
  return tensors;
}

} // namespace ingot
