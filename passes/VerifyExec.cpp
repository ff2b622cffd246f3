//===- VerifyExec.cpp - verify-exec -----------------------------------------===//
#include "passes/Passes.h"

#include "dialects/Exec/SizeExpr.h"
#include "passes/Liveness.h"

namespace ingot {
#define GEN_PASS_DEF_VERIFYEXEC
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

namespace {

/// Bytes [begin, end) of a device's space, and who owns them.
struct ByteRange {
  Operation *owner;
  FlatSymbolRefAttr device;
  int64_t begin, end;

  bool overlaps(const ByteRange &other) const {
    return device == other.device && begin < other.end && other.begin < end;
  }
};

struct VerifyExec : ingot::impl::VerifyExecBase<VerifyExec> {
  void runOnOperation() override;

private:
  LogicalResult verifyGlobals();
  LogicalResult verifyProgram(exec::ProgramOp program);
  LogicalResult verifySteps(exec::ProgramOp program, const Liveness &liveness);
  FailureOr<ByteRange> getArenaRange(Operation *root, const exec::SizeBounds &bounds);
};

} // namespace

/// Fails if ranges that are needed at once overlap; `ranges` are sorted here.
template <typename OpT>
static LogicalResult verifySpace(ModuleOp module, exec::DeviceOp device,
                                 std::optional<int64_t> spaceBytes,
                                 function_ref<Type(OpT)> getType) {
  SmallVector<ByteRange> ranges;
  for (auto op : module.getBody()->getOps<OpT>()) {
    if (op.getDevice() != device.getSymName())
      continue;
    std::optional<int64_t> bytes =
        exec::SizeBounds(ArrayRef<exec::SymbolAttr>())
            .maximumBytes(exec::BufferType::getStatic(cast<RankedTensorType>(getType(op))));
    if (!op.getOffset() || !bytes || !spaceBytes)
      return op.emitOpError("has no place; run plan-memory");
    int64_t begin = *op.getOffset();
    if (begin > *spaceBytes || *bytes > *spaceBytes - begin)
      return op.emitOpError("lies outside its range: bytes [")
             << begin << ", " << begin + *bytes << ") of " << *spaceBytes;
    ranges.push_back({op, op.getDeviceAttr(), begin, begin + *bytes});
  }
  llvm::sort(ranges, [](const ByteRange &a, const ByteRange &b) { return a.begin < b.begin; });
  for (unsigned i = 1; i < ranges.size(); ++i)
    if (ranges[i - 1].overlaps(ranges[i]))
      return ranges[i].owner->emitOpError("overlaps @")
             << SymbolTable::getSymbolName(ranges[i - 1].owner).getValue();
  return success();
}

LogicalResult VerifyExec::verifyGlobals() {
  ModuleOp module = getOperation();
  for (auto device : module.getBody()->getOps<exec::DeviceOp>()) {
    if (failed(verifySpace<exec::WeightOp>(module, device, device.getWeightBytes(),
                                           [](exec::WeightOp op) { return op.getType(); })) ||
        failed(verifySpace<exec::ConstantOp>(
            module, device, device.getConstantBytes(),
            [](exec::ConstantOp op) -> Type { return op.getValue().getType(); })) ||
        failed(verifySpace<exec::StateOp>(module, device, device.getStateBytes(),
                                          [](exec::StateOp op) { return op.getType(); })))
      return failure();
  }
  return success();
}

FailureOr<ByteRange> VerifyExec::getArenaRange(Operation *root, const exec::SizeBounds &bounds) {
  auto deviceName = root->getAttrOfType<FlatSymbolRefAttr>("device");
  auto device = SymbolTable::lookupNearestSymbolFrom<exec::DeviceOp>(root, deviceName);
  auto offset = root->getAttrOfType<IntegerAttr>("offset");
  auto bytes = root->getAttrOfType<IntegerAttr>("bytes");
  if (!offset || !bytes || !device.getArenaBytes())
    return root->emitOpError("has no place; run plan-memory");
  std::optional<int64_t> expected =
      bounds.maximumBytes(cast<exec::BufferType>(root->getResult(0).getType()));
  if (expected != bytes.getInt())
    return root->emitOpError("expects ") << (expected ? *expected : -1)
                                         << " bytes at the compiled maxima, got " << bytes.getInt();
  int64_t arena = *device.getArenaBytes();
  if (offset.getInt() > arena || bytes.getInt() > arena - offset.getInt())
    return root->emitOpError("lies outside the arena: bytes [")
           << offset.getInt() << ", " << offset.getInt() + bytes.getInt() << ") of " << arena;
  return ByteRange{root, deviceName, offset.getInt(), offset.getInt() + bytes.getInt()};
}

/// True if `step` may write `output` over `input`: in place, as the kernel declares.
static bool isInPlace(Operation *step, Operation *input, Operation *output) {
  auto launch = dyn_cast<exec::LaunchOp>(step);
  if (!launch)
    return false;
  auto kernel =
      SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
  for (auto [own, out] : llvm::enumerate(launch.getOuts())) {
    if (exec::getBufferRoot(out) != output)
      continue;
    bool allowed = llvm::any_of(kernel.getInPlaceInputs(own), [&](int64_t index) {
      return exec::getBufferRoot(launch.getIns()[index]) == input;
    });
    unsigned shown =
        llvm::count_if(launch.getIns(), [&](Value in) { return exec::getBufferRoot(in) == input; });
    return allowed && shown == 1;
  }
  return false;
}

/// Fails if `step` needs a size of `unread`.
static LogicalResult verifySizesKnown(Operation *step, const llvm::DenseSet<StringAttr> &unread) {
  SmallVector<exec::SizeAttr> sizes;
  if (auto launch = dyn_cast<exec::LaunchOp>(step)) {
    llvm::append_range(sizes, launch.getSizes().getAsRange<exec::SizeAttr>());
    if (launch.getGrid())
      llvm::append_range(sizes, launch.getGrid()->getAsRange<exec::SizeAttr>());
  }
  if (auto copy = dyn_cast<exec::CopyOp>(step))
    llvm::append_range(sizes, copy.getSource().getType().getShape());
  for (exec::SizeAttr size : sizes)
    for (StringAttr symbol : size.getSymbols())
      if (unread.contains(symbol))
        return step->emitOpError("needs size '")
               << symbol.getValue() << "', which no step has read before";
  return success();
}

LogicalResult VerifyExec::verifySteps(exec::ProgramOp program, const Liveness &liveness) {
  llvm::DenseSet<Operation *> defined;
  llvm::DenseSet<StringAttr> unread;
  for (auto symbol : program.getSymbols().getAsRange<exec::SymbolAttr>())
    if (symbol.isResident())
      unread.insert(symbol.getName());
  for (Operation *step : liveness.getSteps()) {
    SmallVector<BufferUse> uses = Liveness::getUses(step);
    for (const BufferUse &use : uses)
      if (use.reads && isa<exec::BufferOp>(use.root) && !defined.contains(use.root))
        return step->emitOpError("reads a buffer that no step has written before");
    for (const BufferUse &use : uses)
      if (use.writes)
        defined.insert(use.root);
    if (auto read = dyn_cast<exec::ReadSizeOp>(step))
      unread.erase(read.getSymbolAttr());
    if (failed(verifySizesKnown(step, unread)))
      return failure();
    auto launch = dyn_cast<exec::LaunchOp>(step);
    if (!launch)
      continue;
    if (!launch.getGrid())
      return launch.emitOpError("has no grid; run select-kernels");
    auto kernel =
        SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
    if (!kernel.getFamily())
      return kernel.emitOpError("has no family; run select-kernels");
  }
  return success();
}

LogicalResult VerifyExec::verifyProgram(exec::ProgramOp program) {
  Liveness liveness(program);
  if (failed(verifySteps(program, liveness)))
    return failure();
  exec::SizeBounds bounds = exec::SizeBounds::get(program.getSymbols(), program.getLimits());
  SmallVector<ByteRange> ranges;
  for (const Lifetime &lifetime : liveness.getLifetimes()) {
    FailureOr<ByteRange> range = getArenaRange(lifetime.root, bounds);
    if (failed(range))
      return failure();
    ranges.push_back(*range);
  }
  ArrayRef<Operation *> steps = liveness.getSteps();
  ArrayRef<Lifetime> lifetimes = liveness.getLifetimes();
  for (unsigned i = 0; i < ranges.size(); ++i) {
    for (unsigned j = i + 1; j < ranges.size(); ++j) {
      if (!ranges[i].overlaps(ranges[j]) || !lifetimes[i].overlaps(lifetimes[j]))
        continue;
      // They meet in one step that replaces one by the other?
      const Lifetime &early = lifetimes[i].last <= lifetimes[j].last ? lifetimes[i] : lifetimes[j];
      const Lifetime &late = &early == &lifetimes[i] ? lifetimes[j] : lifetimes[i];
      bool sameBytes = ranges[i].begin == ranges[j].begin;
      if (sameBytes && early.last == late.first &&
          early.last < static_cast<int64_t>(steps.size()) &&
          isInPlace(steps[early.last], early.root, late.root))
        continue;
      InFlightDiagnostic diagnostic =
          ranges[j].owner->emitOpError("overlaps a buffer that is needed at the same time");
      diagnostic.attachNote(ranges[i].owner->getLoc()) << "the other buffer";
      return diagnostic;
    }
  }
  for (auto output : program.getBody().front().getOps<exec::OutputOp>()) {
    Operation *root = exec::getBufferRoot(output.getBuffer());
    bool written = isa<exec::InputOp>(root) || llvm::any_of(steps, [&](Operation *step) {
                     return llvm::any_of(Liveness::getUses(step), [&](const BufferUse &use) {
                       return use.root == root && use.writes;
                     });
                   });
    if (!written)
      return output.emitOpError("gives a buffer that no step writes");
  }
  return success();
}

void VerifyExec::runOnOperation() {
  if (failed(verifyGlobals()))
    return signalPassFailure();
  for (auto program : getOperation().getBody()->getOps<exec::ProgramOp>())
    if (failed(verifyProgram(program)))
      return signalPassFailure();
}
