//===- ElfImage.h - Loading a host code image --------------------*- C++ -*-===//
//
// A host image is an ELF shared object that stands alone: it needs no library and runs no code when
// it is loaded. It is written to an anonymous memory file and opened with the system's dynamic
// loader. The file stays open as long as the image is loaded: the loader knows images by the path of
// the descriptor, and would give the first image again for a second one with the same number.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstddef>
#include <span>

namespace ingot {

/// Is this an x86-64 shared object whose segments and dynamic table lie inside the bytes, without
/// needed libraries, constructors or destructors? MalformedInput otherwise: the dynamic loader
/// trusts what it maps.
Status checkElfImage(std::span<const std::byte> image);

/// A loaded image; unloaded with this object.
class ElfImage {
public:
  static Result<ElfImage> load(std::span<const std::byte> image);

  ElfImage(ElfImage &&other) noexcept;
  ElfImage &operator=(ElfImage &&other) noexcept;
  ~ElfImage();

  /// The address of a defined symbol, or null.
  void *find(const char *symbol) const;

private:
  ElfImage(void *handle, int fd) : handle_(handle), fd_(fd) {}
  void *handle_ = nullptr;
  int fd_ = -1;
};

} // namespace ingot
