//===- StreamZeros.cpp - Zeros past the caches ------------------------------===//
//
// A result much larger than the caches that is mostly zeros (logits of a batch that is mostly
// padding) is bound by the memory: a store fetches each line before it overwrites it, a streaming
// store does not, and leaves the caches to what is computed with.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

#include <algorithm>

using namespace mlir;

namespace ingot::host {

void streamZeros(func::FuncOp func) {
  if (!func->hasAttr(streamZerosAttr))
    return;
  bool any = false;
  func.walk([&](vector::StoreOp store) {
    int64_t bytes =
        store.getVectorType().getNumElements() * store.getVectorType().getElementTypeBitWidth() / 8;
    bool isZero = matchPattern(store.getValueToStore(), m_Zero()) ||
                  matchPattern(store.getValueToStore(), m_AnyZeroFloat());
    // The attribute says that rows and blocks begin with a line.
    if (!isZero || bytes < 16 || bytes % std::min<int64_t>(bytes, 64) != 0)
      return;
    store.setNontemporal(true);
    store.setAlignment(std::min<int64_t>(bytes, 64));
    any = true;
  });
  if (!any)
    return;
  // Streaming stores are ordered by nothing else: what tells others that the block is done is a
  // store.
  OpBuilder builder(func.getBody().front().getTerminator());
  LLVM::FenceOp::create(builder, func.getLoc(), LLVM::AtomicOrdering::seq_cst, StringRef());
}

} // namespace ingot::host
