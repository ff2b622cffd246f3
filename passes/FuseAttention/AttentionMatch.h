//===- AttentionMatch.h - The parts of one attention -------------*- C++ -*-===//
//
// What fuse-attention finds in a program before it changes anything.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/Transformer/TransformerOps.h"

#include <string>

namespace ingot {

/// Where the heads of a query, key or value come from: rows of tokens, split into heads, and what was
/// done to each head since.
struct HeadSource {
  /// [B, S, heads * D]; null where a cache is read that nothing was appended to.
  mlir::Value tokens;
  int64_t heads = 0;
  /// rms_norm, layer_norm, l2_normalize and rope, first to last.
  llvm::SmallVector<mlir::Operation *> steps;
  /// What every element was multiplied with.
  double scale = 1;
  /// Of keys and values read through a block table.
  transformer::CacheGatherOp gather;
  transformer::CacheAppendOp append;
  /// Of keys and values: copies of each head.
  int64_t repeats = 1;
};

/// merge_heads(matmul([scale_heads] softmax(apply_mask(scores)), v)) with
/// scores = [add_bias] [add_alibi] [softcap] scale * (matmul(q, k^T) [add_alibi]).
struct AttentionMatch {
  transformer::MergeHeadsOp merge;
  transformer::MatmulOp mix;
  transformer::ScaleHeadsOp headMask;
  transformer::SoftmaxOp softmax;
  transformer::AttentionMaskOp mask;
  transformer::MatmulOp scores;
  transformer::AddAlibiOp alibi;
  mlir::Value bias;
  double scale = 1;
  std::optional<double> softcap;
  bool alibiBeforeScale = false;
  HeadSource q, k, v;
  /// Probabilities are used beside the product with the values.
  bool probabilitiesUsed = false;

  bool isPaged() { return static_cast<bool>(k.gather); }
  /// [B, S] and [B, C]; null if nothing depends on positions.
  mlir::Value queryPositions, keyPositions;
};

/// Those that read elements of `value`, not only its sizes.
llvm::SmallVector<mlir::Operation *> getReaders(mlir::Value value);

/// The attention around `softmax`; else the reason why it isn't one, for a person. An empty reason:
/// nothing like attention.
mlir::FailureOr<AttentionMatch> matchAttention(transformer::SoftmaxOp softmax, std::string &reason);

} // namespace ingot
