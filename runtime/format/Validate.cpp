//===- Validate.cpp - Opening a plan section --------------------*- C++ -*-===//
#include "runtime/format/Validate.h"

#include "runtime/format/Artifact.h"
#include "runtime/support/Text.h"

namespace ingot {

Result<const format::Plan *> verifyPlan(std::span<const std::byte> section) {
  const auto *data = reinterpret_cast<const uint8_t *>(section.data());
  // The schema nests five tables deep. Tables may be shared, so their number has its own cap.
  flatbuffers::Verifier verifier(data, section.size(), /*max_depth=*/16, /*max_tables=*/8'000'000);
  if (section.size() < 16 || section.size() > 0x7fffffff ||
      !verifier.VerifyBuffer<format::Plan>(format::PlanIdentifier()))
    return Status(ExitCode::MalformedInput,
                  text("plan section (", section.size(),
                       " bytes): expected a FlatBuffers plan with identifier 'INGP', got bytes that "
                       "the verifier refuses"));
  return format::GetPlan(data);
}

} // namespace ingot
