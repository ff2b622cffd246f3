//===- json.cpp - Fuzzes the JSON reader ----------------------------------===//
#include "runtime/weights/Json.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  for (bool allowNonFinite : {false, true}) {
    ingot::Result<ingot::JsonDocument> document =
        ingot::parseJson(text, {.name = "fuzz", .allowNonFinite = allowNonFinite});
    if (!document.ok())
      continue;
    // What the importer does with a config: typed reads of keys, with defaults.
    auto members = document->root().asObject();
    if (!members.ok())
      continue;
    for (const auto &[key, view] : *members) {
      (void)view.asPositiveIntOr(1).ok();
      (void)view.asDoubleOr(0).ok();
      (void)view.asStringOr("").ok();
      (void)view.asIntArray().ok();
      (void)view["factor"].asDouble().ok();
    }
  }
  return 0;
}
