//===- Passes.td - The passes of this project, in pipeline order -*- tablegen -*-===//
//
// A pass, its flag, its file and its test share one name. A description is a contract: what holds
// before, what holds after, worked IR, what is diagnosed. Those of phases lower and plan are in
// LoweringPasses.td.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_PASSES_TD
#define INGOT_PASSES_TD

include "mlir/Pass/PassBase.td"

//===----------------------------------------------------------------------===//
// fuse
//===----------------------------------------------------------------------===//

def FuseAttention : Pass<"fuse-attention", "::mlir::func::FuncOp"> {
  let summary = "Attention's parts become one op on tokens";
  let description = [{
    Before: programs as importers emit them, canonical: scores, mask, softmax and mix by head.

    After: each attention of the following form is one `transformer.attention`, on tokens as linear
    layers give them. No `split_heads`, `merge_heads`, `repeat_kv` or `cache_gather` is left around
    it; `rope` and `cache_append` take tokens, and norms of heads have heads as an axis.

        merge_heads(matmul(p, v)), p = [scale_heads] softmax([apply_mask] s [, sinks])
        s = [+ bias] [add_alibi] [cap * tanh(. / cap)] [* scale] ([add_alibi] matmul(q, k^T))
        q = [* scale] [rope | norm]* split_heads(x)
        k, v = [repeat_kv] [cache_gather(cache_append(cache, .))] [rope | norm]* split_heads(x)

    A bias is `add_bias` or `arith.addf`; a scale is a product with or a quotient by a splat, on
    scores, queries or keys. Roundings to the model's type between the steps are left out: the fused
    form keeps f32. A mask is an `attention_mask`, on paged keys the causal one from each row's
    past. Probabilities that are used elsewhere become the second result; scores, masked scores and
    heads that are used elsewhere keep it from being fused, or are computed for those uses as before.

    ```mlir
    %q = transformer.split_heads %x {heads = 4 : i64} : (tensor<?x?x32xf32>) -> tensor<?x4x?x8xf32>
    %k = transformer.split_heads %y {heads = 4 : i64} : (tensor<?x?x32xf32>) -> tensor<?x4x?x8xf32>
    %s = transformer.matmul %q, %k {transpose_rhs} : …
    %c = arith.mulf %s, %splat : tensor<?x4x?x?xf32>
    %m = transformer.apply_mask %c, %mask : …
    %p = transformer.softmax %m : …
    %o = transformer.matmul %p, %v : …
    %r = transformer.merge_heads %o : …
    ```
    becomes
    ```mlir
    %r = transformer.attention %x, %y, %z query_positions(%a) key_positions(%b) key_valid(%valid)
      {causal, heads = 4 : i64, kv_heads = 4 : i64, scale = 0.35355339059327379 : f64} : …
    ```

    Each fusion is a passed remark of category `fuse-attention` at the softmax's location; each softmax
    that is multiplied with something and isn't fused is a missed remark that says why.
  }];
  let options = [
    Option<"testDropScale", "test-drop-scale", "int64_t", "-1",
           "Break the attention of this layer on purpose: its scale becomes 1 (for tests)">
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::arith::ArithDialect",
                           "::mlir::tensor::TensorDialect"];
}

def SelectAttention : Pass<"select-attention", "::mlir::ModuleOp"> {
  let summary = "Chooses a back end for every attention";
  let description = [{
    Before: `transformer.attention` without back ends. In the example it is on bf16.

    After: each has one. Where `attention` names one for the layer, it is that one. Otherwise it is the
    first legal one of `flash`, `efficient`, `math`. What is legal, the op says (its constraint C11):
    `flash` takes f16 and bf16 and no bias; neither it nor `efficient` takes a head mask or returns
    probabilities. So a program that returns probabilities of one layer has that layer alone on `math`.

    An op's layer is the first number in its location (`model.layers.3.self_attn`), else its place in
    the program.

    ```mlir
    %0 = transformer.attention %q, %k, %v query_positions(%a) key_positions(%b) {…}
    %1:2 = transformer.attention %q, %k, %v query_positions(%a) key_positions(%b) {return_probabilities, …}
    ```
    becomes
    ```mlir
    %0 = transformer.attention by flash %q, %k, %v query_positions(%a) key_positions(%b) {…}
    %1:2 = transformer.attention by math %q, %k, %v query_positions(%a) key_positions(%b) {return_probabilities, …}
    ```

    The choices are added to the model's provenance as `attention/PROGRAM/LAYERS` = "back end: reason",
    which `ingot inspect --section attention` shows.

    Each choice is a passed remark of category `select-attention`; each layer that is on `math` by
    necessity a missed one.

    Diagnoses: a request that doesn't parse or names a layer that isn't there (usage); a back end asked
    for that cannot run the op, with the rule and the types, or whose attention isn't fused
    (unsupported).
  }];
  let options = [
    Option<"attention", "attention", "std::string", "\"auto\"",
           "auto, flash, efficient or math, with :LAYERS for some layers; several with ; between">,
    Option<"testDropValidity", "test-drop-validity", "int64_t", "-1",
           "Break the attention of this layer on purpose: padding is a key (for tests)">
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
}

def FuseProjections : Pass<"fuse-projections", "::mlir::func::FuncOp"> {
  let summary = "Linear layers of one input become one linear layer";
  let description = [{
    Before: programs as importers write them, one linear a weight of the checkpoint.

    After: no two linears of a block share their `x`, unless a remark says why:
    * `mul(activation(linear(x, Wg)), linear(x, Wu))`, in either order, is a `gated_linear`;
    * all other linears of one `x` (query, key and value) are one, and each reader takes its columns
      by a `tensor.extract_slice` along the last axis. That is no copy: kernels read the columns.

    Weights and biases are joined by recipe (`concat` along axis 0, in program order, gate before
    up), so no weight byte is in the IR, and the original tensors can be had back from the ingot.
    Every element is the same sum in the same order as before; in f32 a `gated_linear` is exact as
    well, in f16 and bf16 it rounds once where three ops rounded three times.

    ```mlir
    %q = transformer.linear %x, %wq : (tensor<?x64xf32>, tensor<64x64xf32>) -> tensor<?x64xf32>
    %k = transformer.linear %x, %wk : (tensor<?x64xf32>, tensor<16x64xf32>) -> tensor<?x16xf32>
    ```
    becomes
    ```mlir
    %w = transformer.weight ["q", "k"] [load 0, load 1, concat [0, 2]] : tensor<80x64xf32>
    %qk = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<80x64xf32>) -> tensor<?x80xf32>
    %q = tensor.extract_slice %qk[0, 0] [%n, 64] [1, 1] : tensor<?x80xf32> to tensor<?x64xf32>
    %k = tensor.extract_slice %qk[0, 64] [%n, 16] [1, 1] : tensor<?x80xf32> to tensor<?x16xf32>
    ```

    Not fused, with a missed remark at the linears: a weight with other users (joined, its bytes would
    be there twice), a bias in some and not in others, an intermediate that something else reads, a
    projection that is a result of the program.
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect",
                           "::mlir::tensor::TensorDialect"];
}

def FuseResidualNorm : Pass<"fuse-residual-norm", "::mlir::func::FuncOp"> {
  let summary = "A residual addition and the norm of its sum become one op";
  let description = [{
    Before: any transformer programs.

    After: no `rms_norm` or `layer_norm` reads an `arith.addf`, unless a remark says why; the two are an
    `add_rms_norm` or `add_layer_norm`, which gives both the sum and the normed sum. So the sum is
    read once, while it is in registers; it may have any further readers. `x` is the summand that was
    computed later (the branch), `residual` the other. Where the norm is of one token of each row of
    the sum (`select_token`), the summands are selected instead. The result is the same bit for bit.

    ```mlir
    %s = arith.addf %residual, %branch : tensor<?x64xf32>
    %n = transformer.rms_norm %s, %w {eps = 1.0e-5} : (tensor<?x64xf32>, tensor<64xf32>) -> tensor<?x64xf32>
    ```
    becomes
    ```mlir
    %s, %n = transformer.add_rms_norm %branch, %residual, %w {eps = 1.0e-5}
        : (tensor<?x64xf32>, tensor<?x64xf32>, tensor<64xf32>) -> (tensor<?x64xf32>, tensor<?x64xf32>)
    ```

    Not fused, with a missed remark at the norm: a second norm of one sum; a parameter that is no weight
    and is made behind the sum; a selection of a sum that is read otherwise, too.
  }];
  let options = [
    Option<"testDropResidual", "test-drop-residual", "int64_t", "-1",
           "Break the norms of this layer on purpose: readers of a sum get the branch (for tests)">
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
}

def FoldConstants : Pass<"fold-constants", "::mlir::func::FuncOp"> {
  let summary = "What is known when compiling is not computed when running";
  let description = [{
    Before: any transformer programs.

    After:
    * masks: keys that are constantly valid are no operand of `attention_mask`; a mask that hides nothing
      (constantly true, or no validity, not causal, no window) is not applied;
    * position tables: an `embedding` at constant ids that count up is a `slice` of its table, by recipe;
    * factors: `linear(x, W, b) * c` and `embedding(W, ids) * c` have c in the weights, by a `mul_scalar`
      step, where that is exact: c is a power of two between 2^-16 and 2^16, and the type isn't f16,
      whose smallest weights would be rounded.

    ```mlir
    %y = transformer.linear %x, %w : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
    %z = arith.mulf %y, %quarter : tensor<?x8xf32>
    ```
    becomes
    ```mlir
    %w4 = transformer.weight ["w"] [load 0, mul_scalar 0.25] : tensor<8x64xf32>
    %z = transformer.linear %x, %w4 : (tensor<?x64xf32>, tensor<8x64xf32>) -> tensor<?x8xf32>
    ```

    The scale of attention scores is an attribute of `transformer.attention` and is `fuse-attention`'s.

    Not folded, with a missed remark at the product: a factor that is no such power of two, a weight
    with other users, a value that something else reads unscaled.
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
}

//===----------------------------------------------------------------------===//
// unpad
//===----------------------------------------------------------------------===//

def RemovePadding : Pass<"remove-padding", "::mlir::ModuleOp"> {
  let summary = "Programs work on packed tokens instead of padded batches";
  let description = [{
    Before: programs on padded batches [B, S, …], in which some op says which tokens are valid
    (`TokenwiseOpInterface`): by a mask [B, S], or by the number of tokens at the front of each row. A
    row's results do not depend on what its padding holds.

    After: every op that can, as its `TokenwiseOpInterface` says, works on the valid tokens alone,
    [T, …] with `cu_seqlens`; ids and other inputs are packed where they come in, results [B, S, …] are
    unpacked where they go out, and are zero at padding. Results that are pooled to [B, …] never
    unpack. An op that stays padded has `transformer.unpack` before it and `transformer.pack` behind it;
    pack of an unpack is nothing. Integers that are computed from the arguments alone (positions) are
    computed again in padded form where an op needs them so.

    ```mlir
    func.func @forward(%ids: tensor<?x?xi32> {transformer.name = "ids", transformer.sizes = ["B", "S"]},
                       %m: tensor<?x?xi1> {transformer.name = "m", transformer.sizes = ["B", "S"]})
        -> (tensor<?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
      %0 = transformer.embedding %table, %ids : …
      %1 = transformer.mean_pool %0, %m : (tensor<?x?x8xf32>, tensor<?x?xi1>) -> tensor<?x8xf32>
      return %1 : tensor<?x8xf32>
    }
    ```
    becomes
    ```mlir
      %cu = transformer.cu_seqlens %m {rows = 8} : (tensor<?x?xi1>) -> tensor<9xi32>
      %i = transformer.token_indices %m, %cu : (tensor<?x?xi1>, tensor<9xi32>) -> tensor<?xi32>
      %p = transformer.pack %ids, %i : (tensor<?x?xi32>, tensor<?xi32>) -> tensor<?xi32>
      %0 = transformer.embedding %table, %p : (tensor<64x8xf32>, tensor<?xi32>) -> tensor<?x8xf32>
      %1 = transformer.packed_mean_pool %0, %cu like %m : …
      return %1 : tensor<?x8xf32>
    ```

    The program gets the attribute `transformer.unpadding = {packed_ops, padded_ops, flops_per_token,
    flops_per_pair}`, which the plan carries.

    Remarks of category `remove-padding`: an analysis for each program, with what is saved at 50 % and
    10 % fill; missed for each op that stays padded between packed ones, with the reason, and for a
    program in which nothing says which tokens are valid.

    With `packed-input` a program whose mask comes from the caller takes tokens that are packed already:
    `cu_seqlens [rows + 1]` (entries behind the last row repeat T) instead of the mask, and [T, …] instead of
    every other [B, S, …], results too; results [B, …] have all `rows`. Neither pack nor unpack is left.
    Programs whose rows have their tokens in front (steps) stay as they are.

    Diagnoses: a program whose sizes do not propagate; with `packed-input` (as unsupported), an op that
    stays padded.
  }];
  let options = [
    Option<"packedInput", "packed-input", "bool", "false",
           "Take and give packed tokens at the ports">,
    Option<"testDropCausal", "test-drop-causal", "int64_t", "-1",
           "Break the attention of this layer on purpose: it sees later tokens (for tests)">
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect",
                           "::ingot::exec::ExecDialect", "::mlir::tensor::TensorDialect"];
}

include "passes/LoweringPasses.td"

#endif
