//===- SpecializeDecode.cpp - The step program for one token a row ----------===//
#include "passes/Passes.h"

namespace ingot {
#define GEN_PASS_DEF_SPECIALIZEDECODE
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;

namespace {

constexpr llvm::StringLiteral kDecodeKey = "decode_program";

/// The generation loop's program, and which of its sizes is the tokens of a row.
struct StepProgram {
  func::FuncOp function;
  StringAttr tokens;
};

struct SpecializeDecode : ingot::impl::SpecializeDecodeBase<SpecializeDecode> {
  void runOnOperation() override;

private:
  std::optional<StepProgram> findStep(DictionaryAttr generation);
};

} // namespace

/// The second size of the port of ids; nothing if there is no such program, or its ids are not [B,
/// S].
std::optional<StepProgram> SpecializeDecode::findStep(DictionaryAttr generation) {
  auto name = [&](StringRef key, StringRef otherwise) {
    auto given = generation.getAs<StringAttr>(key);
    return given ? given.getValue() : otherwise;
  };
  auto function = getOperation().lookupSymbol<func::FuncOp>(name("program", "step"));
  if (!function)
    return std::nullopt;
  for (unsigned i = 0; i < function.getNumArguments(); ++i) {
    auto port = function.getArgAttrOfType<StringAttr>(i, transformer::kNameAttr);
    auto sizes = function.getArgAttrOfType<ArrayAttr>(i, transformer::kSizesAttr);
    if (port && port.getValue() == name("input_ids", "input_ids") && sizes && sizes.size() == 2)
      return StepProgram{function, cast<StringAttr>(sizes[1])};
  }
  return std::nullopt;
}

void SpecializeDecode::runOnOperation() {
  ModuleOp module = getOperation();
  MLIRContext *context = module.getContext();
  auto generation = module->getAttrOfType<DictionaryAttr>(transformer::kGenerationAttr);
  auto sizes = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr);
  if (!generation || !sizes || generation.contains(kDecodeKey))
    return;
  std::optional<StepProgram> step = findStep(generation);
  if (!step || module.lookupSymbol("decode"))
    return;

  auto one = IntegerAttr::get(IntegerType::get(context, 64), 1);
  std::string name = step->tokens.str() + "1";
  while (sizes.contains(name))
    name += "_";
  auto single = StringAttr::get(context, name);
  NamedAttrList allSizes(sizes);
  allSizes.append(single, ArrayAttr::get(context, {one, one}));
  module->setAttr(transformer::kSizesAttr, allSizes.getDictionary(context));

  auto decode = cast<func::FuncOp>(step->function->clone());
  decode.setName("decode");
  module.insert(std::next(step->function->getIterator()), decode);
  for (unsigned i = 0; i < decode.getNumArguments(); ++i)
    if (auto given = decode.getArgAttrOfType<ArrayAttr>(i, transformer::kSizesAttr)) {
      SmallVector<Attribute> renamed(given.begin(), given.end());
      llvm::replace(renamed, Attribute(step->tokens), Attribute(single));
      decode.setArgAttr(i, transformer::kSizesAttr, ArrayAttr::get(context, renamed));
    }
  NamedAttrList parts(generation);
  parts.append(kDecodeKey, StringAttr::get(context, "decode"));
  module->setAttr(transformer::kGenerationAttr, parts.getDictionary(context));
}
