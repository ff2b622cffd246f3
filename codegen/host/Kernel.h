//===- Kernel.h - The steps from a kernel function to LLVM IR ---*- C++ -*-===//
//
// Internal to codegen/host: one function a step, in pipeline order (see README.md). Every step
// takes the kernel function and leaves it verifying.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/host/HostImage.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

#include "llvm/ADT/SmallVector.h"

namespace llvm {
class LLVMContext;
class Module;
class TargetMachine;
} // namespace llvm

namespace ingot::host {

/// The arguments of a kernel function after `bindBuffers`, in order:
/// buffers (memref), sizes (index), x, y, z (index), and after bufferization the scratch (memref).
struct KernelAbi {
  int64_t numBuffers = 0;
  int64_t numSizes = 0;
  /// Upper bound of each size argument.
  llvm::SmallVector<int64_t> sizeMax;
  /// For each buffer, the extent of each dynamic dimension in order.
  llvm::SmallVector<llvm::SmallVector<GridSize>> extents;
  uint64_t scratchBytes = 0;

  mlir::Value size(mlir::func::FuncOp func, int64_t index) const {
    return func.getArgument(numBuffers + index);
  }
  mlir::Value block(mlir::func::FuncOp func, int64_t axis) const {
    return func.getArgument(numBuffers + numSizes + axis);
  }
};

/// Reads ingot.sizes, ingot.alias and ingot.size_max of `func`; emits an error if they do not fit.
mlir::FailureOr<KernelAbi> readAbi(mlir::func::FuncOp func);

/// Signature.cpp: tensors in the signature become buffers; the body reads them with
/// bufferization.to_tensor and writes its results with bufferization.materialize_in_destination.
/// Extents of buffers become the size arguments. i1 elements are stored as bytes.
mlir::LogicalResult bindBuffers(mlir::func::FuncOp func, KernelAbi &abi);

/// Normalize.cpp: everything becomes linalg.generic on as few and as large dimensions as possible.
/// `keepColumns`: the last one stays by itself.
mlir::LogicalResult normalizeKernel(mlir::func::FuncOp func, const KernelAbi &abi,
                                    bool keepColumns = false);

/// Signature.cpp: an extent as a value of the size arguments.
mlir::Value buildExtent(mlir::OpBuilder &builder, mlir::Location loc, mlir::func::FuncOp func,
                        const KernelAbi &abi, const GridSize &extent);
/// Signature.cpp: the extent of a dynamic dimension of the function's argument `buffer`; null if
/// that is not a buffer or the dimension is static.
const GridSize *extentOf(mlir::Value buffer, const KernelAbi &abi, int64_t dim);

/// Normalize.cpp: folding of extents, slices and casts; used between all steps on tensors.
void populateCleanup(mlir::RewritePatternSet &patterns, mlir::func::FuncOp func,
                     const KernelAbi &abi);

/// Plan.cpp: chooses how a normalized kernel is cut into blocks. Marks the operation whose loops
/// the plan's tile refers to with `ingot.root`, and the contraction, if any, with
/// `ingot.contraction`.
KernelPlan planKernel(mlir::func::FuncOp func, const KernelAbi &abi, const HostTarget &target);

/// The loops of a contraction by role: `outer` (batch, and rows that could not be collapsed) and
/// `row` (-1 if none) before `column` in the result; `reduction` is summed over.
struct ContractionLoops {
  bool valid = false;
  llvm::SmallVector<unsigned> outer;
  int64_t row = -1;
  unsigned column = 0, reduction = 0;
};
/// On the blocks' scf.forall: KernelPlan::band.
inline constexpr llvm::StringLiteral bandMark = "ingot.band";

/// The scf.forall mapping that says which grid dimension a loop became.
mlir::Attribute blockMapping(mlir::MLIRContext *context, int64_t dimension);

ContractionLoops contractionLoops(mlir::linalg::LinalgOp contraction);

/// Tiling.cpp: block grid (scf.forall), cache and register tiles.
mlir::LogicalResult tileKernel(mlir::func::FuncOp func, const KernelAbi &abi,
                               const KernelPlan &plan, const HostTarget &target);

/// Vectorize.cpp: tiles to vectors; what cannot be vectorized stays linalg.
mlir::LogicalResult vectorizeKernel(mlir::func::FuncOp func, const KernelAbi &abi,
                                    const HostTarget &target);

/// Bufferize.cpp: tensors to buffers in place; scf.forall to the block's grid position; local
/// buffers to the stack or the scratch argument (never the heap).
mlir::LogicalResult bufferizeKernel(mlir::func::FuncOp func, KernelAbi &abi);

/// LowerVectors.cpp: n-D vectors to registers, math functions to arithmetic.
mlir::LogicalResult lowerVectors(mlir::func::FuncOp func, const HostTarget &target);

/// StreamZeros.cpp: zeros of functions with `streamZerosAttr` are stored past the caches.
void streamZeros(mlir::func::FuncOp func);

/// MathExpansion.cpp: patterns that turn every math op on f32/f64 without an instruction of its own
/// into arithmetic (no libm call remains).
void populateMathExpansionPatterns(mlir::RewritePatternSet &patterns, bool hasFma);

/// LowerToLLVM.cpp: the module to the LLVM dialect; each kernel gets its HostKernelAbi entry point.
mlir::LogicalResult lowerToLLVM(mlir::ModuleOp module, llvm::ArrayRef<KernelAbi> abis);

/// EmitObject.cpp: LLVM dialect to an ELF relocatable object.
Result<std::string> emitObject(mlir::ModuleOp module, const HostTarget &target);

/// Plan.cpp: the function argument whose buffer is the right-hand side of the planned contraction,
/// stored [N, K], and the columns of its register tile.
struct WeightPanel {
  int64_t argument = -1, columns = 0;
};
WeightPanel findWeightPanel(mlir::func::FuncOp func, const KernelPlan &plan);

} // namespace ingot::host
