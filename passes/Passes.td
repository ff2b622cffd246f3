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
// lower
//===----------------------------------------------------------------------===//

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
    elementwise ops and through upstream reshapes. So no op is known by name here.

    Kernels. An op starts a kernel, unless
    * it makes a constant or depends on scalars and constants only: it is copied into the kernels
      that use it;
    * it is an upstream reshape or cast of a tensor: it becomes an `exec.view`;
    * it is elementwise and the value of some operand is made by a kernel for it alone, with the same
      iteration space: it joins that kernel (linear + activation + residual; scale + mask of
      scores). Elementwise is what has the upstream elementwise traits, or what decomposes into
      one `linalg.generic` that is parallel in all loops and writes and reads that operand in
      order.

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
           "Architecture of the target">
  ];
  let dependentDialects = ["::ingot::exec::ExecDialect", "::mlir::arith::ArithDialect",
                           "::mlir::affine::AffineDialect", "::mlir::tensor::TensorDialect"];
}

def SelectKernels : Pass<"select-kernels", "::mlir::ModuleOp"> {
  let summary = "Asks the kernel registry who realises each kernel, and how";
  let description = [{
    Before: kernels without a family.

    After: each kernel that is launched has a `family`, `config`, `grid`, `description` and
    `in_place`; each launch has the kernel's grid at its sizes. Where a family asked for another
    layout of a weight, the weight's recipe has the steps for it and the kernel's body undoes it.
    Kernels that nobody launches and weights that nobody gets are gone.

    Each choice is a passed remark of category `select-kernels` at the kernel's location; each family
    that was asked before and declined is a missed remark that says why.

    Diagnoses (as unsupported): a kernel that no family of its target takes, with its ops, element
    types and shapes.
  }];
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
