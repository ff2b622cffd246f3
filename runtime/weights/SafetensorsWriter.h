//===- SafetensorsWriter.h - Writes a safetensors file ------------*- C++ -*-===//
#pragma once

#include "runtime/support/Status.h"
#include "runtime/weights/ElementType.h"

#include <cstddef>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// Writes one file tensor by tensor, beside its name until it is complete.
class SafetensorsWriter {
public:
  struct Tensor {
    std::string name;
    TensorType type; // less than 2^63 bytes in all
  };

  /// Begins `path`, which must not exist, with the header of `tensors`. Errors: Usage (the file is
  /// there, or its folder is not), OutOfResources (disk).
  static Result<std::unique_ptr<SafetensorsWriter>> create(const std::string &path,
                                                           std::span<const Tensor> tensors);
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter &) = delete;

  /// The bytes of the next tensor.
  Status write(std::span<const std::byte> bytes);
  /// Syncs, and gives the file its name.
  Status commit();
  uint64_t fileBytes() const { return bytes_; }

private:
  SafetensorsWriter() = default;
  Status systemError(const char *what) const;

  std::string path_, temporary_;
  int fd_ = -1;
  uint64_t bytes_ = 0;
};

} // namespace ingot
