//===- Generated.h - CUDA kernels of printed expressions --------*- C++ -*-===//
//
// `cuda.generated` takes any body whose normal form is elementwise operations and reductions:
// masks, positions, norms, softmax, embeddings, RoPE, gathers, scans, pooling, activations and
// chains of all these. It prints what an element of the output is (codegen/cuda/Printer.h); the
// loops are in codegen/cuda/kernels/rows.cuh.
//
// Parts of a body that have nothing in common but inputs (Parts.h) get blocks of their own.
//
// It is also the fallback of matmuls that no other family takes: a warp or a thread an element,
// right but slow.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

/// The threads that share a row of so many vectors, each in turn: a warp, or all of a block.
unsigned chooseRowThreads(int64_t vectors);

class GeneratedFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "cuda.generated"; }
  llvm::StringRef getTargetKind() const override { return "cuda"; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  bool sharesLaunches() const override { return true; }
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
