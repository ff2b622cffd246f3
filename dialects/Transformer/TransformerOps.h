//===- TransformerOps.h - Operations and attributes --------------*- C++ -*-===//
#pragma once

#include "dialects/Transformer/Shapes.h"
#include "dialects/Transformer/TransformerDialect.h"

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Transformer/TransformerEnums.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Transformer/TransformerAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Transformer/TransformerOps.h.inc"

namespace ingot::transformer {

/// The shape that `recipe` makes of sources of the given shapes, or an error naming the step.
mlir::FailureOr<llvm::SmallVector<int64_t>>
inferRecipeShape(llvm::ArrayRef<StepAttr> recipe,
                 llvm::ArrayRef<llvm::SmallVector<int64_t>> sourceShapes,
                 llvm::function_ref<mlir::InFlightDiagnostic()> emitError);

} // namespace ingot::transformer
