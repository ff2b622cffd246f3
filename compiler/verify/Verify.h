//===- Verify.h - Proves the passes by running what they leave ---*- C++ -*-===//
//
// Evaluates a model's programs on the host target as imported and after every pass that rewrites the
// transformer dialect, on random inputs, and compares (README.md). This header includes no MLIR.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compiler/Compiler.h"

namespace ingot::verify {

struct VerifyOptions {
  /// The model and everything that decides on its passes. The target must be a host target; output,
  /// stopAfter, embedding and dumps mean nothing here. Maxima of 0 take small ones (see README.md).
  CompileOptions compile;
  /// Weights: "" for the folder's checkpoint, else "random:SEED" or another folder.
  std::string weights;
  /// Of the inputs.
  uint64_t seed = 0;
  /// Only these programs; empty for all.
  std::vector<std::string> programs;
  /// Only this pass (its effect on what came before it); empty for all.
  std::string pass;
  /// Where a failure's reproducer goes; empty for none.
  std::string reproducer;
  /// Options for passes, as (pass, "option=value ..."): test-only faults.
  std::vector<std::pair<std::string, std::string>> passOptions;
};

/// What a pass did to a program.
struct StageReport {
  std::string phase;
  /// Empty for import, which everything is compared with in the end.
  std::string pass;
  /// The IR is another than before the pass. Where it is not, nothing was evaluated.
  bool changed = false;
  bool evaluated = false;
  /// The largest error of all outputs, in all cases: |got - expected| / largest |expected|.
  double error = 0;
  double budget = 0;
  /// Where the largest error was: "right padding, call 0, logits".
  std::string worst;
};

struct ProgramResult {
  std::string name;
  uint64_t cases = 0, calls = 0;
  std::vector<StageReport> stages;
};

/// The first pass that changes results, and where.
struct Failure {
  std::string program, phase, pass;
  /// "right padding, call 0"; output; its error and budget. Not a number where a value is not finite.
  std::string inputs, output;
  double error = 0, budget = 0;
  /// The first op that drifts: where (Hugging Face module), the op, and the op before the pass whose
  /// result it should give. Empty if no op does when all are looked at; `note` says so.
  std::string location, op, opBefore;
  double opError = 0;
  std::string note;
  /// The folder, and how to run it; empty without one.
  std::string reproducer, command;
};

struct VerifyReport {
  std::string modelType;
  std::string targetArch;
  std::vector<ProgramResult> programs;
  std::optional<Failure> failure;
  /// Kernels compiled, and kernels that were compiled already for an earlier stage.
  uint64_t kernelsCompiled = 0, kernelsReused = 0;
  double seconds = 0;
  std::vector<std::string> remarks;
};

/// The failure in words, with exit code 5.
Status failureStatus(const Failure &failure);

/// Called before each evaluation, on the calling thread: "forward after fuse-attention".
using VerifyProgress = std::function<void(size_t done, size_t total, const std::string &what)>;

/// Accuracy (exit code 5) if a pass changes results, with `report.failure` set; other errors are those
/// of compile(), and Usage for a program, pass or option that does not exist.
Status verifyModel(const VerifyOptions &options, VerifyReport &report,
                   const VerifyProgress &progress = {});

/// Runs a reproducer again: Accuracy if its pass still drifts, ok if it does not.
Status rerunReproducer(const std::string &folder, VerifyReport &report);

} // namespace ingot::verify
