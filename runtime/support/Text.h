//===- Text.h - Building messages without iostreams --------------*- C++ -*-===//
//
// The runtime links libstdc++ statically and stays small, so it never touches iostreams or locales.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace ingot {

inline void appendText(std::string &out, std::string_view part) { out.append(part); }
inline void appendText(std::string &out, const char *part) { out.append(part); }
inline void appendText(std::string &out, const std::string &part) { out.append(part); }
inline void appendText(std::string &out, char part) { out.push_back(part); }
inline void appendText(std::string &out, bool part) { out.append(part ? "true" : "false"); }
/// The shortest decimal text that reads back as the same value.
void appendText(std::string &out, double part);
inline void appendText(std::string &out, float part) { appendText(out, double(part)); }
template <typename T>
requires(std::is_integral_v<T> && !std::is_same_v<T, char> &&
         !std::is_same_v<T, bool>) void appendText(std::string &out, T part) {
  out.append(std::to_string(part));
}

/// Concatenates strings and numbers.
template <typename... Parts> std::string text(const Parts &...parts) {
  std::string out;
  (appendText(out, parts), ...);
  return out;
}

/// `name` in single quotes, with control and non-ASCII bytes escaped and long names cut: names come
/// from untrusted files and end on a person's terminal.
std::string quoted(std::string_view name);

/// "3.2 MiB (3355443 bytes)"; below 1 KiB just "123 bytes".
std::string bytesText(uint64_t bytes);

/// "0x0123456789abcdef"
std::string hexText(uint64_t value);

} // namespace ingot
