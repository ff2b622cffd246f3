//===- Evaluate.cpp - IR becomes numbers -----------------------------------===//

#include "compiler/verify/Evaluate.h"

#include "codegen/WriteArtifact.h"
#include "runtime/format/DType.h"
#include "runtime/support/Try.h"

#include "mlir/Pass/PassManager.h"

#include <cstring>
#include <filesystem>
#include <thread>

using namespace mlir;

namespace ingot::verify {

Result<TemporaryFolder> TemporaryFolder::create() {
  std::error_code error;
  std::filesystem::path base = std::filesystem::temp_directory_path(error);
  std::string path = (error ? std::filesystem::path("/tmp") : base) / "ingot-verify-XXXXXX";
  if (!mkdtemp(path.data()))
    return Status(ExitCode::OutOfResources, "cannot make a temporary folder '" + path + "': " +
                                                std::strerror(errno) + "; set TMPDIR");
  TemporaryFolder folder;
  folder.path_ = std::move(path);
  return folder;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  if (!path_.empty())
    std::filesystem::remove_all(path_, ignored);
}

Result<Evaluator> Evaluator::create(PipelineOptions pipeline, std::string weights,
                                    DiagnosticCollector &diagnostics) {
  Result<TemporaryFolder> folder = TemporaryFolder::create();
  if (!folder.ok())
    return folder.status();
  return Evaluator(std::move(pipeline), std::move(weights), diagnostics, std::move(*folder));
}

Result<std::unique_ptr<Model>> Evaluator::load(ModuleOp module) const {
  OwningOpRef<ModuleOp> lowered = module.clone();
  PassManager manager(module.getContext(), ModuleOp::getOperationName());
  buildPipeline(Phase::Lower, manager, pipeline);
  buildPipeline(Phase::Plan, manager, pipeline);
  if (failed(manager.run(*lowered)))
    return diagnostics->takeError("the IR does not lower; this is a defect of ingot");
  codegen::ArtifactOptions artifact;
  artifact.output = folder.path() + "/stage.ingot";
  artifact.emit.threads = std::max(1u, std::thread::hardware_concurrency());
  Result<codegen::ArtifactSummary> summary = codegen::writeArtifact(*lowered, artifact);
  if (!summary.ok())
    return summary.status();
  Result<std::shared_ptr<const Artifact>> opened =
      Artifact::open(artifact.output, {.verifyChecksums = false});
  std::error_code ignored;
  std::filesystem::remove(artifact.output, ignored); // it stays mapped
  if (!opened.ok())
    return opened.status();
  LoadOptions options;
  options.weights = weights;
  options.allowSurplus = true; // one program may not use all
  return Model::load(*opened, options);
}

/// Names of sizes are the program's: B rows, S tokens of a row.
static std::vector<Axis> axesOf(const Port &port) {
  std::vector<Axis> axes;
  for (const std::string &dim : port.dimTexts)
    axes.push_back(dim == "B" ? Axis::Row : dim == "S" ? Axis::Token : Axis::Other);
  return axes;
}

Result<CaseOutputs> runCase(Model &model, const Case &inputs, size_t calls) {
  Program &program = *model.programs().front();
  INGOT_TRY(model.reset());
  CaseOutputs results;
  for (const Call &call : inputs.calls) {
    if (results.size() == calls)
      break;
    std::vector<InputTensor> given;
    for (const Tensor &tensor : call.inputs)
      given.push_back(
          {tensor.name, tensor.type, tensor.shape, tensor.data.data(), tensor.data.size()});
    std::vector<OutputTensor> asked;
    for (const Port &port : program.outputs())
      asked.push_back({port.name});
    Status status = program.run(given, asked);
    if (!status.ok())
      return Status(ExitCode::Internal, status.message())
          .withContext("running case '" + inputs.name + "', call " +
                       std::to_string(results.size()) + ": ");
    std::vector<Output> &outputs = results.emplace_back();
    for (size_t i = 0; i < asked.size(); ++i) {
      Output &output = outputs.emplace_back();
      output.tensor.name = std::string(asked[i].name);
      output.tensor.type = static_cast<ElementType>(asked[i].dtype);
      output.tensor.shape.assign(asked[i].shape.begin(), asked[i].shape.end());
      const auto *data = static_cast<const std::byte *>(asked[i].data);
      output.tensor.data.assign(data, data + asked[i].bytes);
      output.axes = axesOf(program.outputs()[i]);
    }
  }
  return results;
}

} // namespace ingot::verify
