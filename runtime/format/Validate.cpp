//===- Validate.cpp - Opening and checking a plan ---------------*- C++ -*-===//
#include "runtime/format/Validate.h"

#include "runtime/format/Artifact.h"
#include "runtime/format/DType.h"
#include "runtime/format/PlanRecipes.h"
#include "runtime/format/ValidateProgram.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"
#include "runtime/weights/Recipe.h"

#include <algorithm>

namespace ingot {

/// The FlatBuffers verifier checks where vectors lie, but not that elements of 8 bytes are aligned.
static bool isAligned(const format::Plan &plan) {
  auto aligned = [](const auto *vector) {
    // Builders don't align vectors without elements.
    return !vector || vector->size() == 0 || reinterpret_cast<uintptr_t>(vector->Data()) % 8 == 0;
  };
  bool ok = !plan.generation() || aligned(plan.generation()->eos_ids());
  for (unsigned i = 0; plan.sources() && i < plan.sources()->size(); ++i)
    ok &= aligned(plan.sources()->Get(i)->shape());
  for (unsigned i = 0; plan.states() && i < plan.states()->size(); ++i)
    ok &= aligned(plan.states()->Get(i)->shape());
  for (const format::Program *program : *plan.programs())
    for (unsigned i = 0; program->streams() && i < program->streams()->size(); ++i)
      for (const format::StreamStep *step : *program->streams()->Get(i)->steps())
        ok &= aligned(step->exchanged());
  for (unsigned i = 0; plan.weights() && i < plan.weights()->size(); ++i) {
    const format::Weight &weight = *plan.weights()->Get(i);
    ok &= aligned(weight.shape());
    for (unsigned j = 0; weight.recipe() && j < weight.recipe()->size(); ++j)
      ok &= aligned(weight.recipe()->Get(j)->ints());
  }
  return ok;
}

Result<const format::Plan *> verifyPlan(std::span<const std::byte> section) {
  const auto *data = reinterpret_cast<const uint8_t *>(section.data());
  // The schema nests six tables deep. Tables may be shared, so their number has its own cap.
  flatbuffers::Verifier verifier(data, section.size(), /*max_depth=*/16, /*max_tables=*/8'000'000);
  if (section.size() < 16 || section.size() > 0x7fffffff ||
      !verifier.VerifyBuffer<format::Plan>(format::PlanIdentifier()) ||
      !isAligned(*format::GetPlan(data)))
    return Status(
        ExitCode::MalformedInput,
        text("plan section (", section.size(),
             " bytes): expected a FlatBuffers plan with identifier 'INGP', got bytes that "
             "the verifier refuses"));
  return format::GetPlan(data);
}

namespace validation {

Status expected(const std::string &where, std::string_view what, std::string_view got) {
  return Status(ExitCode::MalformedInput,
                text("plan: ", where, ": expected ", what, ", got ", got));
}

Status checkName(const std::string &where, const flatbuffers::String *name) {
  if (name->size() == 0 || name->size() > kMaxNameBytes)
    return expected(where, text("a name of 1 to ", kMaxNameBytes, " bytes"),
                    text(name->size(), " bytes"));
  if (name->string_view().find('\0') != std::string_view::npos)
    return expected(where, "a name without zero bytes", quoted(name->string_view()));
  return {};
}

Status checkUnique(const std::string &where, std::vector<std::string_view> names) {
  std::sort(names.begin(), names.end());
  auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice != names.end())
    return expected(where, "unique names", text("two called ", quoted(*twice)));
  return {};
}

namespace {

struct Range {
  uint16_t device;
  uint64_t offset, bytes;
  std::string_view name;
};

Status checkDisjoint(const std::string &where, std::vector<Range> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](const Range &a, const Range &b) {
    return std::pair(a.device, a.offset) < std::pair(b.device, b.offset);
  });
  for (size_t i = 1; i < ranges.size(); ++i)
    if (ranges[i - 1].device == ranges[i].device &&
        ranges[i - 1].offset + ranges[i - 1].bytes > ranges[i].offset)
      return expected(where, "ranges that do not overlap",
                      text(quoted(ranges[i - 1].name), " and ", quoted(ranges[i].name)));
  return {};
}

/// Element type and shape against bytes, and the range against its space.
template <typename T>
Status checkPlaced(const std::string &where, const T &item, const format::Plan &plan,
                   uint64_t (format::Device::*space)() const, TensorType &type) {
  if (dtypeBytes(item.dtype()) == 0)
    return expected(where, "an element type", text(unsigned(item.dtype())));
  if (count(item.shape()) > kMaxTensorRank)
    return expected(where, text("a rank of at most ", kMaxTensorRank), text(item.shape()->size()));
  INGOT_TRY(tensorType(where, item.dtype(), item.shape(), type));
  auto bytes = numBytes(type);
  if (!bytes || *bytes != item.bytes())
    return expected(where,
                    bytes ? text(*bytes, " bytes for ", type.str())
                          : std::string("a shape whose bytes fit 63 bits"),
                    text(item.bytes()));
  if (item.device() >= plan.devices()->size())
    return expected(where, text("a device below ", plan.devices()->size()), text(item.device()));
  uint64_t limit = (plan.devices()->Get(item.device())->*space)();
  if (item.offset() % kBufferAlignment != 0 || !rangeFits(item.offset(), item.bytes(), limit))
    return expected(where,
                    text("a ", kBufferAlignment, "-byte aligned range inside ", limit, " bytes"),
                    text("offset ", item.offset(), " + ", item.bytes(), " bytes"));
  return {};
}

Status checkTargets(const format::Plan &plan) {
  if (plan.targets()->size() < 1 || plan.targets()->size() > kMaxDevices)
    return expected("targets", text("1 to ", kMaxDevices), text(plan.targets()->size()));
  for (unsigned i = 0; i < plan.targets()->size(); ++i) {
    INGOT_TRY(checkName(text("targets[", i, "]: kind"), plan.targets()->Get(i)->kind()));
    INGOT_TRY(checkName(text("targets[", i, "]: arch"), plan.targets()->Get(i)->arch()));
  }
  if (plan.devices()->size() < 1 || plan.devices()->size() > kMaxDevices)
    return expected("devices", text("1 to ", kMaxDevices), text(plan.devices()->size()));
  for (unsigned i = 0; i < plan.devices()->size(); ++i) {
    const format::Device &device = *plan.devices()->Get(i);
    std::string where = text("devices[", i, "]");
    if (device.target() >= plan.targets()->size())
      return expected(where, text("a target below ", plan.targets()->size()),
                      text(device.target()));
    for (uint64_t bytes : {device.arena_bytes(), device.weight_bytes(), device.constant_bytes(),
                           device.state_bytes()})
      if (bytes > kMaxSpaceBytes)
        return expected(where, text("spaces of at most ", kMaxSpaceBytes, " bytes"), text(bytes));
  }
  return {};
}

Status checkKernels(const format::Plan &plan, uint64_t codeBytes) {
  for (unsigned i = 0; i < count(plan.images()); ++i) {
    const format::Image &image = *plan.images()->Get(i);
    std::string where = text("images[", i, "]");
    if (image.target() >= plan.targets()->size())
      return expected(where, text("a target below ", plan.targets()->size()), text(image.target()));
    if (image.bytes() == 0 || !rangeFits(image.offset(), image.bytes(), codeBytes))
      return expected(where, text("a range inside the code section of ", codeBytes, " bytes"),
                      text("offset ", image.offset(), " + ", image.bytes(), " bytes"));
  }
  for (unsigned i = 0; i < count(plan.kernels()); ++i)
    INGOT_TRY(checkKernel(plan, i));
  return {};
}

Status checkWeights(const format::Plan &plan, const PlanContext &context) {
  INGOT_TRY(checkUniqueNames("sources", plan.sources()));
  std::vector<TensorType> sources;
  for (unsigned i = 0; i < count(plan.sources()); ++i) {
    const format::Source &source = *plan.sources()->Get(i);
    std::string where = text("sources[", i, "] ", quoted(source.name()->string_view()));
    // Until a checkpoint is bound, f32 stands for any floating-point type.
    INGOT_TRY(tensorType(where, format::DType::F32, source.shape(), sources.emplace_back()));
    if (unsigned(source.init()) > unsigned(format::Init::Zeros))
      return expected(where, "a kind of initial values", text(unsigned(source.init())));
    for (unsigned j = 0; j < count(source.aliases()); ++j)
      INGOT_TRY(checkName(text(where, ": aliases[", j, "]"), source.aliases()->Get(j)));
    if (const format::Stored *stored = source.stored()) {
      INGOT_TRY(checkName(text(where, ": stored"), stored->name()));
      if (stored->type() >= kNumElementTypes)
        return expected(text(where, ": stored"), text("a type below ", kNumElementTypes),
                        text(unsigned(stored->type())));
    }
  }
  INGOT_TRY(checkUniqueNames("weights", plan.weights()));
  std::vector<Range> ranges;
  for (unsigned i = 0; i < count(plan.weights()); ++i) {
    const format::Weight &weight = *plan.weights()->Get(i);
    std::string where = text("weights[", i, "] ", quoted(weight.name()->string_view()));
    TensorType type;
    INGOT_TRY(checkPlaced(where, weight, plan, &format::Device::weight_bytes, type));
    std::vector<TensorType> operands;
    for (unsigned j = 0; j < count(weight.sources()); ++j) {
      if (weight.sources()->Get(j) >= sources.size())
        return expected(where, text("a source below ", sources.size()),
                        text(weight.sources()->Get(j)));
      operands.push_back(sources[weight.sources()->Get(j)]);
    }
    auto recipe = planRecipe(where, weight);
    if (!recipe.ok())
      return recipe.status();
    INGOT_TRY(checkRecipe(*recipe, operands, type).withContext(text("plan: ", where, ": ")));
    ranges.push_back(
        {weight.device(), weight.offset(), weight.bytes(), weight.name()->string_view()});
  }
  INGOT_TRY(checkDisjoint("weights", std::move(ranges)));
  if (plan.weights_embedded() != context.hasWeights)
    return expected("weights_embedded",
                    context.hasWeights ? "true (there is a weights section)"
                                       : "false (there is no weights section)",
                    plan.weights_embedded() ? "true" : "false");
  if (!plan.weights_embedded())
    return {};
  auto bytes = weightRangeOffset(plan, plan.devices()->size());
  if (!bytes || *bytes != context.weightsBytes)
    return expected("devices: weight_bytes",
                    text("the ", context.weightsBytes, " bytes of the weights section in all"),
                    text(bytes ? *bytes : UINT64_MAX));
  return {};
}

Status checkStates(const format::Plan &plan) {
  INGOT_TRY(checkUniqueNames("states", plan.states()));
  std::vector<Range> ranges;
  for (unsigned i = 0; i < count(plan.states()); ++i) {
    const format::State &state = *plan.states()->Get(i);
    TensorType type;
    INGOT_TRY(checkPlaced(text("states[", i, "] ", quoted(state.name()->string_view())), state,
                          plan, &format::Device::state_bytes, type));
    ranges.push_back({state.device(), state.offset(), state.bytes(), state.name()->string_view()});
  }
  INGOT_TRY(checkDisjoint("states", std::move(ranges)));
  for (unsigned i = 0; i < count(plan.constants()); ++i) {
    const format::Constant &constant = *plan.constants()->Get(i);
    std::string where = text("constants[", i, "]");
    if (constant.device() >= plan.devices()->size())
      return expected(where, text("a device below ", plan.devices()->size()),
                      text(constant.device()));
    uint64_t limit = plan.devices()->Get(constant.device())->constant_bytes();
    if (!rangeFits(constant.offset(), constant.data()->size(), limit))
      return expected(where, text("a range inside ", limit, " bytes"),
                      text("offset ", constant.offset(), " + ", constant.data()->size(), " bytes"));
  }
  return {};
}

} // namespace
} // namespace validation

Status validatePlan(const format::Plan &plan, const PlanContext &context) {
  using namespace validation;
  if (plan.version() != kFormatVersion)
    return expected("version", text(kFormatVersion), text(plan.version()));
  INGOT_TRY(checkTargets(plan));
  INGOT_TRY(checkKernels(plan, context.codeBytes));
  INGOT_TRY(checkWeights(plan, context));
  INGOT_TRY(checkStates(plan));
  INGOT_TRY(checkUniqueNames("programs", plan.programs()));
  if (plan.programs()->size() == 0)
    return expected("programs", "at least one", "none");
  for (unsigned i = 0; i < plan.programs()->size(); ++i)
    INGOT_TRY(checkProgram(plan, i));
  INGOT_TRY(checkStreamKernels(plan));
  return plan.generation() ? checkGeneration(plan) : Status();
}

} // namespace ingot
