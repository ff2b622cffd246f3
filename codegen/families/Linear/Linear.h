//===- Linear.h - Linear layers on a GPU ------------------------*- C++ -*-===//
//
// `cuda.linear` takes a body whose root is one transformer.linear or gated_linear of an input (or
// of neighbouring columns of one), with elementwise operations of its result: bias, activation,
// gate, residual become the epilogue. codegen/cuda/kernels/linear.cuh has the algorithms, README.md
// what was measured.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

class LinearFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "cuda.linear"; }
  llvm::StringRef getTargetKind() const override { return "cuda"; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<std::vector<Selection>> candidates(exec::KernelOp kernel,
                                            const SelectContext &context) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
