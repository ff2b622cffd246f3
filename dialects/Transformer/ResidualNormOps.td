//===- ResidualNormOps.td - Residual addition and norm -----*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_RESIDUAL_NORM_OPS_TD
#define INGOT_TRANSFORMER_RESIDUAL_NORM_OPS_TD

include "dialects/Transformer/TransformerDialect.td"

def Transformer_AddRmsNormOp : Transformer_TensorOp<"add_rms_norm"> {
  let summary = "residual addition and root mean square normalization of the sum";
  let description = [{
    `sum = x + residual`, `normed = rms_norm(sum, weight)` as `transformer.rms_norm` has it, on the sum
    as it is rounded to the element type.

    Constraints:
    * C1: `x` and `residual` have the same shape.
    * C2: `weight` has as many elements as the last axis of `x`.
    * C3: all operands have the same element type.
    * C4: `eps` is finite and not negative.

    Made by `fuse-residual-norm`.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Transformer_FloatAny:$residual,
                       Transformer_Float<[1]>:$weight, F64Attr:$eps);
  let results = (outs Transformer_FloatAny:$sum, Transformer_FloatAny:$normed);
  let assemblyFormat = [{
    $x `,` $residual `,` $weight attr-dict `:` functional-type(operands, results)
  }];
}

def Transformer_AddLayerNormOp
    : Transformer_TensorOp<"add_layer_norm", [AttrSizedOperandSegments]> {
  let summary = "residual addition and layer normalization of the sum";
  let description = [{
    `sum = x + residual`, `normed = layer_norm(sum, weight, bias)` as `transformer.layer_norm` has it,
    on the sum as it is rounded to the element type. An absent `weight` is one, an absent `bias` zero.

    Constraints:
    * C1: `x` and `residual` have the same shape.
    * C2: `weight` and `bias` have as many elements as the last axis of `x`.
    * C3: all operands have the same element type.
    * C4: `eps` is finite and not negative.

    Made by `fuse-residual-norm`.
  }];
  let arguments = (ins Transformer_FloatAny:$x, Transformer_FloatAny:$residual,
                       Optional<Transformer_Float<[1]>>:$weight,
                       Optional<Transformer_Float<[1]>>:$bias, F64Attr:$eps);
  let results = (outs Transformer_FloatAny:$sum, Transformer_FloatAny:$normed);
  let assemblyFormat = [{
    $x `,` $residual (`weight` `(` $weight^ `)`)? (`bias` `(` $bias^ `)`)? attr-dict `:`
    functional-type(operands, results)
  }];
}

#endif // INGOT_TRANSFORMER_RESIDUAL_NORM_OPS_TD
