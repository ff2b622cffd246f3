//===- FusionUtils.h - What fusion passes share ------------------*- C++ -*-===//
#pragma once

#include "dialects/Transformer/TransformerOps.h"

#include <optional>

namespace ingot {

/// True if `op` asks for no more than the size of its operands.
bool readsOnlySizes(mlir::Operation *op);

/// The one op that reads elements of `value`, or null if there are several or none.
mlir::Operation *getOnlyReader(mlir::Value value);

/// The weight that makes `value` if nothing else uses it, or null. A weight with further users must
/// stay as it is: another layout of it would be a second copy of its bytes.
transformer::WeightOp getOwnWeight(mlir::Value value);

/// Weights joined along axis 0, the first in front: one weight whose recipe runs theirs and then
/// `concat`. Their types must differ in axis 0 only.
transformer::WeightOp concatWeights(mlir::OpBuilder &builder, mlir::Location location,
                                    llvm::ArrayRef<transformer::WeightOp> weights);

/// `weight` with a further step at the end of its recipe, of type `type`.
transformer::WeightOp appendStep(mlir::OpBuilder &builder, transformer::WeightOp weight,
                                 transformer::StepAttr step, mlir::RankedTensorType type);

/// Columns [begin, begin + width) of the last axis of `value`.
mlir::Value sliceColumns(mlir::OpBuilder &builder, mlir::Location location, mlir::Value value,
                         int64_t begin, int64_t width);

/// The layer that a module path names, "model.layers.3.self_attn": its first number.
std::optional<int64_t> layerIn(mlir::Location location);

/// "fused: …" at `location`, of the pass `category`.
void remarkFused(mlir::Location location, llvm::StringRef category, const std::string &what);
/// "not fused: …, because …": there was something to fuse, and a reason not to.
void remarkNotFused(mlir::Location location, llvm::StringRef category, const std::string &why);

} // namespace ingot
