//===- StridedCopy.cpp - Copies a strided box, converting on the way ------===//
#include "runtime/weights/StridedCopy.h"

#include <algorithm>
#include <cstring>

namespace ingot {
namespace {

constexpr size_t kMaxAxes = 16;
constexpr uint64_t kRun = 512; // elements staged at once
constexpr int64_t kBlock = 64; // edge of a transposed block
constexpr size_t kMaxElementBytes = 8;

/// Calls `body` with a type of `bytes` bytes, to move raw elements by.
template <typename Body> void withRawType(uint64_t bytes, Body body) {
  switch (bytes) {
  case 1:
    return body(uint8_t());
  case 2:
    return body(uint16_t());
  case 4:
    return body(uint32_t());
  default:
    return body(uint64_t());
  }
}

template <typename T>
void moveStrided(const std::byte *from, int64_t fromStride, std::byte *to, int64_t toStride,
                 int64_t count) {
  for (int64_t i = 0; i < count; ++i)
    std::memcpy(to + i * toStride * int64_t(sizeof(T)), from + i * fromStride * int64_t(sizeof(T)),
                sizeof(T));
}

class Copier {
public:
  explicit Copier(const StridedCopy &copy)
      : copy_(copy), sourceBytes_(int64_t(sizeOf(copy.sourceType))),
        targetBytes_(int64_t(sizeOf(copy.targetType))) {}

  void run(std::span<const CopyAxis> axes);

private:
  /// Reads `count` elements from element `offset` on, `stride` apart, and writes them, converted,
  /// one behind the other.
  void readRun(int64_t offset, int64_t stride, int64_t count, std::byte *to) const;
  void copyRow(const CopyAxis &axis, int64_t source, int64_t target) const;
  /// A plane whose source runs along `across` and whose target runs along `along`.
  void copyBlocks(const CopyAxis &across, const CopyAxis &along, int64_t source,
                  int64_t target) const;

  const StridedCopy &copy_;
  int64_t sourceBytes_, targetBytes_;
};

void Copier::readRun(int64_t offset, int64_t stride, int64_t count, std::byte *to) const {
  if (!copy_.random && stride == 1) {
    convertElements(copy_.source + offset * sourceBytes_, copy_.sourceType, copy_.steps, to,
                    copy_.targetType, uint64_t(count));
    return;
  }
  alignas(8) std::byte staged[kRun * kMaxElementBytes];
  for (int64_t done = 0; done < count; done += int64_t(kRun)) {
    int64_t n = std::min(int64_t(kRun), count - done);
    int64_t first = offset + done * stride;
    if (copy_.random)
      copy_.random->fill(reinterpret_cast<float *>(staged), uint64_t(first), stride, uint64_t(n));
    else
      withRawType(uint64_t(sourceBytes_), [&](auto raw) {
        moveStrided<decltype(raw)>(copy_.source + first * sourceBytes_, stride, staged, 1, n);
      });
    convertElements(staged, copy_.sourceType, copy_.steps, to + done * targetBytes_,
                    copy_.targetType, uint64_t(n));
  }
}

void Copier::copyRow(const CopyAxis &axis, int64_t source, int64_t target) const {
  if (axis.targetStride == 1) {
    readRun(source, axis.sourceStride, axis.size, copy_.target + target * targetBytes_);
    return;
  }
  alignas(8) std::byte staged[kRun * kMaxElementBytes];
  for (int64_t done = 0; done < axis.size; done += int64_t(kRun)) {
    int64_t n = std::min(int64_t(kRun), axis.size - done);
    readRun(source + done * axis.sourceStride, axis.sourceStride, n, staged);
    std::byte *to = copy_.target + (target + done * axis.targetStride) * targetBytes_;
    withRawType(uint64_t(targetBytes_),
                [&](auto raw) { moveStrided<decltype(raw)>(staged, 1, to, axis.targetStride, n); });
  }
}

void Copier::copyBlocks(const CopyAxis &across, const CopyAxis &along, int64_t source,
                        int64_t target) const {
  alignas(64) std::byte block[kBlock * kBlock * kMaxElementBytes];
  for (int64_t a = 0; a < along.size; a += kBlock) {
    int64_t rows = std::min(kBlock, along.size - a);
    for (int64_t c = 0; c < across.size; c += kBlock) {
      int64_t columns = std::min(kBlock, across.size - c);
      for (int64_t i = 0; i < rows; ++i)
        readRun(source + (a + i) * along.sourceStride + c * across.sourceStride,
                across.sourceStride, columns, block + i * kBlock * targetBytes_);
      std::byte *to =
          copy_.target + (target + a * along.targetStride + c * across.targetStride) * targetBytes_;
      withRawType(uint64_t(targetBytes_), [&](auto raw) {
        for (int64_t j = 0; j < columns; ++j)
          moveStrided<decltype(raw)>(block + j * targetBytes_, kBlock,
                                     to + j * across.targetStride * targetBytes_,
                                     along.targetStride, rows);
      });
    }
  }
}

void Copier::run(std::span<const CopyAxis> given) {
  // Normal form: no axis of one element, in the target's order, neighbours merged where both sides
  // allow it.
  CopyAxis axes[kMaxAxes];
  size_t count = 0;
  for (const CopyAxis &axis : given) {
    if (axis.size == 0)
      return;
    if (axis.size != 1 && count < kMaxAxes)
      axes[count++] = axis;
  }
  std::sort(axes, axes + count,
            [](const CopyAxis &a, const CopyAxis &b) { return a.targetStride > b.targetStride; });
  size_t merged = 0;
  for (size_t i = 0; i < count; ++i) {
    CopyAxis *outer = merged ? &axes[merged - 1] : nullptr;
    if (outer && outer->sourceStride == axes[i].sourceStride * axes[i].size &&
        outer->targetStride == axes[i].targetStride * axes[i].size)
      *outer = {outer->size * axes[i].size, axes[i].sourceStride, axes[i].targetStride};
    else
      axes[merged++] = axes[i];
  }
  count = merged;
  if (count == 0)
    axes[count++] = {1, 1, 1};

  // The last axis is the target's fastest. If the source runs along another one, take both
  // together.
  size_t along = count - 1, across = along;
  if (axes[along].sourceStride != 1 && axes[along].sourceStride != 0)
    for (size_t i = 0; i < along; ++i)
      if (axes[i].sourceStride == 1)
        across = i;

  int64_t index[kMaxAxes] = {};
  int64_t source = copy_.sourceOffset, target = copy_.targetOffset;
  while (true) {
    if (across == along)
      copyRow(axes[along], source, target);
    else
      copyBlocks(axes[across], axes[along], source, target);
    size_t axis = along;
    while (axis-- > 0) {
      if (axis == across)
        continue;
      source += axes[axis].sourceStride;
      target += axes[axis].targetStride;
      if (++index[axis] < axes[axis].size)
        break;
      source -= axes[axis].sourceStride * axes[axis].size;
      target -= axes[axis].targetStride * axes[axis].size;
      index[axis] = 0;
    }
    if (axis == size_t(-1))
      return;
  }
}

} // namespace

void copyStrided(const StridedCopy &copy, std::span<const CopyAxis> axes) {
  Copier(copy).run(axes);
}

} // namespace ingot
