//===- HostReference.h - What a kernel means, run on the host ----*- C++ -*-===//
#pragma once

#include "codegen/KernelFamily.h"
#include "runtime/device/Device.h"
#include "runtime/support/ThreadPool.h"

#include "llvm/ADT/StringMap.h"

#include <memory>
#include <span>

namespace ingot::verify {

/// An exec.kernel, whatever its target, compiled once more for this machine from the same body: the
/// decomposition of each op, as everywhere else.
struct ReferenceKernel {
  mutable exec::KernelOp op;   // as it is in the ingot
  std::string family, summary; // "cuda.linear"; "linear, activation"
  unsigned numInputs = 0;
  std::vector<ElementType> types; // of each buffer
  std::vector<bool> written;
  /// How far rounding may take the device's results from the host's.
  double budget = 0;
  /// Why the host cannot run it; empty if it can.
  std::string problem;

private:
  friend class HostReference;
  uint32_t handle = 0; // of the CPU device
  std::array<exec::SizeAttr, 3> grid;
};

class HostReference {
public:
  /// Compiles every kernel of `module`, which an exec.launch may name.
  static Result<std::unique_ptr<HostReference>> create(mlir::ModuleOp module);

  /// By the entry point's name in the plan; null if there is none.
  const ReferenceKernel *find(llvm::StringRef entry) const;
  /// Runs it on host memory, 64-byte aligned.
  Status run(const ReferenceKernel &kernel, std::span<void *const> buffers,
             std::span<const int64_t> sizes);
  const std::string &arch() const { return target.arch; }

private:
  HostReference() = default;
  Status compile(mlir::ModuleOp module);

  codegen::TargetInfo target;
  std::unique_ptr<ThreadPool> pool; // outlives the device
  std::unique_ptr<Device> device;
  std::vector<std::vector<uint8_t>> images; // mapped by the device
  std::vector<ReferenceKernel> kernels;
  llvm::StringMap<size_t> byEntry;
};

} // namespace ingot::verify
