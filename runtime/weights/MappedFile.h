//===- MappedFile.h - A regular file mapped read-only -------------*- C++ -*-===//
#pragma once

#include "runtime/support/Status.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

/// The bytes of a regular file, mapped read-only for the life of the object. The file must not
/// shrink meanwhile (the kernel answers a touch past its end with SIGBUS).
class MappedFile {
public:
  MappedFile() = default;
  MappedFile(MappedFile &&other) noexcept;
  MappedFile &operator=(MappedFile &&other) noexcept;
  ~MappedFile();

  /// Fails with MalformedInput where the path is missing, unreadable or not a regular file.
  static Result<MappedFile> open(const std::string &path);

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char *>(data_), size_}; }

private:
  const std::byte *data_ = nullptr;
  size_t size_ = 0;
};

} // namespace ingot
