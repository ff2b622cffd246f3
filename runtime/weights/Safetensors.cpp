//===- Safetensors.cpp - Reads a safetensors file -------------------------===//
#include "runtime/weights/Safetensors.h"
#include "runtime/weights/Json.h"
#include "runtime/weights/Utf8.h"

#include <algorithm>
#include <cstring>

namespace ingot {
namespace {

constexpr uint64_t kLengthBytes = 8;
// A tensor has some nine values, so this is more than 100,000 tensors in a file; the largest models
// have fewer in all their files. It bounds the time that a hostile header takes.
constexpr uint64_t kMaxHeaderValues = 1'000'000;

Status malformed(std::string_view file, const std::string &message) {
  return Status(ExitCode::MalformedInput, std::string(file) + ": " + message);
}

std::string range(uint64_t begin, uint64_t end) {
  return "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
}

/// One member of the header: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}.
Result<SafetensorsEntry> parseEntry(const std::string &name, const JsonValue &value,
                                    std::string_view file) {
  std::string where = "tensor " + quoteShort(name);
  auto wrong = [&](std::string_view what, const std::string &expected, const JsonValue *got) {
    return malformed(file, where + ": " + std::string(what) + ": expected " + expected + ", got " +
                               (got ? got->describe() : "nothing (not set)"));
  };
  auto isSize = [](const JsonValue &v) { return v.kind() == JsonKind::Int && v.integer() >= 0; };

  if (value.kind() != JsonKind::Object)
    return wrong("header", "an object", &value);

  SafetensorsEntry entry;
  entry.name = name;
  const JsonValue *dtype = value.find("dtype");
  if (!dtype || dtype->kind() != JsonKind::String)
    return wrong("dtype", "a string", dtype);
  std::optional<ElementType> type = parseSafetensorsType(dtype->string());
  if (!type)
    return wrong("dtype",
                 "one of F64 F32 F16 BF16 F8_E4M3 F8_E5M2 F8_E8M0 I64 I32 I16 I8 U64 U32 U16 U8 "
                 "BOOL",
                 dtype);
  entry.type.elementType = *type;

  const JsonValue *shape = value.find("shape");
  if (!shape || shape->kind() != JsonKind::Array)
    return wrong("shape", "an array", shape);
  for (const JsonValue &dim : shape->elements()) {
    if (!isSize(dim))
      return wrong("shape", "non-negative integers", &dim);
    entry.type.shape.push_back(dim.integer());
  }

  const JsonValue *offsets = value.find("data_offsets");
  if (!offsets || offsets->kind() != JsonKind::Array || offsets->elements().size() != 2)
    return wrong("data_offsets", "an array of 2", offsets);
  for (const JsonValue &offset : offsets->elements())
    if (!isSize(offset))
      return wrong("data_offsets", "non-negative integers", &offset);
  entry.begin = uint64_t(offsets->elements()[0].integer());
  entry.end = uint64_t(offsets->elements()[1].integer());
  if (entry.begin > entry.end)
    return malformed(file, where + ": data_offsets: expected begin <= end, got " +
                               range(entry.begin, entry.end));

  std::optional<uint64_t> bytes = numBytes(entry.type);
  if (!bytes)
    return malformed(file,
                     where + ": shape: expected less than 2^63 bytes, got " + entry.type.str());
  if (*bytes != entry.end - entry.begin)
    return malformed(file, where + ": data_offsets: expected " + std::to_string(*bytes) +
                               " bytes for " + entry.type.str() + ", got " +
                               std::to_string(entry.end - entry.begin) + " in " +
                               range(entry.begin, entry.end));
  return entry;
}

Status parseMetadata(const JsonValue &value, SafetensorsHeader &header, std::string_view file) {
  if (value.kind() != JsonKind::Object)
    return malformed(file, "__metadata__: expected an object, got " + value.describe());
  for (const JsonValue::Member &member : value.members()) {
    if (member.second.kind() != JsonKind::String)
      return malformed(file, "__metadata__: " + quoteShort(member.first) +
                                 ": expected a string, got " + member.second.describe());
    header.metadata.emplace_back(member.first, member.second.string());
  }
  return Status();
}

/// The byte ranges must tile [0, dataBytes).
Status checkRanges(const SafetensorsHeader &header, uint64_t dataBytes, std::string_view file) {
  std::vector<const SafetensorsEntry *> order;
  order.reserve(header.tensors.size());
  for (const SafetensorsEntry &entry : header.tensors)
    order.push_back(&entry);
  std::sort(order.begin(), order.end(), [](const SafetensorsEntry *a, const SafetensorsEntry *b) {
    return a->begin != b->begin ? a->begin < b->begin : a->end < b->end;
  });
  uint64_t covered = 0;
  for (const SafetensorsEntry *entry : order) {
    if (entry->begin != covered)
      return malformed(file, "tensor " + quoteShort(entry->name) +
                                 ": data_offsets: expected a range from " +
                                 std::to_string(covered) + ", where the one before ends, got " +
                                 range(entry->begin, entry->end) +
                                 (entry->begin < covered ? " (an overlap)" : " (a hole)"));
    covered = entry->end;
  }
  if (covered != dataBytes)
    return malformed(file, "expected " + std::to_string(covered) +
                               " bytes of data behind the header, got " +
                               std::to_string(dataBytes) +
                               (dataBytes < covered ? "; the file is truncated, download it again"
                                                    : "; something follows the data"));
  return Status();
}

} // namespace

Result<SafetensorsHeader> parseSafetensors(std::span<const std::byte> file, std::string_view name) {
  if (file.size() < kLengthBytes)
    return malformed(name, "expected a safetensors file (8 bytes of header length first), got " +
                               std::to_string(file.size()) + " bytes");
  uint64_t length = 0;
  for (unsigned i = 0; i < kLengthBytes; ++i)
    length |= uint64_t(file[i]) << (8 * i);
  if (length > kMaxSafetensorsHeaderBytes)
    return malformed(name, "expected a header of at most " +
                               std::to_string(kMaxSafetensorsHeaderBytes) + " bytes, got " +
                               std::to_string(length) +
                               (length > file.size() ? "; this may be no safetensors file" : ""));
  if (length > file.size() - kLengthBytes)
    return malformed(name, "expected a header of " + std::to_string(length) + " bytes, got " +
                               std::to_string(file.size() - kLengthBytes) +
                               "; the file is truncated, download it again");
  std::string_view text(reinterpret_cast<const char *>(file.data()) + kLengthBytes, length);
  if (text.empty() || text[0] != '{')
    return malformed(name, text.empty() ? "expected a header that starts with '{', got an empty one"
                                        : "expected a header that starts with '{', got " +
                                              quoteShort(text.substr(0, 1)));
  Result<JsonDocument> json = parseJson(
      text, {.name = std::string(name) + ": header", .maxDepth = 8, .maxValues = kMaxHeaderValues});
  if (!json.ok())
    return json.status();

  SafetensorsHeader header;
  header.dataOffset = kLengthBytes + length;
  header.tensors.reserve(json->value().members().size());
  for (const JsonValue::Member &member : json->value().members()) {
    if (member.first == "__metadata__") {
      if (Status status = parseMetadata(member.second, header, name); !status.ok())
        return status;
      continue;
    }
    Result<SafetensorsEntry> entry = parseEntry(member.first, member.second, name);
    if (!entry.ok())
      return entry.status();
    header.tensors.push_back(*std::move(entry));
  }
  if (Status status = checkRanges(header, file.size() - header.dataOffset, name); !status.ok())
    return status;
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const SafetensorsEntry &a, const SafetensorsEntry &b) { return a.name < b.name; });
  return header;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string &path) {
  Result<MappedFile> mapped = MappedFile::open(path);
  if (!mapped.ok())
    return mapped.status();
  Result<SafetensorsHeader> header = parseSafetensors(mapped->bytes(), path);
  if (!mapped->intact())
    return malformed(path, "the file became shorter while it was read");
  if (!header.ok())
    return header.status();
  SafetensorsFile file;
  file.file_ = *std::move(mapped);
  file.header_ = *std::move(header);
  return file;
}

const SafetensorsEntry *SafetensorsFile::find(std::string_view name) const {
  auto at = std::lower_bound(
      header_.tensors.begin(), header_.tensors.end(), name,
      [](const SafetensorsEntry &entry, std::string_view name) { return entry.name < name; });
  return at != header_.tensors.end() && at->name == name ? &*at : nullptr;
}

} // namespace ingot
