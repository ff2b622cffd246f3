//===- LinearFew.h - Linear layers of few tokens ----------------*- C++ -*-===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

/// One linear layer of at most 64 rows of x, in 16-bit types, where there is a tensor copy engine:
/// kernels/linear_few.cuh. Of at most 16 rows the rms_norm in front may be part of it.
class LinearFewFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "cuda.linear_few"; }
  llvm::StringRef getTargetKind() const override { return "cuda"; }
  bool takesProducers() const override { return true; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  EarlyReads getEarlyReads(exec::KernelOp kernel) const override;
  std::variant<StreamTask, std::string> getStreamTask(exec::KernelOp kernel) const override;
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<std::vector<Selection>> candidates(exec::KernelOp kernel,
                                            const SelectContext &context) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
