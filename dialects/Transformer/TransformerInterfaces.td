//===- TransformerInterfaces.td - What ops say about tokens -*- tablegen -*-===//
#ifndef INGOT_TRANSFORMER_INTERFACES_TD
#define INGOT_TRANSFORMER_INTERFACES_TD

include "mlir/IR/OpBase.td"

def TokenwiseOpInterface : OpInterface<"TokenwiseOpInterface"> {
  let cppNamespace = "::ingot::transformer";
  let description = [{
    An op on a padded batch [B, S, …] that can do its work on the valid tokens alone. It is implemented in
    Tokenwise.cpp, for upstream ops too; nobody else needs to know which ops these are.
  }];
  let methods = [
    InterfaceMethod<[{
        The mask [B, S] that says which tokens of the op's rows are valid, or null if the op doesn't know.
      }],
      "::mlir::Value", "getTokenMask", (ins), "", "return {};">,
    InterfaceMethod<[{
        The number of valid tokens of each row, [B], if they are at the front of the rows of the op's
        padded operand, or null.
      }],
      "::mlir::Value", "getTokenLengths", (ins), "", "return {};">,
    InterfaceMethod<[{
        Builds the op's results from packed tokens, one value a result: [T, …] for a result [B, S, …], and
        the result itself for one without padding ([B, …], a cache). Fails with `packing.reason` set, and
        nothing built, if it can't; then the op stays padded.
      }],
      "::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>>", "buildPacked",
      (ins "::mlir::OpBuilder &":$builder, "::ingot::transformer::Packing &":$packing)>,
    InterfaceMethod<"Floating-point operations that the op takes for a token, of matrix products alone.",
      "int64_t", "getFlopsPerToken", (ins), "", "return 0;">,
    InterfaceMethod<[{
        Floating-point operations that the op takes for a pair of query and key of one row.
      }],
      "int64_t", "getFlopsPerPair", (ins), "", "return 0;">
  ];
}

#endif // INGOT_TRANSFORMER_INTERFACES_TD
