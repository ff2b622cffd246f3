//===- Families.cpp - The list of built-in kernel families ------------------===//
//
// One line a family, the most specific first.
//
//===----------------------------------------------------------------------===//
#include "codegen/KernelRegistry.h"
#include "codegen/families/Attention/Attention.h"
#include "codegen/families/AttentionDecode/AttentionDecode.h"
#include "codegen/families/Generated/Generated.h"
#include "codegen/families/HostLinalg/HostLinalg.h"
#include "codegen/families/Linear/Linear.h"
#include "codegen/families/LinearFew/LinearFew.h"
#include "codegen/families/Packing/Packing.h"
#include "codegen/families/Sampling/Sampling.h"

void ingot::codegen::registerStandardFamilies(KernelRegistry &registry) {
  registry.add(std::make_unique<HostLinalgFamily>());
  registry.add(std::make_unique<AttentionDecodeFamily>());
  registry.add(std::make_unique<AttentionFamily>());
  registry.add(std::make_unique<LinearFewFamily>());
  registry.add(std::make_unique<LinearFamily>());
  registry.add(std::make_unique<PackingFamily>());
  registry.add(std::make_unique<SamplingFamily>());
  // Takes nearly everything: last.
  registry.add(std::make_unique<GeneratedFamily>());
}
