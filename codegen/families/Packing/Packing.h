//===- Packing.h - Indices between padded and packed tokens -----*- C++ -*-===//
//
// `cuda.packing` takes a body that is one transformer.cu_seqlens, token_indices or token_slots:
// scans of a mask, which have no form, or a slow one, as elements that are computed independently.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

class PackingFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "cuda.packing"; }
  llvm::StringRef getTargetKind() const override { return "cuda"; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
