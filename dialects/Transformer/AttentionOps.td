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

def Transformer_SoftmaxOp : Transformer_TensorOp<"softmax"> {
  let summary = "softmax over the last axis";
  let description = [{
    `result[..., c] = exp(x[..., c] - max_c(x)) / sum_c(exp(x[..., c] - max_c(x)))`, in f32. A row that
    is hidden as a whole (every score the same lowest value) gives equal weights, never NaN; in any
    other row hidden scores get exactly zero. Any shape fits.
  }];
  let arguments = (ins Transformer_FloatAny:$x);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 0;
}

#endif // INGOT_TRANSFORMER_ATTENTION_OPS_TD
