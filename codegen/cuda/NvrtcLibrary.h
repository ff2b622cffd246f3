//===- NvrtcLibrary.h - The functions of libnvrtc ----------------*- C++ -*-===//
#pragma once

#include "runtime/support/Status.h"

#include "llvm/ADT/StringRef.h"

#include <cstddef>
#include <string>
#include <vector>

namespace ingot::cuda {

/// libnvrtc, opened. Types and values are those of nvrtc.h.
struct NvrtcLibrary {
  using Program = struct _nvrtcProgram *;
  int (*version)(int *major, int *minor);
  const char *(*getErrorString)(int);
  int (*getNumSupportedArchs)(int *);
  int (*getSupportedArchs)(int *);
  int (*createProgram)(Program *, const char *text, const char *name, int headers,
                       const char *const *texts, const char *const *names);
  int (*destroyProgram)(Program *);
  int (*compileProgram)(Program, int options, const char *const *);
  int (*getCubinSize)(Program, size_t *);
  int (*getCubin)(Program, char *);
  int (*getPtxSize)(Program, size_t *);
  int (*getPtx)(Program, char *);
  int (*getLogSize)(Program, size_t *);
  int (*getLog)(Program, char *);

  std::string path;
  int major = 0, minor = 0;
  std::vector<int> archs; // 80, 90, …

  /// Opens the library at `path` (a file or a folder), or searches for one if `path` is empty. A
  /// library is opened once a process.
  static Result<const NvrtcLibrary *> open(const std::string &path);
};

} // namespace ingot::cuda
