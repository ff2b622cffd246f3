//===- KernelOps.td - Kernels and their launches -----------*- tablegen -*-===//
//
// Mirrors Kernel and Launch of runtime/format/plan.fbs.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_KERNEL_OPS_TD
#define INGOT_EXEC_KERNEL_OPS_TD

include "dialects/Exec/ExecTypes.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Exec_KernelOp : Exec_Op<"kernel", [Symbol, IsolatedFromAbove,
    SingleBlockImplicitTerminator<"YieldOp">,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "A function over whole tensors, and how a kernel family realises it";
  let description = [{
    The body is the kernel's meaning: ops on tensors, one argument an input, `exec.yield` of one
    tensor an output. Arguments are written with buffer types, whose extents are over the kernel's
    own size parameters; within the body they are the tensors of that shape.

    An output either has a buffer of its own or *updates* an input: its value is written over that
    input's bytes (a cache). So the kernel's buffers are its inputs, then the outputs that update
    nothing; that is also the operand order of a launch and of the code's entry point.

    `select-kernels` sets `family`, `config` (how; a dictionary the family understands), `grid`
    (blocks in x, y and z as sizes over the kernel's parameters), `description` (what and how in
    words) and `in_place` (for each buffer of an output, the inputs whose bytes it may share because
    the family reads an element before it writes it). The remaining attributes come from `emit`.

    A kernel with `variant_of` is another realisation of the kernel named there, for another target of
    the same kind; the runtime takes it in that one's place where its target fits the machine better.
    Programs launch the other.

    ```mlir
    exec.kernel @linear_0 for @host sizes(d0 in [1, 8], d1 in [1, 512])
        (%x: !exec.buffer<[d0, d1, 384] x f32>, %w: !exec.buffer<[384, 384] x f32>)
        -> (!exec.buffer<[d0, d1, 384] x f32>)
        attributes {family = "host.linalg", grid = [#exec.size<d0 * d1 ceildiv 64>, …]} {
      %0 = transformer.linear %x, %w : …
      exec.yield %0 : tensor<?x?x384xf32>
    }
    exec.kernel @append for @host sizes(d0 in [1, 8])
        (%cache: !exec.buffer<[9, 16] x f32>, %x: …) -> (!exec.buffer<[9, 16] x f32> updates %cache)
    ```

    Constraints:

    * (C1) `target` names an `exec.target`.
    * (C2) Buffer types name only the kernel's size parameters; every parameter is named by some
      buffer type; names are unique.
    * (C3) The body's arguments are the tensors of the input types, and `exec.yield` gives the
      tensors of the output types.
    * (C4) An updated input exists, is updated once, and has the output's type.
    * (C5) `grid` has three sizes over the kernel's parameters; it comes with `family`.
    * (C6) `in_place` has one list for each output that updates nothing, of existing inputs with
      elements of the output's bytes. `plan-memory` lets two buffers share bytes if they have as many at
      the compiled maxima.
    * (C7) `variant_of` names a kernel that is no variant, for another target of the same kind, with the
      same sizes, inputs, outputs, updates and `in_place`.
  }];
  let arguments = (ins
    SymbolNameAttr:$sym_name,
    FlatSymbolRefAttr:$target,
    Exec_SymbolArrayAttr:$sizes,
    TypeArrayAttr:$inputs,
    TypeArrayAttr:$outputs,
    // For each output: the index of the input that it updates, or -1.
    DenseI64ArrayAttr:$updates,
    OptionalAttr<StrAttr>:$family,
    OptionalAttr<DictionaryAttr>:$config,
    OptionalAttr<Exec_SizeArrayAttr>:$grid,
    OptionalAttr<StrAttr>:$description,
    OptionalAttr<ArrayAttr>:$in_place,
    OptionalAttr<FlatSymbolRefAttr>:$variant_of);
  let regions = (region SizedRegion<1>:$body);
  let hasCustomAssemblyFormat = 1;
  let hasVerifier = 1;
  let hasRegionVerifier = 1;
  let skipDefaultBuilders = 1;
  let builders = [
    OpBuilder<(ins "::llvm::StringRef":$name, "::mlir::FlatSymbolRefAttr":$target,
                   "::llvm::ArrayRef<SymbolAttr>":$sizes, "::llvm::ArrayRef<BufferType>":$inputs,
                   "::llvm::ArrayRef<BufferType>":$outputs, "::llvm::ArrayRef<int64_t>":$updates,
                   "::llvm::ArrayRef<::mlir::Location>":$inputLocations)>
  ];
  let extraClassDeclaration = [{
    BufferType getInputType(unsigned i) {
      return ::mlir::cast<BufferType>(::mlir::cast<::mlir::TypeAttr>(getInputs()[i]).getValue());
    }
    BufferType getOutputType(unsigned i) {
      return ::mlir::cast<BufferType>(::mlir::cast<::mlir::TypeAttr>(getOutputs()[i]).getValue());
    }
    unsigned getNumInputs() { return getInputs().size(); }
    unsigned getNumOutputs() { return getOutputs().size(); }

    /// Indices of the outputs that have a buffer of their own, in order.
    ::llvm::SmallVector<unsigned> getOwnOutputs();
    /// Types of the kernel's buffers: inputs, then the outputs of `getOwnOutputs()`.
    ::llvm::SmallVector<BufferType> getBufferTypes();
    /// For each of `getBufferTypes()`: does the kernel write it?
    ::llvm::SmallVector<bool> getWrittenBuffers();
    /// The inputs whose bytes the `i`-th own output may share (C6); empty before selection.
    ::llvm::ArrayRef<int64_t> getInPlaceInputs(unsigned ownOutput);
  }];
}

def Exec_YieldOp : Exec_Op<"yield", [Pure, Terminator, HasParent<"KernelOp">]> {
  let summary = "The outputs of a kernel";
  let arguments = (ins Variadic<AnyRankedTensor>:$values);
  let assemblyFormat = "attr-dict ($values^ `:` type($values))?";
  let builders = [OpBuilder<(ins), [{ build($_builder, $_state, ::mlir::ValueRange()); }]>];
}

def Exec_LaunchOp : Exec_Op<"launch", [ParentOneOf<["ProgramOp"]>, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<SymbolUserOpInterface>,
    DeclareOpInterfaceMethods<MemoryEffectsOpInterface>]> {
  let summary = "A step that runs a kernel on buffers";
  let description = [{
    `sizes` are the values of the kernel's size parameters in the program's symbols. `grid`, set by
    `select-kernels`, is the kernel's grid at these sizes. `outs` are the buffers of the outputs
    that update nothing; an updated input is an operand of `ins`, and is written.

    ```mlir
    exec.launch @linear_0 sizes(B, S) grid(B * S ceildiv 64, 6, 1)
        ins(%x, %w : !exec.buffer<[B, S, 384] x f32>, !exec.buffer<[384, 384] x f32>)
        outs(%y : !exec.buffer<[B, S, 384] x f32>)
    ```

    Constraints:

    * (C1) `kernel` names an `exec.kernel`.
    * (C2) There are as many sizes as the kernel has parameters, over the program's symbols, and at
      the program's bounds they stay within the parameters' bounds.
    * (C3) Operands are the kernel's buffers: same number, and each type is the kernel's at `sizes`.
    * (C4) `grid`, if present, has three sizes over the program's symbols.
    * (C5) All operands live on one device, whose target is the kernel's.
    * (C6) Nothing that is written is a weight or a constant.
    * (C7) `exchanged` comes with `part` and has an entry an operand, -1 or a multiple of 16, as `part` is.
  }];
  let arguments = (ins
    FlatSymbolRefAttr:$kernel,
    Exec_SizeArrayAttr:$sizes,
    OptionalAttr<Exec_SizeArrayAttr>:$grid,
    // Of a launch in the run of a stream: see exec.streamed.
    OptionalAttr<DenseI64ArrayAttr>:$exchanged,
    OptionalAttr<I64Attr>:$part,
    Variadic<Exec_BufferType>:$ins,
    Variadic<Exec_BufferType>:$outs);
  let assemblyFormat = [{
    $kernel `sizes` `` custom<BareSizes>($sizes) (`grid` `` custom<BareSizes>($grid)^)?
    (`ins` `(` $ins^ `:` qualified(type($ins)) `)`)? (`outs` `(` $outs^ `:` qualified(type($outs)) `)`)?
    (`exchanged` $exchanged^ `part` $part)? attr-dict
  }];
  let hasVerifier = 1;
  let builders = [
    OpBuilder<(ins "::mlir::FlatSymbolRefAttr":$kernel, "::mlir::ArrayAttr":$sizes,
                   "::mlir::ArrayAttr":$grid, "::mlir::ValueRange":$ins, "::mlir::ValueRange":$outs), [{
      build($_builder, $_state, kernel, sizes, grid, {}, {}, ins, outs);
    }]>
  ];
  let extraClassDeclaration = [{
    /// The launched kernel, or null if the symbol doesn't resolve.
    KernelOp lookupKernel(::mlir::SymbolTableCollection &symbols);
  }];
}

#endif
