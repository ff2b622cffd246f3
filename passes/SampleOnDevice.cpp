//===- SampleOnDevice.cpp - The step program samples its next tokens --------===//
#include "passes/Passes.h"

#include "dialects/Transformer/TransformerOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"

namespace ingot {
#define GEN_PASS_DEF_SAMPLEONDEVICE
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

namespace {

constexpr llvm::StringLiteral kSamplingKey = "sampling";
/// The name of the state, and those of the ports: plan.fbs's own for its parts.
constexpr llvm::StringLiteral kSeen = "sampling.seen";
constexpr llvm::StringLiteral kTokens = "tokens";

/// A port of options: what each row of a call brings.
struct OptionPort {
  llvm::StringLiteral name;
  enum { F32, I32, I64 } type;
  int64_t otherwise; // greedy, everything off
};
constexpr OptionPort options[] = {
    {"slot", OptionPort::I32, 0},  {"temperature", OptionPort::F32, 0},
    {"top_k", OptionPort::I32, 0}, {"top_p", OptionPort::F32, 1},
    {"min_p", OptionPort::F32, 0}, {"repetition_penalty", OptionPort::F32, 1},
    {"seed", OptionPort::I64, 0},  {"draw", OptionPort::I64, 0},
};

struct SampleOnDevice : ingot::impl::SampleOnDeviceBase<SampleOnDevice> {
  void runOnOperation() override;
};

/// The parts of a step program that sampling needs.
struct StepProgram {
  func::FuncOp function;
  unsigned ids = 0, numTokens = 0, past = 0, logits = 0; // arguments; a result
  StringAttr rows;                                       // the size
};

} // namespace

/// The argument or result that is a port of that name.
template <typename Get>
static std::optional<unsigned> findPort(unsigned count, StringRef name, Get get) {
  for (unsigned i = 0; i < count; ++i)
    if (auto given = get(i); given && given.getValue() == name)
      return i;
  return std::nullopt;
}

static std::optional<unsigned> findArgument(func::FuncOp function, StringRef name) {
  return findPort(function.getNumArguments(), name, [&](unsigned i) {
    return function.getArgAttrOfType<StringAttr>(i, transformer::kNameAttr);
  });
}

static std::optional<unsigned> findResult(func::FuncOp function, StringRef name) {
  return findPort(function.getNumResults(), name, [&](unsigned i) {
    return function.getResultAttrOfType<StringAttr>(i, transformer::kNameAttr);
  });
}

static std::optional<StepProgram> findStep(ModuleOp module, DictionaryAttr generation) {
  auto name = [&](StringRef key, StringRef otherwise) {
    auto given = generation.getAs<StringAttr>(key);
    return given ? given.getValue() : otherwise;
  };
  auto function = module.lookupSymbol<func::FuncOp>(name("program", "step"));
  if (!function || !llvm::hasSingleElement(function.getBody()))
    return std::nullopt;
  auto ids = findArgument(function, name("input_ids", "input_ids"));
  auto numTokens = findArgument(function, name("num_tokens", "num_tokens"));
  auto past = findArgument(function, name("past_tokens", "past_tokens"));
  auto logits = findResult(function, name("logits", "logits"));
  if (!ids || !numTokens || !past || !logits)
    return std::nullopt;
  auto sizes = function.getArgAttrOfType<ArrayAttr>(*ids, transformer::kSizesAttr);
  if (!sizes || sizes.size() != 2)
    return std::nullopt;
  return StepProgram{function, *ids, *numTokens, *past, *logits, cast<StringAttr>(sizes[0])};
}

/// Why the program cannot sample, or nothing.
static std::optional<std::string> whyNot(StepProgram &step) {
  constexpr int64_t most = int64_t(1) << 22;
  auto logits = dyn_cast<RankedTensorType>(step.function.getResultTypes()[step.logits]);
  if (!logits || logits.getRank() != 2 || !logits.getElementType().isF32() ||
      logits.isDynamicDim(1) || logits.getDimSize(1) > most)
    return "its logits are no [B, V] of f32 with a V of at most " + std::to_string(most);
  for (const OptionPort &port : options)
    if (findArgument(step.function, port.name))
      return "it has an input '" + port.name.str() + "'";
  if (findResult(step.function, kTokens))
    return "it has an output '" + kTokens.str() + "'";
  return std::nullopt;
}

void SampleOnDevice::runOnOperation() {
  ModuleOp module = getOperation();
  auto generation = module->getAttrOfType<DictionaryAttr>(transformer::kGenerationAttr);
  auto sizes = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr);
  if (!generation || !sizes || generation.contains(kSamplingKey))
    return;
  std::optional<StepProgram> step = findStep(module, generation);
  if (!step)
    return;
  func::FuncOp function = step->function;
  auto bounds = sizes.getAs<ArrayAttr>(step->rows);
  std::optional<std::string> reason =
      bounds && bounds.size() == 2 ? whyNot(*step) : "its rows have no maximum";
  if (reason) {
    remark::missed(function.getLoc(),
                   remark::RemarkOpts::name("NotSampled").category("sample-on-device"))
        << "program " + function.getSymName().str() + " gives logits only, because " + *reason;
    return;
  }

  OpBuilder b(&getContext());
  Location loc = NameLoc::get(b.getStringAttr("sampling"));
  int64_t slots = cast<IntegerAttr>(bounds[1]).getInt();
  auto named = [&](StringRef name, Attribute value) { return b.getNamedAttr(name, value); };
  llvm::StringMap<Value> inputs;
  for (const OptionPort &port : options) {
    Type element = port.type == OptionPort::F32   ? Type(b.getF32Type())
                   : port.type == OptionPort::I32 ? Type(b.getI32Type())
                                                  : Type(b.getI64Type());
    SmallVector<NamedAttribute> attributes{
        named(transformer::kNameAttr, b.getStringAttr(port.name)),
        named(transformer::kSizesAttr, b.getArrayAttr({step->rows})),
        named(transformer::kOptionalAttr, b.getI64IntegerAttr(port.otherwise))};
    if (port.name == "slot")
      attributes.push_back(named(transformer::kRangeAttr, b.getI64ArrayAttr({0, slots - 1})));
    unsigned index = function.getNumArguments();
    if (failed(function.insertArgument(index, RankedTensorType::get({ShapedType::kDynamic}, element),
                                       b.getDictionaryAttr(attributes), loc)))
      return signalPassFailure();
    inputs[port.name] = function.getArgument(index);
  }
  auto logitsType = cast<RankedTensorType>(function.getResultTypes()[step->logits]);
  auto seenType = RankedTensorType::get({slots, logitsType.getDimSize(1)}, b.getI1Type());
  auto state = b.getDictionaryAttr(named(transformer::kStateAttr, b.getStringAttr(kSeen)));
  unsigned seenIndex = function.getNumArguments();
  if (failed(function.insertArgument(seenIndex, seenType, state, loc)))
    return signalPassFailure();

  Operation *terminator = function.getBody().front().getTerminator();
  b.setInsertionPoint(terminator);
  Value seen = transformer::MarkTokensOp::create(
      b, loc, seenType, function.getArgument(seenIndex), function.getArgument(step->ids),
      function.getArgument(step->numTokens), function.getArgument(step->past), inputs["slot"]);
  Value tokens = transformer::SampleOp::create(
      b, loc, RankedTensorType::get({ShapedType::kDynamic}, b.getI32Type()),
      terminator->getOperand(step->logits), seen, inputs["slot"], inputs["temperature"],
      inputs["top_k"], inputs["top_p"], inputs["min_p"], inputs["repetition_penalty"],
      inputs["seed"], inputs["draw"]);
  auto port = b.getDictionaryAttr(named(transformer::kNameAttr, b.getStringAttr(kTokens)));
  for (auto [value, attributes] : {std::pair(tokens, port), std::pair(seen, state)}) {
    unsigned index = function.getNumResults();
    if (failed(function.insertResult(index, value.getType(), attributes)))
      return signalPassFailure();
    terminator->insertOperands(index, value);
  }
  NamedAttrList parts(generation);
  parts.append(kSamplingKey, b.getDictionaryAttr(named(kTokens, b.getStringAttr(kTokens))));
  module->setAttr(transformer::kGenerationAttr, parts.getDictionary(&getContext()));
}
