//===- Passes.td - The passes of this project, in pipeline order -*- tablegen -*-===//
//
// A pass, its flag, its file and its test share one name. A description is a contract: what holds
// before, what holds after, worked IR, what is diagnosed.
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

//===----------------------------------------------------------------------===//
// lower
//===----------------------------------------------------------------------===//

def SampleOnDevice : Pass<"sample-on-device", "::mlir::ModuleOp"> {
  let summary = "The generation loop's program samples its next tokens";
  let description = [{
    Before: programs in the transformer dialect; the module says which one generates
    (`transformer.generation`). Its logits are [B, V] in f32, with a V of at most 2^22.

    After: that program has inputs for the options, the seed and the number of the draw of each row, state
    that knows which tokens each slot was fed, and an output `tokens`: what `transformer.sample` makes of the
    logits, which stay an output. The inputs may be left out (greedy then, without processors).
    `transformer.generation` has `sampling`, so that the generation loop passes options and takes the tokens
    instead of the logits.

    ```mlir
    module attributes {transformer.sizes = {B = [1, 4], S = [1, 64]}, transformer.generation = {}} {
      func.func @step(%ids: …, %num: …, %past: …) -> (tensor<?x9xf32> {transformer.name = "logits"}) … {
        …
        return %logits : tensor<?x9xf32>
      }
    }
    ```
    becomes
    ```mlir
    module attributes {transformer.sizes = {B = [1, 4], S = [1, 64]},
                       transformer.generation = {sampling = {tokens = "tokens"}}} {
      func.func @step(%ids: …, %num: …, %past: …,
          %slot: tensor<?xi32> {transformer.name = "slot", transformer.sizes = ["B"], transformer.optional = 0,
                                transformer.range = [0, 3]},
          %temperature: …, %top_k: …, %top_p: …, %min_p: …, %repetition_penalty: …, %seed: …, %draw: …,
          %seen: tensor<4x9xi1> {transformer.state = "sampling.seen"})
          -> (tensor<?x9xf32> {transformer.name = "logits"}, tensor<?xi32> {transformer.name = "tokens"},
              tensor<4x9xi1> {transformer.state = "sampling.seen"}) … {
        …
        %marked = transformer.mark_tokens %seen, %ids, %num, %past, %slot : …
        %tokens = transformer.sample %logits seen(%marked, %slot) temperature(%temperature) … : …
        return %logits, %tokens, %marked : …
      }
    }
    ```

    A module without such a program stays as it is; so does a program with other logits or with ports of these
    names, with a missed remark of category `sample-on-device`.
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
}

def SpecializeDecode : Pass<"specialize-decode", "::mlir::ModuleOp"> {
  let summary = "The generation loop's program once more, for one token a row";
  let description = [{
    Before: programs in the transformer dialect; the module says which one generates
    (`transformer.generation`).

    After: a program `decode` stands behind that one. It is the same but for the size that is the tokens of
    a row: it has one of its own, in [1, 1]. So everything behind this pass knows that there are no more
    tokens than rows, and may choose other kernels for few tokens than for many. `transformer.generation`
    names it in `decode_program`; the generation loop uses it for calls that feed one token of each row.

    ```mlir
    module attributes {transformer.sizes = {B = [1, 4], S = [1, 64]}, transformer.generation = {program = "step"}} {
      func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]}) -> … { … }
    }
    ```
    becomes
    ```mlir
    module attributes {transformer.sizes = {B = [1, 4], S = [1, 64], S1 = [1, 1]},
                       transformer.generation = {decode_program = "decode", program = "step"}} {
      func.func @step(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S"]}) -> … { … }
      func.func @decode(%ids: tensor<?x?xi32> {transformer.name = "input_ids", transformer.sizes = ["B", "S1"]}) -> … { … }
    }
    ```

    A module without such a program, or that has a symbol `decode`, stays as it is.
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect"];
}

def WidenAfterUnpack : Pass<"widen-after-unpack", "::mlir::ModuleOp"> {
  let summary = "Results are unpacked before they are widened";
  let description = [{
    Before: programs on packed tokens (`remove-padding`).

    After: where a result of 16 bits was widened and unpacked then, it is unpacked first. Widening is an epilogue
    of the unpacking, so that one kernel reads 16 bits and writes the result, instead of two with f32 between
    them. Padding is zero either way.

    ```mlir
    %wide = arith.extf %x : tensor<?x8xf16> to tensor<?x8xf32>
    %y = transformer.unpack %wide, %slots : (tensor<?x8xf32>, tensor<?x?xi32>) -> tensor<?x?x8xf32>
    ```
    becomes
    ```mlir
    %unpacked = transformer.unpack %x, %slots : (tensor<?x8xf16>, tensor<?x?xi32>) -> tensor<?x?x8xf16>
    %y = arith.extf %unpacked : tensor<?x?x8xf16> to tensor<?x?x8xf32>
    ```
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::arith::ArithDialect"];
}

def WidenVectors : Pass<"widen-vectors", "::mlir::ModuleOp"> {
  let summary = "Gains and biases are kept in f32";
  let description = [{
    Before: programs in the transformer dialect.

    After: a weight of one dimension whose elements are f16 or bf16 has f32 elements, and is rounded where it is
    read. Kernels for GPUs leave out roundings whose result they widen again, so that gains and biases count with
    what the checkpoint has. They are a thousandth of a model's bytes, but an error in one of them is the same
    for every token, so that pooling does not average it out as it does those of activations.

    ```mlir
    %bias = transformer.weight ["b"] [load 0] : tensor<8xbf16>
    %y = transformer.linear %x, %w, %bias : (tensor<?x4xbf16>, tensor<8x4xbf16>, tensor<8xbf16>) -> tensor<?x8xbf16>
    ```
    becomes
    ```mlir
    %wide = transformer.weight ["b"] [load 0] : tensor<8xf32>
    %bias = arith.truncf %wide : tensor<8xf32> to tensor<8xbf16>
    %y = transformer.linear %x, %w, %bias : (tensor<?x4xbf16>, tensor<8x4xbf16>, tensor<8xbf16>) -> tensor<?x8xbf16>
    ```

    The rounding is copied into the kernels that read it (`convert-transformer-to-exec`).
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::arith::ArithDialect"];
}

def ExpandAttention : Pass<"expand-attention", "::mlir::func::FuncOp"> {
  let summary = "Attention by math becomes its parts";
  let description = [{
    Before: programs with back ends chosen.

    After: no `transformer.attention by math` is left; each is what `expandAttention` makes of it, so
    that scores and probabilities are buffers and each part a kernel of its own, as for
    attention that was never fused. Other back ends are one kernel each and stay.

    ```mlir
    %0 = transformer.attention by math %q, %k, %v query_positions(%a) key_positions(%b) {heads = 4, …}
    ```
    becomes
    ```mlir
    %1 = transformer.split_heads %q {heads = 4 : i64} : …
    %2 = transformer.split_heads %k {heads = 4 : i64} : …
    %3 = transformer.split_heads %v {heads = 4 : i64} : …
    %4 = transformer.matmul %1, %2 {transpose_rhs} : …
    %5 = arith.mulf %4, %splat : …
    %6 = transformer.softmax %5 : …
    %7 = transformer.matmul %6, %3 : …
    %8 = transformer.merge_heads %7 : …
    ```
  }];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::arith::ArithDialect",
                           "::mlir::math::MathDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::affine::AffineDialect", "::mlir::tensor::TensorDialect"];
}

def ConvertTransformerToExec : Pass<"convert-transformer-to-exec", "::mlir::ModuleOp"> {
  let summary = "Programs in the transformer dialect become launches of outlined kernels";
  let description = [{
    Before: a module of `func.func` with `transformer.program`: straight-line, on ranked tensors, with
    the module attribute `transformer.sizes` and the argument attributes of the transformer dialect.

    After: no function and no `transformer` attribute is left. Each program is an `exec.program`;
    each group of ops is an `exec.kernel`, structurally equal groups share one; weights, sources,
    constants and state are module-level ops. Kernels have no family yet, buffers no offset.

    Sizes. Every dynamic dimension becomes a product of the program's symbols. They come from the
    arguments (`transformer.sizes`) and flow through `ReifyRankedShapedTypeOpInterface`, through
    elementwise ops and through upstream reshapes. So no op is known by name here. A dimension that an
    op reifies as min(element of an i32 tensor, bound), at least 0, is a symbol of its own, T: it is read
    by an `exec.read_size` right behind the launch that makes the tensor, and bounded by that bound.

    Kernels. An op starts a kernel, unless
    * it makes a constant or depends on scalars and constants only: it is copied into the kernels
      that use it;
    * it is an upstream reshape or cast of a tensor: it becomes an `exec.view`;
    * it takes columns of a tensor (a `tensor.extract_slice` along the last axis): it is copied into the
      kernels that use it, which then read the wide tensor. So the parts of a joined projection cost
      neither a copy nor a kernel. One that is a result of the program, or whose elements a view needs,
      is a kernel after all;
    * it is elementwise and the value of some operand is made by a kernel for it alone, with the same
      iteration space: it joins that kernel (linear + activation + residual; scale + mask of
      scores). Elementwise is what has the upstream elementwise traits, or what decomposes into
      one `linalg.generic` that is parallel in all loops and writes and reads that operand in
      order. This is the fusion of epilogues (bias, activation, residual) and of pointwise chains:
      it is done here and not on the transformer dialect, because it needs no op of its own and is
      legal by shape alone. It is called `fuse-epilogues`: in `--disable`, in the option of this
      pass, and as the category of its remarks. Each op that joins is a passed one, at the op's
      location; one that could follow a product in its kernel and doesn't, because something else
      reads the product, too, a missed one.

    State. An op with destination style (upstream `DestinationStyleOpInterface`) whose destination
    is program state writes it in place: its kernel's output updates that input. Any other new
    value of a state is copied into it at the end.

    ```mlir
    func.func @forward(%x: tensor<?x384xf32> {transformer.name = "x", transformer.sizes = ["B"]})
        -> (tensor<?x8xf32> {transformer.name = "y"}) attributes {transformer.program} {
      %w = transformer.weight ["w"] [load 0] : tensor<8x384xf32>
      %0 = transformer.linear %x, %w : (tensor<?x384xf32>, tensor<8x384xf32>) -> tensor<?x8xf32>
      return %0 : tensor<?x8xf32>
    }
    ```
    becomes
    ```mlir
    exec.kernel @linear for @host sizes(d0 in [1, 8])
        (%a: !exec.buffer<[d0, 384] x f32>, %b: !exec.buffer<[8, 384] x f32>)
        -> (!exec.buffer<[d0, 8] x f32>) { … }
    exec.program @forward symbols(B in [1, 8]) {
      %x = exec.input "x" on @host0 : !exec.buffer<[B, 384] x f32>
      %w = exec.get @"w.w" : !exec.buffer<[8, 384] x f32>
      %y = exec.buffer on @host0 : !exec.buffer<[B, 8] x f32>
      exec.launch @linear sizes(B) ins(%x, %w : …) outs(%y : …)
      exec.output "y" %y : !exec.buffer<[B, 8] x f32>
    }
    ```

    Diagnoses: a dynamic dimension whose size isn't a product of symbols; an op with side effects,
    with regions of control flow or without ranked tensor results; state that is read after its
    update.
  }];
  let options = [
    Option<"targetKind", "target-kind", "std::string", "\"host\"", "Kind of the target">,
    Option<"targetArch", "target-arch", "std::string", "\"x86-64-v3\"",
           "Architecture of the target">,
    Option<"fuseEpilogues", "fuse-epilogues", "bool", "true",
           "Elementwise ops join the kernel that makes what they read">
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect", "::mlir::arith::ArithDialect",
                           "::mlir::affine::AffineDialect", "::mlir::tensor::TensorDialect"];
}

def FuseLaunches : Pass<"fuse-launches", "::mlir::ModuleOp"> {
  let summary = "Small independent kernels become parts of one that is launched once";
  let description = [{
    Before: an exec module whose kernels have no family yet.

    After: a launch whose kernel would go to a family that can make several bodies at once
    (`KernelFamily::sharesLaunches`; `cuda.generated`) has joined such a launch in front of it. The merged
    kernel has both bodies, operands and sizes that both have once, and the outputs of both. Structurally
    equal ones are one kernel; kernels that nothing launches any more are gone.

    Two launches join if
    * neither writes what the other reads or writes, so that the parts can run side by side, in blocks of
      their own; but
    * a `transformer.cache_append` joins what makes the appended tokens, if that is for it alone and in the
      same shape: the value stays within the kernel and is stored where it belongs. So the rotation of k, the
      appends of k and v and the rotation of q are one launch;
    * the later one may move ahead of the steps in between, three at most: neither touches the other's bytes,
      and no size is read there that it needs. Of several it joins the first;
    * all families that would take them, on every architecture of `alternatives`, are such families, and take
      the merged kernel, too; it is made of six kernels at most.

    Each is a passed remark at the later launch; an append that reads or overwrites what such a launch in front
    of it makes, but can't join it, is a missed one that says why. Called `fuse-launches` in `--disable`. The
    pipeline runs it for GPUs.

    ```mlir
    exec.launch @rope sizes(T) ins(%k, %cos, %sin : …) outs(%rotated : …)
    exec.launch @cache_append sizes(T, B, NB) ins(%cache, %rotated, %table, %past, %cu : …)
    exec.launch @rope_0 sizes(T) ins(%q, %cos, %sin : …) outs(%y : …)
    ```
    becomes
    ```mlir
    exec.launch @rope_cache_append sizes(T, B, NB) ins(%k, %cos, %sin, %cache, %table, %past, %cu, %q : …) outs(%y : …)
    ```
  }];
  let options = [
    ListOption<"alternatives", "alternatives", "std::string",
               "Further architectures that the kernels are for">
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect"];
}

def SelectKernels : Pass<"select-kernels", "::mlir::ModuleOp"> {
  let summary = "Asks the kernel registry who realises each kernel, and how";
  let description = [{
    Before: kernels without a family.

    After: each kernel that is launched has a `family`, `config`, `grid`, `description` and
    `in_place`; each launch has the kernel's grid at its sizes. Where a family asked for another
    layout of a weight, the weight's recipe has the steps for it and the kernel's body undoes it.
    Kernels that nobody launches and weights that nobody gets are gone.

    With `alternatives` (architectures of the target's kind) there is a variant of each kernel for each of
    them, as if it had been selected for that target alone:

    ```mlir
    exec.target @cuda_sm_80 kind("cuda") arch("sm_80")
    exec.kernel @linear for @cuda … attributes {family = "cuda.linear", …}
    exec.kernel @linear_sm_80 for @cuda_sm_80 … attributes {family = "cuda.linear", variant_of = @linear, …}
    ```

    Weights are there once, so a layout is taken where every target asks for the same; where they do not
    agree, the weight stays as it is and the families choose again without (a missed remark). Two buffers
    may share bytes where every variant allows it.

    Each choice is a passed remark of category `select-kernels` at the kernel's location; each family
    that was asked before and declined is a missed remark that says why.

    Diagnoses (as unsupported): a kernel that no family of its target takes, with its ops, element
    types and shapes.
  }];
  let options = [
    ListOption<"alternatives", "alternatives", "std::string",
               "Architectures of the target's kind that there is to be code for, too">,
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// plan
//===----------------------------------------------------------------------===//

def PlanMemory : Pass<"plan-memory", "::mlir::ModuleOp"> {
  let summary = "Gives every buffer, weight, constant and state its address";
  let description = [{
    Before: selected kernels.

    After: every `exec.buffer` and `exec.input` has `offset` and `bytes`, every weight, constant and
    state an `offset`, every device its byte counts. All offsets are multiples of 64. Buffers whose
    contents are needed at the same time don't overlap, except that the output of a launch may lie
    over an input whose last use that launch is, where the kernel's `in_place` allows it.

    Bytes are counted at the compiled maxima, limits honoured (B * S <= 2048). The arena is placed
    greedily, largest buffer first, into the tightest gap; programs share it, so it is as large as
    the largest program needs. An analysis remark of category `plan-memory` gives each program's
    bytes, and the least that any placement would need.

    Diagnoses: a size past 63 bits; with `max-memory`, a device that needs more, and by how much.
  }];
  let options = [
    Option<"maxMemory", "max-memory", "uint64_t", "0",
           "Most bytes that a device may need; 0 for no limit">
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect"];
}

def VerifyExec : Pass<"verify-exec", "::mlir::ModuleOp"> {
  let summary = "Checks what the artifact writer and the runtime rely on";
  let description = [{
    Changes nothing. Fails unless: every launch has a grid, and its kernel a family; every buffer is
    placed inside its device's arena, every weight, constant and state inside its range without
    overlap; nothing is read before a step (or the caller) has written it; no step writes bytes
    that another buffer still needs; every state and weight byte count fits 63 bits.
  }];
  let dependentDialects = ["::ingot::exec::ExecDialect"];
}

#endif
