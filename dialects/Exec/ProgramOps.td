//===- ProgramOps.td - Programs and their ports ------------*- tablegen -*-===//
//
// Mirrors Program and Port of runtime/format/plan.fbs.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_PROGRAM_OPS_TD
#define INGOT_EXEC_PROGRAM_OPS_TD

include "dialects/Exec/ExecTypes.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Exec_ProgramOp : Exec_Op<"program", [Symbol, IsolatedFromAbove, NoTerminator, SingleBlock,
    NoRegionArguments]> {
  let summary = "A list of steps over buffers: what one call runs";
  let description = [{
    Straight-line. Steps (`exec.launch`, `exec.copy`, `exec.read_size`) run in order; all other ops
    name bytes.

    ```mlir
    exec.program @forward symbols(B in [1, 8], S in [1, 512]) limits(B * S <= 2048) {
      %0 = exec.input "input_ids" on @cpu0 range [0, 30521] : !exec.buffer<[B, S] x i32>
      …
      exec.output "logits" %9 : !exec.buffer<[B, S, 2] x f32>
    }
    ```

    Constraints:

    * (C1) Symbol names are unique.
    * (C2) A limit names symbols of the program, each once.
    * (C3) Input names are unique, and so are output names.
    * (C4) Symbols of the caller begin at 1 and come first. A symbol with a bound (`within`) is bounded by
      a size over the caller's symbols, its maximum is that of the bound, and one `exec.read_size` reads
      it.
    * (C5) Limits are over symbols of the caller.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    Exec_SymbolArrayAttr:$symbols,
    DefaultValuedAttr<Exec_LimitArrayAttr, "{}">:$limits);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $sym_name `symbols` `` custom<BareSymbols>($symbols) (`limits` `` custom<BareLimits>($limits)^)?
    attr-dict-with-keyword $body
  }];
  let hasVerifier = 1;
}

def Exec_InputOp : Exec_Op<"input", [ParentOneOf<["ProgramOp"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A named input of a program and its bytes in the arena";
  let description = [{
    The caller's bytes are in the buffer before the first step. `range` bounds every element of an
    integer input (inclusive; the runtime checks it, as kernels index memory with them). `fill` makes
    the input optional: its elements when the caller gives none. With `ascends_to` the elements are
    offsets, which the runtime checks, too: they begin at 0, never fall, end at that size, and rise by at
    most `max_step` at once. `offset` and `bytes` are as on `exec.buffer`.

    ```mlir
    %0 = exec.input "input_ids" on @cpu0 range [0, 30521] : !exec.buffer<[B, S] x i32>
    %1 = exec.input "attention_mask" on @cpu0 range [0, 1] fill 1 : !exec.buffer<[B, S] x i32>
    %2 = exec.input "cu_seqlens" on @cpu0 {ascends_to = #exec.size<T>, max_step = 512 : i64}
        : !exec.buffer<[9] x i32>
    ```

    Constraints:

    * (C1) `device` names an `exec.device`.
    * (C2) `range` has two bounds in order and needs an integer element type; `fill` is within it.
    * (C3) `offset` and `bytes` as on `exec.buffer`.
    * (C4) The type names only symbols of the program, and none that a step reads.
    * (C5) `ascends_to` needs an i32 buffer of rank 1 without `fill`, and names only symbols of the caller;
      `max_step` needs `ascends_to` and is positive.
  }];
  let arguments = (ins StrAttr:$name, FlatSymbolRefAttr:$device,
                       OptionalAttr<DenseI64ArrayAttr>:$range, OptionalAttr<I64Attr>:$fill,
                       OptionalAttr<Exec_SizeAttr>:$ascends_to, OptionalAttr<I64Attr>:$max_step,
                       OptionalAttr<StrAttr>:$description,
                       OptionalAttr<I64Attr>:$offset, OptionalAttr<I64Attr>:$bytes);
  let results = (outs Exec_BufferType:$result);
  let assemblyFormat = [{
    $name `on` $device (`range` $range^)? (`fill` $fill^)? attr-dict `:` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def Exec_OutputOp : Exec_Op<"output", [ParentOneOf<["ProgramOp"]>]> {
  let summary = "A named output of a program";
  let description = [{
    The buffer holds the output's bytes after the last step. Ports have effects that nothing is known
    of, so that no pass removes them.

    Constraints:

    * (C1) The buffer is in the arena: made by `exec.buffer` or `exec.input`, or a view of one.
    * (C2) Its type names no symbol that a step reads: the caller knows the shapes of what it gets.
  }];
  let arguments = (ins StrAttr:$name, Exec_BufferType:$buffer,
                       OptionalAttr<StrAttr>:$description);
  let assemblyFormat = "$name $buffer attr-dict `:` qualified(type($buffer))";
  let hasVerifier = 1;
}

def Exec_ReadSizeOp : Exec_Op<"read_size", [HasParent<"ProgramOp">]> {
  let summary = "A step that gives a symbol its value, an element of a buffer";
  let description = [{
    From here on the symbol is known. A device whose memory the host can follow reads it when the step
    runs, and the runtime checks it against the symbol's bound. Elsewhere the host goes on with the bound,
    and kernels that ask for it get the element's address; so the buffer keeps its bytes until the last
    step that uses the symbol.

    ```mlir
    exec.read_size "T" from %cu[8] : !exec.buffer<[9] x i32>
    ```

    Constraints:

    * (C1) `symbol` is a symbol of the program that has a bound.
    * (C2) The buffer is of i32 and has a static shape of rank 1 that `element` is in.
  }];
  let arguments = (ins StrAttr:$symbol, Arg<Exec_BufferType, "", [MemRead]>:$buffer,
                       I64Attr:$element);
  let assemblyFormat = [{
    $symbol `from` $buffer `[` $element `]` attr-dict `:` qualified(type($buffer))
  }];
  let hasVerifier = 1;
}

#endif
