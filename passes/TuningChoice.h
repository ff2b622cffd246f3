//===- TuningChoice.h - A kernel's config by measurements --------*- C++ -*-===//
#pragma once

#include "codegen/KernelFamily.h"
#include "runtime/format/Tuning.h"

namespace ingot {

/// What `tuning` of select-kernels says: measurements, and whose count.
class TuningChoice {
public:
  /// Reads `files`, behind what is shipped (codegen/cuda/tuning); `gpu` is part of a GPU's name, in
  /// any case, or empty.
  static Result<TuningChoice> read(const std::vector<std::string> &files, llvm::StringRef gpu);

  bool empty() const { return sources.empty(); }

  /// Says in a remark at `location` which files are left aside whole.
  void reportUnread(mlir::Location location) const;

  /// Of `candidates` the one that was measured to be the fastest, the first if none was. Says
  /// in a remark what it went by, or why no entry fits.
  codegen::Selection choose(const codegen::KernelFamily &family, exec::KernelOp kernel,
                            const codegen::TargetInfo &target,
                            std::vector<codegen::Selection> candidates) const;

private:
  struct Source {
    std::string name;
    bool shipped = false;
    Tuning tuning;
  };

  std::string whyUnfit(const GpuDescription &entry, const codegen::TargetInfo &target) const;

  std::vector<Source> sources; // a later one counts before an earlier one
  std::string gpu;
};

/// What measurements of a kernel are kept under: "cuda.linear: linear, M<=4096 N=1536 K=384, bf16;
/// linear, activation". Empty where the family offers no choice.
std::string makeTuningKey(const codegen::KernelFamily &family, exec::KernelOp kernel,
                          const codegen::Selection &selection);

/// A config as tuning files have it.
std::string printConfig(const codegen::Selection &selection);

} // namespace ingot
