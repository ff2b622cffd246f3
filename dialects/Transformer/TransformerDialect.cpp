//===- TransformerDialect.cpp - The transformer dialect -------------------===//
//
// Registration, and verification of the discardable attributes that programs carry.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/TransformerDialect.h"
#include "dialects/Transformer/Tokenwise.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include "dialects/Transformer/TransformerDialect.cpp.inc"

using namespace mlir;

namespace ingot::transformer {

void TransformerDialect::initialize() {
  registerAttributes();
  addOperations<
#define GET_OP_LIST
#include "dialects/Transformer/TransformerOps.cpp.inc"
      >();
  attachTokenwiseModels(*getContext());
}

//===----------------------------------------------------------------------===//
// Discardable attributes
//===----------------------------------------------------------------------===//

namespace {
/// Two integers, the first not above the second.
bool isRange(Attribute attr) {
  auto array = dyn_cast<ArrayAttr>(attr);
  if (!array || array.size() != 2)
    return false;
  auto low = dyn_cast<IntegerAttr>(array[0]), high = dyn_cast<IntegerAttr>(array[1]);
  return low && high && low.getInt() <= high.getInt();
}

LogicalResult verifyModuleSizes(Operation *op, Attribute attr) {
  auto sizes = dyn_cast<DictionaryAttr>(attr);
  if (!sizes)
    return op->emitError() << kSizesAttr << " on a module must be a dictionary, got " << attr;
  for (NamedAttribute size : sizes)
    if (!isRange(size.getValue()))
      return op->emitError() << kSizesAttr << ": size '" << size.getName().getValue()
                             << "' must be [min, max], got " << size.getValue();
  return success();
}

LogicalResult verifyLimits(Operation *op, Attribute attr) {
  auto limits = dyn_cast<ArrayAttr>(attr);
  if (!limits)
    return op->emitError() << kLimitsAttr << " must be an array, got " << attr;
  auto sizes = op->getAttrOfType<DictionaryAttr>(kSizesAttr);
  for (Attribute entry : limits) {
    auto limit = dyn_cast<DictionaryAttr>(entry);
    auto symbols = limit ? limit.getAs<ArrayAttr>("symbols") : ArrayAttr();
    auto max = limit ? limit.getAs<IntegerAttr>("max") : IntegerAttr();
    if (!symbols || !max || max.getInt() < 1)
      return op->emitError() << kLimitsAttr
                             << ": expected {symbols = [\"B\", ...], max = positive}, got "
                             << entry;
    for (Attribute symbol : symbols) {
      auto name = dyn_cast<StringAttr>(symbol);
      if (!name || !sizes || !sizes.contains(name))
        return op->emitError() << kLimitsAttr << ": " << symbol << " is not a size in "
                               << kSizesAttr;
    }
  }
  return success();
}

LogicalResult verifySources(Operation *op, Attribute attr) {
  auto sources = dyn_cast<DictionaryAttr>(attr);
  if (!sources)
    return op->emitError() << kSourcesAttr << " must be a dictionary, got " << attr;
  for (NamedAttribute entry : sources) {
    auto error = [&]() {
      return op->emitError() << kSourcesAttr << ": source '" << entry.getName().getValue() << "' ";
    };
    auto source = dyn_cast<DictionaryAttr>(entry.getValue());
    auto shape = source ? source.getAs<ArrayAttr>("shape") : ArrayAttr();
    if (!shape || !llvm::all_of(shape, [](Attribute dim) {
          auto size = dyn_cast<IntegerAttr>(dim);
          return size && size.getInt() >= 0;
        }))
      return error() << "needs a shape of sizes, got " << entry.getValue();
    if (Attribute init = source.get("init")) {
      auto name = dyn_cast<StringAttr>(init);
      if (!name || !llvm::is_contained({"normal", "ones", "zeros"}, name.getValue()))
        return error() << "has init " << init << "; expected \"normal\", \"ones\" or \"zeros\"";
    }
    if (Attribute std = source.get("std"))
      if (!isa<FloatAttr>(std))
        return error() << "has std " << std << "; expected a number";
    if (Attribute aliases = source.get("aliases")) {
      auto names = dyn_cast<ArrayAttr>(aliases);
      if (!names || !llvm::all_of(names, llvm::IsaPred<StringAttr>))
        return error() << "has aliases " << aliases << "; expected strings";
    }
  }
  return success();
}

LogicalResult verifyArgumentSizes(Operation *op, Type type, Attribute attr) {
  auto symbols = dyn_cast<ArrayAttr>(attr);
  if (!symbols || !llvm::all_of(symbols, llvm::IsaPred<StringAttr>))
    return op->emitError() << kSizesAttr << " on an argument must be strings, got " << attr;
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || symbols.size() != static_cast<size_t>(tensor.getNumDynamicDims()))
    return op->emitError() << kSizesAttr << " must name each dynamic dimension of " << type
                           << ", got " << attr;
  auto module = op->getParentOfType<ModuleOp>();
  auto sizes = module ? module->getAttrOfType<DictionaryAttr>(kSizesAttr) : DictionaryAttr();
  for (auto symbol : symbols.getAsRange<StringAttr>())
    if (sizes && !sizes.contains(symbol))
      return op->emitError() << kSizesAttr << ": " << symbol << " is not a size of the module";
  return success();
}

/// What is allowed on arguments and results alike.
LogicalResult verifyPortAttribute(Operation *op, NamedAttribute attr, StringRef place) {
  if (attr.getName() == kNameAttr || attr.getName() == kStateAttr) {
    auto name = dyn_cast<StringAttr>(attr.getValue());
    if (name && !name.empty())
      return success();
    return op->emitError() << attr.getName().getValue() << " must be a name, got "
                           << attr.getValue();
  }
  return op->emitError() << "unknown attribute '" << attr.getName().getValue()
                         << "' on a program's " << place;
}
} // namespace

LogicalResult TransformerDialect::verifyOperationAttribute(Operation *op, NamedAttribute attr) {
  if (attr.getName() == kProgramAttr) {
    if (isa<FunctionOpInterface>(op) && isa<UnitAttr>(attr.getValue()))
      return success();
    return op->emitError() << kProgramAttr << " must be a unit attribute of a function";
  }
  if (attr.getName() == kUnpaddingAttr) {
    if (isa<FunctionOpInterface>(op) && isa<DictionaryAttr>(attr.getValue()))
      return success();
    return op->emitError() << kUnpaddingAttr << " must be a dictionary on a function";
  }
  if (isa<ModuleOp>(op)) {
    if (attr.getName() == kSizesAttr)
      return verifyModuleSizes(op, attr.getValue());
    if (attr.getName() == kLimitsAttr)
      return verifyLimits(op, attr.getValue());
    if (attr.getName() == kSourcesAttr)
      return verifySources(op, attr.getValue());
    if (attr.getName() == kModelAttr || attr.getName() == kGenerationAttr) {
      if (isa<DictionaryAttr>(attr.getValue()))
        return success();
      return op->emitError() << attr.getName().getValue() << " must be a dictionary, got "
                             << attr.getValue();
    }
  }
  return op->emitError() << "unknown attribute '" << attr.getName().getValue() << "' on '"
                         << op->getName() << "'";
}

LogicalResult TransformerDialect::verifyRegionArgAttribute(Operation *op, unsigned,
                                                           unsigned argIndex, NamedAttribute attr) {
  auto function = dyn_cast<FunctionOpInterface>(op);
  if (!function)
    return op->emitError() << attr.getName().getValue() << " is for arguments of functions";
  Type type = function.getArgumentTypes()[argIndex];
  auto tensor = dyn_cast<RankedTensorType>(type);
  bool isInteger = tensor && tensor.getElementType().isInteger();
  if (attr.getName() == kSizesAttr)
    return verifyArgumentSizes(op, type, attr.getValue());
  if (attr.getName() == kRangeAttr) {
    if (isInteger && isRange(attr.getValue()))
      return success();
    return op->emitError() << kRangeAttr << " must be [min, max] on an integer tensor, got "
                           << attr.getValue() << " on " << type;
  }
  if (attr.getName() == kOptionalAttr) {
    if (tensor && tensor.getElementType().isIntOrFloat() && isa<IntegerAttr>(attr.getValue()))
      return success();
    return op->emitError() << kOptionalAttr << " must be an integer on a tensor, got "
                           << attr.getValue() << " on " << type;
  }
  if (attr.getName() == kOffsetsAttr) {
    auto given = dyn_cast<DictionaryAttr>(attr.getValue());
    auto step = given ? given.getAs<IntegerAttr>("max_step") : IntegerAttr();
    if (tensor && tensor.getRank() == 1 && tensor.getElementType().isInteger(32) && given &&
        given.getAs<StringAttr>("to") && step && step.getInt() >= 1)
      return success();
    return op->emitError() << kOffsetsAttr << " must be {to = size, max_step = positive} on an i32 "
                           << "tensor of rank 1, got " << attr.getValue() << " on " << type;
  }
  return verifyPortAttribute(op, attr, "argument");
}

LogicalResult TransformerDialect::verifyRegionResultAttribute(Operation *op, unsigned, unsigned,
                                                              NamedAttribute attr) {
  return verifyPortAttribute(op, attr, "result");
}

} // namespace ingot::transformer
