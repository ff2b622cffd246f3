//===- PlanMemory.cpp - plan-memory -----------------------------------------===//
#include "passes/Passes.h"

#include "dialects/Exec/SizeExpr.h"
#include "passes/Liveness.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/EquivalenceClasses.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/MathExtras.h"

namespace ingot {
#define GEN_PASS_DEF_PLANMEMORY
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

namespace {

/// Bytes that several buffers may share because one is written over the other in place.
struct Allocation {
  SmallVector<Operation *> roots;
  StringAttr device;
  int64_t first = 0, last = 0;
  int64_t bytes = 0; // rounded up to the alignment
  int64_t offset = -1;

  bool overlapsInTime(const Allocation &other) const {
    return first <= other.last && other.first <= last;
  }
};

struct PlanMemory : ingot::impl::PlanMemoryBase<PlanMemory> {
  using PlanMemoryBase::PlanMemoryBase;
  void runOnOperation() override;

private:
  LogicalResult planProgram(exec::ProgramOp program);
  LogicalResult planGlobals();
  LogicalResult checkBudget(exec::DeviceOp device);

  llvm::MapVector<StringAttr, int64_t> arenaBytes;
};

} // namespace

static constexpr int64_t kMostBytes = int64_t(1) << 62;

/// Rounds up to the alignment; nothing where that gets too large to add up.
static std::optional<int64_t> align(std::optional<int64_t> bytes) {
  if (!bytes || *bytes > kMostBytes)
    return std::nullopt;
  return llvm::alignTo(*bytes, exec::kBufferAlignment);
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

/// Puts outputs over inputs that die at the launch, where the kernel allows it.
static void joinInPlace(const Liveness &liveness, const exec::SizeBounds &bounds,
                        llvm::EquivalenceClasses<Operation *> &shared,
                        llvm::DenseMap<Operation *, Lifetime> &lifetimes) {
  for (auto [step, op] : llvm::enumerate(liveness.getSteps())) {
    auto launch = dyn_cast<exec::LaunchOp>(op);
    if (!launch)
      continue;
    auto kernel =
        SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(launch, launch.getKernelAttr());
    llvm::SmallPtrSet<Operation *, 4> taken;
    for (auto [own, output] : llvm::enumerate(launch.getOuts())) {
      Operation *outputRoot = exec::getBufferRoot(output);
      // The output is born here, as a whole buffer, and nothing shares with it yet.
      if (!isa<exec::BufferOp>(outputRoot) || output.getDefiningOp() != outputRoot ||
          lifetimes[outputRoot].first != static_cast<int64_t>(step) ||
          llvm::count_if(launch.getOperands(), [&](Value operand) {
            return exec::getBufferRoot(operand) == outputRoot;
          }) != 1)
        continue;
      for (int64_t input : kernel.getInPlaceInputs(own)) {
        Operation *inputRoot = exec::getBufferRoot(launch.getIns()[input]);
        if (!isa<exec::BufferOp, exec::InputOp>(inputRoot) || taken.contains(inputRoot))
          continue;
        // The input dies here, and no other operand shows its bytes.
        Operation *leader = shared.getOrInsertLeaderValue(inputRoot);
        bool dies = lifetimes[leader].last == static_cast<int64_t>(step);
        auto showsIt = [&](Value operand) {
          Operation *root = exec::getBufferRoot(operand);
          return root == inputRoot ||
                 (shared.contains(root) && shared.getLeaderValue(root) == leader);
        };
        if (!dies || llvm::count_if(launch.getOperands(), showsIt) != 1 ||
            bounds.maximumBytes(cast<exec::BufferType>(inputRoot->getResult(0).getType())) !=
                bounds.maximumBytes(cast<exec::BufferType>(output.getType())))
          continue;
        Lifetime joined = lifetimes[leader];
        joined.last = lifetimes[outputRoot].last;
        shared.unionSets(inputRoot, outputRoot);
        lifetimes[shared.getLeaderValue(inputRoot)] = joined;
        taken.insert(inputRoot);
        break;
      }
    }
  }
}

/// Greedy by size: the largest block first, into the tightest gap between the blocks that live at
/// the same time. Gives the bytes of the arena.
static int64_t place(MutableArrayRef<Allocation> blocks) {
  SmallVector<unsigned> order = llvm::to_vector(llvm::seq<unsigned>(0, blocks.size()));
  llvm::sort(order, [&](unsigned a, unsigned b) {
    return std::tuple(-blocks[a].bytes, blocks[a].first, a) <
           std::tuple(-blocks[b].bytes, blocks[b].first, b);
  });
  SmallVector<const Allocation *> placed; // by offset
  int64_t peak = 0;
  for (unsigned index : order) {
    Allocation &block = blocks[index];
    int64_t best = -1, bestGap = std::numeric_limits<int64_t>::max(), end = 0;
    for (const Allocation *other : placed) {
      if (!block.overlapsInTime(*other))
        continue;
      int64_t gap = other->offset - end;
      if (gap >= block.bytes && gap < bestGap) {
        best = end;
        bestGap = gap;
      }
      end = std::max(end, other->offset + other->bytes);
    }
    block.offset = best >= 0 ? best : end;
    peak = std::max(peak, block.offset + block.bytes);
    placed.insert(llvm::upper_bound(placed, &block,
                                    [](const Allocation *a, const Allocation *b) {
                                      return a->offset < b->offset;
                                    }),
                  &block);
  }
  return peak;
}

/// The most bytes that are needed at one step: no placement takes less.
static int64_t getLowerBound(ArrayRef<Allocation> blocks, int64_t numSteps) {
  SmallVector<int64_t> change(numSteps + 3, 0);
  for (const Allocation &block : blocks) {
    change[block.first + 1] += block.bytes;
    change[block.last + 2] -= block.bytes;
  }
  int64_t live = 0, most = 0;
  for (int64_t delta : change)
    most = std::max(most, live += delta);
  return most;
}

LogicalResult PlanMemory::planProgram(exec::ProgramOp program) {
  exec::SizeBounds bounds = exec::SizeBounds::get(program.getSymbols(), program.getLimits());
  // Buffers that no step uses need no bytes, and go.
  Liveness liveness(program);
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(program.getBody().front())))
    if (isa<exec::BufferOp, exec::ViewOp, exec::GetOp>(op) && op.use_empty())
      op.erase();

  llvm::EquivalenceClasses<Operation *> shared;
  llvm::DenseMap<Operation *, Lifetime> lifetimes;
  for (const Lifetime &lifetime : liveness.getLifetimes())
    lifetimes[lifetime.root] = lifetime;
  joinInPlace(liveness, bounds, shared, lifetimes);

  // One block a class.
  llvm::MapVector<Operation *, Allocation> byLeader;
  llvm::DenseMap<Operation *, int64_t> ownBytes;
  for (const Lifetime &lifetime : liveness.getLifetimes()) {
    Operation *root = lifetime.root;
    std::optional<int64_t> bytes =
        bounds.maximumBytes(cast<exec::BufferType>(root->getResult(0).getType()));
    std::optional<int64_t> aligned = align(bytes);
    if (!aligned)
      return root->emitOpError("needs more than 63 bits of bytes at the compiled maxima");
    ownBytes[root] = *bytes;
    Operation *leader = shared.contains(root) ? shared.getLeaderValue(root) : root;
    Allocation &block = byLeader[leader];
    block.roots.push_back(root);
    block.device = root->getAttrOfType<FlatSymbolRefAttr>("device").getAttr();
    block.first = lifetimes[leader].first;
    block.last = lifetimes[leader].last;
    block.bytes = std::max(block.bytes, *aligned);
  }

  // Each device has its arena.
  llvm::MapVector<StringAttr, SmallVector<Allocation>> byDevice;
  for (auto &[leader, block] : byLeader)
    byDevice[block.device].push_back(block);
  Builder builder(program.getContext());
  for (auto &[device, blocks] : byDevice) {
    int64_t total = 0;
    for (const Allocation &block : blocks)
      if (llvm::AddOverflow(total, block.bytes, total) || total > kMostBytes)
        return program.emitOpError("needs more than 63 bits of bytes at the compiled maxima");
    int64_t bytes = place(blocks);
    for (const Allocation &block : blocks)
      for (Operation *root : block.roots) {
        root->setAttr("offset", builder.getI64IntegerAttr(block.offset));
        root->setAttr("bytes", builder.getI64IntegerAttr(ownBytes[root]));
      }
    int64_t &arena = arenaBytes[device];
    arena = std::max(arena, bytes);
    std::string text;
    llvm::raw_string_ostream(text)
        << "@" << program.getSymName() << " needs " << bytes << " bytes of @" << device.getValue()
        << "'s arena for " << blocks.size() << " blocks; at least "
        << getLowerBound(blocks, liveness.getSteps().size()) << " are live at once";
    remark::analysis(program.getLoc(), remark::RemarkOpts::name("Arena").category("plan-memory"))
        << text;
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Weights, constants, state
//===----------------------------------------------------------------------===//

LogicalResult PlanMemory::planGlobals() {
  Builder builder(&getContext());
  SymbolTable symbols(getOperation());
  for (auto device : getOperation().getBody()->getOps<exec::DeviceOp>()) {
    int64_t weights = 0, constants = 0, states = 0;
    for (Operation &op : *getOperation().getBody()) {
      Type type;
      int64_t *range = nullptr;
      if (auto weight = dyn_cast<exec::WeightOp>(op))
        std::tie(type, range) = std::tuple(weight.getType(), &weights);
      else if (auto constant = dyn_cast<exec::ConstantOp>(op))
        std::tie(type, range) = std::tuple(constant.getValue().getType(), &constants);
      else if (auto state = dyn_cast<exec::StateOp>(op))
        std::tie(type, range) = std::tuple(state.getType(), &states);
      if (!range || op.getAttrOfType<FlatSymbolRefAttr>("device").getValue() != device.getSymName())
        continue;
      std::optional<int64_t> bytes =
          align(exec::SizeBounds(ArrayRef<exec::SymbolAttr>())
                    .maximumBytes(exec::BufferType::getStatic(cast<RankedTensorType>(type))));
      op.setAttr("offset", builder.getI64IntegerAttr(*range));
      if (!bytes || llvm::AddOverflow(*range, *bytes, *range) || *range > kMostBytes)
        return op.emitOpError("needs, with those before it, more than 63 bits of bytes");
    }
    device.setWeightBytes(weights);
    device.setConstantBytes(constants);
    device.setStateBytes(states);
    device.setArenaBytes(arenaBytes.lookup(device.getSymNameAttr()));
  }
  return success();
}

LogicalResult PlanMemory::checkBudget(exec::DeviceOp device) {
  uint64_t need = 0;
  for (uint64_t part : {*device.getWeightBytes(), *device.getConstantBytes(),
                        *device.getStateBytes(), *device.getArenaBytes()})
    need = llvm::SaturatingAdd(need, part);
  uint64_t limit = maxMemory;
  if (limit == 0 || need <= limit)
    return success();
  return emitError(getOperation().getLoc())
         << kOutOfResourcesPrefix << "device " << device.getSymName() << " needs " << need
         << " bytes (weights " << *device.getWeightBytes() << ", state " << *device.getStateBytes()
         << ", activations " << *device.getArenaBytes() << ", constants "
         << *device.getConstantBytes() << "), " << need - limit << " more than the limit of "
         << limit << "; lower the compiled maxima or raise the limit";
}

void PlanMemory::runOnOperation() {
  arenaBytes.clear();
  for (auto program : getOperation().getBody()->getOps<exec::ProgramOp>())
    if (failed(planProgram(program)))
      return signalPassFailure();
  if (failed(planGlobals()))
    return signalPassFailure();
  for (auto device : getOperation().getBody()->getOps<exec::DeviceOp>())
    if (failed(checkBudget(device)))
      return signalPassFailure();
}
