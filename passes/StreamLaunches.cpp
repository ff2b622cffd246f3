//===- StreamLaunches.cpp - stream-launches ---------------------------------===//
#include "passes/Passes.h"

#include "codegen/KernelRegistry.h"
#include "codegen/cuda/Stream.h"
#include "codegen/cuda/Stub.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"
#include "passes/Liveness.h"

#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

namespace ingot {
#define GEN_PASS_DEF_STREAMLAUNCHES
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using codegen::StreamTask;

static constexpr llvm::StringLiteral kCategory = "stream-launches";

namespace {

/// An operand of a step.
struct Access {
  int64_t step;
  unsigned operand;
  bool writes;
};

/// Who uses the bytes of a root.
struct Storage {
  SmallVector<Access> accesses;
  bool isOutput = false;
};

/// A step that may be in a run, or why it is in none (empty: it has nothing to do with streams).
struct Candidate {
  exec::LaunchOp launch;
  const StreamTask *task = nullptr;
  StringAttr tokens;
  FlatSymbolRefAttr device;
  std::string reason;
};

/// What programs share: the tasks of kernels, and streams.
class Streams {
public:
  Streams(ModuleOp module, const StreamLaunchesOptions &options)
      : mostTokens(options.mostTokens), leastLaunches(options.leastLaunches),
        leastWeightBytes(options.leastWeightBytes), symbols(module) {}
  Candidate examine(Operation *step);
  exec::StreamOp get(exec::TargetOp target, ArrayRef<Attribute> tasks, int64_t steps,
                     int64_t tokens, const cuda::ArchInfo &arch);
  exec::TargetOp getTarget(FlatSymbolRefAttr device);

  const int64_t mostTokens, leastLaunches, leastWeightBytes;

private:
  const std::variant<StreamTask, std::string> &getTask(exec::KernelOp kernel);

  SymbolTable symbols;
  SymbolTableCollection collection;
  llvm::MapVector<exec::KernelOp, std::unique_ptr<std::variant<StreamTask, std::string>>> tasks;
  llvm::DenseMap<Attribute, exec::StreamOp> formed;
};

/// The runs of one program. Those of steps are [begin, end).
class ProgramStreams {
public:
  ProgramStreams(exec::ProgramOp program, Streams &streams);
  void run();

private:
  Storage &getStorage(Value buffer) { return storages[getStorageKey(exec::getBufferRoot(buffer))]; }
  bool isTokenRows(Value buffer, StringAttr tokens) const;
  std::string whyNotRead(int64_t step, unsigned operand);
  std::string whyNotJoined(int64_t begin, int64_t step);
  bool isGiven(int64_t begin, int64_t end, Value buffer);
  bool isNeededOutside(int64_t begin, int64_t end, Value buffer);
  int64_t findEnd(int64_t begin);
  void form(int64_t begin, int64_t end);
  int64_t assignPlaces(int64_t begin, int64_t end);
  int64_t countWeightBytes(int64_t begin, int64_t end);
  void reportBetween();
  void report(bool passed, Location location, const std::string &text);

  exec::ProgramOp program;
  Streams &streams;
  std::vector<Candidate> candidates; // one a step
  llvm::DenseMap<const void *, Storage> storages;
  bool matters = false; // its weights are worth a word about what is not done
};

struct StreamLaunches : ingot::impl::StreamLaunchesBase<StreamLaunches> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    if (mostTokens == 0)
      return;
    if (llvm::any_of(module.getOps<exec::KernelOp>(),
                     [](exec::KernelOp kernel) { return kernel.getVariantOf().has_value(); })) {
      remark::analysis(module.getLoc(), remark::RemarkOpts::name("Targets").category(kCategory))
          << "no launches are streams: there is code for several targets, and a stream is for one";
      return;
    }
    Streams streams(module, {mostTokens, leastLaunches, leastWeightBytes});
    for (auto program : module.getOps<exec::ProgramOp>())
      ProgramStreams(program, streams).run();
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// What programs share
//===----------------------------------------------------------------------===//

const std::variant<StreamTask, std::string> &Streams::getTask(exec::KernelOp kernel) {
  auto &task = tasks[kernel];
  if (task)
    return *task;
  const codegen::KernelFamily *family =
      kernel.getFamily() ? codegen::KernelRegistry::getStandard().lookup(*kernel.getFamily())
                         : nullptr;
  task = std::make_unique<std::variant<StreamTask, std::string>>(
      family ? family->getStreamTask(kernel) : std::string());
  auto *found = std::get_if<StreamTask>(task.get());
  if (!found)
    return *task;
  if (kernel.getConfig()->contains(codegen::kWaitsFirst))
    *task = "kernels behind it count on its wait for those in front of it";
  else if (kernel.getBufferTypes().size() > cuda::kStreamMostBuffers ||
           found->tensorMaps.size() > cuda::kStreamMostMaps)
    *task = "it has more than " + std::to_string(cuda::kStreamMostBuffers) + " buffers or " +
            std::to_string(cuda::kStreamMostMaps) + " tensor maps";
  return *task;
}

exec::TargetOp Streams::getTarget(FlatSymbolRefAttr device) {
  auto op = symbols.lookup<exec::DeviceOp>(device.getValue());
  return symbols.lookup<exec::TargetOp>(op.getTarget());
}

/// The symbol that a size over a kernel's parameters is at a launch, if it is one.
static StringAttr getSymbol(exec::SizeAttr size, exec::LaunchOp launch, exec::KernelOp kernel) {
  llvm::DenseMap<StringAttr, exec::SizeAttr> values;
  for (auto [value, parameter] : llvm::zip_equal(launch.getSizes().getAsRange<exec::SizeAttr>(),
                                                 kernel.getSizes().getAsRange<exec::SymbolAttr>()))
    values[parameter.getName()] = value;
  exec::SizeAttr value = size ? exec::substitute(size, values) : exec::SizeAttr();
  bool isSymbol =
      value && value.getSymbols().size() == 1 && value.getFactor() == 1 && value.getDivisor() == 1;
  return isSymbol ? value.getSymbols().front() : StringAttr();
}

Candidate Streams::examine(Operation *step) {
  Candidate candidate;
  candidate.launch = dyn_cast<exec::LaunchOp>(step);
  if (!candidate.launch)
    return candidate;
  exec::LaunchOp launch = candidate.launch;
  auto kernel = symbols.lookup<exec::KernelOp>(launch.getKernel());
  const auto &known = getTask(kernel);
  if (auto *reason = std::get_if<std::string>(&known)) {
    candidate.reason = *reason;
    return candidate;
  }
  const auto &task = std::get<StreamTask>(known);
  candidate.tokens = getSymbol(task.tokens, launch, kernel);
  candidate.device = exec::getBufferDevice(launch.getOperand(0), collection);
  if (!candidate.tokens) {
    candidate.reason = "its number of tokens is no symbol of the program";
    return candidate;
  }
  if (task.weight) {
    auto get = launch.getOperand(*task.weight).getDefiningOp<exec::GetOp>();
    if (!get || !symbols.lookup<exec::WeightOp>(get.getName())) {
      candidate.reason = "what it reads ahead is no weight";
      return candidate;
    }
  }
  candidate.task = &task;
  return candidate;
}

/// The stream of these tasks; runs that are alike have one.
exec::StreamOp Streams::get(exec::TargetOp target, ArrayRef<Attribute> tasks, int64_t steps,
                            int64_t tokens, const cuda::ArchInfo &arch) {
  Builder builder(target.getContext());
  auto list = builder.getArrayAttr(tasks);
  exec::StreamOp &stream =
      formed[builder.getArrayAttr({list, builder.getI64IntegerAttr(steps),
                                   builder.getI64IntegerAttr(tokens), target.getSymNameAttr()})];
  if (stream)
    return stream;
  OpBuilder at(target.getContext());
  std::string text = std::to_string(steps) + " launches of " + std::to_string(tasks.size()) +
                     " kernels as one grid, of up to " + std::to_string(tokens) +
                     " tokens; blocks take tiles in turn and wait for words of each other's "
                     "results: the weights' bytes never stop";
  stream = exec::StreamOp::create(at, target.getLoc(),
                                  StringRef("stream_" + std::to_string(formed.size() - 1)),
                                  target.getSymName(), list, steps, tokens, arch.multiprocessors,
                                  arch.sharedBytesPerBlock, at.getStringAttr(text));
  auto module = cast<ModuleOp>(symbols.getOp());
  symbols.insert(stream, Block::iterator(*module.getOps<exec::ProgramOp>().begin()));
  return stream;
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

ProgramStreams::ProgramStreams(exec::ProgramOp program, Streams &streams)
    : program(program), streams(streams) {
  Liveness liveness(program);
  for (auto [step, op] : llvm::enumerate(liveness.getSteps())) {
    candidates.push_back(streams.examine(op));
    // Operands are in the order of uses.
    for (auto [operand, use] : llvm::enumerate(Liveness::getUses(op)))
      storages[getStorageKey(use.root)].accesses.push_back(
          {int64_t(step), unsigned(operand), use.writes});
  }
  for (auto output : program.getBody().getOps<exec::OutputOp>())
    getStorage(output.getBuffer()).isOutput = true;
}

void ProgramStreams::report(bool passed, Location location, const std::string &text) {
  auto options = remark::RemarkOpts::name(passed ? "Streamed" : "NotStreamed").category(kCategory);
  if (passed)
    remark::passed(location, options) << text;
  else if (matters)
    remark::missed(location, options) << text;
}

/// Rows of a token each, of whole words of 16 bytes, under one name.
bool ProgramStreams::isTokenRows(Value buffer, StringAttr tokens) const {
  auto root = buffer.getDefiningOp<exec::BufferOp>();
  if (!root || llvm::any_of(buffer.getUsers(), llvm::IsaPred<exec::ViewOp>))
    return false;
  auto type = cast<exec::BufferType>(buffer.getType());
  int64_t bytes = type.getElementBytes();
  for (exec::SizeAttr extent : type.getShape().drop_front()) {
    if (!extent.isStatic())
      return false;
    bytes *= extent.getFactor();
  }
  return type.getShape().front() == exec::SizeAttr::get(root.getContext(), 1, tokens) &&
         bytes % 16 == 0;
}

/// Why an operand that a launch of the run has written cannot be read by a step of it.
std::string ProgramStreams::whyNotRead(int64_t step, unsigned operand) {
  Candidate &reader = candidates[step];
  Value buffer = reader.launch.getOperand(operand);
  if (!isTokenRows(buffer, reader.tokens))
    return "no rows of whole words of 16 bytes a token";
  SmallVector<Access> writes;
  for (const Access &access : getStorage(buffer).accesses)
    if (access.writes)
      writes.push_back(access);
  if (writes.size() != 1)
    return "written more than once";
  if (writes[0].operand != candidates[writes[0].step].task->result)
    return "no result of a kind that is exchanged";
  if (!llvm::is_contained(reader.task->exchanged, operand))
    return "read in a way that does not wait for words of it";
  return "";
}

/// Why a candidate is not the next of the run [begin, step); empty if it is.
std::string ProgramStreams::whyNotJoined(int64_t begin, int64_t step) {
  Candidate &first = candidates[begin], &next = candidates[step];
  if (next.tokens != first.tokens || next.device != first.device)
    return "its tokens or its device are others";
  if (next.task->elementType != first.task->elementType)
    return "its elements are of another type";
  for (int64_t other = begin; other < step; ++other)
    if (candidates[other].launch.getKernel() == next.launch.getKernel() &&
        candidates[other].launch.getSizes() != next.launch.getSizes())
      return "it is at other sizes than another launch of its kernel";
  for (unsigned operand = 0; operand < next.launch->getNumOperands(); ++operand) {
    const Storage &storage = getStorage(next.launch->getOperand(operand));
    bool writes = llvm::any_of(storage.accesses, [&](const Access &access) {
      return access.step == step && access.operand == operand && access.writes;
    });
    for (const Access &access : storage.accesses) {
      if (access.step < begin || access.step >= step || !(access.writes || writes))
        continue;
      std::string other = "@" + candidates[access.step].launch.getKernel().str();
      if (writes)
        return "it writes what " + other + " uses in front of it";
      if (std::string reason = whyNotRead(step, operand); !reason.empty())
        return "what it reads of " + other + " is " + reason;
    }
  }
  return "";
}

/// Whether a launch of the run writes what another one of it reads.
bool ProgramStreams::isGiven(int64_t begin, int64_t end, Value buffer) {
  bool written = false, read = false;
  for (const Access &access : getStorage(buffer).accesses)
    if (access.step >= begin && access.step < end)
      (access.writes ? written : read) = true;
  return written && read && buffer.getDefiningOp<exec::BufferOp>();
}

bool ProgramStreams::isNeededOutside(int64_t begin, int64_t end, Value buffer) {
  const Storage &storage = getStorage(buffer);
  return storage.isOutput || llvm::any_of(storage.accesses, [&](const Access &access) {
           return access.step < begin || access.step >= end;
         });
}

/// The end of the run that begins at a candidate: as far as launches join, and not past one that
/// reads what is needed outside as well, since that is in one place only.
int64_t ProgramStreams::findEnd(int64_t begin) {
  int64_t end = begin + 1;
  for (; end < int64_t(candidates.size()) && candidates[end].task; ++end)
    if (std::string reason = whyNotJoined(begin, end); !reason.empty()) {
      report(false, candidates[end].launch.getLoc(),
             "a run of launches ends in front of @" + candidates[end].launch.getKernel().str() +
                 ", because " + reason);
      break;
    }
  for (int64_t step = begin + 1; step < end; ++step) {
    for (Value buffer : candidates[step].launch.getIns()) {
      if (!isGiven(begin, step + 1, buffer) || !isNeededOutside(begin, end, buffer))
        continue;
      report(false, candidates[step].launch.getLoc(),
             "a run of launches ends in front of @" + candidates[step].launch.getKernel().str() +
                 ", because what it reads of the run is needed outside, too");
      end = step;
      step = begin; // What was inside may be outside now.
      break;
    }
  }
  return end;
}

int64_t ProgramStreams::countWeightBytes(int64_t begin, int64_t end) {
  auto bounds = exec::SizeBounds::get(program.getSymbols(), program.getLimits());
  int64_t bytes = 0;
  for (int64_t step = begin; step < end; ++step)
    if (const StreamTask *task = candidates[step].task; task && task->weight)
      bytes += bounds
                   .maximumBytes(cast<exec::BufferType>(
                       candidates[step].launch->getOperand(*task->weight).getType()))
                   .value_or(0);
  return bytes;
}

//===----------------------------------------------------------------------===//
// Streams
//===----------------------------------------------------------------------===//

/// Says of each launch of the run where what it exchanges is. Gives the bytes of all, a token: no
/// two share any, since all must be without a word before the grid begins.
int64_t ProgramStreams::assignPlaces(int64_t begin, int64_t end) {
  int64_t bytes = 0;
  auto take = [&](int64_t size) {
    int64_t place = bytes;
    bytes += llvm::alignTo(size, 16);
    return place;
  };
  llvm::DenseMap<Value, int64_t> places;
  Builder builder(program.getContext());
  for (int64_t step = begin; step < end; ++step) {
    exec::LaunchOp launch = candidates[step].launch;
    SmallVector<int64_t> exchanged;
    for (Value buffer : launch.getOperands()) {
      if (!isGiven(begin, end, buffer)) {
        exchanged.push_back(-1);
        continue;
      }
      auto [place, isNew] = places.try_emplace(buffer, 0);
      if (isNew) {
        auto type = cast<exec::BufferType>(buffer.getType());
        int64_t size = type.getElementBytes();
        for (exec::SizeAttr extent : type.getShape().drop_front())
          size *= extent.getFactor();
        place->second = take(size);
      }
      exchanged.push_back(place->second);
    }
    launch.setExchanged(exchanged);
    uint64_t part = candidates[step].task->partBytes;
    launch.setPart(part ? take(part) : 0);
  }
  return bytes;
}

void ProgramStreams::form(int64_t begin, int64_t end) {
  Candidate &first = candidates[begin];
  exec::TargetOp target = streams.getTarget(first.device);
  if (!cuda::hasStreams(target.getArch()))
    return;
  cuda::ArchInfo arch = *cuda::getArchInfo(target.getArch());
  bool gives = false;
  for (int64_t step = begin; step < end; ++step)
    gives |= llvm::any_of(candidates[step].launch.getIns(),
                          [&](Value buffer) { return isGiven(begin, end, buffer); });
  if (!gives)
    return; // Launches that need nothing of each other overlap as they are.
  std::string what = "@" + program.getSymName().str() + ": " + std::to_string(end - begin) +
                     " launches from @" + first.launch.getKernel().str();
  if (end - begin < streams.leastLaunches) {
    remark::analysis(program.getLoc(), remark::RemarkOpts::name("Short").category(kCategory))
        << what + " stay: a stream is worth it from " + std::to_string(streams.leastLaunches);
    return;
  }
  if (int64_t bytes = countWeightBytes(begin, end); bytes < streams.leastWeightBytes) {
    remark::analysis(program.getLoc(), remark::RemarkOpts::name("Small").category(kCategory))
        << what + " stay: they read " + std::to_string(bytes) +
               " bytes of weights, and a stream is worth it from " +
               std::to_string(streams.leastWeightBytes);
    return;
  }
  llvm::SetVector<Attribute> kernels;
  llvm::SetVector<const StreamTask *> tasks;
  for (int64_t step = begin; step < end; ++step) {
    kernels.insert(candidates[step].launch.getKernelAttr());
    tasks.insert(candidates[step].task);
  }
  int64_t tokens = std::min(streams.mostTokens, cuda::kStreamMostTokens);
  for (auto symbol : program.getSymbols().getAsRange<exec::SymbolAttr>())
    if (symbol.getName() == first.tokens)
      tokens = std::min(tokens, symbol.getMaximum());
  auto needed = [&] { return cuda::countStreamBytes(tasks.getArrayRef(), end - begin, tokens); };
  while (tokens > 1 && needed() > arch.sharedBytesPerBlock)
    --tokens;
  if (tokens < 1 || needed() > arch.sharedBytesPerBlock)
    return report(false, program.getLoc(),
                  what + " stay: of one token a block of their stream needs " +
                      std::to_string(needed()) + " bytes of shared memory and has " +
                      std::to_string(arch.sharedBytesPerBlock));
  exec::StreamOp stream = streams.get(target, kernels.getArrayRef(), end - begin, tokens, arch);
  int64_t bytes = assignPlaces(begin, end);
  OpBuilder builder(first.launch);
  exec::StreamedOp::create(builder, first.launch->getLoc(), stream.getSymName(),
                           first.tokens.getValue(), bytes);
  report(true, program.getLoc(),
         what + " are one grid, @" + stream.getSymName().str() + ", of up to " +
             std::to_string(tokens) + " tokens");
}

/// Kernels that stay between those that could be in a run.
void ProgramStreams::reportBetween() {
  llvm::StringSet<> reported;
  for (size_t step = 1; step + 1 < candidates.size(); ++step) {
    const Candidate &candidate = candidates[step];
    if (candidate.task || candidate.reason.empty() || !candidates[step - 1].task ||
        !candidates[step + 1].task)
      continue;
    exec::LaunchOp launch = candidate.launch;
    if (reported.insert(launch.getKernel()).second)
      report(false, launch.getLoc(),
             "@" + launch.getKernel().str() + " stays a launch between others, because " +
                 candidate.reason);
  }
}

void ProgramStreams::run() {
  const int64_t steps = candidates.size();
  matters = countWeightBytes(0, steps) >= streams.leastWeightBytes;
  reportBetween();
  for (int64_t begin = 0, end; begin < steps; begin = end) {
    end = begin + 1;
    if (!candidates[begin].task)
      continue;
    end = findEnd(begin);
    if (end - begin > 1)
      form(begin, end);
  }
}
