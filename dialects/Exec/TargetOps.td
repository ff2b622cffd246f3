//===- TargetOps.td - Targets and devices ------------------*- tablegen -*-===//
//
// Mirrors Target and Device of runtime/format/plan.fbs.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_TARGET_OPS_TD
#define INGOT_EXEC_TARGET_OPS_TD

include "dialects/Exec/ExecTypes.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Exec_TargetOp : Exec_Op<"target", [Symbol]> {
  let summary = "What code is generated for";
  let description = [{
    `kind` names the code generator and the runtime's device driver ("host", "cuda"), `arch` the
    micro-architecture ("x86-64-v4", "sm_90a").

    ```mlir
    exec.target @host kind("host") arch("x86-64-v3")
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, StrAttr:$kind, StrAttr:$arch);
  let assemblyFormat = "$sym_name `kind` `(` $kind `)` `arch` `(` $arch `)` attr-dict";
}

def Exec_DeviceOp : Exec_Op<"device", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A device that buffers live on and launches run on";
  let description = [{
    The byte counts are the device's memory at the compiled maxima. `plan-memory` sets them; before,
    they are absent.

    ```mlir
    exec.device @cpu0 : @host {arena_bytes = 1048576 : i64}
    ```

    Constraints:

    * (C1) `target` names an `exec.target`.
    * (C2) Byte counts are not negative.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$target,
    OptionalAttr<I64Attr>:$arena_bytes,
    OptionalAttr<I64Attr>:$weight_bytes,
    OptionalAttr<I64Attr>:$constant_bytes,
    OptionalAttr<I64Attr>:$state_bytes);
  let assemblyFormat = "$sym_name `:` $target attr-dict";
  let hasVerifier = 1;
}

#endif
