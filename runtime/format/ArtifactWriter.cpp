//===- ArtifactWriter.cpp ---------------------------------------*- C++ -*-===//
#include "runtime/format/ArtifactWriter.h"

#include "runtime/support/Text.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ingot {

Status ArtifactWriter::systemError(const char *what) const {
  int error = errno;
  return Status(ExitCode::OutOfResources,
                text("cannot ", what, " ", quoted(temporary_), ": ", std::strerror(error),
                     error == ENOSPC ? "; free some disk space and try again" : ""));
}

/// The folder of `path`, as open() takes it.
static std::string folderOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Result<std::unique_ptr<ArtifactWriter>> ArtifactWriter::create(const std::string &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode)) // never replace /dev/null
    return Status(ExitCode::Usage, text("cannot write ", quoted(path),
                                        ": there is something that is no regular file"));
  std::unique_ptr<ArtifactWriter> writer(new ArtifactWriter);
  writer->path_ = path;
  writer->temporary_ = text(path, ".tmp.", uint64_t(::getpid()));
  // A file without a name is gone when the process is, however that ends. Some file systems have
  // none.
  if (::access("/proc/self/fd", X_OK) == 0)
    writer->fd_ = ::open(folderOf(path).c_str(), O_RDWR | O_TMPFILE | O_CLOEXEC, 0666);
  if (writer->fd_ < 0) {
    writer->fd_ = ::open(writer->temporary_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    writer->named_ = writer->fd_ >= 0;
  }
  if (writer->fd_ < 0) {
    int error = errno;
    bool usage = error == ENOENT || error == ENOTDIR || error == EACCES || error == EROFS ||
                 error == ENAMETOOLONG || error == EEXIST;
    std::string message = text("cannot write ", quoted(path), ": creating ",
                               quoted(writer->temporary_), ": ", std::strerror(error));
    return Status(usage ? ExitCode::Usage : ExitCode::OutOfResources, message);
  }
  std::copy(kMagic.begin(), kMagic.end(), writer->header_.magic);
  writer->header_.version = kFormatVersion;
  writer->header_.sectionCount = kSectionCount;
  for (size_t i = 0; i < kSectionCount; ++i)
    writer->header_.sections[i].kind = uint32_t(i);
  // The header's place; its contents are known at commit().
  if (Status status = writer->putZeros(sizeof(FileHeader)); !status.ok())
    return status;
  return writer;
}

ArtifactWriter::~ArtifactWriter() {
  if (fd_ >= 0)
    ::close(fd_);
  if (named_)
    ::unlink(temporary_.c_str());
}

Status ArtifactWriter::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    ssize_t written = ::write(fd_, bytes.data(), std::min<size_t>(bytes.size(), size_t(1) << 30));
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return systemError("write");
    position_ += uint64_t(written);
    bytes = bytes.subspan(size_t(written));
  }
  return {};
}

Status ArtifactWriter::putZeros(uint64_t count) {
  static const std::byte zeros[kPage] = {};
  while (count != 0) {
    size_t piece = size_t(std::min<uint64_t>(count, sizeof zeros));
    if (Status status = put({zeros, piece}); !status.ok())
      return status;
    count -= piece;
  }
  return {};
}

Status ArtifactWriter::beginSection(SectionKind kind) {
  int index = int(kind);
  if (index <= current_)
    return Status(ExitCode::Internal,
                  text("artifact section ", sectionName(kind), " written out of order"));
  if (Status status = endSection(); !status.ok())
    return status;
  uint64_t alignment = sectionAlignment(kind);
  if (Status status = putZeros((alignment - position_ % alignment) % alignment); !status.ok())
    return status;
  current_ = index;
  header_.sections[index].present = 1;
  header_.sections[index].offset = position_;
  stream_ = ChecksumStream();
  return {};
}

Status ArtifactWriter::endSection() {
  if (current_ >= 0) {
    SectionEntry &entry = header_.sections[current_];
    entry.bytes = stream_.bytes();
    entry.checksum = stream_.finish();
  }
  return {};
}

Status ArtifactWriter::write(std::span<const std::byte> bytes) {
  if (current_ < 0)
    return Status(ExitCode::Internal, "artifact bytes written before any section");
  stream_.update(bytes);
  return put(bytes);
}

Status ArtifactWriter::padTo(uint64_t sectionBytes) {
  if (sectionBytes < stream_.bytes())
    return Status(ExitCode::Internal, text("artifact section is ", stream_.bytes(),
                                           " bytes long, cannot pad it to ", sectionBytes));
  static const std::byte zeros[kPage] = {};
  while (stream_.bytes() != sectionBytes) {
    size_t piece = size_t(std::min<uint64_t>(sectionBytes - stream_.bytes(), sizeof zeros));
    if (Status status = write({zeros, piece}); !status.ok())
      return status;
  }
  return {};
}

/// Names the file: at once where nothing is in the way, else beside the old one and over it.
Status ArtifactWriter::giveName() {
  if (!named_) {
    std::string self = text("/proc/self/fd/", fd_);
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) == 0)
      return {};
    if (errno != EEXIST ||
        ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, temporary_.c_str(), AT_SYMLINK_FOLLOW) != 0)
      return systemError("name");
    named_ = true;
  }
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    return systemError("rename");
  named_ = false;
  return {};
}

Status ArtifactWriter::commit() {
  if (Status status = endSection(); !status.ok())
    return status;
  current_ = kSectionCount;
  header_.fileBytes = position_;
  header_.headerChecksum = 0;
  header_.headerChecksum = checksum(std::as_bytes(std::span(&header_, 1)));
  if (::lseek(fd_, 0, SEEK_SET) != 0)
    return systemError("seek in");
  if (Status status = put(std::as_bytes(std::span(&header_, 1))); !status.ok())
    return status;
  if (::fsync(fd_) != 0)
    return systemError("sync");
  if (Status status = giveName(); !status.ok())
    return status;
  if (::close(std::exchange(fd_, -1)) != 0)
    return systemError("close");
  // The name itself reaches the disk with the folder. Not every file system can sync one.
  int dir = ::open(folderOf(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (dir >= 0) {
    (void)::fsync(dir);
    ::close(dir);
  }
  return {};
}

} // namespace ingot
