//===- Inputs.h - Random batches that passes get wrong -----------*- C++ -*-===//
#pragma once

#include "compiler/verify/Tensor.h"
#include "runtime/support/Status.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace ingot::verify {

/// The cases for `program` (a function with transformer.program) within the sizes and limits of
/// `module`, the imported one, which also says how its cache is cut into blocks. The same seed gives
/// the same cases.
///
///   forward  right, left and interior padding; rows of length 0 and 1; a batch of one; one token;
///            the maxima; a batch without any token
///   step     prompts of unequal length, then decode steps, some rows pausing; prompts in chunks;
///            a batch of one; the maxima, up to the last slot of the cache
Result<std::vector<Case>> makeCases(mlir::ModuleOp module, mlir::func::FuncOp program,
                                    uint64_t seed);

} // namespace ingot::verify
