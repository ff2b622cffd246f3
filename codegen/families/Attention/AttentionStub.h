//===- AttentionStub.h - What the forms of attention kernels share -*- C++ -*-===//
#pragma once

#include "codegen/families/Attention/AttentionDesc.h"

namespace ingot::codegen {

/// The constants that every form takes; `stub.sharedBytes` is set.
void addAttentionConstants(cuda::Stub &stub, const AttentionDesc &desc);

/// `ingot::AttentionArguments<T>{…}` of the kernel's buffers and sizes.
std::string printAttentionArguments(exec::KernelOp kernel, const AttentionDesc &desc);

} // namespace ingot::codegen
