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
    Straight-line. Steps (`exec.launch`, `exec.copy`) run in order; all other ops name bytes.

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
    the input optional: its elements when the caller gives none. `offset` and `bytes` are as on
    `exec.buffer`.

    ```mlir
    %0 = exec.input "input_ids" on @cpu0 range [0, 30521] : !exec.buffer<[B, S] x i32>
    %1 = exec.input "attention_mask" on @cpu0 range [0, 1] fill 1 : !exec.buffer<[B, S] x i32>
    ```

    Constraints:

    * (C1) `device` names an `exec.device`.
    * (C2) `range` has two bounds in order and needs an integer element type; `fill` is within it.
    * (C3) `offset` and `bytes` as on `exec.buffer`.
    * (C4) The type names only symbols of the program.
  }];
  let arguments = (ins StrAttr:$name, FlatSymbolRefAttr:$device,
                       OptionalAttr<DenseI64ArrayAttr>:$range, OptionalAttr<I64Attr>:$fill,
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
  }];
  let arguments = (ins StrAttr:$name, Exec_BufferType:$buffer,
                       OptionalAttr<StrAttr>:$description);
  let assemblyFormat = "$name $buffer attr-dict `:` qualified(type($buffer))";
  let hasVerifier = 1;
}

#endif
