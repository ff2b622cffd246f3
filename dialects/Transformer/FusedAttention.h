//===- FusedAttention.h - The two ways attention is taken apart --*- C++ -*-===//
#pragma once

#include "dialects/Transformer/TransformerOps.h"

namespace ingot::transformer {

/// The results of `op` by its parts: split_heads, matmul, apply_mask, softmax and so on, with the
/// scores as a tensor. This is what attention means, and what `math` runs. The padded forms give
/// transformer, arith, math and tensor ops alone; the packed ones, which mask rows against each
/// other, linalg as well.
llvm::SmallVector<mlir::Value> expandAttention(mlir::OpBuilder &builder, AttentionOp op);

/// The same results block by block over the keys (AttentionBlockwise.cpp); for an op that returns
/// no probabilities and has no head mask.
llvm::SmallVector<mlir::Value> decomposeAttentionBlockwise(mlir::OpBuilder &builder,
                                                           AttentionOp op);

} // namespace ingot::transformer
