//===- Boundary.cpp - What must hold between two phases --------------------===//

#include "compiler/Boundary.h"

#include "dialects/Exec/ExecOps.h"
#include "dialects/Transformer/TransformerOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ingot {

static LogicalResult failAfter(Operation *op, Phase phase, const Twine &what) {
  return op->emitError() << "after phase '" << llvm::StringRef(phaseName(phase)) << "': " << what;
}

static LogicalResult verifyTransformer(ModuleOp module, Phase phase) {
  static const llvm::StringSet<> dialects = {"builtin", "transformer", "func",
                                             "arith",   "math",        "tensor"};
  size_t programs = 0;
  for (func::FuncOp function : module.getOps<func::FuncOp>())
    programs += function->hasAttr("transformer.program");
  if (programs == 0)
    return failAfter(module, phase, "expected a function with the attribute transformer.program");
  WalkResult result = module.walk([&](Operation *op) {
    if (dialects.contains(op->getName().getDialectNamespace()))
      return WalkResult::advance();
    (void)failAfter(op, phase, "unexpected op '" + op->getName().getStringRef() + "'");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

/// Nothing is packed that was just unpacked, and what packs a program is in it once.
static LogicalResult verifyUnpadded(ModuleOp module, Phase phase) {
  WalkResult result = module.walk([&](transformer::PackOp op) {
    auto unpack = op.getX().getDefiningOp<transformer::UnpackOp>();
    if (!unpack)
      return WalkResult::advance();
    (void)failAfter(op, phase, "packs what was just unpacked");
    return WalkResult::interrupt();
  });
  return failure(result.wasInterrupted());
}

static LogicalResult verifyLowered(ModuleOp module, Phase phase) {
  for (Operation &op : module.getOps())
    if (!isa<exec::ExecDialect>(op.getDialect()))
      return failAfter(&op, phase, "unexpected op '" + op.getName().getStringRef() +
                                       "' beside the exec programs");
  if (module.getOps<exec::ProgramOp>().empty())
    return failAfter(module, phase, "expected an exec.program");
  for (exec::KernelOp kernel : module.getOps<exec::KernelOp>())
    if (!kernel.getFamily() || !kernel.getGrid())
      return failAfter(kernel, phase, "kernel '" + kernel.getSymName() +
                                          "' has no family or no grid");
  return success();
}

static LogicalResult verifyPlanned(ModuleOp module, Phase phase) {
  WalkResult result = module.walk([&](Operation *op) {
    if (isa<exec::BufferOp, exec::InputOp, exec::WeightOp, exec::ConstantOp, exec::StateOp>(op) &&
        !op->hasAttr("offset")) {
      (void)failAfter(op, phase, "'" + op->getName().getStringRef() + "' has no offset");
      return WalkResult::interrupt();
    }
    auto device = dyn_cast<exec::DeviceOp>(op);
    if (device && !(device.getArenaBytes() && device.getWeightBytes() &&
                    device.getConstantBytes() && device.getStateBytes())) {
      (void)failAfter(op, phase, "device '" + device.getSymName() + "' lacks its sizes");
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return failure(result.wasInterrupted());
}

LogicalResult verifyBoundary(ModuleOp module, Phase phase) {
  if (failed(verify(module)))
    return failure();
  switch (phase) {
  case Phase::Import:
  case Phase::Fuse:
    return verifyTransformer(module, phase);
  case Phase::Unpad:
    return failure(failed(verifyTransformer(module, phase)) || failed(verifyUnpadded(module, phase)));
  case Phase::Lower:
    return verifyLowered(module, phase);
  case Phase::Plan:
  case Phase::Codegen:
    return failure(failed(verifyLowered(module, phase)) || failed(verifyPlanned(module, phase)));
  }
  return failure();
}

} // namespace ingot
