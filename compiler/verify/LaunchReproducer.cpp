//===- LaunchReproducer.cpp - One launch as an ingot of its own ------------===//

#include "compiler/verify/LaunchReproducer.h"

#include "dialects/Exec/SizeExpr.h"
#include "runtime/cli/Npy.h"
#include "runtime/format/ArtifactWriter.h"
#include "runtime/support/Try.h"

#include "mlir/IR/OwningOpRef.h"

#include <filesystem>
#include <fstream>

using namespace mlir;

namespace ingot::verify {

static const std::string kPhaseMark = "// ---- after phase ";

std::string debugPhase(const Artifact &artifact, StringRef phase) {
  if (!artifact.has(SectionKind::Debug))
    return "";
  std::span<const std::byte> bytes = artifact.section(SectionKind::Debug);
  StringRef text(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  std::string mark = kPhaseMark + phase.str() + "\n";
  size_t begin = text.find(mark);
  if (begin == StringRef::npos)
    return "";
  text = text.drop_front(begin + mark.size());
  return text.take_front(text.find(kPhaseMark)).str();
}

/// The module with the one kernel alone.
static std::string printKernel(exec::KernelOp kernel) {
  auto module = kernel->getParentOfType<ModuleOp>();
  OwningOpRef<ModuleOp> alone = ModuleOp::create(UnknownLoc::get(kernel.getContext()));
  OpBuilder builder = OpBuilder::atBlockEnd(alone->getBody());
  for (auto target : module.getBody()->getOps<exec::TargetOp>())
    builder.clone(*target);
  cast<exec::KernelOp>(builder.clone(*kernel)).removeVariantOfAttr();
  std::string text;
  llvm::raw_string_ostream stream(text);
  alone->print(stream);
  return kPhaseMark + "plan\n" + text + "\n";
}

static std::unique_ptr<format::SizeT> constantSize(int64_t value) {
  auto size = std::make_unique<format::SizeT>();
  size->factor = value;
  return size;
}

namespace {
/// The plan of an ingot that has this launch only.
class LaunchPlan {
public:
  explicit LaunchPlan(const FailedLaunch &launch) : launch(launch) {
    launch.artifact->plan().UnPackTo(&plan);
  }

  Result<std::vector<std::byte>> build();
  const std::vector<std::string> &inputs() const { return inputNames; }
  std::vector<int64_t> shapeOf(unsigned buffer) const;

private:
  void addPort(std::vector<std::unique_ptr<format::PortT>> &ports, std::string name,
               uint32_t buffer);
  void addBuffers(format::ProgramT &program);

  const FailedLaunch &launch;
  format::PlanT plan;
  std::vector<std::string> inputNames; // one a buffer; empty for outputs
};
} // namespace

/// The kernel's buffer type at the launch's sizes.
std::vector<int64_t> LaunchPlan::shapeOf(unsigned buffer) const {
  exec::KernelOp kernel = launch.kernel->op;
  llvm::DenseMap<StringAttr, int64_t> values;
  for (auto [size, value] :
       llvm::zip_equal(kernel.getSizes().getAsRange<exec::SymbolAttr>(), launch.sizes))
    values[size.getName()] = value;
  std::vector<int64_t> shape;
  for (exec::SizeAttr extent : kernel.getBufferTypes()[buffer].getShape())
    shape.push_back(exec::evaluate(extent, values).value_or(0));
  return shape;
}

void LaunchPlan::addPort(std::vector<std::unique_ptr<format::PortT>> &ports, std::string name,
                         uint32_t buffer) {
  auto port = std::make_unique<format::PortT>();
  port->name = std::move(name);
  port->buffer = buffer;
  ports.push_back(std::move(port));
}

void LaunchPlan::addBuffers(format::ProgramT &program) {
  uint64_t end = 0;
  unsigned ins = 0, outs = 0;
  for (unsigned i = 0; i < launch.buffers.size(); ++i) {
    auto buffer = std::make_unique<format::BufferT>();
    buffer->space = format::Space::Arena;
    buffer->offset = end;
    buffer->bytes = launch.buffers[i].size();
    buffer->dtype = format::DType(launch.kernel->types[i]);
    for (int64_t extent : shapeOf(i))
      buffer->shape.push_back(constantSize(extent));
    end = llvm::alignTo(end + buffer->bytes, 256);
    program.buffers.push_back(std::move(buffer));
    bool isInput = i < launch.kernel->numInputs;
    inputNames.push_back(isInput ? "in" + std::to_string(ins++) : "");
    if (isInput)
      addPort(program.inputs, inputNames.back(), i);
    else
      addPort(program.outputs, "out" + std::to_string(outs++), i);
  }
  plan.devices.front()->arena_bytes = end;
}

Result<std::vector<std::byte>> LaunchPlan::build() {
  auto kernel = std::move(plan.kernels[launch.planKernel]);
  kernel->variants.clear();
  kernel->grid.clear();
  uint16_t target = plan.images[kernel->image]->target;
  plan.kernels.clear();
  plan.kernels.push_back(std::move(kernel));
  auto device = std::make_unique<format::DeviceT>();
  device->target = target;
  plan.devices.clear();
  plan.devices.push_back(std::move(device));
  plan.sources.clear();
  plan.weights.clear();
  plan.weights_embedded = false;
  plan.constants.clear();
  plan.states.clear();
  plan.generation.reset();
  plan.unused_sources.clear();
  plan.programs.clear();

  auto program = std::make_unique<format::ProgramT>();
  program->name = "launch";
  addBuffers(*program);
  format::LaunchT step;
  step.kernel = 0;
  for (uint32_t i = 0; i < launch.buffers.size(); ++i)
    step.buffers.push_back(i);
  for (int64_t size : launch.sizes)
    step.sizes.push_back(constantSize(size));
  for (int64_t extent : launch.grid)
    step.grid.push_back(constantSize(extent));
  step.location = launch.location;
  auto action = std::make_unique<format::StepT>();
  action->action.Set(std::move(step));
  program->steps.push_back(std::move(action));
  plan.programs.push_back(std::move(program));

  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(format::Plan::Pack(builder, &plan), format::PlanIdentifier());
  auto bytes = reinterpret_cast<const std::byte *>(builder.GetBufferPointer());
  return std::vector<std::byte>(bytes, bytes + builder.GetSize());
}

static Status writeReadme(const FailedLaunch &launch, const LaunchFailure &failure,
                          const std::filesystem::path &path) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << "# " << failure.kernel << " gives other results than on the host\n\n"
       << "Found by `ingot verify`: program `" << failure.program << "`, " << failure.inputs
       << ", step " << failure.step << " of " << failure.steps << ", a launch of `"
       << failure.kernel << "` (" << failure.family << ": " << failure.summary << ") at `"
       << failure.location << "`.\n\n"
       << "`launch.ingot` is that launch as a program of its own, with the code that failed and "
          "the kernel's "
          "meaning as IR\n(`ingot inspect launch.ingot --section debug`). Run it on the inputs "
          "beside this file "
          "and compare (exit code 5\nwhile it differs):\n\n    ingot verify --reproduce .\n\n"
       << "Run it alone, as under compute-sanitizer:\n\n    ingot-run run launch.ingot";
  for (unsigned i = 0; i < launch.kernel->numInputs; ++i)
    file << " --input in" << i << "=@in" << i << ".npy";
  file << "\n";
  if (!file.flush())
    return Status(ExitCode::OutOfResources, "--reproducer: cannot write '" + path.string() + "'");
  return Status();
}

Status writeLaunch(const FailedLaunch &launch, const LaunchFailure &failure,
                   const std::string &folder) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  if (!std::filesystem::is_directory(folder, ignored))
    return Status(ExitCode::Usage, "--reproducer: cannot make the folder '" + folder + "'");
  LaunchPlan plan(launch);
  Result<std::vector<std::byte>> bytes = plan.build();
  if (!bytes.ok())
    return bytes.status();
  Result<std::unique_ptr<ArtifactWriter>> created =
      ArtifactWriter::create(folder + "/launch.ingot");
  if (!created.ok())
    return created.status();
  ArtifactWriter &writer = **created;
  std::string ir = printKernel(launch.kernel->op);
  INGOT_TRY(writer.beginSection(SectionKind::Plan));
  INGOT_TRY(writer.write(*bytes));
  INGOT_TRY(writer.beginSection(SectionKind::Code));
  INGOT_TRY(writer.write(launch.artifact->section(SectionKind::Code)));
  INGOT_TRY(writer.beginSection(SectionKind::Debug));
  INGOT_TRY(writer.write(std::as_bytes(std::span(ir.data(), ir.size()))));
  INGOT_TRY(writer.commit());
  std::filesystem::path path(folder);
  for (unsigned i = 0; i < launch.kernel->numInputs; ++i) {
    std::vector<int64_t> shape = plan.shapeOf(i);
    INGOT_TRY(writeNpy((path / (plan.inputs()[i] + ".npy")).string(),
                       format::DType(launch.kernel->types[i]), shape, launch.buffers[i].data()));
  }
  return writeReadme(launch, failure, path / "README.md");
}

} // namespace ingot::verify
