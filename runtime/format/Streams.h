//===- Streams.h - What streams of a plan need --------------------*- C++ -*-===//
//
// A stream (plan.fbs) is a run of launches that one persistent kernel can do in their place. It
// needs memory of its own on their device: a table with an entry a launch (runtime/exec/Stream.h),
// and what the launches exchange, behind a counter.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/plan_generated.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ingot {

// As codegen/cuda/kernels/stream.cuh has them.
inline constexpr uint64_t kStreamEntryBytes = 384, kStreamCounterBytes = 128;
inline constexpr size_t kMaxStreamBuffers = 14, kMaxStreamMaps = 2;
/// Of a call that a stream does: the kernels keep all tokens of a launch in shared memory.
inline constexpr uint32_t kMaxStreamTokens = 8;

// All of a validated plan.

/// The device of a stream's launches.
uint16_t streamDevice(const format::Program &program, const format::Stream &stream);

uint64_t streamTableBytes(const format::Stream &stream);
/// The counter, and what so many tokens exchange.
uint64_t exchangedBytes(const format::Stream &stream, uint64_t tokens);

/// What one allocation for a stream takes, in whole pages: its table, what is exchanged behind it.
uint64_t streamBytes(const format::Stream &stream);
/// The same of all streams of a program on a device.
uint64_t streamBytes(const format::Program &program, uint16_t device);

/// Which kernels of a plan are those of streams: no step launches them, and they need no variants.
std::vector<bool> streamKernels(const format::Plan &plan);

} // namespace ingot
