//===- AttentionDecode.h - Attention of few tokens over a paged cache -*- C++ -*-===//
#pragma once

#include "codegen/KernelFamily.h"

namespace ingot::codegen {

/// Attention of at most 64 packed tokens over a paged cache, in 16-bit types, heads of multiples of
/// 8: kernels/attention_decode.cuh. The rotation of queries and keys and the appends of keys and
/// values may be part of it.
class AttentionDecodeFamily : public KernelFamily {
public:
  llvm::StringRef getName() const override { return "cuda.attention_decode"; }
  llvm::StringRef getTargetKind() const override { return "cuda"; }
  bool takesProducers() const override { return true; }
  Match match(exec::KernelOp kernel, const TargetInfo &target) const override;
  EarlyReads getEarlyReads(exec::KernelOp kernel) const override;
  std::variant<StreamTask, std::string> getStreamTask(exec::KernelOp kernel) const override;
  Result<Selection> select(exec::KernelOp kernel, const SelectContext &context) const override;
  Result<Code> emit(llvm::ArrayRef<exec::KernelOp> kernels, const TargetInfo &target,
                    const EmitOptions &options) const override;
};

} // namespace ingot::codegen
