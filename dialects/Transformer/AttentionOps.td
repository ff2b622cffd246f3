//===- AttentionOps.td - The parts of attention ------------*- tablegen -*-===//
//
// Importers emit attention in these parts; fusing them is a pass.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_ATTENTION_OPS_TD
#define INGOT_TRANSFORMER_ATTENTION_OPS_TD

include "dialects/Transformer/TransformerDialect.td"

def Transformer_SplitHeadsOp : Transformer_TensorOp<"split_heads"> {
  let summary = "hidden width to heads";
  let description = [{
    `result[b, h, s, d] = x[b, s, h * D + d]` with `x : [B, S, H * D]`, `result : [B, H, S, D]` and
    H = `heads`. `split_heads` of `merge_heads` with the same heads folds away.

    Constraints:
    * C1: `heads` is positive.
    * C2: the last axis of `x` is a multiple of `heads`.
  }];
  let arguments = (ins Transformer_Float<[3]>:$x, I64Attr:$heads);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Transformer_MergeHeadsOp : Transformer_TensorOp<"merge_heads"> {
  let summary = "heads to hidden width";
  let description = [{
    `result[b, s, h * D + d] = x[b, h, s, d]` with `x : [B, H, S, D]`, `result : [B, S, H * D]`. The
    inverse of `split_heads`, with which it folds away.

    Constraints:
    * C1: H is static, so that the width of the result is a multiple of it.
  }];
  let arguments = (ins Transformer_Float<[4]>:$x);
  let results = (outs Transformer_Float<[3]>:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Transformer_RepeatKvOp : Transformer_TensorOp<"repeat_kv"> {
  let summary = "give each group of query heads its key/value head";
  let description = [{
    `result[b, h, s, d] = x[b, h / repeats, s, d]` with `x : [B, Hkv, S, D]`,
    `result : [B, Hkv * repeats, S, D]`. `repeats = 1` folds away; `repeat_kv` of `repeat_kv` becomes one.

    Constraints:
    * C1: `repeats` is positive.

    Source: grouped-query attention, arXiv 2305.13245; `repeat_kv` of the reference library.
  }];
  let arguments = (ins Transformer_Float<[4]>:$x, I64Attr:$repeats);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Transformer_MatmulOp : Transformer_TensorOp<"matmul"> {
  let summary = "matrix product of each head";
  let description = [{
    `result[b, h, m, n] = sum_k(lhs[b, h, m, k] * rhs[b, h, k, n])` with `lhs : [B, H, M, K]`,
    `rhs : [B, H, K, N]`, or `[B, H, N, K]` and `rhs[b, h, n, k]` if `transpose_rhs`;
    `result : [B, H, M, N]`. The sum is taken in f32.

    Constraints:
    * C1: `lhs` and `rhs` have the same B and H.
    * C2: `lhs` and `rhs` have the same K.
    * C3: `lhs` and `rhs` have the same element type.
  }];
  let arguments = (ins Transformer_Float<[4]>:$lhs, Transformer_Float<[4]>:$rhs,
                       UnitAttr:$transpose_rhs);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` functional-type(operands, results)";
}

def Transformer_AttentionMaskOp : Transformer_TensorOp<"attention_mask"> {
  let summary = "which keys each query sees";
  let description = [{
    `result[b, s, c]` is true if `key_valid[b, c]` (if given), and, if `causal`, `k <= q`, and, if
    `window` is given, `q - k < window`, with `q = query_positions[b, s]`, `k = key_positions[b, c]`.
    `query_positions : [B, S]`, `key_positions, key_valid : [B, C]`, `result : [B, S, C]`.

    So a causal `window` of W keeps W keys, the query's own included.

    Constraints:
    * C1: all operands have the same B.
    * C2: `key_positions` and `key_valid` have the same C.
    * C3: `window` is positive.
  }];
  let arguments = (ins Transformer_I32<[2]>:$query_positions, Transformer_I32<[2]>:$key_positions,
                       Optional<Transformer_Mask<[2]>>:$key_valid, UnitAttr:$causal,
                       OptionalAttr<I64Attr>:$window);
  let results = (outs Transformer_Mask<[3]>:$result);
  let assemblyFormat = [{
    $query_positions `,` $key_positions (`,` $key_valid^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

def Transformer_ApplyMaskOp : Transformer_TensorOp<"apply_mask"> {
  let summary = "put hidden scores out of the softmax's reach";
  let description = [{
    `result[b, h, s, c] = mask[b, s, c] ? scores[b, h, s, c] : lowest` with `scores : [B, H, S, C]`,
    `mask : [B, S, C]` and `lowest` the lowest finite value of the element type (f32:
    -3.4028235e38), whose exponential relative to any ordinary score is exactly zero.
    Applying the same mask twice folds to once.

    Constraints:
    * C1: `mask` has the B, S and C of `scores`.
  }];
  let arguments = (ins Transformer_Float<[4]>:$scores, Transformer_Mask<[3]>:$mask);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = "$scores `,` $mask attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
}

def Transformer_AddBiasOp : Transformer_TensorOp<"add_bias"> {
  let summary = "add a bias of attention to scores";
  let description = [{
    `result[b, h, s, c] = scores[b, h, s, c] + bias[b, h, s, c]` in f32, with `scores : [B, H, S, C]` and
    `bias : [B or 1, H or 1, S, C]`, whose first axes are repeated where they are 1.

    Constraints:
    * C1: `bias` has the S and C of `scores`.
    * C2: each of the first axes of `bias` is static 1 or that of `scores`.

    Source: relative position bias, arXiv 1910.10683.
  }];
  let arguments = (ins Transformer_Float<[4]>:$scores, Transformer_Float<[4]>:$bias);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = "$scores `,` $bias attr-dict `:` functional-type(operands, results)";
}

def Transformer_AddAlibiOp : Transformer_TensorOp<"add_alibi"> {
  let summary = "add a penalty linear in the distance";
  let description = [{
    `result[b, h, s, c] = scores[b, h, s, c] + slopes[h] * f32(key_positions[b, c] - query_positions[b, s])`
    in f32, with `scores : [B, H, S, C]`, `slopes : [H]`, `query_positions : [B, S]`,
    `key_positions : [B, C]`.

    Constraints:
    * C1: `slopes` has an element for each H.
    * C2: `query_positions` has the B and S of `scores`.
    * C3: `key_positions` has the B and C of `scores`.

    Source: ALiBi, arXiv 2108.12409.
  }];
  let arguments = (ins Transformer_Float<[4]>:$scores, Transformer_F32<[1]>:$slopes,
                       Transformer_I32<[2]>:$query_positions, Transformer_I32<[2]>:$key_positions);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = [{
    $scores `,` $slopes `,` $query_positions `,` $key_positions attr-dict `:`
    functional-type(operands, results)
  }];
}

def Transformer_ScaleHeadsOp : Transformer_TensorOp<"scale_heads"> {
  let summary = "multiply each head by a number";
  let description = [{
    `result[b, h, s, c] = x[b, h, s, c] * factors[h]` in f32, with `x : [B, H, S, C]`, `factors : [H]`.
    On attention probabilities this is a head mask.

    Constraints:
    * C1: `factors` has an element for each H.

    Source: `head_mask` of the reference library.
  }];
  let arguments = (ins Transformer_Float<[4]>:$x, Transformer_Float<[1]>:$factors);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = "$x `,` $factors attr-dict `:` functional-type(operands, results)";
}

def Transformer_SoftmaxOp : Transformer_TensorOp<"softmax"> {
  let summary = "softmax over the last axis";
  let description = [{
    `result[..., c] = exp(x[..., c] - max_c(x)) / sum_c(exp(x[..., c] - max_c(x)))`, in f32. A row that
    is hidden as a whole (every score the same lowest value) gives equal weights, never NaN; in any
    other row hidden scores get exactly zero. Any shape fits.

    With `sinks : [H]` and `x : [B, H, ...]` each row has one more score, `sinks[h]`, that takes part in
    the maximum and the sum and has no result. A row that is hidden as a whole then gives zeros.

    Constraints:
    * C1: with `sinks`, `x` has at least three axes, and `sinks` an element for each of the second.

    Source of sinks: arXiv 2309.17453.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Optional<Transformer_Float<[1]>>:$sinks);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = "$x (`,` $sinks^)? attr-dict `:` functional-type(operands, results)";
  let builders = [OpBuilder<(ins "::mlir::Value":$x), [{
    build($_builder, $_state, x, ::mlir::Value());
  }]>];
}

#endif // INGOT_TRANSFORMER_ATTENTION_OPS_TD
