//===- TransformerOps.cpp - Generated definitions -------------------------===//
//
// The hand-written parts are in one file a family.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/IR/Builders.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot::transformer {

// `transformer.weight`'s recipe: the steps without their attribute syntax.
static ParseResult parseRecipe(OpAsmParser &parser, ArrayAttr &recipe) {
  SmallVector<Attribute> steps;
  ParseResult parsed = parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() {
    StepAttr step = StepAttr::parseBody(parser);
    steps.push_back(step);
    return success(static_cast<bool>(step));
  });
  recipe = parser.getBuilder().getArrayAttr(parsed ? ArrayRef<Attribute>() : steps);
  return parsed;
}

static void printRecipe(OpAsmPrinter &printer, Operation *, ArrayAttr recipe) {
  printer << '[';
  llvm::interleaveComma(recipe.getAsRange<StepAttr>(), printer,
                        [&](StepAttr step) { step.printBody(printer); });
  printer << ']';
}

// `transformer.activation`'s kind, as a bare word.
static ParseResult parseKind(OpAsmParser &parser, ActivationKindAttr &kind) {
  SMLoc loc = parser.getCurrentLocation();
  StringRef keyword;
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<ActivationKind> value = symbolizeActivationKind(keyword);
  if (!value)
    return parser.emitError(loc) << "unknown activation '" << keyword << "'";
  kind = ActivationKindAttr::get(parser.getContext(), *value);
  return success();
}

static void printKind(OpAsmPrinter &printer, Operation *, ActivationKindAttr kind) {
  printer << stringifyActivationKind(kind.getValue());
}

} // namespace ingot::transformer

#define GET_OP_CLASSES
#include "dialects/Transformer/TransformerOps.cpp.inc"
