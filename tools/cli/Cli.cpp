//===- Cli.cpp - What all commands share -----------------------------------===//

#include "tools/cli/Cli.h"

#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "runtime/weights/JsonWriter.h"
#include "tools/cli/Terminal.h"

namespace ingot::cli {

static const char *kindOf(ExitCode code) {
  switch (code) {
  case ExitCode::Ok:
    return "ok";
  case ExitCode::Internal:
    return "internal";
  case ExitCode::Usage:
    return "usage";
  case ExitCode::MalformedInput:
    return "malformed-input";
  case ExitCode::Unsupported:
    return "unsupported";
  case ExitCode::AccuracyMismatch:
    return "accuracy-mismatch";
  case ExitCode::Integrity:
    return "integrity";
  case ExitCode::DeviceMismatch:
    return "device-mismatch";
  case ExitCode::OutOfResources:
    return "out-of-resources";
  }
  return "internal";
}

CLI::Validator notEmpty() {
  return CLI::Validator(
      [](std::string &text) { return text.empty() ? "expected a value, got none" : std::string(); },
      "");
}

CLI::Validator notNegative() {
  return CLI::Validator(
      [](std::string &text) {
        return text.starts_with('-') ? "expected a number from 0 on, got " + text : std::string();
      },
      "");
}

void addJsonFlag(CLI::App &command, Invocation &invocation) {
  command.add_flag("--json", invocation.json, "Print the result (and any error) as JSON");
}

int reportError(const Status &status, bool json) {
  Terminal::standardError().error(status.message());
  if (json) {
    JsonWriter writer;
    writer.beginObject().key("error").beginObject();
    writer.member("code", static_cast<int>(status.code()));
    writer.member("kind", kindOf(status.code()));
    writer.member("message", status.message());
    writer.endObject().endObject();
    printf("%s\n", writer.text().c_str());
    fflush(stdout);
  }
  return static_cast<int>(status.code());
}

Status writeResult(std::string_view text) {
  if (fwrite(text.data(), 1, text.size(), stdout) != text.size() || fflush(stdout) != 0) {
    if (errno == EPIPE)
      return Status(); // the reader has seen enough ("| head")
    return Status(ExitCode::OutOfResources,
                  std::string("cannot write to standard output: ") + strerror(errno));
  }
  return Status();
}

std::string formatBytes(uint64_t bytes) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  char text[48];
  snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

Result<uint64_t> parseBytes(std::string_view text) {
  const Status malformed(ExitCode::Usage, "'" + std::string(text.substr(0, 64)) +
                                              "' is not a size: expected bytes, or a number with "
                                              "K, M, G or T (512M, 2.5GiB)");
  double value = 0;
  const char *end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || !std::isfinite(value) || value < 0)
    return malformed;
  std::string_view unit(rest, end - rest);
  if (unit.ends_with("iB"))
    unit.remove_suffix(2);
  else if (unit.ends_with("B"))
    unit.remove_suffix(1);
  static constexpr std::string_view letters = "KMGT";
  if (unit.size() > 1 || (unit.size() == 1 && letters.find(unit[0]) == letters.npos))
    return malformed;
  if (unit.size() == 1)
    value *= std::pow(1024.0, 1.0 + letters.find(unit[0]));
  if (value >= 0x1p63)
    return malformed;
  return static_cast<uint64_t>(value);
}

} // namespace ingot::cli
