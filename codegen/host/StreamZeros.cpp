//===- StreamZeros.cpp - Zeros past the caches ------------------------------===//
//
// A result much larger than the caches that is mostly zeros (logits of a batch that is mostly
// padding) is bound by the memory: a store fetches each line before it overwrites it, a streaming
// store does not, and leaves the caches to what is computed with. It has to begin with a line, though:
// where rows do not (a vocabulary of 30522 words), a row's first and last vectors are ordinary stores,
// and what lies between them streams, line by line.
//
//===----------------------------------------------------------------------===//
#include "codegen/host/Kernel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

#include <algorithm>

using namespace mlir;

namespace ingot::host {

constexpr int64_t kLineBytes = 64;

static int64_t getElementBytes(vector::StoreOp store) {
  return store.getVectorType().getElementTypeBitWidth() / 8;
}

static int64_t getBytes(vector::StoreOp store) {
  return store.getVectorType().getNumElements() * getElementBytes(store);
}

static bool storesZero(vector::StoreOp store) {
  return matchPattern(store.getValueToStore(), m_Zero()) ||
         matchPattern(store.getValueToStore(), m_AnyZeroFloat());
}

static void stream(vector::StoreOp store) {
  store.setNontemporal(true);
  store.setAlignment(std::min<int64_t>(getBytes(store), kLineBytes));
}

/// The store of `loop` if it does nothing else but to clear the elements from its lower bound to its
/// upper one, in whole vectors of at least a line.
static vector::StoreOp getOnlyStore(scf::ForOp loop) {
  if (!llvm::hasSingleElement(loop.getBody()->without_terminator()))
    return {};
  auto store = dyn_cast<vector::StoreOp>(loop.getBody()->front());
  if (!store || !storesZero(store) || store.getVectorType().getRank() != 1 ||
      getBytes(store) % kLineBytes != 0 || kLineBytes % getElementBytes(store) != 0 ||
      getConstantIntValue(loop.getStep()) != store.getVectorType().getNumElements())
    return {};
  auto type = store.getMemRefType();
  SmallVector<int64_t> strides;
  int64_t offset;
  bool isRow = succeeded(type.getStridesAndOffset(strides, offset)) && strides.back() == 1;
  for (Value index : store.getIndices().drop_back())
    isRow &= getConstantIntValue(index) == 0;
  return isRow && store.getIndices().back() == loop.getInductionVar() ? store : vector::StoreOp();
}

/// The same elements, cleared by streaming stores from the first whole line to the last whole vector
/// of lines, and by an ordinary one where that leaves something in front and behind.
static void streamWholeLines(scf::ForOp loop, vector::StoreOp store) {
  OpBuilder b(loop);
  Location loc = loop.getLoc();
  auto index = [&](int64_t value) -> Value { return arith::ConstantIndexOp::create(b, loc, value); };
  auto isLess = [&](Value lhs, Value rhs) -> Value {
    return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::slt, lhs, rhs);
  };
  Value begin = loop.getLowerBound(), end = loop.getUpperBound(), step = loop.getStep();
  int64_t elementBytes = getElementBytes(store);
  // Elements up to the next line.
  Value pointer = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, store.getBase());
  Value offset =
      memref::ExtractStridedMetadataOp::create(b, loc, store.getBase()).getOffset();
  Value first = arith::AddIOp::create(b, loc, offset, begin);
  Value address = arith::AddIOp::create(
      b, loc, pointer, arith::MulIOp::create(b, loc, first, index(elementBytes)));
  Value past = arith::SubIOp::create(b, loc, index(0), address);
  Value lead = arith::DivUIOp::create(
      b, loc, arith::AndIOp::create(b, loc, past, index(kLineBytes - 1)), index(elementBytes));
  Value lineBegin = arith::AddIOp::create(b, loc, begin, lead);
  Value lastVector = arith::SubIOp::create(b, loc, end, step);

  auto clear = [&](OpBuilder &b, Location l, Value at) {
    SmallVector<Value> indices(store.getIndices());
    indices.back() = at;
    return vector::StoreOp::create(b, l, store.getValueToStore(), store.getBase(), indices);
  };
  auto clearIf = [&](Value condition, Value at) {
    scf::IfOp::create(b, loc, condition, [&](OpBuilder &b, Location l) {
      clear(b, l, at);
      scf::YieldOp::create(b, l);
    });
  };
  Value isAny = isLess(begin, end);
  Value isBetween = isLess(begin, lineBegin);
  clearIf(arith::AndIOp::create(b, loc, isAny, isBetween), begin);
  Value streamEnd = arith::AddIOp::create(b, loc, lastVector, index(1));
  scf::ForOp::create(b, loc, lineBegin, streamEnd, step, ValueRange(),
                     [&](OpBuilder &b, Location l, Value at, ValueRange) {
                       stream(clear(b, l, at));
                       scf::YieldOp::create(b, l);
                     });
  clearIf(arith::AndIOp::create(b, loc, isAny, isBetween), lastVector);
  loop.erase();
}

void streamZeros(func::FuncOp func) {
  auto isAligned = func->getAttrOfType<BoolAttr>(streamZerosAttr);
  if (!isAligned)
    return;
  bool any = false;
  if (isAligned.getValue()) {
    func.walk([&](vector::StoreOp store) {
      int64_t bytes = getBytes(store);
      if (!storesZero(store) || bytes < 16 || bytes % std::min(bytes, kLineBytes) != 0)
        return;
      stream(store);
      any = true;
    });
  } else {
    func.walk([&](scf::ForOp loop) {
      vector::StoreOp store = getOnlyStore(loop);
      if (!store)
        return;
      streamWholeLines(loop, store);
      any = true;
    });
  }
  if (!any)
    return;
  // Streaming stores are ordered by nothing else: what tells others that the block is done is a
  // store.
  OpBuilder builder(func.getBody().front().getTerminator());
  LLVM::FenceOp::create(builder, func.getLoc(), LLVM::AtomicOrdering::seq_cst, StringRef());
}

} // namespace ingot::host
