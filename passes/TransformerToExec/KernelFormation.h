//===- KernelFormation.h - Which ops make which kernel -----------*- C++ -*-===//
#pragma once

#include "passes/TransformerToExec/SizePropagation.h"

namespace ingot {

/// What becomes of an op of a program.
enum class OpRole {
  Weight,   // a weight that kernels get
  Constant, // data that kernels get
  Cloned,   // copied into the kernels that use it: scalars, splats, sizes
  View,     // the same bytes with another shape
  Columns,  // columns of a tensor, a rounded weight: copied into the kernels that use them
  Kernel    // part of a kernel
};

/// Ops that become one kernel, in program order: a root and the elementwise ops that joined it.
/// Launched where its last op is, so that everything it reads has been made.
struct KernelGroup {
  llvm::SmallVector<mlir::Operation *> ops;

  mlir::Operation *getRoot() const { return ops.front(); }
  mlir::Operation *getLast() const { return ops.back(); }
};

/// Values of program state: arguments, and results that overwrite them in place.
class StateValues {
public:
  mlir::LogicalResult run(mlir::func::FuncOp program);

  /// The argument whose bytes `value` is a version of, or null.
  mlir::BlockArgument getState(mlir::Value value) const { return states.lookup(value); }
  /// The operand that `result` is written over in place, or null.
  mlir::OpOperand *getUpdated(mlir::OpResult result) const { return updates.lookup(result); }

private:
  llvm::DenseMap<mlir::Value, mlir::BlockArgument> states;
  llvm::DenseMap<mlir::Value, mlir::OpOperand *> updates;
};

class KernelFormation {
public:
  /// Without `fuseEpilogues` each op is a kernel of its own.
  explicit KernelFormation(bool fuseEpilogues) : fuseEpilogues(fuseEpilogues) {}

  /// Gives each op of `program` a role and each kernel op a group. Errors are emitted.
  mlir::LogicalResult run(mlir::func::FuncOp program, const SizePropagation &sizes,
                          const StateValues &states);

  OpRole getRole(mlir::Operation *op) const { return roles.find(op)->second; }
  /// The tensor of the program whose elements `value` has: `value` itself, or what it is columns
  /// of.
  mlir::Value getStored(mlir::Value value) const;
  /// The group whose last op is `op`, or null.
  const KernelGroup *getGroupEndingAt(mlir::Operation *op) const;

private:
  mlir::FailureOr<OpRole> classify(mlir::Operation &op, const SizePropagation &sizes,
                                   const StateValues &states) const;
  bool isColumns(mlir::Operation &op, const SizePropagation &sizes,
                 const StateValues &states) const;
  bool isCloned(mlir::Operation &op) const;
  /// The group that `op` may join, or null.
  KernelGroup *findGroupToJoin(mlir::Operation &op, const SizePropagation &sizes,
                               const StateValues &states);

  bool fuseEpilogues;
  llvm::DenseMap<mlir::Operation *, OpRole> roles;
  std::vector<std::unique_ptr<KernelGroup>> groups;
  llvm::DenseMap<mlir::Operation *, KernelGroup *> groupOf;
};

/// False if an op asks for no more than the size of its operands.
bool readsElements(mlir::Operation *op);

/// The values an op reads: its operands, and what its regions use from above.
llvm::SmallVector<mlir::Value> getReadValues(mlir::Operation *op);

} // namespace ingot
