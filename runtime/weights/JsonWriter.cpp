//===- JsonWriter.cpp - Writes JSON text ----------------------------------===//
#include "runtime/weights/JsonWriter.h"
#include "runtime/weights/Utf8.h"

#include <charconv>
#include <cmath>

namespace ingot {

std::string quoteJson(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  constexpr std::string_view letters = "bfnrt", meanings = "\b\f\n\r\t";
  std::string quoted = "\"";
  while (!text.empty()) {
    size_t length = utf8Length(text);
    if (length == 0) {
      appendUtf8(quoted, 0xfffd);
      text.remove_prefix(1);
      continue;
    }
    char c = text[0];
    if (length > 1) {
      quoted += text.substr(0, length);
    } else if (size_t index = meanings.find(c); index != std::string_view::npos) {
      quoted += '\\';
      quoted += letters[index];
    } else if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      quoted += "\\u00";
      quoted += digits[c >> 4];
      quoted += digits[c & 15];
    } else {
      quoted += c;
    }
    text.remove_prefix(length);
  }
  return quoted + '"';
}

void JsonWriter::newLine() {
  if (indent_ == 0)
    return;
  text_ += '\n';
  text_.append(levels_.size() * indent_, ' ');
}

/// What goes before the next item: a comma, a line break. An array's scalars share a line.
void JsonWriter::separate(bool isContainer) {
  if (afterKey_) {
    afterKey_ = false;
    return;
  }
  if (levels_.empty())
    return;
  Level &level = levels_.back();
  bool breaks = level.isObject || isContainer;
  if (level.hasItems)
    text_ += breaks || indent_ == 0 ? "," : ", ";
  level.hasItems = true;
  if (breaks) {
    level.hasLines = true;
    newLine();
  }
}

JsonWriter &JsonWriter::open(char bracket) {
  separate(/*isContainer=*/true);
  text_ += bracket;
  levels_.push_back({bracket == '{'});
  return *this;
}

JsonWriter &JsonWriter::close(char bracket) {
  bool hasLines = levels_.back().hasLines;
  levels_.pop_back();
  if (hasLines)
    newLine();
  text_ += bracket;
  return *this;
}

JsonWriter &JsonWriter::raw(std::string_view token) {
  separate(/*isContainer=*/false);
  text_ += token;
  return *this;
}

JsonWriter &JsonWriter::key(std::string_view name) {
  separate(/*isContainer=*/false);
  text_ += quoteJson(name);
  text_ += indent_ ? ": " : ":";
  afterKey_ = true;
  return *this;
}

JsonWriter &JsonWriter::value(std::string_view text) { return raw(quoteJson(text)); }

namespace {
/// The shortest text that reads back to the same number.
template <typename T> std::string numberText(T number) {
  if (!std::isfinite(number))
    return "null";
  char text[64];
  std::to_chars_result end = std::to_chars(text, text + sizeof(text), number);
  return std::string(text, end.ptr);
}
} // namespace

JsonWriter &JsonWriter::value(double number) { return raw(numberText(number)); }
JsonWriter &JsonWriter::value(float number) { return raw(numberText(number)); }

} // namespace ingot
