//===- ExecOps.cpp - Assembly shared by ops, and the generated code ----------===//
//
// Sizes, symbols and limits are printed bare in ops: `sizes(B, S * 2)`, `symbols(B in [1, 8])`.
//
//===----------------------------------------------------------------------===//
#include "dialects/Exec/ExecOps.h"

using namespace mlir;
using namespace ingot::exec;

/// Parses `(` bare `,` bare … `)`.
template <typename AttrT> static ParseResult parseBareList(OpAsmParser &parser, ArrayAttr &list) {
  SmallVector<Attribute> elements;
  auto parseElement = [&]() -> ParseResult {
    FailureOr<AttrT> element = AttrT::parseBare(parser);
    if (failed(element))
      return failure();
    elements.push_back(*element);
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseElement))
    return failure();
  list = ArrayAttr::get(parser.getContext(), elements);
  return success();
}

template <typename AttrT> static void printBareList(OpAsmPrinter &printer, ArrayAttr list) {
  printer << "(";
  llvm::interleaveComma(list.getAsRange<AttrT>(), printer,
                        [&](AttrT element) { element.printBare(printer.getStream()); });
  printer << ")";
}

static ParseResult parseBareSizes(OpAsmParser &parser, ArrayAttr &sizes) {
  return parseBareList<SizeAttr>(parser, sizes);
}
static void printBareSizes(OpAsmPrinter &printer, Operation *, ArrayAttr sizes) {
  printBareList<SizeAttr>(printer, sizes);
}

static ParseResult parseBareSymbols(OpAsmParser &parser, ArrayAttr &symbols) {
  return parseBareList<SymbolAttr>(parser, symbols);
}
static void printBareSymbols(OpAsmPrinter &printer, Operation *, ArrayAttr symbols) {
  printBareList<SymbolAttr>(printer, symbols);
}

static ParseResult parseBareLimits(OpAsmParser &parser, ArrayAttr &limits) {
  return parseBareList<LimitAttr>(parser, limits);
}
static void printBareLimits(OpAsmPrinter &printer, Operation *, ArrayAttr limits) {
  printBareList<LimitAttr>(printer, limits);
}

static ParseResult parseBareInit(OpAsmParser &parser, InitAttr &init) {
  SMLoc location = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<Init> value = symbolizeInit(keyword);
  if (!value)
    return parser.emitError(location) << "expects normal, ones or zeros, got '" << keyword << "'";
  init = InitAttr::get(parser.getContext(), *value);
  return success();
}

static void printBareInit(OpAsmPrinter &printer, Operation *, InitAttr init) {
  printer << stringifyInit(init.getValue());
}

#define GET_OP_CLASSES
#include "dialects/Exec/ExecOps.cpp.inc"
