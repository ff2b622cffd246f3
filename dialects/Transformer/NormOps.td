//===- NormOps.td - Normalizations over the last axis ------*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_NORM_OPS_TD
#define INGOT_TRANSFORMER_NORM_OPS_TD

include "dialects/Transformer/TransformerDialect.td"

def Transformer_RmsNormOp : Transformer_TensorOp<"rms_norm"> {
  let summary = "root mean square normalization";
  let description = [{
    `result[..., e] = (x[..., e] / sqrt(mean_e(x[..., e]^2) + eps)) * weight[e]` with `x : [..., E]`,
    `weight : [E]`. The mean is taken in f32.

    Constraints:
    * C1: `weight` has as many elements as the last axis of `x`.
    * C2: `x` and `weight` have the same element type.
    * C3: `eps` is finite and not negative.

    Source: arXiv 1910.07467; `LlamaRMSNorm` of the reference library.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Transformer_Float<[1]>:$weight, F64Attr:$eps);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = "$x `,` $weight attr-dict `:` functional-type(operands, results)";
}

def Transformer_LayerNormOp : Transformer_TensorOp<"layer_norm", [AttrSizedOperandSegments]> {
  let summary = "layer normalization";
  let description = [{
    `result[..., e] = (x[..., e] - mean) / sqrt(variance + eps) * weight[e] + bias[e]` with `x : [..., E]`,
    `mean = mean_e(x)` and `variance = mean_e((x - mean)^2)` in f32, in two passes. An absent `weight`
    is one, an absent `bias` zero.

    Constraints:
    * C1: `weight` and `bias` have as many elements as the last axis of `x`.
    * C2: all operands have the same element type.
    * C3: `eps` is finite and not negative.

    Source: arXiv 1607.06450; `torch.nn.LayerNorm`.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Optional<Transformer_Float<[1]>>:$weight,
                       Optional<Transformer_Float<[1]>>:$bias, F64Attr:$eps);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = [{
    $x (`weight` `(` $weight^ `)`)? (`bias` `(` $bias^ `)`)? attr-dict `:`
    functional-type(operands, results)
  }];
}

def Transformer_L2NormalizeOp : Transformer_TensorOp<"l2_normalize"> {
  let summary = "scale the last axis to length one";
  let description = [{
    `result[..., e] = x[..., e] / max(sqrt(sum_e(x[..., e]^2)), eps)` with `x : [..., E]`; the sum is
    taken in f32.

    Constraints:
    * C1: `eps` is finite and positive, so that a row of zeros stays zero.

    Source: `torch.nn.functional.normalize`.
  }];
  let arguments = (ins Transformer_FloatAny:$x, DefaultValuedAttr<F64Attr, "1.0e-12">:$eps);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = "$x attr-dict `:` functional-type(operands, results)";
}

#endif // INGOT_TRANSFORMER_NORM_OPS_TD
