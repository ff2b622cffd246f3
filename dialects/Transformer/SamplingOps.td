//===- SamplingOps.td - From logits to tokens --------------*- tablegen -*-===//
//
// What the generation loop does with logits, as operations, so that a program can do it: the rules are
// those of runtime/generate/Sampler.h, and the tokens are the same.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_SAMPLING_OPS_TD
#define INGOT_TRANSFORMER_SAMPLING_OPS_TD

include "dialects/Transformer/TransformerDialect.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"

class Transformer_I64<list<int> ranks> : TensorRankOf<[I64], ranks>;

def Transformer_MarkTokensOp : Transformer_TensorOp<"mark_tokens", [
    DeclareOpInterfaceMethods<DestinationStyleOpInterface>]> {
  let summary = "remember which tokens each row was fed";
  let description = [{
    `seen : [N, V]` has a row of the vocabulary for each slot. Of each row b of the batch, in order, with
    n = slot[b]: if `past[b] <= 0`, row n becomes false; then `seen[n, ids[b, s]]` becomes true for
    s < num_tokens[b]. `ids : [B, S]`, `num_tokens, past, slot : [B]`. A row whose slot is not in [0, N), and an
    id that is not in [0, V), change nothing.

    It is a value operation in destination style; a `seen` that is program state is written in place. Slots of
    a call must be distinct: otherwise implementations may take the rows in any order.

    Constraints:
    * C1: `ids`, `num_tokens`, `past` and `slot` have the same B.
  }];
  let arguments = (ins Transformer_Mask<[2]>:$seen, Transformer_I32<[2]>:$ids,
                       Transformer_I32<[1]>:$num_tokens, Transformer_I32<[1]>:$past,
                       Transformer_I32<[1]>:$slot);
  let results = (outs Transformer_Mask<[2]>:$result);
  let assemblyFormat = [{
    $seen `,` $ids `,` $num_tokens `,` $past `,` $slot attr-dict `:` functional-type(operands, results)
  }];
}

def Transformer_SampleOp : Transformer_TensorOp<"sample"> {
  let summary = "the next token of each row";
  let description = [{
    A token for each row of `logits : [B, V]`, by options of that row, all `[B]`. In this order:
    1. `repetition_penalty` r, if it is > 0: logits of tokens t with `seen[slot[b], t]` become l * r where
       l < 0, and l / r elsewhere. A slot that is not in [0, N) has seen nothing. `seen : [N, V]`.
    2. If a logit is NaN, or the largest is not finite, the token is -1.
    3. `temperature`: unless it is > 0, the token is the one of the largest logit, the lowest of equal ones.
       Otherwise logits are divided by it; if the largest overflows by that, the token is the one of 2.
    4. `top_k` k, if 0 < k < V: logits below the k-th largest are dropped; ties with it stay.
    5. `top_p` p, if 0 < p < 1: in descending order, of equal ones the lower token first, tokens stay while the
       weights of those before them are less than p times all of them.
    6. `min_p`, if > 0: tokens whose weight is less than that share (at most 1) of the largest are dropped.
    7. The token is the first, by number, at which the sum of weights exceeds u times all of them; u is
       random number `draw` of `seed` (uniform in runtime/generate/Random.h; both are unsigned).

    The weight of a logit l is e^(l - largest) in units of 2^-40, by the integer arithmetic of
    runtime/generate/SamplingRule.h. Floats are rounded once an operation and in no other way. So the result
    is the same token wherever it is computed.

    Constraints:
    * C1: `logits` and all operands but `seen` have the same B.
    * C2: `seen` has the V of `logits`.
    * C3: V is static and in [1, 2^22].
  }];
  let arguments = (ins Transformer_F32<[2]>:$logits, Transformer_Mask<[2]>:$seen,
                       Transformer_I32<[1]>:$slot, Transformer_F32<[1]>:$temperature,
                       Transformer_I32<[1]>:$top_k, Transformer_F32<[1]>:$top_p,
                       Transformer_F32<[1]>:$min_p, Transformer_F32<[1]>:$repetition_penalty,
                       Transformer_I64<[1]>:$seed, Transformer_I64<[1]>:$draw);
  let results = (outs Transformer_I32<[1]>:$result);
  let assemblyFormat = [{
    $logits `seen` `(` $seen `,` $slot `)` `temperature` `(` $temperature `)` `top_k` `(` $top_k `)`
    `top_p` `(` $top_p `)` `min_p` `(` $min_p `)` `repetition_penalty` `(` $repetition_penalty `)`
    `random` `(` $seed `,` $draw `)` attr-dict `:` functional-type(operands, results)
  }];
}

#endif // INGOT_TRANSFORMER_SAMPLING_OPS_TD
