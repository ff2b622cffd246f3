//===- Launches.cpp - A device against the host, launch by launch ----------===//

#include "compiler/verify/Launches.h"

#include "codegen/host/HostImage.h"
#include "codegen/host/KernelCache.h"
#include "compiler/Diagnostics.h"
#include "compiler/Suggest.h"
#include "compiler/verify/HostReference.h"
#include "compiler/verify/Inputs.h"
#include "compiler/verify/LaunchCompare.h"
#include "compiler/verify/LaunchReproducer.h"
#include "compiler/verify/StreamCheck.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "passes/Passes.h"
#include "runtime/cli/Npy.h"
#include "runtime/exec/Model.h"
#include "runtime/support/Try.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>

using namespace mlir;

namespace ingot::verify {
namespace {

// As for the passes: quick, with three blocks of the cache and every tail of a tile.
constexpr int64_t kBatch = 4, kContext = 48;

/// Bytes as kernels want them: 64-byte aligned.
class HostBuffer {
public:
  Status resize(uint64_t bytes) {
    memory.reset(static_cast<std::byte *>(std::aligned_alloc(64, (bytes / 64 + 1) * 64)));
    size = bytes;
    return memory ? Status()
                  : Status(ExitCode::OutOfResources, "cannot allocate " + std::to_string(bytes) +
                                                         " bytes for a buffer on the host");
  }
  std::byte *data() const { return memory.get(); }
  std::span<std::byte> bytes() const { return {memory.get(), size}; }

private:
  struct Free {
    void operator()(std::byte *pointer) const { std::free(pointer); }
  };
  std::unique_ptr<std::byte, Free> memory;
  uint64_t size = 0;
};

/// Runs every launch on the host as well, and keeps the first that differs.
class Checker final : public LaunchObserver {
public:
  Checker(const Artifact &artifact, HostReference &reference)
      : artifact(artifact), reference(reference) {}

  void begin(Program &program, LaunchesReport &report) {
    this->program = &program;
    this->report = &report;
  }
  void setInputs(std::string name) { inputs = std::move(name); }

  Status before(const LaunchView &view) override;
  Status after(const LaunchView &view) override;

  std::optional<LaunchFailure> failure;
  FailedLaunch failed;

private:
  KernelReport &reportOf(const LaunchView &view);

  const Artifact &artifact;
  HostReference &reference;
  Program *program = nullptr;
  LaunchesReport *report = nullptr;
  std::string inputs;
  const ReferenceKernel *kernel = nullptr; // of the launch; null: not compared
  std::vector<HostBuffer> host;
};

KernelReport &Checker::reportOf(const LaunchView &view) {
  std::string entry = artifact.plan().kernels()->Get(view.kernel)->entry()->str();
  const ReferenceKernel *known = reference.find(entry);
  std::string name = known ? known->op.getSymName().str() : entry;
  for (KernelReport &row : report->kernels)
    if (row.kernel == name)
      return row;
  KernelReport &row = report->kernels.emplace_back();
  row.kernel = name;
  if (known) {
    row.family = known->family;
    row.summary = known->summary;
    row.budget = known->budget;
    row.problem = known->problem;
  } else {
    row.problem = "the ingot's debug section has no such kernel";
  }
  return row;
}

Status Checker::before(const LaunchView &view) {
  ++report->launches;
  KernelReport &row = reportOf(view);
  ++row.launches;
  kernel = nullptr;
  if (!row.problem.empty())
    return Status();
  kernel = reference.find(artifact.plan().kernels()->Get(view.kernel)->entry()->str());
  if (kernel->types.size() != view.buffers.size()) {
    row.problem = "the ingot's debug section has another kernel of that name";
    kernel = nullptr;
    return Status();
  }
  host.resize(view.buffers.size());
  auto shares = [&](size_t i, size_t j) {
    auto a = reinterpret_cast<uintptr_t>(view.buffers[i]),
         b = reinterpret_cast<uintptr_t>(view.buffers[j]);
    return a < b + view.bytes[j] && b < a + view.bytes[i];
  };
  for (size_t i = 0; i < host.size(); ++i) {
    INGOT_TRY(host[i].resize(view.bytes[i]));
    bool isInput = i < kernel->numInputs, shared = false;
    for (size_t j = 0; j < kernel->numInputs; ++j)
      shared |= shares(i, j);
    if (isInput) {
      INGOT_TRY(view.device.download(host[i].data(), view.buffers[i], view.bytes[i]));
    } else {
      // What a kernel leaves out must not be there from before: every byte 0xff is no number.
      std::memset(host[i].data(), 0xff, view.bytes[i]);
      if (!shared)
        INGOT_TRY(view.device.upload(view.buffers[i], host[i].data(), view.bytes[i]));
    }
  }
  return view.device.synchronize();
}

Status Checker::after(const LaunchView &view) {
  if (!kernel || failure)
    return Status();
  KernelReport &row = reportOf(view);
  FailedLaunch launch;
  launch.artifact = &artifact;
  launch.kernel = kernel;
  launch.planKernel = view.kernel;
  launch.location = program->stepLocation(view.step);
  launch.grid = view.grid;
  launch.sizes.assign(view.sizes.begin(), view.sizes.end());
  // The host writes over what it updates, and a reproducer needs what was there.
  std::vector<std::vector<std::byte>> updated(host.size());
  std::vector<void *> pointers;
  for (size_t i = 0; i < host.size(); ++i) {
    if (kernel->written[i] && i < kernel->numInputs)
      updated[i].assign(host[i].bytes().begin(), host[i].bytes().end());
    pointers.push_back(host[i].data());
  }
  INGOT_TRY(reference.run(*kernel, pointers, view.sizes));
  for (size_t i = 0; i < host.size(); ++i) {
    if (!kernel->written[i])
      continue;
    HostBuffer got;
    INGOT_TRY(got.resize(view.bytes[i]));
    INGOT_TRY(view.device.download(got.data(), view.buffers[i], view.bytes[i]));
    INGOT_TRY(view.device.synchronize());
    LaunchDifference difference = compareBuffers(kernel->types[i], host[i].bytes(), got.bytes());
    if (!(difference.error <= row.error)) {
      row.error = difference.error;
      row.worst = inputs + ", " + launch.location;
    }
    if (difference.error <= row.budget)
      continue;
    LaunchFailure &found = failure.emplace();
    found.program = report->program;
    found.inputs = inputs;
    found.kernel = row.kernel;
    found.family = row.family;
    found.summary = row.summary;
    found.location = launch.location;
    found.step = view.step;
    found.steps = program->numSteps();
    found.buffer = unsigned(i);
    found.error = difference.error;
    found.budget = row.budget;
    found.element = difference.element;
    found.elements = difference.elements;
    found.got = difference.got;
    found.expected = difference.expected;
    failed = std::move(launch);
    for (size_t j = 0; j < host.size(); ++j)
      failed.buffers.push_back(!updated[j].empty() ? std::move(updated[j])
                                                   : std::vector<std::byte>(host[j].bytes().begin(),
                                                                            host[j].bytes().end()));
    return Status(ExitCode::AccuracyMismatch, "a launch differs"); // ends the run
  }
  return Status();
}

/// An ingot on its device, and its IR.
struct Loaded {
  MLIRContext context;
  DiagnosticCollector diagnostics{context};
  std::shared_ptr<const Artifact> artifact;
  OwningOpRef<ModuleOp> exec;
  host::KernelCache cache{host::Effort::Brief};
  std::unique_ptr<HostReference> reference;
  std::unique_ptr<Model> model;

  Result<OwningOpRef<ModuleOp>> parse(const char *phase);
  Status open(const std::string &file, const std::string &weights, DeviceFactory makeDevice,
              IngotReport &report);
};

Result<OwningOpRef<ModuleOp>> Loaded::parse(const char *phase) {
  std::string text = debugPhase(*artifact, phase);
  if (text.empty())
    return Status(ExitCode::Usage,
                  artifact->path() + ": holds no IR of its kernels, by which launches are checked; "
                                     "compile the model with --debug-info");
  OwningOpRef<ModuleOp> module = parseSourceString<ModuleOp>(text, &context);
  if (!module)
    return Status(ExitCode::MalformedInput, artifact->path() + ": the IR after phase '" + phase +
                                                "' in its debug section: " +
                                                diagnostics.takeError("does not parse").message());
  return module;
}

Status Loaded::open(const std::string &file, const std::string &weights, DeviceFactory makeDevice,
                    IngotReport &report) {
  DialectRegistry registry;
  host::registerHostDialects(registry);
  registry.insert<transformer::TransformerDialect, exec::ExecDialect, func::FuncDialect>();
  context.appendDialectRegistry(registry);
  context.loadAllAvailableDialects();
  Result<std::shared_ptr<const Artifact>> opened = Artifact::open(file);
  if (!opened.ok())
    return opened.status();
  artifact = *opened;
  if (const auto *type = artifact->plan().model_type())
    report.modelType = type->str();
  Result<OwningOpRef<ModuleOp>> parsed = parse("plan");
  if (!parsed.ok())
    return parsed.status();
  exec = std::move(*parsed);
  // The device first: without one there is nothing to compile for.
  LoadOptions load;
  load.weights = weights;
  load.makeDevice = makeDevice;
  Result<std::unique_ptr<Model>> loaded = Model::load(artifact, load);
  if (!loaded.ok())
    return loaded.status();
  model = std::move(*loaded);
  report.device = model->memory().front().device;
  Result<std::unique_ptr<HostReference>> made = HostReference::create(*exec);
  if (!made.ok())
    return made.status();
  reference = std::move(*made);
  report.hostArch = reference->arch();
  return Status();
}

/// The imported program with sizes of at most what is asked for.
void limitSizes(ModuleOp module, int64_t batch, int64_t context) {
  Builder builder(module.getContext());
  auto limit = [&](NamedAttrList &list, StringRef name, int64_t most) {
    if (auto bounds = dyn_cast_or_null<ArrayAttr>(list.get(name)); bounds && bounds.size() == 2) {
      int64_t maximum = std::min(most, cast<IntegerAttr>(bounds[1]).getInt());
      list.set(name, builder.getArrayAttr({bounds[0], builder.getI64IntegerAttr(maximum)}));
    }
  };
  if (auto sizes = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr)) {
    NamedAttrList list(sizes);
    limit(list, "B", batch);
    limit(list, "S", context);
    module->setAttr(transformer::kSizesAttr, list.getDictionary(module.getContext()));
  }
  if (auto generation = module->getAttrOfType<DictionaryAttr>(transformer::kGenerationAttr)) {
    NamedAttrList list(generation);
    if (auto most = generation.getAs<IntegerAttr>("max_context"))
      list.set("max_context", builder.getI64IntegerAttr(std::min(context, most.getInt())));
    module->setAttr(transformer::kGenerationAttr, list.getDictionary(module.getContext()));
  }
}

Status runCases(Loaded &loaded, Program &program, const std::vector<Case> &cases, Checker &checker,
                const std::function<void(const std::string &)> &progress) {
  for (const Case &inputs : cases) {
    progress(inputs.name);
    INGOT_TRY(loaded.model->reset());
    for (size_t call = 0; call < inputs.calls.size(); ++call) {
      checker.setInputs(inputs.calls.size() == 1 ? inputs.name
                                                 : inputs.name + ", call " + std::to_string(call));
      if (!takesCall(program, inputs.calls[call]))
        continue;
      Result<std::vector<Tensor>> tensors = inputsFor(program, inputs.calls[call]);
      if (!tensors.ok())
        return tensors.status();
      std::vector<InputTensor> given;
      for (const Tensor &tensor : *tensors)
        given.push_back(
            {tensor.name, tensor.type, tensor.shape, tensor.data.data(), tensor.data.size()});
      Status status = program.run(given, {});
      if (checker.failure)
        return Status();
      if (!status.ok())
        return status.withContext("running case '" + inputs.name + "', call " +
                                  std::to_string(call) + ": ");
    }
  }
  return Status();
}

/// Those that are asked for.
Result<std::vector<Program *>> choosePrograms(Model &model, const std::vector<std::string> &asked) {
  std::vector<Program *> programs;
  std::vector<std::string_view> names;
  for (const std::unique_ptr<Program> &program : model.programs())
    names.push_back(program->name());
  for (const std::string &name : asked)
    if (!llvm::is_contained(names, name))
      return Status(ExitCode::Usage, "--programs: the ingot has no program '" + name + "'" +
                                         didYouMean(name, names) + "; its programs are " +
                                         listNames(names));
  for (const std::unique_ptr<Program> &program : model.programs())
    if (asked.empty() || llvm::is_contained(asked, program->name()))
      programs.push_back(program.get());
  return programs;
}

Status verifyPrograms(const IngotOptions &options, IngotReport &report,
                      const LaunchProgress &progress) {
  Loaded loaded;
  INGOT_TRY(loaded.open(options.file, options.weights, options.makeDevice, report));
  Result<OwningOpRef<ModuleOp>> imported = loaded.parse("import");
  if (!imported.ok())
    return imported.status();
  limitSizes(**imported, options.maxBatch ? options.maxBatch : kBatch,
             options.maxContext ? options.maxContext : kContext);
  // The program for one token a row is made after import, out of the step program.
  const format::Generation *generation = loaded.artifact->plan().generation();
  if (generation && generation->decode_program()) {
    PassManager specialize((*imported)->getContext());
    specialize.addPass(createSpecializeDecode());
    if (failed(specialize.run(**imported)))
      return Status(ExitCode::Internal, "cannot specialize the imported program for decoding");
  }
  Result<std::vector<Program *>> programs = choosePrograms(*loaded.model, options.programs);
  if (!programs.ok())
    return programs.status();
  std::vector<std::vector<Case>> cases;
  size_t done = 0, total = 0;
  for (Program *program : *programs) {
    auto function = (*imported)->lookupSymbol<func::FuncOp>(program->name());
    if (!function)
      return Status(ExitCode::MalformedInput, loaded.artifact->path() +
                                                  ": the IR in its debug section has no program '" +
                                                  program->name() + "'");
    Result<std::vector<Case>> made = makeCases(**imported, function, options.seed);
    if (!made.ok())
      return made.status();
    total += made->size();
    cases.push_back(std::move(*made));
  }
  Checker checker(*loaded.artifact, *loaded.reference);
  for (auto [program, inputs] : llvm::zip_equal(*programs, cases)) {
    LaunchesReport &entry = report.programs.emplace_back();
    entry.program = program->name();
    entry.cases = inputs.size();
    for (const Case &one : inputs)
      entry.calls += one.calls.size();
    checker.begin(*program, entry);
    program->setObserver(&checker);
    Status status = runCases(loaded, *program, inputs, checker, [&](const std::string &name) {
      if (progress)
        progress(done++, total, entry.program + ", " + name);
    });
    program->setObserver(nullptr);
    INGOT_TRY(status);
    if (checker.failure)
      break;
    INGOT_TRY(checkStreams(*loaded.model, *program, inputs, entry, report.failure));
    if (report.failure)
      return Status();
  }
  if (!checker.failure)
    return Status();
  report.failure = std::move(checker.failure);
  if (options.reproducer.empty())
    return Status();
  INGOT_TRY(writeLaunch(checker.failed, *report.failure, options.reproducer));
  report.failure->reproducer = options.reproducer;
  report.failure->command = "ingot verify --reproduce " + options.reproducer;
  // A launch may need what was around it to go wrong: other launches at the same time, a size that
  // only the device knew.
  IngotReport alone;
  Status again = rerunLaunch(options.reproducer, alone, options.makeDevice);
  if (again.ok())
    report.failure->note =
        "alone, the launch gives what it should: it may depend on what runs beside it";
  else if (again.code() != ExitCode::AccuracyMismatch)
    report.failure->note = "the launch cannot be run alone: " + again.message();
  return Status();
}

std::string shortNumber(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.2g", value);
  return text;
}

double secondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

} // namespace

Status failureStatus(const LaunchFailure &failure) {
  const bool isStream = failure.family == kStreamFamily;
  std::string text = "kernel " + failure.kernel + " (" + failure.family +
                     ") gives other results than " + failure.reference + ": program " +
                     failure.program + ", " + failure.inputs + ", step " +
                     std::to_string(failure.step) + " of " + std::to_string(failure.steps) +
                     (isStream ? ", output " : ", buffer ") + std::to_string(failure.buffer) + ": ";
  text += std::isnan(failure.error)
              ? "a value is not finite"
              : "error " + shortNumber(failure.error) + " of the largest value";
  text += ", expected at most " + shortNumber(failure.budget) + "\n  element " +
          std::to_string(failure.element) + " of " + std::to_string(failure.elements) +
          ": expected " + shortNumber(failure.expected) + ", got " + shortNumber(failure.got) +
          "\n  op: " + failure.summary + " at " + failure.location;
  if (!failure.note.empty())
    text += "\n  " + failure.note;
  if (!failure.reproducer.empty())
    text += "\n  reproducer: " + failure.command;
  else if (isStream)
    text += "\n  its launches give what is expected: --no-streams at run time, or --streams 0 when "
            "compiling, leaves it out";
  else if (failure.program != "launch")
    text += "\n  --reproducer DIR writes the launch, with its inputs, to run alone";
  return Status(ExitCode::AccuracyMismatch, std::move(text));
}

Status verifyIngot(const IngotOptions &options, IngotReport &report,
                   const LaunchProgress &progress) {
  auto start = std::chrono::steady_clock::now();
  report = IngotReport();
  Status status = verifyPrograms(options, report, progress);
  report.seconds = secondsSince(start);
  return status.ok() && report.failure ? failureStatus(*report.failure) : status;
}

bool isLaunchReproducer(const std::string &folder) {
  std::error_code ignored;
  return std::filesystem::exists(folder + "/launch.ingot", ignored);
}

Status rerunLaunch(const std::string &folder, IngotReport &report, DeviceFactory makeDevice) {
  auto start = std::chrono::steady_clock::now();
  report = IngotReport();
  Loaded loaded;
  INGOT_TRY(loaded.open(folder + "/launch.ingot", "", makeDevice, report));
  Program &program = *loaded.model->programs().front();
  std::vector<NpyFile> files;
  std::vector<InputTensor> given;
  for (const Port &port : program.inputs()) {
    Result<NpyFile> file = readNpy(folder + "/" + port.name + ".npy");
    if (!file.ok())
      return file.status();
    files.push_back(std::move(*file));
  }
  for (auto [port, file] : llvm::zip_equal(program.inputs(), files))
    given.push_back({port.name, file.array.type, file.array.shape, file.array.data.data(),
                     file.array.data.size()});
  LaunchesReport &entry = report.programs.emplace_back();
  entry.program = program.name();
  entry.cases = entry.calls = 1;
  Checker checker(*loaded.artifact, *loaded.reference);
  checker.begin(program, entry);
  checker.setInputs("the reproducer");
  program.setObserver(&checker);
  Status status = program.run(given, {});
  report.seconds = secondsSince(start);
  if (!checker.failure)
    return status;
  report.failure = std::move(checker.failure);
  return failureStatus(*report.failure);
}

} // namespace ingot::verify
