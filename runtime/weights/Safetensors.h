//===- Safetensors.h - Reads a safetensors file -------------------*- C++ -*-===//
//
// The format: 8 bytes little-endian header length, a JSON header, the data. The rules are those of
// the reference implementation: a header of at most 100 MB that starts with '{', no duplicate key,
// byte ranges that cover the data from 0 to its end with neither hole nor overlap, each as long as
// dtype and shape say, and nothing behind the data.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"
#include "runtime/weights/ElementType.h"
#include "runtime/weights/MappedFile.h"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingot {

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;

/// Bytes [begin, end) of the data section, which starts behind the header.
struct SafetensorsEntry {
  std::string name;
  TensorType type;
  uint64_t begin = 0;
  uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;                     // sorted by name
  std::vector<std::pair<std::string, std::string>> metadata; // __metadata__, in file order
  uint64_t dataOffset = 0;                                   // of the data section in the file
};

/// Checks `file`, the whole of a safetensors file's bytes, by every rule above. `name` is what
/// errors call it.
Result<SafetensorsHeader> parseSafetensors(std::span<const std::byte> file, std::string_view name);

/// A mapped file with its checked header.
class SafetensorsFile {
public:
  static Result<SafetensorsFile> open(const std::string &path);

  const SafetensorsHeader &header() const { return header_; }
  const SafetensorsEntry *find(std::string_view name) const;
  /// The tensor's bytes: row-major, little-endian, not necessarily aligned.
  std::span<const std::byte> bytes(const SafetensorsEntry &entry) const {
    return file_.bytes().subspan(header_.dataOffset + entry.begin, entry.end - entry.begin);
  }

  /// See MappedFile::intact().
  bool intact() const { return file_.intact(); }

private:
  MappedFile file_;
  SafetensorsHeader header_;
};

} // namespace ingot
