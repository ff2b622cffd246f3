//===- ExecDialect.td - What runs: the exec dialect --------*- tablegen -*-===//
//
// The dialect's definition. Attributes, types and ops are in the files beside it; ExecOps.td joins
// them for mlir-tblgen.
//
//===----------------------------------------------------------------------===//
#ifndef INGOT_EXEC_DIALECT_TD
#define INGOT_EXEC_DIALECT_TD

include "mlir/IR/OpBase.td"

def Exec_Dialect : Dialect {
  let name = "exec";
  let cppNamespace = "::ingot::exec";
  let summary = "What runs: programs, kernels, launches, buffers and weights of one artifact";
  let description = [{
    One module of `exec` ops is one artifact: every op stands for one table of
    `runtime/format/plan.fbs`, so that writing the plan is a walk and reading a plan is reading IR.

    A *kernel* is a function over whole tensors whose body is its meaning (ops of the `transformer`,
    `arith` and `math` dialects) and whose attributes say how a kernel family realises it. A
    *program* is a list of steps (launches and copies) over buffers. Sizes that are known at run
    time only are products of named symbols with compiled bounds (`#exec.size`); there is no control
    flow and no allocation.

    A program may say what it leaves out by working on packed tokens: `exec.unpadding = {packed_ops,
    padded_ops, flops_per_token, flops_per_pair}`, the keys of `Unpadding` in `plan.fbs`.

    A program of a tuning pack says what it measures: `exec.candidate = {kernel, config, modelled}`, the
    keys of `Candidate`. `exec.takes_candidate = 2` on its kernel has `select-kernels` take that one of the
    family's candidates.

    Module attributes:

    * `exec.model = {model_type, architecture, config_sha256, provenance = {…}}`: about the model,
      never about the machine.
    * `exec.generation = {program, input_ids, num_tokens, …}`: what the generation loop needs; keys
      and units are those of `Generation` in `plan.fbs`.
  }];
  let useDefaultAttributePrinterParser = 1;
  let useDefaultTypePrinterParser = 1;
  let hasOperationAttrVerify = 1;
  let dependentDialects = [];
  let extraClassDeclaration = [{
    static constexpr ::llvm::StringLiteral kModelAttr = "exec.model";
    static constexpr ::llvm::StringLiteral kGenerationAttr = "exec.generation";
    static constexpr ::llvm::StringLiteral kUnpaddingAttr = "exec.unpadding";
    static constexpr ::llvm::StringLiteral kCandidateAttr = "exec.candidate";
    /// On a kernel of a tuning pack: which of its family's candidates select-kernels is to take.
    static constexpr ::llvm::StringLiteral kTakesAttr = "exec.takes_candidate";

    void registerAttributes();
    void registerTypes();
  }];
}

class Exec_Op<string mnemonic, list<Trait> traits = []> : Op<Exec_Dialect, mnemonic, traits>;

#endif
