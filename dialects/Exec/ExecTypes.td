//===- ExecTypes.td - Buffers ------------------------------*- tablegen -*-===//
//
// Mirrors the type part of Buffer in runtime/format/plan.fbs.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_TYPES_TD
#define INGOT_EXEC_TYPES_TD

include "dialects/Exec/ExecAttrs.td"

def Exec_BufferType : TypeDef<Exec_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "Row-major elements in device memory, with named dynamic extents";
  let description = [{
    `!exec.buffer<[B, S, 384] x f32>`. The symbols are those of the surrounding program, or the size
    parameters of the surrounding kernel. Element types are those of `DType` in `plan.fbs`; an `i1`
    takes one byte.
  }];
  let parameters = (ins ArrayRefParameter<"SizeAttr">:$shape, "::mlir::Type":$elementType);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// The same shape as a tensor: `?` for each extent that depends on a symbol.
    ::mlir::RankedTensorType getTensorType() const;
    /// Bytes of one element.
    int64_t getElementBytes() const;
    static bool isSupportedElementType(::mlir::Type type);
    /// The buffer type of a tensor type without dynamic dimensions.
    static BufferType getStatic(::mlir::RankedTensorType type);
  }];
}

#endif
