//===- LinearOps.td - Linear layers and activations --------*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_LINEAR_OPS_TD
#define INGOT_TRANSFORMER_LINEAR_OPS_TD

include "dialects/Transformer/TransformerAttrs.td"

def Transformer_LinearOp : Transformer_TensorOp<"linear"> {
  let summary = "affine map of the last axis";
  let description = [{
    `result[..., n] = sum_k(x[..., k] * weight[n, k]) + bias[n]` with `x : [..., K]`, `weight : [N, K]`
    (the checkpoint's own layout), `bias : [N]`. The sum is taken in f32.

    Constraints:
    * C1: the last axes of `x` and `weight` are equal (K).
    * C2: `bias` has N elements.
    * C3: all operands have the same element type.

    Source: `torch.nn.functional.linear`.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Transformer_Float<[2]>:$weight,
                       Optional<Transformer_Float<[1]>>:$bias);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = [{
    $x `,` $weight (`,` $bias^)? attr-dict `:` functional-type(operands, results)
  }];
}

def Transformer_ActivationOp : Transformer_TensorOp<"activation"> {
  let summary = "activation function";
  let description = [{
    `result = kind(x)`, element by element, computed in f32:

    | kind | formula |
    |---|---|
    | `linear` | x |
    | `gelu` | 0.5 x (1 + erf(x / sqrt 2)) |
    | `gelu_tanh` | 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) |
    | `gelu_10` | `gelu`, clipped to [-10, 10] |
    | `quick_gelu` | x sigmoid(1.702 x) |
    | `silu` | x / (1 + exp(-x)) |
    | `relu`, `relu2`, `relu6` | max(x, 0), its square, min(max(x, 0), 6) |
    | `leaky_relu` | x if x > 0, else 0.01 x |
    | `tanh`, `sigmoid` | as named |
    | `mish` | x tanh(log(1 + exp(x))) |
    | `laplace` | 0.5 (1 + erf((x - 0.707107) / (0.282095 sqrt 2))) |

    `kind = linear` and `relu` of `relu` fold away. Any shape fits.

    Source: `ACT2FN` of the reference library.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Transformer_ActivationKindAttr:$kind);
  let results = (outs Transformer_FloatAny:$result);
  let assemblyFormat = "custom<Kind>($kind) $x attr-dict `:` functional-type(operands, results)";
  let hasFolder = 1;
  let hasVerifier = 0;
}

#endif // INGOT_TRANSFORMER_LINEAR_OPS_TD
