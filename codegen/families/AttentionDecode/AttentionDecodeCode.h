//===- AttentionDecodeCode.h - What the code of decode attention shares -*- C++ -*-===//
//
// Of a launch by itself (attention_decode.cuh) and of one in a stream (stream_attention.cuh).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/families/Attention/AttentionDesc.h"

namespace ingot::codegen {

/// All constants of a selected kernel but the number of threads; sets the stub's shared memory.
void addDecodeConstants(cuda::Stub &stub, exec::KernelOp kernel, const AttentionDesc &desc,
                        const std::optional<AttentionAppend> &append);

/// `ingot::DecodeAppend<T>{…}` of the kernel's buffers.
std::string printAppend(const AttentionDesc &desc, const AttentionAppend &append);

} // namespace ingot::codegen
