//===- JsonWriter.h - Writes JSON text ----------------------------*- C++ -*-===//
//
//   JsonWriter json;
//   json.beginObject().key("shape").beginArray().value(8).value(128).endArray();
//   json.member("seconds", 0.25).endObject();
//   fputs(json.text().c_str(), stdout);
//
//===----------------------------------------------------------------------===//
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD.
std::string quoteJson(std::string_view text);

/// Appends values in order and keeps track of commas. Numbers read back to the same value; a double
/// that is not finite, which JSON cannot say, is written as null.
class JsonWriter {
public:
  /// `indent` spaces a level; 0 writes one line.
  explicit JsonWriter(unsigned indent = 2) : indent_(indent) {}

  JsonWriter &beginObject() { return open('{'); }
  JsonWriter &endObject() { return close('}'); }
  JsonWriter &beginArray() { return open('['); }
  JsonWriter &endArray() { return close(']'); }
  JsonWriter &key(std::string_view name);

  JsonWriter &value(std::string_view text);
  JsonWriter &value(const char *text) { return value(std::string_view(text)); }
  JsonWriter &value(bool boolean) { return raw(boolean ? "true" : "false"); }
  JsonWriter &value(double number);
  JsonWriter &value(float number);
  template <std::integral T> JsonWriter &value(T number) { return raw(std::to_string(number)); }
  JsonWriter &null() { return raw("null"); }

  template <typename T> JsonWriter &member(std::string_view name, const T &item) {
    return key(name).value(item);
  }

  const std::string &text() const { return text_; }

private:
  struct Level {
    bool isObject;
    bool hasItems = false;
    bool hasLines = false;
  };

  JsonWriter &open(char bracket);
  JsonWriter &close(char bracket);
  JsonWriter &raw(std::string_view token);
  void separate(bool isContainer);
  void newLine();

  std::string text_;
  std::vector<Level> levels_; // one an open bracket
  unsigned indent_;
  bool afterKey_ = false;
};

} // namespace ingot
