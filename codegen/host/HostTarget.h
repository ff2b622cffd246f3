//===- HostTarget.h - What the CPU code generator knows of a CPU -*- C++ -*-===//
//
// A host target is one x86-64 micro-architecture level of the psABI ("x86-64-v3"). Everything that
// depends on it (vector width, register tile, LLVM features) is decided from this struct.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <cstdint>
#include <string>

namespace ingot::host {

struct HostTarget {
  /// "x86-64-v2", "x86-64-v3" or "x86-64-v4"; also the LLVM CPU name.
  std::string level;
  /// f32 elements of one vector register: 4, 8 or 16.
  int64_t lanes = 4;
  /// Rows of the matmul register tile, tried in this order; the last is 1.
  /// rows[0] * panel / lanes accumulators, panel / lanes weights and one broadcast fit the registers.
  llvm::SmallVector<int64_t, 4> rows;
  /// Columns of the register tile; also the width of a weight panel.
  int64_t panel = 8;
  /// A fused multiply-add instruction exists; without it `vector.fma` would become a libm call.
  bool hasFma = false;
};

/// The target for `name`: a level, or "host" for the highest level of this CPU. An unknown name or a
/// CPU that is not x86-64 is ExitCode::Unsupported.
Result<HostTarget> getHostTarget(llvm::StringRef name);

} // namespace ingot::host
