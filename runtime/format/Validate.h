//===- Validate.h - Is a plan what the executor relies on? -------*- C++ -*-===//
//
// A plan is verified once, here; afterwards every index, offset, count and size may be trusted:
//
//   V1  names are present, not longer than 4096 bytes, and unique within their table
//   V2  indices name existing targets, devices, images, kernels, sources, buffers, symbols
//   V3  symbols: 1 <= min <= max <= 2^40; limits hold distinct symbols and the minima keep them
//   V4  every size has factor >= 1, divisor >= 1 and fits 63 bits at the maxima
//   V5  a buffer's range lies inside its space on its device, starts 64-byte aligned, and holds
//       its shape at the maxima; rank <= 8
//   V6  a launch passes as many buffers and sizes as its kernel takes, has three grid sizes, all
//       its buffers are on its device, its kernel's image is for that device's target, and it
//       writes only the arena and states
//   V7  a copy's two sides have the same byte size at all symbol values; its target may be written
//   V8  inputs live in the arena and do not overlap each other; a range or fill is of an integer
//       input and fits its element type; every symbol occurs as a whole dimension of an input
//   V9  images, weights, states and constants lie inside their sections or spaces; weights and
//       states do not overlap; a weight's recipe gives its type (runtime/weights/Recipe.h)
//   V10 generation names existing ports of the right type and shape; its numbers agree with the
//       program's maxima
//   V11 counts and sizes are within the caps below
//   V12 a kernel's own sizes are over its size arguments; a tensor map lies inside its buffer at
//       every launch's maxima and keeps CUDA's rules; variants take the same arguments; what only
//       CUDA has is for kernels of a CUDA target; a device size is the symbol itself, or known to
//       the host
//   V13 a size that is read from a buffer is bounded over the caller's, is read once from an i32 of
//       a fixed shape, and nothing needs it before; ports never do
//   V14 an input of offsets is a required i32 vector
//   V15 a stream is of launches on one CUDA device, which no other stream has, each of its task's
//       kernel; its own kernel takes what plan.fbs says and is launched by no step; what is
//       exchanged lies inside the bytes of a token, is written once, and before it is read; its
//       maps are of constant sizes and lie inside their buffers; its symbols are known in front of
//       it, on its device
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/plan_generated.h"
#include "runtime/support/Status.h"

#include <cstddef>
#include <span>

namespace ingot {

inline constexpr size_t kMaxNameBytes = 4096;
inline constexpr size_t kMaxTensorRank = 8;
inline constexpr size_t kMaxKernelBuffers = 64;
inline constexpr size_t kMaxKernelSizes = 64;
inline constexpr size_t kMaxTensorMaps = 16; // of one kernel
inline constexpr size_t kMaxTensorMapRank = 5;
inline constexpr size_t kMaxSymbols = 64;
inline constexpr size_t kMaxDevices = 64;
inline constexpr int64_t kMaxSymbolValue = int64_t(1) << 40;
inline constexpr uint64_t kMaxSpaceBytes = uint64_t(1) << 46;
inline constexpr uint64_t kMaxScratchBytes = uint64_t(1) << 32;

struct PlanContext {
  uint64_t codeBytes = 0;
  bool hasWeights = false; // is there a weights section?
  uint64_t weightsBytes = 0;
};

/// The FlatBuffers verifier over a plan section. Errors: MalformedInput.
Result<const format::Plan *> verifyPlan(std::span<const std::byte> section);

/// V1 to V15. Errors: MalformedInput, naming the part of the plan, expected and got.
Status validatePlan(const format::Plan &plan, const PlanContext &context);

} // namespace ingot
