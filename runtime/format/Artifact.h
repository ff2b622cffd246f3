//===- Artifact.h - The .ingot file: header, sections, reader ----*- C++ -*-===//
//
//   0     FileHeader (192 bytes)
//   ...   the sections that are present, in the order of SectionKind, each at the next offset that
//         its alignment allows; bytes between sections are zero; the file ends with the last one
//
//   Plan     FlatBuffers plan (plan.fbs), 64-byte aligned
//   Code     code images (Image.offset is relative to this section), page aligned
//   Weights  present if Plan.weights_embedded; final device layout, page aligned. The ranges of the
//            devices follow each other, each starting on a page (see weightRangeOffset).
//   Debug    anything a person may want to read (IR per phase, emitted sources) and may strip
//
// Integers are little-endian. Checksums are those of Checksum.h. All is data: nothing here executes
// anything; only the device code of the images ever runs.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/plan_generated.h"
#include "runtime/support/Status.h"
#include "runtime/weights/MappedFile.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace ingot {

class ThreadPool;

/// Bumped when the header or the meaning of the plan changes; a reader takes exactly its own.
inline constexpr uint32_t kFormatVersion = 3;
/// A high byte and a line end catch text-mode transfers, as in PNG.
inline constexpr std::array<unsigned char, 8> kMagic = {0x89, 'I', 'N', 'G', 'O', 'T', '\r', '\n'};
inline constexpr uint64_t kPage = 4096;
/// Alignment of every buffer in every space, and of Plan.
inline constexpr uint64_t kBufferAlignment = 64;

enum class SectionKind : uint32_t { Plan = 0, Code, Weights, Debug };
inline constexpr size_t kSectionCount = 4;

/// "plan", "code", "weights", "debug"
const char *sectionName(SectionKind kind);
uint64_t sectionAlignment(SectionKind kind);

struct SectionEntry {
  uint32_t kind;    // SectionKind, equal to its index
  uint32_t present; // 0 or 1; an absent section has offset, bytes and checksum 0
  uint64_t offset;  // in the file
  uint64_t bytes;
  uint64_t checksum;
};

struct FileHeader {
  unsigned char magic[8];
  uint32_t version;
  uint32_t sectionCount; // kSectionCount
  uint64_t fileBytes;
  uint64_t headerChecksum; // of this header with this field zero
  SectionEntry sections[kSectionCount];
  unsigned char reserved[32]; // zero
};
static_assert(sizeof(FileHeader) == 192 && sizeof(SectionEntry) == 32);

/// Where device `device`'s weights begin inside the weights section: the ranges of the devices
/// before it, each rounded up to whole pages. nullopt on overflow. For `device` = the number of
/// devices this is the size of the whole section.
std::optional<uint64_t> weightRangeOffset(const format::Plan &plan, size_t device);

struct OpenOptions {
  /// Verify the checksum of every section (the header's always is).
  bool verifyChecksums = true;
  /// Threads for that; null: the calling one.
  ThreadPool *pool = nullptr;
  /// Leave the weights' checksum to who reads them (Model::load, while devices start).
  bool weightsLater = false;
};

/// An opened, validated artifact; the file stays mapped for its lifetime. Immutable: any number of
/// threads may read it.
class Artifact {
public:
  /// Maps, checks and validates `path`. Errors: MalformedInput (3) when it is not an ingot of this
  /// version or its plan is not valid, Integrity (6) when it is damaged or truncated.
  static Result<std::shared_ptr<const Artifact>> open(const std::string &path,
                                                      const OpenOptions &options = {});

  /// The same for bytes in memory (64-byte aligned), which must outlive the artifact.
  static Result<std::shared_ptr<const Artifact>> fromBytes(std::span<const std::byte> bytes,
                                                           const OpenOptions &options = {});

  const std::string &path() const { return path_; }
  const FileHeader &header() const { return *reinterpret_cast<const FileHeader *>(bytes_.data()); }
  uint64_t fileBytes() const { return bytes_.size(); }
  /// False once bytes were read that the file no longer had (MappedFile.h).
  bool intact() const { return file_.intact(); }
  /// Is the weights' checksum still to be verified?
  bool weightsUnverified() const { return weightsUnverified_; }
  /// Is `sum` the checksum of the section? Else Integrity.
  Status compareChecksum(SectionKind kind, uint64_t sum) const;
  bool has(SectionKind kind) const { return entry(kind).present != 0; }
  std::span<const std::byte> section(SectionKind kind) const;
  const SectionEntry &entry(SectionKind kind) const { return header().sections[size_t(kind)]; }

  const format::Plan &plan() const { return *plan_; }
  /// The bytes of plan().images()[index].
  std::span<const std::byte> image(size_t index) const;
  /// The embedded weights of a device; empty unless plan().weights_embedded().
  std::span<const std::byte> weights(size_t device) const;

private:
  Artifact() = default;
  Status check(const OpenOptions &options);
  Status checkHeader() const;
  Status checkSections(const OpenOptions &options) const;

  std::string path_;
  MappedFile file_;
  std::span<const std::byte> bytes_;
  const format::Plan *plan_ = nullptr;
  bool weightsUnverified_ = false;
};

} // namespace ingot
