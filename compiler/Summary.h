//===- Summary.h - What a compiled model costs ------------------*- C++ -*-===//
//
// The numbers of the table that `ingot compile` prints: counted on the IR, not measured.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/Compiler.h"
#include "compiler/Target.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace ingot {

/// What a machine of a target can do at most: a row of Ceilings.def.
struct Ceiling {
  std::string name;
  double flops = 0;         // a second, in the compute type
  double bytes = 0;         // of memory, a second
  double launchSeconds = 0; // from one launch to the next
};

/// For an architecture without a row: nothing. Rows of a host are for one of its `cores`.
std::optional<Ceiling> findCeiling(const Target &target, std::string_view dtype, unsigned cores);

/// Ops of each program that compute on elements, by program.
std::vector<std::pair<std::string, uint64_t>> countOps(mlir::ModuleOp module);

/// Counts while the model is still one of ops, and again when it is a plan.
class CostCounter {
public:
  /// Multiplications and additions of each program at the points that are reported: `module` is in
  /// the transformer dialect.
  void countFlops(mlir::ModuleOp module);

  /// Adds launches, bytes, memory and estimates of each program of a planned `module` to `report`.
  void report(mlir::ModuleOp module, const std::optional<Ceiling> &ceiling,
              CompileReport &report) const;

private:
  /// Values of a program's sizes that stand for a use of it.
  struct Point {
    std::string program, what;
    uint64_t tokens = 0;
    std::vector<std::pair<std::string, int64_t>> sizes;
    double flops = 0;
  };
  std::vector<Point> points;
};

} // namespace ingot
