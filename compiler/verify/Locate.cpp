//===- Locate.cpp - The first op of a pass that drifts ---------------------===//

#include "compiler/verify/Locate.h"

#include "compiler/Diagnostics.h"
#include "compiler/verify/Compare.h"
#include "compiler/verify/Stages.h"
#include "dialects/Exec/ExecDialect.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "dialects/Transformer/TransformerOps.h"
#include "passes/TransformerToExec/SizePropagation.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"

#include "llvm/ADT/DenseSet.h"

#include <cmath>
#include <cstring>

using namespace mlir;

namespace ingot::verify {
namespace {

//===----------------------------------------------------------------------===//
// Which values
//===----------------------------------------------------------------------===//

/// Whether the first dimension is a size that is data: that of packed tokens, T.
bool isPacked(Value value, const SizePropagation &sizes) {
  if (cast<RankedTensorType>(value.getType()).getRank() == 0)
    return false;
  ArrayRef<StringAttr> symbols = sizes.getShape(value).front().getSymbols();
  return llvm::any_of(sizes.getResidentSizes(), [&](const ResidentSize &size) {
    return llvm::is_contained(symbols, size.name);
  });
}

bool canProbe(Operation &op, Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || type.getRank() == 0 || op.getNumOperands() == 0)
    return false;
  // Indices may be packed in any way, masks cover padding; what they do shows in the floats.
  if (!isa<FloatType>(type.getElementType()))
    return false;
  if (isa<transformer::WeightOp, DestinationStyleOpInterface>(op) ||
      isa<tensor::TensorDialect>(op.getDialect()))
    return false;
  return llvm::any_of(op.getOperands(),
                      [](Value operand) { return isa<RankedTensorType>(operand.getType()); });
}

/// The indices that unpack packed tokens, if the program has them.
Value findSlots(func::FuncOp program) {
  Value slots;
  program.walk([&](transformer::TokenSlotsOp op) { slots = op.getResult(); });
  return slots;
}

/// Those of a program that unpacks nothing.
Value makeSlots(func::FuncOp program) {
  Value slots;
  program.walk([&](transformer::TokenIndicesOp op) {
    OpBuilder builder(op);
    builder.setInsertionPointAfter(op);
    slots =
        transformer::TokenSlotsOp::create(builder, op.getLoc(), op.getMask(), op.getCuSeqlens());
  });
  return slots;
}

} // namespace

bool sharesLocation(Location a, Location b) {
  llvm::DenseSet<Attribute> names;
  auto collect = [](Location location, llvm::function_ref<void(Attribute)> add) {
    location->walk([&](Location part) {
      if (auto name = dyn_cast<NameLoc>(part))
        add(name.getName());
      return WalkResult::advance();
    });
  };
  collect(a, [&](Attribute name) { names.insert(name); });
  bool shared = false;
  collect(b, [&](Attribute name) { shared |= names.contains(name); });
  return shared;
}

Result<std::vector<Probe>> runProbed(ModuleOp program, const Evaluator &evaluator,
                                     const Case &inputs, size_t call) {
  func::FuncOp original = programOf(program);
  OwningOpRef<ModuleOp> copy = program.clone();
  func::FuncOp function = programOf(*copy);
  Operation *terminator = function.getBody().front().getTerminator();
  SmallVector<Value> results(terminator->getOperands());
  SmallVector<DictionaryAttr> attributes;
  for (unsigned i = 0; i < results.size(); ++i)
    attributes.push_back(function.getResultAttrDict(i));
  Value slots = findSlots(function);
  program.getContext()->getOrLoadDialect<exec::ExecDialect>(); // sizes are its attributes
  SizePropagation sizes;
  if (failed(sizes.run(function)))
    return evaluator.collector().takeError("the sizes of a program do not propagate");
  OpBuilder builder(terminator);

  std::vector<Probe> probes;
  std::vector<size_t> outputs; // of the copy, one a probe
  for (auto [op, twin] : llvm::zip_equal(original.getBody().front().without_terminator(),
                                         function.getBody().front().without_terminator())) {
    for (auto [value, shown] : llvm::zip_equal(op.getResults(), twin.getResults())) {
      if (!canProbe(op, value))
        continue;
      Probe probe{
          value, describeLocation(op.getLoc()), cast<RankedTensorType>(value.getType()), {}};
      Value output = shown;
      if (isPacked(shown, sizes)) {
        if (!slots)
          slots = makeSlots(function);
        if (!slots)
          continue;
        auto slotsType = cast<RankedTensorType>(slots.getType());
        SmallVector<int64_t> shape(slotsType.getShape());
        llvm::append_range(shape, probe.type.getShape().drop_front());
        probe.type = RankedTensorType::get(shape, probe.type.getElementType());
        output = transformer::UnpackOp::create(builder, op.getLoc(), probe.type, shown, slots);
      }
      const auto *found = llvm::find(results, output);
      outputs.push_back(found - results.begin());
      if (found == results.end()) {
        results.push_back(output);
        attributes.push_back(builder.getDictionaryAttr(
            builder.getNamedAttr(transformer::kNameAttr,
                                 builder.getStringAttr("probe." + std::to_string(probes.size())))));
      }
      probes.push_back(std::move(probe));
    }
  }
  terminator->setOperands(results);
  function.setType(
      builder.getFunctionType(function.getArgumentTypes(), ValueRange(results).getTypes()));
  function.setAllResultAttrs(attributes);

  Result<std::unique_ptr<Model>> model = evaluator.load(*copy);
  if (!model.ok())
    return model.status();
  Result<CaseOutputs> values = runCase(**model, inputs, call + 1);
  if (!values.ok())
    return values.status();
  // State is no port: outputs are the results that are not state.
  std::vector<size_t> ports(results.size());
  size_t numPorts = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    ports[i] = numPorts;
    numPorts += !(attributes[i] && attributes[i].contains(transformer::kStateAttr));
  }
  for (auto [probe, output] : llvm::zip(probes, outputs))
    probe.result = (*values)[call][ports[output]];
  return probes;
}

namespace {

//===----------------------------------------------------------------------===//
// Before and after
//===----------------------------------------------------------------------===//

struct Verdict {
  enum Kind { New, Same, Drifts } kind = New;
  double error = 0;
  Operation *counterpart = nullptr; // before the pass
};

/// A value split by heads, [B, Hq, S, D] or [B, S, Hq, D], as tokens [B, S, Hq * D]; others as they
/// are.
Output onTokens(const Output &value) {
  const std::vector<Axis> &axes = value.axes;
  const std::vector<int64_t> &shape = value.tensor.shape;
  if (axes.size() != 4 || axes[0] != Axis::Row || axes[3] != Axis::Other)
    return value;
  bool headsFirst = axes[1] == Axis::Other && axes[2] == Axis::Token;
  if (!headsFirst && !(axes[1] == Axis::Token && axes[2] == Axis::Other))
    return value;
  int64_t heads = shape[headsFirst ? 1 : 2], tokens = shape[headsFirst ? 2 : 1];
  Output result = value;
  result.axes = {Axis::Row, Axis::Token, Axis::Other};
  result.tensor.shape = {shape[0], tokens, heads * shape[3]};
  if (!headsFirst)
    return result;
  size_t bytes = size_t(shape[3]) * sizeOf(value.tensor.type);
  std::byte *to = result.tensor.data.data();
  for (int64_t row = 0; row < shape[0]; ++row)
    for (int64_t token = 0; token < tokens; ++token)
      for (int64_t head = 0; head < heads; ++head, to += bytes)
        std::memcpy(to, value.tensor.data.data() + ((row * heads + head) * tokens + token) * bytes,
                    bytes);
  return result;
}

/// Whether an op of the same name and place reads both, or both are the same result of the program.
bool sharesUser(Value a, Value b) {
  for (OpOperand &use : a.getUses())
    for (OpOperand &other : b.getUses()) {
      Operation *user = use.getOwner(), *otherUser = other.getOwner();
      if (user->getName() != otherUser->getName())
        continue;
      if (user->hasTrait<OpTrait::IsTerminator>()
              ? use.getOperandNumber() == other.getOperandNumber()
              : sharesLocation(user->getLoc(), otherUser->getLoc()))
        return true;
    }
  return false;
}

/// Each probe after the pass against those before it of its location and shape.
class Judge {
public:
  Judge(const std::vector<Probe> &before, const std::vector<Probe> &after, const Suspect &suspect)
      : before(before), suspect(suspect) {
    for (const Probe &probe : before)
      shown.push_back(onTokens(probe.result));
    for (const Probe &probe : after)
      findSame(probe);
    for (const Probe &probe : after)
      if (verdicts[probe.value].kind != Verdict::Same)
        findCounterpart(probe);
  }

  llvm::DenseMap<Value, Verdict> verdicts;

private:
  /// Calls `use` with each probe before the pass that may hold what `probe` does.
  void forCandidates(const Probe &probe, llvm::function_ref<void(size_t, Difference)> use) {
    Output is = onTokens(probe.result);
    for (size_t i = 0; i < before.size(); ++i)
      if (shown[i].tensor.shape == is.tensor.shape && shown[i].axes == is.axes &&
          shown[i].tensor.type == is.tensor.type &&
          sharesLocation(before[i].value.getLoc(), probe.value.getLoc()))
        use(i, compare(shown[i].tensor, is.tensor, is.axes,
                       suspect.inputs->calls[suspect.call].mask, /*infinities=*/true));
  }

  void findSame(const Probe &probe) {
    Verdict &verdict = verdicts[probe.value];
    forCandidates(probe, [&](size_t index, Difference difference) {
      if (verdict.kind == Verdict::Same || !difference.within(suspect.budget))
        return;
      verdict = {Verdict::Same, difference.error, before[index].value.getDefiningOp()};
      claimed.insert(before[index].value);
    });
  }

  /// What it should be the same as: what the same op reads, else what the same op made; of several
  /// the nearest. What is somebody else's equal already is not meant.
  void findCounterpart(const Probe &probe) {
    Verdict &verdict = verdicts[probe.value];
    std::pair<int, Difference> best{0, {}};
    forCandidates(probe, [&](size_t index, Difference difference) {
      Value candidate = before[index].value;
      if (claimed.contains(candidate))
        return;
      int rank = sharesUser(candidate, probe.value) ? 2
                 : candidate.getDefiningOp()->getName() == probe.value.getDefiningOp()->getName()
                     ? 1
                     : 0;
      if (rank == 0 || rank < best.first ||
          (rank == best.first && !best.second.worseThan(difference)))
        return;
      best = {rank, difference};
      verdict = {Verdict::Drifts, difference.finite ? difference.error : std::nan(""),
                 candidate.getDefiningOp()};
    });
  }

  const std::vector<Probe> &before;
  const Suspect &suspect;
  std::vector<Output> shown; // of `before`
  llvm::DenseSet<Value> claimed;
};

/// Ops that reach the terminator's operand `output` without passing a value that is the same.
llvm::DenseSet<Operation *> driftingSlice(Value output,
                                          const llvm::DenseMap<Value, Verdict> &verdicts) {
  llvm::DenseSet<Operation *> slice;
  SmallVector<Value> pending{output};
  while (!pending.empty()) {
    Value value = pending.pop_back_val();
    Operation *op = value.getDefiningOp();
    auto verdict = verdicts.find(value);
    if (!op || (verdict != verdicts.end() && verdict->second.kind == Verdict::Same) ||
        !slice.insert(op).second)
      continue;
    llvm::append_range(pending, op->getOperands());
  }
  return slice;
}

} // namespace

Status locate(const Suspect &suspect, const Evaluator &evaluator, Failure &failure,
              Finding &finding) {
  Result<std::vector<Probe>> before =
      runProbed(suspect.before, evaluator, *suspect.inputs, suspect.call);
  if (!before.ok())
    return before.status().withContext("looking for the op that drifts, before the pass: ");
  Result<std::vector<Probe>> after =
      runProbed(suspect.after, evaluator, *suspect.inputs, suspect.call);
  if (!after.ok())
    return after.status().withContext("looking for the op that drifts, after the pass: ");
  llvm::DenseMap<Value, Verdict> verdicts = Judge(*before, *after, suspect).verdicts;
  finding.before = std::move(*before);

  func::FuncOp function = programOf(suspect.after);
  Value output;
  for (auto [index, value] :
       llvm::enumerate(function.getBody().front().getTerminator()->getOperands()))
    if (auto name = function.getResultAttrOfType<StringAttr>(index, transformer::kNameAttr);
        name && name.getValue() == failure.output)
      output = value;
  if (!output)
    return Status();
  llvm::DenseSet<Operation *> slice = driftingSlice(output, verdicts);
  Value fresh;
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (!slice.contains(&op))
      continue;
    for (Value value : op.getResults()) {
      auto verdict = verdicts.find(value);
      if (verdict == verdicts.end() || verdict->second.kind == Verdict::Same)
        continue;
      if (verdict->second.kind == Verdict::New) {
        fresh = fresh ? fresh : value;
        continue;
      }
      finding.location = op.getLoc();
      failure.location = describeLocation(op.getLoc());
      failure.op = op.getName().getStringRef().str();
      failure.opBefore = verdict->second.counterpart->getName().getStringRef().str();
      failure.opError = verdict->second.error;
      return Status();
    }
  }
  if (fresh) {
    finding.location = fresh.getLoc();
    failure.location = describeLocation(fresh.getLoc());
    failure.op = fresh.getDefiningOp()->getName().getStringRef().str();
    failure.note = "nothing before the pass gave what it gives; what it reads is the same";
    return Status();
  }
  failure.note =
      slice.empty() ? "with every value of the program as an output the drift is gone: look at the "
                      "kernels that are formed, not at the pass"
                    : "no value that is there before and after the pass drifts";
  return Status();
}

} // namespace ingot::verify
