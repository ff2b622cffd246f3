//===- Config.h - Reads config.json with exact diagnostics --------*- C++ -*-===//
//
// A config.json is a diff from its class's defaults, written by any of several generations of the
// reference library, by hand, or by an attacker. Getters take every name a key has had, the
// default, and the range; the first error sticks, so that an adapter reads straight through and
// asks `status()` once. After an error, getters go on giving harmless values inside their ranges.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "compiler/import/TransformerSpec.h"
#include "runtime/weights/Json.h"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::import {

/// Far above any published model, far below any overflow.
inline constexpr int64_t kMaxWidth = 1 << 20; // hidden, intermediate
inline constexpr int64_t kMaxVocab = 1 << 24;
inline constexpr int64_t kMaxLayers = 1024;
inline constexpr int64_t kMaxHeads = 4096;
inline constexpr int64_t kMaxHeadDim = 4096;
inline constexpr int64_t kMaxPositions = 1 << 27;

class Config {
public:
  /// All names of one key, the preferred one first.
  using Keys = std::initializer_list<std::string_view>;

  explicit Config(JsonView root) : root_(std::move(root)) {}

  const JsonView &root() const { return root_; }
  /// Present and not null under one of the names.
  bool has(Keys keys) const { return !find(keys).isAbsentOrNull(); }
  /// The value under the first name that is present and not null, else absent. Two names that
  /// disagree are an error.
  JsonView find(Keys keys) const;

  /// A whole number in [min, max]; `fallback` where absent or null.
  int64_t integer(Keys keys, int64_t fallback, int64_t min, int64_t max);
  /// A positive size of at most `max`.
  int64_t size(Keys keys, int64_t fallback, int64_t max) { return integer(keys, fallback, 1, max); }
  /// A finite number in [min, max].
  double number(Keys keys, double fallback, double min, double max);
  bool flag(Keys keys, bool fallback);
  std::string text(Keys keys, std::string_view fallback);
  /// An activation's name; Unsupported names the ones that are.
  Activation activation(Keys keys, std::string_view fallback);
  /// A token id, or -1 where absent, null or negative.
  int64_t tokenId(Keys keys, int64_t fallback);
  /// One id, a list of ids, or none.
  std::vector<int64_t> tokenIds(Keys keys, std::vector<int64_t> fallback);

  /// Like the above, on a member of a nested dictionary.
  double number(const JsonView &view, double fallback, double min, double max);
  int64_t integer(const JsonView &view, int64_t fallback, int64_t min, int64_t max);
  bool flag(const JsonView &view, bool fallback);
  std::string text(const JsonView &view, std::string_view fallback);

  /// The key changes what a model computes and is not implemented: any value but absent, null,
  /// false, an empty list, `neutralNumber` or `neutralText` is Unsupported.
  void expectNeutral(std::string_view key, double neutralNumber = 0,
                     std::string_view neutralText = "");

  /// "PATH: expected EXPECTED, got ..." with exit code 3.
  void malformed(const JsonView &view, std::string_view expected);
  /// "PATH: WHAT" with exit code 4.
  void unsupported(const JsonView &view, std::string what);
  void fail(Status status);

  bool ok() const { return status_.ok(); }
  const Status &status() const { return status_; }

private:
  JsonView root_;
  mutable Status status_;
};

/// "gelu, gelu_new, ...": the activation names that are understood.
std::string supportedActivations();

/// Joins names as "a, b, c".
std::string joinNames(const std::vector<std::string> &names);

} // namespace ingot::import
