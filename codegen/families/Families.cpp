//===- Families.cpp - The list of built-in kernel families ------------------===//
//
// One line a family, the most specific first.
//
//===----------------------------------------------------------------------===//
#include "codegen/KernelRegistry.h"
#include "codegen/families/HostLinalg/HostLinalg.h"

void ingot::codegen::registerStandardFamilies(KernelRegistry &registry) {
  registry.add(std::make_unique<HostLinalgFamily>());
}
