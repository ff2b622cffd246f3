//===- Sampling.h - The next token, on the device ---------------*- C++ -*-===//
//
// `cuda.sampling` takes a body that is one transformer.sample or one transformer.mark_tokens. Their
// decompositions are loops of one thread.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

class SamplingFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "cuda.sampling"; }
  llvm::StringRef getTargetKind() const override { return "cuda"; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
