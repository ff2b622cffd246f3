//===- Fusion.cpp - Which ops are elementwise -------------------------------===//
#include "passes/TransformerToExec/Fusion.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;

/// Looks through casts between static and dynamic shapes.
static Value skipCasts(Value value) {
  while (auto cast = value.getDefiningOp<tensor::CastOp>())
    value = cast.getSource();
  return value;
}

/// Whether `value`, made by the ops of `created`, is an elementwise function of `operand`.
static bool isParallelIn(Value value, Value operand, ArrayRef<Operation *> created) {
  auto linalgOp = skipCasts(value).getDefiningOp<linalg::LinalgOp>();
  if (!linalgOp || linalgOp->getNumResults() != 1 || !llvm::is_contained(created, linalgOp) ||
      linalgOp.getNumLoops() != linalgOp.getNumParallelLoops() ||
      !linalgOp.getMatchingIndexingMap(linalgOp.getDpsInitOperand(0)).isIdentity())
    return false;
  // Any other op that computes on elements would have to be fused first.
  for (Operation *op : created)
    if (op != linalgOp && !isa<tensor::EmptyOp, tensor::CastOp>(op) &&
        llvm::any_of(op->getResultTypes(), llvm::IsaPred<TensorType>))
      return false;
  bool inOrder = false;
  for (OpOperand *input : linalgOp.getDpsInputOperands()) {
    if (skipCasts(input->get()) != operand)
      continue;
    if (!linalgOp.getMatchingIndexingMap(input).isIdentity())
      return false;
    inOrder = true;
  }
  // Nor may the body reach for other elements of it.
  bool captured = false;
  linalgOp->walk([&](Operation *inner) {
    if (inner != linalgOp.getOperation())
      captured |= llvm::is_contained(inner->getOperands(), operand);
  });
  return inOrder && !captured;
}

bool ingot::isElementwiseIn(OpOperand &operand) {
  Operation *op = operand.getOwner();
  if (op->getNumResults() != 1 || !isa<RankedTensorType>(operand.get().getType()))
    return false;
  if (OpTrait::hasElementwiseMappableTraits(op))
    return true;
  auto aggregate = dyn_cast<linalg::AggregatedOpInterface>(op);
  if (!aggregate || !isMemoryEffectFree(op))
    return false;

  // Decompose beside the op, look, and remove what was made.
  Operation *before = op->getPrevNode();
  OpBuilder builder(op);
  FailureOr<SmallVector<Value>> values = aggregate.decomposeOperation(builder);
  SmallVector<Operation *> created;
  for (Operation *made = op->getPrevNode(); made != before; made = made->getPrevNode())
    created.push_back(made);
  bool result = succeeded(values) && values->size() == 1 &&
                isParallelIn(values->front(), operand.get(), created);
  for (Operation *made : created)
    made->erase();
  return result;
}
