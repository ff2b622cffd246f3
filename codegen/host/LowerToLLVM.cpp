//===- LowerToLLVM.cpp - Kernel functions to entry points -----------------===//
//
// Each kernel function keeps its body as a private function on memref descriptors, marked
// always-inline with no-alias pointers (buffers of one launch never overlap, except an output that is
// tied to an input, and those two are one argument). Its HostKernelAbi entry point unpacks the
// pointer and size arrays. Inlining then turns the no-alias arguments into alias scopes.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

namespace ingot::host {

namespace {

/// Writes HostKernelAbi's `name` around the private function `body`.
void addEntryPoint(OpBuilder &builder, LLVM::LLVMFuncOp body, StringRef name, const KernelAbi &abi,
                   ArrayRef<MemRefType> buffers) {
  MLIRContext *context = builder.getContext();
  Location loc = body.getLoc();
  auto pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = builder.getI64Type();
  auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                          {pointer, pointer, pointer, i64, i64, i64});
  builder.setInsertionPoint(body);
  auto entry = LLVM::LLVMFuncOp::create(builder, loc, name, type);
  Block *block = entry.addEntryBlock(builder);
  builder.setInsertionPointToStart(block);
  auto constant = [&](int64_t value) -> Value {
    return LLVM::ConstantOp::create(builder, loc, i64, builder.getI64IntegerAttr(value));
  };
  auto load = [&](Value array, int64_t index, Type element) -> Value {
    Value address = LLVM::GEPOp::create(builder, loc, pointer, element, array,
                                        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
    auto value = LLVM::LoadOp::create(builder, loc, element, address);
    value.setInvariant(true);
    return value;
  };
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < abi.numSizes; ++i)
    sizes.push_back(load(block->getArgument(1), i, i64));

  auto evaluate = [&](const GridSize &extent) -> Value {
    Value product = constant(extent.factor);
    for (int64_t size : extent.sizes)
      product = LLVM::MulOp::create(builder, loc, product, sizes[size]);
    if (extent.divisor == 1)
      return product;
    product = LLVM::AddOp::create(builder, loc, product, constant(extent.divisor - 1));
    return LLVM::SDivOp::create(builder, loc, product, constant(extent.divisor));
  };

  SmallVector<Value> arguments;
  auto addDescriptor = [&](Value base, ArrayRef<Value> extents) {
    arguments.append({base, base, constant(0)});
    arguments.append(extents.begin(), extents.end());
    SmallVector<Value> strides(extents.size());
    for (int64_t d = extents.size() - 1; d >= 0; --d)
      strides[d] = d + 1 == static_cast<int64_t>(extents.size())
                       ? constant(1)
                       : LLVM::MulOp::create(builder, loc, strides[d + 1], extents[d + 1]).getResult();
    arguments.append(strides);
  };
  for (auto [i, type] : llvm::enumerate(buffers)) {
    SmallVector<Value> extents;
    int64_t next = 0;
    for (int64_t extent : type.getShape())
      extents.push_back(ShapedType::isDynamic(extent) ? evaluate(abi.extents[i][next++])
                                                      : constant(extent));
    addDescriptor(load(block->getArgument(0), i, pointer), extents);
  }
  arguments.append(sizes);
  for (int64_t axis = 0; axis < 3; ++axis)
    arguments.push_back(block->getArgument(3 + axis));
  addDescriptor(block->getArgument(2), {constant(abi.scratchBytes)});
  LLVM::CallOp::create(builder, loc, body, arguments);
  LLVM::ReturnOp::create(builder, loc, ValueRange());
}

/// bf16 becomes i16. All arithmetic is in f32 by now and conversions are integer arithmetic, so bf16
/// is only moved; what did compute in it would not verify as integers. As elements of vectors that
/// LLVM takes apart (a transposition, say) it would convert them to f32 and back, by calling a
/// library.
void storeBrainFloatsAsBits(ModuleOp module) {
  Type bits = IntegerType::get(module.getContext(), 16);
  AttrTypeReplacer replacer;
  replacer.addReplacement([&](BFloat16Type) { return bits; });
  replacer.addReplacement([&](FloatAttr value) -> std::optional<Attribute> {
    if (!value.getType().isBF16())
      return std::nullopt;
    return IntegerAttr::get(bits, value.getValue().bitcastToAPInt());
  });
  replacer.addReplacement([&](DenseElementsAttr values) -> std::optional<Attribute> {
    if (!values.getElementType().isBF16())
      return std::nullopt;
    return values.bitcast(bits);
  });
  replacer.recursivelyReplaceElementsIn(module, /*replaceAttrs=*/true, /*replaceLocs=*/false,
                                        /*replaceTypes=*/true);
}

} // namespace

LogicalResult lowerToLLVM(ModuleOp module, ArrayRef<KernelAbi> abis) {
  SmallVector<std::string> names;
  SmallVector<SmallVector<MemRefType>> shapes;
  SmallVector<bool> mayAlias;
  for (auto [func, abi] : llvm::zip_equal(module.getOps<func::FuncOp>(), abis)) {
    names.push_back(func.getName().str());
    SmallVector<MemRefType> buffers;
    for (int64_t i = 0; i < abi.numBuffers; ++i)
      buffers.push_back(cast<MemRefType>(func.getArgument(i).getType()));
    shapes.push_back(std::move(buffers));
    mayAlias.push_back(func->hasAttr("ingot.may_alias"));
    func.setName(func.getName().str() + ".body");
    func.setPrivate();
  }

  PassManager passes(module.getContext());
  passes.addNestedPass<func::FuncOp>(memref::createExpandStridedMetadataPass());
  passes.addPass(createLowerAffinePass());
  // Sums and products of bf16 (a residual addition) in f32, as everything else is.
  arith::ArithEmulateUnsupportedFloatsOptions emulate;
  emulate.sourceTypeStrs = {"bf16"};
  emulate.targetTypeStr = "f32";
  passes.addNestedPass<func::FuncOp>(arith::createArithEmulateUnsupportedFloats(emulate));
  // bf16 conversions as integer arithmetic: LLVM would call a library for them on most levels. To the
  // nearest, ties to even, and not a number stays that.
  arith::ArithExpandOpsPassOptions expand;
  expand.includeBf16 = true;
  passes.addNestedPass<func::FuncOp>(arith::createArithExpandOpsPass(expand));
  passes.addPass(createCanonicalizerPass());
  passes.addPass(createCSEPass());
  passes.addNestedPass<func::FuncOp>(createLoopInvariantCodeMotionPass());
  passes.addPass(createSCFToControlFlowPass());
  // Horizontal sums as trees: the order is fixed here, by us.
  ConvertVectorToLLVMPassOptions vectors;
  vectors.reassociateFPReductions = true;
  vectors.force32BitVectorIndices = true;
  passes.addPass(createConvertVectorToLLVMPass(vectors));
  passes.addPass(createConvertMathToLLVMPass());
  passes.addPass(createArithToLLVMConversionPass());
  passes.addPass(createConvertIndexToLLVMPass());
  passes.addPass(createFinalizeMemRefToLLVMConversionPass());
  passes.addPass(createConvertFuncToLLVMPass());
  passes.addPass(createConvertControlFlowToLLVMPass());
  passes.addPass(createUBToLLVMConversionPass());
  passes.addPass(createReconcileUnrealizedCastsPass());
  if (failed(passes.run(module)))
    return failure();
  storeBrainFloatsAsBits(module);
  PassManager cleanup(module.getContext());
  cleanup.addPass(createCanonicalizerPass());
  cleanup.addPass(createCSEPass());
  if (failed(cleanup.run(module)))
    return failure();

  OpBuilder builder(module.getContext());
  for (auto [i, name] : llvm::enumerate(names)) {
    auto body = module.lookupSymbol<LLVM::LLVMFuncOp>(name + ".body");
    body.setLinkage(LLVM::Linkage::Internal);
    body.setAlwaysInline(true);
    for (auto [index, type] : llvm::enumerate(body.getArgumentTypes()))
      if (isa<LLVM::LLVMPointerType>(type)) {
        if (!mayAlias[i])
          body.setArgAttr(index, "llvm.noalias", builder.getUnitAttr());
        body.setArgAttr(index, "llvm.align", builder.getI64IntegerAttr(64));
      }
    addEntryPoint(builder, body, name, abis[i], shapes[i]);
  }
  return success();
}

} // namespace ingot::host
