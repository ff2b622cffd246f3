//===- artifact.cpp - Fuzzes the artifact's header and plan ----------------===//
//
// Bytes that begin with the magic are a file: its checksums are made right first, so that the
// fuzzer gets behind them. All other bytes are a plan section. What is accepted is described, which
// reads every table and index.
//
//===----------------------------------------------------------------------===//
#include "runtime/format/Artifact.h"
#include "runtime/format/Checksum.h"
#include "runtime/format/Describe.h"
#include "runtime/format/Validate.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

using namespace ingot;

namespace {
/// A page-aligned copy, as a mapping is.
struct Copy {
  explicit Copy(size_t size) : size(size) {
    data = static_cast<std::byte *>(std::aligned_alloc(kPage, (size + kPage) / kPage * kPage));
  }
  ~Copy() { std::free(data); }
  std::byte *data;
  size_t size;
};
} // namespace

static void reseal(Copy &file) {
  FileHeader header;
  std::memcpy(&header, file.data, sizeof header);
  for (SectionEntry &entry : header.sections)
    if (entry.present == 1 && entry.offset <= file.size && entry.bytes <= file.size - entry.offset)
      entry.checksum = checksum({file.data + entry.offset, entry.bytes});
  header.headerChecksum = 0;
  header.headerChecksum = checksum(std::as_bytes(std::span(&header, 1)));
  std::memcpy(file.data, &header, sizeof header);
}

/// A file of the given plan with an empty page of code.
static void openPlan(const uint8_t *data, size_t size) {
  Copy plan(size);
  std::memcpy(plan.data, data, size);
  auto verified = verifyPlan({plan.data, size});
  if (!verified.ok())
    return;
  Status status = validatePlan(**verified, {kPage, (*verified)->weights_embedded(), kPage});
  if (!status.ok() && status.code() != ExitCode::MalformedInput)
    std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < sizeof(FileHeader) || std::memcmp(data, kMagic.data(), kMagic.size()) != 0) {
    openPlan(data, size);
    return 0;
  }
  Copy file(size);
  std::memcpy(file.data, data, size);
  reseal(file);
  auto artifact = Artifact::fromBytes({file.data, size});
  if (!artifact.ok())
    return 0;
  const std::string debug[] = {"debug"};
  if (!describeArtifact(**artifact).ok() || !describeArtifact(**artifact, debug).ok())
    std::abort();
  return 0;
}
