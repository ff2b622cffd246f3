//===- Artifact.cpp - Reading .ingot files ----------------------*- C++ -*-===//
#include "runtime/format/Artifact.h"

#include "runtime/format/Checksum.h"
#include "runtime/format/Validate.h"
#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"
#include "runtime/support/Try.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/stat.h>

namespace ingot {

const char *sectionName(SectionKind kind) {
  static const char *const names[] = {"plan", "code", "weights", "debug"};
  return size_t(kind) < kSectionCount ? names[size_t(kind)] : "?";
}

uint64_t sectionAlignment(SectionKind kind) {
  return kind == SectionKind::Code || kind == SectionKind::Weights ? kPage : kBufferAlignment;
}

std::optional<uint64_t> weightRangeOffset(const format::Plan &plan, size_t device) {
  std::optional<uint64_t> offset = 0;
  for (size_t i = 0; i < device && offset; ++i) {
    auto aligned = checkedAlignUp(plan.devices()->Get(unsigned(i))->weight_bytes(), kPage);
    offset = aligned ? checkedAdd(*offset, *aligned) : std::nullopt;
  }
  return offset;
}

static Status malformed(std::string message) {
  return Status(ExitCode::MalformedInput, std::move(message));
}

static Status damaged(std::string message) {
  return Status(ExitCode::Integrity,
                message + "; the file is damaged or incomplete: copy or compile it again");
}

Result<std::shared_ptr<const Artifact>> Artifact::open(const std::string &path,
                                                       const OpenOptions &options) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return Status(ExitCode::Usage, text("cannot open ", quoted(path), ": ", std::strerror(errno)));
  if (!S_ISREG(info.st_mode))
    return Status(ExitCode::Usage,
                  text("cannot open ", quoted(path), ": expected an .ingot file, got ",
                       S_ISDIR(info.st_mode) ? "a folder" : "something that is no regular file"));
  auto file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  std::shared_ptr<Artifact> artifact(new Artifact);
  artifact->path_ = path;
  artifact->file_ = std::move(*file);
  artifact->bytes_ = artifact->file_.bytes();
  if (Status status = artifact->check(options); !status.ok())
    return status.withContext(path + ": ");
  return std::shared_ptr<const Artifact>(std::move(artifact));
}

Result<std::shared_ptr<const Artifact>> Artifact::fromBytes(std::span<const std::byte> bytes,
                                                            const OpenOptions &options) {
  std::shared_ptr<Artifact> artifact(new Artifact);
  artifact->bytes_ = bytes;
  if (Status status = artifact->check(options); !status.ok())
    return status;
  return std::shared_ptr<const Artifact>(std::move(artifact));
}

std::span<const std::byte> Artifact::section(SectionKind kind) const {
  const SectionEntry &where = entry(kind);
  return bytes_.subspan(where.offset, where.bytes);
}

std::span<const std::byte> Artifact::image(size_t index) const {
  const format::Image *image = plan_->images()->Get(unsigned(index));
  return section(SectionKind::Code).subspan(image->offset(), image->bytes());
}

std::span<const std::byte> Artifact::weights(size_t device) const {
  if (!plan_->weights_embedded())
    return {};
  return section(SectionKind::Weights)
      .subspan(*weightRangeOffset(*plan_, device),
               plan_->devices()->Get(unsigned(device))->weight_bytes());
}

Status Artifact::check(const OpenOptions &options) {
  if (Status status = checkHeader(); !status.ok())
    return status;
  if (Status status = checkSections(options); !status.ok())
    return status;
  auto plan = verifyPlan(section(SectionKind::Plan));
  if (!plan.ok())
    return plan.status();
  plan_ = *plan;
  weightsUnverified_ = options.verifyChecksums && options.weightsLater && has(SectionKind::Weights);
  return validatePlan(*plan_, {section(SectionKind::Code).size(), has(SectionKind::Weights),
                               section(SectionKind::Weights).size()});
}

Status Artifact::checkHeader() const {
  size_t known = std::min(bytes_.size(), kMagic.size());
  if (known == 0 || std::memcmp(bytes_.data(), kMagic.data(), known) != 0) {
    std::string got;
    for (size_t i = 0; i < known; ++i)
      got += text(i ? " " : "", hexText(uint64_t(bytes_[i])).substr(16));
    return malformed(text("not an .ingot file: expected it to begin with 89 49 4e 47 4f 54 0d 0a, "
                          "got ",
                          known ? got : std::string("an empty file")));
  }
  if (bytes_.size() < sizeof(FileHeader))
    return damaged(text("the file is truncated: expected a header of ", sizeof(FileHeader),
                        " bytes, got ", bytes_.size(), " bytes in all"));
  FileHeader copy = header();
  if (copy.version != kFormatVersion)
    return malformed(text("expected format version ", kFormatVersion, ", got ", copy.version,
                          "; compile the model again with this version of Ingot"));
  copy.headerChecksum = 0;
  uint64_t sum = checksum(std::as_bytes(std::span(&copy, 1)));
  if (sum != header().headerChecksum)
    return damaged(text("wrong checksum of the header: expected ", hexText(header().headerChecksum),
                        ", got ", hexText(sum)));
  if (copy.fileBytes != bytes_.size())
    return damaged(
        text("wrong file size: expected ", copy.fileBytes, " bytes, got ", bytes_.size()));
  if (copy.sectionCount != kSectionCount)
    return malformed(
        text("header: expected ", kSectionCount, " sections, got ", copy.sectionCount));
  for (unsigned char byte : copy.reserved)
    if (byte != 0)
      return malformed("header: expected the reserved bytes to be zero");
  return {};
}

Status Artifact::checkSections(const OpenOptions &options) const {
  // One layout is legal for given section sizes; so no byte of the file is left unchecked.
  uint64_t position = sizeof(FileHeader);
  for (size_t i = 0; i < kSectionCount; ++i) {
    const SectionEntry &where = header().sections[i];
    const char *name = sectionName(SectionKind(i));
    if (where.kind != i || where.present > 1)
      return malformed(text("header: entry ", i, ": expected the ", name, " section, got kind ",
                            where.kind, ", present ", where.present));
    if (!where.present) {
      if (where.offset != 0 || where.bytes != 0 || where.checksum != 0)
        return malformed(text("header: the absent ", name, " section has an offset or a size"));
      continue;
    }
    auto begin = checkedAlignUp(position, sectionAlignment(SectionKind(i)));
    if (!begin || where.offset != *begin)
      return malformed(text("header: ", name, " section: expected offset ",
                            begin ? *begin : UINT64_MAX, ", got ", where.offset));
    if (!rangeFits(where.offset, where.bytes, bytes_.size()))
      return malformed(text("header: ", name, " section: offset ", where.offset, " + ", where.bytes,
                            " bytes exceeds the file's ", bytes_.size()));
    for (uint64_t gap = position; gap < where.offset; ++gap)
      if (bytes_[gap] != std::byte(0))
        return damaged(text("expected zeros before the ", name, " section, got byte ",
                            unsigned(bytes_[gap]), " at offset ", gap));
    position = where.offset + where.bytes;
  }
  if (position != bytes_.size())
    return malformed(
        text("header: the sections end at ", position, ", the file at ", bytes_.size()));
  for (SectionKind required : {SectionKind::Plan, SectionKind::Code})
    if (!has(required))
      return malformed(text("header: there is no ", sectionName(required), " section"));
  if (!options.verifyChecksums)
    return {};
  for (size_t i = 0; i < kSectionCount; ++i) {
    const SectionEntry &where = header().sections[i];
    if (!where.present)
      continue;
    if (options.weightsLater && SectionKind(i) == SectionKind::Weights)
      continue;
    INGOT_TRY(compareChecksum(SectionKind(i), checksum(section(SectionKind(i)), options.pool)));
  }
  return {};
}

Status Artifact::compareChecksum(SectionKind kind, uint64_t sum) const {
  const SectionEntry &where = entry(kind);
  if (sum == where.checksum)
    return {};
  return damaged(text("wrong checksum of the ", sectionName(kind), " section (offset ",
                      where.offset, ", ", where.bytes, " bytes): expected ",
                      hexText(where.checksum), ", got ", hexText(sum)));
}

} // namespace ingot
