//===- PackingOps.td - Between padded batches and packed tokens -*- tablegen -*-===//
//
// A padded batch holds row b's tokens at [b, s] where its mask is true, anywhere in the row. Packed, the
// valid tokens of all rows stand one behind the other: token t of row b is at cu_seqlens[b] + t, and there
// are T = cu_seqlens[last] of them. T is a dimension whose size is data: it reifies to an element of
// cu_seqlens, bounded by B * S.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_PACKING_OPS_TD
#define INGOT_TRANSFORMER_PACKING_OPS_TD

include "dialects/Transformer/TransformerDialect.td"

def Transformer_LengthMaskOp : Transformer_TensorOp<"length_mask"> {
  let summary = "mask of rows that are padded behind their tokens";
  let description = [{
    `result[b, s] = s < lengths[b]` with `lengths : [B]`, `result : [B, S]`. `like : [B, S]` gives S; its
    elements are not read.

    Constraints:
    * C1: `like` and `lengths` have the same B.
  }];
  let arguments = (ins Transformer_I32<[1]>:$lengths, TensorRankOf<[AnyType], [2]>:$like);
  let results = (outs Transformer_Mask<[2]>:$result);
  let assemblyFormat = "$lengths `,` $like attr-dict `:` functional-type(operands, results)";
}

def Transformer_CuSeqlensOp : Transformer_TensorOp<"cu_seqlens"> {
  let summary = "where each row's tokens begin once they are packed";
  let description = [{
    `result[n]` is the number of valid tokens in rows before n, `mask : [B, S]`, `result : [rows + 1]`. Entries
    behind the last row repeat the total, so `result[rows]` is T, and a row has `result[b + 1] - result[b]`
    tokens. Rows from `rows` on are not counted.

    Constraints:
    * C1: `rows` is in [1, 2^31).
    * C2: B is at most `rows`.

    Source: the variable-length interface of FlashAttention.
  }];
  let arguments = (ins Transformer_Mask<[2]>:$mask, I64Attr:$rows);
  let results = (outs Transformer_I32<[1]>:$result);
  let assemblyFormat = "$mask attr-dict `:` functional-type(operands, results)";
}

def Transformer_TokenIndicesOp : Transformer_TensorOp<"token_indices"> {
  let summary = "where each packed token stands in the padded batch";
  let description = [{
    `result[t] = b * S + s` for the t-th valid token [b, s], in order of rows and then of s;
    `mask : [B, S]`, `cu_seqlens : [N]`, `result : [T]` with T = min(cu_seqlens[N - 1], B * S), at least 0.
    If the mask has fewer valid tokens than T, the result ends in zeros.

    The shapes are all that there is to check.
  }];
  let arguments = (ins Transformer_Mask<[2]>:$mask, Transformer_I32<[1]>:$cu_seqlens);
  let results = (outs Transformer_I32<[1]>:$result);
  let assemblyFormat = "$mask `,` $cu_seqlens attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 0;
}

def Transformer_TokenSlotsOp : Transformer_TensorOp<"token_slots"> {
  let summary = "where each token of the padded batch stands once packed";
  let description = [{
    `result[b, s] = cu_seqlens[b] + (number of valid tokens of row b before s)` where the mask is true, and -1
    where it is false; `mask : [B, S]`, `cu_seqlens : [N]`, `result : [B, S]`.

    The shapes are all that there is to check.
  }];
  let arguments = (ins Transformer_Mask<[2]>:$mask, Transformer_I32<[1]>:$cu_seqlens);
  let results = (outs Transformer_I32<[2]>:$result);
  let assemblyFormat = "$mask `,` $cu_seqlens attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 0;
}

def Transformer_PackOp : Transformer_TensorOp<"pack"> {
  let summary = "the valid tokens of a padded batch, one behind the other";
  let description = [{
    `result[t, ...] = x[i / S, i % S, ...]` with `i = clamp(indices[t], 0, B * S - 1)`, `x : [B, S, ...]`,
    `indices : [T]`, `result : [T, ...]`.

    Folds: pack of an unpack over slots of the same mask and cu_seqlens is what was unpacked.

    The shapes are all that there is to check.
  }];
  let arguments = (ins TensorRankOf<[F32, F16, BF16, I32, I1], [2, 3, 4, 5]>:$x,
                       Transformer_I32<[1]>:$indices);
  let results = (outs TensorRankOf<[F32, F16, BF16, I32, I1], [1, 2, 3, 4]>:$result);
  let assemblyFormat = "$x `,` $indices attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 0;
  let hasFolder = 1;
}

def Transformer_UnpackOp : Transformer_TensorOp<"unpack"> {
  let summary = "a padded batch out of packed tokens";
  let description = [{
    `result[b, s, ...] = x[slots[b, s], ...]` where the slot is in [0, T) and at most b * S + s, and zero
    elsewhere; `x : [T, ...]`, `slots : [B, S]`, `result : [B, S, ...]`. No token is packed behind its place
    (`token_slots`), so a family may move tokens to their places within one buffer, the last one first.

    The shapes are all that there is to check.
  }];
  let arguments = (ins TensorRankOf<[F32, F16, BF16, I32, I1], [1, 2, 3, 4]>:$x,
                       Transformer_I32<[2]>:$slots);
  let results = (outs TensorRankOf<[F32, F16, BF16, I32, I1], [2, 3, 4, 5]>:$result);
  let assemblyFormat = "$x `,` $slots attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 0;
}

def Transformer_PackedPositionsOp : Transformer_TensorOp<"packed_positions", [AttrSizedOperandSegments]> {
  let summary = "position of each packed token in its row";
  let description = [{
    `result[t] = t - cu_seqlens[b] + offset`, plus `past[b]` if given, with b the row of token t: the last
    one with `cu_seqlens[b] <= t`. `cu_seqlens : [N]`, `past : [B]`, `result : [T]`. `like : [T, ...]` gives
    T; its elements are not read. The row is clamped to [0, B).

    With `counted : [T]` only tokens where it is true count: `result[t] = max(count(t) - 1, 0) + offset`,
    plus `past[b]`, where `count(t)` is the number of those in row b up to and with t; where `counted[t]` is
    false and `padding_position` is given, the result is `padding_position` instead.

    Constraints:
    * C1: `offset` and `padding_position` are in [0, 2^31).
    * C2: `counted` has the T of `like`.
    * C3: `padding_position` comes with `counted`.

    Source: as for `transformer.positions`.
  }];
  let arguments = (ins Transformer_I32<[1]>:$cu_seqlens, AnyRankedTensor:$like,
                       Optional<Transformer_I32<[1]>>:$past, Optional<Transformer_Mask<[1]>>:$counted,
                       DefaultValuedAttr<I64Attr, "0">:$offset,
                       OptionalAttr<I64Attr>:$padding_position);
  let results = (outs Transformer_I32<[1]>:$result);
  let assemblyFormat = [{
    $cu_seqlens `,` $like (`past` $past^)? (`counted` $counted^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def Transformer_PackedMeanPoolOp : Transformer_TensorOp<"packed_mean_pool"> {
  let summary = "mean of each row's packed tokens";
  let description = [{
    `result[b, e] = sum of x[t, e] over the tokens t of row b / max(their number, 1e-9)` with `x : [T, E]`,
    `cu_seqlens : [N]`, `result : [B, E]`, in f32. A row without tokens gives zeros. `like : [B, ...]` gives
    B; its elements are not read. Without it B is N - 1.

    Constraints:
    * C1: B is at most N - 1.

    Source: mean pooling of sentence-transformers.
  }];
  let arguments = (ins Transformer_Float<[2]>:$x, Transformer_I32<[1]>:$cu_seqlens,
                       Optional<AnyRankedTensor>:$like);
  let results = (outs Transformer_Float<[2]>:$result);
  let assemblyFormat = [{
    $x `,` $cu_seqlens (`like` $like^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Transformer_PackedTokenOp : Transformer_TensorOp<"packed_token"> {
  let summary = "the first or last packed token of each row";
  let description = [{
    `result[b, e] = x[cu_seqlens[b], e]`, or `x[cu_seqlens[b + 1] - 1, e]` if `last`, with `x : [T, E]`,
    `cu_seqlens : [N]`, `result : [B, E]`. A row without tokens gives zeros. `like : [B, ...]` gives B; its
    elements are not read. Without it B is N - 1.

    Constraints:
    * C1: B is at most N - 1.
  }];
  let arguments = (ins Transformer_Float<[2]>:$x, Transformer_I32<[1]>:$cu_seqlens,
                       Optional<AnyRankedTensor>:$like, UnitAttr:$last);
  let results = (outs Transformer_Float<[2]>:$result);
  let assemblyFormat = [{
    $x `,` $cu_seqlens (`like` $like^)? attr-dict `:` functional-type(operands, results)
  }];
}

#endif // INGOT_TRANSFORMER_PACKING_OPS_TD
