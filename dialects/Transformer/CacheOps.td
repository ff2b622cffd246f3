//===- CacheOps.td - The paged key/value cache -------------*- tablegen -*-===//
//
// A cache is NBLK physical blocks of `block` tokens each. Row b's tokens [n * block, (n + 1) * block)
// are in physical block block_table[b, n]. Block 0 is the null block: no row owns it, and entries
// behind a row's last block name it.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_CACHE_OPS_TD
#define INGOT_TRANSFORMER_CACHE_OPS_TD

include "dialects/Transformer/TransformerDialect.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"

def Transformer_CacheAppendOp : Transformer_TensorOp<"cache_append", [
    AttrSizedOperandSegments, DeclareOpInterfaceMethods<DestinationStyleOpInterface>]> {
  let summary = "write each row's new tokens behind its past";
  let description = [{
    The cache with the new tokens of row b at the logical positions p = past[b], past[b] + 1, ...:
    `result[block_table[b, p / block], h, p % block, :]` is head h of the token at p; all else is
    unchanged. `cache : [NBLK, Hkv, block, D]`, `block_table : [B, NB]`, `past : [B]`. The tokens are
    * by head, `x : [B, Hkv, S, D]`, or by token, `x : [B, S, Hkv * D]`, with `num_tokens : [B]`: of row
      b, the first `num_tokens[b]`;
    * packed, `x : [T, Hkv * D]`, with `cu_seqlens : [N]`, N > B: of row b, those in
      [cu_seqlens[b], cu_seqlens[b + 1]).

    It is a value operation in destination style; a cache that is program state is written in place. Nothing outside the cache is ever
    written, nor outside `x` read: negative lengths count as zero, tokens past the end of the row's
    table or of `x` are dropped, and block numbers are clamped to [0, NBLK).

    Constraints:
    * C1: `x` has the Hkv and D of `cache`, or their product as its width.
    * C2: `block_table`, `past` and `num_tokens` have the B of `x`; packed, the first two have the same B.
    * C3: `block` is static and positive; unless `x` is by head, Hkv and D are static too.
    * C4: `cache` and `x` have the same element type.
    * C5: packed `x` has `cu_seqlens` and no `num_tokens`; other `x` has `num_tokens` and no
      `cu_seqlens`.

    Source: paged attention, arXiv 2309.06180.
  }];
  let arguments = (ins Transformer_Float<[4]>:$cache, Transformer_Float<[2, 3, 4]>:$x,
                       Transformer_I32<[2]>:$block_table, Transformer_I32<[1]>:$past,
                       Optional<Transformer_I32<[1]>>:$num_tokens,
                       Optional<Transformer_I32<[1]>>:$cu_seqlens);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = [{
    $cache `,` $x `,` $block_table `,` $past (`,` $num_tokens^)?
    (`cu_seqlens` `(` $cu_seqlens^ `)`)? attr-dict `:` functional-type(operands, results)
  }];
}

def Transformer_CacheGatherOp : Transformer_TensorOp<"cache_gather"> {
  let summary = "each row's context, in order";
  let description = [{
    `result[b, h, n * block + t, d] = cache[clamp(block_table[b, n], 0, NBLK - 1), h, t, d]` with
    `cache : [NBLK, Hkv, block, D]`, `block_table : [B, NB]`, `result : [B, Hkv, NB * block, D]`.
    What is behind a row's length is whatever the blocks hold; the attention mask hides it.

    Constraints:
    * C1: `block` is static and positive.

    Source: paged attention, arXiv 2309.06180.
  }];
  let arguments = (ins Transformer_Float<[4]>:$cache, Transformer_I32<[2]>:$block_table);
  let results = (outs Transformer_Float<[4]>:$result);
  let assemblyFormat = "$cache `,` $block_table attr-dict `:` functional-type(operands, results)";
}

#endif // INGOT_TRANSFORMER_CACHE_OPS_TD
