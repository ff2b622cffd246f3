//===- SizeMath.cpp ---------------------------------------------*- C++ -*-===//
#include "runtime/format/SizeMath.h"

#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"

#include <algorithm>

namespace ingot {

// Symbols of one monomial; more means a malformed plan. The search over limits is exponential in
// it, so it ends after some steps: what it has found by then is a bound, too.
static constexpr size_t kMostSymbols = 16;
static constexpr int kMostSearchSteps = 128;

SymbolBounds symbolBounds(const format::Program &program) {
  SymbolBounds bounds;
  if (program.symbols())
    for (const format::Symbol *symbol : *program.symbols()) {
      bounds.ranges.push_back({symbol->min(), symbol->max()});
      if (symbol->bound())
        bounds.residentBounds.push_back(sizeExpr(*symbol->bound()));
    }
  if (program.limits())
    for (const format::SizeLimit *limit : *program.limits()) {
      SymbolBounds::Limit out;
      out.symbols.assign(limit->symbols()->begin(), limit->symbols()->end());
      out.max = limit->max();
      bounds.limits.push_back(std::move(out));
    }
  return bounds;
}

SizeExpr sizeExpr(const format::Size &size) {
  SizeExpr out;
  out.factor = size.factor();
  out.divisor = size.divisor();
  if (size.symbols())
    out.symbols.assign(size.symbols()->begin(), size.symbols()->end());
  std::sort(out.symbols.begin(), out.symbols.end());
  return out;
}

/// Removes each of `used` once from `rest`; false if one is not there.
static bool removeAll(std::vector<uint16_t> &rest, std::span<const uint16_t> used) {
  for (uint16_t symbol : used) {
    auto at = std::find(rest.begin(), rest.end(), symbol);
    if (at == rest.end())
      return false;
    rest.erase(at);
  }
  return true;
}

static std::optional<int64_t> searchProduct(const std::vector<uint16_t> &symbols, size_t firstLimit,
                                            const SymbolBounds &bounds, int &steps) {
  std::optional<int64_t> best = 1;
  for (uint16_t symbol : symbols)
    if (best)
      best = checkedMul(*best, bounds.ranges[symbol].max);
  for (size_t i = firstLimit; i < bounds.limits.size() && steps > 0; ++i) {
    const SymbolBounds::Limit &limit = bounds.limits[i];
    std::vector<uint16_t> rest = symbols;
    if (limit.symbols.empty() || !removeAll(rest, limit.symbols))
      continue;
    --steps;
    auto restMax = searchProduct(rest, i, bounds, steps);
    auto value = restMax ? checkedMul(*restMax, limit.max) : std::nullopt;
    if (value && (!best || *value < *best))
      best = value;
  }
  return best;
}

std::optional<int64_t> maxProduct(std::span<const uint16_t> symbols, const SymbolBounds &bounds) {
  if (symbols.size() > kMostSymbols)
    return std::nullopt;
  int steps = kMostSearchSteps;
  return searchProduct({symbols.begin(), symbols.end()}, 0, bounds, steps);
}

static int64_t ceilDiv(int64_t value, int64_t divisor) {
  return value / divisor + (value % divisor != 0);
}

std::optional<int64_t> maxSize(const SizeExpr &size, const SymbolBounds &bounds) {
  auto product = maxProduct(size.symbols, bounds);
  auto scaled = product ? checkedMul(*product, size.factor) : std::nullopt;
  if (!scaled)
    return std::nullopt;
  return ceilDiv(*scaled, size.divisor);
}

std::optional<int64_t> maxElements(std::span<const SizeExpr> dims, const SymbolBounds &bounds) {
  // The dimensions without a divisor make one monomial; the others are bounded one by one.
  SizeExpr exact;
  std::optional<int64_t> elements = 1;
  for (const SizeExpr &dim : dims) {
    std::optional<int64_t> part;
    if (dim.divisor == 1) {
      exact.symbols.insert(exact.symbols.end(), dim.symbols.begin(), dim.symbols.end());
      part = dim.factor;
    } else {
      part = maxSize(dim, bounds);
    }
    elements = part ? checkedMul(*elements, *part) : std::nullopt;
    if (!elements)
      return std::nullopt;
  }
  auto product = maxProduct(exact.symbols, bounds);
  return product ? checkedMul(*elements, *product) : std::nullopt;
}

int64_t evaluate(const SizeExpr &size, std::span<const int64_t> values) {
  int64_t product = size.factor;
  for (uint16_t symbol : size.symbols)
    product *= values[symbol];
  return ceilDiv(product, size.divisor);
}

std::string sizeText(const SizeExpr &size, std::span<const std::string> symbolNames) {
  std::string out;
  for (uint16_t symbol : size.symbols) {
    if (!out.empty())
      out += " * ";
    out += symbol < symbolNames.size() ? symbolNames[symbol] : std::string("?");
  }
  if (size.factor != 1 || out.empty())
    out += text(out.empty() ? "" : " * ", size.factor);
  return size.divisor == 1 ? out : text("ceil(", out, " / ", size.divisor, ")");
}

} // namespace ingot
