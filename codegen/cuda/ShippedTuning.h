//===- ShippedTuning.h - Measured choices that come with ingot ---*- C++ -*-===//
#pragma once

#include "llvm/ADT/ArrayRef.h"

namespace ingot::cuda {

/// A file of codegen/cuda/tuning.
struct ShippedTuning {
  const char *name;
  const char *text;
};

/// In the order of their names.
llvm::ArrayRef<ShippedTuning> getShippedTuning();

} // namespace ingot::cuda
