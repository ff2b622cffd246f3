//===- Stream.h - The code of streams: many launches as one grid -*- C++ -*-===//
//
// What is generated is a task a kernel (a struct of constants and what of the kernel is printed)
// and one extern "C" entry over all of them; the rest is kernels/stream.cuh. What is known of its
// shape is here as well, so that a stream is planned without a GPU.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelRegistry.h"

namespace ingot::cuda {

/// Of kernels/stream.cuh: threads of a block, and what a launch of a stream may have.
constexpr unsigned kStreamThreads = 384, kStreamMostBuffers = 14, kStreamMostMaps = 2;
/// Tokens that streams are made for at most: columns of a matrix instruction.
constexpr int64_t kStreamMostTokens = 8;

/// Whether there are streams for an architecture: registers go from warp to warp in them.
bool hasStreams(llvm::StringRef arch);

/// Shared memory that a block of a stream needs at least, at so many tokens.
uint64_t countStreamBytes(llvm::ArrayRef<const codegen::StreamTask *> tasks, int64_t steps,
                          int64_t tokens);

/// The code of one exec.stream.
struct StreamCode {
  codegen::KernelCode kernel;
  std::vector<codegen::StreamTask> tasks;
};
struct StreamCodes {
  std::vector<codegen::CodeImage> images;
  std::vector<StreamCode> streams;
};

/// Makes the code of `streams`, whose kernels are of families of `registry`. Arguments of an entry
/// point: the steps and the memory that is exchanged; the number of tokens, then the sizes of the
/// kernels of tasks that take sizes, task by task; the address of the number of tokens.
Result<StreamCodes> emitStreams(mlir::ModuleOp module, llvm::ArrayRef<exec::StreamOp> streams,
                                const codegen::KernelRegistry &registry,
                                const codegen::EmitOptions &options);

} // namespace ingot::cuda
