//===- Pipelines.cpp - Which passes a phase runs ---------------------------===//

#include "compiler/Pipelines.h"

#include "codegen/cuda/Stream.h"
#include "codegen/cuda/Stub.h"
#include "compiler/Suggest.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Transforms/Passes.h"
#include "passes/AttentionRequest.h"
#include "passes/Passes.h"
#include "runtime/format/Tuning.h"

using namespace mlir;

namespace ingot {

namespace {
/// A pass of phase fuse that a compilation can do without.
struct OptionalPass {
  std::string_view name;
  std::unique_ptr<Pass> (*create)();
};
} // namespace

/// In the order in which they run.
static constexpr OptionalPass passTable[] = {
    // Looks at the parts of attention as importers write them.
    {"fuse-attention", [] { return createFuseAttention(); }},
    // Behind attention, which then has linears as operands, and takes their columns as well.
    {"fuse-projections", [] { return createFuseProjections(); }},
    // Needs the readers of the sum in place, and nothing after it looks for an addition before a
    // norm.
    {"fuse-residual-norm", [] { return createFuseResidualNorm(); }},
    // Last: a factor goes into whatever weight is left, joined or not.
    {"fold-constants", [] { return createFoldConstants(); }},
};

const std::vector<std::string_view> &optionalPasses() {
  static const std::vector<std::string_view> passes = [] {
    std::vector<std::string_view> names;
    for (const OptionalPass &pass : passTable)
      names.push_back(pass.name);
    names.push_back("remove-padding");      // of phase unpad
    names.push_back("sample-on-device");    // of phase lower, for GPUs
    names.push_back("specialize-decode");   // of phase lower, for GPUs
    names.push_back("split-residual-norm"); // of phase lower, for GPUs
    names.push_back("widen-after-unpack");  // of phase lower, for GPUs
    names.push_back("widen-vectors");       // of phase lower, for GPUs
    names.push_back("fuse-epilogues");      // of phase lower, where kernels are formed
    names.push_back("fuse-launches");       // of phase lower, for GPUs
    names.push_back("fuse-norms");          // of phase lower, for GPUs
    names.push_back("fuse-appends");        // of phase lower, for GPUs
    names.push_back("read-early");          // of phase lower, for GPUs
    names.push_back("stream-launches");     // of phase lower, for GPUs
    return names;
  }();
  return passes;
}

bool PipelineOptions::runs(std::string_view pass) const {
  return !llvm::is_contained(disabledPasses, pass);
}

static void buildFuse(OpPassManager &manager, const PipelineOptions &options) {
  // Weights are pure, so cse makes a tied weight, and masks that every layer asks for, one value;
  // canonicalization goes first to make more of them equal. Both before the fusions, which count
  // the readers of a value.
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
  for (const OptionalPass &pass : passTable)
    if (options.runs(pass.name))
      manager.addNestedPass<func::FuncOp>(pass.create());
  // Attention that wasn't fused is reported and refused here too, so this runs in any case.
  SelectAttentionOptions attention;
  attention.attention = options.attention;
  manager.addPass(createSelectAttention(attention));
  // What fusing asked for twice or left of sizes and positions.
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
}

static void buildUnpad(OpPassManager &manager, const PipelineOptions &options) {
  // Behind fusion: attention as one op has a packed form, its parts have none. Before anything that
  // looks at how many rows a product has.
  if (!options.runs("remove-padding"))
    return;
  RemovePaddingOptions unpad;
  unpad.packedInput = options.packedInput;
  manager.addPass(createRemovePadding(unpad));
  manager.addNestedPass<func::FuncOp>(createCanonicalizerPass());
  manager.addNestedPass<func::FuncOp>(createCSEPass());
}

static void buildLower(OpPassManager &manager, const PipelineOptions &options) {
  // Where logits lie in another memory than the loop that samples from them; before the step
  // program is copied.
  if (options.target.kind == "cuda" && options.runs("sample-on-device"))
    manager.addPass(createSampleOnDevice());
  // Before anything looks at sizes: what a program is specialized for shows in its sizes only. A
  // GPU has kernels for few tokens and kernels for many; those of the host serve both.
  if (options.target.kind == "cuda" && options.runs("specialize-decode"))
    manager.addPass(createSpecializeDecode());
  // Where norms can be parts of the layers behind them. Behind the program for few tokens, in front
  // of the forming of kernels, which makes an addition the epilogue of a linear layer.
  if (options.target.kind == "cuda" && options.runs("split-residual-norm") &&
      options.runs("fuse-norms"))
    manager.addPass(createSplitResidualNorm());
  // The host unpacks in place, in the type of the result.
  if (options.target.kind == "cuda" && options.runs("widen-after-unpack"))
    manager.addPass(createWidenAfterUnpack());
  // Behind everything that looks for a weight as an operand. The host keeps what it computes.
  if (options.target.kind == "cuda" && options.runs("widen-vectors"))
    manager.addPass(createWidenVectors());
  // Before kernels are formed, so that scores are buffers between kernels.
  manager.addNestedPass<func::FuncOp>(createExpandAttention());
  ConvertTransformerToExecOptions convert;
  convert.targetKind = options.target.kind;
  convert.targetArch = options.target.arch;
  convert.fuseEpilogues = options.runs("fuse-epilogues");
  manager.addPass(createConvertTransformerToExec(convert));
  SelectKernelsOptions select;
  select.tuning.assign(options.tuning.begin(), options.tuning.end());
  select.gpu = options.gpu;
  for (const Target &alternative : options.alternatives)
    select.alternatives.push_back(alternative.arch);
  // Behind the forming of kernels, so that a kernel that no family makes better is known by its
  // body; before the choice of grids, which then are the merged kernels'. A launch costs a GPU
  // microseconds, a host nothing.
  if (options.target.kind == "cuda" && options.runs("fuse-launches")) {
    FuseLaunchesOptions fuse;
    fuse.alternatives = select.alternatives;
    manager.addPass(createFuseLaunches(fuse));
  }
  if (options.target.kind == "cuda" && options.runs("fuse-norms")) {
    FuseNormsOptions fuse;
    fuse.alternatives = select.alternatives;
    manager.addPass(createFuseNorms(fuse));
  }
  // Behind fuse-launches, which makes one launch of all that there is in front of attention.
  if (options.target.kind == "cuda" && options.runs("fuse-appends")) {
    FuseAppendsOptions fuse;
    fuse.alternatives = select.alternatives;
    manager.addPass(createFuseAppends(fuse));
  }
  // The kernels that the model would run, before one of their configs is chosen.
  if (options.tuningPack)
    manager.addPass(createMakeTuningPrograms());
  // Kernels are outlined and deduplicated by now, so each is decided on once.
  manager.addPass(createSelectKernels(select));
  // Families say what their kernels would read early; a host has no kernels that overlap.
  if (options.target.kind == "cuda" && options.runs("read-early"))
    manager.addPass(createReadEarly());
  // Behind all that changes launches, so that a run is what is launched. A tuning pack measures
  // launches.
  if (options.streamTokens > 0 && !options.tuningPack && options.runs("stream-launches")) {
    StreamLaunchesOptions stream;
    stream.mostTokens = options.streamTokens;
    if (options.streamsAsked) {
      // What somebody asks for is not weighed.
      stream.leastLaunches = 2;
      stream.leastWeightBytes = 0;
    }
    manager.addPass(createStreamLaunches(stream));
  }
}

static void buildPlan(OpPassManager &manager, const PipelineOptions &options) {
  PlanMemoryOptions plan;
  plan.maxMemory = options.maxMemory;
  manager.addPass(createPlanMemory(plan));
  // Last: the artifact writer and the runtime rely on what it checks.
  manager.addPass(createVerifyExec());
}

/// The tokens up to which runs of launches are streams, as asked for or by the target.
static Result<int64_t> chooseStreamTokens(const CompileOptions &options, const Target &target,
                                          bool hasOthers) {
  constexpr int64_t kDefault = 3; // codegen/families/LinearFew/README.md
  const std::string &arch = target.arch;
  bool possible = target.kind == "cuda" && cuda::hasStreams(arch) && !hasOthers;
  if (options.streams > 0 && !possible)
    return Status(ExitCode::Usage, "--streams " + std::to_string(options.streams) +
                                       ": there are streams for sm_90a alone, got target '" +
                                       options.target +
                                       "'; name it alone with --target, or leave --streams out");
  if (options.streams > 0 && llvm::is_contained(options.disabledPasses, "stream-launches"))
    return Status(ExitCode::Usage, "--streams " + std::to_string(options.streams) +
                                       ": stream-launches makes them, and --disable leaves it out; "
                                       "drop one of the two flags");
  if (options.streams < -1 || options.streams > cuda::kStreamMostTokens)
    return Status(ExitCode::Usage, "--streams: expected 0 to " +
                                       std::to_string(cuda::kStreamMostTokens) + " tokens, got " +
                                       std::to_string(options.streams));
  return options.streams >= 0 ? options.streams : possible ? kDefault : 0;
}

/// A name of no optional pass is a usage error.
static Status checkNames(const std::vector<std::string> &passes) {
  for (const std::string &name : passes)
    if (!llvm::is_contained(optionalPasses(), name))
      return Status(ExitCode::Usage,
                    "--disable: unknown pass '" + name + "'" + didYouMean(name, optionalPasses()) +
                        "; those that can be left out are " + listNames(optionalPasses()));
  return Status();
}

Result<PipelineOptions> makePipelineOptions(const CompileOptions &options) {
  Result<std::vector<Target>> targets = parseTargets(options.target);
  if (!targets.ok())
    return targets.status();
  for (const Target &target : *targets)
    if (Status status = checkDtype(options.dtype, target); !status.ok())
      return status;
  if (Status status = checkNames(options.disabledPasses); !status.ok())
    return status;
  PipelineOptions pipeline;
  pipeline.target = targets->front();
  pipeline.alternatives.assign(targets->begin() + 1, targets->end());
  pipeline.maxMemory = options.maxMemory;
  for (const std::string &clause : options.attention)
    pipeline.attention += (pipeline.attention.empty() ? "" : ";") + clause;
  Result<AttentionRequest> request = AttentionRequest::parse(pipeline.attention);
  if (!request.ok())
    return request.status();
  pipeline.disabledPasses = options.disabledPasses;
  pipeline.packedInput = options.packedInput;
  for (const std::string &file : options.tuning)
    if (Status status = Tuning::read(file).status(); !status.ok())
      return status.withContext("--tuning: ");
  pipeline.tuning = options.tuning;
  pipeline.gpu = options.gpu;
  Result<int64_t> streamTokens = chooseStreamTokens(options, pipeline.target, targets->size() > 1);
  if (!streamTokens.ok())
    return streamTokens.status();
  pipeline.streamTokens = *streamTokens;
  pipeline.streamsAsked = options.streams > 0;
  pipeline.tuningPack = options.tuningPack;
  if (pipeline.tuningPack && pipeline.target.kind != "cuda")
    return Status(ExitCode::Unsupported, "there is nothing to measure for target '" +
                                             pipeline.target.arch +
                                             "': only kernels of GPUs offer a choice; name one "
                                             "with --target sm_90a");
  if (pipeline.tuningPack && !pipeline.alternatives.empty())
    return Status(ExitCode::Usage,
                  "--target: a tuning pack is for one target, got " + options.target);
  return pipeline;
}

void buildPipeline(Phase phase, OpPassManager &manager, const PipelineOptions &options) {
  switch (phase) {
  case Phase::Fuse:
    return buildFuse(manager, options);
  case Phase::Unpad:
    return buildUnpad(manager, options);
  case Phase::Lower:
    return buildLower(manager, options);
  case Phase::Plan:
    return buildPlan(manager, options);
  case Phase::Import:
  case Phase::Codegen:
    return;
  }
}

} // namespace ingot
