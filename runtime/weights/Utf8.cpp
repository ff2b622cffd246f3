//===- Utf8.cpp - UTF-8 and text for messages -----------------------------===//
#include "runtime/weights/Utf8.h"
#include "runtime/weights/JsonWriter.h"

namespace ingot {

size_t utf8Length(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty())
    return 0;
  unsigned first = byte(0);
  size_t length = first < 0x80   ? 1
                  : first < 0xc2 ? 0
                  : first < 0xe0 ? 2
                  : first < 0xf0 ? 3
                  : first < 0xf5 ? 4
                                 : 0;
  if (length == 0 || length > text.size())
    return 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80)
      return 0;
  // The second byte's range excludes overlong forms, surrogates and what is past U+10FFFF.
  if (length > 1) {
    unsigned second = byte(1);
    if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
      return 0;
  }
  return length;
}

void appendUtf8(std::string &text, uint32_t point) {
  if (point < 0x80) {
    text += char(point);
  } else if (point < 0x800) {
    text += char(0xc0 | point >> 6);
    text += char(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    text += char(0xe0 | point >> 12);
    text += char(0x80 | (point >> 6 & 0x3f));
    text += char(0x80 | (point & 0x3f));
  } else {
    text += char(0xf0 | point >> 18);
    text += char(0x80 | (point >> 12 & 0x3f));
    text += char(0x80 | (point >> 6 & 0x3f));
    text += char(0x80 | (point & 0x3f));
  }
}

std::string quoteShort(std::string_view text) {
  constexpr size_t limit = 80;
  if (text.size() <= limit)
    return quoteJson(text);
  size_t end = 0;
  for (size_t length = 0; end + length <= limit;) {
    end += length;
    length = utf8Length(text.substr(end));
    length += length == 0; // a stray byte, shown as U+FFFD
  }
  return quoteJson(text.substr(0, end)) + "...";
}

} // namespace ingot
