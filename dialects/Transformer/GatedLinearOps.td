//===- GatedLinearOps.td - Gated linear layers -------------*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_GATED_LINEAR_OPS_TD
#define INGOT_TRANSFORMER_GATED_LINEAR_OPS_TD

include "dialects/Transformer/TransformerAttrs.td"

def Transformer_GatedLinearOp : Transformer_TensorOp<"gated_linear"> {
  let summary = "two affine maps of the last axis, the one gating the other";
  let description = [{
    `result[..., f] = kind(gate[..., f]) * up[..., f]` with `x : [..., K]`, `weight : [2F, K]`, `bias : [2F]`,
    ```
    gate[..., f] = sum_k(x[..., k] * weight[f, k]) + bias[f]
    up[..., f]   = sum_k(x[..., k] * weight[F + f, k]) + bias[F + f]
    ```
    and `kind` as in `transformer.activation`. All of it is in f32; the result is rounded once.

    Constraints:
    * C1: the last axes of `x` and `weight` are equal (K).
    * C2: `bias` has as many elements as `weight` has rows.
    * C3: all operands have the same element type.
    * C4: `weight` has an even number of rows: F of the gate, then F of what it gates.

    Made by `fuse-projections`. Source: arXiv 2002.05202; `LlamaMLP` of the reference library.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Transformer_Float<[2]>:$weight,
                       Optional<Transformer_Float<[1]>>:$bias, Transformer_ActivationKindAttr:$kind);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = [{
    custom<Kind>($kind) $x `,` $weight (`,` $bias^)? attr-dict `:`
    functional-type(operands, results)
  }];
}

#endif // INGOT_TRANSFORMER_GATED_LINEAR_OPS_TD
