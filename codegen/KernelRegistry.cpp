//===- KernelRegistry.cpp - The kernel families of this compiler ------------===//
#include "codegen/KernelRegistry.h"

using namespace ingot;
using namespace ingot::codegen;

const KernelFamily *KernelRegistry::lookup(llvm::StringRef name) const {
  for (const std::unique_ptr<KernelFamily> &family : families)
    if (family->getName() == name)
      return family.get();
  return nullptr;
}

const KernelRegistry &KernelRegistry::getStandard() {
  static const KernelRegistry registry = [] {
    KernelRegistry standard;
    registerStandardFamilies(standard);
    return standard;
  }();
  return registry;
}
