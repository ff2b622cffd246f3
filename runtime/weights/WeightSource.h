//===- WeightSource.h - Where weights come from -------------------*- C++ -*-===//
//
// The compiler (which embeds weights) and the runtime's loader (which binds an ingot without
// weights) ask a WeightSource for the tensors a model expects, and run recipes over what they get:
//
//   Result<std::unique_ptr<WeightSource>> weights = openWeightSource("random:7"); // or a folder
//   Result<std::vector<SourceTensor>> tensors = bindSources(**weights, specs);
//   executeRecipe(recipe, theWeightsOwnSources, type, destination);
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/weights/Checkpoint.h"
#include "runtime/weights/RandomFill.h"
#include "runtime/weights/Recipe.h"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// A checkpoint tensor that a model expects: format::Source.
struct SourceSpec {
  std::string name;                      // canonical checkpoint name
  std::vector<std::string> aliases = {}; // other accepted names, in order of preference
  std::vector<int64_t> shape = {};
  Init init = Init::Normal;
  float initStd = 0.02f;
};

class WeightSource {
public:
  virtual ~WeightSource();

  /// The tensor for `spec`, found by its name, else by the first alias that exists. MalformedInput
  /// where there is none or its shape is another: the message names tensor, file, expected and got.
  /// What it points to lives as long as this object.
  virtual Result<SourceTensor> find(const SourceSpec &spec) const = 0;

  /// Names of tensors that no spec's name or alias takes, sorted.
  virtual std::vector<std::string> surplus(std::span<const SourceSpec> specs) const = 0;

  /// MalformedInput if a file became shorter since it was opened: what was read of it is not to be
  /// used. To be asked after the last read.
  virtual Status checkIntact() const = 0;
};

/// Takes over an open checkpoint.
std::unique_ptr<WeightSource> makeCheckpointSource(Checkpoint checkpoint);
std::unique_ptr<WeightSource> makeRandomSource(uint64_t seed);

/// "random:SEED" (a decimal number), or a folder or file for Checkpoint::open. Usage where SEED is
/// no 64-bit number.
Result<std::unique_ptr<WeightSource>> openWeightSource(const std::string &text);

/// Whether `name` is `pattern`: "a.b", "a.*" (begins with "a."), "*.b" (is "b" or ends in ".b").
bool nameMatches(std::string_view name, std::string_view pattern);

/// MalformedInput naming the first tensors of `source` that neither a spec nor a pattern takes.
Status checkSurplus(const WeightSource &source, std::span<const SourceSpec> specs,
                    std::span<const std::string> unused);

/// All of `specs`, in order; or one error that lists what is missing or misshapen.
Result<std::vector<SourceTensor>> bindSources(const WeightSource &source,
                                              std::span<const SourceSpec> specs);

} // namespace ingot
