//===- ConfigFuzzer.cpp - Any bytes as config.json -------------------------===//
#include "compiler/import/Family.h"
#include "compiler/import/Generation.h"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ingot;
  std::string_view text(reinterpret_cast<const char *>(data), size);
  Result<JsonDocument> document =
      parseJson(text, {.name = "config.json", .allowNonFinite = true, .maxValues = 100000});
  if (!document.ok())
    return 0;
  Result<import::TransformerSpec> spec = import::readSpec(document->root());
  if (!spec.ok())
    return 0;
  std::vector<std::string> remarks;
  (void)import::readGeneration(document->root(), document->root(), *spec, remarks).ok();
  return 0;
}
