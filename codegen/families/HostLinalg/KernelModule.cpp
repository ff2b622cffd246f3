//===- KernelModule.cpp - exec.kernel as a kernel function ----------------===//
#include "codegen/families/HostLinalg/KernelModule.h"

#include "codegen/host/HostImage.h"
#include "dialects/Transformer/TransformerDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Parser/Parser.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace ingot;

/// The ingot.sizes entry of one buffer.
static ArrayAttr sizesOf(Builder &builder, exec::KernelOp kernel, exec::BufferType type) {
  SmallVector<Attribute> sizes;
  for (exec::SizeAttr extent : type.getShape()) {
    if (extent.isStatic())
      continue;
    SmallVector<int64_t> numbers{extent.getFactor(), extent.getDivisor()};
    for (StringAttr symbol : extent.getSymbols())
      for (auto [i, parameter] :
           llvm::enumerate(kernel.getSizes().getAsRange<exec::SymbolAttr>()))
        if (parameter.getName() == symbol)
          numbers.push_back(i);
    sizes.push_back(builder.getI64ArrayAttr(numbers));
  }
  return builder.getArrayAttr(sizes);
}

std::string codegen::printKernelFunction(exec::KernelOp kernel, bool mayAlias,
                                         llvm::function_ref<void(func::FuncOp)> rewrite) {
  MLIRContext *context = kernel.getContext();
  context->getOrLoadDialect<func::FuncDialect>();
  OpBuilder builder(context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(builder.getUnknownLoc());
  builder.setInsertionPointToStart(module->getBody());
  Block &source = kernel.getBody().front();
  Operation *yield = source.getTerminator();
  auto func = func::FuncOp::create(
      builder, builder.getUnknownLoc(), kernel.getSymName(),
      builder.getFunctionType(source.getArgumentTypes(), yield->getOperandTypes()));
  SmallVector<int64_t> maxima;
  for (auto parameter : kernel.getSizes().getAsRange<exec::SymbolAttr>())
    maxima.push_back(parameter.getMaximum());
  func->setAttr("ingot.size_max", builder.getI64ArrayAttr(maxima));
  if (mayAlias)
    func->setAttr("ingot.may_alias", builder.getUnitAttr());
  for (unsigned i = 0; i < kernel.getNumInputs(); ++i)
    func.setArgAttr(i, "ingot.sizes", sizesOf(builder, kernel, kernel.getInputType(i)));
  for (unsigned i = 0; i < kernel.getNumOutputs(); ++i) {
    func.setResultAttr(i, "ingot.sizes", sizesOf(builder, kernel, kernel.getOutputType(i)));
    if (int64_t updated = kernel.getUpdates()[i]; updated >= 0)
      func.setResultAttr(i, "ingot.alias", builder.getI64IntegerAttr(updated));
  }
  Block *body = func.addEntryBlock();
  builder.setInsertionPointToStart(body);
  IRMapping mapping;
  mapping.map(source.getArguments(), body->getArguments());
  for (Operation &op : source.without_terminator())
    builder.clone(op, mapping);
  SmallVector<Value> results;
  for (Value value : yield->getOperands())
    results.push_back(mapping.lookup(value));
  func::ReturnOp::create(builder, builder.getUnknownLoc(), results);
  if (rewrite)
    rewrite(func);
  std::string text;
  llvm::raw_string_ostream os(text);
  module->print(os);
  return text;
}

Result<codegen::KernelModule> codegen::parseKernelFunction(const std::string &text) {
  DialectRegistry registry;
  host::registerHostDialects(registry);
  registry.insert<transformer::TransformerDialect>();
  KernelModule result;
  result.context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  result.context->loadAllAvailableDialects();
  std::string problem;
  ScopedDiagnosticHandler handler(result.context.get(), [&](Diagnostic &diagnostic) {
    problem += (problem.empty() ? "" : "; ") + diagnostic.str();
    return success();
  });
  result.module = parseSourceString<ModuleOp>(text, result.context.get());
  if (!result.module)
    return Status(ExitCode::Internal, "a kernel function cannot be read back: " + problem);
  return result;
}
