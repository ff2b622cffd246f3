//===- Sources.cpp - The checkpoint tensors a model expects ----------------===//
#include "compiler/import/Sources.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

namespace ingot::import {
namespace {

std::string joined(const std::string &prefix, const std::string &path) {
  return prefix.empty() ? path : prefix + "." + path;
}

/// A base model's tensor with the prefix that this task's class does not write.
std::string otherPath(const TransformerSpec &spec, const std::string &path) {
  return spec.task == Task::Base ? joined(spec.names.base, path) : path;
}

const CheckpointTensor *findBase(const TransformerSpec &spec, const Checkpoint &checkpoint,
                                 const std::string &path) {
  const CheckpointTensor *tensor = checkpoint.find(basePath(spec, path));
  return tensor ? tensor : checkpoint.find(otherPath(spec, path));
}

const CheckpointTensor *findSource(const SourceSpec &source, const Checkpoint &checkpoint) {
  const CheckpointTensor *tensor = checkpoint.find(source.name);
  for (size_t i = 0; !tensor && i < source.aliases.size(); ++i)
    tensor = checkpoint.find(source.aliases[i]);
  return tensor;
}

bool sameBytes(const CheckpointTensor &a, const CheckpointTensor &b) {
  return *a.type == *b.type && a.bytes.size() == b.bytes.size() &&
         std::memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
}

/// A buffer that some checkpoint stores, though it follows from config.json.
struct StoredBuffer {
  std::string_view suffix, reason;
};
constexpr StoredBuffer kBuffers[] = {
    {"position_ids", "a stored index buffer"},
    {"token_type_ids", "a stored index buffer"},
    {"rotary_emb.inv_freq", "rotary frequencies, which follow from config.json"},
    {"attn.bias", "a stored causal mask"},
    {"attn.masked_bias", "a stored causal mask"},
    {"num_batches_tracked", "a counter of training"},
};

/// Prefixes of heads that this task does not have.
std::vector<std::string> unusedHeads(const TransformerSpec &spec) {
  std::vector<std::string> prefixes;
  for (const UnusedHead &known : spec.knownHeads) {
    // A head that this task has takes all of its own tensors: one more of them is an error.
    bool used = false;
    for (const HeadSpec &head : spec.heads)
      for (const HeadStep &step : head.steps)
        used |= step.kind != HeadStep::Act && (step.name + ".").starts_with(known.prefix);
    if (!used)
      prefixes.push_back(known.prefix);
    else if (known.prefix == "cls.")
      // The next-sentence head shares the prefix of the masked-language head.
      prefixes.push_back("cls.seq_relationship.");
  }
  return prefixes;
}

/// Why a tensor that no source takes may be left aside, or nothing.
std::optional<std::string> whyUnused(const TransformerSpec &spec, std::string_view name) {
  for (const StoredBuffer &buffer : kBuffers)
    if (nameMatches(name, "*." + std::string(buffer.suffix)))
      return std::string(buffer.reason);
  for (const std::string &pattern : unusedPatterns(spec))
    if (nameMatches(name, pattern))
      return "belongs to a head that " + spec.architecture + " does not have";
  return std::nullopt;
}

/// Collects up to eight lines; counts the rest.
class Problems {
public:
  void add(std::string line) {
    if (++count_ <= 8)
      text_ += (text_.empty() ? "" : "\n  ") + std::move(line);
  }
  bool empty() const { return count_ == 0; }
  Status status() const {
    std::string text = text_;
    if (count_ > 8)
      text += "\n  ... and " + std::to_string(count_ - 8) + " more";
    return Status(ExitCode::MalformedInput, std::move(text));
  }

private:
  std::string text_;
  size_t count_ = 0;
};

} // namespace

std::string basePath(const TransformerSpec &spec, const std::string &path) {
  return spec.task == Task::Base ? path : joined(spec.names.base, path);
}

std::string SourceTable::add(std::string name, std::vector<std::string> aliases,
                             std::vector<int64_t> shape, Init init) {
  auto [it, isNew] = index_.try_emplace(name, sources_.size());
  if (isNew)
    sources_.push_back({name, std::move(aliases), std::move(shape), init, float(spec_.initStd)});
  return name;
}

std::string SourceTable::addBase(const std::string &module, const std::string &parameter,
                                 std::vector<int64_t> shape, Init init, bool isLayerNorm) {
  std::string path = module + "." + parameter;
  std::vector<std::string> aliases{otherPath(spec_, path)};
  if (isLayerNorm) {
    std::string legacy = module + "." + (parameter == "weight" ? "gamma" : "beta");
    aliases.push_back(basePath(spec_, legacy));
    aliases.push_back(otherPath(spec_, legacy));
  }
  return add(basePath(spec_, path), std::move(aliases), std::move(shape), init);
}

std::string SourceTable::addHead(const std::string &name, std::vector<std::string> aliases,
                                 std::vector<int64_t> shape, Init init) {
  return add(name, std::move(aliases), std::move(shape), init);
}

void SourceTable::addAlias(const std::string &name, std::string alias) {
  auto it = index_.find(name);
  if (it == index_.end())
    return;
  std::vector<std::string> &aliases = sources_[it->second].aliases;
  if (std::find(aliases.begin(), aliases.end(), alias) == aliases.end())
    aliases.push_back(std::move(alias));
}

void fitToCheckpoint(TransformerSpec &spec, const Checkpoint &checkpoint,
                     std::vector<std::string> &remarks) {
  std::vector<HeadSpec> kept;
  for (HeadSpec &head : spec.heads) {
    const HeadStep &first = head.steps.front();
    bool stored = first.inBase ? findBase(spec, checkpoint, first.name + ".weight") != nullptr
                               : checkpoint.find(first.name + ".weight") != nullptr;
    if (head.optional && !stored)
      remarks.push_back("output " + head.output + " left out: the checkpoint has no tensor '" +
                        first.name + ".weight'");
    else
      kept.push_back(std::move(head));
  }
  spec.heads = std::move(kept);

  const CheckpointTensor *embedding = findBase(spec, checkpoint, spec.names.tokens + ".weight");
  for (HeadSpec &head : spec.heads)
    for (HeadStep &step : head.steps) {
      const CheckpointTensor *own = step.tied ? checkpoint.find(step.name + ".weight") : nullptr;
      if (!own || !embedding || sameBytes(*own, *embedding))
        continue;
      step.tied = false;
      remarks.push_back("'" + step.name + ".weight' is not tied to the token embedding, though " +
                        "config.json says so: both are stored, with different values");
    }
}

std::vector<std::string> unusedPatterns(const TransformerSpec &spec) {
  std::vector<std::string> patterns;
  for (const StoredBuffer &buffer : kBuffers)
    patterns.push_back("*." + std::string(buffer.suffix));
  for (const std::string &prefix : unusedHeads(spec)) {
      patterns.push_back(prefix + "*");
      if (!spec.names.base.empty())
        patterns.push_back(spec.names.base + "." + prefix + "*");
    }
  return patterns;
}

Status checkSources(const TransformerSpec &spec, const std::vector<SourceSpec> &sources,
                    const Checkpoint &checkpoint, std::vector<std::string> &remarks) {
  Problems problems;
  std::set<std::string_view> names;
  for (const SourceSpec &source : sources) {
    names.insert(source.name);
    names.insert(source.aliases.begin(), source.aliases.end());
    const CheckpointTensor *tensor = findSource(source, checkpoint);
    if (!tensor) {
      problems.add("missing tensor '" + source.name + "': expected shape " +
                   shapeStr(source.shape) + ", got no tensor of that name" +
                   (source.aliases.empty() ? "" : " (nor " + source.aliases.front() + ")"));
      continue;
    }
    std::string where =
        checkpoint.fileOf(*tensor) + ": tensor '" + std::string(tensor->name) + "': ";
    if (tensor->type->shape != source.shape)
      problems.add(where + "expected shape " + shapeStr(source.shape) + " by config.json, got " +
                   shapeStr(tensor->type->shape));
    else if (!isFloat(tensor->type->elementType))
      problems.add(where + "expected a floating-point type, got " +
                   std::string(nameOf(tensor->type->elementType)));
  }
  if (!problems.empty())
    return problems.status();

  // One remark a reason, not one a tensor.
  std::map<std::string, std::vector<std::string>> ignored;
  for (const CheckpointTensor &tensor : checkpoint.tensors()) {
    if (names.count(tensor.name))
      continue;
    std::string name(tensor.name);
    if (std::optional<std::string> reason = whyUnused(spec, name))
      ignored[*reason].push_back(name);
    else
      problems.add(checkpoint.fileOf(tensor) + ": surplus tensor '" + name + "' (" +
                   tensor.type->str() + "): " + spec.architecture +
                   " as config.json describes it has no such weight");
  }
  for (const auto &[reason, tensors] : ignored)
    remarks.push_back(
        "ignored tensor '" + tensors.front() + "'" +
        (tensors.size() > 1 ? " and " + std::to_string(tensors.size() - 1) + " more" : "") + ": " +
        reason);
  return problems.empty() ? Status() : problems.status();
}

} // namespace ingot::import
