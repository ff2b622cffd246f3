//===- MappedFile.h - A regular file mapped read-only -------------*- C++ -*-===//
#pragma once

#include "runtime/support/Status.h"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ingot {

/// The bytes of a regular file, mapped read-only for the life of the object.
///
/// A file that becomes shorter meanwhile does not end the process: the kernel answers a touch past its
/// end with SIGBUS, and a handler (installed with the first mapping; it passes on what is not its own)
/// puts zeros there and remembers it. Who reads asks intact() afterwards.
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

  /// False once bytes were read that the file no longer had.
  bool intact() const { return !guard_ || !guard_->hit.load(std::memory_order_acquire); }

  /// A mapping that the handler knows.
  struct Guard {
    std::atomic<uintptr_t> begin{0}, end{0}; // end 0: free
    std::atomic<bool> hit{false};
  };

private:
  const std::byte *data_ = nullptr;
  size_t size_ = 0;
  Guard *guard_ = nullptr; // null: more mappings than the handler can know
};

} // namespace ingot
