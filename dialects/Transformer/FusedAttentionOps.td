//===- FusedAttentionOps.td - Attention as one op ----------*- tablegen -*-===//
//
// What fuse-attention makes of the parts in AttentionOps.td. It works on rows of tokens as linear
// layers give and take them, so no op that moves heads remains around it.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_FUSED_ATTENTION_OPS_TD
#define INGOT_TRANSFORMER_FUSED_ATTENTION_OPS_TD

include "dialects/Transformer/TransformerAttrs.td"

def Transformer_AttentionOp : Transformer_TensorOp<"attention", [AttrSizedOperandSegments]> {
  let summary = "scaled dot-product attention of all heads";
  let description = [{
    For each token, position q, and each head h with its key/value head g = h / (heads / kv_heads),
    over the keys at positions k that the token sees:

    `s = scale * (query[h] . key[g])`; with `alibi_before_scale`,
    `s = scale * (query[h] . key[g] + alibi_slopes[h] * (k - q))`;
    with `softcap`, `s = softcap * tanh(s / softcap)`; with `alibi_slopes` otherwise,
    `s += alibi_slopes[h] * (k - q)`; with `bias`, `s += bias[b, h, s, c]`.
    `p = softmax(s)`, with `sinks` one more score `sinks[h]` in the maximum and the sum; with `head_mask`,
    `p *= head_mask[h]`; `out[h] = sum(p * value[g])`. Sums and the softmax are taken in f32.

    D and Dv are the widths of a query or key and of a value head. What there is to see comes in four
    forms, told apart by the operands:

    | form | q | k and v | positions |
    |---|---|---|---|
    | padded | [B, S, heads * D] | [B, C, kv_heads * D], [B, C, kv_heads * Dv] | `query_positions` [B, S], `key_positions` [B, C]; hidden where `key_valid` [B, C] is false |
    | padded, paged | [B, S, heads * D] | caches [NBLK, kv_heads, block, D], [NBLK, kv_heads, block, Dv] | `block_table` [B, NB], `past` [B]: query s of row b is at past[b] + s, slot c at c |
    | packed | [T, heads * D] | [T, kv_heads * D], [T, kv_heads * Dv] | `cu_seqlens` [N]: token t of row b, in [cu_seqlens[b], cu_seqlens[b + 1]), is at t - cu_seqlens[b] and sees its row alone |
    | packed, paged | [T, heads * D] | caches | `block_table`, `past`, `cu_seqlens` with N > B: token t of row b is at past[b] + t - cu_seqlens[b] and sees slots of its row; if not `causal`, those before past[b] + cu_seqlens[b + 1] - cu_seqlens[b] |

    With `causal` a token sees keys with k <= q; with `window`, those with q - k < window. Entries of
    `cu_seqlens` behind the last row repeat the total; rows may be empty. A padded query that sees
    nothing averages the values of all C keys (with `sinks`: gives zeros), as `apply_mask` and `softmax`
    do; tokens behind the total of packed ones give anything finite where their inputs are.

    `out` is as q with the width heads * Dv. With `return_probabilities` the second result is p as
    [B, heads, S, C]. Back ends are strategies, not meanings: `math` makes the scores as a tensor and
    does anything; `efficient` goes block by block over the keys in O(S) memory; `flash` does so with
    matrix instructions. No back end is chosen before `select-attention`.

    Constraints:
    * C1: the operands are those of one form; paged and padded is `causal`.
    * C2: q, k and v have the ranks of the form.
    * C3: `heads` and `kv_heads` are positive, and `heads` is a multiple of `kv_heads`.
    * C4: the widths of q, k and v are heads * D, kv_heads * D and kv_heads * Dv; caches have kv_heads
      and D, and a static, positive block.
    * C5: q, k, v, positions, `key_valid`, `block_table` and `past` agree in B, S, C, T, NBLK and block.
    * C6: q, k and v have the same element type.
    * C7: `scale` is finite, `window` positive, `softcap` finite and positive.
    * C8: `bias`, [B or 1, heads or 1, S, C], is for the padded form.
    * C9: `alibi_slopes`, `sinks` and `head_mask` have `heads` elements; `alibi_before_scale` comes with
      `alibi_slopes`.
    * C10: `return_probabilities` is for the padded form.
    * C11: the back end can do it: `flash` takes f16 and bf16, no `bias`; `flash` and `efficient` take no
      `head_mask` and return no probabilities.

    Source: arXiv 1706.03762; `eager_attention_forward` of the reference library; FlashAttention, arXiv
    2205.14135.
  }];
  let arguments = (ins Transformer_Float<[2, 3]>:$q, Transformer_Float<[2, 3, 4]>:$k,
                       Transformer_Float<[2, 3, 4]>:$v,
                       Optional<Transformer_I32<[2]>>:$query_positions,
                       Optional<Transformer_I32<[2]>>:$key_positions,
                       Optional<Transformer_Mask<[2]>>:$key_valid,
                       Optional<Transformer_I32<[1]>>:$cu_seqlens,
                       Optional<Transformer_I32<[2]>>:$block_table,
                       Optional<Transformer_I32<[1]>>:$past,
                       Optional<Transformer_Float<[4]>>:$bias,
                       Optional<Transformer_F32<[1]>>:$alibi_slopes,
                       Optional<Transformer_Float<[1]>>:$sinks,
                       Optional<Transformer_Float<[1]>>:$head_mask,
                       I64Attr:$heads, I64Attr:$kv_heads, F64Attr:$scale, UnitAttr:$causal,
                       OptionalAttr<I64Attr>:$window, OptionalAttr<F64Attr>:$softcap,
                       UnitAttr:$alibi_before_scale, UnitAttr:$return_probabilities,
                       OptionalAttr<Transformer_AttentionBackendAttr>:$backend);
  let results = (outs Transformer_Float<[2, 3]>:$out,
                      Optional<Transformer_Float<[4]>>:$probabilities);
  let assemblyFormat = [{
    (`by` $backend^)? $q `,` $k `,` $v
    oilist(`query_positions` `(` $query_positions `)`
         | `key_positions` `(` $key_positions `)`
         | `key_valid` `(` $key_valid `)`
         | `cu_seqlens` `(` $cu_seqlens `)`
         | `block_table` `(` $block_table `)`
         | `past` `(` $past `)`
         | `bias` `(` $bias `)`
         | `alibi_slopes` `(` $alibi_slopes `)`
         | `sinks` `(` $sinks `)`
         | `head_mask` `(` $head_mask `)`)
    attr-dict `:` functional-type(operands, results)
  }];
  let members = [{
    /// The form, told by the operands.
    bool isPaged() { return bool(getBlockTable()); }
    bool isPacked() { return bool(getCuSeqlens()); }
    /// Elements of a value head, or kDynamic.
    int64_t getValueWidth();
    /// The rule that keeps `backend` from running this op, "flash takes f16 or bf16, got f32", or
    /// nothing.
    std::optional<std::string> whyNot(AttentionBackend backend);
  }];
}

#endif // INGOT_TRANSFORMER_FUSED_ATTENTION_OPS_TD
