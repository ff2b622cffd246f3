//===- Text.cpp -------------------------------------------------*- C++ -*-===//
#include "runtime/support/Text.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace ingot {

void appendText(std::string &out, double part) {
  if (std::isnan(part)) {
    out.append("nan");
    return;
  }
  char buffer[40];
  // A value that a float holds exactly is written with a float's digits: 0.1f is "0.1".
  auto result = double(float(part)) == part
                    ? std::to_chars(buffer, buffer + sizeof buffer, float(part))
                    : std::to_chars(buffer, buffer + sizeof buffer, part);
  out.append(buffer, result.ptr);
}

std::string quoted(std::string_view name) {
  constexpr size_t kLongest = 200;
  std::string out = "'";
  for (unsigned char c : name.substr(0, kLongest)) {
    if (c < 0x20 || c >= 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\x%02x", c);
      out += escape;
    } else {
      out += char(c);
    }
  }
  if (name.size() > kLongest)
    out += "...";
  out += "'";
  return out;
}

std::string bytesText(uint64_t bytes) {
  if (bytes < 1024)
    return text(bytes, " bytes");
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = double(bytes) / 1024;
  int unit = 0;
  while (value >= 1024 && unit < 5) {
    value /= 1024;
    ++unit;
  }
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.1f %s (%llu bytes)", value, units[unit],
                static_cast<unsigned long long>(bytes));
  return buffer;
}

std::string hexText(uint64_t value) {
  char buffer[24];
  std::snprintf(buffer, sizeof buffer, "0x%016llx", static_cast<unsigned long long>(value));
  return buffer;
}

} // namespace ingot
