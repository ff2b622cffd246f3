//===- tuning.cpp - Fuzzes the reader of tuning files ---------------------===//
#include "runtime/format/Tuning.h"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  ingot::Result<ingot::Tuning> tuning = ingot::Tuning::parse(text, "fuzz");
  if (!tuning.ok() || tuning->otherVersion())
    return 0;
  // What was read can be written, and is the same when it is read again.
  std::string written = tuning->text();
  ingot::Result<ingot::Tuning> again = ingot::Tuning::parse(written, "again");
  if (!again.ok() || again->text() != written)
    std::abort();
  return 0;
}
