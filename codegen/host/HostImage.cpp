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
                  cf::ControlFlowDialect, func::FuncDialect, index::IndexDialect,
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

Result<HostImage> compileHostImage(ModuleOp module, const HostImageOptions &options) {
  std::string problem;
  ScopedDiagnosticHandler handler(module.getContext(), [&](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() == DiagnosticSeverity::Error && problem.empty())
      problem = diagnostic.str();
    return success(diagnostic.getSeverity() == DiagnosticSeverity::Error);
  });
  StringRef step, kernel;
  auto failed = [&] {
    return Status(ExitCode::Internal, "host code generation of kernel '" + kernel.str() +
                                          "' failed in step " + step.str() +
                                          (problem.empty() ? "" : ": " + problem));
  };
  auto done = [&](StringRef name) {
    if (options.onStep)
      options.onStep(name, module);
  };

  SmallVector<KernelAbi> abis;
  HostImage image;
  for (func::FuncOp func : module.getOps<func::FuncOp>()) {
    kernel = func.getName();
    FailureOr<KernelAbi> abi = readAbi(func);
    step = "signature";
    if (mlir::failed(abi) || mlir::failed(bindBuffers(func, *abi)))
      return failed();
    auto run = [&](StringRef name, LogicalResult result) {
      step = name;
      return succeeded(result);
    };
    if (!run("normalize", normalizeKernel(func, *abi)))
      return failed();
    done("normalize");
    KernelPlan plan = planKernel(func, *abi, options.target);
    if (!run("tile", tileKernel(func, *abi, plan, options.target)))
      return failed();
    done("tile");
    if (!run("vectorize", vectorizeKernel(func, *abi, options.target)))
      return failed();
    done("vectorize");
    if (!run("bufferize", bufferizeKernel(func, *abi)))
      return failed();
    done("bufferize");
    if (!run("lower-vectors", lowerVectors(func, options.target)))
      return failed();
    done("lower-vectors");
    image.kernels.push_back({kernel.str(), abi->numBuffers, abi->numSizes, abi->scratchBytes, plan});
    abis.push_back(*abi);
  }
  step = "lower-to-llvm";
  if (mlir::failed(lowerToLLVM(module, abis)))
    return failed();
  done(step);
  Result<std::string> object = emitObject(module, options.target);
  if (!object.ok())
    return object.status();
  Result<std::string> elf = linkImage(*object);
  if (!elf.ok())
    return elf.status();
  image.elf = std::move(*elf);
  return image;
}

} // namespace ingot::host
