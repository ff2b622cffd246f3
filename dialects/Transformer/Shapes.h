//===- Shapes.h - Where result dimensions come from --------------*- C++ -*-===//
//
// Every transformer op states once where each dimension of its results comes from (`resultShapes`).
// Type inference, shape reification (which carries symbolic sizes through a program) and the sizes
// of the tensors that decompositions create all follow that one statement.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"

namespace ingot::transformer {

/// One dimension of a result: dimensions of operands that are all equal at run time, times a factor
/// or over a divisor; or a constant; or an element of an operand.
class ResultDim {
public:
  static ResultDim constant(int64_t size);
  /// Dimension `dim` of `value`, counted from the end if negative.
  static ResultDim of(mlir::Value value, int64_t dim);

  /// A size that is data: the last element of the 1-D i32 tensor `value`, cut to [0, product of
  /// `bound`], so that there is a bound that doesn't depend on data.
  static ResultDim lastElement(mlir::Value value,
                               llvm::ArrayRef<std::pair<mlir::Value, int64_t>> bound);

  /// Another operand's dimension of the same size: knowledge of either makes the result static.
  ResultDim sameAs(mlir::Value value, int64_t dim) const;
  ResultDim times(int64_t factor) const;
  ResultDim over(int64_t divisor) const;

  /// The size if it is known, kDynamic if it is not; failure if an operand lacks the dimension or
  /// the size leaves 64 bits.
  mlir::FailureOr<int64_t> staticSize() const;
  /// The size as an attribute or a value; uses tensor.dim and affine.apply.
  mlir::OpFoldResult reify(mlir::OpBuilder &builder, mlir::Location loc) const;

private:
  mlir::OpFoldResult reifyElement(mlir::OpBuilder &builder, mlir::Location loc) const;

  llvm::SmallVector<std::pair<mlir::Value, int64_t>, 2> sources;
  /// Set if the size is an element of it; `sources` are the factors of the bound then.
  mlir::Value element;
  int64_t factor = 1;
  int64_t divisor = 1;
};

struct ResultShape {
  mlir::Type elementType;
  llvm::SmallVector<ResultDim, 4> dims;
};
using ResultShapes = llvm::SmallVector<ResultShape, 2>;

/// Dimensions [0, rank - drop) of `value`; none if it is not a ranked tensor.
llvm::SmallVector<ResultDim, 4> leadingDims(mlir::Value value, int64_t drop = 0);

/// The element type of a shaped value.
mlir::Type elementTypeOf(mlir::Value value);

// The bodies of the interface methods that every op shares (see Transformer_TensorOp).
mlir::LogicalResult inferTypes(std::optional<mlir::Location> loc, llvm::StringRef opName,
                               const mlir::FailureOr<ResultShapes> &shapes,
                               llvm::SmallVectorImpl<mlir::Type> &types);
bool areCompatible(mlir::TypeRange inferred, mlir::TypeRange actual);
mlir::LogicalResult reifyShapes(mlir::Operation *op, const mlir::FailureOr<ResultShapes> &shapes,
                                mlir::OpBuilder &builder,
                                mlir::ReifiedRankedShapedTypeDims &reified);
mlir::FailureOr<llvm::SmallVector<mlir::Value>>
castToResultTypes(mlir::Operation *op, mlir::FailureOr<llvm::SmallVector<mlir::Value>> values,
                  mlir::OpBuilder &builder);

//===----------------------------------------------------------------------===//
// Checks for verifiers. `constraint` is the number in the op's description ("C1").
//===----------------------------------------------------------------------===//

/// Dimension `dim` of operand `value`, called `name` in messages.
struct OperandDim {
  llvm::StringRef name;
  mlir::Value value;
  int64_t dim;
};

/// Fails if both dimensions are static and differ.
mlir::LogicalResult requireEqualDims(mlir::Operation *op, llvm::StringRef constraint,
                                     OperandDim expected, OperandDim got);

/// Fails unless the first two dimensions of `got`, from its dim on, are 1 or those of `expected`.
mlir::LogicalResult requireRepeatable(mlir::Operation *op, llvm::StringRef constraint,
                                      OperandDim expected, OperandDim got);

/// Fails unless both have the same element type.
mlir::LogicalResult requireSameElementType(mlir::Operation *op, llvm::StringRef constraint,
                                           llvm::StringRef expectedName, mlir::Value expected,
                                           llvm::StringRef gotName, mlir::Value got);

/// Fails unless `value` is at least `minimum`.
mlir::LogicalResult requireAtLeast(mlir::Operation *op, llvm::StringRef constraint,
                                   llvm::StringRef name, int64_t value, int64_t minimum);

/// Fails unless `value` is finite and at least `minimum` (more than it if `strict`).
mlir::LogicalResult requireFinite(mlir::Operation *op, llvm::StringRef constraint,
                                  llvm::StringRef name, const llvm::APFloat &value, double minimum,
                                  bool strict);

} // namespace ingot::transformer
