//===- HostLinalg.h - The kernel family of the CPU --------------*- C++ -*-===//
//
// `host.linalg` runs any kernel body through its decomposition to linalg; codegen/host/README.md says
// how. Its weight layout: a matmul's W[N, K] in panels [N / columns, K, columns], so that a register
// tile reads it in order.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

class HostLinalgFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "host.linalg"; }
  llvm::StringRef getTargetKind() const override { return "host"; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
