//===- Evaluate.h - IR becomes numbers ---------------------------*- C++ -*-===//
#pragma once

#include "compiler/Diagnostics.h"
#include "compiler/Pipelines.h"
#include "compiler/verify/Tensor.h"
#include "runtime/exec/Model.h"

#include "mlir/IR/BuiltinOps.h"

namespace ingot::verify {

/// An output of a run, with what its dimensions run over.
struct Output {
  Tensor tensor;
  std::vector<Axis> axes;
};

/// Outputs of one program for one case: [call][output], in the order of the program.
using CaseOutputs = std::vector<std::vector<Output>>;

/// A folder of this process's own, removed with what is in it.
class TemporaryFolder {
public:
  static Result<TemporaryFolder> create();
  TemporaryFolder(TemporaryFolder &&other) : path_(std::move(other.path_)) { other.path_.clear(); }
  ~TemporaryFolder();
  const std::string &path() const { return path_; }

private:
  TemporaryFolder() = default;
  std::string path_;
};

/// Compiles modules of transformer programs with the phases that compile() has behind them, and loads
/// the result into this process.
class Evaluator {
public:
  /// `weights` as LoadOptions::weights: a folder or random:SEED.
  static Result<Evaluator> create(PipelineOptions pipeline, std::string weights,
                                  DiagnosticCollector &diagnostics);

  DiagnosticCollector &collector() const { return *diagnostics; }

  /// Compiles a clone of `module` and loads it.
  Result<std::unique_ptr<Model>> load(mlir::ModuleOp module) const;

private:
  Evaluator(PipelineOptions pipeline, std::string weights, DiagnosticCollector &diagnostics,
            TemporaryFolder folder)
      : pipeline(std::move(pipeline)), weights(std::move(weights)), diagnostics(&diagnostics),
        folder(std::move(folder)) {}

  PipelineOptions pipeline;
  std::string weights;
  DiagnosticCollector *diagnostics;
  TemporaryFolder folder;
};

/// Runs the first `calls` calls of a case (all: SIZE_MAX) from empty state.
Result<CaseOutputs> runCase(Model &model, const Case &inputs, size_t calls = SIZE_MAX);

} // namespace ingot::verify
