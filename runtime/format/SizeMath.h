//===- SizeMath.h - Bounds of symbolic sizes ---------------------*- C++ -*-===//
//
// A size is ceil(factor * product of symbols / divisor). Its largest value follows from the maxima
// of the symbols and from the limits on products of symbols (B * S <= 2048). Memory planning and
// validation use these same functions, so they agree on the bytes of every buffer.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/plan_generated.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingot {

struct SizeExpr {
  int64_t factor = 1;
  std::vector<uint16_t> symbols; // sorted; a symbol may repeat
  int64_t divisor = 1;

  auto operator<=>(const SizeExpr &) const = default;
};

SizeExpr sizeExpr(const format::Size &size);

/// What the symbols of a program may be: first those that the caller's shapes give, then those that
/// are read from buffers while the program runs.
struct SymbolBounds {
  struct Range {
    int64_t min = 1; // >= 1; 0 for one that is read
    int64_t max = 1;
  };
  struct Limit {
    std::vector<uint16_t> symbols; // distinct
    int64_t max = 1;
  };
  std::vector<Range> ranges;
  std::vector<Limit> limits;
  /// The bounds of the symbols behind the caller's, over the caller's.
  std::vector<SizeExpr> residentBounds;

  size_t numCallerSymbols() const { return ranges.size() - residentBounds.size(); }
};

SymbolBounds symbolBounds(const format::Program &program);

/// Upper bound of the product of `symbols`: each factor is bounded by its symbol's maximum or,
/// together with others, by a limit, whichever choice gives the least. nullopt when that does not
/// fit 63 bits.
std::optional<int64_t> maxProduct(std::span<const uint16_t> symbols, const SymbolBounds &bounds);

/// Upper bound of a size; factor * product must fit 63 bits too.
std::optional<int64_t> maxSize(const SizeExpr &size, const SymbolBounds &bounds);

/// Upper bound of the product of several sizes (the elements of a shape), using limits across
/// dimensions: [B, S, 384] with B * S <= 2048 has at most 2048 * 384 elements.
std::optional<int64_t> maxElements(std::span<const SizeExpr> dims, const SymbolBounds &bounds);

/// The size at given symbol values. Exact for values within the bounds of a validated plan.
int64_t evaluate(const SizeExpr &size, std::span<const int64_t> values);

/// "B * S * 384", "ceil(B * S / 64)", "12".
std::string sizeText(const SizeExpr &size, std::span<const std::string> symbolNames);

} // namespace ingot
