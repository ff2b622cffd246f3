//===- Sources.h - The checkpoint tensors a model expects ---------*- C++ -*-===//
//
// Names are those of the reference's class for the task, with the other accepted names as aliases:
// with or without the base model's prefix, and LayerNorm's gamma and beta.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/TransformerSpec.h"
#include "runtime/weights/Checkpoint.h"
#include "runtime/weights/WeightSource.h"

#include <map>
#include <string>
#include <vector>

namespace ingot::import {

/// A module path of the base model as the task's class has it: "bert.encoder.layer.0", or for a
/// base class "encoder.layer.0".
std::string basePath(const TransformerSpec &spec, const std::string &path);

/// The sources named so far, in the order of first use.
class SourceTable {
public:
  explicit SourceTable(const TransformerSpec &spec) : spec_(spec) {}

  /// Adds a tensor of the base model ("layers.0.mlp.up_proj", "weight"); returns its canonical
  /// name. `isLayerNorm` adds the legacy names.
  std::string addBase(const std::string &module, const std::string &parameter,
                      std::vector<int64_t> shape, Init init, bool isLayerNorm = false);
  /// Adds a tensor of a head, which has no prefix.
  std::string addHead(const std::string &name, std::vector<std::string> aliases,
                      std::vector<int64_t> shape, Init init);
  /// One more accepted name for a tensor that is there.
  void addAlias(const std::string &name, std::string alias);

  const std::vector<SourceSpec> &sources() const { return sources_; }

private:
  std::string add(std::string name, std::vector<std::string> aliases, std::vector<int64_t> shape,
                  Init init);

  const TransformerSpec &spec_;
  std::vector<SourceSpec> sources_;
  std::map<std::string, size_t> index_;
};

/// Fits the spec to what the checkpoint holds, as the reference does when it loads one: an optional
/// head without weights is left out; a tied weight that is stored twice with different values is
/// not tied. Each is a remark.
void fitToCheckpoint(TransformerSpec &spec, const Checkpoint &checkpoint,
                     std::vector<std::string> &remarks);

/// Names of tensors that a checkpoint of this model may hold without use (stored buffers, heads of other
/// tasks), as patterns of nameMatches(). They go into the ingot, so that binding a checkpoint at load
/// refuses what compiling with it refuses.
std::vector<std::string> unusedPatterns(const TransformerSpec &spec);

/// Every source is there, of its shape and of a floating-point type, and nothing else is but what
/// is known to be of no use (a remark each); else MalformedInput, naming up to eight tensors.
Status checkSources(const TransformerSpec &spec, const std::vector<SourceSpec> &sources,
                    const Checkpoint &checkpoint, std::vector<std::string> &remarks);

} // namespace ingot::import
