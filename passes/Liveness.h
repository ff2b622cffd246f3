//===- Liveness.h - When the bytes of a program's buffers are needed -*- C++ -*-===//
//
// A program is a list of steps, so the life of a buffer is an interval of it. Views live in the
// buffer they show. What a size was read from lives until the last launch with that size. Launches
// of a stream's run happen at once: what they use and do not exchange lives from the first to the
// last.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/Exec/ExecOps.h"

namespace ingot {

/// A use of a root (exec.buffer, exec.input, exec.get) by a step.
struct BufferUse {
  mlir::Operation *root;
  bool reads;
  bool writes;
};

/// What stands for the bytes of a root: state that is got twice has one name.
const void *getStorageKey(mlir::Operation *root);

/// The steps [first, last] between which a root's bytes are needed; `first` is -1 for an input.
struct Lifetime {
  mlir::Operation *root = nullptr;
  int64_t first = 0;
  int64_t last = -1;

  bool overlaps(const Lifetime &other) const { return first <= other.last && other.first <= last; }
};

class Liveness {
public:
  explicit Liveness(exec::ProgramOp program);

  /// Launches, copies and readings of sizes, in order.
  llvm::ArrayRef<mlir::Operation *> getSteps() const { return steps; }
  /// Buffers in the arena (exec.buffer, exec.input) that are used at all, in order.
  llvm::ArrayRef<Lifetime> getLifetimes() const { return lifetimes; }
  const Lifetime *lookup(mlir::Operation *root) const;

  /// What a step does to each of its operands.
  static llvm::SmallVector<BufferUse> getUses(mlir::Operation *step);

private:
  llvm::SmallVector<mlir::Operation *> steps;
  llvm::SmallVector<Lifetime> lifetimes;
  llvm::DenseMap<mlir::Operation *, unsigned> indices;
};

} // namespace ingot
