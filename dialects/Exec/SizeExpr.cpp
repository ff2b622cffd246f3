//===- SizeExpr.cpp - Arithmetic and bounds of symbolic sizes ---------------===//
#include "dialects/Exec/SizeExpr.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::exec;
using ingot::exec::SizeAttr;

SizeAttr exec::multiply(SizeAttr lhs, SizeAttr rhs) {
  auto isOne = [](SizeAttr size) { return size.isStatic() && size.getFactor() == 1; };
  if (isOne(lhs))
    return rhs;
  if (isOne(rhs))
    return lhs;
  int64_t factor;
  if (lhs.getDivisor() != 1 || rhs.getDivisor() != 1 ||
      llvm::MulOverflow(lhs.getFactor(), rhs.getFactor(), factor))
    return {};
  SmallVector<StringAttr> symbols(lhs.getSymbols());
  llvm::append_range(symbols, rhs.getSymbols());
  return SizeAttr::get(lhs.getContext(), factor, symbols);
}

SizeAttr exec::ceilDivide(SizeAttr size, int64_t divisor) {
  // ceil(ceil(x / a) / b) = ceil(x / (a * b)).
  int64_t combined;
  if (divisor < 1 || llvm::MulOverflow(size.getDivisor(), divisor, combined))
    return {};
  return SizeAttr::get(size.getContext(), size.getFactor(), size.getSymbols(), combined);
}

SizeAttr exec::divideExactly(SizeAttr size, SizeAttr divisor) {
  if (size.getDivisor() != 1 || divisor.getDivisor() != 1 || divisor.getFactor() == 0 ||
      size.getFactor() % divisor.getFactor() != 0)
    return {};
  SmallVector<StringAttr> symbols(size.getSymbols());
  for (StringAttr symbol : divisor.getSymbols()) {
    auto it = llvm::find(symbols, symbol);
    if (it == symbols.end())
      return {};
    symbols.erase(it);
  }
  return SizeAttr::get(size.getContext(), size.getFactor() / divisor.getFactor(), symbols);
}

SizeAttr exec::substitute(SizeAttr size, const llvm::DenseMap<StringAttr, SizeAttr> &values) {
  SizeAttr product = SizeAttr::get(size.getContext(), size.getFactor());
  for (StringAttr symbol : size.getSymbols()) {
    auto it = values.find(symbol);
    product = multiply(product, it != values.end() ? it->second
                                                   : SizeAttr::get(size.getContext(), 1, symbol));
    if (!product)
      return {};
  }
  return ceilDivide(product, size.getDivisor());
}

BufferType exec::substitute(BufferType type, const llvm::DenseMap<StringAttr, SizeAttr> &values) {
  SmallVector<SizeAttr> shape;
  for (SizeAttr extent : type.getShape()) {
    SizeAttr size = substitute(extent, values);
    if (!size)
      return {};
    shape.push_back(size);
  }
  return BufferType::get(type.getContext(), shape, type.getElementType());
}

SizeAttr exec::countElements(MLIRContext *context, ArrayRef<SizeAttr> shape) {
  SizeAttr count = SizeAttr::get(context, 1);
  for (SizeAttr extent : shape) {
    count = multiply(count, extent);
    if (!count)
      return {};
  }
  return count;
}

std::optional<int64_t> exec::evaluate(SizeAttr size,
                                      const llvm::DenseMap<StringAttr, int64_t> &values) {
  int64_t product = size.getFactor();
  for (StringAttr symbol : size.getSymbols()) {
    auto it = values.find(symbol);
    if (it == values.end() || llvm::MulOverflow(product, it->second, product))
      return std::nullopt;
  }
  return static_cast<int64_t>(
      llvm::divideCeil(static_cast<uint64_t>(product), static_cast<uint64_t>(size.getDivisor())));
}

bool exec::namesOnly(SizeAttr size, ArrayRef<SymbolAttr> symbols) {
  return llvm::all_of(size.getSymbols(), [&](StringAttr name) {
    return llvm::any_of(symbols, [&](SymbolAttr symbol) { return symbol.getName() == name; });
  });
}

//===----------------------------------------------------------------------===//
// SizeBounds
//===----------------------------------------------------------------------===//

SizeBounds::SizeBounds(ArrayRef<SymbolAttr> symbols, ArrayRef<LimitAttr> limits)
    : symbols(symbols), limits(limits) {}

SizeBounds SizeBounds::get(ArrayAttr symbols, ArrayAttr limits) {
  SmallVector<SymbolAttr> symbolList(symbols.getAsRange<SymbolAttr>());
  SmallVector<LimitAttr> limitList;
  if (limits)
    limitList.append(limits.getAsRange<LimitAttr>().begin(), limits.getAsRange<LimitAttr>().end());
  return SizeBounds(symbolList, limitList);
}

using Values = llvm::DenseMap<StringAttr, int64_t>;

static std::optional<int64_t> evaluateProduct(ArrayRef<SizeAttr> sizes, const Values &values) {
  int64_t product = 1;
  for (SizeAttr size : sizes) {
    std::optional<int64_t> value = evaluate(size, values);
    if (!value || llvm::MulOverflow(product, *value, product))
      return std::nullopt;
  }
  return product;
}

/// The largest value that `symbol` may take when the other symbols are `values`: its maximum, or
/// what a limit leaves.
static int64_t largestAllowed(SymbolAttr symbol, ArrayRef<LimitAttr> limits,
                              const Values &values) {
  int64_t largest = symbol.getMaximum();
  for (LimitAttr limit : limits) {
    int64_t others = 1, power = 0;
    for (StringAttr name : limit.getSymbols()) {
      if (name == symbol.getName()) {
        ++power;
        continue;
      }
      auto it = values.find(name);
      // A product past 64 bits is past any limit.
      if (it != values.end() && llvm::MulOverflow(others, it->second, others))
        others = INT64_MAX;
    }
    if (power == 1 && others > 0)
      largest = std::min(largest, limit.getMaximum() / others);
  }
  return largest;
}

/// Tries all values of `free` but the last, which takes the largest value allowed: sizes grow with
/// each of their symbols. False on overflow.
static bool search(ArrayRef<SizeAttr> sizes, ArrayRef<SymbolAttr> free, ArrayRef<LimitAttr> limits,
                   Values &values, int64_t &best) {
  if (free.empty()) {
    std::optional<int64_t> value = evaluateProduct(sizes, values);
    if (!value)
      return false;
    best = std::max(best, *value);
    return true;
  }
  SymbolAttr symbol = free.front();
  int64_t largest = largestAllowed(symbol, limits, values);
  int64_t first = free.size() == 1 ? largest : symbol.getMinimum();
  if (first < symbol.getMinimum())
    return true; // No allowed call has these values.
  int64_t saved = values[symbol.getName()];
  for (int64_t value = first; value <= largest; ++value) {
    values[symbol.getName()] = value;
    if (!search(sizes, free.drop_front(), limits, values, best))
      return false;
  }
  values[symbol.getName()] = saved;
  return true;
}

std::optional<int64_t> SizeBounds::maximumProduct(ArrayRef<SizeAttr> sizes) const {
  // Symbols that no size depends on stay at their minima, where they restrict the others least.
  Values values;
  llvm::SmallSetVector<StringAttr, 4> used;
  for (SizeAttr size : sizes)
    used.insert_range(size.getSymbols());
  SmallVector<SymbolAttr> free;
  for (SymbolAttr symbol : symbols) {
    values[symbol.getName()] = symbol.getMinimum();
    if (used.contains(symbol.getName()))
      free.push_back(symbol);
  }

  // The symbol with the largest range needs no search; a symbol without a limit neither.
  auto isLimited = [&](SymbolAttr symbol) {
    return llvm::any_of(limits, [&](LimitAttr limit) {
      return llvm::is_contained(limit.getSymbols(), symbol.getName());
    });
  };
  SmallVector<SymbolAttr> searched;
  for (SymbolAttr symbol : free) {
    if (isLimited(symbol))
      searched.push_back(symbol);
    else
      values[symbol.getName()] = symbol.getMaximum();
  }
  llvm::sort(searched, [](SymbolAttr a, SymbolAttr b) {
    return a.getMaximum() - a.getMinimum() < b.getMaximum() - b.getMinimum();
  });

  static constexpr int64_t kMaxCombinations = 1 << 20;
  int64_t combinations = 1;
  for (SymbolAttr symbol : ArrayRef(searched).drop_back(searched.empty() ? 0 : 1))
    if (llvm::MulOverflow(combinations, symbol.getMaximum() - symbol.getMinimum() + 1,
                          combinations) ||
        combinations > kMaxCombinations) {
      for (SymbolAttr limited : searched)
        values[limited.getName()] = limited.getMaximum();
      return evaluateProduct(sizes, values);
    }

  int64_t best = 0;
  if (!search(sizes, searched, limits, values, best))
    return std::nullopt;
  return best;
}

std::optional<int64_t> SizeBounds::minimum(SizeAttr size) const {
  Values values;
  for (SymbolAttr symbol : symbols)
    values[symbol.getName()] = symbol.getMinimum();
  return evaluate(size, values);
}

std::optional<int64_t> SizeBounds::maximumBytes(BufferType type) const {
  std::optional<int64_t> elements = maximumProduct(type.getShape());
  int64_t bytes;
  if (!elements || llvm::MulOverflow(*elements, type.getElementBytes(), bytes))
    return std::nullopt;
  return bytes;
}
