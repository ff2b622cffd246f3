//===- ExecDialect.cpp - The exec dialect and its module attributes ---------===//
#include "dialects/Exec/ExecDialect.h"
#include "dialects/Exec/ExecOps.h"

using namespace mlir;
using namespace ingot::exec;

#include "dialects/Exec/ExecDialect.cpp.inc"
#include "dialects/Exec/ExecEnums.cpp.inc"

void ExecDialect::initialize() {
  registerAttributes();
  registerTypes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Exec/ExecOps.cpp.inc"
      >();
}

LogicalResult ExecDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  StringRef name = attribute.getName();
  if (name == kUnpaddingAttr) {
    auto counts = dyn_cast<DictionaryAttr>(attribute.getValue());
    if (isa<ProgramOp>(op) && counts && llvm::all_of(counts, [](NamedAttribute count) {
          auto value = dyn_cast<IntegerAttr>(count.getValue());
          return value && value.getValue().isNonNegative();
        }))
      return success();
    return op->emitOpError("expects '") << name << "' to be counts on a program";
  }
  if (name == kCandidateAttr) {
    auto candidate = dyn_cast<DictionaryAttr>(attribute.getValue());
    if (isa<ProgramOp>(op) && candidate && candidate.getAs<StringAttr>("kernel") &&
        candidate.getAs<StringAttr>("config") && candidate.getAs<BoolAttr>("modelled"))
      return success();
    return op->emitOpError("expects '")
           << name << "' to be a kernel, a config and whether the model chooses it, on a program";
  }
  if (name == kTakesAttr) {
    auto index = dyn_cast<IntegerAttr>(attribute.getValue());
    if (isa<KernelOp>(op) && index && index.getValue().isNonNegative())
      return success();
    return op->emitOpError("expects '") << name << "' to be an index, on a kernel";
  }
  if (name != kModelAttr && name != kGenerationAttr)
    return op->emitOpError("has unknown attribute '")
           << name << "'; expected '" << kModelAttr << "' or '" << kGenerationAttr << "'";
  if (!isa<ModuleOp>(op))
    return op->emitOpError("has '") << name << "', which belongs on a module";
  if (!isa<DictionaryAttr>(attribute.getValue()))
    return op->emitOpError("expects '")
           << name << "' to be a dictionary, got " << attribute.getValue();
  return success();
}
