//===- RecipeInvert.cpp - Checkpoint tensors back from weights -------------===//
#include "runtime/weights/RecipeInvert.h"

#include <array>
#include <cstring>

namespace ingot {
namespace {

template <typename T> T read(const std::byte *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}
template <typename T> void put(std::byte *to, T value) { std::memcpy(to, &value, sizeof value); }

double readFloat(const std::byte *from, ElementType type) {
  if (type == ElementType::F32)
    return read<float>(from);
  return type == ElementType::BF16 ? bf16ToF32(read<uint16_t>(from))
                                   : f16ToF32(read<uint16_t>(from));
}

/// The f16 or bf16 that was widened to these bits of an f32, NaNs included.
uint16_t narrow(uint32_t bits, ElementType type) {
  if (type == ElementType::BF16)
    return uint16_t(bits >> 16);
  if ((bits & 0x7f800000) == 0x7f800000)
    return uint16_t((bits >> 16 & 0x8000) | 0x7c00 | (bits >> 13 & 0x3ff));
  return f32ToF16(std::bit_cast<float>(bits));
}

void writeFloat(std::byte *to, ElementType type, double value) {
  if (type == ElementType::F32)
    put(to, float(value));
  else if (type == ElementType::F64)
    put(to, value);
  else
    put(to, type == ElementType::BF16 ? f32ToBf16(float(value)) : f32ToF16(float(value)));
}

bool isHandled(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F16 || type == ElementType::BF16;
}

/// How one element goes back.
class Inverse {
public:
  Inverse(ElementType stored, ElementType weight, std::span<const ElementStep> steps)
      : stored_(stored), weight_(weight) {
    for (const ElementStep &step : steps) {
      if (step.kind == ElementStep::Cast)
        casts_ |= step.type != stored && !(step.type == ElementType::F32 && isHandled(stored));
      else
        arithmetic_.push_back(step);
    }
  }

  Status check() const {
    if (isCopy() || (isHandled(stored_) && isHandled(weight_)) ||
        (stored_ == ElementType::F64 && isHandled(weight_)))
      return Status();
    return Status(ExitCode::Unsupported, "its " + std::string(nameOf(stored_)) +
                                             " elements were converted to " +
                                             std::string(nameOf(weight_)));
  }

  /// What makes it uncertain that an element is the original; empty if nothing does.
  std::string doubt() const {
    if (isCopy() || (isWidened() && arithmetic_.empty()))
      return "";
    std::string text;
    if (!isWidened() && stored_ != weight_)
      text = "its " + std::string(nameOf(stored_)) + " elements were rounded to " +
             std::string(nameOf(weight_));
    for (const ElementStep &step : arithmetic_)
      text += std::string(text.empty() ? "its elements" : " and") +
              (step.kind == ElementStep::Multiply ? " were multiplied by " : " were added to ") +
              std::to_string(step.value) + ", which rounded some";
    return text.empty() ? "its elements were rounded on the way" : text;
  }

  bool isCopy() const { return stored_ == weight_ && arithmetic_.empty() && !casts_; }

  void operator()(const std::byte *from, std::byte *to) const {
    if (isWidened() && arithmetic_.empty())
      return put(to, narrow(read<uint32_t>(from), stored_));
    double value = readFloat(from, weight_);
    for (size_t i = arithmetic_.size(); i-- > 0;)
      value = arithmetic_[i].kind == ElementStep::Multiply ? value / arithmetic_[i].value
                                                           : value - arithmetic_[i].value;
    writeFloat(to, stored_, value);
  }

private:
  bool isWidened() const {
    return weight_ == ElementType::F32 && !casts_ &&
           (stored_ == ElementType::F16 || stored_ == ElementType::BF16);
  }

  ElementType stored_, weight_;
  std::vector<ElementStep> arithmetic_;
  bool casts_ = false; // through a type that may not hold the stored one
};

/// Which elements of a tensor have been restored.
class Coverage {
public:
  explicit Coverage(uint64_t elements) : bits_((elements + 63) / 64), missing_(elements) {}

  void add(int64_t index) {
    uint64_t bit = uint64_t(1) << (index & 63);
    uint64_t &word = bits_[size_t(index >> 6)];
    missing_ -= (word & bit) == 0;
    word |= bit;
  }
  uint64_t missing() const { return missing_; }

private:
  std::vector<uint64_t> bits_;
  uint64_t missing_;
};

void restorePiece(const TracedPiece &piece, const Inverse &inverse, const EmbeddedWeight &weight,
                  const TensorType &stored, std::byte *to, Coverage &coverage) {
  uint64_t storedSize = sizeOf(stored.elementType), weightSize = sizeOf(weight.type.elementType);
  std::array<int64_t, kMaxRank> index = {};
  int64_t source = piece.sourceOffset, target = piece.weightOffset;
  for (;;) {
    std::byte *element = to + uint64_t(source) * storedSize;
    const std::byte *from = weight.data + uint64_t(target) * weightSize;
    if (inverse.isCopy())
      std::memcpy(element, from, storedSize);
    else
      inverse(from, element);
    coverage.add(source);
    size_t axis = piece.axes.size();
    while (axis-- > 0) {
      const TracedPiece::Axis &a = piece.axes[axis];
      source += a.sourceStride;
      target += a.weightStride;
      if (++index[axis] < a.size)
        break;
      source -= a.sourceStride * a.size;
      target -= a.weightStride * a.size;
      index[axis] = 0;
    }
    if (axis == SIZE_MAX)
      return;
  }
}

} // namespace

Status restoreTensor(size_t tensor, const TensorType &stored,
                     std::span<const EmbeddedWeight *const> weights, std::span<std::byte> to,
                     std::string &doubt) {
  Coverage coverage(*numElements(stored.shape));
  std::string reason;
  for (const EmbeddedWeight *weight : weights) {
    if (coverage.missing() == 0)
      break;
    Result<std::vector<TracedPiece>> pieces =
        traceRecipe(weight->recipe, weight->sourceTypes, weight->type);
    Status status = pieces.status();
    for (size_t i = 0; status.ok() && i < pieces->size(); ++i) {
      const TracedPiece &piece = (*pieces)[i];
      if (weight->tensors[piece.source] != tensor)
        continue;
      Inverse inverse(stored.elementType, weight->type.elementType, piece.steps);
      status = inverse.check();
      if (!status.ok())
        break;
      if (doubt.empty())
        doubt = inverse.doubt();
      restorePiece(piece, inverse, *weight, stored, to.data(), coverage);
    }
    if (!status.ok() && reason.empty())
      reason = "weight " + weight->name + ": " + status.message();
  }
  if (coverage.missing() == 0)
    return Status();
  if (reason.empty())
    reason = "the ingot's weights lack " + std::to_string(coverage.missing()) + " of its elements";
  return Status(ExitCode::Unsupported, reason);
}

} // namespace ingot
