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

/// What the symbols of a program may be.
struct SymbolBounds {
  struct Range {
    int64_t min = 1; // >= 1
    int64_t max = 1;
  };
  struct Limit {
    std::vector<uint16_t> symbols; // distinct
    int64_t max = 1;
  };
  std::vector<Range> ranges;
  std::vector<Limit> limits;
};

SymbolBounds symbolBounds(const format::Program &program);

struct SizeExpr {
  int64_t factor = 1;
  std::vector<uint16_t> symbols; // sorted; a symbol may repeat
  int64_t divisor = 1;

  auto operator<=>(const SizeExpr &) const = default;
};

SizeExpr sizeExpr(const format::Size &size);

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
