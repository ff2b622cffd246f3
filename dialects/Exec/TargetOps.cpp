//===- TargetOps.cpp - Verifiers of targets and devices ---------------------===//
#include "dialects/Exec/ExecOps.h"

using namespace mlir;
using namespace ingot::exec;

LogicalResult DeviceOp::verifySymbolUses(SymbolTableCollection &symbolTables) {
  // C1
  if (!symbolTables.lookupNearestSymbolFrom<TargetOp>(*this, getTargetAttr()))
    return emitOpError("expects an exec.target, got ") << getTargetAttr();
  return success();
}

LogicalResult DeviceOp::verify() {
  // C2
  for (std::optional<int64_t> bytes :
       {getArenaBytes(), getWeightBytes(), getConstantBytes(), getStateBytes()})
    if (bytes && *bytes < 0)
      return emitOpError("expects byte counts that are not negative, got ") << *bytes;
  return success();
}
