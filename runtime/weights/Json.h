//===- Json.h - A strict JSON reader for untrusted bytes ----------*- C++ -*-===//
//
// Reads RFC 8259 and nothing more: UTF-8 is validated, a duplicate key, a trailing comma or a
// comment is an error, nesting and the number of values are capped, and integers stay exact. The
// literals NaN, Infinity and -Infinity, which Python writes, are read only where `allowNonFinite`
// asks for them.
//
//   Result<JsonDocument> config = readJsonFile(folder + "/config.json", {.allowNonFinite = true});
//   if (!config.ok()) return config.status();
//   Result<int64_t> heads = config->root()["num_attention_heads"].asPositiveInt();
//   Result<int64_t> kvHeads = config->root()["num_key_value_heads"].asPositiveIntOr(*heads);
//
// Every accessor's error names the key path: "config.json: num_attention_heads: expected a positive
// integer, got -1".
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ingot {

struct JsonOptions {
  /// How errors call the document; readJsonFile fills in the file's name where this is empty.
  std::string name = {};
  bool allowNonFinite = false;
  unsigned maxDepth = 64;
  /// Bounds the memory that a small file can make the reader take.
  uint64_t maxValues = 4'000'000;
  /// readJsonFile refuses larger files.
  uint64_t maxFileBytes = 256ull << 20;
};

enum class JsonKind : uint8_t {
  Null,
  Bool,
  Int,    // an integer in int64_t
  UInt,   // an integer above INT64_MAX, in uint64_t
  Double, // every other number, integers beyond 64 bits among them
  String,
  Array,
  Object
};

/// A node of the tree. Sixteen bytes; owns what is below it; moved, never copied.
class JsonValue {
public:
  using Member = std::pair<std::string, JsonValue>;

  JsonValue() = default;
  JsonValue(JsonValue &&other) noexcept { swap(other); }
  JsonValue &operator=(JsonValue &&other) noexcept {
    JsonValue taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~JsonValue();

  JsonKind kind() const { return kind_; }
  bool isInteger() const { return kind_ == JsonKind::Int || kind_ == JsonKind::UInt; }
  bool isNumber() const { return isInteger() || kind_ == JsonKind::Double; }
  /// Where the value starts in the text, in bytes.
  uint32_t offset() const { return offset_; }

  /// The payload; each is to be asked of its own kind only.
  bool boolean() const { return payload_.boolean; }
  int64_t integer() const { return payload_.integer; }
  uint64_t unsignedInteger() const { return payload_.unsignedInteger; }
  double number() const { return payload_.number; }
  const std::string &string() const { return *payload_.string; }
  const std::vector<JsonValue> &elements() const { return *payload_.array; }
  /// In the order of the text.
  const std::vector<Member> &members() const;
  /// The member of that key, or null. Logarithmic.
  const JsonValue *find(std::string_view key) const;

  /// The value in a few words, for "got ..." in errors: `-1`, `"gelu"`, `an array of 3`.
  std::string describe() const;

private:
  friend class JsonParser;
  struct Object;
  void swap(JsonValue &other) noexcept {
    std::swap(payload_, other.payload_);
    std::swap(offset_, other.offset_);
    std::swap(kind_, other.kind_);
  }

  union Payload {
    bool boolean;
    int64_t integer = 0;
    uint64_t unsignedInteger;
    double number;
    std::string *string;
    std::vector<JsonValue> *array;
    Object *object;
  } payload_;
  uint32_t offset_ = 0;
  JsonKind kind_ = JsonKind::Null;
};

/// A place in a document, present or not, with the path that errors name. Valid while the document
/// is.
class JsonView {
public:
  JsonView(const JsonValue *value, std::string path) : value_(value), path_(std::move(path)) {}

  /// The member `key`; absent where this is no object or has no such key.
  JsonView operator[](std::string_view key) const;
  /// The element at `index`; absent where this is no array or is shorter.
  JsonView at(size_t index) const;

  bool exists() const { return value_ != nullptr; }
  /// Absent, or null: Hugging Face configs write null for "not set".
  bool isAbsentOrNull() const { return !value_ || value_->kind() == JsonKind::Null; }
  bool is(JsonKind kind) const { return value_ && value_->kind() == kind; }
  const JsonValue *value() const { return value_; }
  /// "config.json: rope_scaling.factor"
  const std::string &path() const { return path_; }

  Result<bool> asBool() const;
  Result<int64_t> asInt(int64_t min = std::numeric_limits<int64_t>::min(),
                        int64_t max = std::numeric_limits<int64_t>::max()) const;
  Result<int64_t> asPositiveInt() const { return asInt(1); }
  Result<int64_t> asNonNegativeInt() const { return asInt(0); }
  /// Any number; an integer is converted.
  Result<double> asDouble() const;
  Result<std::string> asString() const;
  Result<std::vector<JsonView>> asArray() const;
  Result<std::vector<std::pair<std::string, JsonView>>> asObject() const;
  Result<std::vector<int64_t>> asIntArray() const;
  Result<std::vector<double>> asDoubleArray() const;
  Result<std::vector<std::string>> asStringArray() const;

  /// The same, giving `fallback` where the value is absent or null.
  Result<bool> asBoolOr(bool fallback) const;
  Result<int64_t> asIntOr(int64_t fallback, int64_t min = std::numeric_limits<int64_t>::min(),
                          int64_t max = std::numeric_limits<int64_t>::max()) const;
  Result<int64_t> asPositiveIntOr(int64_t fallback) const { return asIntOr(fallback, 1); }
  Result<int64_t> asNonNegativeIntOr(int64_t fallback) const { return asIntOr(fallback, 0); }
  Result<double> asDoubleOr(double fallback) const;
  Result<std::string> asStringOr(std::string_view fallback) const;

  /// "PATH: expected `expected`, got ..." as MalformedInput, for a caller's own rule.
  Status expected(std::string_view expected) const;

private:
  const JsonValue *value_;
  std::string path_;
  bool isRoot_ = true; // the path is the document's name
};

class JsonDocument {
public:
  JsonView root() const { return JsonView(root_.get(), name_); }
  const JsonValue &value() const { return *root_; }
  const std::string &name() const { return name_; }

private:
  friend Result<JsonDocument> parseJson(std::string_view, const JsonOptions &);
  std::unique_ptr<JsonValue> root_; // on the heap: views stay valid when the document moves
  std::string name_;
};

/// Reads a whole text as one value. The error says "NAME:LINE:COLUMN (byte N): expected ..., got
/// ...".
Result<JsonDocument> parseJson(std::string_view text, const JsonOptions &options = {});
Result<JsonDocument> readJsonFile(const std::string &path, JsonOptions options = {});

} // namespace ingot
