//===- Reproducer.cpp - A drifting pass, cut down to run alone -------------===//

#include "compiler/verify/Reproducer.h"

#include "codegen/host/KernelCache.h"
#include "compiler/verify/Compare.h"
#include "compiler/verify/Cut.h"
#include "compiler/verify/Stages.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "passes/Passes.h"
#include "runtime/cli/Npy.h"
#include "runtime/support/Try.h"
#include "runtime/weights/Json.h"
#include "runtime/weights/JsonWriter.h"
#include "runtime/weights/WeightSource.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <mutex>

using namespace mlir;

namespace ingot::verify {

Result<OwningOpRef<ModuleOp>> applyPipeline(ModuleOp module, const std::string &pipeline,
                                            DiagnosticCollector &diagnostics) {
  static std::once_flag once;
  std::call_once(once, [] {
    registerTransformsPasses();
    registerIngotPasses();
  });
  std::string problem;
  llvm::raw_string_ostream problems(problem);
  FailureOr<OpPassManager> parsed = parsePassPipeline(pipeline, problems);
  if (failed(parsed) || parsed->getOpAnchorName() != ModuleOp::getOperationName())
    return Status(ExitCode::MalformedInput,
                  "'" + pipeline +
                      "' is no pipeline builtin.module(...) of passes of this version" +
                      (problem.empty() ? "" : ": " + problem));
  PassManager manager(module.getContext(), ModuleOp::getOperationName());
  static_cast<OpPassManager &>(manager) = std::move(*parsed);
  OwningOpRef<ModuleOp> result = module.clone();
  if (failed(manager.run(*result)))
    return diagnostics.takeError("'" + pipeline + "' fails on this module");
  return result;
}

namespace {

/// What a reproducer holds.
struct Contents {
  OwningOpRef<ModuleOp> before, after;
  std::string pipeline, pass, weights, target;
  double budget = 0;
  Case inputs;
};

/// The worst output of all calls before and after, relative to the budget's meaning.
Result<Difference> drift(ModuleOp before, ModuleOp after, const Case &inputs,
                         const Evaluator &evaluator) {
  Result<std::unique_ptr<Model>> expected = evaluator.load(before), got = evaluator.load(after);
  if (!expected.ok())
    return expected.status();
  if (!got.ok())
    return got.status();
  Result<CaseOutputs> wanted = runCase(**expected, inputs), is = runCase(**got, inputs);
  if (!wanted.ok())
    return wanted.status();
  if (!is.ok())
    return is.status();
  Difference worst;
  for (size_t call = 0; call < wanted->size(); ++call)
    for (auto [a, b] : llvm::zip_equal((*wanted)[call], (*is)[call])) {
      // Inside a program hidden scores are infinite.
      Difference one = compare(a.tensor, b.tensor, a.axes, inputs.calls[call].mask,
                               /*infinities=*/true);
      if (one.worseThan(worst))
        worst = one;
    }
  return worst;
}

//===----------------------------------------------------------------------===//
// Cutting down
//===----------------------------------------------------------------------===//

/// "model.layers.2" of "model.layers.2.self_attn.q_proj"; the whole path where there is no number.
std::string layerOf(StringRef path) {
  SmallVector<StringRef> parts;
  path.split(parts, '.');
  std::string layer;
  for (StringRef part : parts) {
    layer += (layer.empty() ? "" : ".") + part.str();
    if (llvm::all_of(part, llvm::isDigit))
      break;
  }
  return layer;
}

llvm::DenseSet<Operation *> opsAt(ModuleOp program, llvm::function_ref<bool(Location)> wanted) {
  llvm::DenseSet<Operation *> ops;
  for (Operation &op : programOf(program).getBody().front().without_terminator())
    if (wanted(op.getLoc()))
      ops.insert(&op);
  return ops;
}

bool isBelow(Location location, StringRef prefix) {
  std::string path = describeLocation(location);
  return StringRef(path) == prefix || StringRef(path).starts_with((prefix + ".").str());
}

/// The smallest part that still drifts when it is alone. What the pass remarks on parts is nobody's
/// concern.
Result<Contents> shrink(const Suspect &suspect, const Finding &finding,
                        const Evaluator &evaluator) {
  Contents contents;
  contents.pipeline = suspect.pipeline;
  contents.budget = suspect.budget;
  std::vector<std::string> remarks = evaluator.collector().takeRemarks();
  llvm::scope_exit restore([&] {
    (void)evaluator.collector().takeRemarks();
    for (std::string &remark : remarks)
      evaluator.collector().addRemark(std::move(remark));
  });
  std::vector<llvm::DenseSet<Operation *>> parts;
  if (finding.location) {
    // Nearest first: the op's own module, with what is inside that module, and its layer.
    std::string path = describeLocation(*finding.location);
    path = path.substr(0, path.find(','));
    parts.push_back(
        opsAt(suspect.before, [&](Location at) { return sharesLocation(at, *finding.location); }));
    for (const std::string &prefix : {path, layerOf(path)})
      parts.push_back(opsAt(suspect.before, [&](Location at) {
        return isBelow(at, prefix) || sharesLocation(at, *finding.location);
      }));
  }
  for (const llvm::DenseSet<Operation *> &ops : parts) {
    std::optional<Cut> cut =
        cutProgram(suspect.before, ops, finding.before, *suspect.inputs, suspect.call);
    if (!cut)
      continue;
    Result<OwningOpRef<ModuleOp>> after =
        applyPipeline(*cut->module, suspect.pipeline, evaluator.collector());
    if (!after.ok())
      continue;
    Result<Difference> difference = drift(*cut->module, **after, cut->inputs, evaluator);
    if (!difference.ok()) {
      (void)evaluator.collector().takeError("");
      continue;
    }
    if (difference->within(suspect.budget))
      continue;
    contents.before = std::move(cut->module);
    contents.after = std::move(*after);
    contents.inputs = std::move(cut->inputs);
    return contents;
  }
  contents.before = ModuleOp(suspect.before).clone();
  contents.after = ModuleOp(suspect.after).clone();
  contents.inputs = *suspect.inputs;
  contents.inputs.calls.resize(suspect.call + 1);
  return contents;
}

//===----------------------------------------------------------------------===//
// Writing
//===----------------------------------------------------------------------===//

Status writeText(const std::filesystem::path &path, const std::string &text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  if (!file.flush())
    return Status(ExitCode::OutOfResources, "--reproducer: cannot write '" + path.string() + "'");
  return Status();
}

std::string printWithLocations(ModuleOp module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, OpPrintingFlags().enableDebugInfo());
  return text + "\n";
}

/// The sources that `module` names, as a safetensors file.
Status writeWeights(ModuleOp module, const std::string &from, const std::filesystem::path &path) {
  auto table = module->getAttrOfType<DictionaryAttr>(transformer::kSourcesAttr);
  std::vector<SourceSpec> specs;
  for (NamedAttribute entry : table ? table : DictionaryAttr::get(module.getContext())) {
    auto source = cast<DictionaryAttr>(entry.getValue());
    SourceSpec &spec = specs.emplace_back();
    spec.name = entry.getName().str();
    for (auto alias : source.getAs<ArrayAttr>("aliases").getAsRange<StringAttr>())
      spec.aliases.push_back(alias.str());
    for (auto dim : source.getAs<ArrayAttr>("shape").getAsRange<IntegerAttr>())
      spec.shape.push_back(dim.getInt());
  }
  Result<std::unique_ptr<WeightSource>> source = openWeightSource(from);
  if (!source.ok())
    return source.status();
  Result<std::vector<SourceTensor>> tensors = bindSources(**source, specs);
  if (!tensors.ok())
    return tensors.status();
  JsonWriter json(0);
  json.beginObject();
  uint64_t offset = 0;
  for (auto [spec, tensor] : llvm::zip_equal(specs, *tensors)) {
    uint64_t bytes = numBytes(tensor.type).value_or(0);
    json.key(spec.name).beginObject();
    json.member("dtype", safetensorsName(tensor.type.elementType)).key("shape").beginArray();
    for (int64_t dim : tensor.type.shape)
      json.value(dim);
    json.endArray().key("data_offsets").beginArray().value(offset).value(offset + bytes).endArray();
    json.endObject();
    offset += bytes;
  }
  json.endObject();
  std::string header = json.text();
  header.append((8 - header.size() % 8) % 8, ' ');
  uint64_t length = header.size();
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  for (int i = 0; i < 8; ++i)
    file.put(char(length >> (8 * i)));
  file << header;
  for (const SourceTensor &tensor : *tensors)
    file.write(reinterpret_cast<const char *>(tensor.data), numBytes(tensor.type).value_or(0));
  if (!file.flush())
    return Status(ExitCode::OutOfResources, "--reproducer: cannot write '" + path.string() + "'");
  return Status();
}

Status writeCalls(const Contents &contents, const std::filesystem::path &folder, JsonWriter &json) {
  json.key("calls").beginArray();
  for (auto [index, call] : llvm::enumerate(contents.inputs.calls)) {
    std::string prefix = "call" + std::to_string(index) + ".";
    json.beginObject().member("valid", prefix + "valid.npy").key("inputs").beginObject();
    const int64_t shape[] = {call.mask.rows, call.mask.tokens};
    INGOT_TRY(writeNpy(folder / (prefix + "valid.npy"), format::DType::I1, shape,
                       call.mask.valid.data()));
    for (const Tensor &tensor : call.inputs) {
      std::string file = prefix + tensor.name + ".npy";
      INGOT_TRY(
          writeNpy(folder / file, format::DType(tensor.type), tensor.shape, tensor.data.data()));
      json.member(tensor.name, file);
    }
    json.endObject().endObject();
  }
  json.endArray();
  return Status();
}

std::string readme(const Contents &contents, const Failure &failure) {
  std::string text = "# " + failure.pass + " changes results\n\n";
  text += "Found by `ingot verify`: program `" + failure.program + "`, " + failure.inputs +
          ", output `" + failure.output + "`.\n";
  if (!failure.op.empty())
    text += "The first op that drifts is `" + failure.op + "` at `" + failure.location + "`" +
            (failure.opBefore.empty() ? "" : ", which was `" + failure.opBefore + "`") + ".\n";
  text +=
      "\nRun the pass over `before.mlir` (giving `after.mlir`):\n\n"
      "    ingot-opt before.mlir --pass-pipeline='" +
      contents.pipeline +
      "'\n\n"
      "Evaluate both on the inputs beside this file and compare (exit code 5 while it drifts):\n\n"
      "    ingot verify --reproduce .\n";
  return text;
}

} // namespace

Status writeReproducer(const Suspect &suspect, const Finding &finding, const Evaluator &evaluator,
                       const std::string &weights, const VerifyOptions &options, Failure &failure) {
  Result<Contents> contents = shrink(suspect, finding, evaluator);
  if (!contents.ok())
    return contents.status();
  std::filesystem::path folder(options.reproducer);
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  if (!std::filesystem::is_directory(folder, ignored))
    return Status(ExitCode::Usage,
                  "--reproducer: cannot make the folder '" + options.reproducer + "'");
  contents->weights = weights;
  if (!StringRef(weights).starts_with("random:")) {
    contents->weights = "weights.safetensors";
    INGOT_TRY(writeWeights(*contents->before, weights, folder / contents->weights));
  }
  INGOT_TRY(writeText(folder / "before.mlir", printWithLocations(*contents->before)));
  INGOT_TRY(writeText(folder / "after.mlir", printWithLocations(*contents->after)));
  JsonWriter json;
  json.beginObject()
      .member("program", failure.program)
      .member("phase", failure.phase)
      .member("pass", failure.pass)
      .member("pipeline", contents->pipeline)
      .member("budget", contents->budget)
      .member("target", options.compile.target)
      .member("weights", contents->weights);
  INGOT_TRY(writeCalls(*contents, folder, json));
  json.endObject();
  INGOT_TRY(writeText(folder / "reproducer.json", json.text() + "\n"));
  INGOT_TRY(writeText(folder / "README.md", readme(*contents, failure)));
  failure.reproducer = options.reproducer;
  failure.command = "ingot verify --reproduce " + options.reproducer;
  return Status();
}

//===----------------------------------------------------------------------===//
// Running again
//===----------------------------------------------------------------------===//

namespace {

/// A file of the reproducer, which may name nothing outside its folder.
Result<std::string> fileIn(const std::string &folder, const std::string &name) {
  if (name.empty() || name.find('/') != std::string::npos || name == "..")
    return Status(ExitCode::MalformedInput, folder +
                                                "/reproducer.json: expected the name of a file "
                                                "in this folder, got '" +
                                                name + "'");
  return folder + "/" + name;
}

Result<Tensor> readTensor(const std::string &folder, const std::string &file, std::string name) {
  Result<std::string> path = fileIn(folder, file);
  if (!path.ok())
    return path.status();
  Result<NpyFile> npy = readNpy(*path);
  if (!npy.ok())
    return npy.status();
  return Tensor{std::move(name),
                npy->array.type,
                npy->array.shape,
                {npy->array.data.begin(), npy->array.data.end()}};
}

Result<Call> readCall(const std::string &folder, JsonView json) {
  Call call;
  Result<std::string> valid = json["valid"].asString();
  if (!valid.ok())
    return valid.status();
  Result<Tensor> mask = readTensor(folder, *valid, "valid");
  if (!mask.ok())
    return mask.status();
  if (mask->shape.size() != 2 || sizeOf(mask->type) != 1)
    return Status(ExitCode::MalformedInput,
                  folder + "/" + *valid + ": expected a matrix of booleans, got " +
                      std::string(nameOf(mask->type)) + shapeStr(mask->shape));
  call.mask = {mask->shape[0], mask->shape[1], {}};
  for (std::byte byte : mask->data)
    call.mask.valid.push_back(byte != std::byte(0));
  auto inputs = json["inputs"].asObject();
  if (!inputs.ok())
    return inputs.status();
  for (auto &[name, file] : *inputs) {
    Result<std::string> path = file.asString();
    if (!path.ok())
      return path.status();
    Result<Tensor> tensor = readTensor(folder, *path, name);
    if (!tensor.ok())
      return tensor.status();
    call.inputs.push_back(std::move(*tensor));
  }
  return call;
}

/// Everything but `after`.
Result<Contents> readContents(const std::string &folder, MLIRContext &context,
                              DiagnosticCollector &diagnostics, Failure &failure) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder + "/reproducer.json", ignored))
    return Status(ExitCode::Usage,
                  "--reproduce: '" + folder +
                      "' is no folder that ingot verify --reproducer wrote: it has "
                      "no reproducer.json");
  Result<JsonDocument> document = readJsonFile(folder + "/reproducer.json");
  if (!document.ok())
    return document.status();
  JsonView json = document->root();
  Contents contents;
  std::pair<const char *, std::string *> const texts[] = {
      {"program", &failure.program},  {"phase", &failure.phase},
      {"pass", &failure.pass},        {"target", &contents.target},
      {"weights", &contents.weights}, {"pipeline", &contents.pipeline}};
  for (auto [key, text] : texts) {
    Result<std::string> value = json[key].asString();
    if (!value.ok())
      return value.status();
    *text = *value;
  }
  Result<double> budget = json["budget"].asDouble();
  if (!budget.ok())
    return budget.status();
  contents.budget = *budget;
  if (!StringRef(contents.weights).starts_with("random:")) {
    Result<std::string> file = fileIn(folder, contents.weights);
    if (!file.ok())
      return file.status();
    contents.weights = *file;
  }
  Result<std::vector<JsonView>> calls = json["calls"].asArray();
  if (!calls.ok())
    return calls.status();
  contents.inputs.name = "the reproducer";
  for (const JsonView &entry : *calls) {
    Result<Call> call = readCall(folder, entry);
    if (!call.ok())
      return call.status();
    contents.inputs.calls.push_back(std::move(*call));
  }
  contents.before = parseSourceFile<ModuleOp>(folder + "/before.mlir", &context);
  if (!contents.before || !programOf(*contents.before))
    return Status(ExitCode::MalformedInput,
                  diagnostics.takeError(folder + "/before.mlir: expected a program").message());
  return contents;
}

} // namespace

Status rerunReproducer(const std::string &folder, VerifyReport &report) {
  auto start = std::chrono::steady_clock::now();
  report = VerifyReport();
  DialectRegistry registry;
  registry.insert<transformer::TransformerDialect, func::FuncDialect>();
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  DiagnosticCollector diagnostics(context);
  Failure failure;
  Result<Contents> contents = readContents(folder, context, diagnostics, failure);
  if (!contents.ok())
    return contents.status();
  CompileOptions compile;
  compile.target = contents->target;
  Result<PipelineOptions> pipeline = makePipelineOptions(compile);
  if (!pipeline.ok())
    return pipeline.status();
  report.targetArch = pipeline->target.arch;
  Result<OwningOpRef<ModuleOp>> after =
      applyPipeline(*contents->before, contents->pipeline, diagnostics);
  if (!after.ok())
    return after.status();
  Result<Evaluator> evaluator = Evaluator::create(*pipeline, contents->weights, diagnostics);
  if (!evaluator.ok())
    return evaluator.status();
  host::KernelCache cache(host::Effort::Brief); // for `after`
  Result<Difference> difference = drift(*contents->before, **after, contents->inputs, *evaluator);
  if (!difference.ok())
    return difference.status();
  report.kernelsCompiled = cache.compiled();
  report.kernelsReused = cache.reused();
  StageReport stage{failure.phase,    failure.pass,    true, true, difference->error,
                    contents->budget, "the reproducer"};
  ProgramResult program{failure.program, 1, contents->inputs.calls.size(), {stage}};
  report.programs.push_back(program);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (difference->within(contents->budget))
    return Status();
  failure.error = difference->finite ? difference->error : std::nan("");
  failure.budget = contents->budget;
  report.failure = failure;
  char numbers[96];
  snprintf(numbers, sizeof numbers, "error %.2g, expected at most %.2g", failure.error,
           failure.budget);
  return Status(ExitCode::AccuracyMismatch,
                "pass " + failure.pass + " changes the results of the reproducer: " + numbers);
}

} // namespace ingot::verify
