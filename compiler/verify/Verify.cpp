//===- Verify.cpp - Proves the passes by running what they leave -----------===//

#include "compiler/verify/Verify.h"

#include "codegen/host/KernelCache.h"
#include "compiler/Diagnostics.h"
#include "compiler/ModelFolder.h"
#include "compiler/Suggest.h"
#include "compiler/import/Import.h"
#include "compiler/verify/Compare.h"
#include "compiler/verify/Evaluate.h"
#include "compiler/verify/Inputs.h"
#include "compiler/verify/Locate.h"
#include "compiler/verify/Reproducer.h"
#include "compiler/verify/Rounding.h"
#include "compiler/verify/Stages.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <chrono>
#include <cmath>

using namespace mlir;

namespace ingot::verify {
namespace {

// Small enough to be quick, large enough for three blocks of the cache and every tail of a tile.
constexpr int64_t kBatch = 4, kContext = 48;

class Verification {
public:
  Verification(const VerifyOptions &options, VerifyReport &report, const VerifyProgress &progress)
      : options(options), report(report), progress(progress), diagnostics(context) {}

  Status run();
  std::vector<std::string> takeRemarks() { return diagnostics.takeRemarks(); }

private:
  Result<import::ImportedModel> importModel();
  Result<std::string> chooseWeights() const;
  Status choosePrograms(std::vector<ProgramStages> &programs) const;
  Status checkPass(const std::vector<ProgramStages> &programs) const;
  Status verifyProgram(const ProgramStages &stages, const std::vector<Case> &cases,
                       const Evaluator &evaluator, const std::string &weights);
  Status compareStages(const ProgramStages &stages, size_t before, size_t after,
                       const std::vector<Case> &cases, const Evaluator &evaluator,
                       StageReport &stage, const std::string &weights);
  /// Outputs of all cases; kept for the stage that was asked for last.
  Result<std::vector<CaseOutputs>> evaluate(const ProgramStages &stages, size_t index,
                                            const std::vector<Case> &cases,
                                            const Evaluator &evaluator);
  bool wants(const Stage &stage) const {
    return stage.changed && !stage.pass.empty() &&
           (options.pass.empty() || stage.pass == options.pass);
  }

  const VerifyOptions &options;
  VerifyReport &report;
  const VerifyProgress &progress;
  MLIRContext context;
  DiagnosticCollector diagnostics;
  size_t done = 0, total = 0;
  size_t kept = SIZE_MAX;
  std::vector<CaseOutputs> keptOutputs;
};

Result<import::ImportedModel> Verification::importModel() {
  Result<std::optional<Checkpoint>> checkpoint =
      openCheckpoint(options.compile.model, /*required=*/false);
  if (!checkpoint.ok())
    return checkpoint.status();
  import::ImportOptions import;
  import.model = options.compile.model;
  import.checkpoint = *checkpoint ? &**checkpoint : nullptr;
  import.attentions = llvm::is_contained(options.compile.outputs, "attentions");
  // Learned positions and the like may end before the usual context does.
  Result<import::ImportedModel> probe = import::importModel(context, import);
  if (!probe.ok())
    return probe.status();
  import.maxBatch = options.compile.maxBatch ? options.compile.maxBatch : kBatch;
  import.maxContext = options.compile.maxContext ? options.compile.maxContext
                                                 : std::min(kContext, probe->spec.maxPositions);
  import.maxTokens =
      options.compile.maxTokens ? options.compile.maxTokens : import.maxBatch * import.maxContext;
  return import::importModel(context, import);
}

Result<std::string> Verification::chooseWeights() const {
  if (!options.weights.empty())
    return options.weights;
  Result<std::optional<Checkpoint>> checkpoint =
      openCheckpoint(options.compile.model, /*required=*/false);
  if (!checkpoint.ok())
    return checkpoint.status();
  if (!*checkpoint)
    return Status(ExitCode::Usage,
                  options.compile.model +
                      " holds no weights: verify it with --weights random:SEED, or "
                      "with another folder's");
  return options.compile.model;
}

Status Verification::choosePrograms(std::vector<ProgramStages> &programs) const {
  std::vector<std::string_view> names;
  for (const ProgramStages &program : programs)
    names.push_back(program.program);
  for (const std::string &asked : options.programs)
    if (!llvm::is_contained(names, asked))
      return Status(ExitCode::Usage, "--programs: the model has no program '" + asked + "'" +
                                         didYouMean(asked, names) + "; its programs are " +
                                         listNames(names));
  if (!options.programs.empty())
    llvm::erase_if(programs, [&](const ProgramStages &program) {
      return !llvm::is_contained(options.programs, program.program);
    });
  return Status();
}

Status Verification::checkPass(const std::vector<ProgramStages> &programs) const {
  if (options.pass.empty())
    return Status();
  std::vector<std::string_view> names;
  for (const ProgramStages &program : programs)
    for (const Stage &stage : program.stages)
      if (!stage.pass.empty() && !llvm::is_contained(names, stage.pass))
        names.push_back(stage.pass);
  if (llvm::is_contained(names, options.pass))
    return Status();
  return Status(ExitCode::Usage, "--pass: no pass '" + options.pass + "' runs over this model" +
                                     didYouMean(options.pass, names) + "; those that do are " +
                                     listNames(names));
}

Result<std::vector<CaseOutputs>> Verification::evaluate(const ProgramStages &stages, size_t index,
                                                        const std::vector<Case> &cases,
                                                        const Evaluator &evaluator) {
  if (kept == index)
    return keptOutputs;
  const Stage &stage = stages.stages[index];
  std::string what =
      stages.program + (stage.pass.empty() ? " as imported" : " after " + stage.pass);
  if (progress)
    progress(done++, total, what);
  Result<std::unique_ptr<Model>> model = evaluator.load(*stage.module);
  if (!model.ok())
    return model.status().withContext("program " + what + ": ");
  std::vector<CaseOutputs> outputs;
  for (const Case &inputs : cases) {
    Result<CaseOutputs> result = runCase(**model, inputs);
    if (!result.ok())
      return result.status().withContext("program " + what + ": ");
    outputs.push_back(std::move(*result));
  }
  kept = index;
  keptOutputs = outputs;
  return outputs;
}

/// "right padding, call 1" with the call only where there are several.
std::string describeCall(const Case &inputs, size_t call) {
  return inputs.calls.size() == 1 ? inputs.name : inputs.name + ", call " + std::to_string(call);
}

/// A result that differs.
struct Spot {
  Difference difference;
  size_t index = 0, call = 0, output = 0; // of the case, its call, its output
};

/// Those of a case up to and with `call`.
size_t countTokens(const Case &inputs, size_t call) {
  size_t tokens = 0;
  for (size_t i = 0; i <= call; ++i)
    tokens += inputs.calls[i].mask.valid.size();
  return tokens;
}

Status Verification::compareStages(const ProgramStages &stages, size_t before, size_t after,
                                   const std::vector<Case> &cases, const Evaluator &evaluator,
                                   StageReport &report, const std::string &weights) {
  Result<std::vector<CaseOutputs>> expected = evaluate(stages, before, cases, evaluator);
  if (!expected.ok())
    return expected.status();
  Result<std::vector<CaseOutputs>> got = evaluate(stages, after, cases, evaluator);
  if (!got.ok())
    return got.status();
  double budget = budgetFor(stages.stages[after].pass).share *
                  expectedError(roundingDepthOf(programOf(*stages.stages.front().module)));
  report.evaluated = true;
  report.budget = budget;
  // Of all results, and the first call that is wrong in the smallest case that shows it well: a
  // later call may be wrong because of it.
  Spot worst;
  std::vector<Spot> firsts;
  for (size_t i = 0; i < cases.size(); ++i) {
    std::optional<Spot> first;
    for (size_t call = 0; call < cases[i].calls.size(); ++call) {
      Spot spot{{}, i, call, 0};
      for (size_t output = 0; output < (*expected)[i][call].size(); ++output) {
        const Output &wanted = (*expected)[i][call][output];
        Difference difference = compare(wanted.tensor, (*got)[i][call][output].tensor, wanted.axes,
                                        cases[i].calls[call].mask);
        if (difference.worseThan(spot.difference))
          spot = {difference, i, call, output};
      }
      if (spot.difference.worseThan(worst.difference))
        worst = spot;
      if (!first && !spot.difference.within(budget))
        first = spot;
    }
    if (first)
      firsts.push_back(*first);
  }
  auto describe = [&](const Spot &spot) {
    const std::vector<Output> &outputs = (*expected)[spot.index][spot.call];
    return std::pair(describeCall(cases[spot.index], spot.call),
                     outputs.empty() ? "" : outputs[spot.output].tensor.name);
  };
  auto [inputs, output] = describe(worst);
  report.error = worst.difference.finite ? worst.difference.error : std::nan("");
  report.worst = inputs + ", " + output;
  if (worst.difference.within(budget))
    return Status();

  Spot shown = worst;
  for (const Spot &first : firsts) {
    bool shows = first.difference.finite ? worst.difference.finite &&
                                               first.difference.error > worst.difference.error / 10
                                         : true;
    bool smaller =
        countTokens(cases[first.index], first.call) < countTokens(cases[shown.index], shown.call);
    if (shows && (smaller || (first.index == shown.index && first.call < shown.call)))
      shown = first;
  }
  std::tie(inputs, output) = describe(shown);
  Failure failure;
  failure.program = stages.program;
  failure.phase = report.phase;
  failure.pass = report.pass;
  failure.inputs = inputs;
  failure.output = output;
  failure.error = shown.difference.finite ? shown.difference.error : std::nan("");
  failure.budget = report.budget;
  Suspect suspect{stages.stages[before].module.get(),
                  stages.stages[after].module.get(),
                  stages.stages[after].pipeline,
                  &cases[shown.index],
                  shown.call,
                  budget};
  Finding finding;
  INGOT_TRY(locate(suspect, evaluator, failure, finding));
  if (!options.reproducer.empty())
    INGOT_TRY(writeReproducer(suspect, finding, evaluator, weights, options, failure));
  this->report.failure = std::move(failure);
  return Status();
}

Status Verification::verifyProgram(const ProgramStages &stages, const std::vector<Case> &cases,
                                   const Evaluator &evaluator, const std::string &weights) {
  ProgramResult &result = report.programs.emplace_back();
  result.name = stages.program;
  result.cases = cases.size();
  for (const Case &inputs : cases)
    result.calls += inputs.calls.size();
  kept = SIZE_MAX;
  size_t before = 0;
  for (size_t i = 0; i < stages.stages.size(); ++i) {
    const Stage &stage = stages.stages[i];
    StageReport &entry = result.stages.emplace_back();
    entry.phase = std::string(phaseName(stage.phase));
    entry.pass = stage.pass;
    entry.changed = stage.changed;
    if (wants(stage))
      INGOT_TRY(compareStages(stages, before, i, cases, evaluator, entry, weights));
    if (report.failure)
      return Status();
    if (stage.changed)
      before = i;
  }
  return Status();
}

Status Verification::run() {
  Result<PipelineOptions> pipeline = makePipelineOptions(options.compile);
  if (!pipeline.ok())
    return pipeline.status();
  if (pipeline->target.kind != "host")
    return Status(ExitCode::Usage, "--target " + options.compile.target +
                                       ": passes are verified on the host; expected host or "
                                       "x86-64-v2, x86-64-v3, x86-64-v4");
  report.targetArch = pipeline->target.arch;
  pipeline->maxMemory = 0;
  Result<import::ImportedModel> imported = importModel();
  if (!imported.ok())
    return imported.status();
  report.modelType = imported->spec.modelType;
  for (std::string &remark : imported->remarks)
    diagnostics.addRemark(std::move(remark));
  Result<std::string> weights = chooseWeights();
  if (!weights.ok())
    return weights.status();

  // Passes work on a copy; inputs are made for the programs as imported.
  OwningOpRef<ModuleOp> rewritten = imported->module->clone();
  Result<std::vector<ProgramStages>> programs =
      recordStages(*rewritten, *pipeline, options.passOptions, diagnostics);
  if (!programs.ok())
    return programs.status();
  INGOT_TRY(choosePrograms(*programs));
  INGOT_TRY(checkPass(*programs));

  Result<Evaluator> evaluator = Evaluator::create(*pipeline, *weights, diagnostics);
  if (!evaluator.ok())
    return evaluator.status();
  host::KernelCache cache(host::Effort::Brief);
  for (const ProgramStages &program : *programs)
    for (const Stage &stage : program.stages)
      total += wants(stage) || (stage.pass.empty() && options.pass.empty());
  Status status;
  for (const ProgramStages &program : *programs) {
    auto function = imported->module->lookupSymbol<func::FuncOp>(program.program);
    Result<std::vector<Case>> cases = makeCases(*imported->module, function, options.seed);
    if (!cases.ok())
      return cases.status();
    status = verifyProgram(program, *cases, *evaluator, *weights);
    if (!status.ok() || report.failure)
      break;
  }
  report.kernelsCompiled = cache.compiled();
  report.kernelsReused = cache.reused();
  return status;
}

std::string shortNumber(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.2g", value);
  return text;
}

} // namespace

Status failureStatus(const Failure &failure) {
  std::string text = "pass " + failure.pass + " (phase " + failure.phase +
                     ") changes the results of program " + failure.program + ": " + failure.inputs +
                     ", output " + failure.output + ": ";
  text += std::isnan(failure.error)
              ? "a value is not finite"
              : "error " + shortNumber(failure.error) + " of the largest value";
  text += ", expected at most " + shortNumber(failure.budget) + "\n";
  if (!failure.op.empty())
    text += "  first op that drifts: " + failure.op + " at " + failure.location +
            (failure.opBefore.empty()
                 ? ": " + failure.note
                 : " (was " + failure.opBefore + "), error " + shortNumber(failure.opError));
  else
    text += "  no op is to blame alone: " + failure.note;
  if (!failure.reproducer.empty())
    text += "\n  reproducer: " + failure.command;
  else
    text += "\n  --reproducer DIR writes the part that drifts, with its inputs, to run alone";
  return Status(ExitCode::AccuracyMismatch, std::move(text));
}

Status verifyModel(const VerifyOptions &options, VerifyReport &report,
                   const VerifyProgress &progress) {
  auto start = std::chrono::steady_clock::now();
  report = VerifyReport();
  Verification verification(options, report, progress);
  Status status = verification.run();
  report.remarks = verification.takeRemarks();
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!status.ok() || !report.failure)
    return status;
  return failureStatus(*report.failure);
}

} // namespace ingot::verify
