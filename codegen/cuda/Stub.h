//===- Stub.h - The generated part of a CUDA kernel -------------*- C++ -*-===//
//
// What is generated is short: a banner, includes, a struct of named constants, and one extern "C"
// wrapper that calls the device library (or holds printed expressions). Everything else is in
// codegen/cuda/**/*.cuh.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/KernelFamily.h"
#include "codegen/cuda/Nvrtc.h"

#include <string>
#include <utility>
#include <vector>

namespace ingot::cuda {

/// Members of a struct of named constants, in order: {"int kThreads", "256"}.
using Constants = std::vector<std::pair<std::string, std::string>>;

/// One kernel as CUDA C++.
struct Stub {
  /// "codegen/cuda/kernels/rows.cuh"
  std::vector<std::string> includes;
  /// Members of `struct Config`.
  Constants constants;
  /// Printed functors that the body passes to the device library, at namespace scope.
  std::string declarations;
  /// The wrapper's statements. Buffers are b0, b1, …, sizes as the kernel names them.
  std::string body;
  /// Statements in front of those, where sizes that are known on the device are bounds yet, under
  /// their name and "_most".
  std::string prologue;
  unsigned threads = 128;
  /// Blocks that should fit on a multiprocessor; 0 leaves registers to the compiler.
  unsigned blocksPerMultiprocessor = 0;
  uint32_t sharedBytes = 0; // dynamic
  /// Blocks of a cluster along x (sm_90); 1 for none.
  unsigned cluster = 1;
  /// Buffers that overlap none that is written under another name: loads may go ahead of stores.
  llvm::SmallVector<unsigned> restricted;
  /// Buffers, and their bytes, that are asked for before the wait for the previous grid.
  std::vector<std::pair<unsigned, int64_t>> fetchedAhead;
  /// The body itself says when it waits for the previous grid (weights are read before that).
  bool waitsItself = false;
  /// Size parameters that may be device-resident: the wrapper reads them where an address is given.
  llvm::SmallVector<uint16_t> deviceSizes;
  /// Nothing in flight writes them: they are read in front of the prologue.
  bool sizesEarly = false;
  /// Tensor maps: parameters map0, map1, …
  std::vector<codegen::TensorMapCode> tensorMaps;
};

/// What elements of a buffer are: "ingot::bf16"; a boolean is a byte.
std::string elementName(mlir::Type type);

/// An f32 constant: "0.125f".
std::string printFloat(double value);

/// The entry point of what is called so in the module.
std::string getEntryName(llvm::StringRef symbol);

/// The whole source.
std::string printSource(exec::KernelOp kernel, const codegen::TargetInfo &target, const Stub &stub);

/// Compiles the stubs of `kernels` for one target, an image a kernel, and writes dumps.
Result<codegen::Code> compileStubs(llvm::ArrayRef<exec::KernelOp> kernels,
                                   llvm::ArrayRef<Stub> stubs, const codegen::TargetInfo &target,
                                   const codegen::EmitOptions &options);

/// Compiles sources, an image each, and writes dumps; `sharedBytes` is what each asks for when it
/// is launched, for the table of what kernels take.
Result<std::vector<codegen::CodeImage>> compileSources(llvm::ArrayRef<Source> sources,
                                                       llvm::ArrayRef<uint32_t> sharedBytes,
                                                       const codegen::EmitOptions &options);

/// What the code of a CUDA architecture may count on.
struct ArchInfo {
  int number = 0;        // 90
  bool specific = false; // "a": wgmma, setmaxnreg
  unsigned multiprocessors = 108;
  unsigned sharedBytesPerBlock = 163 * 1024; // dynamic, at most
};
/// Nothing if `arch` is none that this version compiles for.
std::optional<ArchInfo> getArchInfo(llvm::StringRef arch);
/// "sm_80", "sm_86", …
llvm::ArrayRef<llvm::StringLiteral> getArchNames();

} // namespace ingot::cuda
