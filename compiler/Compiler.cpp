//===- Compiler.cpp - A model folder becomes an ingot ----------------------===//

#include "compiler/Compiler.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "codegen/WriteArtifact.h"
#include "compiler/Boundary.h"
#include "compiler/Diagnostics.h"
#include "compiler/MemoryMeter.h"
#include "compiler/ModelFolder.h"
#include "compiler/Pipelines.h"
#include "compiler/Suggest.h"
#include "compiler/Summary.h"
#include "compiler/import/Import.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/weights/WeightSource.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/SHA256.h"

using namespace mlir;

namespace ingot {

using Clock = std::chrono::steady_clock;

static double secondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The IR as text; with locations, what parses it again knows every op's Hugging Face module.
static std::string print(ModuleOp module, bool withLocations) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  OpPrintingFlags flags;
  if (withLocations)
    flags.enableDebugInfo();
  module.print(stream, flags);
  stream << "\n";
  return text;
}

namespace {
/// One compilation: the state that phases hand on.
class Compilation {
public:
  Compilation(const CompileOptions &options, CompileReport &report,
              const ProgressCallback &progress)
      : options(options), report(report), progress(progress),
        diagnostics(context, options.allRemarks) {}

  Status run();
  std::vector<std::string> takeRemarks() { return diagnostics.takeRemarks(); }

private:
  Status checkOptions();
  Status runPhase(Phase phase);
  Status importModel();
  void addProvenance();
  Status runPasses(Phase phase);
  Status writeArtifact();
  Status checkRemarks(Phase phase);
  Status dump(Phase phase);
  void reportAttention();
  void reportPlan();

  const CompileOptions &options;
  CompileReport &report;
  const ProgressCallback &progress;

  PipelineOptions pipeline;
  Phase last = Phase::Codegen;
  std::optional<Checkpoint> checkpoint;
  MLIRContext context;
  DiagnosticCollector diagnostics;
  OwningOpRef<ModuleOp> module;
  std::string debugText;
  MemoryMeter memory;
  std::vector<std::pair<std::string, uint64_t>> importedOps, ops; // by program
  CostCounter costs;
};
} // namespace

static Status makeFolder(const char *flag, const std::string &folder) {
  std::error_code ignored;
  if (folder.empty())
    return Status();
  std::filesystem::create_directories(folder, ignored);
  if (std::filesystem::is_directory(folder, ignored))
    return Status();
  return Status(ExitCode::Usage, std::string(flag) + ": cannot make the folder '" + folder + "'");
}

Status Compilation::checkOptions() {
  Result<PipelineOptions> parsed = makePipelineOptions(options);
  if (!parsed.ok())
    return parsed.status();
  pipeline = *parsed;
  report.targetArch = pipeline.target.arch;
  for (const Target &alternative : pipeline.alternatives)
    report.targetArch += ", " + alternative.arch;
  if (!options.stopAfter.empty()) {
    Result<Phase> phase = parsePhase(options.stopAfter);
    if (!phase.ok())
      return phase.status();
    last = *phase;
  }
  static const std::vector<std::string_view> outputs{"attentions"};
  for (const std::string &output : options.outputs)
    if (!llvm::is_contained(outputs, output))
      return Status(ExitCode::Usage, "--outputs: unknown output '" + output + "'" +
                                         didYouMean(output, outputs) +
                                         "; those that can be asked for are " + listNames(outputs));
  if (Status status = makeFolder("--dump-phases", options.dumpPhases); !status.ok())
    return status;
  if (Status status = makeFolder("--dump-kernels", options.dumpKernels); !status.ok())
    return status;
  if (last != Phase::Codegen)
    return Status();
  if (options.output.empty())
    return Status(ExitCode::Usage, "no output: name the file to write with -o FILE.ingot, or stop "
                                   "earlier with --stop-after PHASE");
  std::error_code ignored;
  if (std::filesystem::is_directory(options.output, ignored))
    return Status(ExitCode::Usage, "-o: '" + options.output + "' is a folder; name a file in it");
  std::filesystem::path folder = std::filesystem::path(options.output).parent_path();
  if (!folder.empty() && !std::filesystem::is_directory(folder, ignored))
    return Status(ExitCode::Usage, "-o: there is no folder '" + folder.string() + "'");
  return Status();
}

Status Compilation::importModel() {
  Result<std::optional<Checkpoint>> opened =
      openCheckpoint(options.model, options.embedWeights && last == Phase::Codegen);
  // A folder that is no model at all is better described by the importer.
  std::error_code ignored;
  bool isModel = std::filesystem::exists(options.model + "/config.json", ignored);
  if (!opened.ok() && isModel)
    return opened.status();
  if (opened.ok())
    checkpoint = std::move(*opened);
  import::ImportOptions importOptions;
  importOptions.model = options.model;
  importOptions.maxBatch = options.maxBatch;
  importOptions.maxContext = options.maxContext;
  importOptions.maxTokens = options.maxTokens;
  importOptions.dtype = toElementType(options.dtype);
  importOptions.checkpoint = checkpoint ? &*checkpoint : nullptr;
  importOptions.attentions = llvm::is_contained(options.outputs, "attentions");
  Result<import::ImportedModel> imported = import::importModel(context, importOptions);
  if (!imported.ok())
    return imported.status();
  module = std::move(imported->module);
  report.modelType = imported->spec.modelType;
  for (std::string &remark : imported->remarks)
    diagnostics.addRemark(std::move(remark));
  addProvenance();
  return Status();
}

/// What the model is and how it was compiled, for the artifact: names and a digest, never a path.
void Compilation::addProvenance() {
  Builder builder(&context);
  auto name = builder.getStringAttr(transformer::kModelAttr);
  NamedAttrList model((*module)->getAttrOfType<DictionaryAttr>(name));
  std::ifstream file(options.model + "/config.json", std::ios::binary);
  std::string config((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  model.set("config_sha256",
            builder.getStringAttr(llvm::toHex(
                llvm::SHA256::hash(llvm::arrayRefFromStringRef(config)), /*LowerCase=*/true)));
  NamedAttrList provenance;
  provenance.set("dtype", builder.getStringAttr(options.dtype));
  for (auto [key, value] :
       {std::pair("max_batch", options.maxBatch), std::pair("max_context", options.maxContext),
        std::pair("max_tokens", options.maxTokens)})
    if (value != 0)
      provenance.set(key, builder.getStringAttr(std::to_string(value)));
  model.set("provenance", provenance.getDictionary(&context));
  (*module)->setAttr(name, model.getDictionary(&context));
}

Status Compilation::runPasses(Phase phase) {
  PassManager manager(&context, ModuleOp::getOperationName());
  // The boundary's verifier runs once behind the phase.
  manager.enableVerifier(false);
  buildPipeline(phase, manager, pipeline);
  if (succeeded(manager.run(*module)))
    return Status();
  return diagnostics.takeError("phase '" + std::string(phaseName(phase)) +
                               "' failed without saying why; this is a defect of ingot");
}

Status Compilation::writeArtifact() {
  codegen::ArtifactOptions artifact;
  artifact.output = options.output;
  std::unique_ptr<WeightSource> weights;
  if (options.embedWeights)
    weights = makeCheckpointSource(std::move(*checkpoint));
  artifact.weights = weights.get();
  artifact.debugText = debugText;
  artifact.emit.dumpDirectory = options.dumpKernels;
  artifact.emit.threads = std::max(1u, std::thread::hardware_concurrency());
  Result<codegen::ArtifactSummary> summary = codegen::writeArtifact(*module, artifact);
  if (!summary.ok())
    return summary.status();
  report.codeBytes = summary->codeBytes;
  report.fileBytes = summary->fileBytes;
  return Status();
}

Status Compilation::checkRemarks(Phase phase) {
  if (!options.noFallback || diagnostics.missed() == 0)
    return Status();
  std::vector<std::string> remarks = diagnostics.takeRemarks();
  return Status(ExitCode::Unsupported,
                "--no-fallback: phase '" + std::string(phaseName(phase)) + "' left " +
                    std::to_string(diagnostics.missed()) +
                    " paths untaken; the first: " + (remarks.empty() ? "" : remarks.front()));
}

Status Compilation::dump(Phase phase) {
  bool stops = phase == last && !options.stopAfter.empty();
  if (options.dumpPhases.empty() && !stops && !options.debugInfo)
    return Status();
  std::string text = print(*module, /*withLocations=*/false);
  std::string name(phaseName(phase));
  if (!options.dumpPhases.empty()) {
    char number[8];
    snprintf(number, sizeof number, "%02d-", static_cast<int>(phase) + 1);
    std::filesystem::path path =
        std::filesystem::path(options.dumpPhases) / (number + name + ".mlir");
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << print(*module, /*withLocations=*/true);
    if (!file.flush())
      return Status(ExitCode::OutOfResources,
                    "--dump-phases: cannot write '" + path.string() + "'");
  }
  if (options.debugInfo && phase != Phase::Codegen)
    debugText += "// ---- after phase " + name + "\n" + text;
  if (stops)
    report.ir = std::move(text);
  return Status();
}

/// What select-attention wrote into the provenance.
void Compilation::reportAttention() {
  auto model = (*module)->getAttrOfType<DictionaryAttr>(transformer::kModelAttr);
  auto provenance = model ? model.getAs<DictionaryAttr>("provenance") : DictionaryAttr();
  for (NamedAttribute entry : provenance ? provenance : DictionaryAttr::get(&context)) {
    StringRef key = entry.getName().getValue();
    if (!key.consume_front("attention/"))
      continue;
    auto [program, layers] = key.rsplit('/');
    report.attention.push_back(
        {program.str(), layers.str(), cast<StringAttr>(entry.getValue()).getValue().str()});
  }
}

/// What the plan says about memory, launches and costs.
void Compilation::reportPlan() {
  for (exec::DeviceOp device : module->getOps<exec::DeviceOp>()) {
    report.arenaBytes += device.getArenaBytes().value_or(0);
    report.weightBytes += device.getWeightBytes().value_or(0);
    report.stateBytes += device.getStateBytes().value_or(0);
  }
  for (exec::KernelOp kernel : module->getOps<exec::KernelOp>())
    report.kernels += !kernel.getVariantOf();
  for (exec::ProgramOp program : module->getOps<exec::ProgramOp>())
    if (auto candidate = program->getAttrOfType<DictionaryAttr>(exec::ExecDialect::kCandidateAttr))
      report.measuredKernels += candidate.getAs<BoolAttr>("modelled").getValue();
  costs.report(*module,
               findCeiling(pipeline.target, options.dtype,
                           std::max(1u, std::thread::hardware_concurrency())),
               report);
  for (ProgramReport &program : report.programs) {
    auto count = [&](const std::vector<std::pair<std::string, uint64_t>> &counts) {
      for (const auto &[name, ops] : counts)
        if (name == program.name)
          return ops;
      return uint64_t(0);
    };
    program.importedOps = count(importedOps);
    program.ops = count(ops);
  }
}

Status Compilation::runPhase(Phase phase) {
  if (progress)
    progress(phase);
  Clock::time_point start = Clock::now();
  if (phase == Phase::Lower) {
    // The last moment at which the model is one of ops.
    ops = countOps(*module);
    costs.countFlops(*module);
  }
  Status status = phase == Phase::Import    ? importModel()
                  : phase == Phase::Codegen ? writeArtifact()
                                            : runPasses(phase);
  if (status.ok() && phase != Phase::Codegen && failed(verifyBoundary(*module, phase)))
    status = diagnostics.takeError("the IR after phase '" + std::string(phaseName(phase)) +
                                   "' does not verify; this is a defect of ingot");
  if (status.ok() && phase == Phase::Import)
    importedOps = countOps(*module);
  if (status.ok())
    status = checkRemarks(phase);
  if (status.ok())
    status = dump(phase);
  report.phases.push_back({phase, secondsSince(start), memory.takePeak()});
  if (status.ok() && phase == Phase::Fuse)
    reportAttention();
  if (status.ok() && phase == Phase::Plan)
    reportPlan();
  return status;
}

Status Compilation::run() {
  if (Status status = checkOptions(); !status.ok())
    return status;
  Status status;
  for (const PhaseInfo &info : phaseTable) {
    status = runPhase(info.phase);
    if (!status.ok() || info.phase == last)
      break;
  }
  return status;
}

Status compile(const CompileOptions &options, CompileReport &report,
               const ProgressCallback &progress) {
  Clock::time_point start = Clock::now();
  report = CompileReport();
  Compilation compilation(options, report, progress);
  Status status = compilation.run();
  report.remarks = compilation.takeRemarks();
  report.seconds = secondsSince(start);
  for (const PhaseReport &phase : report.phases)
    report.peakBytes = std::max(report.peakBytes, phase.peakBytes);
  report.peakResidentBytes = MemoryMeter::peakResident();
  return status;
}

} // namespace ingot
