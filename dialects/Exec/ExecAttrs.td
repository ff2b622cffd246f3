//===- ExecAttrs.td - Sizes, symbols and recipe steps ------*- tablegen -*-===//
//
// Mirrors Size, Symbol, SizeLimit, RecipeStep and Init of runtime/format/plan.fbs.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_ATTRS_TD
#define INGOT_EXEC_ATTRS_TD

include "dialects/Exec/ExecDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

class Exec_Attr<string name, string mnemonic_> : AttrDef<Exec_Dialect, name> {
  let mnemonic = mnemonic_;
}

def Exec_SizeAttr : Exec_Attr<"Size", "size"> {
  let summary = "ceil(factor * symbol * symbol * … / divisor)";
  let description = [{
    A size that is known at run time: a product of a constant and of symbols, divided by a constant
    and rounded up. Always in canonical form: symbols sorted, factor and divisor without a common
    factor, divisor 1 when there are no symbols. So two sizes are equal as functions if and only if
    their attributes are the same object.

    ```mlir
    #exec.size<B * S * 384 ceildiv 64>
    #exec.size<12>
    ```
  }];
  let parameters = (ins
    DefaultValuedParameter<"int64_t", "1">:$factor,
    OptionalArrayRefParameter<"::mlir::StringAttr">:$symbols,
    DefaultValuedParameter<"int64_t", "1">:$divisor);
  let skipDefaultBuilders = 1;
  let builders = [
    AttrBuilder<(ins "int64_t":$factor,
                     CArg<"::llvm::ArrayRef<::mlir::StringAttr>", "{}">:$symbols,
                     CArg<"int64_t", "1">:$divisor)>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// True if the size doesn't depend on a symbol; then it is `getFactor()`.
    bool isStatic() const { return getSymbols().empty(); }

    /// The bare form, "B * S * 384 ceildiv 64"; what custom assembly of ops prints.
    void printBare(::llvm::raw_ostream &os) const;
    static ::mlir::FailureOr<SizeAttr> parseBare(::mlir::AsmParser &parser);
    std::string str() const;
  }];
}

def Exec_SizeArrayAttr : TypedArrayAttrBase<Exec_SizeAttr, "array of sizes">;

def Exec_SymbolAttr : Exec_Attr<"Symbol", "symbol"> {
  let summary = "A run-time size with its compiled bounds (inclusive)";
  let description = [{
    `#exec.symbol<B in [1, 8]>`: the number of rows of a call is between 1 and 8.

    `#exec.symbol<T in [0, 2048] within B * S>`: a device-resident size. It is no dimension of what
    the caller passes; `exec.read_size` reads it from a buffer while the program runs. It is in
    [0, `bound`], so at most `maximum`.
  }];
  let parameters = (ins "::mlir::StringAttr":$name, "int64_t":$minimum, "int64_t":$maximum,
                        OptionalParameter<"::ingot::exec::SizeAttr">:$bound);
  let builders = [
    AttrBuilder<(ins "::mlir::StringAttr":$name, "int64_t":$minimum, "int64_t":$maximum), [{
      return $_get($_ctxt, name, minimum, maximum, ::ingot::exec::SizeAttr());
    }]>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    void printBare(::llvm::raw_ostream &os) const;
    static ::mlir::FailureOr<SymbolAttr> parseBare(::mlir::AsmParser &parser);
    /// True if the size is read from a buffer while the program runs.
    bool isResident() const { return getBound() != nullptr; }
  }];
}

def Exec_SymbolArrayAttr : TypedArrayAttrBase<Exec_SymbolAttr, "array of symbols">;

def Exec_LimitAttr : Exec_Attr<"Limit", "limit"> {
  let summary = "A bound on a product of symbols, smaller than the product of their maxima";
  let description = [{
    `#exec.limit<B * S, 2048>`, in programs `limits(B * S <= 2048)`: the tokens of a call, padding
    included.
  }];
  let parameters = (ins ArrayRefParameter<"::mlir::StringAttr">:$symbols, "int64_t":$maximum);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    void printBare(::llvm::raw_ostream &os) const;
    static ::mlir::FailureOr<LimitAttr> parseBare(::mlir::AsmParser &parser);
  }];
}

def Exec_LimitArrayAttr : TypedArrayAttrBase<Exec_LimitAttr, "array of limits">;

// Values are those of RecipeOp in plan.fbs.
def Exec_RecipeOp : I32EnumAttr<"RecipeOp", "what one recipe step does", [
    I32EnumAttrCase<"Load", 0, "load">,
    I32EnumAttrCase<"Cast", 1, "cast">,
    I32EnumAttrCase<"Reshape", 2, "reshape">,
    I32EnumAttrCase<"Transpose", 3, "transpose">,
    I32EnumAttrCase<"Slice", 4, "slice">,
    I32EnumAttrCase<"Concat", 5, "concat">,
    I32EnumAttrCase<"Pad", 6, "pad">,
    I32EnumAttrCase<"AddScalar", 7, "add_scalar">,
    I32EnumAttrCase<"MulScalar", 8, "mul_scalar">
  ]> {
  let cppNamespace = "::ingot::exec";
  let genSpecializedAttr = 0;
}

def Exec_StepAttr : Exec_Attr<"Step", "step"> {
  let summary = "One step of a weight recipe";
  let description = [{
    Recipes are programs of a stack machine (`RecipeOp` in `plan.fbs` says what each step pops and
    pushes). `ints` are the step's integers, `value` the scalar of `add_scalar` and `mul_scalar`.

    ```mlir
    #exec.step<load [0]>   #exec.step<transpose [1, 0]>   #exec.step<add_scalar 1.000000e+00>
    ```
  }];
  let parameters = (ins
    EnumParameter<Exec_RecipeOp>:$op,
    OptionalArrayRefParameter<"int64_t">:$ints,
    "::mlir::FloatAttr":$value);
  let builders = [
    AttrBuilder<(ins "RecipeOp":$op, CArg<"::llvm::ArrayRef<int64_t>", "{}">:$ints,
                     CArg<"double", "0.0">:$value)>
  ];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Exec_StepArrayAttr : TypedArrayAttrBase<Exec_StepAttr, "weight recipe">;

// Values are those of Init in plan.fbs.
def Exec_Init : I32EnumAttr<"Init", "how random weights fill a tensor", [
    I32EnumAttrCase<"Normal", 0, "normal">,
    I32EnumAttrCase<"Ones", 1, "ones">,
    I32EnumAttrCase<"Zeros", 2, "zeros">
  ]> {
  let cppNamespace = "::ingot::exec";
  let genSpecializedAttr = 0;
}
def Exec_InitAttr : EnumAttr<Exec_Dialect, Exec_Init, "init">;

#endif
