//===- WriteArtifact.cpp - An exec module becomes an .ingot file ------------===//
#include "codegen/WriteArtifact.h"

#include "codegen/PlanBuilder.h"
#include "codegen/Sources.h"
#include "runtime/format/ArtifactWriter.h"
#include "runtime/weights/WeightSource.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// Images, and where they are in the code section.
struct CodeSection {
  PlacedCode placed;
  std::vector<CodeImage> images;

  void add(StringAttr target, CodeImage image) {
    end = llvm::alignTo(end, kPage); // an image is mapped or loaded by itself
    placed.images.push_back({target, end, image.bytes.size()});
    end += image.bytes.size();
    images.push_back(std::move(image));
  }

private:
  uint64_t end = 0;
};

/// Asks each family for the code of its kernels, target by target, and lays the images out.
static Status emitKernels(ModuleOp module, const KernelRegistry &registry,
                          const EmitOptions &options, CodeSection &section) {
  // In module order, so that nothing depends on how families are stored.
  llvm::MapVector<std::pair<StringAttr, StringAttr>, SmallVector<exec::KernelOp>> groups;
  for (auto kernel : module.getBody()->getOps<exec::KernelOp>()) {
    if (!kernel.getFamily())
      return Status(ExitCode::Internal,
                    "kernel @" + kernel.getSymName().str() + " has no family; run select-kernels");
    groups[{kernel.getTargetAttr().getAttr(), kernel.getFamilyAttr()}].push_back(kernel);
  }
  for (auto &[key, kernels] : groups) {
    auto &[targetName, familyName] = key;
    const KernelFamily *family = registry.lookup(familyName.getValue());
    if (!family)
      return Status(ExitCode::Internal, "no kernel family '" + familyName.str() + "'");
    auto target = SymbolTable::lookupNearestSymbolFrom<exec::TargetOp>(module, targetName);
    Result<Code> code =
        family->emit(kernels, TargetInfo{target.getKind().str(), target.getArch().str()}, options);
    if (!code.ok())
      return code.status().withContext("kernel family " + familyName.str() + ": ");
    if (code->kernels.size() != kernels.size())
      return Status(ExitCode::Internal, "kernel family " + familyName.str() +
                                            ": expected code for " +
                                            std::to_string(kernels.size()) + " kernels, got " +
                                            std::to_string(code->kernels.size()));
    for (auto [kernel, entry] : llvm::zip_equal(kernels, code->kernels)) {
      entry.image += section.images.size();
      section.placed.kernels.push_back({kernel, entry});
    }
    for (CodeImage &image : code->images)
      section.add(targetName, std::move(image));
  }
  return Status();
}

/// The code of streams, behind that of the kernels that they run as well.
static Status emitStreams(ModuleOp module, const KernelRegistry &registry,
                          const EmitOptions &options, CodeSection &section) {
  SmallVector<exec::StreamOp> streams(module.getBody()->getOps<exec::StreamOp>());
  if (streams.empty())
    return Status(); // no GPU's compiler is asked for
  Result<cuda::StreamCodes> codes = cuda::emitStreams(module, streams, registry, options);
  if (!codes.ok())
    return codes.status();
  for (auto [stream, code, image] : llvm::zip_equal(streams, codes->streams, codes->images)) {
    code.kernel.image = section.images.size();
    section.placed.streams.push_back({stream, std::move(code)});
    section.add(exec::StreamOp(stream).getTargetAttr().getAttr(), std::move(image));
  }
  return Status();
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

namespace {

/// One weight to make, in the order of the file.
struct WeightJob {
  exec::WeightOp op;
  uint64_t offset = 0; // within the weights section
  ingot::TensorType type;
  std::vector<RecipeStep> recipe;
  std::vector<SourceTensor> sources;
  uint64_t bytes = 0;
};

struct MadeWeight {
  std::vector<std::byte> owned;
  std::span<const std::byte> bytes;
  Status status;
};

/// Makes weights on several threads and hands them out in order. The bytes that are made but not
/// yet taken are bounded, except that one weight is always allowed.
class WeightMaker {
public:
  WeightMaker(const std::vector<WeightJob> &jobs, unsigned threads)
      : jobs(jobs), made(jobs.size()) {
    for (unsigned i = 0; i < threads; ++i)
      workers.emplace_back([this] { work(); });
  }
  ~WeightMaker() {
    {
      std::lock_guard<std::mutex> lock(mutex);
      stop = true;
    }
    changed.notify_all();
    for (std::thread &worker : workers)
      worker.join();
  }

  /// The next weight; called once for each, in order.
  MadeWeight take(size_t index) {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return made[index].has_value(); });
    MadeWeight result = std::move(*made[index]);
    made[index].reset();
    pending -= jobs[index].bytes;
    taken = index + 1;
    changed.notify_all();
    return result;
  }

private:
  static constexpr uint64_t kMostPendingBytes = 128u << 20;

  void work() {
    for (;;) {
      size_t index;
      {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] {
          return stop || next == jobs.size() || next == taken ||
                 pending + jobs[next].bytes <= kMostPendingBytes;
        });
        if (stop || next == jobs.size())
          return;
        index = next++;
        pending += jobs[index].bytes;
      }
      MadeWeight weight = make(jobs[index]);
      {
        std::lock_guard<std::mutex> lock(mutex);
        made[index] = std::move(weight);
      }
      changed.notify_all();
    }
  }

  static MadeWeight make(const WeightJob &job) {
    MadeWeight weight;
    // A tensor that is taken as it is needs no copy.
    if (job.recipe.size() == 1 && job.recipe[0].op == RecipeOp::Load && job.sources[0].data &&
        job.sources[0].type == job.type) {
      weight.bytes = {job.sources[0].data, static_cast<size_t>(job.bytes)};
      return weight;
    }
    weight.owned.resize(job.bytes);
    weight.status = executeRecipe(job.recipe, job.sources, job.type, weight.owned);
    weight.bytes = weight.owned;
    return weight;
  }

  const std::vector<WeightJob> &jobs;
  std::vector<std::optional<MadeWeight>> made;
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable changed;
  size_t next = 0, taken = 0;
  uint64_t pending = 0;
  bool stop = false;
};

} // namespace

/// The weights in the order of the section: the ranges of the devices follow each other, each
/// starting on a page.
static Result<std::vector<WeightJob>> collectWeights(ModuleOp module, const WeightSource &weights,
                                                     uint64_t &sectionBytes) {
  llvm::StringMap<unsigned> indices;
  std::vector<SourceSpec> specs;
  for (auto source : module.getBody()->getOps<exec::SourceOp>()) {
    indices[source.getSymName()] = specs.size();
    specs.push_back(toSpec(source));
  }
  Result<std::vector<SourceTensor>> tensors = bindSources(weights, specs);
  if (!tensors.ok())
    return tensors.status();

  std::vector<WeightJob> jobs;
  sectionBytes = 0;
  for (auto device : module.getBody()->getOps<exec::DeviceOp>()) {
    for (auto weight : module.getBody()->getOps<exec::WeightOp>()) {
      if (weight.getDevice() != device.getSymName())
        continue;
      WeightJob &job = jobs.emplace_back();
      job.op = weight;
      job.offset = sectionBytes + *weight.getOffset();
      auto type = cast<RankedTensorType>(weight.getType());
      job.type.elementType = toElementType(type.getElementType());
      job.type.shape.assign(type.getShape().begin(), type.getShape().end());
      job.bytes = numBytes(job.type).value_or(0);
      for (auto step : weight.getRecipe().getAsRange<exec::StepAttr>())
        job.recipe.push_back({static_cast<RecipeOp>(step.getOp()),
                              {step.getInts().begin(), step.getInts().end()},
                              step.getValue().getValueAsDouble()});
      for (auto source : weight.getSources().getAsRange<FlatSymbolRefAttr>())
        job.sources.push_back((*tensors)[indices.lookup(source.getValue())]);
    }
    sectionBytes = llvm::alignTo(sectionBytes + device.getWeightBytes().value_or(0), kPage);
  }
  llvm::sort(jobs, [](const WeightJob &a, const WeightJob &b) { return a.offset < b.offset; });
  return jobs;
}

static Status writeWeights(ModuleOp module, const WeightSource &weights, unsigned threads,
                           ArtifactWriter &writer) {
  uint64_t sectionBytes;
  Result<std::vector<WeightJob>> jobs = collectWeights(module, weights, sectionBytes);
  if (!jobs.ok())
    return jobs.status();
  if (Status status = writer.beginSection(SectionKind::Weights); !status.ok())
    return status;
  WeightMaker maker(*jobs, std::max(1u, threads));
  for (size_t i = 0; i < jobs->size(); ++i) {
    MadeWeight weight = maker.take(i);
    if (!weight.status.ok())
      return weight.status.withContext("weight '" + (*jobs)[i].op.getSymName().str() + "': ");
    if (Status status = writer.padTo((*jobs)[i].offset); !status.ok())
      return status;
    if (Status status = writer.write(weight.bytes); !status.ok())
      return status;
  }
  if (Status status = weights.checkIntact(); !status.ok())
    return status;
  return writer.padTo(sectionBytes);
}

//===----------------------------------------------------------------------===//
// The file
//===----------------------------------------------------------------------===//

static std::span<const std::byte> asBytes(const void *data, size_t size) {
  return {static_cast<const std::byte *>(data), size};
}

Result<ArtifactSummary> codegen::writeArtifact(ModuleOp module, const ArtifactOptions &options) {
  const KernelRegistry &registry =
      options.registry ? *options.registry : KernelRegistry::getStandard();
  CodeSection section;
  if (Status status = emitKernels(module, registry, options.emit, section); !status.ok())
    return status;
  if (Status status = emitStreams(module, registry, options.emit, section); !status.ok())
    return status;
  const PlacedCode &placed = section.placed;
  const std::vector<CodeImage> &images = section.images;
  Result<std::vector<uint8_t>> plan = buildPlan(module, placed, options.weights);
  if (!plan.ok())
    return plan.status();
  auto created = ArtifactWriter::create(options.output);
  if (!created.ok())
    return created.status();
  ArtifactWriter &writer = **created;

  ArtifactSummary summary;
  summary.kernels = placed.kernels.size();
  auto writePlan = [&]() -> Status {
    Status status = writer.beginSection(SectionKind::Plan);
    return status.ok() ? writer.write(asBytes(plan->data(), plan->size())) : status;
  };
  auto writeCode = [&]() -> Status {
    Status status = writer.beginSection(SectionKind::Code);
    for (size_t i = 0; i < images.size() && status.ok(); ++i) {
      status = writer.padTo(placed.images[i].offset);
      if (status.ok())
        status = writer.write(asBytes(images[i].bytes.data(), images[i].bytes.size()));
    }
    summary.codeBytes = writer.sectionBytes();
    return status;
  };
  auto writeWeightSection = [&]() -> Status {
    if (!options.weights)
      return Status();
    Status status = writeWeights(module, *options.weights, options.emit.threads, writer);
    summary.weightBytes = writer.sectionBytes();
    return status;
  };
  auto writeDebug = [&]() -> Status {
    if (options.debugText.empty())
      return Status();
    Status status = writer.beginSection(SectionKind::Debug);
    return status.ok() ? writer.write(asBytes(options.debugText.data(), options.debugText.size()))
                       : status;
  };
  if (Status status = writePlan(); !status.ok())
    return status;
  if (Status status = writeCode(); !status.ok())
    return status;
  if (Status status = writeWeightSection(); !status.ok())
    return status;
  if (Status status = writeDebug(); !status.ok())
    return status;
  if (Status status = writer.commit(); !status.ok())
    return status;
  summary.fileBytes = writer.fileBytes();
  return summary;
}
