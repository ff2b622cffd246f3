//===- FuseProjections.cpp - fuse-projections -------------------------------===//
#include "passes/Passes.h"

#include "passes/FusionUtils.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/MapVector.h"

namespace ingot {
#define GEN_PASS_DEF_FUSEPROJECTIONS
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using transformer::ActivationOp;
using transformer::GatedLinearOp;
using transformer::LinearOp;
using transformer::WeightOp;

static constexpr llvm::StringLiteral kCategory = "fuse-projections";

namespace {

/// activation(gate) * up, both of one x.
struct GatedProjection {
  LinearOp gate, up;
  ActivationOp activation;
  arith::MulFOp product;
};

/// Linears of one x, in program order.
struct SharedProjection {
  SmallVector<LinearOp> linears;
};

struct FuseProjections : ingot::impl::FuseProjectionsBase<FuseProjections> {
  void runOnOperation() override;
};

} // namespace

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

/// Why the weights of `linears` can't be one weight; empty if they can.
static std::string whyNotJoined(ArrayRef<LinearOp> linears) {
  LinearOp first = linears.front();
  for (LinearOp linear : linears) {
    for (Value operand : {linear.getWeight(), linear.getBias()}) {
      if (!operand || getOwnWeight(operand))
        continue;
      if (auto weight = operand.getDefiningOp<WeightOp>())
        return "the weight " + cast<StringAttr>(weight.getSources()[0]).str() +
               " has other users, so a joined one would be a second copy of it";
      return "an operand is not a weight of the checkpoint";
    }
    if (!linear.getBias() != !first.getBias())
      return "some have a bias and some have none";
    // Operand types may say less than the weights' own do.
    if (linear.getWeight().getType().getElementType() !=
        first.getWeight().getType().getElementType())
      return "their element types differ";
  }
  return "";
}

/// The weights of `linears`, or their biases, as one.
static Value join(OpBuilder &builder, Location location, ArrayRef<LinearOp> linears, bool bias) {
  SmallVector<WeightOp> weights;
  for (LinearOp linear : linears) {
    Value operand = bias ? linear.getBias() : linear.getWeight();
    if (!operand)
      return {};
    weights.push_back(operand.getDefiningOp<WeightOp>());
  }
  return concatWeights(builder, location, weights).getResult();
}

static Location fuseLocations(ArrayRef<LinearOp> linears) {
  SmallVector<Location> locations;
  for (LinearOp linear : linears)
    locations.push_back(linear.getLoc());
  return FusedLoc::get(locations.front().getContext(), locations);
}

/// Erases what nothing reads any more: an op, the sizes asked of it, and its weights.
static void eraseProjection(LinearOp linear) {
  SmallVector<Value> operands{linear.getWeight(), linear.getBias()};
  linear->erase();
  for (Value operand : operands)
    if (operand && operand.use_empty())
      operand.getDefiningOp()->erase();
}

//===----------------------------------------------------------------------===//
// Gate and up
//===----------------------------------------------------------------------===//

static std::optional<GatedProjection> matchGated(arith::MulFOp product) {
  for (auto [left, right] : {std::pair(product.getLhs(), product.getRhs()),
                             std::pair(product.getRhs(), product.getLhs())}) {
    auto activation = left.getDefiningOp<ActivationOp>();
    auto up = right.getDefiningOp<LinearOp>();
    auto gate = activation ? activation.getX().getDefiningOp<LinearOp>() : LinearOp();
    if (gate && up && gate != up && gate.getX() == up.getX())
      return GatedProjection{gate, up, activation, product};
  }
  return std::nullopt;
}

static std::string whyNotFused(GatedProjection match) {
  for (auto [value, reader] :
       {std::pair<Value, Operation *>{match.gate.getResult(), match.activation},
        std::pair<Value, Operation *>{match.activation.getResult(), match.product},
        std::pair<Value, Operation *>{match.up.getResult(), match.product}})
    if (getOnlyReader(value) != reader)
      return "gate, activation or up is read by something else as well";
  if (match.gate.getWeight().getType() != match.up.getWeight().getType())
    return "gate and up differ in width";
  return whyNotJoined({match.gate, match.up});
}

static void fuse(GatedProjection match) {
  SmallVector<LinearOp, 2> linears{match.gate, match.up};
  Location location = fuseLocations(linears);
  OpBuilder builder(match.product);
  Value weight = join(builder, location, linears, /*bias=*/false);
  Value bias = join(builder, location, linears, /*bias=*/true);
  auto fused = GatedLinearOp::create(builder, location, match.product.getType(), match.gate.getX(),
                                     weight, bias, match.activation.getKindAttr());
  // What asked for the size of a part has the same answer from the whole.
  for (Value value : {match.gate.getResult(), match.activation.getResult(), match.up.getResult()})
    value.replaceUsesWithIf(fused.getResult(),
                            [](OpOperand &use) { return readsOnlySizes(use.getOwner()); });
  match.product.getResult().replaceAllUsesWith(fused.getResult());
  match.product->erase();
  match.activation->erase();
  eraseProjection(match.gate);
  eraseProjection(match.up);
  remarkFused(location, kCategory,
              "gate, " + stringifyActivationKind(fused.getKind()).str() +
                  " and up are one gated_linear of " +
                  std::to_string(fused.getWeight().getType().getDimSize(0)) + " rows");
}

//===----------------------------------------------------------------------===//
// Projections of one x
//===----------------------------------------------------------------------===//

static std::string whyNotFused(SharedProjection match) {
  for (LinearOp linear : match.linears)
    if (llvm::any_of(linear->getUsers(),
                     [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); }))
      return "a result of the program has to be a buffer of its own";
  return whyNotJoined(match.linears);
}

static void fuse(SharedProjection match) {
  ArrayRef<LinearOp> linears = match.linears;
  LinearOp first = linears.front();
  Location location = fuseLocations(linears);
  // The first of them: x is there, and no reader comes before.
  OpBuilder builder(first);
  Value weight = join(builder, location, linears, /*bias=*/false);
  Value bias = join(builder, location, linears, /*bias=*/true);
  auto fused = LinearOp::create(builder, location, first.getX(), weight, bias);
  int64_t begin = 0;
  for (LinearOp linear : linears) {
    int64_t width = cast<RankedTensorType>(linear.getWeight().getType()).getDimSize(0);
    Value slice = sliceColumns(builder, linear.getLoc(), fused.getResult(), begin, width);
    if (slice.getType() != linear.getType())
      slice = tensor::CastOp::create(builder, linear.getLoc(), linear.getType(), slice);
    linear.getResult().replaceAllUsesWith(slice);
    begin += width;
  }
  std::string text = std::to_string(linears.size()) +
                     " projections of one input are one linear of " + std::to_string(begin) +
                     " rows";
  for (LinearOp linear : linears)
    eraseProjection(linear);
  remarkFused(location, kCategory, text);
}

//===----------------------------------------------------------------------===//
// The pass
//===----------------------------------------------------------------------===//

void FuseProjections::runOnOperation() {
  // Gates first: what they take is not left for the others.
  SmallVector<GatedProjection> gated;
  getOperation().walk([&](arith::MulFOp product) {
    std::optional<GatedProjection> match = matchGated(product);
    if (!match)
      return;
    if (std::string reason = whyNotFused(*match); !reason.empty())
      remarkNotFused(fuseLocations({match->gate, match->up}), kCategory,
                     "gate and up stay two linears, because " + reason);
    else
      gated.push_back(*match);
  });
  for (GatedProjection match : gated)
    fuse(match);

  // By input and block, so that one of them dominates the rest.
  llvm::MapVector<std::pair<Value, Block *>, SharedProjection> shared;
  getOperation().walk([&](LinearOp linear) {
    shared[{linear.getX(), linear->getBlock()}].linears.push_back(linear);
  });
  for (const auto &[key, match] : shared) {
    if (match.linears.size() < 2)
      continue;
    if (std::string reason = whyNotFused(match); !reason.empty())
      remarkNotFused(fuseLocations(match.linears), kCategory,
                     std::to_string(match.linears.size()) +
                         " projections of one input stay apart, because " + reason);
    else
      fuse(match);
  }
}
