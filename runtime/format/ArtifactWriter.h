//===- ArtifactWriter.h - Writing .ingot files -------------------*- C++ -*-===//
//
// The compiler's side of Artifact.h. Bytes go to a file without a name in the target's folder
// (where the file system has none: to a temporary file), which commit() syncs and puts in the
// target's place: an interrupted compile leaves the old file or none. The same calls give the same
// bytes.
//
//   auto writer = ArtifactWriter::create(path);
//   writer->beginSection(SectionKind::Plan);    writer->write(plan);
//   writer->beginSection(SectionKind::Code);    writer->write(image); ...
//   writer->beginSection(SectionKind::Weights); writer->padTo(weight.offset); writer->write(...);
//   writer->commit();
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/Artifact.h"
#include "runtime/format/Checksum.h"

namespace ingot {

class ArtifactWriter {
public:
  /// Opens the temporary file beside `path`. Errors: OutOfResources (disk), Usage (no such folder).
  static Result<std::unique_ptr<ArtifactWriter>> create(const std::string &path);

  ArtifactWriter(const ArtifactWriter &) = delete;
  /// Removes the temporary file unless commit() succeeded.
  ~ArtifactWriter();

  /// Sections come in the order of SectionKind; a section that is never begun is absent.
  Status beginSection(SectionKind kind);
  /// Appends to the current section.
  Status write(std::span<const std::byte> bytes);
  /// Appends zeros until the current section is `sectionBytes` long (which it must not exceed).
  Status padTo(uint64_t sectionBytes);
  /// Bytes of the current section so far.
  uint64_t sectionBytes() const { return stream_.bytes(); }

  /// Writes the header, syncs, renames. Nothing may follow but fileBytes().
  Status commit();
  /// Bytes of the whole file, after commit().
  uint64_t fileBytes() const { return header_.fileBytes; }

private:
  ArtifactWriter() = default;
  Status endSection();
  Status giveName();
  Status put(std::span<const std::byte> bytes);
  Status putZeros(uint64_t count);
  Status systemError(const char *what) const;

  std::string path_, temporary_;
  int fd_ = -1;
  bool named_ = false; // temporary_ exists
  FileHeader header_ = {};
  ChecksumStream stream_;
  int current_ = -1; // index of the section being written
  uint64_t position_ = 0;
};

} // namespace ingot
