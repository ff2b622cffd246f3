//===- RecipeInvert.h - Checkpoint tensors back from weights ------*- C++ -*-===//
//
// The inverse of RecipeExecute.cpp: each piece of a weight is copied back to where it came from,
// its elementwise steps undone. Widening (f16 to f32) and factors that are powers of two can be
// undone; what cannot is found out by the checksum of the original, so a tensor is either restored
// bit for bit or refused.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/weights/Recipe.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// A weight as it is in an ingot, and how it was made.
struct EmbeddedWeight {
  std::string name;
  TensorType type;
  std::vector<RecipeStep> recipe;
  /// One a source of the recipe: which tensor of the checkpoint, and its type as stored there.
  std::vector<size_t> tensors;
  std::vector<TensorType> sourceTypes;
  const std::byte *data = nullptr;
};

/// Writes the checkpoint tensor `tensor`, of type `stored`, to `to` (numBytes(stored) bytes) from
/// the weights that were made of it. Unsupported, with the reason, where a recipe cannot be undone
/// or the weights don't have all of its elements. Whether every element is the original one is for
/// the caller to check by checksum; `doubt` then says what may have changed it.
Status restoreTensor(size_t tensor, const TensorType &stored,
                     std::span<const EmbeddedWeight *const> weights, std::span<std::byte> to,
                     std::string &doubt);

} // namespace ingot
