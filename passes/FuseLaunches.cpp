//===- FuseLaunches.cpp - fuse-launches -------------------------------------===//
//
// What may share a launch, and the rewrite. How two kernels become one is in KernelMerge.h.
//
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"

#include "codegen/KernelRegistry.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Transformer/TransformerOps.h"
#include "passes/FusionUtils.h"
#include "passes/KernelMerge.h"

#include "llvm/ADT/SetVector.h"

namespace ingot {
#define GEN_PASS_DEF_FUSELAUNCHES
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using codegen::KernelFamily;

static constexpr llvm::StringLiteral kCategory = "fuse-launches";
/// Kernels of one launch at most: each has the registers of the greediest.
static constexpr size_t kMostKernels = 6;
/// Steps that a launch looks back.
static constexpr unsigned kMostSteps = 4;

namespace {

/// What a step reads and writes: the ops that make the bytes.
struct Accesses {
  llvm::SmallSetVector<Operation *, 8> reads, writes;

  /// Whether steps with these and with `later` may not change places.
  bool conflictsWith(const Accesses &later) const;
};

class LaunchFuser {
public:
  LaunchFuser(ModuleOp module, ArrayRef<std::string> alternatives)
      : module(module), symbols(module), merger(symbols) {
    for (const std::string &arch : alternatives)
      archs.push_back(arch);
  }

  void run();

private:
  void fuse(exec::ProgramOp program);
  /// Has `launch` look up itself what one in front of it looks up for it alone; returns the launch
  /// of both, or none.
  exec::LaunchOp joinLookup(exec::LaunchOp launch);
  /// Moves `launch` into one in front of it, if it can be.
  void fuseIntoEarlier(exec::LaunchOp launch);
  /// Makes one launch of both, in place of the earlier one; returns a reason if it can't.
  std::string tryMerge(exec::LaunchOp earlier, exec::LaunchOp later);
  /// Makes what `launch` takes ahead of `place`; false if something is only made behind it.
  bool provideAhead(exec::LaunchOp launch, Operation *place, Value except);
  Accesses getAccesses(Operation *step);
  exec::KernelOp getKernel(exec::LaunchOp launch) {
    return symbols.lookup<exec::KernelOp>(launch.getKernel());
  }
  /// Whether the family that takes `kernel` shares launches, on each architecture.
  bool sharesLaunches(exec::KernelOp kernel);

  ModuleOp module;
  SymbolTable symbols;
  KernelMerger merger;
  SmallVector<std::string> archs;
  llvm::DenseMap<Operation *, bool> sharing;
  /// The kernels that were merged into each, in number.
  llvm::DenseMap<Operation *, size_t> counts;
};

struct FuseLaunches : ingot::impl::FuseLaunchesBase<FuseLaunches> {
  using Base::Base;

  void runOnOperation() override {
    SmallVector<std::string> archs(alternatives.begin(), alternatives.end());
    LaunchFuser(getOperation(), archs).run();
  }
};

} // namespace

bool Accesses::conflictsWith(const Accesses &later) const {
  auto meet = [](const auto &a, const auto &b) {
    return llvm::any_of(a, [&](Operation *op) { return b.contains(op); });
  };
  return meet(writes, later.reads) || meet(reads, later.writes) || meet(writes, later.writes);
}

/// `get`s of one global are the same bytes.
static Operation *getBytes(Value buffer, SymbolTable &symbols) {
  Operation *root = exec::getBufferRoot(buffer);
  if (auto get = dyn_cast<exec::GetOp>(root))
    return symbols.lookup(get.getName());
  return root;
}

Accesses LaunchFuser::getAccesses(Operation *step) {
  Accesses accesses;
  if (auto launch = dyn_cast<exec::LaunchOp>(step)) {
    for (Value input : launch.getIns())
      accesses.reads.insert(getBytes(input, symbols));
    for (Value output : launch.getOuts())
      accesses.writes.insert(getBytes(output, symbols));
    for (int64_t updated : getKernel(launch).getUpdates())
      if (updated >= 0)
        accesses.writes.insert(getBytes(launch.getIns()[updated], symbols));
  } else if (auto copy = dyn_cast<exec::CopyOp>(step)) {
    accesses.reads.insert(getBytes(copy.getSource(), symbols));
    accesses.writes.insert(getBytes(copy.getTarget(), symbols));
  }
  return accesses;
}

bool LaunchFuser::sharesLaunches(exec::KernelOp kernel) {
  auto [it, isNew] = sharing.try_emplace(kernel, false);
  if (!isNew)
    return it->second;
  auto target = symbols.lookup<exec::TargetOp>(kernel.getTarget());
  SmallVector<std::string> all(archs);
  all.push_back(target.getArch().str());
  bool shares = llvm::all_of(all, [&](const std::string &arch) {
    codegen::TargetInfo info{target.getKind().str(), arch};
    for (const auto &family : codegen::KernelRegistry::getStandard().getFamilies())
      if (family->getTargetKind() == info.kind && family->match(kernel, info).matched)
        return family->sharesLaunches();
    return false;
  });
  return sharing[kernel] = shares;
}

//===----------------------------------------------------------------------===//
// What a launch reads of the one in front of it
//===----------------------------------------------------------------------===//

namespace {

/// A value that one launch makes for another alone.
struct PassedValue {
  Value buffer; // null: none
  std::string problem;
};

} // namespace

/// Finds the buffer that `earlier` makes and `later` appends to a cache, an element for an element;
/// a problem if `later` reads what `earlier` makes in any other way.
static PassedValue findPassed(exec::LaunchOp earlier, exec::LaunchOp later,
                              exec::KernelOp laterKernel) {
  PassedValue passed;
  for (auto [i, input] : llvm::enumerate(later.getIns())) {
    bool made = llvm::any_of(earlier.getOuts(), [&](Value output) {
      return exec::getBufferRoot(output) == exec::getBufferRoot(input);
    });
    if (!made)
      continue;
    Operation *reader = nullptr;
    for (OpOperand &use : laterKernel.getBody().getArgument(i).getUses()) {
      if (isa<ShapedDimOpInterface>(use.getOwner()))
        continue;
      auto append = dyn_cast<transformer::CacheAppendOp>(use.getOwner());
      if (reader || !append || append.getX() != use.get())
        return {{}, "reads what that makes in another way than element by element"};
      reader = append;
    }
    if (!reader || passed.buffer || !llvm::is_contained(earlier.getOuts(), input))
      return {{}, "reads what that makes in another shape"};
    for (Operation *user : input.getUsers())
      if (user != earlier && user != later)
        return {{}, "appends what is needed elsewhere, too"};
    passed.buffer = input;
  }
  return passed;
}

/// Whether `kernel` does nothing but look up rows of tables and what is element by element: to look
/// a row up again costs what it costs to read it from a buffer.
static bool isLookup(exec::KernelOp kernel) {
  return kernel && kernel.getNumOutputs() == 1 && !kernel.getOwnOutputs().empty() &&
         codegen::hasAnyOp<transformer::EmbeddingOp>(kernel) &&
         llvm::all_of(kernel.getBody().front().without_terminator(), [](Operation &op) {
           return isa<transformer::EmbeddingOp>(op) || op.hasTrait<OpTrait::Elementwise>() ||
                  op.hasTrait<OpTrait::ConstantLike>();
         });
}

/// Whether `kernel` reads every element of its input at most as often as a norm, whose threads
/// keep it.
static bool readsRows(exec::KernelOp kernel, unsigned input) {
  return llvm::all_of(kernel.getBody().getArgument(input).getUsers(), [](Operation *user) {
    return user->hasTrait<OpTrait::Elementwise>() ||
           isa<ShapedDimOpInterface, transformer::RmsNormOp, transformer::LayerNormOp,
               transformer::AddRmsNormOp, transformer::AddLayerNormOp>(user);
  });
}

bool LaunchFuser::provideAhead(exec::LaunchOp launch, Operation *place, Value except) {
  SmallVector<Operation *> needed;
  // Operands first; what is in front of `place` is there already.
  std::function<bool(Value)> need = [&](Value value) {
    Operation *op = value.getDefiningOp();
    if (value == except || !op || op->isBeforeInBlock(place) || llvm::is_contained(needed, op))
      return true;
    if (!isa<exec::BufferOp, exec::GetOp, exec::ViewOp>(op) ||
        !llvm::all_of(op->getOperands(), need))
      return false;
    needed.push_back(op);
    return true;
  };
  if (!llvm::all_of(launch->getOperands(), need))
    return false;
  for (Operation *op : needed)
    op->moveBefore(place);
  return true;
}

std::string LaunchFuser::tryMerge(exec::LaunchOp earlier, exec::LaunchOp later) {
  exec::KernelOp first = getKernel(earlier), second = getKernel(later);
  std::string names = nameBody(second), others = nameBody(first);
  PassedValue passed = findPassed(earlier, later, second);
  Accesses before = getAccesses(earlier), behind = getAccesses(later);
  if (passed.buffer)
    behind.reads.remove(exec::getBufferRoot(passed.buffer));
  auto refuse = [&](const std::string &why) {
    return names + " has no launch with " + others + ", because it " + why;
  };
  if (!passed.problem.empty())
    return refuse(passed.problem);
  if (before.conflictsWith(behind))
    return refuse("overwrites what that reads or writes");
  auto count = [&](exec::KernelOp kernel) { return counts.try_emplace(kernel, 1).first->second; };
  size_t total = count(first) + count(second) - (passed.buffer ? 1 : 0);
  if (total > kMostKernels)
    return refuse("would be one kernel too many");
  FailureOr<MergedLaunch> merged = merger.merge(earlier, later, passed.buffer);
  // Side by side both stay what they were.
  if (succeeded(merged) && !passed.buffer)
    sharing[merged->kernel] = true;
  if (failed(merged) || !sharesLaunches(merged->kernel))
    return refuse("has no form together with it");
  if (!provideAhead(later, earlier, passed.buffer))
    return refuse("reads what is only made in between");
  counts[merged->kernel] = total;
  remarkFused(later.getLoc(), kCategory,
              passed.buffer ? names + " stores what " + others + " makes"
                            : names + " shares the launch of " + others);
  merger.launch(*merged, earlier, later, earlier);
  if (passed.buffer)
    passed.buffer.getDefiningOp()->erase();
  return {};
}

exec::LaunchOp LaunchFuser::joinLookup(exec::LaunchOp launch) {
  exec::KernelOp kernel = getKernel(launch);
  for (auto [i, input] : llvm::enumerate(launch.getIns())) {
    exec::LaunchOp lookup;
    bool alone = isa_and_nonnull<exec::BufferOp>(input.getDefiningOp()) && readsRows(kernel, i);
    for (OpOperand &use : input.getUses()) {
      auto user = dyn_cast<exec::LaunchOp>(use.getOwner());
      if (user && user != launch && !lookup && llvm::is_contained(user.getOuts(), input))
        lookup = user;
      else
        alone &= user == launch;
    }
    if (!alone || !lookup || lookup->getBlock() != launch->getBlock() ||
        !isLookup(getKernel(lookup)) || !sharesLaunches(kernel) || changesBetween(lookup, launch))
      continue;
    FailureOr<MergedLaunch> merged = merger.merge(lookup, launch, input);
    if (failed(merged) || !sharesLaunches(merged->kernel))
      continue;
    remarkFused(launch.getLoc(), kCategory,
                nameBody(kernel) + " does " + nameBody(getKernel(lookup)) + " itself");
    exec::LaunchOp both = merger.launch(*merged, lookup, launch, launch);
    input.getDefiningOp()->erase();
    return both;
  }
  return {};
}

void LaunchFuser::fuseIntoEarlier(exec::LaunchOp launch) {
  exec::KernelOp kernel = getKernel(launch);
  if (!sharesLaunches(kernel))
    return;
  // Those that it may join: all that it may move ahead of, and the one that it may not.
  SmallVector<exec::LaunchOp> candidates;
  Accesses accesses = getAccesses(launch);
  unsigned steps = 0;
  for (Operation *op = launch->getPrevNode(); op && steps < kMostSteps; op = op->getPrevNode()) {
    if (isa<exec::BufferOp, exec::GetOp, exec::ViewOp, exec::InputOp, exec::OutputOp>(op))
      continue;
    ++steps;
    auto earlier = dyn_cast<exec::LaunchOp>(op);
    if (earlier && sharesLaunches(getKernel(earlier)))
      candidates.push_back(earlier);
    // A size has to be read before a launch that it sizes.
    if (auto readSize = dyn_cast<exec::ReadSizeOp>(op))
      if (llvm::any_of(launch.getSizes().getAsRange<exec::SizeAttr>(), [&](exec::SizeAttr size) {
            return llvm::is_contained(size.getSymbols(), readSize.getSymbolAttr());
          }))
        break;
    if (!isa<exec::LaunchOp, exec::CopyOp, exec::ReadSizeOp>(op) ||
        getAccesses(op).conflictsWith(accesses))
      break;
  }
  // The first one: what reads the result may then follow sooner.
  std::string why;
  for (exec::LaunchOp earlier : llvm::reverse(candidates)) {
    std::string problem = tryMerge(earlier, launch);
    if (problem.empty())
      return;
    if (why.empty())
      why = problem;
  }
  // That a computation needs another's result is no news; that an append is a launch of its own is.
  if (!why.empty() && codegen::hasAnyOp<transformer::CacheAppendOp>(kernel))
    remarkNotFused(launch.getLoc(), kCategory, why);
}

void LaunchFuser::fuse(exec::ProgramOp program) {
  for (exec::LaunchOp launch : llvm::to_vector(program.getBody().getOps<exec::LaunchOp>()))
    while (launch)
      launch = joinLookup(launch);
  for (exec::LaunchOp launch : llvm::to_vector(program.getBody().getOps<exec::LaunchOp>()))
    fuseIntoEarlier(launch);
}

void LaunchFuser::run() {
  for (auto program : module.getOps<exec::ProgramOp>())
    fuse(program);
  eraseUnlaunched(module, symbols);
}
