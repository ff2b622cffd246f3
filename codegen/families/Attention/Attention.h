//===- Attention.h - Attention on a GPU -------------------------*- C++ -*-===//
//
// `cuda.attention` takes a body that is one transformer.attention of packed rows, or of rows in a
// paged cache. codegen/cuda/kernels/attention.cuh has the algorithm, README.md what was measured.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

class AttentionFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "cuda.attention"; }
  llvm::StringRef getTargetKind() const override { return "cuda"; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<std::vector<Selection>> candidates(exec::KernelOp kernel,
                                            const SelectContext &context) const override;
  Sample sample(exec::KernelOp kernel) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
