//===- Nvrtc.h - CUDA C++ to cubins, without a toolkit -----------*- C++ -*-===//
//
// NVRTC is found when the compiler runs: in a CUDA toolkit or in the PyPI wheel nvidia-cuda-nvrtc.
// Every kernel is compiled in a process of its own, because NVRTC can crash; a dead one is an error
// with the source. What was compiled is kept in a content-addressed cache.
//
// Environment: INGOT_NVRTC names libnvrtc.so or a folder with it; INGOT_CACHE_DIR the cache's
// folder (default $XDG_CACHE_HOME/ingot or ~/.cache/ingot), "off" for none.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"

#include <string>
#include <vector>

namespace ingot::cuda {

/// One translation unit for one architecture.
struct Source {
  std::string name; // for messages and dumps: "linear_0"
  std::string text;
  std::string arch; // "sm_90a"
};

/// What a kernel takes of a multiprocessor, as ptxas says.
struct Resources {
  unsigned registers = 0, sharedBytes = 0, stackBytes = 0, spillBytes = 0;
};

struct Compiled {
  std::string cubin, ptx, log;
  Resources resources;
};

struct CompileOptions {
  /// Processes at a time. What comes out doesn't depend on it.
  unsigned workers = 1;
  /// Overrides INGOT_NVRTC and the search; empty for the search.
  std::string library;
  /// Overrides the cache's folder; "off" for none.
  std::string cache;
};

/// Compiles all sources. Errors: Unsupported (no NVRTC, or one that doesn't know the architecture;
/// the message has the command that installs one), Internal (a source that doesn't compile: with
/// the compiler's log and the numbered source), OutOfResources.
Result<std::vector<Compiled>> compile(llvm::ArrayRef<Source> sources,
                                      const CompileOptions &options = {});

/// Whether NVRTC is there and compiles for `arch`.
Status checkNvrtc(llvm::StringRef arch, const CompileOptions &options = {});

/// The device library (codegen/cuda/**/*.cuh), built into the compiler: names as they are included.
struct Header {
  const char *name;
  const char *text;
};
llvm::ArrayRef<Header> getHeaders();

/// Reads what ptxas reports about the one kernel of a unit.
Resources parseResources(llvm::StringRef log);

} // namespace ingot::cuda
