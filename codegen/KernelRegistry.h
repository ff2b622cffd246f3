//===- KernelRegistry.h - The kernel families of this compiler ---*- C++ -*-===//
#pragma once

#include "codegen/KernelFamily.h"

#include <memory>
#include <vector>

namespace ingot::codegen {

/// Kernel families in order of preference: the first of a target's that matches is taken.
class KernelRegistry {
public:
  void add(std::unique_ptr<KernelFamily> family) { families.push_back(std::move(family)); }

  llvm::ArrayRef<std::unique_ptr<KernelFamily>> getFamilies() const { return families; }
  /// Null if there is none of that name.
  const KernelFamily *lookup(llvm::StringRef name) const;

  /// The families that are built in.
  static const KernelRegistry &getStandard();

private:
  std::vector<std::unique_ptr<KernelFamily>> families;
};

/// Adds every built-in family to `registry`, the most specific first. Defined in
/// codegen/families/Families.cpp: a new family adds a line there.
void registerStandardFamilies(KernelRegistry &registry);

} // namespace ingot::codegen
