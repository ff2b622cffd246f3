//===- ExecAttrs.cpp - Sizes, symbols, limits and recipe steps --------------===//
#include "dialects/Exec/ExecDialect.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/MathExtras.h"
#include <numeric>

using namespace mlir;
using namespace ingot::exec;

#define GET_ATTRDEF_CLASSES
#include "dialects/Exec/ExecAttrs.cpp.inc"

void ExecDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Exec/ExecAttrs.cpp.inc"
      >();
}

/// Parses `<` bare `>` around an attribute's bare form.
template <typename AttrT> static Attribute parseInAngles(AsmParser &parser) {
  if (parser.parseLess())
    return {};
  FailureOr<AttrT> attribute = AttrT::parseBare(parser);
  if (failed(attribute) || parser.parseGreater())
    return {};
  return *attribute;
}

/// Prints "B * S".
static void printProduct(llvm::raw_ostream &os, ArrayRef<StringAttr> symbols) {
  llvm::interleave(
      symbols, os, [&](StringAttr symbol) { os << symbol.getValue(); }, " * ");
}

//===----------------------------------------------------------------------===//
// SizeAttr
//===----------------------------------------------------------------------===//

SizeAttr SizeAttr::get(MLIRContext *context, int64_t factor, ArrayRef<StringAttr> symbols,
                       int64_t divisor) {
  SmallVector<StringAttr> sorted(symbols);
  llvm::sort(sorted, [](StringAttr a, StringAttr b) { return a.getValue() < b.getValue(); });
  if (factor > 0 && divisor > 0) {
    int64_t common = std::gcd(factor, divisor);
    factor /= common;
    divisor /= common;
    if (sorted.empty()) {
      factor = llvm::divideCeil(factor, divisor);
      divisor = 1;
    }
  } else if (factor == 0 && divisor > 0) {
    sorted.clear();
    divisor = 1;
  }
  return Base::get(context, factor, sorted, divisor);
}

LogicalResult SizeAttr::verify(function_ref<InFlightDiagnostic()> emitError, int64_t factor,
                               ArrayRef<StringAttr> symbols, int64_t divisor) {
  if (factor < 0)
    return emitError() << "expects a size that is not negative, got factor " << factor;
  if (divisor < 1)
    return emitError() << "expects a divisor of at least 1, got " << divisor;
  return success();
}

void SizeAttr::printBare(llvm::raw_ostream &os) const {
  printProduct(os, getSymbols());
  if (isStatic() || getFactor() != 1)
    os << (isStatic() ? "" : " * ") << getFactor();
  if (getDivisor() != 1)
    os << " ceildiv " << getDivisor();
}

std::string SizeAttr::str() const {
  std::string text;
  llvm::raw_string_ostream os(text);
  printBare(os);
  return text;
}

/// Parses a factor of a size: an integer, multiplied into `factor`, or a symbol.
static ParseResult parseFactor(AsmParser &parser, int64_t &factor,
                               SmallVectorImpl<StringAttr> &symbols) {
  SMLoc location = parser.getCurrentLocation();
  int64_t integer;
  OptionalParseResult parsed = parser.parseOptionalInteger(integer);
  if (parsed.has_value()) {
    if (failed(*parsed))
      return failure();
    if (integer < 0 || llvm::MulOverflow(factor, integer, factor))
      return parser.emitError(location, "expects a size that is not negative and fits in 64 bits");
    return success();
  }
  StringRef symbol;
  if (failed(parser.parseOptionalKeyword(&symbol)) || symbol == "ceildiv")
    return parser.emitError(location, "expects an integer or the name of a symbol in a size");
  symbols.push_back(StringAttr::get(parser.getContext(), symbol));
  return success();
}

FailureOr<SizeAttr> SizeAttr::parseBare(AsmParser &parser) {
  SMLoc location = parser.getCurrentLocation();
  int64_t factor = 1, divisor = 1;
  SmallVector<StringAttr> symbols;
  do {
    if (parseFactor(parser, factor, symbols))
      return failure();
  } while (succeeded(parser.parseOptionalStar()));
  if (succeeded(parser.parseOptionalKeyword("ceildiv")) && parser.parseInteger(divisor))
    return failure();
  if (divisor < 1)
    return parser.emitError(location) << "expects a divisor of at least 1, got " << divisor;
  return SizeAttr::get(parser.getContext(), factor, symbols, divisor);
}

void SizeAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printBare(printer.getStream());
  printer << ">";
}

Attribute SizeAttr::parse(AsmParser &parser, Type) { return parseInAngles<SizeAttr>(parser); }

//===----------------------------------------------------------------------===//
// SymbolAttr
//===----------------------------------------------------------------------===//

/// A symbol must be printable as a bare word.
static bool isSymbolName(StringRef name) {
  return !name.empty() && name != "ceildiv" && (llvm::isAlpha(name[0]) || name[0] == '_') &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_'; });
}

LogicalResult SymbolAttr::verify(function_ref<InFlightDiagnostic()> emitError, StringAttr name,
                                 int64_t minimum, int64_t maximum, SizeAttr bound) {
  if (!isSymbolName(name.getValue()))
    return emitError() << "expects a symbol name of letters, digits and '_', got '"
                       << name.getValue() << "'";
  // The parameter of a kernel may be 0 wherever one of its launches reads it from a buffer.
  if (minimum < 0 || maximum < 1 || minimum > maximum)
    return emitError() << "expects bounds of symbol '" << name.getValue()
                       << "' in order and positive, got [" << minimum << ", " << maximum << "]";
  if (bound && minimum != 0)
    return emitError() << "expects symbol '" << name.getValue()
                       << "', which is read from a buffer, to begin at 0, got " << minimum;
  return success();
}

void SymbolAttr::printBare(llvm::raw_ostream &os) const {
  os << getName().getValue() << " in [" << getMinimum() << ", " << getMaximum() << "]";
  if (SizeAttr bound = getBound()) {
    os << " within ";
    bound.printBare(os);
  }
}

FailureOr<SymbolAttr> SymbolAttr::parseBare(AsmParser &parser) {
  SMLoc location = parser.getCurrentLocation();
  StringRef name;
  int64_t minimum, maximum;
  if (parser.parseKeyword(&name) || parser.parseKeyword("in") || parser.parseLSquare() ||
      parser.parseInteger(minimum) || parser.parseComma() || parser.parseInteger(maximum) ||
      parser.parseRSquare())
    return failure();
  SizeAttr bound;
  if (succeeded(parser.parseOptionalKeyword("within"))) {
    FailureOr<SizeAttr> parsed = SizeAttr::parseBare(parser);
    if (failed(parsed))
      return failure();
    bound = *parsed;
  }
  auto emitError = [&] { return parser.emitError(location); };
  SymbolAttr symbol = SymbolAttr::getChecked(emitError, parser.getContext(),
                                             StringAttr::get(parser.getContext(), name), minimum,
                                             maximum, bound);
  if (!symbol)
    return failure();
  return symbol;
}

void SymbolAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printBare(printer.getStream());
  printer << ">";
}

Attribute SymbolAttr::parse(AsmParser &parser, Type) { return parseInAngles<SymbolAttr>(parser); }

//===----------------------------------------------------------------------===//
// LimitAttr
//===----------------------------------------------------------------------===//

LogicalResult LimitAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                                ArrayRef<StringAttr> symbols, int64_t maximum) {
  if (symbols.empty() || maximum < 1)
    return emitError() << "expects a limit on at least one symbol, of at least 1; got "
                       << symbols.size() << " symbols and maximum " << maximum;
  return success();
}

void LimitAttr::printBare(llvm::raw_ostream &os) const {
  printProduct(os, getSymbols());
  os << " <= " << getMaximum();
}

/// Parses "B * S", what `parseSeparator` takes, and the maximum.
static FailureOr<LimitAttr> parseLimit(AsmParser &parser,
                                       function_ref<ParseResult()> parseSeparator) {
  SMLoc location = parser.getCurrentLocation();
  SmallVector<StringAttr> symbols;
  int64_t maximum;
  do {
    StringRef name;
    if (parser.parseKeyword(&name))
      return failure();
    symbols.push_back(StringAttr::get(parser.getContext(), name));
  } while (succeeded(parser.parseOptionalStar()));
  if (parseSeparator() || parser.parseInteger(maximum))
    return failure();
  auto emitError = [&] { return parser.emitError(location); };
  LimitAttr limit = LimitAttr::getChecked(emitError, parser.getContext(), symbols, maximum);
  if (!limit)
    return failure();
  return limit;
}

FailureOr<LimitAttr> LimitAttr::parseBare(AsmParser &parser) {
  return parseLimit(
      parser, [&]() -> ParseResult { return failure(parser.parseLess() || parser.parseEqual()); });
}

// Between angles there can be no "<=": they have to balance.

void LimitAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printProduct(printer.getStream(), getSymbols());
  printer << ", " << getMaximum() << ">";
}

Attribute LimitAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  FailureOr<LimitAttr> limit = parseLimit(parser, [&] { return parser.parseComma(); });
  if (failed(limit) || parser.parseGreater())
    return {};
  return *limit;
}

//===----------------------------------------------------------------------===//
// StepAttr
//===----------------------------------------------------------------------===//

static bool hasScalar(RecipeOp op) {
  return op == RecipeOp::AddScalar || op == RecipeOp::MulScalar;
}

StepAttr StepAttr::get(MLIRContext *context, RecipeOp op, ArrayRef<int64_t> ints, double value) {
  return Base::get(context, op, ints, FloatAttr::get(Float64Type::get(context), value));
}

LogicalResult StepAttr::verify(function_ref<InFlightDiagnostic()> emitError, RecipeOp op,
                               ArrayRef<int64_t> ints, FloatAttr value) {
  static constexpr int kAny = -1;
  int expected = kAny;
  switch (op) {
  case RecipeOp::Load:
  case RecipeOp::Cast:
    expected = 1;
    break;
  case RecipeOp::Concat:
  case RecipeOp::Pad:
    expected = 2;
    break;
  case RecipeOp::Slice:
    expected = 3;
    break;
  case RecipeOp::AddScalar:
  case RecipeOp::MulScalar:
    expected = 0;
    break;
  case RecipeOp::Reshape:
  case RecipeOp::Transpose:
    break;
  }
  if (expected != kAny && static_cast<int>(ints.size()) != expected)
    return emitError() << "expects " << expected << " integers in recipe step '"
                       << stringifyRecipeOp(op) << "', got " << ints.size();
  if (llvm::any_of(ints, [](int64_t i) { return i < 0; }))
    return emitError() << "expects integers that are not negative in recipe step '"
                       << stringifyRecipeOp(op) << "'";
  if (!value || !value.getType().isF64() || !value.getValue().isFinite())
    return emitError() << "expects a finite f64 scalar in recipe step '" << stringifyRecipeOp(op)
                       << "'";
  return success();
}

void StepAttr::print(AsmPrinter &printer) const {
  printer << "<" << stringifyRecipeOp(getOp()) << " ";
  if (hasScalar(getOp()))
    printer.printAttributeWithoutType(getValue());
  else
    printer << "[" << getInts() << "]";
  printer << ">";
}

Attribute StepAttr::parse(AsmParser &parser, Type) {
  SMLoc location = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseLess() || parser.parseKeyword(&keyword))
    return {};
  std::optional<RecipeOp> op = symbolizeRecipeOp(keyword);
  if (!op)
    return parser.emitError(location) << "unknown recipe step '" << keyword << "'", Attribute();
  SmallVector<int64_t> ints;
  double value = 0;
  if (hasScalar(*op)) {
    if (parser.parseFloat(value))
      return {};
  } else if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&] {
               return parser.parseInteger(ints.emplace_back());
             })) {
    return {};
  }
  if (parser.parseGreater())
    return {};
  return StepAttr::getChecked([&] { return parser.emitError(location); }, parser.getContext(), *op,
                              ints, Builder(parser.getContext()).getF64FloatAttr(value));
}
