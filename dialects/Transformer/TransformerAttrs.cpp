//===- TransformerAttrs.cpp - Recipe steps and enums ----------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

#include "dialects/Transformer/TransformerEnums.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Transformer/TransformerAttrs.cpp.inc"

using namespace mlir;

namespace ingot::transformer {

// In the order of DType in runtime/format/plan.fbs.
static constexpr StringLiteral kTypeNames[] = {"f32", "f16", "bf16", "i8",
                                               "u8",  "i32", "i64",  "i1"};

void TransformerDialect::registerAttributes() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Transformer/TransformerAttrs.cpp.inc"
      >();
}

LogicalResult StepAttr::verify(function_ref<InFlightDiagnostic()> emitError, RecipeOp op,
                               ArrayRef<int64_t> ints, APFloat value) {
  StringRef name = stringifyRecipeOp(op);
  auto expectInts = [&](size_t count) -> LogicalResult {
    if (ints.size() == count)
      return success();
    return emitError() << "recipe step '" << name << "' takes " << count << " integers, got "
                       << ints.size();
  };
  if (llvm::any_of(ints, [](int64_t i) { return i < 0; }))
    return emitError() << "recipe step '" << name << "' has a negative integer";
  switch (op) {
  case RecipeOp::Load:
    return expectInts(1);
  case RecipeOp::Cast:
    if (failed(expectInts(1)))
      return failure();
    if (ints[0] >= static_cast<int64_t>(std::size(kTypeNames)))
      return emitError() << "recipe step 'cast' names element type " << ints[0]
                         << ", which does not exist";
    return success();
  case RecipeOp::Reshape:
    return success();
  case RecipeOp::Transpose: {
    SmallVector<bool> seen(ints.size());
    for (int64_t axis : ints) {
      if (axis >= static_cast<int64_t>(ints.size()) || seen[axis])
        return emitError() << "recipe step 'transpose' needs a permutation, got [" << ints << "]";
      seen[axis] = true;
    }
    return success();
  }
  case RecipeOp::Slice:
    if (failed(expectInts(3)))
      return failure();
    if (ints[1] > ints[2])
      return emitError() << "recipe step 'slice' begins at " << ints[1] << ", behind its end "
                         << ints[2];
    return success();
  case RecipeOp::Concat:
    if (failed(expectInts(2)))
      return failure();
    if (ints[1] < 1)
      return emitError() << "recipe step 'concat' needs at least one value";
    return success();
  case RecipeOp::Pad:
    return expectInts(2);
  case RecipeOp::AddScalar:
  case RecipeOp::MulScalar:
    if (!value.isFinite())
      return emitError() << "recipe step '" << name << "' needs a finite number";
    return expectInts(0);
  }
  return emitError() << "unknown recipe step";
}

void StepAttr::printBody(AsmPrinter &printer) const {
  printer << stringifyRecipeOp(getOp()) << ' ';
  switch (getOp()) {
  case RecipeOp::Load:
    printer << getInts()[0];
    break;
  case RecipeOp::Cast:
    printer << kTypeNames[getInts()[0]];
    break;
  case RecipeOp::AddScalar:
  case RecipeOp::MulScalar:
    printer.printFloat(getValue());
    break;
  default:
    printer << '[' << getInts() << ']';
  }
}

StepAttr StepAttr::parseBody(AsmParser &parser) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return {};
  std::optional<RecipeOp> op = symbolizeRecipeOp(keyword);
  if (!op) {
    parser.emitError(loc) << "unknown recipe step '" << keyword << "'";
    return {};
  }
  SmallVector<int64_t> ints;
  double value = 0;
  switch (*op) {
  case RecipeOp::Load:
    if (parser.parseInteger(ints.emplace_back()))
      return {};
    break;
  case RecipeOp::Cast: {
    StringRef name;
    if (parser.parseKeyword(&name))
      return {};
    const auto *found = llvm::find(kTypeNames, name);
    if (found == std::end(kTypeNames)) {
      parser.emitError(loc) << "unknown element type '" << name << "'; expected one of "
                            << llvm::join(ArrayRef<StringLiteral>(kTypeNames), ", ");
      return {};
    }
    ints.push_back(found - std::begin(kTypeNames));
    break;
  }
  case RecipeOp::AddScalar:
  case RecipeOp::MulScalar:
    if (parser.parseFloat(value))
      return {};
    break;
  default:
    if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square,
                                       [&]() { return parser.parseInteger(ints.emplace_back()); }))
      return {};
  }
  return StepAttr::getChecked([&]() { return parser.emitError(loc); }, parser.getContext(), *op,
                              ints, APFloat(value));
}

void StepAttr::print(AsmPrinter &printer) const {
  printer << '<';
  printBody(printer);
  printer << '>';
}

Attribute StepAttr::parse(AsmParser &parser, Type) {
  if (parser.parseLess())
    return {};
  StepAttr step = parseBody(parser);
  if (!step || parser.parseGreater())
    return {};
  return step;
}

} // namespace ingot::transformer
