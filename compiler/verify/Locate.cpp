//===- Locate.cpp - The first op of a pass that drifts ---------------------===//

#include "compiler/verify/Locate.h"

#include "compiler/Diagnostics.h"
#include "compiler/verify/Compare.h"
#include "compiler/verify/Stages.h"
#include "dialects/Transformer/TransformerDialect.h"
#include "dialects/Transformer/TransformerOps.h"
#include "runtime/support/Try.h"

#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

#include "llvm/ADT/DenseSet.h"

#include <algorithm>
#include <cmath>

using namespace mlir;

namespace ingot::verify {
namespace {

//===----------------------------------------------------------------------===//
// Which values
//===----------------------------------------------------------------------===//

/// Tells packed tokens [T, ...] from rows: T is no argument's dimension, it is computed from data.
class PackedValues {
public:
  bool contains(Value value) {
    auto type = cast<RankedTensorType>(value.getType());
    if (type.getRank() == 0 || !type.isDynamicDim(0))
      return false;
    Value source = sourceOf(value, 0);
    return !isa<RankedTensorType>(source.getType());
  }

private:
  /// Where a dimension comes from: the tensor that has it first, or the value that it is.
  Value sourceOf(Value value, int64_t dim) {
    auto result = dyn_cast<OpResult>(value);
    if (!result)
      return value;
    auto [entry, isNew] = sources.try_emplace({value, dim}, value);
    if (!isNew)
      return entry->second;
    // The recursion is as deep as the program is long only where values are asked for back to front.
    Value source = step(result, dim);
    sources[{value, dim}] = source;
    return source;
  }

  Value step(OpResult result, int64_t dim) {
    Operation *op = result.getOwner();
    if (auto shaped = dyn_cast<ReifyRankedShapedTypeOpInterface>(op)) {
      OpBuilder builder(op);
      ReifiedRankedShapedTypeDims shapes;
      if (failed(shaped.reifyResultShapes(builder, shapes)))
        return result;
      auto size = dyn_cast<Value>(shapes[result.getResultNumber()][dim]);
      if (!size)
        return result;
      if (auto dimOp = size.getDefiningOp<tensor::DimOp>())
        if (std::optional<int64_t> index = dimOp.getConstantIndex())
          return sourceOf(dimOp.getSource(), *index);
      return size;
    }
    auto rank = cast<RankedTensorType>(result.getType()).getRank();
    for (Value operand : op->getOperands())
      if (auto type = dyn_cast<RankedTensorType>(operand.getType());
          type && type.getRank() == rank)
        return sourceOf(operand, dim);
    return result;
  }

  llvm::DenseMap<std::pair<Value, int64_t>, Value> sources;
};

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
  PackedValues packed;
  OpBuilder builder(terminator);

  std::vector<Probe> probes;
  std::vector<size_t> outputs; // of the copy, one a probe
  for (auto [op, twin] : llvm::zip(original.getBody().front().without_terminator(),
                                   llvm::make_early_inc_range(
                                       function.getBody().front().without_terminator()))) {
    for (auto [value, shown] : llvm::zip(op.getResults(), twin.getResults())) {
      if (!canProbe(op, value))
        continue;
      Probe probe{value, describeLocation(op.getLoc()), cast<RankedTensorType>(value.getType()), {}};
      Value output = shown;
      // Reified shapes of earlier probes may have left ops; they are dead.
      if (packed.contains(shown)) {
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
        attributes.push_back(builder.getDictionaryAttr(builder.getNamedAttr(
            transformer::kNameAttr,
            builder.getStringAttr("probe." + std::to_string(probes.size())))));
      }
      probes.push_back(std::move(probe));
    }
  }
  terminator->setOperands(results);
  function.setType(builder.getFunctionType(function.getArgumentTypes(),
                                           ValueRange(results).getTypes()));
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
  enum Kind { Unknown, Same, Drifts } kind = Unknown;
  double error = 0;
  Operation *counterpart = nullptr; // the nearest value before the pass
};

/// Each probe after the pass against those before it of its location and type.
llvm::DenseMap<Value, Verdict> judge(const std::vector<Probe> &before,
                                     const std::vector<Probe> &after, const Suspect &suspect) {
  const TokenMask &mask = suspect.inputs->calls[suspect.call].mask;
  llvm::DenseMap<Value, Verdict> verdicts;
  for (const Probe &probe : after) {
    Verdict verdict;
    Difference best{HUGE_VAL, false};
    for (const Probe &candidate : before) {
      if (candidate.type != probe.type ||
          !sharesLocation(candidate.value.getLoc(), probe.value.getLoc()))
        continue;
      Difference difference = compare(candidate.result.tensor, probe.result.tensor,
                                      candidate.result.axes, mask, /*infinities=*/true);
      if (!verdict.counterpart || best.worseThan(difference)) {
        best = difference;
        verdict.counterpart = candidate.value.getDefiningOp();
      }
    }
    if (verdict.counterpart) {
      verdict.kind = best.within(suspect.budget) ? Verdict::Same : Verdict::Drifts;
      verdict.error = best.finite ? best.error : std::nan("");
    }
    verdicts[probe.value] = verdict;
  }
  return verdicts;
}

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
  llvm::DenseMap<Value, Verdict> verdicts = judge(*before, *after, suspect);
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
  for (Operation &op : function.getBody().front().without_terminator()) {
    if (!slice.contains(&op))
      continue;
    for (Value value : op.getResults()) {
      auto verdict = verdicts.find(value);
      if (verdict == verdicts.end() || verdict->second.kind != Verdict::Drifts)
        continue;
      finding.location = op.getLoc();
      failure.location = describeLocation(op.getLoc());
      failure.op = op.getName().getStringRef().str();
      failure.opBefore = verdict->second.counterpart->getName().getStringRef().str();
      failure.opError = verdict->second.error;
      return Status();
    }
  }
  failure.note = slice.empty()
                     ? "with every value of the program as an output the drift is gone: look at the "
                       "kernels that are formed, not at the pass"
                     : "no value that is there before and after the pass drifts";
  return Status();
}

} // namespace ingot::verify
