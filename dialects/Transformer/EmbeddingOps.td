//===- EmbeddingOps.td - Tokens and positions --------------*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_EMBEDDING_OPS_TD
#define INGOT_TRANSFORMER_EMBEDDING_OPS_TD

include "dialects/Transformer/TransformerDialect.td"

def Transformer_EmbeddingOp : Transformer_TensorOp<"embedding"> {
  let summary = "rows of a table";
  let description = [{
    `result[..., e] = table[clamp(ids[...], 0, V - 1), e]` with `table : [V, E]`, `ids : [...]`,
    `result : [..., E]`. Ids are clamped so that no input can read outside the table; the runtime
    refuses such inputs before that (`transformer.range`).

    The shapes are all that there is to check: any ids and any table fit.

    Source: `torch.nn.functional.embedding`.
  }];
  let arguments = (ins Transformer_Float<[2]>:$table, Transformer_I32Any:$ids);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = "$table `,` $ids attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 0;
}

def Transformer_PositionsOp : Transformer_TensorOp<"positions"> {
  let summary = "position of each token, counted from the first valid one of its row";
  let description = [{
    `mask : [B, S]`, `result : [B, S]`. With `count(b, s)` the number of valid tokens at or before s,
    `result[b, s] = max(count(b, s) - 1, 0) + offset`; where the mask is false and `padding_position`
    is given, the result is `padding_position` instead.

    So a row gets the same positions wherever its padding is. RoBERTa counts from
    `offset = pad_token_id + 1` and gives padding `padding_position = pad_token_id`.

    Constraints:
    * C1: `offset` and `padding_position` are in [0, 2^31).

    Source: `create_position_ids_from_input_ids` of RoBERTa, and the positions that `generate()` of the
    reference library derives from its attention mask.
  }];
  let arguments = (ins Transformer_Mask<[2]>:$mask, DefaultValuedAttr<I64Attr, "0">:$offset,
                       OptionalAttr<I64Attr>:$padding_position);
  let results = (outs Transformer_I32<[2]>:$result);
  let assemblyFormat = "$mask attr-dict `:` functional-type(operands, results)";
}

def Transformer_TokenPositionsOp : Transformer_TensorOp<"token_positions"> {
  let summary = "position of each new token of a row with a past";
  let description = [{
    `result[b, s] = past[b] + s` with `past : [B]`, `result : [B, S]`. `like : [B, S]` or `[B, S, E]`
    gives S; its elements are not read.

    Constraints:
    * C1: `like` and `past` have the same B.
  }];
  let arguments = (ins Transformer_I32<[1]>:$past, TensorRankOf<[AnyType], [2, 3]>:$like);
  let results = (outs Transformer_I32<[2]>:$result);
  let assemblyFormat = "$past `,` $like attr-dict `:` functional-type(operands, results)";
}

def Transformer_ContextPositionsOp : Transformer_TensorOp<"context_positions"> {
  let summary = "position of each slot of a row's paged context";
  let description = [{
    `result[b, c] = c` with `block_table : [B, NB]`, `result : [B, NB * block_size]`. The elements of
    the table are not read.

    Constraints:
    * C1: `block_size` is positive.
  }];
  let arguments = (ins Transformer_I32<[2]>:$block_table, I64Attr:$block_size);
  let results = (outs Transformer_I32<[2]>:$result);
  let assemblyFormat = "$block_table attr-dict `:` functional-type(operands, results)";
}

def Transformer_RopeTableOp : Transformer_TensorOp<"rope_table"> {
  let summary = "cosines and sines of rotary position embedding";
  let description = [{
    `cos[b, s, j] = attention_factor * cos(angle)`, `sin` alike, with
    `angle = f32(positions[b, s]) * inv_freq[j]` rounded to f32, as the reference rounds it.
    `positions : [B, S]`, `inv_freq : [D/2]` or, different by row, `[B, D/2]`, results `[B, S, D/2]`.
    Packed: `positions : [T]`, `inv_freq : [D/2]` or, different by token, `[T, D/2]`, results `[T, D/2]`.

    Cosine and sine are computed in f64 with an explicit range reduction, so they are right to f32 for
    every angle below 2^31, not only for small ones.

    Constraints:
    * C1: `inv_freq`, if of rank 2, has the B (packed: the T) of `positions`.
    * C2: `attention_factor` is finite.

    Source: RoFormer (arXiv 2104.09864); `LlamaRotaryEmbedding` of the reference library.
  }];
  let arguments = (ins Transformer_I32<[1, 2]>:$positions, Transformer_F32<[1, 2]>:$inv_freq,
                       DefaultValuedAttr<F64Attr, "1.0">:$attention_factor);
  let results = (outs Transformer_F32<[2, 3]>:$cos, Transformer_F32<[2, 3]>:$sin);
  let assemblyFormat = "$positions `,` $inv_freq attr-dict `:` functional-type(operands, results)";
}

def Transformer_DynamicRopeFrequenciesOp : Transformer_TensorOp<"dynamic_rope_frequencies"> {
  let summary = "inverse frequencies of dynamic NTK scaling, by row";
  let description = [{
    `positions : [B, S]`, `result : [B, dim/2]`. With M = `max_position` and
    `length = max(max_s positions[b, s] + 1, M)`,
    `base' = base * (factor * length / M - (factor - 1)) ^ (dim / (dim - 2))` and
    `result[b, j] = 1 / base' ^ (2 j / dim)`.

    Each row uses its own length, so a row's result does not depend on what else is in the batch (the
    reference takes the longest row). Rounding follows the reference: `base'`, the exponent and the power
    are rounded to f32.

    Constraints:
    * C1: `dim` is even and at least 4.
    * C2: `base` > 1, `factor` >= 1, both finite.
    * C3: `max_position` is in [1, 2^31).

    Source: `_compute_dynamic_ntk_parameters` of the reference library.
  }];
  let arguments = (ins Transformer_I32<[2]>:$positions, F64Attr:$base, I64Attr:$dim, F64Attr:$factor,
                       I64Attr:$max_position);
  let results = (outs Transformer_F32<[2]>:$result);
  let assemblyFormat = "$positions attr-dict `:` functional-type(operands, results)";
}

def Transformer_RopeOp : Transformer_TensorOp<"rope"> {
  let summary = "rotary position embedding";
  let description = [{
    Rotates pairs of elements of each head. `x` is one of
    * by head `[B, H, S, D]`, with `cos, sin : [B, S, R/2]`;
    * by token `[B, S, heads * D]`, with `cos, sin : [B, S, R/2]`;
    * packed `[T, heads * D]`, with `cos, sin : [T, R/2]`.

    The result is as x. In each head, for j < R/2 with the pair (lo, hi):
    `result[lo] = x[lo] * cos[j] - x[hi] * sin[j]`, `result[hi] = x[hi] * cos[j] + x[lo] * sin[j]`.
    The pair is (j, j + R/2), or (2 j, 2 j + 1) if `interleaved`. Elements from R on pass through.

    Constraints:
    * C1: `cos` and `sin` have the same shape.
    * C2: the axes of `cos` before its last are the B and S, or the T, of `x`.
    * C3: R = 2 * (last dimension of `cos`) is at most D.
    * C4: `heads` is given unless `x` is by head; it is positive and divides the last axis of `x`.

    Source: RoFormer (arXiv 2104.09864); `apply_rotary_pos_emb` of Llama (half) and GPT-J (interleaved).
  }];
  let arguments = (ins Transformer_Float<[2, 3, 4]>:$x, Transformer_F32<[2, 3]>:$cos,
                       Transformer_F32<[2, 3]>:$sin, OptionalAttr<I64Attr>:$heads,
                       UnitAttr:$interleaved);
  let results = (outs Transformer_Float<[2, 3, 4]>:$result);
  let assemblyFormat = "$x `,` $cos `,` $sin attr-dict `:` functional-type(operands, results)";
}

#endif // INGOT_TRANSFORMER_EMBEDDING_OPS_TD
