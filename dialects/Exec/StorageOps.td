//===- StorageOps.td - Weights, constants, state, buffers --*- tablegen -*-===//
//
// Mirrors Source, Weight, Constant, State, Buffer and Copy of runtime/format/plan.fbs.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_STORAGE_OPS_TD
#define INGOT_EXEC_STORAGE_OPS_TD

include "dialects/Exec/ExecTypes.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

//===----------------------------------------------------------------------===//
// Module level: what outlives a call
//===----------------------------------------------------------------------===//

def Exec_SourceOp : Exec_Op<"source", [Symbol]> {
  let summary = "A checkpoint tensor that the model expects";
  let description = [{
    The symbol is the canonical checkpoint name; `aliases` are other names it may have in a
    checkpoint, in order of preference. `init` says how random weights fill it.

    ```mlir
    exec.source @"norm.weight" [576] init(ones) {aliases = ["model.norm.weight"]}
    exec.source @"embed.weight" [49152, 576] init(normal, 2.000000e-02 : f32)
    ```

    Constraints:

    * (C1) Dimensions are not negative.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    DenseI64ArrayAttr:$shape,
    Exec_InitAttr:$init,
    OptionalAttr<F32Attr>:$init_std,
    OptionalAttr<StrArrayAttr>:$aliases);
  let assemblyFormat = [{
    $sym_name $shape `init` `(` custom<BareInit>($init) (`,` $init_std^)? `)` attr-dict
  }];
  let hasVerifier = 1;
}

def Exec_WeightOp : Exec_Op<"weight", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A tensor that is made from checkpoint tensors by a recipe";
  let description = [{
    The recipe runs when weights are bound: at compile time for an artifact with weights, at load
    for one without. No bytes are in the IR. `offset` is within the device's weight range.

    ```mlir
    exec.weight @w0 from [@"q_proj.weight"] recipe [#exec.step<load [0]>] on @cpu0
        : tensor<576x576xf32>
    ```

    Constraints:

    * (C1) `sources` name `exec.source` ops; `device` names an `exec.device`.
    * (C2) The type is static, with an element type that buffers allow.
    * (C3) The recipe has at least one step, and a `load` step's index is below the number of
      sources.
    * (C4) `offset`, if present, is a multiple of 64 and not negative.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    TypedArrayAttrBase<FlatSymbolRefAttr, "source symbols">:$sources,
    Exec_StepArrayAttr:$recipe,
    FlatSymbolRefAttr:$device,
    TypeAttrOf<AnyRankedTensor>:$type,
    OptionalAttr<I64Attr>:$offset);
  let assemblyFormat = [{
    $sym_name `from` $sources `recipe` $recipe `on` $device attr-dict `:` $type
  }];
  let hasVerifier = 1;
}

def Exec_ConstantOp : Exec_Op<"constant",
    [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Small data that the compiler made (tables, frequencies)";
  let description = [{
    ```mlir
    exec.constant @c0 on @cpu0 = dense<[1.0, 0.5]> : tensor<2xf32>
    ```

    Constraints:

    * (C1) `device` names an `exec.device`.
    * (C2) The element type is one that buffers allow.
    * (C3) `offset`, if present, is a multiple of 64 and not negative.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$device,
    ElementsAttr:$value,
    OptionalAttr<I64Attr>:$offset);
  let assemblyFormat = "$sym_name `on` $device attr-dict `=` $value";
  let hasVerifier = 1;
}

def Exec_StateOp : Exec_Op<"state", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Bytes that outlive a call (the KV cache), zeroed at load and at reset";
  let description = [{
    ```mlir
    exec.state @"kv.k.0" on @cpu0 : tensor<129x3x16x64xf32>
    ```

    Constraints:

    * (C1) `device` names an `exec.device`.
    * (C2) The type is static, with an element type that buffers allow.
    * (C3) `offset`, if present, is a multiple of 64 and not negative.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$device,
    TypeAttrOf<AnyRankedTensor>:$type,
    OptionalAttr<I64Attr>:$offset);
  let assemblyFormat = "$sym_name `on` $device attr-dict `:` $type";
  let hasVerifier = 1;
}

//===----------------------------------------------------------------------===//
// Program level: buffers and copies
//===----------------------------------------------------------------------===//

def Exec_BufferOp : Exec_Op<"buffer", [ParentOneOf<["ProgramOp"]>,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "Bytes in the arena of a device";
  let description = [{
    Contents are undefined until a step writes them. `plan-memory` sets `offset` (within the arena)
    and `bytes` (the size at the compiled maxima).

    ```mlir
    %0 = exec.buffer on @cpu0 : !exec.buffer<[B, S, 384] x f32>
    %0 = exec.buffer on @cpu0 {offset = 64 : i64, bytes = 4096 : i64} : !exec.buffer<[B, S] x i32>
    ```

    Constraints:

    * (C1) `device` names an `exec.device`.
    * (C2) `offset` and `bytes` come together; `offset` is a multiple of 64; neither is negative.
    * (C3) The type names only symbols of the program.
  }];
  let arguments = (ins FlatSymbolRefAttr:$device, OptionalAttr<I64Attr>:$offset,
                       OptionalAttr<I64Attr>:$bytes);
  let results = (outs Res<Exec_BufferType, "", [MemAlloc]>:$result);
  let assemblyFormat = "`on` $device attr-dict `:` qualified(type($result))";
}

def Exec_GetOp : Exec_Op<"get", [ParentOneOf<["ProgramOp"]>, Pure,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "The bytes of a weight, a constant or a state as a buffer";
  let description = [{
    ```mlir
    %w = exec.get @w0 : !exec.buffer<[576, 576] x f32>
    ```

    Constraints:

    * (C1) `name` names an `exec.weight`, `exec.constant` or `exec.state`.
    * (C2) The result has the shape and the element type of what is named.
  }];
  let arguments = (ins FlatSymbolRefAttr:$name);
  let results = (outs Exec_BufferType:$result);
  let assemblyFormat = "$name attr-dict `:` qualified(type($result))";
}

def Exec_ViewOp : Exec_Op<"view", [ParentOneOf<["ProgramOp"]>, Pure]> {
  let summary = "The same bytes with another shape";
  let description = [{
    ```mlir
    %1 = exec.view %0 : !exec.buffer<[B, S, 384] x f32> to !exec.buffer<[B * S, 384] x f32>
    ```

    Constraints:

    * (C1) Element types are equal.
    * (C2) The number of elements is equal as a function of the symbols.

    Folds: a view to its own type is its operand; a view of a view is one view.
  }];
  let arguments = (ins Exec_BufferType:$source);
  let results = (outs Exec_BufferType:$result);
  let assemblyFormat = "$source attr-dict `:` qualified(type($source)) `to` qualified(type($result))";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Exec_CopyOp : Exec_Op<"copy", [ParentOneOf<["ProgramOp"]>, AllTypesMatch<["source", "target"]>]> {
  let summary = "A step that copies the whole of a buffer over another";
  let description = [{
    ```mlir
    exec.copy %0 to %1 : !exec.buffer<[B, S] x f32>
    ```

    Canonicalization removes a copy of a buffer to itself.
  }];
  let arguments = (ins Arg<Exec_BufferType, "", [MemRead]>:$source,
                       Arg<Exec_BufferType, "", [MemWrite]>:$target);
  let assemblyFormat = "$source `to` $target attr-dict `:` qualified(type($source))";
  let hasCanonicalizeMethod = 1;
}

#endif
