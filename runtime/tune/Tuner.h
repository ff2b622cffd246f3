//===- Tuner.h - Measures the candidates of a pack -----------------*- C++ -*-===//
//
// A pack (`ingot tune`) is an ingot whose programs each launch one candidate of a kernel, over
// operands that no cache holds. Candidates of a kernel run in turn, round by round, so that a clock
// that falls while they do falls for all; those that are clearly behind are given up early, those
// that compute something else are out.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/exec/Model.h"
#include "runtime/format/Tuning.h"
#include "runtime/support/Clock.h"

#include <functional>
#include <string>
#include <vector>

namespace ingot {

struct TunerOptions {
  /// Counted runs of each candidate that is not given up.
  uint64_t rounds = 15;
  /// Tests put a clock of their own here.
  std::function<double()> clock = monotonicSeconds;
};

class Tuner {
public:
  /// The kernels of a loaded pack. Usage error where the model is none.
  static Result<Tuner> create(Model &model, GpuDescription gpu, TunerOptions options = {});

  /// What measurements of each kernel are kept under.
  size_t size() const { return kernels_.size(); }
  const std::string &key(size_t kernel) const { return kernels_[kernel].key; }

  /// Measures the candidates of a kernel. Those that compute something else than what the cost
  /// model chooses are named in `wrong`. Errors: those of the device; AccuracyMismatch if what the
  /// cost model chooses computes no numbers.
  Result<TuningEntry> measure(size_t kernel, std::vector<std::string> &wrong);

private:
  struct Candidate {
    const format::Program *table = nullptr;
    Program *program = nullptr;
    std::vector<double> times = {}; // seconds a launch
    bool givenUp = false;

    double median() const;
    bool modelled() const { return table->candidate()->modelled(); }
  };
  struct Kernel {
    std::string key;
    std::vector<Candidate> candidates; // the modelled one first
  };

  Status compare(Kernel &kernel, std::vector<std::string> &wrong);
  Status run(Kernel &kernel);
  TuningEntry summarize(const Kernel &kernel) const;

  Model *model_ = nullptr;
  GpuDescription gpu_;
  TunerOptions options_;
  std::vector<Kernel> kernels_;
};

} // namespace ingot
