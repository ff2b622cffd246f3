//===- TransformerDialect.h - The transformer dialect ------------*- C++ -*-===//
//
// The dialect class and the names of the discardable attributes that programs carry
// (TransformerDialect.td says what each means).
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/Dialect.h"

#include "dialects/Transformer/TransformerDialect.h.inc"

namespace ingot::transformer {

inline constexpr llvm::StringLiteral kProgramAttr = "transformer.program";
inline constexpr llvm::StringLiteral kSizesAttr = "transformer.sizes";
inline constexpr llvm::StringLiteral kLimitsAttr = "transformer.limits";
inline constexpr llvm::StringLiteral kSourcesAttr = "transformer.sources";
inline constexpr llvm::StringLiteral kModelAttr = "transformer.model";
inline constexpr llvm::StringLiteral kGenerationAttr = "transformer.generation";
inline constexpr llvm::StringLiteral kNameAttr = "transformer.name";
inline constexpr llvm::StringLiteral kRangeAttr = "transformer.range";
inline constexpr llvm::StringLiteral kOptionalAttr = "transformer.optional";
inline constexpr llvm::StringLiteral kOffsetsAttr = "transformer.offsets";
inline constexpr llvm::StringLiteral kUnpaddingAttr = "transformer.unpadding";
inline constexpr llvm::StringLiteral kStateAttr = "transformer.state";

} // namespace ingot::transformer
