//===- ModelWeights.cpp - Weights at load -----------------------*- C++ -*-===//
//
// Weights are made in pieces of some megabytes, so that all threads have work to the end whatever
// the sizes of the weights, and so that a device can upload what is done while more is made.
//
//===----------------------------------------------------------------------===//
#include "runtime/exec/Model.h"

#include "runtime/format/PlanRecipes.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/WeightSource.h"

#include <algorithm>
#include <cstring>

namespace ingot {

using format::Space;

// Of weights that are made; and of those that are only read, which takes a thread a fraction of a
// millisecond.
static constexpr uint64_t kPieceBytes = uint64_t(1) << 20, kReadBytes = uint64_t(1) << 20;

Status Model::loadWeights(const BoundWeights *weights) {
  const format::Plan &plan = artifact_->plan();
  bool embedded = plan.weights_embedded() && !weights;
  weightsInPlace_.assign(devices_.size(), false);
  for (size_t i = 0; i < devices_.size(); ++i) {
    Device &device = *devices_[i].device;
    void *&base = devices_[i].bases[unsigned(Space::Weights)];
    uint64_t bytes = plan.devices()->Get(unsigned(i))->weight_bytes();
    if (embedded) {
      if (const void *adopted = device.adoptReadOnly(artifact_->weights(i))) {
        base = const_cast<void *>(adopted); // V6: no launch writes to weights
        weightsInPlace_[i] = true;
        continue;
      }
    }
    auto data = device.allocate(bytes, text("weights on device ", i));
    if (!data.ok())
      return data.status();
    base = *data;
    if (embedded)
      INGOT_TRY(uploadWeights(i));
  }
  return weights ? makeWeights(*weights) : Status();
}

/// The device's range of the mapped file as it is.
Status Model::uploadWeights(size_t index) {
  std::span<const std::byte> bytes = artifact_->weights(index);
  auto *base = static_cast<std::byte *>(devices_[index].bases[unsigned(Space::Weights)]);
  std::vector<UploadPiece> pieces;
  for (uint64_t at = 0; at < bytes.size(); at += kReadBytes)
    pieces.push_back({base + at, std::min<uint64_t>(kReadBytes, bytes.size() - at)});
  auto fill = [](void *context, size_t piece, std::byte *to) -> Status {
    auto &source = *static_cast<std::span<const std::byte> *>(context);
    uint64_t at = piece * kReadBytes;
    std::memcpy(to, source.data() + at, std::min<uint64_t>(kReadBytes, source.size() - at));
    return {};
  };
  return devices_[index].device->fillPieces(pieces, fill, &bytes, *pool_);
}

namespace {

/// A weight with all that its recipe needs.
struct WeightJob {
  const format::Weight *table = nullptr;
  TensorType type;
  std::vector<RecipeStep> recipe;
  std::vector<SourceTensor> operands;

  std::string where() const { return text("weight ", quoted(table->name()->string_view()), ": "); }
};

/// Elements [begin, end) of `axis` of a weight, an axis with nothing but ones in front of it.
struct WeightPart {
  const WeightJob *job = nullptr;
  size_t axis = 0;
  int64_t begin = 0, end = 0;

  Status make(std::byte *to, uint64_t bytes) const {
    TensorType type = job->type;
    std::vector<RecipeStep> recipe = job->recipe;
    if (!type.shape.empty() && end - begin != type.shape[axis]) {
      recipe.push_back(RecipeStep::slice(int64_t(axis), begin, end));
      type.shape[axis] = end - begin;
    }
    return executeRecipe(recipe, job->operands, type, {to, bytes}).withContext(job->where());
  }
};

struct DeviceParts {
  std::vector<UploadPiece> pieces;
  std::vector<WeightPart> parts;

  void add(const WeightJob &job, std::byte *base) {
    const std::vector<int64_t> &shape = job.type.shape;
    size_t axis = 0;
    while (axis + 1 < shape.size() && shape[axis] == 1)
      ++axis;
    int64_t extent = shape.empty() ? 1 : shape[axis];
    uint64_t rowBytes = job.table->bytes() / uint64_t(extent);
    int64_t rows = std::max<int64_t>(1, int64_t(kPieceBytes / std::max<uint64_t>(rowBytes, 1)));
    // A recipe that copies would copy the whole for every piece.
    if (rows < extent && recipeCopies(job.recipe, job.operands))
      rows = extent;
    for (int64_t begin = 0; begin < extent; begin += rows) {
      int64_t end = std::min(extent, begin + rows);
      parts.push_back({&job, axis, begin, end});
      pieces.push_back({base + job.table->offset() + uint64_t(begin) * rowBytes,
                        uint64_t(end - begin) * rowBytes});
    }
  }
};

/// Merges axes that are one; false where more than a box's are left.
bool boxAxes(const std::vector<TracedPiece::Axis> &from, RandomBox &box) {
  std::vector<TracedPiece::Axis> axes;
  for (const TracedPiece::Axis &axis : from) {
    if (axis.size == 1)
      continue;
    if (!axes.empty() && axes.back().sourceStride == axis.sourceStride * axis.size &&
        axes.back().weightStride == axis.weightStride * axis.size)
      axes.back() = {axes.back().size * axis.size, axis.sourceStride, axis.weightStride};
    else
      axes.push_back(axis);
  }
  if (axes.size() > std::size(box.axes))
    return false;
  for (size_t i = 0; i < axes.size(); ++i)
    box.axes[std::size(box.axes) - axes.size() + i] = {uint64_t(axes[i].size), axes[i].sourceStride,
                                                       axes[i].weightStride};
  return true;
}

/// Has the device make a weight of random sources; false where it cannot. Paddings are zero
/// already.
Result<bool> makeRandom(Device &device, const WeightJob &job, std::byte *target) {
  std::vector<TensorType> types;
  for (const SourceTensor &operand : job.operands) {
    if (!operand.random)
      return false;
    types.push_back(operand.type);
  }
  ElementType to = job.type.elementType;
  auto pieces = traceRecipe(job.recipe, types, job.type);
  if (types.empty() || !pieces.ok())
    return false;
  std::vector<RandomBox> boxes;
  for (const TracedPiece &piece : *pieces) {
    // One rounding, from f32 to the weight's type.
    for (const ElementStep &step : piece.steps)
      if (step.kind != ElementStep::Cast || (step.type != ElementType::F32 && step.type != to))
        return false;
    RandomBox &box =
        boxes.emplace_back(RandomBox{.target = target + piece.weightOffset * int64_t(sizeOf(to)),
                                     .type = to,
                                     .fill = *job.operands[piece.source].random,
                                     .first = uint64_t(piece.sourceOffset)});
    if (!boxAxes(piece.axes, box))
      return false;
  }
  for (const RandomBox &box : boxes) {
    auto done = device.fillRandom(box);
    if (!done.ok() || !*done)
      return done;
  }
  return true;
}

} // namespace

/// What a source offers for this model, with the jobs that make its weights of that.
struct Model::BoundWeights {
  std::unique_ptr<WeightSource> source;
  std::vector<WeightJob> jobs;
};

/// Null where the embedded weights are to be taken, or there are none.
Result<std::shared_ptr<Model::BoundWeights>> Model::bindWeights(const LoadOptions &options) {
  const format::Plan &plan = artifact_->plan();
  bool needed = plan.weights() && plan.weights()->size() != 0;
  if (!needed || (plan.weights_embedded() && options.weights.empty()))
    return std::shared_ptr<BoundWeights>();
  if (options.weights.empty())
    return Status(ExitCode::Usage, "the file holds no weights: give a checkpoint folder or "
                                   "random:SEED (--weights)");
  auto source = openWeightSource(options.weights);
  if (!source.ok())
    return source.status();
  std::vector<SourceSpec> specs;
  for (unsigned i = 0; plan.sources() && i < plan.sources()->size(); ++i)
    specs.push_back(planSource(*plan.sources()->Get(i)));
  auto tensors = bindSources(**source, specs);
  if (!tensors.ok())
    return tensors.status();
  std::vector<std::string> unused;
  for (unsigned i = 0; plan.unused_sources() && i < plan.unused_sources()->size(); ++i)
    unused.push_back(plan.unused_sources()->Get(i)->str());
  if (!options.allowSurplus)
    INGOT_TRY(checkSurplus(**source, specs, unused));
  auto bound = std::make_shared<BoundWeights>();
  bound->source = std::move(*source);
  bound->jobs.resize(plan.weights()->size());
  for (unsigned i = 0; i < bound->jobs.size(); ++i) {
    WeightJob &job = bound->jobs[i];
    const format::Weight &weight = *plan.weights()->Get(i);
    job.table = &weight;
    auto recipe = planRecipe(weight.name()->str(), weight);
    if (!recipe.ok())
      return recipe.status();
    job.recipe = std::move(*recipe);
    INGOT_TRY(tensorType(weight.name()->str(), weight.dtype(), weight.shape(), job.type));
    for (unsigned j = 0; weight.sources() && j < weight.sources()->size(); ++j)
      job.operands.push_back((*tensors)[weight.sources()->Get(j)]);
    // Against the types that the checkpoint really has.
    std::vector<TensorType> types;
    for (const SourceTensor &operand : job.operands)
      types.push_back(operand.type);
    INGOT_TRY(checkRecipe(job.recipe, types, job.type).withContext(job.where()));
    // A last reshape moves nothing, but would break what stands in rows into many pieces.
    while (job.recipe.back().op == RecipeOp::Reshape) {
      job.recipe.pop_back();
      job.type.shape = inferRecipe(job.recipe, types)->shape;
    }
  }
  return bound;
}

Status Model::makeWeights(const BoundWeights &weights) {
  std::vector<DeviceParts> parts(devices_.size());
  for (const WeightJob &job : weights.jobs) {
    unsigned device = job.table->device();
    auto *base = static_cast<std::byte *>(devices_[device].bases[unsigned(Space::Weights)]);
    auto made = makeRandom(*devices_[device].device, job, base + job.table->offset());
    if (!made.ok())
      return made.status().withContext(job.where());
    if (!*made)
      parts[device].add(job, base);
  }
  for (size_t i = 0; i < devices_.size(); ++i) {
    auto fill = [](void *context, size_t piece, std::byte *to) {
      auto &self = *static_cast<DeviceParts *>(context);
      return self.parts[piece].make(to, self.pieces[piece].bytes);
    };
    INGOT_TRY(devices_[i].device->fillPieces(parts[i].pieces, fill, &parts[i], *pool_));
    INGOT_TRY(devices_[i].device->synchronize());
  }
  return weights.source->checkIntact();
}

} // namespace ingot
