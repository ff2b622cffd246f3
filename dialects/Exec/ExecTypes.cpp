//===- ExecTypes.cpp - Buffer types -----------------------------------------===//
#include "dialects/Exec/ExecDialect.h"

#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ingot::exec;

#define GET_TYPEDEF_CLASSES
#include "dialects/Exec/ExecTypes.cpp.inc"

void ExecDialect::registerTypes() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Exec/ExecTypes.cpp.inc"
      >();
}

bool BufferType::isSupportedElementType(Type type) {
  return type.isF32() || type.isF16() || type.isBF16() || type.isSignlessInteger(1) ||
         type.isInteger(8) || type.isSignlessInteger(32) || type.isSignlessInteger(64);
}

LogicalResult BufferType::verify(function_ref<InFlightDiagnostic()> emitError,
                                 ArrayRef<SizeAttr> shape, Type elementType) {
  if (!isSupportedElementType(elementType))
    return emitError() << "expects a buffer of f32, f16, bf16, i8, ui8, i32, i64 or i1, got "
                       << elementType;
  return success();
}

RankedTensorType BufferType::getTensorType() const {
  SmallVector<int64_t> dims;
  for (SizeAttr size : getShape())
    dims.push_back(size.isStatic() ? size.getFactor() : ShapedType::kDynamic);
  return RankedTensorType::get(dims, getElementType());
}

int64_t BufferType::getElementBytes() const {
  return (getElementType().getIntOrFloatBitWidth() + 7) / 8;
}

BufferType BufferType::getStatic(RankedTensorType type) {
  SmallVector<SizeAttr> shape;
  for (int64_t dim : type.getShape())
    shape.push_back(SizeAttr::get(type.getContext(), dim));
  return BufferType::get(type.getContext(), shape, type.getElementType());
}

void BufferType::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getShape(), printer,
                        [&](SizeAttr size) { size.printBare(printer.getStream()); });
  printer << "] x " << getElementType() << ">";
}

Type BufferType::parse(AsmParser &parser) {
  SMLoc location = parser.getCurrentLocation();
  SmallVector<SizeAttr> shape;
  Type elementType;
  auto parseExtent = [&]() -> ParseResult {
    FailureOr<SizeAttr> size = SizeAttr::parseBare(parser);
    if (failed(size))
      return failure();
    shape.push_back(*size);
    return success();
  };
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseExtent) ||
      parser.parseKeyword("x") || parser.parseType(elementType) || parser.parseGreater())
    return {};
  return BufferType::getChecked([&] { return parser.emitError(location); }, parser.getContext(),
                                ArrayRef<SizeAttr>(shape), elementType);
}
