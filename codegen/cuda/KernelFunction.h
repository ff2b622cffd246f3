//===- KernelFunction.h - A kernel body ready to be printed -----*- C++ -*-===//
#pragma once

#include "codegen/cuda/Printer.h"
#include "codegen/families/HostLinalg/KernelModule.h"
#include "dialects/Exec/ExecOps.h"

namespace ingot::cuda {

/// The body of an exec.kernel in normal form (codegen/host/Normalize.cpp), in a context of its own,
/// with what each of its buffer arguments is in the CUDA kernel.
///
/// Two things differ from the host's function: reading a paged cache is an ordinary gather, and
/// appending to one is an output of the appended tokens with a hook that finds their places.
struct KernelFunction {
  codegen::KernelModule module;
  mlir::func::FuncOp func;
  host::KernelAbi abi;
  std::vector<BufferHooks> buffers;
  std::vector<std::string> sizes;
  /// The buffer arguments that are outputs, and whether some write has a hook.
  bool scatters = false;
  /// Of an append: an input with the dynamic dimensions of what is appended, and its shape.
  unsigned appendedLike = 0;
  llvm::SmallVector<int64_t> appendedShape;
  int64_t appendedWidth = 1; // elements that are together in the cache
};

/// Changes the parsed function before it is brought into normal form (replacing an op by an
/// argument); returns a reason if it can't.
using FunctionEdit = std::function<std::optional<std::string>(mlir::func::FuncOp)>;

/// Names of the entry point's parameters: "b0", "d0".
std::string bufferName(unsigned buffer);
std::string sizeName(exec::KernelOp kernel, unsigned size);
/// Whether printed text has a name, and not as a part of another.
bool hasName(llvm::StringRef text, llvm::StringRef name);
/// A size over the kernel's size parameters as an expression.
std::string printSize(exec::SizeAttr size);

/// Prepares `kernel`. `edit` may add arguments at the end of the function: they become buffers that
/// follow the inputs and have no name (the caller sets their hooks). The last dimension then
/// stays by itself, for a caller that makes columns.
Result<std::unique_ptr<KernelFunction>> prepareKernelFunction(exec::KernelOp kernel,
                                                              const FunctionEdit &edit = nullptr);

} // namespace ingot::cuda
