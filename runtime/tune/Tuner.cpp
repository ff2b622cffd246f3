//===- Tuner.cpp - Measures the candidates of a pack ---------------*- C++ -*-===//
#include "runtime/tune/Tuner.h"

#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/tune/OutputCheck.h"

#include <algorithm>
#include <cmath>

namespace ingot {

/// Runs before the first that counts: the first two of a set of sizes walk and record the steps.
static constexpr unsigned kWarmup = 3;
/// After so many rounds a candidate is given up that is slower than the fastest by that share.
static constexpr size_t kTrialRounds = 3;
static constexpr double kBehind = 1.1;
/// What the model chooses stays unless another is faster by that: less differs from run to run.
static constexpr double kClearly = 1.02;
/// Past so many seconds a kernel gets no further round: of long kernels few runs say enough.
static constexpr double kMostSeconds = 3;

double Tuner::Candidate::median() const {
  std::vector<double> sorted = times;
  auto middle = sorted.begin() + ptrdiff_t(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

Result<Tuner> Tuner::create(Model &model, GpuDescription gpu, TunerOptions options) {
  Tuner tuner;
  tuner.model_ = &model;
  tuner.gpu_ = std::move(gpu);
  tuner.options_ = std::move(options);
  std::vector<Kernel> &kernels = tuner.kernels_;
  for (const format::Program *table : *model.artifact().plan().programs()) {
    if (!table->candidate())
      continue;
    auto program = model.findProgram(table->name()->string_view());
    INGOT_TRY(program.status());
    std::string key = table->candidate()->kernel()->str();
    auto found = std::find_if(kernels.begin(), kernels.end(),
                              [&](const Kernel &kernel) { return kernel.key == key; });
    if (found == kernels.end())
      found = kernels.insert(found, Kernel{key, {}});
    auto &candidates = found->candidates;
    candidates.insert(table->candidate()->modelled() ? candidates.begin() : candidates.end(),
                      Candidate{table, *program});
  }
  if (kernels.empty())
    return Status(ExitCode::Usage, "this ingot measures nothing; expected a pack, made with `ingot "
                                   "tune MODEL --target sm_90a -o PACK`");
  for (const Kernel &kernel : kernels)
    for (const Candidate &candidate : kernel.candidates)
      if (candidate.modelled() != (&candidate == kernel.candidates.data()) ||
          !candidate.table->steps() || candidate.table->steps()->size() == 0)
        return Status(ExitCode::MalformedInput,
                      text("kernel ", quoted(kernel.key),
                           ": expected one candidate that the cost "
                           "model chooses, and launches of each; make the pack again"));
  return tuner;
}

/// Takes out what computes something else than the model's choice, which golden tests know.
Status Tuner::compare(Kernel &kernel, std::vector<std::string> &wrong) {
  const format::Plan &plan = model_->artifact().plan();
  Outputs expected;
  for (Candidate &candidate : kernel.candidates) {
    INGOT_TRY(candidate.program->bind({}));
    auto got = readOutputs(plan, *candidate.table, *candidate.program);
    INGOT_TRY(got.status());
    if (candidate.modelled()) {
      expected = std::move(*got);
      // Nothing is like what is no number.
      if (std::string difference = findNonFinite(expected); !difference.empty())
        return Status(ExitCode::AccuracyMismatch,
                      text("kernel ", quoted(kernel.key), " by ",
                           candidate.table->candidate()->config()->string_view(), ": ", difference,
                           "; this is a defect of ingot"));
      continue;
    }
    std::string difference = findDifference(expected, *got);
    if (difference.empty())
      continue;
    candidate.givenUp = true;
    wrong.push_back(text(candidate.table->candidate()->config()->string_view(), ": ", difference));
  }
  return {};
}

Status Tuner::run(Kernel &kernel) {
  double began = options_.clock();
  for (Candidate &candidate : kernel.candidates)
    for (unsigned i = 0; i < kWarmup && !candidate.givenUp; ++i)
      INGOT_TRY(candidate.program->execute());
  for (uint64_t round = 0; round < options_.rounds; ++round) {
    if (round >= kTrialRounds && options_.clock() - began > kMostSeconds)
      break;
    for (Candidate &candidate : kernel.candidates) {
      if (candidate.givenUp)
        continue;
      double begin = options_.clock();
      INGOT_TRY(candidate.program->execute());
      candidate.times.push_back((options_.clock() - begin) / double(candidate.program->numSteps()));
    }
    if (round + 1 != kTrialRounds)
      continue;
    double least = INFINITY;
    for (const Candidate &candidate : kernel.candidates)
      if (!candidate.givenUp)
        least = std::min(least, candidate.median());
    // What the model chooses is measured to the end, as what all others are compared with.
    for (Candidate &candidate : kernel.candidates)
      candidate.givenUp |=
          !candidate.modelled() && !candidate.times.empty() && candidate.median() > kBehind * least;
  }
  return {};
}

/// The fastest, if that is clear, and what the model would have chosen.
TuningEntry Tuner::summarize(const Kernel &kernel) const {
  auto microseconds = [](const Candidate &candidate) {
    return std::max(std::round(candidate.median() * 1e9) * 1e-3, 1e-3); // to a nanosecond
  };
  TuningEntry entry;
  entry.gpu = gpu_;
  entry.kernel = kernel.key;
  entry.candidates = int64_t(kernel.candidates.size());
  for (const Candidate &candidate : kernel.candidates) {
    if (candidate.givenUp)
      continue;
    double time = microseconds(candidate);
    std::string config = candidate.table->candidate()->config()->str();
    if (candidate.modelled()) {
      entry.modelledConfig = config;
      entry.modelledMicroseconds = time;
    }
    if (entry.config.empty() || time < entry.microseconds) {
      entry.config = config;
      entry.microseconds = time;
    }
  }
  if (entry.microseconds * kClearly > entry.modelledMicroseconds) {
    entry.config = entry.modelledConfig;
    entry.microseconds = entry.modelledMicroseconds;
  }
  return entry;
}

Result<TuningEntry> Tuner::measure(size_t index, std::vector<std::string> &wrong) {
  Kernel &kernel = kernels_[index];
  for (Candidate &candidate : kernel.candidates) {
    candidate.times.clear();
    candidate.givenUp = false;
    candidate.program->setRecordings(1);
  }
  INGOT_TRY(compare(kernel, wrong));
  Status status = run(kernel);
  for (Candidate &candidate : kernel.candidates)
    candidate.program->setRecordings(0);
  INGOT_TRY(status.withContext(text("kernel ", quoted(kernel.key), ": ")));
  return summarize(kernel);
}

} // namespace ingot
