//===- PoolingDecompose.cpp - Decompositions of pooling -------------------===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include <limits>

using namespace mlir;

namespace ingot::transformer {

FailureOr<SmallVector<Value>> FirstTokenOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  constexpr int32_t kNone = std::numeric_limits<int32_t>::max();
  Value first = createLastAxisReduction(
      b, loc, {identity(getMask())}, b.getI32IntegerAttr(kNone),
      [](OpBuilder &b, Location l, ValueRange e, Value first) -> Value {
        Value s = arith::IndexCastOp::create(b, l, b.getI32Type(),
                                             linalg::IndexOp::create(b, l, 1).getResult());
        Value candidate = arith::SelectOp::create(b, l, e[0], s, constantI32(b, l, kNone));
        return arith::MinSIOp::create(b, l, first, candidate);
      });
  return SmallVector<Value>{
      createPointwise(b, loc, resultSizes(b, *this), b.getI32Type(), {identity(first)},
                      [](OpBuilder &b, Location l, ValueRange e) -> Value {
                        Value none = arith::CmpIOp::create(b, l, arith::CmpIPredicate::eq, e[0],
                                                           constantI32(b, l, kNone));
                        return arith::SelectOp::create(b, l, none, constantI32(b, l, 0), e[0]);
                      })};
}

FailureOr<SmallVector<Value>> SelectTokenOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value tokens = tensor::DimOp::create(b, loc, getX(), 1);
  return SmallVector<Value>{createPointwise(
      b, loc, resultSizes(b, *this), getType().getElementType(), {{getIndex(), {0}}},
      [&](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value row = linalg::IndexOp::create(b, l, 0);
        Value token = clampedIndex(b, l, e[0], tokens);
        Value column = linalg::IndexOp::create(b, l, 1);
        return tensor::ExtractOp::create(b, l, getX(), ValueRange{row, token, column});
      })};
}

FailureOr<SmallVector<Value>> MeanPoolOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  SmallVector<OpFoldResult> sizes = resultSizes(b, *this);
  // Loops (b, s, e), s reduced; padding contributes exact zeros.
  Value zeros = createFilled(b, loc, sizes, b.getF32FloatAttr(0));
  Value sum =
      createGeneric(b, loc, 3, {1}, {identity(getX()), {getMask(), {0, 1}}}, {{zeros, {0, 2}}},
                    [](OpBuilder &b, Location l, ValueRange e) -> SmallVector<Value> {
                      Value kept = arith::SelectOp::create(b, l, e[1], toF32(b, l, e[0]),
                                                           constantF32(b, l, 0));
                      return {arith::AddFOp::create(b, l, e[2], kept)};
                    })
          .front();
  Value count =
      createLastAxisReduction(b, loc, {identity(getMask())}, b.getF32FloatAttr(0),
                              [](OpBuilder &b, Location l, ValueRange e, Value count) -> Value {
                                Value one = arith::UIToFPOp::create(b, l, b.getF32Type(), e[0]);
                                return arith::AddFOp::create(b, l, count, one);
                              });
  return SmallVector<Value>{createPointwise(
      b, loc, sizes, getType().getElementType(), {identity(sum), {count, {0}}},
      [](OpBuilder &b, Location l, ValueRange e) -> Value {
        Value divisor = arith::MaximumFOp::create(b, l, e[1], constantF32(b, l, 1e-9));
        return arith::DivFOp::create(b, l, e[0], divisor);
      })};
}

} // namespace ingot::transformer
