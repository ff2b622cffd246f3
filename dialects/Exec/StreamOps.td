//===- StreamOps.td - Runs of launches that one kernel can do -*- tablegen -*-===//
//
// Mirrors Stream of runtime/format/plan.fbs.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_STREAM_OPS_TD
#define INGOT_EXEC_STREAM_OPS_TD

include "dialects/Exec/ExecTypes.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"

def Exec_StreamOp : Exec_Op<"stream", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A kernel that does a run of launches as one persistent grid";
  let description = [{
    What `codegen/cuda/kernels/stream.cuh` is made for: `steps` launches, each of one of the kernels
    `tasks`, for calls of at most `most_tokens` tokens. It has `blocks` blocks, each with `shared`
    bytes. Which launches they are says `exec.streamed`; runs that are alike share a stream.

    The launches stay what they are: the runtime runs them where there are more tokens.

    ```mlir
    exec.stream @stream_0 for @cuda tasks [@rms_norm_linear, @attention, @linear_addf] steps 48
        most_tokens 4 blocks 132 shared 232448 {description = "…"}
    ```

    Constraints:

    * (C1) `target` names an `exec.target`.
    * (C2) `tasks` are kernels with a family for that target, each named once, and no variants.
    * (C3) There are at least two steps and as many as tasks; tokens, blocks and bytes are positive.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$target,
    FlatSymbolRefArrayAttr:$tasks,
    I64Attr:$steps,
    I64Attr:$most_tokens,
    I64Attr:$blocks,
    I64Attr:$shared,
    OptionalAttr<StrAttr>:$description);
  let assemblyFormat = [{
    $sym_name `for` $target `tasks` $tasks `steps` $steps `most_tokens` $most_tokens
    `blocks` $blocks `shared` $shared attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The index of a kernel among the tasks.
    std::optional<unsigned> findTask(::llvm::StringRef kernel);
  }];
}

def Exec_StreamedOp : Exec_Op<"streamed", [HasParent<"ProgramOp">,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Says that the launches behind it are the run of a stream";
  let description = [{
    No step: it stands in front of the first launch of a run. The launches of the run are the steps
    behind it that have `exchanged`: for each operand where its bytes are in the memory through which
    blocks of the stream give each other results, in bytes a token, or -1 for what is where the launch
    has it; and `part`, the same of what a launch's own blocks exchange, 0 if they don't. `tokens` is the symbol of the
    number of tokens.

    ```mlir
    exec.streamed @stream_0 tokens "T" bytes_per_token 48640
    exec.launch @rms_norm_linear sizes(T) … ins(%x, %gains, %w : …) outs(%q : …) exchanged [-1, -1, -1, 0] part 0
    exec.launch @attention sizes(T, B, NB) … ins(%q, …) outs(%o : …) exchanged [0, -1, …, 6144] part 10240
    ```

    Constraints:

    * (C1) `stream` names an `exec.stream`.
    * (C2) `tokens` is a symbol of the program.
    * (C3) The run has as many launches as the stream has steps, of its tasks.
    * (C4) All launches of one kernel are at the same sizes: the stream has one copy of them.
    * (C5) What is exchanged lies below `bytes_per_token`, a multiple of 16.
  }];
  let arguments = (ins
    FlatSymbolRefAttr:$stream,
    StrAttr:$tokens,
    I64Attr:$bytes_per_token);
  let assemblyFormat = "$stream `tokens` $tokens `bytes_per_token` $bytes_per_token attr-dict";
  let extraClassDeclaration = [{
    /// The launches of the run, in order.
    ::llvm::SmallVector<LaunchOp> getLaunches();
  }];
}

#endif
