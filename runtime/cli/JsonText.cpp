//===- JsonText.cpp - JSON as text for a person ----------------------------===//

#include "runtime/cli/JsonText.h"

#include <algorithm>
#include <cstdio>

#include "runtime/support/Text.h"

namespace ingot::commands {

static bool isScalar(const JsonValue &value) {
  return value.kind() != JsonKind::Array && value.kind() != JsonKind::Object;
}

/// Text from a file, fit for a terminal: escapes control bytes, leaves ordinary text alone. Lines
/// of a longer text (IR, assembly) stay lines.
static std::string printable(const std::string &text) {
  std::string out;
  for (char c : text) {
    unsigned char byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f) {
      char escaped[8];
      snprintf(escaped, sizeof escaped, "\\x%02x", byte);
      out += escaped;
    } else {
      out += c;
    }
  }
  return out;
}

/// "1.5 MiB"; exact below 1 KiB.
static std::string sizeText(uint64_t bytes) {
  std::string text = bytesText(bytes);
  return text.substr(0, text.find(" ("));
}

static std::string scalarText(const std::string &name, const JsonValue &value) {
  switch (value.kind()) {
  case JsonKind::Null:
    return "-";
  case JsonKind::Bool:
    return value.boolean() ? "yes" : "no";
  case JsonKind::Int:
    if (value.integer() >= 0 && (name.ends_with("bytes") || name.ends_with("Bytes")))
      return sizeText(static_cast<uint64_t>(value.integer()));
    return std::to_string(value.integer());
  case JsonKind::UInt:
    return std::to_string(value.unsignedInteger());
  case JsonKind::Double: {
    std::string out;
    appendText(out, value.number());
    return out;
  }
  case JsonKind::String:
    return printable(value.string());
  default:
    return "";
  }
}

/// Scalars, and lists of scalars, fit on a line.
static bool isInline(const JsonValue &value) {
  if (isScalar(value))
    return value.kind() != JsonKind::String || value.string().find('\n') == std::string::npos;
  return value.kind() == JsonKind::Array &&
         std::all_of(value.elements().begin(), value.elements().end(), isScalar);
}

static std::string inlineText(const std::string &name, const JsonValue &value) {
  if (isScalar(value))
    return scalarText(name, value);
  std::string text;
  for (const JsonValue &element : value.elements())
    text += (text.empty() ? "" : ", ") + scalarText(name, element);
  return "[" + text + "]";
}

static size_t columns(const std::string &text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
}

static std::string padded(const std::string &text, size_t width, bool right) {
  std::string blanks(width > columns(text) ? width - columns(text) : 0, ' ');
  return right ? blanks + text : text + blanks;
}

static void render(const JsonValue &value, unsigned indent, std::string &out);

/// A list of objects whose members all fit on a line: a table. False if it is no such list.
static bool renderTable(const JsonValue &list, unsigned indent, std::string &out) {
  std::vector<std::string> names;
  for (const JsonValue &row : list.elements()) {
    if (row.kind() != JsonKind::Object)
      return false;
    for (const JsonValue::Member &member : row.members()) {
      if (!isInline(member.second))
        return false;
      if (std::find(names.begin(), names.end(), member.first) == names.end())
        names.push_back(member.first);
    }
  }
  std::vector<std::vector<std::string>> cells(1, names);
  std::vector<bool> right(names.size(), true);
  for (const JsonValue &row : list.elements()) {
    std::vector<std::string> line;
    for (size_t i = 0; i < names.size(); ++i) {
      const JsonValue *cell = row.find(names[i]);
      line.push_back(cell ? inlineText(names[i], *cell) : "");
      right[i] = right[i] && (!cell || cell->isNumber());
    }
    cells.push_back(std::move(line));
  }
  std::vector<size_t> widths(names.size(), 0);
  for (const std::vector<std::string> &line : cells)
    for (size_t i = 0; i < line.size(); ++i)
      widths[i] = std::max(widths[i], columns(line[i]));
  for (const std::vector<std::string> &line : cells) {
    std::string text(indent, ' ');
    for (size_t i = 0; i < line.size(); ++i)
      text += padded(line[i], widths[i], right[i]) + "  ";
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  }
  return true;
}

static void renderMembers(const JsonValue &object, unsigned indent, std::string &out) {
  size_t width = 0;
  for (const JsonValue::Member &member : object.members())
    if (isInline(member.second))
      width = std::max(width, columns(member.first));
  for (const JsonValue::Member &member : object.members()) {
    std::string line(indent, ' ');
    if (isInline(member.second)) {
      out += line + padded(printable(member.first), width, false) + "  " +
             inlineText(member.first, member.second) + "\n";
      continue;
    }
    out += line + printable(member.first) + "\n";
    render(member.second, indent + 2, out);
  }
}

static void render(const JsonValue &value, unsigned indent, std::string &out) {
  if (value.kind() == JsonKind::Object)
    return renderMembers(value, indent, out);
  if (isInline(value)) {
    out += std::string(indent, ' ') + inlineText("", value) + "\n";
    return;
  }
  if (value.kind() == JsonKind::String) { // several lines: as they are
    out += printable(value.string());
    if (!out.ends_with('\n'))
      out += '\n';
    return;
  }
  if (renderTable(value, indent, out))
    return;
  bool first = true;
  for (const JsonValue &element : value.elements()) {
    if (!first)
      out += "\n";
    first = false;
    render(element, indent, out);
  }
}

std::string renderText(const JsonValue &value) {
  std::string out;
  render(value, 0, out);
  return out;
}

} // namespace ingot::commands
