//===- TransformerDialect.td - The transformer dialect -----*- tablegen -*-===//
//
// The dialect itself, the element and tensor types its operations take, and the base classes that
// give every operation shape inference, shape reification and a decomposition.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_TRANSFORMER_DIALECT_TD
#define INGOT_TRANSFORMER_DIALECT_TD

include "mlir/Dialect/Linalg/IR/LinalgInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Transformer_Dialect : Dialect {
  let name = "transformer";
  let cppNamespace = "::ingot::transformer";
  let summary = "What a transformer model computes, before any choice of how";
  let description = [{
    A model is a module of functions (programs) in this dialect. Operations are primitive and take
    *padded* batches with masks, as the reference implementations do; fusing and removing the padding
    are the work of passes. Elementwise arithmetic uses `arith` and `math` on tensors: an operation is
    here only where upstream has none.

    Every operation but `transformer.weight` has one executable meaning, its decomposition into
    linalg, tensor, arith, math and scf (`AggregatedOpInterface::decomposeOperation`). It is the
    specification, what the CPU code generator compiles, and what passes are checked against.

    Names of dimensions: B rows of the batch, S tokens of a row, E hidden width, V vocabulary,
    H heads (Hkv: key/value heads), D width of a head, C context (keys seen by a query), NB blocks in a
    row's block table, NBLK physical cache blocks. Element types: floating point is f32, f16 or bf16
    with statistics and accumulation in f32; ids, positions and lengths are i32; masks are i1.

    Discardable attributes of programs:

    | attribute | on | meaning |
    |---|---|---|
    | `transformer.program` | `func.func` | unit: the function is a program |
    | `transformer.unpadding = {packed_ops = 9, padded_ops = 0, flops_per_token = 98304, flops_per_pair = 512}` | `func.func` | what `remove-padding` did |
    | `transformer.sizes = {B = [1, 8]}` | module | symbolic sizes with minimum and maximum |
    | `transformer.limits = [{symbols = ["B", "S"], max = 2048} ]` | module | bounds on products of sizes |
    | `transformer.sources = {"a.weight" = {shape = [4, 4], init = "normal", std = 0.02, aliases = []}}` | module | the checkpoint's tensors |
    | `transformer.model = {type = "llama", architecture = "LlamaForCausalLM"}` | module | where the model comes from |
    | `transformer.generation = {max_context = 512, eos_ids = array<i64: 2>, ...}` | module | defaults of the generation loop over the program `step` |
    | `transformer.name = "input_ids"` | argument, result | name of a port |
    | `transformer.sizes = ["B", "S"]` | argument | the symbol of each dynamic dimension, in order |
    | `transformer.range = [0, 511]` | integer argument | inclusive bounds of every element |
    | `transformer.optional = 1` | argument | may be absent; it is then filled with this |
    | `transformer.offsets = {to = "T", max_step = 512}` | i32 argument of rank 1 | offsets: from 0, never falling, to the size `to`, by at most `max_step` at once |
    | `transformer.state = "kv.k.0"` | argument, result | program state and its new value |
  }];
  let dependentDialects = [
    "::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::math::MathDialect", "::mlir::scf::SCFDialect", "::mlir::tensor::TensorDialect"
  ];
  let useDefaultAttributePrinterParser = 1;
  let extraClassDeclaration = [{
    void registerAttributes();
  }];
  let hasOperationAttrVerify = 1;
  let hasRegionArgAttrVerify = 1;
  let hasRegionResultAttrVerify = 1;
}

// Floating-point, integer and mask tensors of given ranks.
class Transformer_Float<list<int> ranks> : TensorRankOf<[F32, F16, BF16], ranks>;
class Transformer_I32<list<int> ranks> : TensorRankOf<[I32], ranks>;
class Transformer_F32<list<int> ranks> : TensorRankOf<[F32], ranks>;
class Transformer_Mask<list<int> ranks> : TensorRankOf<[I1], ranks>;
// Any rank with at least one axis.
def Transformer_FloatAny : Transformer_Float<[1, 2, 3, 4, 5]>;
def Transformer_I32Any : Transformer_I32<[1, 2, 3, 4]>;

class Transformer_Op<string mnemonic, list<Trait> traits = []>
    : Op<Transformer_Dialect, mnemonic, !listconcat([Pure], traits)>;

// An operation from tensors to tensors. One hand-written function, `resultShapes`, says where each
// result dimension comes from; type inference and reification both follow it. A result may be typed
// more or less statically than inferred, never differently.
class Transformer_TensorOp<string mnemonic, list<Trait> traits = []>
    : Transformer_Op<mnemonic, !listconcat([
        DeclareOpInterfaceMethods<InferTypeOpInterface>,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>,
        AggregatedOpInterface], traits)> {
  let hasVerifier = 1;
  // Members of one op, beside those that all have.
  code members = [{}];
  let extraClassDeclaration = [{
    /// Where each dimension of each result comes from; failure on operands of the wrong rank.
    static ::mlir::FailureOr<::ingot::transformer::ResultShapes> resultShapes(Adaptor adaptor);
    /// The decomposition; `decomposeOperation` casts its values to the result types.
    ::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>> decompose(::mlir::OpBuilder &builder);
    ::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>> decomposeOperation(
        ::mlir::OpBuilder &builder);
    static bool isCompatibleReturnTypes(::mlir::TypeRange inferred, ::mlir::TypeRange actual);
  }] # members;
  let extraClassDefinition = [{
    ::llvm::LogicalResult $cppClass::inferReturnTypes(::mlir::MLIRContext *context,
        std::optional<::mlir::Location> location, ::mlir::ValueRange operands,
        ::mlir::DictionaryAttr attributes, ::mlir::OpaqueProperties properties,
        ::mlir::RegionRange regions, ::llvm::SmallVectorImpl<::mlir::Type> &types) {
      return ::ingot::transformer::inferTypes(location, getOperationName(),
          resultShapes(Adaptor(operands, attributes, properties, regions)), types);
    }
    bool $cppClass::isCompatibleReturnTypes(::mlir::TypeRange inferred, ::mlir::TypeRange actual) {
      return ::ingot::transformer::areCompatible(inferred, actual);
    }
    ::llvm::LogicalResult $cppClass::reifyResultShapes(::mlir::OpBuilder &builder,
        ::mlir::ReifiedRankedShapedTypeDims &shapes) {
      return ::ingot::transformer::reifyShapes(getOperation(), resultShapes(Adaptor(*this)),
          builder, shapes);
    }
    ::mlir::FailureOr<::llvm::SmallVector<::mlir::Value>> $cppClass::decomposeOperation(
        ::mlir::OpBuilder &builder) {
      return ::ingot::transformer::castToResultTypes(getOperation(), decompose(builder), builder);
    }
  }];
}

#endif // INGOT_TRANSFORMER_DIALECT_TD
