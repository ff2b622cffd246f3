//===- Tokenwise.h - Ops that can work on packed tokens ----------*- C++ -*-===//
#pragma once

#include "mlir/IR/Builders.h"
#include "mlir/IR/OpDefinition.h"

#include <string>

namespace ingot::transformer {

/// How a padded batch [B, S, …] is packed: what an op needs to know to work on its tokens.
class Packing {
public:
  virtual ~Packing() = default;

  /// [B, S] i1.
  mlir::Value mask;
  /// The number of valid tokens, [B] i32, if the mask is made of it: tokens are at the front.
  mlir::Value lengths;
  /// [N] i32, N above B.
  mlir::Value cuSeqlens;
  /// [T] i32.
  mlir::Value indices;
  /// Why an op can't be packed.
  std::string reason;

  /// True if `value` is [B, S, …] with the B and S of the mask.
  virtual bool isPadded(mlir::Value value) const = 0;
  /// The [T, …] of a padded value.
  virtual mlir::Value getPacked(mlir::Value padded) = 0;

  mlir::LogicalResult fail(std::string why) {
    reason = std::move(why);
    return mlir::failure();
  }
};

/// Gives ops of this dialect and of arith, math and tensor their TokenwiseOpInterface.
void attachTokenwiseModels(mlir::MLIRContext &context);

} // namespace ingot::transformer

#include "dialects/Transformer/TransformerInterfaces.h.inc"
