//===- UnpackInPlace.cpp - Tokens to their places, over themselves --------===//
//
// What is unpacked is as large as the batch (for logits, hundreds of megabytes), so a second buffer
// for it costs more than its bytes: with no padding at all everything would be copied once more.
// Packed tokens lie in the order of their places, and never behind them (`slots[n] <= n`). So
// places are filled from the last to the first: what is written over is a place that has been
// filled, or a token that has been moved. Where a token is in its place already nothing is copied
// (Bufferize.cpp).
//
// Places depend on each other, columns do not: blocks of the grid are blocks of columns.
//
//===----------------------------------------------------------------------===//
#include "codegen/families/HostLinalg/UnpackInPlace.h"

#include "codegen/host/HostImage.h"
#include "dialects/Transformer/TransformerOps.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>

using namespace mlir;
using namespace ingot;

/// The only op of `block`, if it unpacks whole rows of a fixed number of elements.
static transformer::UnpackOp getOnlyUnpack(Block &block) {
  if (!llvm::hasSingleElement(block.without_terminator()))
    return {};
  auto unpack = dyn_cast<transformer::UnpackOp>(block.front());
  if (!unpack || !isa<BlockArgument>(unpack.getX()) || !isa<BlockArgument>(unpack.getSlots()))
    return {};
  auto type = cast<RankedTensorType>(unpack.getX().getType());
  // Flags are bytes in memory and bits in a vector; nobody unpacks enough of them to care.
  bool isRows = type.getRank() >= 2 && !type.getElementType().isInteger(1) &&
                !ShapedType::isDynamicShape(type.getShape().drop_front());
  return isRows ? unpack : transformer::UnpackOp();
}

std::optional<int64_t> codegen::getUnpackedInput(exec::KernelOp kernel) {
  transformer::UnpackOp unpack = getOnlyUnpack(kernel.getBody().front());
  if (!unpack)
    return std::nullopt;
  return cast<BlockArgument>(unpack.getX()).getArgNumber();
}

constexpr int64_t kLineBytes = 64;
/// What is larger is not found in a cache again.
constexpr int64_t kCacheBytes = 16 << 20;

/// Columns of a block: a few blocks for each worker, of no less than a few cache lines.
static int64_t chooseColumns(int64_t width) {
  return std::min<int64_t>(width, std::clamp<int64_t>(llvm::alignTo(width / 8, 64), 128, 4096));
}

namespace {
/// Columns [column, column + size) of packed tokens [T, W], and the slots of all places.
struct Columns {
  Value packed, slots;
  OpFoldResult column, size;
};
} // namespace

/// The columns of all places, from the last to the first.
static Value fillPlaces(OpBuilder &builder, Location loc, const Columns &columns, Value places) {
  Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
  Value one = arith::ConstantIndexOp::create(builder, loc, 1);
  Value count = tensor::DimOp::create(builder, loc, columns.slots, 0);
  Value tokens = tensor::DimOp::create(builder, loc, columns.packed, 0);
  OpFoldResult zeroAttr = builder.getIndexAttr(0), oneAttr = builder.getIndexAttr(1);
  SmallVector<OpFoldResult> sizes{oneAttr, columns.size}, strides(2, oneAttr);
  auto fillPlace = [&](OpBuilder &b, Location l, Value step, ValueRange carried) {
    Value last = arith::SubIOp::create(b, l, count, one);
    Value place = arith::SubIOp::create(b, l, last, step);
    Value slot = tensor::ExtractOp::create(b, l, columns.slots, place);
    slot = arith::IndexCastOp::create(b, l, b.getIndexType(), slot);
    Value isToken = arith::CmpIOp::create(b, l, arith::CmpIPredicate::ult, slot, tokens);
    Value isBefore = arith::CmpIOp::create(b, l, arith::CmpIPredicate::ule, slot, place);
    isToken = arith::AndIOp::create(b, l, isToken, isBefore);
    SmallVector<OpFoldResult> to{place, zeroAttr};
    auto filled = scf::IfOp::create(
        b, l, isToken,
        [&](OpBuilder &b, Location l) {
          SmallVector<OpFoldResult> from{slot, columns.column};
          Value token = tensor::ExtractSliceOp::create(b, l, columns.packed, from, sizes, strides);
          Value moved = tensor::InsertSliceOp::create(b, l, token, carried[0], to, sizes, strides);
          scf::YieldOp::create(b, l, moved);
        },
        [&](OpBuilder &b, Location l) {
          Value old = tensor::ExtractSliceOp::create(b, l, carried[0], to, sizes, strides);
          Value none = arith::ConstantOp::create(
              b, l, b.getZeroAttr(getElementTypeOrSelf(columns.packed.getType())));
          Value cleared = linalg::FillOp::create(b, l, none, old).getResult(0);
          Value moved =
              tensor::InsertSliceOp::create(b, l, cleared, carried[0], to, sizes, strides);
          scf::YieldOp::create(b, l, moved);
        });
    scf::YieldOp::create(b, l, filled.getResults());
  };
  return scf::ForOp::create(builder, loc, zero, count, one, places, fillPlace).getResult(0);
}

void codegen::makeUnpackInPlace(func::FuncOp func, std::optional<int64_t> mostBytes) {
  transformer::UnpackOp unpack = getOnlyUnpack(func.getBody().front());
  if (!unpack)
    return;
  OpBuilder builder(unpack);
  Location loc = unpack.getLoc();
  auto packedType = cast<RankedTensorType>(unpack.getX().getType());
  int64_t rank = packedType.getRank();
  int64_t width = ShapedType::getNumElements(packedType.getShape().drop_front());
  auto group = [](int64_t first, int64_t last) {
    return llvm::to_vector<2>(llvm::seq<int64_t>(first, last));
  };
  Columns columns;
  columns.packed = unpack.getX();
  if (rank > 2)
    columns.packed = tensor::CollapseShapeOp::create(
        builder, loc, columns.packed, SmallVector<ReassociationIndices>{{0}, group(1, rank)});
  columns.slots = tensor::CollapseShapeOp::create(builder, loc, unpack.getSlots(),
                                                  SmallVector<ReassociationIndices>{{0, 1}});
  OpFoldResult count = tensor::getMixedSize(builder, loc, columns.slots, 0);
  OpFoldResult zeroAttr = builder.getIndexAttr(0), oneAttr = builder.getIndexAttr(1);
  OpFoldResult widthAttr = builder.getIndexAttr(width);
  Value places =
      tensor::EmptyOp::create(builder, loc, {count, widthAttr}, packedType.getElementType());
  int64_t most = chooseColumns(width);
  int64_t elementBytes = packedType.getElementTypeBitWidth() / 8;
  if (mostBytes.value_or(0) > kCacheBytes)
    func->setAttr(host::streamZerosAttr,
                  builder.getBoolAttr(width * elementBytes % kLineBytes == 0 &&
                                      most * elementBytes % kLineBytes == 0));
  auto fillColumns = [&](OpBuilder &b, Location l, ValueRange arguments) {
    columns.column = arguments[0];
    AffineExpr column = b.getAffineDimExpr(0);
    columns.size = builder.getIndexAttr(most);
    if (width % most)
      columns.size = affine::makeComposedFoldedAffineMin(
          b, l,
          AffineMap::get(1, 0, {b.getAffineConstantExpr(most), width - column}, b.getContext()),
          {arguments[0]});
    SmallVector<OpFoldResult> at{zeroAttr, columns.column}, sizes{count, columns.size};
    SmallVector<OpFoldResult> strides(2, oneAttr);
    Value old = tensor::ExtractSliceOp::create(b, l, arguments[1], at, sizes, strides);
    Value filled = fillPlaces(b, l, columns, old);
    auto done = scf::InParallelOp::create(b, l);
    b.setInsertionPointToStart(done.getBody());
    tensor::ParallelInsertSliceOp::create(b, l, filled, arguments[1], at, sizes, strides);
  };
  auto loop = scf::ForallOp::create(
      builder, loc, ArrayRef<OpFoldResult>{zeroAttr}, ArrayRef<OpFoldResult>{widthAttr},
      ArrayRef<OpFoldResult>{builder.getIndexAttr(most)}, places, std::nullopt, fillColumns);
  SmallVector<ReassociationIndices> groups{{0, 1}, group(2, rank + 1)};
  SmallVector<OpFoldResult> shape = tensor::getMixedSizes(builder, loc, unpack.getSlots());
  for (int64_t size : packedType.getShape().drop_front())
    shape.push_back(builder.getIndexAttr(size));
  Value result = tensor::ExpandShapeOp::create(builder, loc, unpack.getType(), loop.getResult(0),
                                               groups, shape);
  unpack.replaceAllUsesWith(result);
  unpack.erase();
}
