//===- SizeExpr.cpp - Arithmetic and bounds of symbolic sizes ---------------===//
#include "dialects/Exec/SizeExpr.h"

#include "llvm/ADT/STLExtras.h"
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

/// a * b, or nothing past 64 bits.
static std::optional<int64_t> checkedMultiply(std::optional<int64_t> a, std::optional<int64_t> b) {
  int64_t product;
  if (!a || !b || llvm::MulOverflow(*a, *b, product))
    return std::nullopt;
  return product;
}

static int64_t maximumOf(StringAttr name, ArrayRef<SymbolAttr> symbols) {
  return llvm::find_if(symbols, [&](SymbolAttr symbol) { return symbol.getName() == name; })
      ->getMaximum();
}

/// Removes each of `used` once from `names`; false if one isn't there.
static bool removeEach(SmallVectorImpl<StringAttr> &names, ArrayRef<StringAttr> used) {
  for (StringAttr name : used) {
    auto it = llvm::find(names, name);
    if (it == names.end())
      return false;
    names.erase(it);
  }
  return true;
}

/// The least product of maxima and limits that covers `names`. `steps` bounds the search: there are
/// few limits, but a limit may apply several times.
static std::optional<int64_t> leastCover(ArrayRef<StringAttr> names, ArrayRef<SymbolAttr> symbols,
                                         ArrayRef<LimitAttr> limits, int &steps) {
  std::optional<int64_t> best = 1;
  for (StringAttr name : names)
    best = checkedMultiply(best, maximumOf(name, symbols));
  for (; !limits.empty() && steps > 0; limits = limits.drop_front()) {
    SmallVector<StringAttr> rest(names);
    if (!removeEach(rest, limits.front().getSymbols()))
      continue;
    --steps;
    std::optional<int64_t> covered =
        checkedMultiply(leastCover(rest, symbols, limits, steps), limits.front().getMaximum());
    if (covered && (!best || *covered < *best))
      best = covered;
  }
  return best;
}

std::optional<int64_t> SizeBounds::maximumProduct(ArrayRef<SizeAttr> sizes) const {
  // Sizes without a divisor make one product of symbols; the others are bounded one by one.
  static constexpr int kMostSteps = 4096;
  std::optional<int64_t> product = 1;
  SmallVector<StringAttr> names;
  for (SizeAttr size : sizes) {
    if (!namesOnly(size, symbols))
      return std::nullopt;
    if (size.getDivisor() == 1) {
      llvm::append_range(names, size.getSymbols());
      product = checkedMultiply(product, size.getFactor());
      continue;
    }
    int steps = kMostSteps;
    std::optional<int64_t> numerator =
        checkedMultiply(leastCover(size.getSymbols(), symbols, limits, steps), size.getFactor());
    if (!numerator)
      return std::nullopt;
    product = checkedMultiply(product,
                              llvm::divideCeil(uint64_t(*numerator), uint64_t(size.getDivisor())));
  }
  int steps = kMostSteps;
  return checkedMultiply(product, leastCover(names, symbols, limits, steps));
}

std::optional<int64_t> SizeBounds::minimum(SizeAttr size) const {
  llvm::DenseMap<StringAttr, int64_t> values;
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
