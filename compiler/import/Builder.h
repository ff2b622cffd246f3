//===- Builder.h - A transformer spec becomes a module ------------*- C++ -*-===//
//
// Programs (all integers i32, all else f32):
//
//   forward(input_ids [B,S], attention_mask [B,S] = 1, token_type_ids [B,S] = 0 where there are
//   types)
//     -> last_hidden_state [B,S,E] and/or the heads' outputs; if asked for, attentions.0 [B,Hq,S,S],
//     attentions.1, ...
//   step(input_ids [B,S], num_tokens [B], past_tokens [B], block_table [B,NB], K and V state per
//   layer)
//     -> logits [B,V] of each row's last new token, new states         (causal language models)
//
// Positions count from each row's first valid token, so a row gives the same wherever its padding
// is.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/Sources.h"
#include "compiler/import/TransformerSpec.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"

namespace ingot::import {

/// Compiled maxima, all known.
struct Maxima {
  int64_t batch = 8;
  int64_t context = 512;
  /// Tokens a call, padding included.
  int64_t tokens = 2048;
  int64_t blockSize = 16;

  int64_t blocksPerRow() const { return (context + blockSize - 1) / blockSize; }
  /// Physical blocks: enough for every row, and the null block.
  int64_t blocks() const { return batch * blocksPerRow() + 1; }
  int64_t sequence() const { return std::min(context, tokens); }
};

/// Emits the programs and the module's attributes. `sources` gets the tensors they need.
mlir::OwningOpRef<mlir::ModuleOp> buildModule(mlir::MLIRContext &context,
                                              const TransformerSpec &spec, const Maxima &maxima,
                                              SourceTable &sources, ElementType dtype);

} // namespace ingot::import
