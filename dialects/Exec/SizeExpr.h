//===- SizeExpr.h - Arithmetic and bounds of symbolic sizes ------*- C++ -*-===//
//
// A size is ceil(factor * symbols / divisor) (#exec.size). The functions here are exact: where a
// result can't be written in that form, or doesn't fit in 64 bits, they say so.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "dialects/Exec/ExecDialect.h"

#include "llvm/ADT/DenseMap.h"
#include <optional>

namespace ingot::exec {

/// Product; null if a factor with a divisor is multiplied by anything but 1, or on overflow.
SizeAttr multiply(SizeAttr lhs, SizeAttr rhs);

/// ceil(size / divisor); null on overflow or if it has no such form.
SizeAttr ceilDivide(SizeAttr size, int64_t divisor);

/// size / divisor if that is a product without remainder for all values of the symbols, else null.
SizeAttr divideExactly(SizeAttr size, SizeAttr divisor);

/// The size with every symbol replaced by its size in `values`; null if it has no such form.
/// Symbols that `values` doesn't name stay.
SizeAttr substitute(SizeAttr size, const llvm::DenseMap<mlir::StringAttr, SizeAttr> &values);

/// The buffer type with `substitute` applied to each extent; null if one fails.
BufferType substitute(BufferType type, const llvm::DenseMap<mlir::StringAttr, SizeAttr> &values);

/// Number of elements as one size; null if an extent has a divisor and others are not 1, or on
/// overflow.
SizeAttr countElements(mlir::MLIRContext *context, llvm::ArrayRef<SizeAttr> shape);

/// The value at `values`; nothing if a symbol is missing or on overflow.
std::optional<int64_t> evaluate(SizeAttr size,
                                const llvm::DenseMap<mlir::StringAttr, int64_t> &values);

/// True if every symbol of `size` is named by `symbols`.
bool namesOnly(SizeAttr size, llvm::ArrayRef<SymbolAttr> symbols);

/// The compiled bounds of a program (or of a kernel's parameters), and the largest values of sizes
/// within them.
class SizeBounds {
public:
  SizeBounds(llvm::ArrayRef<SymbolAttr> symbols, llvm::ArrayRef<LimitAttr> limits = {});
  static SizeBounds get(mlir::ArrayAttr symbols, mlir::ArrayAttr limits = {});

  /// An upper bound of the product of `sizes`: each symbol is bounded by its maximum or, together
  /// with others, by a limit, whichever choice gives the least; so [B, S, 384] with B * S <= 2048
  /// has at most 2048 * 384 elements. Nothing past 64 bits or if a symbol is unknown. The same
  /// bound as in the runtime's validation (runtime/format/SizeMath.h).
  std::optional<int64_t> maximumProduct(llvm::ArrayRef<SizeAttr> sizes) const;
  std::optional<int64_t> maximum(SizeAttr size) const { return maximumProduct(size); }
  std::optional<int64_t> minimum(SizeAttr size) const;

  /// Bytes of a buffer at the compiled maxima.
  std::optional<int64_t> maximumBytes(BufferType type) const;

private:
  llvm::SmallVector<SymbolAttr> symbols;
  llvm::SmallVector<LimitAttr> limits;
};

} // namespace ingot::exec
