//===- OpenBlas.h - A fair OpenBLAS to measure against ------------*- C++ -*-===//
#pragma once

#include <cblas.h>

#include <cstdlib>
#include <string>
#include <unistd.h>

namespace ingot::bench {

/// OpenBLAS takes CPUs that are newer than itself for the oldest it knows; a peer is measured with its
/// own best kernels. It reads the variable when it is loaded, so the process starts again.
inline void preferCurrentOpenBlasKernels(char **argv, bool avx512) {
  if (std::getenv("OPENBLAS_CORETYPE") || std::string(openblas_get_corename()) != "Prescott")
    return;
  setenv("OPENBLAS_CORETYPE", avx512 ? "SkylakeX" : "Haswell", 1);
  execv("/proc/self/exe", argv);
}

} // namespace ingot::bench
