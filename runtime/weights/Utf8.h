//===- Utf8.h - UTF-8 and text for messages -----------------------*- C++ -*-===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ingot {

/// The bytes of the character that `text` starts with; 0 where it is no UTF-8 (overlong forms,
/// surrogates and code points past U+10FFFF are none).
size_t utf8Length(std::string_view text);
/// Appends a code point, which must not be a surrogate.
void appendUtf8(std::string &text, uint32_t point);
/// `text` in quotes, escaped, cut to about 80 bytes: a name from a file as an error may show it.
std::string quoteShort(std::string_view text);

} // namespace ingot
