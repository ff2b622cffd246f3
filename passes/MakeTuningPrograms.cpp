//===- MakeTuningPrograms.cpp - make-tuning-programs ------------------------===//
#include "passes/Passes.h"

#include "codegen/KernelRegistry.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"
#include "passes/TuningChoice.h"

#include "mlir/IR/Remarks.h"
#include "llvm/Support/MathExtras.h"

#include <set>

namespace ingot {
#define GEN_PASS_DEF_MAKETUNINGPROGRAMS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using codegen::KernelFamily;
using codegen::Selection;
using exec::BufferType;
using exec::SizeAttr;

/// What a run reads at least, so that nothing of it is found in the second-level cache (50 MB on
/// the GPUs that there are) when its turn comes again.
static constexpr int64_t kRotatedBytes = int64_t(192) << 20;
/// Bytes and launches of a run, so that starting it is a small part: 3 TB/s are 0.7 ms.
static constexpr int64_t kRunBytes = int64_t(2) << 30;
static constexpr int64_t kLeastLaunches = 2, kMostLaunches = 64;
/// Of random operands; sums of products stay small in any 16-bit type.
static constexpr float kDeviation = 0.05f;

namespace {

struct MakeTuningPrograms : ingot::impl::MakeTuningProgramsBase<MakeTuningPrograms> {
  void runOnOperation() override;

private:
  /// A kernel that is worth measuring: who realises it, and the ways to.
  struct Subject {
    exec::KernelOp kernel;
    std::string key;
    std::vector<Selection> candidates;
    codegen::Sample sample;
    /// Of the buffers, at the sample's sizes.
    SmallVector<BufferType> types;
  };

  std::optional<Subject> study(exec::KernelOp kernel);
  std::string findObstacle(const Subject &subject);
  void makeProgram(const Subject &subject, size_t index);
  Value getOperand(OpBuilder &builder, exec::DeviceOp device, BufferType type, unsigned slot);
  Value getIntegers(OpBuilder &builder, const Subject &subject, unsigned input);
  exec::DeviceOp findDevice(exec::KernelOp kernel);
};

} // namespace

exec::DeviceOp MakeTuningPrograms::findDevice(exec::KernelOp kernel) {
  for (auto device : getOperation().getOps<exec::DeviceOp>())
    if (device.getTargetAttr() == kernel.getTargetAttr())
      return device;
  return {};
}

/// The kernel's buffers at given values of its size parameters; a type is null that has no such
/// form.
static SmallVector<BufferType> getTypes(exec::KernelOp kernel, ArrayRef<int64_t> sizes) {
  llvm::DenseMap<StringAttr, SizeAttr> values;
  for (auto [symbol, size] :
       llvm::zip_equal(kernel.getSizes().getAsRange<exec::SymbolAttr>(), sizes))
    values[symbol.getName()] = SizeAttr::get(kernel.getContext(), size);
  SmallVector<BufferType> types;
  for (BufferType type : kernel.getBufferTypes())
    types.push_back(exec::substitute(type, values));
  return types;
}

static bool isStatic(BufferType type) {
  return llvm::all_of(type.getShape(), [](SizeAttr extent) { return extent.isStatic(); });
}

/// Bytes of a buffer of static size; nothing past 63 bits.
static std::optional<int64_t> countBytes(BufferType type) {
  int64_t bytes = llvm::divideCeil(type.getElementType().getIntOrFloatBitWidth(), 8);
  for (SizeAttr extent : type.getShape())
    if (llvm::MulOverflow(bytes, extent.getFactor(), bytes))
      return std::nullopt;
  return bytes;
}

static const std::vector<int32_t> *findIntegers(const codegen::Sample &sample, unsigned input) {
  for (const auto &[index, values] : sample.integers)
    if (index == input)
      return &values;
  return nullptr;
}

/// Why the kernel cannot be measured alone, or nothing.
std::string MakeTuningPrograms::findObstacle(const Subject &subject) {
  exec::KernelOp kernel = subject.kernel;
  if (llvm::any_of(kernel.getUpdates(), [](int64_t updated) { return updated >= 0; }))
    return "it updates an input";
  if (!findDevice(kernel))
    return "there is no device of its target";
  for (BufferType type : subject.types)
    if (!type || !isStatic(type) || !countBytes(type))
      return "its sizes have no largest form";
  for (unsigned i = 0; i < kernel.getNumInputs(); ++i) {
    Type element = kernel.getInputType(i).getElementType();
    const std::vector<int32_t> *integers = findIntegers(subject.sample, i);
    if (integers && int64_t(integers->size()) * 4 != *countBytes(subject.types[i]))
      return "its sample of input " + std::to_string(i) + " has another size";
    if (!isa<FloatType>(element) && !(integers && element.isInteger(32)))
      return "it reads integers, which random ones cannot stand in for";
  }
  return {};
}

std::optional<MakeTuningPrograms::Subject> MakeTuningPrograms::study(exec::KernelOp kernel) {
  auto target =
      SymbolTable::lookupNearestSymbolFrom<exec::TargetOp>(kernel, kernel.getTargetAttr());
  codegen::SelectContext context;
  context.target = {target.getKind().str(), target.getArch().str()};
  // Every operand of a program made here is a weight.
  context.weightInputs.assign(kernel.getNumInputs(), true);
  context.sharedWeights.assign(kernel.getNumInputs(), false);
  for (const std::unique_ptr<KernelFamily> &family :
       codegen::KernelRegistry::getStandard().getFamilies()) {
    if (family->getTargetKind() != context.target.kind ||
        !family->match(kernel, context.target).matched)
      continue;
    Result<std::vector<Selection>> candidates = family->candidates(kernel, context);
    if (!candidates.ok() || candidates->size() < 2)
      return std::nullopt;
    codegen::Sample sample = family->sample(kernel);
    Subject subject{kernel, makeTuningKey(*family, kernel, candidates->front()),
                    std::move(*candidates), sample, getTypes(kernel, sample.sizes)};
    if (subject.key.empty())
      return std::nullopt;
    if (std::string obstacle = findObstacle(subject); !obstacle.empty()) {
      remark::missed(kernel.getLoc(), remark::RemarkOpts::name("Tuning").category("tuning"))
          << "@" + kernel.getSymName().str() + ": is not measured: " + obstacle;
      return std::nullopt;
    }
    return subject;
  }
  return std::nullopt;
}

/// A weight of that type. Operands of one launch, and of launches of one run, have different slots;
/// candidates share them.
Value MakeTuningPrograms::getOperand(OpBuilder &builder, exec::DeviceOp device, BufferType type,
                                     unsigned slot) {
  MLIRContext *context = &getContext();
  Location loc = device.getLoc();
  SmallVector<int64_t> shape;
  std::string name = "random";
  for (SizeAttr extent : type.getShape()) {
    shape.push_back(extent.getFactor());
    name += "." + std::to_string(extent.getFactor());
  }
  llvm::raw_string_ostream(name) << "." << type.getElementType() << "." << slot;
  StringAttr symbol = builder.getStringAttr(name);
  if (!getOperation().lookupSymbol(symbol)) {
    OpBuilder before(builder.getBlock()->getParentOp());
    StringAttr source = builder.getStringAttr("source." + name);
    exec::SourceOp::create(before, loc, source, builder.getDenseI64ArrayAttr(shape),
                           exec::InitAttr::get(context, exec::Init::Normal),
                           builder.getF32FloatAttr(kDeviation), ArrayAttr());
    exec::WeightOp::create(
        before, loc, symbol, builder.getArrayAttr(FlatSymbolRefAttr::get(source)),
        builder.getArrayAttr(
            exec::StepAttr::get(context, exec::RecipeOp::Load, ArrayRef<int64_t>{0})),
        FlatSymbolRefAttr::get(device.getSymNameAttr()),
        TypeAttr::get(RankedTensorType::get(shape, type.getElementType())), IntegerAttr());
  }
  return exec::GetOp::create(builder, loc, type, FlatSymbolRefAttr::get(symbol));
}

/// What the sample has for an input of integers, as a constant that all launches share.
Value MakeTuningPrograms::getIntegers(OpBuilder &builder, const Subject &subject, unsigned input) {
  ModuleOp module = getOperation();
  exec::KernelOp kernel = subject.kernel;
  BufferType type = subject.types[input];
  SmallVector<int64_t> shape;
  for (SizeAttr extent : type.getShape())
    shape.push_back(extent.getFactor());
  StringAttr symbol = builder.getStringAttr("sample." + kernel.getSymName() + "." + Twine(input));
  if (!module.lookupSymbol(symbol)) {
    OpBuilder before(builder.getBlock()->getParentOp());
    exec::ConstantOp::create(
        before, kernel.getLoc(), symbol,
        FlatSymbolRefAttr::get(findDevice(kernel).getSymNameAttr()),
        DenseElementsAttr::get(RankedTensorType::get(shape, type.getElementType()),
                               ArrayRef(*findIntegers(subject.sample, input))),
        IntegerAttr());
  }
  return exec::GetOp::create(builder, kernel.getLoc(), type, FlatSymbolRefAttr::get(symbol));
}

void MakeTuningPrograms::makeProgram(const Subject &subject, size_t index) {
  ModuleOp module = getOperation();
  MLIRContext *context = &getContext();
  exec::KernelOp original = subject.kernel;
  Location loc = original.getLoc();
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  std::string name = original.getSymName().str() + "." + std::to_string(index);
  auto kernel = cast<exec::KernelOp>(builder.clone(*original));
  kernel.setSymName(name);
  kernel->setAttr(exec::ExecDialect::kTakesAttr, builder.getI64IntegerAttr(index));

  auto program = exec::ProgramOp::create(builder, loc, "measure." + name, builder.getArrayAttr({}),
                                         builder.getArrayAttr({}));
  program->setAttr(exec::ExecDialect::kCandidateAttr,
                   builder.getDictionaryAttr(
                       {builder.getNamedAttr("kernel", builder.getStringAttr(subject.key)),
                        builder.getNamedAttr("config", builder.getStringAttr(
                                                           printConfig(subject.candidates[index]))),
                        builder.getNamedAttr("modelled", builder.getBoolAttr(index == 0))}));
  builder.setInsertionPointToStart(&program.getBody().emplaceBlock());

  ArrayRef<BufferType> types = subject.types;
  unsigned inputs = original.getNumInputs();
  int64_t bytes = 1;
  for (BufferType type : types)
    bytes += *countBytes(type);
  int64_t different = std::min<int64_t>(llvm::divideCeil(kRotatedBytes, bytes), kMostLaunches);
  int64_t launches = std::clamp<int64_t>(kRunBytes / bytes, kLeastLaunches, kMostLaunches);
  launches = llvm::alignTo(launches, different);

  exec::DeviceOp device = findDevice(original);
  auto deviceRef = FlatSymbolRefAttr::get(device.getSymNameAttr());
  SmallVector<Value> outs;
  for (BufferType type : types.drop_front(inputs))
    outs.push_back(
        exec::BufferOp::create(builder, loc, type, deviceRef, IntegerAttr(), IntegerAttr()));
  SmallVector<Attribute> sizes;
  for (int64_t size : subject.sample.sizes)
    sizes.push_back(SizeAttr::get(context, size));
  SmallVector<SmallVector<Value>> operands;
  llvm::DenseMap<Type, unsigned> slots;
  for (int64_t launch = 0; launch < different; ++launch)
    for (operands.emplace_back(); operands.back().size() < inputs;) {
      unsigned input = operands.back().size();
      BufferType type = types[input];
      operands.back().push_back(findIntegers(subject.sample, input)
                                    ? getIntegers(builder, subject, input)
                                    : getOperand(builder, device, type, slots[type]++));
    }
  for (int64_t launch = 0; launch < launches; ++launch)
    exec::LaunchOp::create(builder, loc, FlatSymbolRefAttr::get(kernel.getSymNameAttr()),
                           builder.getArrayAttr(sizes), ArrayAttr(), operands[launch % different],
                           outs);
}

void MakeTuningPrograms::runOnOperation() {
  ModuleOp module = getOperation();
  std::vector<Subject> subjects;
  std::set<std::string> keys;
  for (auto kernel : module.getOps<exec::KernelOp>())
    if (std::optional<Subject> subject = study(kernel))
      if (keys.insert(subject->key).second) // programs may have kernels that are alike
        subjects.push_back(std::move(*subject));
  if (subjects.empty()) {
    module.emitError() << kUnsupportedPrefix
                       << "no kernel of this model offers a choice on this target, so there is "
                          "nothing to measure";
    return signalPassFailure();
  }
  SmallVector<Operation *> model;
  for (Operation &op : *module.getBody())
    if (!isa<exec::TargetOp, exec::DeviceOp>(op))
      model.push_back(&op);
  for (const Subject &subject : subjects)
    for (size_t i = 0; i < subject.candidates.size(); ++i)
      makeProgram(subject, i);
  for (Operation *op : llvm::reverse(model))
    op->erase();
  module->removeAttr(exec::ExecDialect::kGenerationAttr);
}
