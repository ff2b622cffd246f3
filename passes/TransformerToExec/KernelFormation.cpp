//===- KernelFormation.cpp - Which ops make which kernel --------------------===//
#include "passes/TransformerToExec/KernelFormation.h"

#include "dialects/Transformer/TransformerOps.h"
#include "passes/FusionUtils.h"
#include "passes/TransformerToExec/Fusion.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace ingot;

static constexpr llvm::StringLiteral kCategory = "fuse-epilogues";

SmallVector<Value> ingot::getReadValues(Operation *op) {
  llvm::SetVector<Value> values(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), values);
  return values.takeVector();
}

bool ingot::readsElements(Operation *op) { return !isa<ShapedDimOpInterface>(op); }

//===----------------------------------------------------------------------===//
// State
//===----------------------------------------------------------------------===//

LogicalResult StateValues::run(func::FuncOp program) {
  for (BlockArgument argument : program.getArguments())
    if (program.getArgAttr(argument.getArgNumber(), transformer::kStateAttr))
      states[argument] = argument;
  for (Operation &op : program.getBody().front()) {
    auto destinationStyle = dyn_cast<DestinationStyleOpInterface>(op);
    if (!destinationStyle)
      continue;
    for (OpOperand &init : destinationStyle.getDpsInitsMutable()) {
      BlockArgument state = getState(init.get());
      if (!state)
        continue;
      OpResult result = destinationStyle.getTiedOpResult(&init);
      states[result] = state;
      updates[result] = &init;
    }
  }
  return success();
}

//===----------------------------------------------------------------------===//
// Roles
//===----------------------------------------------------------------------===//

/// Depends on no data of the program: sizes, scalars, splats, and what is made of these.
bool KernelFormation::isCloned(Operation &op) const {
  if (!isMemoryEffectFree(&op) || isa<transformer::WeightOp>(op))
    return false;
  if (!readsElements(&op))
    return true;
  return llvm::all_of(getReadValues(&op), [&](Value value) {
    Operation *producer = value.getDefiningOp();
    auto role = producer ? roles.find(producer) : roles.end();
    return role != roles.end() && role->second == OpRole::Cloned;
  });
}

/// Takes a range of the last axis, all of the others, for kernels only. The parts of a state are
/// not taken so: which version of it a kernel reads is decided by where the op is.
bool KernelFormation::isColumns(Operation &op, const SizePropagation &sizes,
                                const StateValues &states) const {
  auto slice = dyn_cast<tensor::ExtractSliceOp>(op);
  if (!slice || slice.getType().getRank() != slice.getSourceType().getRank() ||
      slice.getType().getRank() == 0 || !slice.hasUnitStride() ||
      states.getState(slice.getSource()))
    return false;
  SmallVector<OpFoldResult> offsets = slice.getMixedOffsets();
  if (!getConstantIntValue(offsets.pop_back_val()) || slice.getType().isDynamicDim(offsets.size()))
    return false;
  for (auto [dim, offset] : llvm::enumerate(offsets))
    if (getConstantIntValue(offset) != 0 ||
        sizes.getShape(slice.getResult())[dim] != sizes.getShape(slice.getSource())[dim])
      return false;
  return llvm::none_of(op.getUsers(), [](Operation *user) {
    return user->hasTrait<OpTrait::IsTerminator>() ||
           isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(user);
  });
}

/// A weight that is stored wider than it is read.
static bool isRoundedWeight(Operation &op) {
  return isa<arith::TruncFOp>(op) && op.getOperand(0).getDefiningOp<transformer::WeightOp>() &&
         llvm::none_of(op.getUsers(), [](Operation *user) {
           return user->hasTrait<OpTrait::IsTerminator>() ||
                  isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(user);
         });
}

Value KernelFormation::getStored(Value value) const {
  while (Operation *producer = value.getDefiningOp()) {
    auto role = roles.find(producer);
    if (role == roles.end() || role->second != OpRole::Columns)
      break;
    value = producer->getOperand(0);
  }
  return value;
}

FailureOr<OpRole> KernelFormation::classify(Operation &op, const SizePropagation &sizes,
                                            const StateValues &states) const {
  if (isa<transformer::WeightOp>(op))
    return OpRole::Weight;
  if (llvm::none_of(op.getUsers(), readsElements) && isMemoryEffectFree(&op))
    return OpRole::Cloned; // Into no kernel: its elements are needed by none.
  bool isReturned = llvm::any_of(
      op.getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); });
  Attribute constant;
  if (matchPattern(&op, m_Constant(&constant))) {
    if (!isa<TensorType>(op.getResult(0).getType()))
      return OpRole::Cloned;
    auto elements = dyn_cast<ElementsAttr>(constant);
    return elements && elements.isSplat() && !isReturned ? OpRole::Cloned : OpRole::Constant;
  }
  if (isCloned(op) && !isReturned)
    return OpRole::Cloned;
  if (isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op) && !isCloned(op))
    return OpRole::View;
  if (isColumns(op, sizes, states) || isRoundedWeight(op))
    return OpRole::Columns;
  if (!isMemoryEffectFree(&op))
    return op.emitOpError("has side effects; a program is made of ops on values");
  if (op.getNumResults() == 0 ||
      !llvm::all_of(op.getResultTypes(), llvm::IsaPred<RankedTensorType>))
    return op.emitOpError(
        "expects ranked tensors as results in a program, got none or another type");
  return OpRole::Kernel;
}

//===----------------------------------------------------------------------===//
// Groups
//===----------------------------------------------------------------------===//

/// Whether `op` computes element by element from `operand`, which is one value an element of it.
static bool followsInOrder(Operation &op, OpOperand &operand, const SizePropagation &sizes) {
  return op.getNumResults() == 1 &&
         sizes.getShape(operand.get()) == sizes.getShape(op.getResult(0)) &&
         isElementwiseIn(operand);
}

/// What a kernel is about: its first op.
static std::string describeProduct(const KernelGroup &group) {
  return group.getRoot()->getName().stripDialect().str();
}

KernelGroup *KernelFormation::findGroupToJoin(Operation &op, const SizePropagation &sizes,
                                              const StateValues &states) {
  KernelGroup *best = nullptr;
  std::string reason;
  for (OpOperand &operand : op.getOpOperands()) {
    // The value must be made by the last op of a kernel.
    Operation *producer = operand.get().getDefiningOp();
    KernelGroup *group = groupOf.lookup(producer);
    if (!fuseEpilogues || !group || group->getLast() != producer ||
        producer->getNumResults() != 1 || sizes.isReadForSize(operand.get()))
      continue;
    // A kernel that touches state stays where it is: between the updates it was written between.
    auto touchesState = [&](Operation *member) {
      return llvm::any_of(getReadValues(member),
                          [&](Value value) { return states.getState(value) != nullptr; });
    };
    if (touchesState(&op) || llvm::any_of(group->ops, touchesState))
      continue;
    // For this op alone.
    bool isOnlyReader = llvm::all_of(
        producer->getUsers(), [&](Operation *user) { return user == &op || !readsElements(user); });
    bool isProduct = isa<transformer::LinearOp, transformer::GatedLinearOp, transformer::MatmulOp>(
        group->getRoot());
    if ((!isOnlyReader && !isProduct) || !followsInOrder(op, operand, sizes))
      continue;
    if (!isOnlyReader) {
      reason = op.getName().stripDialect().str() + " is no epilogue of " + describeProduct(*group) +
               ", because what it reads is needed elsewhere, too";
      continue;
    }
    // Of several, join the one that is made last: its elements are the most recent.
    if (!best || best->getLast()->isBeforeInBlock(group->getLast()))
      best = group;
  }
  if (best)
    remarkFused(op.getLoc(), kCategory,
                op.getName().stripDialect().str() + " is an epilogue of " + describeProduct(*best));
  else if (!reason.empty())
    remarkNotFused(op.getLoc(), kCategory, reason);
  return best;
}

LogicalResult KernelFormation::run(func::FuncOp program, const SizePropagation &sizes,
                                   const StateValues &states) {
  for (Operation &op : program.getBody().front().without_terminator()) {
    FailureOr<OpRole> role = classify(op, sizes, states);
    if (failed(role))
      return failure();
    roles[&op] = *role;
    if (*role != OpRole::Kernel)
      continue;
    KernelGroup *group = findGroupToJoin(op, sizes, states);
    if (!group)
      group = groups.emplace_back(std::make_unique<KernelGroup>()).get();
    group->ops.push_back(&op);
    groupOf[&op] = group;
  }
  return success();
}

const KernelGroup *KernelFormation::getGroupEndingAt(Operation *op) const {
  KernelGroup *group = groupOf.lookup(op);
  return group && group->getLast() == op ? group : nullptr;
}
