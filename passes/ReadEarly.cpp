//===- ReadEarly.cpp - read-early -------------------------------------------===//
#include "passes/Passes.h"

#include "codegen/KernelRegistry.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"
#include "passes/Liveness.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"

namespace ingot {
#define GEN_PASS_DEF_READEARLY
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

static constexpr llvm::StringLiteral kCategory = "read-early";

namespace {

/// A launch that would read early, and the first launch behind the last step that writes what it
/// reads so which can wait first, if there is one in front of it.
struct Reader {
  exec::LaunchOp launch;
  exec::LaunchOp gate;
  int64_t gateStep = -1, step = 0;
};

class EarlyReading {
public:
  explicit EarlyReading(ModuleOp module) : module(module), symbols(module) {}
  void run();

private:
  void collect(exec::ProgramOp program);
  codegen::EarlyReads getWanted(exec::KernelOp kernel);
  SmallVector<const void *> listWanted(exec::LaunchOp launch,
                                       const llvm::DenseMap<StringAttr, const void *> &sources);
  bool canWaitFirst(exec::ProgramOp program, exec::LaunchOp launch);
  void setConfig(exec::KernelOp kernel, StringRef name);
  exec::KernelOp getKernel(exec::LaunchOp launch) {
    return symbols.lookup<exec::KernelOp>(launch.getKernel());
  }

  ModuleOp module;
  SymbolTable symbols;
  llvm::MapVector<exec::KernelOp, SmallVector<Reader>> readers;
};

struct ReadEarly : ingot::impl::ReadEarlyBase<ReadEarly> {
  void runOnOperation() override { EarlyReading(getOperation()).run(); }
};

} // namespace

codegen::EarlyReads EarlyReading::getWanted(exec::KernelOp kernel) {
  if (!kernel.getFamily())
    return {};
  const codegen::KernelFamily *family =
      codegen::KernelRegistry::getStandard().lookup(*kernel.getFamily());
  return family ? family->getEarlyReads(kernel) : codegen::EarlyReads();
}

/// A launch that surely happens, and whose kernel has nothing to gain from being there early.
bool EarlyReading::canWaitFirst(exec::ProgramOp program, exec::LaunchOp launch) {
  if (getWanted(getKernel(launch)).any() || !launch.getGrid())
    return false;
  auto bounds = exec::SizeBounds::get(program.getSymbols(), program.getLimits());
  return llvm::all_of(launch.getGrid()->getAsRange<exec::SizeAttr>(),
                      [&](exec::SizeAttr size) { return bounds.minimum(size).value_or(0) > 0; });
}

/// The bytes that a launch would read early.
SmallVector<const void *>
EarlyReading::listWanted(exec::LaunchOp launch,
                         const llvm::DenseMap<StringAttr, const void *> &sources) {
  codegen::EarlyReads wanted = getWanted(getKernel(launch));
  SmallVector<const void *> keys;
  for (unsigned input : wanted.inputs)
    keys.push_back(getStorageKey(exec::getBufferRoot(launch.getIns()[input])));
  if (wanted.sizes)
    for (auto size : launch.getSizes().getAsRange<exec::SizeAttr>())
      for (StringAttr symbol : size.getSymbols())
        if (const void *source = sources.lookup(symbol))
          keys.push_back(source);
  return keys;
}

void EarlyReading::collect(exec::ProgramOp program) {
  Liveness liveness(program);
  ArrayRef<Operation *> steps = liveness.getSteps();
  SmallVector<int64_t> gates; // steps that can wait first
  for (auto [step, op] : llvm::enumerate(steps))
    if (auto launch = dyn_cast<exec::LaunchOp>(op); launch && canWaitFirst(program, launch))
      gates.push_back(step);
  llvm::DenseMap<const void *, int64_t> written;    // the last step that does, by bytes
  llvm::DenseMap<StringAttr, const void *> sources; // of sizes
  for (auto [step, op] : llvm::enumerate(steps)) {
    if (auto read = dyn_cast<exec::ReadSizeOp>(op))
      sources[read.getSymbolAttr()] = getStorageKey(exec::getBufferRoot(read.getBuffer()));
    if (auto launch = dyn_cast<exec::LaunchOp>(op)) {
      SmallVector<const void *> wanted = listWanted(launch, sources);
      int64_t latest = -1;
      for (const void *key : wanted)
        if (auto it = written.find(key); it != written.end())
          latest = std::max(latest, it->second);
      Reader reader{launch, {}, -1, int64_t(step)};
      if (auto gate = llvm::upper_bound(gates, latest);
          gate != gates.end() && *gate < int64_t(step)) {
        reader.gateStep = *gate;
        reader.gate = cast<exec::LaunchOp>(steps[*gate]);
      }
      if (!wanted.empty())
        readers[getKernel(launch)].push_back(reader);
    }
    for (const BufferUse &use : Liveness::getUses(op))
      if (use.writes)
        written[getStorageKey(use.root)] = step;
  }
}

void EarlyReading::setConfig(exec::KernelOp kernel, StringRef name) {
  NamedAttrList config(kernel.getConfigAttr());
  config.set(name, UnitAttr::get(kernel.getContext()));
  kernel.setConfigAttr(config.getDictionary(kernel.getContext()));
}

void EarlyReading::run() {
  for (auto program : module.getOps<exec::ProgramOp>())
    collect(program);
  // A kernel reads early in every launch or in none. The gates nearest to what is written first:
  // one of them mostly serves all that comes later.
  SmallVector<Reader> all;
  for (auto &[kernel, launches] : readers) {
    bool possible = llvm::all_of(launches, [](const Reader &reader) { return bool(reader.gate); });
    auto text = "@" + kernel.getSymName().str();
    if (!possible) {
      remark::missed(kernel.getLoc(), remark::RemarkOpts::name("Late").category(kCategory))
          << text +
                 " reads nothing before the launch in front of it has ended: what it would read is "
                 "written directly in front of one of its launches";
      continue;
    }
    setConfig(kernel, codegen::kReadsEarly);
    remark::passed(kernel.getLoc(), remark::RemarkOpts::name("Early").category(kCategory))
        << text + " reads what was written before @" + launches.front().gate.getKernel().str() +
               " while the launch in front of it still runs";
    all.append(launches.begin(), launches.end());
  }
  llvm::stable_sort(all, [](const Reader &a, const Reader &b) { return a.gateStep > b.gateStep; });
  llvm::DenseMap<Operation *, SmallVector<int64_t>> chosen; // by program
  for (const Reader &reader : all) {
    SmallVector<int64_t> &steps = chosen[reader.launch->getParentOp()];
    if (llvm::any_of(steps,
                     [&](int64_t step) { return step >= reader.gateStep && step < reader.step; }))
      continue;
    steps.push_back(reader.gateStep);
    setConfig(getKernel(reader.gate), codegen::kWaitsFirst);
  }
}
