//===- HostImage.cpp - Kernel functions to one ELF shared object ----------===//
#include "codegen/host/HostImage.h"

#include "codegen/host/Kernel.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/IR/ValueBoundsOpInterfaceImpl.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/IR/ValueBoundsOpInterfaceImpl.h"
#include "mlir/Dialect/Arith/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlow.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/SubsetInsertionOpInterfaceImpl.h"
#include "mlir/Dialect/Linalg/Transforms/TilingInterfaceImpl.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/IR/ValueBoundsOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/SCF/IR/ValueBoundsOpInterfaceImpl.h"
#include "mlir/Dialect/SCF/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Tensor/IR/TensorInferTypeOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/TensorTilingInterfaceImpl.h"
#include "mlir/Dialect/Tensor/IR/ValueBoundsOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Tensor/Transforms/SubsetInsertionOpInterfaceImpl.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/IR/ValueBoundsOpInterfaceImpl.h"
#include "mlir/Dialect/Vector/Transforms/BufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/Vector/Transforms/SubsetOpInterfaceImpl.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Target/LLVMIR/Dialect/Builtin/BuiltinToLLVMIRTranslation.h"
#include "mlir/Target/LLVMIR/Dialect/LLVMIR/LLVMToLLVMIRTranslation.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;

namespace ingot::host {

void registerHostDialects(DialectRegistry &registry) {
  registry.insert<affine::AffineDialect, arith::ArithDialect, bufferization::BufferizationDialect,
                  cf::ControlFlowDialect, func::FuncDialect, gpu::GPUDialect, index::IndexDialect,
                  linalg::LinalgDialect, LLVM::LLVMDialect, math::MathDialect,
                  memref::MemRefDialect, scf::SCFDialect, tensor::TensorDialect, ub::UBDialect,
                  vector::VectorDialect>();
  affine::registerValueBoundsOpInterfaceExternalModels(registry);
  arith::registerBufferizableOpInterfaceExternalModels(registry);
  arith::registerValueBoundsOpInterfaceExternalModels(registry);
  linalg::registerBufferizableOpInterfaceExternalModels(registry);
  linalg::registerSubsetOpInterfaceExternalModels(registry);
  linalg::registerTilingInterfaceExternalModels(registry);
  memref::registerValueBoundsOpInterfaceExternalModels(registry);
  scf::registerBufferizableOpInterfaceExternalModels(registry);
  scf::registerValueBoundsOpInterfaceExternalModels(registry);
  tensor::registerBufferizableOpInterfaceExternalModels(registry);
  tensor::registerInferTypeOpInterfaceExternalModels(registry);
  tensor::registerSubsetOpInterfaceExternalModels(registry);
  tensor::registerTilingInterfaceExternalModels(registry);
  tensor::registerValueBoundsOpInterfaceExternalModels(registry);
  vector::registerBufferizableOpInterfaceExternalModels(registry);
  vector::registerSubsetOpInterfaceExternalModels(registry);
  vector::registerValueBoundsOpInterfaceExternalModels(registry);
  registerBuiltinDialectTranslation(registry);
  registerLLVMDialectTranslation(registry);
}

namespace {

/// Runs the steps of one module and turns diagnostics into one error message.
class Steps {
public:
  explicit Steps(ModuleOp module)
      : module(module), handler(module.getContext(), [this](Diagnostic &diagnostic) {
          if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
            return failure();
          if (problem.empty())
            problem = diagnostic.str();
          return success();
        }) {}

  bool run(StringRef name, LogicalResult result) {
    step = name;
    return succeeded(result) && succeeded(verify(module));
  }
  Status error() {
    std::string names;
    for (auto symbol : module.getOps<SymbolOpInterface>())
      names += (names.empty() ? "" : ", ") + symbol.getName().str();
    return Status(ExitCode::Internal, "host code generation of " + names + " failed in step " +
                                          step.str() + (problem.empty() ? "" : ": " + problem));
  }

private:
  ModuleOp module;
  StringRef step;
  std::string problem;
  ScopedDiagnosticHandler handler;
};

/// Signature and normal form of the only function, and its plan.
struct Prepared {
  func::FuncOp func;
  KernelAbi abi;
  KernelPlan plan;
};
Result<Prepared> prepare(ModuleOp module, const HostTarget &target) {
  Steps steps(module);
  Prepared prepared;
  prepared.func = *module.getOps<func::FuncOp>().begin();
  FailureOr<KernelAbi> abi = readAbi(prepared.func);
  if (!steps.run("signature", failure(failed(abi) || failed(bindBuffers(prepared.func, *abi)))) ||
      !steps.run("normalize", normalizeKernel(prepared.func, *abi)))
    return steps.error();
  prepared.abi = *abi;
  prepared.plan = planKernel(prepared.func, prepared.abi, target);
  return prepared;
}

} // namespace

Result<KernelPlan> planHostKernel(ModuleOp module, const HostTarget &target) {
  Result<Prepared> prepared = prepare(module, target);
  return prepared.ok() ? Result<KernelPlan>(prepared->plan) : prepared.status();
}

Result<std::vector<int64_t>> chooseWeightPanels(ModuleOp module, const HostTarget &target) {
  size_t numArguments = (*module.getOps<func::FuncOp>().begin()).getNumArguments();
  Result<Prepared> prepared = prepare(module, target);
  if (!prepared.ok())
    return prepared.status();
  std::vector<int64_t> panels(numArguments);
  WeightPanel panel = findWeightPanel(prepared->func, prepared->plan);
  if (panel.argument >= 0 && static_cast<size_t>(panel.argument) < numArguments)
    panels[panel.argument] = panel.columns;
  return panels;
}

Result<HostObject> compileHostObject(ModuleOp module, const HostImageOptions &options) {
  Steps steps(module);
  auto done = [&](StringRef name) {
    if (options.onStep)
      options.onStep(name, module);
  };
  SmallVector<KernelAbi> abis;
  HostObject object;
  for (func::FuncOp func : module.getOps<func::FuncOp>()) {
    FailureOr<KernelAbi> abi = readAbi(func);
    if (!steps.run("signature", failure(failed(abi) || failed(bindBuffers(func, *abi)))) ||
        !steps.run("normalize", normalizeKernel(func, *abi)))
      return steps.error();
    done("normalize");
    KernelPlan plan = planKernel(func, *abi, options.target);
    if (!steps.run("tile", tileKernel(func, *abi, plan, options.target)))
      return steps.error();
    done("tile");
    if (!steps.run("vectorize", vectorizeKernel(func, *abi, options.target)))
      return steps.error();
    done("vectorize");
    if (!steps.run("bufferize", bufferizeKernel(func, *abi)))
      return steps.error();
    done("bufferize");
    if (!steps.run("lower-vectors", lowerVectors(func, options.target)))
      return steps.error();
    streamZeros(func);
    done("lower-vectors");
    object.kernels.push_back(
        {func.getName().str(), abi->numBuffers, abi->numSizes, abi->scratchBytes, plan});
    abis.push_back(std::move(*abi));
  }
  if (!steps.run("lower-to-llvm", lowerToLLVM(module, abis)))
    return steps.error();
  done("lower-to-llvm");
  Result<std::string> bytes = emitObject(module, options.target);
  if (!bytes.ok())
    return bytes.status();
  object.bytes = std::move(*bytes);
  return object;
}

} // namespace ingot::host
