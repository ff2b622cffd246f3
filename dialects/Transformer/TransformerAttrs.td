//===- TransformerAttrs.td - Attributes and enums ----------*- tablegen -*-===//
//
// The activation kinds, the back ends of attention and the steps of a weight's recipe.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_ATTRS_TD
#define INGOT_TRANSFORMER_ATTRS_TD

include "dialects/Transformer/TransformerDialect.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"

def Transformer_ActivationKind : I32EnumAttr<"ActivationKind", "activation function", [
    I32EnumAttrCase<"Linear", 0, "linear">,
    I32EnumAttrCase<"Gelu", 1, "gelu">,
    I32EnumAttrCase<"GeluTanh", 2, "gelu_tanh">,
    I32EnumAttrCase<"Gelu10", 3, "gelu_10">,
    I32EnumAttrCase<"QuickGelu", 4, "quick_gelu">,
    I32EnumAttrCase<"Silu", 5, "silu">,
    I32EnumAttrCase<"Relu", 6, "relu">,
    I32EnumAttrCase<"Relu2", 7, "relu2">,
    I32EnumAttrCase<"Relu6", 8, "relu6">,
    I32EnumAttrCase<"LeakyRelu", 9, "leaky_relu">,
    I32EnumAttrCase<"Tanh", 10, "tanh">,
    I32EnumAttrCase<"Sigmoid", 11, "sigmoid">,
    I32EnumAttrCase<"Mish", 12, "mish">,
    I32EnumAttrCase<"Laplace", 13, "laplace">]> {
  let cppNamespace = "::ingot::transformer";
  let genSpecializedAttr = 0;
}

def Transformer_ActivationKindAttr
    : EnumAttr<Transformer_Dialect, Transformer_ActivationKind, "activation_kind"> {
  let assemblyFormat = "$value";
}

// Ways to run attention, strategies of the one op.
def Transformer_AttentionBackend : I32EnumAttr<"AttentionBackend", "attention back end", [
    I32EnumAttrCase<"Flash", 0, "flash">,
    I32EnumAttrCase<"Efficient", 1, "efficient">,
    I32EnumAttrCase<"Math", 2, "math">]> {
  let cppNamespace = "::ingot::transformer";
  let genSpecializedAttr = 0;
}

def Transformer_AttentionBackendAttr
    : EnumAttr<Transformer_Dialect, Transformer_AttentionBackend, "attention_backend"> {
  let assemblyFormat = "$value";
}

// The numbering is that of RecipeOp in runtime/format/plan.fbs.
def Transformer_RecipeOp : I32EnumAttr<"RecipeOp", "operation of a recipe step", [
    I32EnumAttrCase<"Load", 0, "load">,
    I32EnumAttrCase<"Cast", 1, "cast">,
    I32EnumAttrCase<"Reshape", 2, "reshape">,
    I32EnumAttrCase<"Transpose", 3, "transpose">,
    I32EnumAttrCase<"Slice", 4, "slice">,
    I32EnumAttrCase<"Concat", 5, "concat">,
    I32EnumAttrCase<"Pad", 6, "pad">,
    I32EnumAttrCase<"AddScalar", 7, "add_scalar">,
    I32EnumAttrCase<"MulScalar", 8, "mul_scalar">]> {
  let cppNamespace = "::ingot::transformer";
  let genSpecializedAttr = 0;
}

def Transformer_StepAttr : AttrDef<Transformer_Dialect, "Step"> {
  let mnemonic = "step";
  let summary = "one step of a weight's recipe";
  let description = [{
    A recipe makes a weight from checkpoint tensors; it is a list of steps of a stack machine that both
    the compiler and the runtime can run. Steps mirror `RecipeOp` of the artifact's schema:

    | step | ints | effect on the stack |
    |---|---|---|
    | `load 0` | source | push that source |
    | `cast f32` | element type | convert the top |
    | `reshape [2, 8]` | dims | same elements, new shape |
    | `transpose [1, 0]` | permutation | dimension i of the result is dimension perm[i] |
    | `slice [0, 4, 8]` | axis, begin, end | elements [begin, end) of an axis |
    | `concat [0, 3]` | axis, count | join the top `count` values, the deepest first |
    | `pad [0, 16]` | axis, size | zeros behind, up to `size` |
    | `add_scalar 1.0`, `mul_scalar 0.5` | – | to every element |

    A step is written `#transformer.step<transpose [1, 0]>`; inside `transformer.weight` the prefix is
    left out. Element types are named f32, f16, bf16, i8, u8, i32, i64, i1 and numbered as `DType` there.
  }];
  let parameters = (ins "::ingot::transformer::RecipeOp":$op,
                        ArrayRefParameter<"int64_t">:$ints,
                        APFloatParameter<"operand of add_scalar and mul_scalar">:$value);
  let builders = [
    AttrBuilder<(ins "::ingot::transformer::RecipeOp":$op, "::llvm::ArrayRef<int64_t>":$ints), [{
      return $_get($_ctxt, op, ints, ::llvm::APFloat(0.0));
    }]>,
    AttrBuilder<(ins "::ingot::transformer::RecipeOp":$op, "double":$value), [{
      return $_get($_ctxt, op, ::llvm::ArrayRef<int64_t>(), ::llvm::APFloat(value));
    }]>
  ];
  let extraClassDeclaration = [{
    /// The step without `#transformer.step<…>` around it.
    void printBody(::mlir::AsmPrinter &printer) const;
    static StepAttr parseBody(::mlir::AsmParser &parser);
  }];
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def Transformer_RecipeAttr
    : TypedArrayAttrBase<Transformer_StepAttr, "steps of a recipe">;

#endif // INGOT_TRANSFORMER_ATTRS_TD
