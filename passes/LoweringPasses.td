//===- LoweringPasses.td - The passes of phases lower and plan -*- tablegen -*-===//
//
// In pipeline order, behind those of Passes.td, which includes this file.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_LOWERING_PASSES_TD
#define INGOT_LOWERING_PASSES_TD

include "mlir/Pass/PassBase.td"

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

def SplitResidualNorm : Pass<"split-residual-norm", "::mlir::ModuleOp"> {
  let summary = "Residual additions of few rows go back to the linear layer in front";
  let description = [{
    Before: programs in the transformer dialect; `transformer.generation` names a `decode_program`
    (`specialize-decode`), whose calls have at most `most-rows` rows of one token.

    After: an `add_rms_norm` of that program is an addition and a norm again, where the addition can be the epilogue
    of the linear layer that makes the branch and the norm the beginning of the one that reads it (`fuse-norms`): so
    nothing is left between the two. A token of each row that is taken of both addends is taken of the sum. The sum
    is the same bits; what is normalized is the sum as it is rounded, as the op says, where a kernel of both takes it
    before that.

    ```mlir
    %x = transformer.linear %a, %w : …
    %sum, %normed = transformer.add_rms_norm %x, %residual, %g {eps = 1.0e-5} : …
    %y = transformer.gated_linear silu %normed, %u : …
    ```
    becomes
    ```mlir
    %x = transformer.linear %a, %w : …
    %sum = arith.addf %x, %residual : tensor<?x2048xbf16>
    %normed = transformer.rms_norm %sum, %g {eps = 1.0e-5} : …
    %y = transformer.gated_linear silu %normed, %u : …
    ```

    Missed remarks say why others stay: what is added is made by no linear layer, or is read elsewhere, too; the
    normalized rows are not those of one linear layer alone. The pipeline runs it for GPUs, where `fuse-norms` runs.
  }];
  let options = [
    Option<"mostRows", "most-rows", "int64_t", "16",
           "Rows of a call at most; of more, norms are worth a launch of their own">
  ];
  let dependentDialects = ["::ingot::transformer::TransformerDialect", "::mlir::arith::ArithDialect"];
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

    Before that, rows of tables that are looked up, and added up, for one such launch alone are looked up by it: by a
    norm or by what works element by element. To look a row up costs what it costs to read it from a buffer, so that
    nothing is lost where the rows are read in several passes; the buffer's writing and reading are gone. So the
    three embeddings and the first norm of an encoder are one launch.

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

def FuseNorms : Pass<"fuse-norms", "::mlir::ModuleOp"> {
  let summary = "Linear layers of few rows normalize what they read";
  let description = [{
    Before: an exec module whose kernels have no family yet.

    After: a norm that one launch alone reads is a part of that launch's kernel, if the families that would take it, on
    every architecture of `alternatives`, may begin with what makes their operands (`KernelFamily::takesProducers`;
    `cuda.linear_few`) and take the merged kernel, too. The normalized rows are in no buffer. They are rounded as they
    would be in one, so that results are the same bits.

    What the norm reads is not written between the two, and its gain is a weight: the kernel reads that before those
    in front of it have ended. Each is a passed remark at the norm; where a family declines, a missed one says why
    (more rows than a block should normalize, a layer norm, a gain in 16 bits).

    ```mlir
    exec.launch @rms_norm sizes(T) ins(%x, %g : …) outs(%normed : …)
    exec.launch @linear sizes(T) ins(%normed, %w : …) outs(%y : …)
    ```
    becomes
    ```mlir
    exec.launch @rms_norm_linear sizes(T) ins(%x, %g, %w : …) outs(%y : …)
    ```

    The pipeline runs it for GPUs.
  }];
  let options = [
    ListOption<"alternatives", "alternatives", "std::string",
               "Further architectures that the kernels are for">
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect"];
}

def FuseAppends : Pass<"fuse-appends", "::mlir::ModuleOp"> {
  let summary = "Attention of few tokens rotates and stores the keys that it reads";
  let description = [{
    Before: an exec module whose kernels have no family yet; `fuse-launches` has made one launch of the rotations and
    appends in front of attention.

    After: such a launch directly in front of an attention is a part of the attention's kernel, if the families that
    would take that, on every architecture of `alternatives`, may begin with what makes their operands
    (`cuda.attention_decode`) and take the merged kernel, too. In its body attention reads the caches as the appends
    leave them, and the rotated queries are a value. Each is a passed remark at the attention; a launch with appends
    in front of such an attention that stays is a missed one that says why.

    ```mlir
    exec.launch @rope_cache_append sizes(T, B, NB) ins(%qkv, %cos, %sin, %kc, %table, %past, %cu, %vc : …) outs(%q : …)
    exec.launch @attention sizes(T, B, NB) ins(%q, %kc, %vc, %cu, %table, %past : …) outs(%y : …)
    ```
    becomes
    ```mlir
    exec.launch @rope_cache_append_attention sizes(T, B, NB)
        ins(%qkv, %cos, %sin, %kc, %table, %past, %cu, %vc : …) outs(%y : …)
    ```

    The pipeline runs it for GPUs.
  }];
  let options = [
    ListOption<"alternatives", "alternatives", "std::string",
               "Further architectures that the kernels are for">
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect"];
}

def MakeTuningPrograms : Pass<"make-tuning-programs", "::mlir::ModuleOp"> {
  let summary = "Turns a model's programs into programs that measure its kernels' candidates";
  let description = [{
    Before: kernels without a family, and the programs that launch them.

    After: for each kernel whose family offers several candidates, a program a candidate, which launches
    a copy of the kernel over weights of its own at the largest sizes; as often as it takes for the
    operands not to be found in a cache, and for a run to last some hundred microseconds. The model's
    programs, weights and state are gone.

    ```mlir
    exec.kernel @linear.2 for @cuda … attributes {exec.takes_candidate = 2 : i64}
    exec.program @linear.2 symbols() attributes {exec.candidate = {kernel = "cuda.linear: …", config =
        "{…}", modelled = false}} {
      exec.launch @linear.2 sizes(4096) ins(%0, %1 : …) outs(%2 : …)
      exec.launch @linear.2 sizes(4096) ins(%3, %4 : …) outs(%2 : …)
    }
    ```

    What a kernel reads is random, so kernels that index memory by what they read (integers) are left as
    they are, with a missed remark, as are those that update an input.

    Diagnoses (as unsupported): a module where no kernel offers a choice.
  }];
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

    With `tuning`, a kernel for which a file has an entry gets the config that was measured to be the fastest,
    if its family still offers it; what does not fit is left aside with a missed remark of category `tuning`.

    Each choice is a passed remark of category `select-kernels` at the kernel's location; each family
    that was asked before and declined is a missed remark that says why.

    Diagnoses (as unsupported): a kernel that no family of its target takes, with its ops, element
    types and shapes.
  }];
  let options = [
    ListOption<"alternatives", "alternatives", "std::string",
               "Architectures of the target's kind that there is to be code for, too">,
    ListOption<"tuning", "tuning", "std::string",
               "Files of measured choices (runtime/format/Tuning.h); of two for one kernel the later "
               "file's counts">,
    Option<"gpu", "gpu", "std::string", "\"\"",
           "Part of the name of the GPU whose measurements count; empty for all that fit the target">,
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect", "::mlir::arith::ArithDialect",
                           "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect"];
}

//===----------------------------------------------------------------------===//
// plan
//===----------------------------------------------------------------------===//

def ReadEarly : Pass<"read-early", "::mlir::ModuleOp"> {
  let summary = "Kernels read what was written long before while the launch in front still runs";
  let description = [{
    Before: kernels have families. On a GPU with programmatic dependent launch a kernel starts while those in front
    of it run, and waits for them before it reads what they write. All let the next start at once, so when a kernel
    starts, none that was launched before it need have ended.

    After: a kernel whose family says that it would read inputs or device-resident sizes before that wait
    (`getEarlyReads`) has `reads_early` in its config, if in each of its launches a launch between it and the last
    step that writes them, of a kernel that has nothing to read early and with a grid that is never empty, has a
    kernel with `waits_first` in its config: that one lets the next start behind its own wait only. Whatever runs
    behind it follows all that was launched before it. Of the launches that could be that, the nearest to the
    writer is taken, which one launch a program mostly is.

    ```mlir
    exec.launch @cu_seqlens … outs(%cu : …)
    exec.read_size "T" from %cu[16]
    exec.launch @token_indices …
    exec.launch @linear sizes(T) …
    exec.launch @attention … ins(%q, %kc, %vc, %cu, %table, %past : …) outs(%y : …)
    ```
    has afterwards
    ```mlir
    exec.kernel @token_indices … attributes {config = {waits_first}, …}
    exec.kernel @linear … attributes {config = {…, reads_early}, family = "cuda.linear_few", …}
    exec.kernel @attention … attributes {config = {…, reads_early}, family = "cuda.attention_decode", …}
    ```

    Each kernel that reads early is a passed remark, each that would and cannot a missed one. The pipeline runs it
    for GPUs.
  }];
  let dependentDialects = ["::ingot::exec::ExecDialect"];
}

def StreamLaunches : Pass<"stream-launches", "::mlir::ModuleOp"> {
  let summary = "Runs of launches over few tokens can be one persistent grid";
  let description = [{
    Before: kernels are selected, and `read-early` has said what they read.

    After: a maximal run of launches of kernels that their families know as tasks of a stream (`getStreamTask`), over
    one number of tokens and on one device, has an `exec.streamed` in front and says what it exchanges; the
    `exec.stream` is the kernel that does the run as one grid where there are at most `most-tokens` tokens. The
    launches stay, for more tokens.

    A buffer that a launch of the run writes and others of it read is exchanged: `[T, …]` rows of whole words of 16
    bytes, written once, read by operands that wait for it word by word, and by nothing outside of the run: the run
    ends in front of a launch that reads anything else that was written in it, or that writes what was used in it.
    What is written and read outside only lies where it lay. Caches are updated by the launch that reads them, which
    is no matter of the run.

    ```mlir
    exec.launch @rms_norm_linear sizes(T) … ins(%x, %gains, %w : …) outs(%q : …)
    exec.launch @attention sizes(T, B, NB) … ins(%q, …) outs(%o : …)
    ```
    has afterwards
    ```mlir
    exec.stream @stream_0 for @cuda tasks [@rms_norm_linear, @attention, …] steps 80 most_tokens 4 …
    …
    exec.streamed @stream_0 tokens "T" bytes_per_token 48640
    exec.launch @rms_norm_linear sizes(T) … exchanged [-1, -1, -1, 0] part 0
    exec.launch @attention sizes(T, B, NB) … exchanged [0, …, 6144] part 10240
    ```

    Runs of few launches or few weights stay as they are (an analysis remark), and so do those whose tokens and work leave the ring
    of weights no room in shared memory. Each stream is a passed remark; a launch that ends a run in the midst of
    others a missed one that says why.
  }];
  let options = [
    Option<"mostTokens", "most-tokens", "int64_t", "0",
           "Most tokens that streams are for; 0 for no streams">,
    Option<"leastLaunches", "least-launches", "int64_t", "8",
           "Launches of a run at least: its memory is filled, and its grid starts and ends by itself">,
    // 16 MiB take a GPU five microseconds, what a grid takes to start and to end.
    Option<"leastWeightBytes", "least-weight-bytes", "int64_t", "16 << 20",
           "Bytes of weights that a run reads at least">
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect"];
}

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
