//===- PoolingOps.td - From tokens to one vector a row -----*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_POOLING_OPS_TD
#define INGOT_TRANSFORMER_POOLING_OPS_TD

include "dialects/Transformer/TransformerDialect.td"

def Transformer_FirstTokenOp : Transformer_TensorOp<"first_token"> {
  let summary = "index of each row's first valid token";
  let description = [{
    `result[b]` is the smallest s with `mask[b, s]`, or 0 if there is none; `mask : [B, S]`,
    `result : [B]`. Any shape fits.
  }];
  let arguments = (ins Transformer_Mask<[2]>:$mask);
  let results = (outs Transformer_I32<[1]>:$result);
  let assemblyFormat = "$mask attr-dict `:` functional-type(operands, results)";
  let hasVerifier = 0;
}

def Transformer_SelectTokenOp : Transformer_TensorOp<"select_token"> {
  let summary = "one token of each row";
  let description = [{
    `result[b, e] = x[b, clamp(index[b], 0, S - 1), e]` with `x : [B, S, E]`, `index : [B]`,
    `result : [B, E]`.

    Constraints:
    * C1: `index` has the B of `x`.
  }];
  let arguments = (ins Transformer_Float<[3]>:$x, Transformer_I32<[1]>:$index);
  let results = (outs Transformer_Float<[2]>:$result);
  let assemblyFormat = "$x `,` $index attr-dict `:` functional-type(operands, results)";
}

def Transformer_MeanPoolOp : Transformer_TensorOp<"mean_pool"> {
  let summary = "mean of each row's valid tokens";
  let description = [{
    `result[b, e] = sum_s(mask[b, s] ? x[b, s, e] : 0) / max(number of valid tokens, 1e-9)` with
    `x : [B, S, E]`, `mask : [B, S]`, `result : [B, E]`, in f32. A row without valid tokens gives zeros.

    Constraints:
    * C1: `mask` has the B and S of `x`.

    Source: mean pooling of sentence-transformers.
  }];
  let arguments = (ins Transformer_Float<[3]>:$x, Transformer_Mask<[2]>:$mask);
  let results = (outs Transformer_Float<[2]>:$result);
  let assemblyFormat = "$x `,` $mask attr-dict `:` functional-type(operands, results)";
}

#endif // INGOT_TRANSFORMER_POOLING_OPS_TD
