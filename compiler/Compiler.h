//===- Compiler.h - A model folder becomes an ingot, as a library -*- C++ -*-===//
//
// The whole product behind one function. This header includes no MLIR, so that a front end links
// the compiler without knowing what it is made of.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "compiler/Phases.h"
#include "runtime/support/Status.h"

namespace ingot {

struct CompileOptions {
  /// Folder with config.json and *.safetensors.
  std::string model;
  /// The .ingot file to write; not needed with `stopAfter`.
  std::string output;
  std::string target = "host";
  std::string dtype = "f32";
  /// Compiled maxima; 0 takes the default that the importer derives from the model.
  int64_t maxBatch = 0;
  int64_t maxContext = 0;
  int64_t maxTokens = 0;
  /// Most bytes that a device may need at run time (weights, state, activations); 0 for no limit.
  uint64_t maxMemory = 0;
  /// Back ends of attention, "math:0,3-5" (passes/AttentionRequest.h); later ones win.
  std::vector<std::string> attention;
  /// Passes to leave out, of those that a compilation can do without.
  std::vector<std::string> disabledPasses;
  /// Outputs that a model has only if asked for: "attentions".
  std::vector<std::string> outputs;
  /// false: the ingot names its weights and binds them at load.
  bool embedWeights = true;
  /// Name of the phase to stop after; its IR goes to `CompileReport::ir`.
  std::string stopAfter;
  /// Files of measured choices (ingot-run tune); of two for one kernel the later file's counts.
  std::vector<std::string> tuning;
  /// Part of the name of the GPU whose measurements count; empty for all that fit the target.
  std::string gpu;
  /// Most tokens of calls for which runs of launches are one grid (passes/StreamLaunches.cpp), 0
  /// for none; -1: what the target is good at, where it is known to pay.
  int64_t streams = -1;
  /// Makes a pack for `ingot-run tune`: programs that measure candidates of the model's kernels.
  bool tuningPack = false;
  /// Folder for NN-phase.mlir files, made if missing; empty for none.
  std::string dumpPhases;
  /// Folder for every kernel as generated (LLVM IR and assembly); empty for none.
  std::string dumpKernels;
  /// Report what passes did, besides what they did not.
  bool allRemarks = false;
  /// Programs take and give packed tokens with `cu_seqlens` instead of padded batches with a mask.
  bool packedInput = false;
  /// Makes every remark about a path not taken an error.
  bool noFallback = false;
  /// Keep the IR of each phase in the artifact's debug section.
  bool debugInfo = false;
};

struct PhaseReport {
  Phase phase;
  double seconds = 0;
  /// Peak memory of the process in this phase, without pages mapped from files.
  uint64_t peakBytes = 0;
};

/// What a use of a program costs, counted and predicted, not measured.
struct CostEstimate {
  std::string what; // "decode, 1 row, full context"
  uint64_t tokens = 0;
  /// Multiplications and additions of matrix products.
  double flops = 0;
  /// What launches read and write.
  double bytes = 0;
  /// At the target's ceiling; 0 where that is not known.
  double seconds = 0;
};

/// What padding costs no more once it is removed, at `fill` of rows of equal length.
struct PaddingSaving {
  std::string what; // of CostEstimate
  double fill = 0;
  uint64_t tokens = 0;
  double flops = 0;
  /// Of what the padded batch would take.
  double share = 0;
};

struct ProgramReport {
  std::string name;
  uint64_t launches = 0;
  /// Ops that compute, as imported and behind the last phase of ops.
  uint64_t importedOps = 0, ops = 0;
  /// Most bytes of the arena at a time, inputs and outputs left out.
  uint64_t activationBytes = 0;
  std::vector<CostEstimate> costs;
  /// Empty where padding stays.
  std::vector<PaddingSaving> savings;
};

/// How some layers of a program run their attention.
struct AttentionReport {
  std::string program;
  /// "0-3,5".
  std::string layers;
  /// "efficient: why".
  std::string choice;
};

/// What a person wants to know about a compilation; filled as far as it came.
struct CompileReport {
  std::string modelType;
  std::string targetArch;
  std::vector<PhaseReport> phases;
  double seconds = 0;
  /// Peak memory of the process without pages mapped from files, and with them.
  uint64_t peakBytes = 0;
  uint64_t peakResidentBytes = 0;
  /// Peak of the activations at the compiled maxima, weights in final layout, program state.
  uint64_t arenaBytes = 0;
  uint64_t weightBytes = 0;
  uint64_t stateBytes = 0;
  uint64_t kernels = 0;
  /// Of a tuning pack: the distinct kernels that `kernels` are candidates of.
  uint64_t measuredKernels = 0;
  uint64_t codeBytes = 0;
  uint64_t fileBytes = 0;
  std::vector<ProgramReport> programs;
  std::vector<AttentionReport> attention;
  /// The machine that `costs` are predicted for; empty where the target has no known ceiling.
  std::string ceiling;
  /// Remarks and warnings, one a line, located; with `CompileOptions::allRemarks` also what was
  /// done.
  std::vector<std::string> remarks;
  /// With `stopAfter`: the IR after that phase.
  std::string ir;
};

/// Called when a phase begins, on the compiling thread; may be empty.
using ProgressCallback = std::function<void(Phase)>;

/// Compiles. On error nothing is left at `options.output` that was not there before.
Status compile(const CompileOptions &options, CompileReport &report,
               const ProgressCallback &progress = {});

} // namespace ingot
