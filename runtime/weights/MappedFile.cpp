//===- MappedFile.cpp - A regular file mapped read-only -------------------===//
#include "runtime/weights/MappedFile.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace ingot {

MappedFile::MappedFile(MappedFile &&other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile &MappedFile::operator=(MappedFile &&other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_)
    munmap(const_cast<std::byte *>(data_), size_);
}

Result<MappedFile> MappedFile::open(const std::string &path) {
  auto failed = [&](const char *what) {
    int error = errno;
    ExitCode code = error == ENOMEM || error == EMFILE || error == ENFILE
                        ? ExitCode::OutOfResources
                        : ExitCode::MalformedInput;
    return Status(code, path + ": " + what + ": " + std::strerror(error));
  };
  // A pipe without a writer would block an open that waits.
  int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0)
    return failed("cannot open");
  struct stat info;
  if (fstat(descriptor, &info) != 0) {
    Status status = failed("cannot stat");
    close(descriptor);
    return status;
  }
  if (!S_ISREG(info.st_mode)) {
    close(descriptor);
    return Status(ExitCode::MalformedInput,
                  path + ": expected a regular file, got " +
                      (S_ISDIR(info.st_mode) ? "a folder" : "a device, pipe or socket"));
  }
  MappedFile file;
  if (info.st_size > 0) {
    void *data = mmap(nullptr, size_t(info.st_size), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
      Status status = failed("cannot map");
      close(descriptor);
      return status;
    }
    file.data_ = static_cast<const std::byte *>(data);
    file.size_ = size_t(info.st_size);
  }
  close(descriptor);
  return file;
}

} // namespace ingot
