//===- WeightOps.td - Weights by name and recipe -----------*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_WEIGHT_OPS_TD
#define INGOT_TRANSFORMER_WEIGHT_OPS_TD

include "dialects/Transformer/TransformerAttrs.td"

def Transformer_WeightOp : Transformer_Op<"weight", [
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "a weight, made from checkpoint tensors by a recipe";
  let description = [{
    Names tensors of the checkpoint and says how the weight is made from them. No weight byte is ever in
    the IR: the recipe is stored in the artifact and run at compile time or at load.

    ```mlir
    %w = transformer.weight ["lm_head.weight"] [load 0] : tensor<49152x576xf32>
    %qkv = transformer.weight ["q.weight", "k.weight", "v.weight"]
        [load 0, load 1, load 2, concat [0, 3]] : tensor<960x576xf32>
    ```

    Two weights with equal sources, recipe and type are the same value. The operation has no
    decomposition: it becomes a parameter of the kernels that use it.

    Constraints:
    * C1: at least one source, none with an empty name.
    * C2: every `load` names a source.
    * C3: no step takes more values than the stack holds, and one value is left at the end.
    * C4: every source is in the module's `transformer.sources`, where the module has that table.
    * C5: the recipe, run on the sources' shapes (C4), gives the result's shape.
  }];
  let arguments = (ins StrArrayAttr:$sources, Transformer_RecipeAttr:$recipe);
  let results = (outs StaticShapeTensorOf<[AnyFloat, AnyInteger]>:$result);
  let assemblyFormat = "$sources custom<Recipe>($recipe) attr-dict `:` type($result)";
  let builders = [
    // The checkpoint tensor `source` as it is.
    OpBuilder<(ins "::mlir::RankedTensorType":$type, "::llvm::StringRef":$source)>
  ];
  let hasVerifier = 1;
}

#endif // INGOT_TRANSFORMER_WEIGHT_OPS_TD
