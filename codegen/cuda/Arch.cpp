//===- Arch.cpp - What CUDA architectures can do ----------------------------===//
#include "codegen/cuda/Stub.h"

using namespace ingot;
using namespace ingot::cuda;

static constexpr llvm::StringLiteral names[] = {"sm_80", "sm_86",  "sm_89",
                                                "sm_90", "sm_90a", "sm_100a"};

llvm::ArrayRef<llvm::StringLiteral> cuda::getArchNames() { return names; }

std::optional<ArchInfo> cuda::getArchInfo(llvm::StringRef arch) {
  // Multiprocessors of the largest product of each; shared memory a block may ask for (CUDA
  // programming guide, technical specifications per compute capability).
  if (arch == "sm_80")
    return ArchInfo{80, false, 108, 163 * 1024};
  if (arch == "sm_86")
    return ArchInfo{86, false, 84, 99 * 1024};
  if (arch == "sm_89")
    return ArchInfo{89, false, 128, 99 * 1024};
  if (arch == "sm_90")
    return ArchInfo{90, false, 132, 227 * 1024};
  if (arch == "sm_90a")
    return ArchInfo{90, true, 132, 227 * 1024};
  if (arch == "sm_100a")
    return ArchInfo{100, true, 148, 227 * 1024};
  return std::nullopt;
}
