//===- ElfImage.h - Loading a host code image --------------------*- C++ -*-===//
//
// A host image is an ELF shared object that stands alone: it needs no library and runs no code when
// it is loaded. It is written to an anonymous memory file and opened with the system's dynamic
// loader.
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
  explicit ElfImage(void *handle) : handle_(handle) {}
  void *handle_ = nullptr;
};

} // namespace ingot
