//===- Config.cpp - Reads config.json with exact diagnostics ---------------===//
#include "compiler/import/Config.h"

#include <cmath>
#include <optional>

namespace ingot::import {
namespace {

struct NamedActivation {
  std::string_view name;
  Activation activation;
};

/// Every name the reference library has for a formula that the dialect has. The approximations of
/// GELU through tanh differ in the last digit of a constant only.
constexpr NamedActivation kActivations[] = {
    {"gelu", Activation::Gelu},
    {"gelu_python", Activation::Gelu},
    {"gelu_new", Activation::GeluTanh},
    {"gelu_pytorch_tanh", Activation::GeluTanh},
    {"gelu_python_tanh", Activation::GeluTanh},
    {"gelu_fast", Activation::GeluTanh},
    {"gelu_accurate", Activation::GeluTanh},
    {"gelu_10", Activation::Gelu10},
    {"quick_gelu", Activation::QuickGelu},
    {"silu", Activation::Silu},
    {"swish", Activation::Silu},
    {"relu", Activation::Relu},
    {"relu2", Activation::Relu2},
    {"relu6", Activation::Relu6},
    {"leaky_relu", Activation::LeakyRelu},
    {"tanh", Activation::Tanh},
    {"sigmoid", Activation::Sigmoid},
    {"mish", Activation::Mish},
    {"laplace", Activation::Laplace},
    {"linear", Activation::Linear},
};

std::string numberStr(double value) {
  char text[32];
  snprintf(text, sizeof text, "%.9g", value);
  return text;
}

bool sameScalar(const JsonValue &a, const JsonValue &b) {
  if (a.kind() != b.kind())
    return false;
  switch (a.kind()) {
  case JsonKind::Bool:
    return a.boolean() == b.boolean();
  case JsonKind::Int:
    return a.integer() == b.integer();
  case JsonKind::UInt:
    return a.unsignedInteger() == b.unsignedInteger();
  case JsonKind::Double:
    return a.number() == b.number();
  case JsonKind::String:
    return a.string() == b.string();
  default:
    return true; // null; dictionaries have one name each
  }
}

} // namespace

std::string joinNames(const std::vector<std::string> &names) {
  std::string text;
  for (const std::string &name : names)
    text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string supportedActivations() {
  std::vector<std::string> names;
  for (const NamedActivation &entry : kActivations)
    names.emplace_back(entry.name);
  return joinNames(names);
}

void Config::fail(Status status) {
  if (status_.ok() && !status.ok())
    status_ = std::move(status);
}

void Config::malformed(const JsonView &view, std::string_view expected) {
  fail(view.expected(expected));
}

void Config::unsupported(const JsonView &view, std::string what) {
  fail(Status(ExitCode::Unsupported, view.path() + ": " + std::move(what)));
}

JsonView Config::find(Keys keys) const {
  std::optional<JsonView> found;
  for (std::string_view key : keys) {
    JsonView view = root_[key];
    if (view.isAbsentOrNull())
      continue;
    if (!found)
      found = std::move(view);
    else if (!sameScalar(*found->value(), *view.value()) && status_.ok())
      status_ = view.expected("the same as " + found->path() +
                              ", another name of this key, which is " + found->value()->describe());
  }
  return found ? std::move(*found) : root_[*keys.begin()];
}

int64_t Config::integer(const JsonView &view, int64_t fallback, int64_t min, int64_t max) {
  if (view.isAbsentOrNull())
    return fallback;
  Result<int64_t> value = view.asInt();
  if (value.ok() && *value >= min && *value <= max)
    return *value;
  malformed(view, "a whole number from " + std::to_string(min) + " to " + std::to_string(max));
  return fallback;
}

double Config::number(const JsonView &view, double fallback, double min, double max) {
  if (view.isAbsentOrNull())
    return fallback;
  Result<double> value = view.asDouble();
  if (value.ok() && *value >= min && *value <= max) // false for NaN
    return *value;
  malformed(view, "a number from " + numberStr(min) + " to " + numberStr(max));
  return fallback;
}

bool Config::flag(const JsonView &view, bool fallback) {
  Result<bool> value = view.asBoolOr(fallback);
  if (value.ok())
    return *value;
  malformed(view, "true or false");
  return fallback;
}

std::string Config::text(const JsonView &view, std::string_view fallback) {
  Result<std::string> value = view.asStringOr(fallback);
  if (value.ok())
    return *value;
  malformed(view, "a string");
  return std::string(fallback);
}

int64_t Config::integer(Keys keys, int64_t fallback, int64_t min, int64_t max) {
  return integer(find(keys), fallback, min, max);
}
double Config::number(Keys keys, double fallback, double min, double max) {
  return number(find(keys), fallback, min, max);
}
bool Config::flag(Keys keys, bool fallback) { return flag(find(keys), fallback); }
std::string Config::text(Keys keys, std::string_view fallback) {
  return text(find(keys), fallback);
}

Activation Config::activation(Keys keys, std::string_view fallback) {
  JsonView view = find(keys);
  std::string name = text(view, fallback);
  for (const NamedActivation &entry : kActivations)
    if (entry.name == name)
      return entry.activation;
  unsupported(view, "activation " + (view.exists() ? view.value()->describe() : name) +
                        " is not supported; supported: " + supportedActivations());
  return Activation::Gelu;
}

int64_t Config::tokenId(Keys keys, int64_t fallback) {
  int64_t id = integer(keys, fallback, -(int64_t(1) << 31), kMaxVocab);
  return id < 0 ? -1 : id;
}

std::vector<int64_t> Config::tokenIds(Keys keys, std::vector<int64_t> fallback) {
  JsonView view = find(keys);
  if (view.isAbsentOrNull())
    return fallback;
  std::vector<int64_t> ids;
  if (!view.is(JsonKind::Array)) {
    int64_t id = integer(view, -1, -(int64_t(1) << 31), kMaxVocab);
    return id < 0 ? std::vector<int64_t>() : std::vector<int64_t>{id};
  }
  size_t count = view.value()->elements().size();
  if (count > 1024) {
    malformed(view, "at most 1024 token ids");
    return fallback;
  }
  for (size_t i = 0; i < count; ++i)
    if (JsonView element = view.at(i); element.isAbsentOrNull())
      malformed(element, "a token id");
    else
      ids.push_back(integer(element, 0, 0, kMaxVocab));
  return ids;
}

void Config::expectNeutral(std::string_view key, double neutralNumber,
                           std::string_view neutralText) {
  JsonView view = root_[key];
  if (view.isAbsentOrNull())
    return;
  const JsonValue &value = *view.value();
  bool neutral = false;
  switch (value.kind()) {
  case JsonKind::Bool:
    neutral = !value.boolean();
    break;
  case JsonKind::Int:
    neutral = double(value.integer()) == neutralNumber;
    break;
  case JsonKind::Double:
    neutral = value.number() == neutralNumber;
    break;
  case JsonKind::String:
    neutral = value.string() == neutralText;
    break;
  case JsonKind::Array:
    neutral = value.elements().empty();
    break;
  case JsonKind::Object:
    neutral = value.members().empty();
    break;
  default:
    break;
  }
  if (!neutral)
    unsupported(view, value.describe() + " is not supported: it changes what this model computes");
}

} // namespace ingot::import
