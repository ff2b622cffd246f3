//===- SelectAttention.cpp - select-attention -----------------------------===//
#include "passes/AttentionRequest.h"
#include "passes/FusionUtils.h"
#include "passes/Passes.h"

#include "mlir/IR/Remarks.h"

#include <map>

namespace ingot {
#define GEN_PASS_DEF_SELECTATTENTION
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using namespace ingot::transformer;

namespace {

struct Choice {
  AttentionBackend backend;
  std::string reason;
};

struct SelectAttention : ingot::impl::SelectAttentionBase<SelectAttention> {
  using SelectAttentionBase::SelectAttentionBase;
  void runOnOperation() override;

private:
  LogicalResult run(func::FuncOp program, const AttentionRequest &request);
  FailureOr<Choice> choose(AttentionOp op, int64_t layer, const AttentionRequest &request);
  Choice chooseFreely(AttentionOp op);
  void record();

  /// The layers of each program and choice, "forward" and "math: asked for".
  std::map<std::pair<std::string, std::string>, SmallVector<int64_t>> table;
  int64_t lastLayer = -1;
};

} // namespace

/// The first that is legal, least memory traffic first: a product of blocks that stays on the chip,
/// then the same without matrix instructions, then scores written and read again.
Choice SelectAttention::chooseFreely(AttentionOp op) {
  std::optional<std::string> why = op.whyNot(AttentionBackend::Flash);
  if (!why)
    return {AttentionBackend::Flash, "the least memory traffic of those that are legal"};
  if (!op.whyNot(AttentionBackend::Efficient))
    return {AttentionBackend::Efficient, "scores stay on the chip; " + *why};
  return {AttentionBackend::Math, *op.whyNot(AttentionBackend::Efficient)};
}

FailureOr<Choice> SelectAttention::choose(AttentionOp op, int64_t layer,
                                          const AttentionRequest &request) {
  std::optional<AttentionBackend> forced = request.forLayer(layer);
  if (!forced) {
    Choice choice = chooseFreely(op);
    if (std::optional<std::string> why = op.whyNot(AttentionBackend::Efficient))
      remark::missed(op.getLoc(), remark::RemarkOpts::name("Math").category("select-attention"))
          << "layer " + std::to_string(layer) + ": attention writes its scores to memory (math) " +
                 "because " + *why;
    return choice;
  }
  if (std::optional<std::string> why = op.whyNot(*forced))
    return emitError(op.getLoc()) << kUnsupportedPrefix << "--attention "
                                  << request.clauseFor(layer) << " on layer " << layer << ": "
                                  << *why << " (q is " << op.getQ().getType() << ", k is "
                                  << op.getK().getType() << ")";
  return Choice{*forced, ("asked for by --attention " + request.clauseFor(layer)).str()};
}

LogicalResult SelectAttention::run(func::FuncOp program, const AttentionRequest &request) {
  int64_t next = 0;
  for (Operation &op : program.getBody().front()) {
    auto attention = dyn_cast<AttentionOp>(op);
    auto softmax = dyn_cast<SoftmaxOp>(op);
    if (!attention && !(softmax && softmax.getX().getType().getRank() == 4))
      continue;
    int64_t layer = layerIn(op.getLoc()).value_or(next);
    next = layer + 1;
    lastLayer = std::max(lastLayer, layer);
    if (softmax) {
      // What isn't fused has its scores in memory, which is what math does.
      std::optional<AttentionBackend> forced = request.forLayer(layer);
      if (forced && *forced != AttentionBackend::Math)
        return emitError(op.getLoc())
               << kUnsupportedPrefix << "--attention " << request.clauseFor(layer) << " on layer "
               << layer << ": its attention isn't fused, so that it runs by its parts";
      table[{program.getSymName().str(), "parts: not fused"}].push_back(layer);
      continue;
    }
    if (attention.getBackend())
      continue;
    FailureOr<Choice> choice = choose(attention, layer, request);
    if (failed(choice))
      return failure();
    attention.setBackend(choice->backend);
    if (testDropValidity == layer)
      attention.getKeyValidMutable().clear();
    std::string text =
        stringifyAttentionBackend(choice->backend).str() + ": " + choice->reason;
    table[{program.getSymName().str(), text}].push_back(layer);
    remark::passed(op.getLoc(), remark::RemarkOpts::name("Chosen").category("select-attention"))
        << "layer " + std::to_string(layer) + ": " + text;
  }
  return success();
}

/// "0-3,5" of sorted layers.
static std::string asRanges(ArrayRef<int64_t> layers) {
  std::string text;
  for (size_t i = 0; i < layers.size(); ++i) {
    size_t begin = i;
    while (i + 1 < layers.size() && layers[i + 1] == layers[i] + 1)
      ++i;
    text += (text.empty() ? "" : ",") + std::to_string(layers[begin]);
    if (i > begin)
      text += "-" + std::to_string(layers[i]);
  }
  return text;
}

/// Adds "attention/forward/0-3" = "efficient: why" to the module's provenance.
void SelectAttention::record() {
  ModuleOp module = getOperation();
  Builder builder(&getContext());
  auto model = module->getAttrOfType<DictionaryAttr>(kModelAttr);
  if (!model)
    return;
  NamedAttrList attributes(model), provenance;
  if (auto before = model.getAs<DictionaryAttr>("provenance"))
    provenance.append(before.begin(), before.end());
  for (auto &[key, layers] : table) {
    llvm::sort(layers);
    provenance.set("attention/" + key.first + "/" + asRanges(layers),
                   builder.getStringAttr(key.second));
  }
  attributes.set("provenance", provenance.getDictionary(&getContext()));
  module->setAttr(kModelAttr, attributes.getDictionary(&getContext()));
}

void SelectAttention::runOnOperation() {
  ModuleOp module = getOperation();
  Result<AttentionRequest> request = AttentionRequest::parse(attention);
  if (!request.ok()) {
    module.emitError() << kUsagePrefix << request.status().message();
    return signalPassFailure();
  }
  for (func::FuncOp program : module.getOps<func::FuncOp>())
    if (program->hasAttr(kProgramAttr) && failed(run(program, *request)))
      return signalPassFailure();
  if (request->getLastLayer() > lastLayer) {
    module.emitError() << kUsagePrefix << "--attention: there is no layer "
                       << request->getLastLayer() << "; the model has "
                       << (lastLayer < 0 ? "none with attention"
                                         : "layers 0 to " + std::to_string(lastLayer));
    return signalPassFailure();
  }
  record();
}
