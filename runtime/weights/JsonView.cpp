//===- JsonView.cpp - Typed access to JSON with key paths -----------------===//
#include "runtime/weights/Json.h"
#include "runtime/weights/Utf8.h"

#include <algorithm>
#include <charconv>

namespace ingot {

std::string JsonValue::describe() const {
  switch (kind_) {
  case JsonKind::Null:
    return "null";
  case JsonKind::Bool:
    return payload_.boolean ? "true" : "false";
  case JsonKind::Int:
    return std::to_string(payload_.integer);
  case JsonKind::UInt:
    return std::to_string(payload_.unsignedInteger);
  case JsonKind::Double: {
    char text[64];
    std::to_chars_result end = std::to_chars(text, text + sizeof(text), payload_.number);
    return std::string(text, end.ptr);
  }
  case JsonKind::String:
    return quoteShort(*payload_.string);
  case JsonKind::Array:
    return "an array of " + std::to_string(payload_.array->size());
  case JsonKind::Object:
    return "an object";
  }
  return "";
}

JsonView JsonView::operator[](std::string_view key) const {
  // Keys come from files too: anything but a plain name is shown in quotes.
  bool plain = !key.empty() && key.size() <= 80 && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  std::string path = path_;
  if (isRoot_)
    path += path.empty() ? "" : ": ";
  else
    path += ".";
  path += plain ? std::string(key) : quoteShort(key);
  JsonView member(value_ ? value_->find(key) : nullptr, std::move(path));
  member.isRoot_ = false;
  return member;
}

JsonView JsonView::at(size_t index) const {
  std::string path =
      path_ + (isRoot_ && !path_.empty() ? ": [" : "[") + std::to_string(index) + "]";
  bool present = is(JsonKind::Array) && index < value_->elements().size();
  JsonView element(present ? &value_->elements()[index] : nullptr, std::move(path));
  element.isRoot_ = false;
  return element;
}

Status JsonView::expected(std::string_view expected) const {
  return Status(ExitCode::MalformedInput, (path_.empty() ? "" : path_ + ": ") + "expected " +
                                              std::string(expected) + ", got " +
                                              (value_ ? value_->describe() : "nothing (not set)"));
}

Result<bool> JsonView::asBool() const {
  if (!is(JsonKind::Bool))
    return expected("true or false");
  return value_->boolean();
}

Result<int64_t> JsonView::asInt(int64_t min, int64_t max) const {
  if (is(JsonKind::Int) && value_->integer() >= min && value_->integer() <= max)
    return value_->integer();
  if (is(JsonKind::UInt))
    return expected("an integer of at most 9223372036854775807");
  constexpr int64_t lowest = std::numeric_limits<int64_t>::min();
  constexpr int64_t highest = std::numeric_limits<int64_t>::max();
  if (max != highest)
    return expected("an integer from " + std::to_string(min) + " to " + std::to_string(max));
  if (min == lowest)
    return expected("an integer");
  if (min == 1)
    return expected("a positive integer");
  if (min == 0)
    return expected("a non-negative integer");
  return expected("an integer of at least " + std::to_string(min));
}

Result<double> JsonView::asDouble() const {
  if (is(JsonKind::Double))
    return value_->number();
  if (is(JsonKind::Int))
    return double(value_->integer());
  if (is(JsonKind::UInt))
    return double(value_->unsignedInteger());
  return expected("a number");
}

Result<std::string> JsonView::asString() const {
  if (!is(JsonKind::String))
    return expected("a string");
  return value_->string();
}

Result<std::vector<JsonView>> JsonView::asArray() const {
  if (!is(JsonKind::Array))
    return expected("an array");
  std::vector<JsonView> elements;
  for (size_t i = 0; i < value_->elements().size(); ++i)
    elements.push_back(at(i));
  return elements;
}

Result<std::vector<std::pair<std::string, JsonView>>> JsonView::asObject() const {
  if (!is(JsonKind::Object))
    return expected("an object");
  std::vector<std::pair<std::string, JsonView>> members;
  for (const JsonValue::Member &member : value_->members())
    members.emplace_back(member.first, (*this)[member.first]);
  return members;
}

namespace {
template <typename T, typename Read>
Result<std::vector<T>> readArray(const JsonView &view, Read read) {
  if (!view.is(JsonKind::Array))
    return view.expected("an array");
  std::vector<T> items;
  for (size_t i = 0; i < view.value()->elements().size(); ++i) {
    Result<T> item = read(view.at(i));
    if (!item.ok())
      return item.status();
    items.push_back(*std::move(item));
  }
  return items;
}
} // namespace

Result<std::vector<int64_t>> JsonView::asIntArray() const {
  return readArray<int64_t>(*this, [](const JsonView &item) { return item.asInt(); });
}

Result<std::vector<double>> JsonView::asDoubleArray() const {
  return readArray<double>(*this, [](const JsonView &item) { return item.asDouble(); });
}

Result<std::vector<std::string>> JsonView::asStringArray() const {
  return readArray<std::string>(*this, [](const JsonView &item) { return item.asString(); });
}

Result<bool> JsonView::asBoolOr(bool fallback) const {
  return isAbsentOrNull() ? Result<bool>(fallback) : asBool();
}

Result<int64_t> JsonView::asIntOr(int64_t fallback, int64_t min, int64_t max) const {
  return isAbsentOrNull() ? Result<int64_t>(fallback) : asInt(min, max);
}

Result<double> JsonView::asDoubleOr(double fallback) const {
  return isAbsentOrNull() ? Result<double>(fallback) : asDouble();
}

Result<std::string> JsonView::asStringOr(std::string_view fallback) const {
  return isAbsentOrNull() ? Result<std::string>(std::string(fallback)) : asString();
}

} // namespace ingot
