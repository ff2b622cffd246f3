//===- Recipe.h - How a weight is made from checkpoint tensors ----*- C++ -*-===//
//
// A recipe is a program of a stack machine, stored in the artifact (RecipeStep in
// runtime/format/plan.fbs) and run at compile time or at load by the code declared here.
//
//   op         ints                      pops  pushes
//   Load       [source]                  -     the source, in its own element type
//   Cast       [element type]            x     x converted
//   Reshape    [dims...]                 x     x, same elements in row-major order
//   Transpose  [permutation...]          x     y.shape[i] = x.shape[permutation[i]]
//   Slice      [axis, begin, end]        x     elements begin <= i < end of the axis
//   Concat     [axis, n]                 n     the top n values, the deepest first
//   Pad        [axis, size]              x     x with zeros behind, up to `size`
//   AddScalar  value                     x     x + value (floating point only)
//   MulScalar  value                     x     x * value (floating point only)
//
// Exactly one value is left: the weight. Floating-point values of different types convert to f32
// where they meet in a concat, and the last value converts to the weight's element type; every
// other change of type needs a Cast. Conversions between floating-point types round to nearest
// even; to an integer they truncate towards zero and saturate (NaN gives 0); between integers they
// saturate.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"
#include "runtime/weights/Convert.h"
#include "runtime/weights/ElementType.h"
#include "runtime/weights/RandomFill.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// Mirrors format::RecipeOp.
enum class RecipeOp : uint8_t {
  Load = 0,
  Cast,
  Reshape,
  Transpose,
  Slice,
  Concat,
  Pad,
  AddScalar,
  MulScalar
};
inline constexpr unsigned kNumRecipeOps = 9;
inline constexpr size_t kMaxRecipeSteps = 4096;
inline constexpr size_t kMaxRank = 8;

struct RecipeStep {
  RecipeOp op = RecipeOp::Load;
  std::vector<int64_t> ints = {};
  double value = 0;

  bool operator==(const RecipeStep &) const = default;

  static RecipeStep load(int64_t source) { return {RecipeOp::Load, {source}}; }
  static RecipeStep cast(ElementType type) { return {RecipeOp::Cast, {int64_t(type)}}; }
  static RecipeStep reshape(std::vector<int64_t> dims) { return {RecipeOp::Reshape, dims}; }
  static RecipeStep transpose(std::vector<int64_t> permutation) {
    return {RecipeOp::Transpose, permutation};
  }
  static RecipeStep slice(int64_t axis, int64_t begin, int64_t end) {
    return {RecipeOp::Slice, {axis, begin, end}};
  }
  static RecipeStep concat(int64_t axis, int64_t count) {
    return {RecipeOp::Concat, {axis, count}};
  }
  static RecipeStep pad(int64_t axis, int64_t size) { return {RecipeOp::Pad, {axis, size}}; }
  static RecipeStep addScalar(double value) { return {RecipeOp::AddScalar, {}, value}; }
  static RecipeStep mulScalar(double value) { return {RecipeOp::MulScalar, {}, value}; }

  std::string str() const; // "transpose [0, 2, 1]"
};

/// "load [0]; pad [0, 49168]; reshape [...]"
std::string recipeStr(std::span<const RecipeStep> recipe);

/// The type of the value that `recipe` leaves, given its sources' types; or which step is wrong and
/// why (MalformedInput). Never runs anything; all arithmetic is checked. Where the sources' element
/// types are not known yet, f32 stands for any floating-point type.
Result<TensorType> inferRecipe(std::span<const RecipeStep> recipe,
                               std::span<const TensorType> sources);

/// inferRecipe, and the result must convert to `weight`: the same shape and the same element type,
/// or both floating point.
Status checkRecipe(std::span<const RecipeStep> recipe, std::span<const TensorType> sources,
                   const TensorType &weight);

/// A box of a weight that is a strided box of one of its sources, with the elementwise steps from
/// the one to the other. Paddings have none.
struct TracedPiece {
  struct Axis {
    int64_t size, sourceStride, weightStride; // in elements
  };
  size_t source = 0;
  int64_t sourceOffset = 0, weightOffset = 0; // of the box's first element
  std::vector<Axis> axes;
  std::vector<ElementStep> steps;
};

/// Where each element of a weight comes from. Unsupported where a reshape has no such boxes.
Result<std::vector<TracedPiece>> traceRecipe(std::span<const RecipeStep> recipe,
                                             std::span<const TensorType> sources,
                                             const TensorType &weight);

/// A source's elements: bytes in memory (row-major, any alignment), or a random fill (always f32).
struct SourceTensor {
  TensorType type;
  const std::byte *data = nullptr;
  std::optional<RandomFill> random = std::nullopt;
  std::string_view name = {}; // in its checkpoint; empty for a random fill
};

struct RecipeOptions {
  /// Shapes, slices, paddings, casts and concats cost no temporary memory. A reshape that the
  /// layout of its operand does not allow copies it; copies past this many bytes at once are
  /// refused.
  uint64_t maxTemporaryBytes = 4ull << 30;
};

/// Checks and runs `recipe`, and writes the weight, row-major, to `to`, which holds exactly
/// numBytes(weight). Single-threaded; any number may run at once.
Status executeRecipe(std::span<const RecipeStep> recipe, std::span<const SourceTensor> sources,
                     const TensorType &weight, std::span<std::byte> to,
                     const RecipeOptions &options = {});

/// Would running `recipe`, which has been checked, copy anything into temporary memory? If not, a
/// slice behind it costs only what it keeps.
bool recipeCopies(std::span<const RecipeStep> recipe, std::span<const SourceTensor> sources);

} // namespace ingot
