//===- safetensors.cpp - Fuzzes the safetensors header --------------------===//
#include "runtime/weights/Safetensors.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::span<const std::byte> file(reinterpret_cast<const std::byte *>(data), size);
  ingot::Result<ingot::SafetensorsHeader> header = ingot::parseSafetensors(file, "fuzz");
  if (!header.ok())
    return 0;
  // What was accepted may be trusted: every tensor lies in the file and is as long as its type
  // says.
  for (const ingot::SafetensorsEntry &entry : header->tensors)
    if (entry.begin > entry.end || header->dataOffset + entry.end > size ||
        entry.end - entry.begin != ingot::numBytes(entry.type))
      abort();
  return 0;
}
