//===- CacheDecompose.cpp - Decompositions of the paged cache -------------===//
//
// Both move whole slices with linalg.copy inside loops: appending rewrites the loop-carried cache
// in place, gathering fills disjoint parts of a new tensor in parallel.
//
//===----------------------------------------------------------------------===//
#include "dialects/Transformer/DecomposeUtils.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace ingot::transformer {

/// Loops over rows and their new tokens; what moves is [Hkv, D] of one token.
FailureOr<SmallVector<Value>> CacheAppendOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value x = getX();
  int64_t rank = getX().getType().getRank();
  bool isPacked = rank == 2;
  auto index = [&](int64_t value) -> Value {
    return arith::ConstantIndexOp::create(b, loc, value);
  };
  Value zero = index(0), one = index(1);
  Value block = index(getCache().getType().getDimSize(2));
  Value numBlocks = tensor::DimOp::create(b, loc, getCache(), 0);
  Value rows = tensor::DimOp::create(b, loc, getBlockTable(), 0);
  Value tokens = tensor::DimOp::create(b, loc, x, rank == 4 ? 2 : rank - 2);
  Value tableBlocks = tensor::DimOp::create(b, loc, getBlockTable(), 1);
  Value capacity = arith::MulIOp::create(b, loc, tableBlocks, block);
  OpFoldResult heads = tensor::getMixedSize(b, loc, getCache(), 1);
  OpFoldResult width = tensor::getMixedSize(b, loc, getCache(), 3);
  OpFoldResult zeroAttr = b.getIndexAttr(0), oneAttr = b.getIndexAttr(1);
  SmallVector<OpFoldResult> sizes{oneAttr, heads, oneAttr, width};
  SmallVector<OpFoldResult> strides(4, oneAttr);
  if (rank != 4) { // [B, S, Hkv, D] or [T, Hkv, D]
    int64_t numHeads = getCache().getType().getDimSize(1);
    SmallVector<int64_t> shape(getX().getType().getShape());
    shape.back() = numHeads * getCache().getType().getDimSize(3);
    if (getX().getType().getShape() != ArrayRef(shape))
      x = tensor::CastOp::create(b, loc, getX().getType().clone(shape), x);
    x = splitLastAxis(b, loc, x, numHeads);
  }
  RankedTensorType sliceType = tensorType({heads, width}, getCache().getType().getElementType());

  auto copyToken = [&](OpBuilder &b, Location l, Value row, Value token, Value past, Value first,
                       Value cache) {
    Value position = arith::AddIOp::create(b, l, past, token);
    Value entry = arith::DivUIOp::create(b, l, position, block);
    Value slot = arith::RemUIOp::create(b, l, position, block);
    Value physical = tensor::ExtractOp::create(b, l, getBlockTable(), ValueRange{row, entry});
    physical = clampedIndex(b, l, physical, numBlocks);
    SmallVector<OpFoldResult> from, fromSizes;
    if (isPacked) {
      from = {arith::AddIOp::create(b, l, first, token).getResult(), zeroAttr, zeroAttr};
      fromSizes = {oneAttr, heads, width};
    } else if (rank == 3) {
      from = {row, token, zeroAttr, zeroAttr};
      fromSizes = {oneAttr, oneAttr, heads, width};
    } else {
      from = {row, zeroAttr, token, zeroAttr};
      fromSizes = sizes;
    }
    SmallVector<OpFoldResult> to{physical, zeroAttr, slot, zeroAttr};
    Value source = tensor::ExtractSliceOp::create(b, l, sliceType, x, from, fromSizes,
                                                  SmallVector<OpFoldResult>(from.size(), oneAttr));
    Value target = tensor::ExtractSliceOp::create(b, l, sliceType, cache, to, sizes, strides);
    Value copied = linalg::CopyOp::create(b, l, source, target).getResult(0);
    return tensor::InsertSliceOp::create(b, l, copied, cache, to, sizes, strides).getResult();
  };

  auto appendRow = [&](OpBuilder &b, Location l, Value row, ValueRange carried) {
    auto extract = [&](Value lengths, Value at) -> Value {
      Value length = tensor::ExtractOp::create(b, l, lengths, at);
      length = arith::IndexCastOp::create(b, l, b.getIndexType(), length);
      return arith::MaxSIOp::create(b, l, length, zero);
    };
    Value past = extract(getPast(), row), first, count, here = tokens;
    if (isPacked) {
      first = extract(getCuSeqlens(), row);
      Value next = arith::AddIOp::create(b, l, row, one);
      count = arith::SubIOp::create(b, l, extract(getCuSeqlens(), next), first);
      here = arith::SubIOp::create(b, l, tokens, first);
    } else {
      count = extract(getNumTokens(), row);
    }
    Value room = arith::SubIOp::create(b, l, capacity, past);
    count = arith::MinSIOp::create(b, l, count, here);
    count = arith::MinSIOp::create(b, l, count, room);
    count = arith::MaxSIOp::create(b, l, count, zero);
    auto loop =
        scf::ForOp::create(b, l, zero, count, one, carried,
                           [&](OpBuilder &b, Location l, Value token, ValueRange caches) {
                             scf::YieldOp::create(
                                 b, l, copyToken(b, l, row, token, past, first, caches.front()));
                           });
    scf::YieldOp::create(b, l, loop.getResults());
  };
  auto loop = scf::ForOp::create(b, loc, zero, rows, one, ValueRange{getCache()}, appendRow);
  return SmallVector<Value>(loop.getResults());
}

FailureOr<SmallVector<Value>> CacheGatherOp::decompose(OpBuilder &b) {
  Location loc = getLoc();
  Value table = getBlockTable();
  int64_t blockSize = getCache().getType().getDimSize(2);
  SmallVector<OpFoldResult> outSizes = resultSizes(b, *this);
  OpFoldResult width = tensor::getMixedSize(b, loc, getCache(), 3);
  Value numBlocks = tensor::DimOp::create(b, loc, getCache(), 0);
  Value block = arith::ConstantIndexOp::create(b, loc, blockSize);
  Value empty = tensor::EmptyOp::create(b, loc, outSizes, getType().getElementType());
  OpFoldResult zeroAttr = b.getIndexAttr(0), oneAttr = b.getIndexAttr(1);
  SmallVector<OpFoldResult> sizes{oneAttr, oneAttr, b.getIndexAttr(blockSize), width};
  SmallVector<OpFoldResult> strides(4, oneAttr);

  // Loops (b, h, n): one physical block of one head.
  SmallVector<OpFoldResult> bounds{outSizes[0], outSizes[1],
                                   tensor::getMixedSize(b, loc, table, 1)};
  auto forall = scf::ForallOp::create(
      b, loc, bounds, ValueRange{empty}, std::nullopt,
      [&](OpBuilder &b, Location l, ValueRange args) {
        Value row = args[0], head = args[1], entry = args[2], out = args[3];
        Value physical = tensor::ExtractOp::create(b, l, table, ValueRange{row, entry});
        physical = clampedIndex(b, l, physical, numBlocks);
        Value offset = arith::MulIOp::create(b, l, entry, block);
        SmallVector<OpFoldResult> from{physical, head, zeroAttr, zeroAttr};
        SmallVector<OpFoldResult> to{row, head, offset, zeroAttr};
        Value source = tensor::ExtractSliceOp::create(b, l, getCache(), from, sizes, strides);
        Value target = tensor::ExtractSliceOp::create(b, l, out, to, sizes, strides);
        Value copied = linalg::CopyOp::create(b, l, source, target).getResult(0);
        auto done = scf::InParallelOp::create(b, l);
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(done.getBody());
        tensor::ParallelInsertSliceOp::create(b, l, copied, out, to, sizes, strides);
      });
  return SmallVector<Value>(forall.getResults());
}

} // namespace ingot::transformer
