//===- RecipeExecute.cpp - Runs recipes -----------------------------------===//
//
// Nothing is computed while the steps are read. A value on the stack is a set of pieces: disjoint
// boxes that cover its shape, each a strided view of a source (or of a single zero) with the
// elementwise steps still to be done. Slices, transpositions, paddings, concats, casts and most
// reshapes only rewrite pieces; the last value's pieces are then copied to the destination,
// converted on the way. A reshape that would break a piece's strides copies the value first.
//
//===----------------------------------------------------------------------===//
#include "runtime/support/CheckedMath.h"
#include "runtime/weights/Recipe.h"
#include "runtime/weights/StridedCopy.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

namespace ingot {
namespace {

// A reshape that would split a value into more pieces than this copies it instead.
constexpr size_t kMaxPieces = 4096;

// Of a piece that views zeros or a temporary copy.
constexpr size_t kNoSource = SIZE_MAX;

/// What a padding's elements read: zero in every type.
constexpr std::byte kZero[8] = {};

struct PieceAxis {
  int64_t offset = 0; // of the box within the value
  int64_t size = 0;
  int64_t stride = 0; // of the view, in elements
};

struct Piece {
  std::array<PieceAxis, kMaxRank> axes = {}; // one an axis of the value
  const std::byte *data = nullptr;
  const RandomFill *random = nullptr;
  size_t source = kNoSource;           // index of what is viewed
  ElementType type = ElementType::F32; // of what is viewed
  int64_t origin = 0;                  // of the box's first element in what is viewed
  std::vector<ElementStep> steps;
};

struct Value {
  TensorType type;
  std::vector<Piece> pieces; // none where the value has no elements
};

/// Row-major strides.
std::array<int64_t, kMaxRank> stridesOf(std::span<const int64_t> shape) {
  std::array<int64_t, kMaxRank> strides = {};
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

/// Part of a piece on the axes that one axis group of a reshape gives.
struct SplitBox {
  std::array<PieceAxis, kMaxRank> axes = {};
  int64_t origin = 0; // added to the piece's
};

/// Cuts the elements [begin, begin + count) of axes `dims`, counted in row-major order and `stride`
/// apart in memory, into boxes.
void splitRange(std::span<const int64_t> dims, int64_t begin, int64_t count, int64_t stride,
                SplitBox box, size_t axis, std::vector<SplitBox> &boxes) {
  int64_t inner = 1;
  for (size_t i = axis + 1; i < dims.size(); ++i)
    inner *= dims[i];
  auto whole = [&](int64_t first, int64_t size) {
    box.axes[axis] = {first, size, stride * inner};
    for (size_t i = axis + 1, rest = size_t(inner); i < dims.size(); ++i) {
      rest /= size_t(dims[i]);
      box.axes[i] = {0, dims[i], stride * int64_t(rest)};
    }
    boxes.push_back(box);
    box.origin += size * inner * stride;
  };
  auto part = [&](int64_t index, int64_t from, int64_t size) {
    box.axes[axis] = {index, 1, stride * inner};
    splitRange(dims, from, size, stride, box, axis + 1, boxes);
    box.origin += size * stride;
  };
  int64_t end = begin + count;
  int64_t first = begin / inner;
  if (int64_t head = begin % inner; head != 0 || count < inner) {
    int64_t size = std::min(inner - head, count);
    part(first++, head, size);
    begin += size;
  }
  if (int64_t rows = (end - begin) / inner; rows > 0) {
    whole(first, rows);
    first += rows;
    begin += rows * inner;
  }
  if (begin < end)
    part(first, 0, end - begin);
}

class Executor {
public:
  Executor(std::span<const SourceTensor> sources, const RecipeOptions &options)
      : sources_(sources), options_(options) {}

  /// The recipe has been checked: every operand fits.
  Status run(std::span<const RecipeStep> recipe, const TensorType &weight, std::byte *to);

  /// Does the steps without touching an element; would one of them copy?
  bool copies(std::span<const RecipeStep> recipe) {
    dry_ = true;
    for (const RecipeStep &step : recipe)
      (void)this->step(step); // copies alone can fail, and none is done
    return copied_;
  }

  /// Runs the steps and copies nothing.
  Result<std::vector<TracedPiece>> trace(std::span<const RecipeStep> recipe,
                                         const TensorType &weight);

private:
  struct Free {
    void operator()(void *memory) const { std::free(memory); }
  };

  Status runSteps(std::span<const RecipeStep> recipe);
  Status step(const RecipeStep &step);
  static Value view(const SourceTensor &source, size_t index);
  void slice(Value &value, size_t axis, int64_t begin, int64_t end);
  void concat(size_t axis, size_t count);
  void pad(Value &value, size_t axis, int64_t size);
  void transpose(Value &value, std::span<const int64_t> permutation);
  Status reshape(Value &value, const std::vector<int64_t> &shape);
  bool reshapePiece(const Piece &piece, std::span<const int64_t> from, std::span<const int64_t> to,
                    std::vector<Piece> &out) const;
  Status materialize(Value &value);
  static void appendStep(Value &value, ElementStep step) {
    for (Piece &piece : value.pieces)
      piece.steps.push_back(step);
  }
  static void write(const Value &value, const TensorType &type, std::byte *to);

  std::span<const SourceTensor> sources_;
  const RecipeOptions &options_;
  std::vector<Value> stack_;
  std::vector<std::unique_ptr<void, Free>> temporaries_;
  uint64_t temporaryBytes_ = 0;
  bool dry_ = false, copied_ = false;
};

Status Executor::runSteps(std::span<const RecipeStep> recipe) {
  for (size_t i = 0; i < recipe.size(); ++i)
    if (Status status = step(recipe[i]); !status.ok())
      return status.withContext("recipe: step " + std::to_string(i) + " (" + recipe[i].str() +
                                "): ");
  return Status();
}

Status Executor::run(std::span<const RecipeStep> recipe, const TensorType &weight, std::byte *to) {
  if (Status status = runSteps(recipe); !status.ok())
    return status;
  write(stack_.back(), weight, to);
  return Status();
}

Result<std::vector<TracedPiece>> Executor::trace(std::span<const RecipeStep> recipe,
                                                 const TensorType &weight) {
  if (Status status = runSteps(recipe); !status.ok())
    return status.code() == ExitCode::OutOfResources
               ? Status(ExitCode::Unsupported,
                        "a reshape of the recipe mixes elements in a way that only a copy can")
               : status;
  std::array<int64_t, kMaxRank> strides = stridesOf(weight.shape);
  std::vector<TracedPiece> traced;
  for (const Piece &piece : stack_.back().pieces) {
    if (piece.source == kNoSource)
      continue;
    TracedPiece &out = traced.emplace_back();
    out.source = piece.source;
    out.sourceOffset = piece.origin;
    out.steps = piece.steps;
    for (size_t i = 0; i < weight.shape.size(); ++i) {
      out.axes.push_back({piece.axes[i].size, piece.axes[i].stride, strides[i]});
      out.weightOffset += piece.axes[i].offset * strides[i];
    }
  }
  return traced;
}

Status Executor::step(const RecipeStep &step) {
  const std::vector<int64_t> &ints = step.ints;
  switch (step.op) {
  case RecipeOp::Load:
    stack_.push_back(view(sources_[size_t(ints[0])], size_t(ints[0])));
    break;
  case RecipeOp::Cast: {
    ElementType type = ElementType(ints[0]);
    if (stack_.back().type.elementType != type)
      appendStep(stack_.back(), {ElementStep::Cast, type});
    stack_.back().type.elementType = type;
    break;
  }
  case RecipeOp::Reshape:
    return reshape(stack_.back(), ints);
  case RecipeOp::Transpose:
    transpose(stack_.back(), ints);
    break;
  case RecipeOp::Slice:
    slice(stack_.back(), size_t(ints[0]), ints[1], ints[2]);
    break;
  case RecipeOp::Concat:
    concat(size_t(ints[0]), size_t(ints[1]));
    break;
  case RecipeOp::Pad:
    pad(stack_.back(), size_t(ints[0]), ints[1]);
    break;
  case RecipeOp::AddScalar:
    appendStep(stack_.back(), {ElementStep::Add, ElementType::F32, step.value});
    break;
  case RecipeOp::MulScalar:
    appendStep(stack_.back(), {ElementStep::Multiply, ElementType::F32, step.value});
    break;
  }
  return Status();
}

/// The whole of a source, which must stay where it is.
Value Executor::view(const SourceTensor &source, size_t index) {
  Value value{source.type, {}};
  if (*numElements(source.type.shape) > 0) {
    Piece piece;
    piece.data = source.data;
    piece.random = source.random ? &*source.random : nullptr;
    piece.source = index;
    piece.type = source.type.elementType;
    std::array<int64_t, kMaxRank> strides = stridesOf(source.type.shape);
    for (size_t i = 0; i < source.type.shape.size(); ++i)
      piece.axes[i] = {0, source.type.shape[i], strides[i]};
    value.pieces.push_back(std::move(piece));
  }
  return value;
}

void Executor::slice(Value &value, size_t axis, int64_t begin, int64_t end) {
  value.type.shape[axis] = end - begin;
  std::erase_if(value.pieces, [&](Piece &piece) {
    PieceAxis &box = piece.axes[axis];
    int64_t first = std::max(box.offset, begin);
    int64_t last = std::min(box.offset + box.size, end);
    if (first >= last)
      return true;
    piece.origin += (first - box.offset) * box.stride;
    box = {first - begin, last - first, box.stride};
    return false;
  });
  // The other axes may hold no element at all.
  if (*numElements(value.type.shape) == 0)
    value.pieces.clear();
}

void Executor::concat(size_t axis, size_t count) {
  size_t first = stack_.size() - count;
  ElementType type = stack_[first].type.elementType;
  for (size_t i = first; i < stack_.size(); ++i)
    if (stack_[i].type.elementType != type)
      type = ElementType::F32;
  Value result{stack_[first].type, {}};
  result.type.elementType = type;
  result.type.shape[axis] = 0;
  for (size_t i = first; i < stack_.size(); ++i) {
    Value &value = stack_[i];
    if (value.type.elementType != type)
      appendStep(value, {ElementStep::Cast, type});
    for (Piece &piece : value.pieces) {
      piece.axes[axis].offset += result.type.shape[axis];
      result.pieces.push_back(std::move(piece));
    }
    result.type.shape[axis] += value.type.shape[axis];
  }
  stack_.resize(first);
  stack_.push_back(std::move(result));
}

void Executor::pad(Value &value, size_t axis, int64_t size) {
  int64_t before = value.type.shape[axis];
  value.type.shape[axis] = size;
  if (size == before || *numElements(value.type.shape) == 0)
    return;
  Piece zeros;
  zeros.data = kZero;
  zeros.type = value.type.elementType;
  for (size_t i = 0; i < value.type.shape.size(); ++i)
    zeros.axes[i] = {0, value.type.shape[i], 0};
  zeros.axes[axis] = {before, size - before, 0};
  value.pieces.push_back(std::move(zeros));
}

void Executor::transpose(Value &value, std::span<const int64_t> permutation) {
  auto permute = [&](auto &items) {
    auto old = items;
    for (size_t i = 0; i < permutation.size(); ++i)
      items[i] = old[size_t(permutation[i])];
  };
  permute(value.type.shape);
  for (Piece &piece : value.pieces)
    permute(piece.axes);
}

/// Rewrites a piece from shape `from` to shape `to`; false where its strides do not allow it.
///
/// Axes fall into groups of equal products: [4, 6, 5] to [24, 5] is (4, 6) -> (24) and (5) -> (5).
/// In a group, the old axes must be one range of elements at one stride; that range is cut into
/// boxes over the new axes.
bool Executor::reshapePiece(const Piece &piece, std::span<const int64_t> from,
                            std::span<const int64_t> to, std::vector<Piece> &out) const {
  std::vector<SplitBox> boxes(1);
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    size_t firstOld = i, firstNew = j;
    int64_t oldSize = i < from.size() ? from[i++] : 1;
    int64_t newSize = j < to.size() ? to[j++] : 1;
    while (oldSize != newSize) {
      if (oldSize < newSize)
        oldSize *= from[i++];
      else
        newSize *= to[j++];
    }
    // The old axes as elements [begin, begin + count) at `stride`.
    int64_t begin = 0, count = 1, stride = 0;
    int64_t inner = 1;
    bool whole = true; // do the axes behind cover their sizes?
    for (size_t k = i; k-- > firstOld;) {
      const PieceAxis &axis = piece.axes[k];
      if (axis.size > 1) {
        if (count > 1 && (!whole || axis.stride != stride * inner))
          return false;
        if (count == 1 && inner > 1)
          return false; // every inner-th element: no range
        if (count == 1)
          stride = axis.stride;
      }
      begin += axis.offset * inner;
      count *= axis.size;
      whole = whole && axis.size == from[k];
      inner *= from[k];
    }

    std::vector<SplitBox> parts;
    std::span<const int64_t> dims = to.subspan(firstNew, j - firstNew);
    if (dims.empty())
      parts.emplace_back();
    else
      splitRange(dims, begin, count, stride, {}, 0, parts);
    if (boxes.size() * parts.size() > kMaxPieces)
      return false;
    std::vector<SplitBox> product;
    for (const SplitBox &box : boxes)
      for (const SplitBox &part : parts) {
        SplitBox &both = product.emplace_back(box);
        both.origin += part.origin;
        std::copy_n(part.axes.begin(), dims.size(), both.axes.begin() + long(firstNew));
      }
    boxes = std::move(product);
  }
  for (const SplitBox &box : boxes) {
    Piece &rewritten = out.emplace_back(piece);
    rewritten.axes = box.axes;
    rewritten.origin += box.origin;
  }
  return out.size() <= kMaxPieces;
}

Status Executor::reshape(Value &value, const std::vector<int64_t> &shape) {
  auto rewrite = [&] {
    std::vector<Piece> pieces;
    for (const Piece &piece : value.pieces)
      if (!reshapePiece(piece, value.type.shape, shape, pieces))
        return false;
    value.pieces = std::move(pieces);
    value.type.shape = shape;
    return true;
  };
  if (rewrite())
    return Status();
  if (Status status = materialize(value); !status.ok())
    return status;
  rewrite(); // one contiguous piece always can
  return Status();
}

/// Replaces a value by a copy in temporary memory, of the value's own type and one piece.
Status Executor::materialize(Value &value) {
  uint64_t bytes = *numBytes(value.type);
  if (dry_) {
    copied_ = true;
    value = view({value.type, kZero}, kNoSource); // never read
    return Status();
  }
  std::optional<uint64_t> total = checkedAdd(temporaryBytes_, bytes);
  if (!total || *total > options_.maxTemporaryBytes)
    return Status(ExitCode::OutOfResources,
                  "expected at most " + std::to_string(options_.maxTemporaryBytes) +
                      " bytes of temporary memory, got " + std::to_string(bytes) + " for " +
                      value.type.str() +
                      (temporaryBytes_ ? " after " + std::to_string(temporaryBytes_) : ""));
  std::unique_ptr<void, Free> memory(std::malloc(bytes));
  if (!memory)
    return Status(ExitCode::OutOfResources,
                  "cannot allocate " + std::to_string(bytes) + " bytes for " + value.type.str());
  temporaryBytes_ = *total;
  std::byte *data = static_cast<std::byte *>(memory.get());
  write(value, value.type, data);
  temporaries_.push_back(std::move(memory));
  value = view({value.type, data}, kNoSource);
  return Status();
}

void Executor::write(const Value &value, const TensorType &type, std::byte *to) {
  if (value.pieces.empty())
    return; // and the strides of a shape with a zero in it may overflow
  std::array<int64_t, kMaxRank> strides = stridesOf(type.shape);
  for (const Piece &piece : value.pieces) {
    StridedCopy copy;
    copy.source = piece.data;
    copy.random = piece.random;
    copy.sourceType = piece.type;
    copy.sourceOffset = piece.origin;
    copy.steps = piece.steps;
    // A last cast to the target's type is what the copy does anyway, often without a tile.
    if (!piece.steps.empty() && piece.steps.back().kind == ElementStep::Cast &&
        piece.steps.back().type == type.elementType)
      copy.steps = copy.steps.first(copy.steps.size() - 1);
    copy.target = to;
    copy.targetType = type.elementType;
    std::array<CopyAxis, kMaxRank> axes = {};
    for (size_t i = 0; i < type.shape.size(); ++i) {
      axes[i] = {piece.axes[i].size, piece.axes[i].stride, strides[i]};
      copy.targetOffset += piece.axes[i].offset * strides[i];
    }
    copyStrided(copy, std::span(axes).first(type.shape.size()));
  }
}

} // namespace

bool recipeCopies(std::span<const RecipeStep> recipe, std::span<const SourceTensor> sources) {
  RecipeOptions options;
  return Executor(sources, options).copies(recipe);
}

Status executeRecipe(std::span<const RecipeStep> recipe, std::span<const SourceTensor> sources,
                     const TensorType &weight, std::span<std::byte> to,
                     const RecipeOptions &options) {
  std::vector<TensorType> types;
  for (const SourceTensor &source : sources)
    types.push_back(source.type);
  if (Status status = checkRecipe(recipe, types, weight); !status.ok())
    return status;
  for (const SourceTensor &source : sources) {
    bool hasData = source.random ? source.type.elementType == ElementType::F32
                                 : source.data || numElements(source.type.shape) == 0;
    if (!hasData)
      return Status(ExitCode::Internal,
                    "recipe: a source of " + source.type.str() + " has no data");
  }
  if (to.size() != numBytes(weight))
    return Status(ExitCode::Internal, "recipe: expected a destination of " +
                                          std::to_string(*numBytes(weight)) + " bytes for " +
                                          weight.str() + ", got " + std::to_string(to.size()));
  return Executor(sources, options).run(recipe, weight, to.data());
}

Result<std::vector<TracedPiece>> traceRecipe(std::span<const RecipeStep> recipe,
                                             std::span<const TensorType> sources,
                                             const TensorType &weight) {
  if (Status status = checkRecipe(recipe, sources, weight); !status.ok())
    return status;
  std::vector<SourceTensor> tensors;
  for (const TensorType &type : sources)
    tensors.push_back({type});
  RecipeOptions options;
  options.maxTemporaryBytes = 0; // a copy would hide where its elements came from
  return Executor(tensors, options).trace(recipe, weight);
}

} // namespace ingot
