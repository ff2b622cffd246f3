//===- PlanBuilder.h - An exec module becomes a plan -------------*- C++ -*-===//
#pragma once

#include "codegen/cuda/Stream.h"
#include "runtime/weights/WeightSource.h"

namespace ingot::codegen {

/// An entry point and where its image is.
struct PlacedKernel {
  exec::KernelOp kernel;
  KernelCode code; // `image` is the index into PlacedCode::images
};

/// The same of a stream.
struct PlacedStream {
  exec::StreamOp stream;
  cuda::StreamCode code;
};

struct PlacedImage {
  mlir::StringAttr target; // symbol of its exec.target
  uint64_t offset = 0;     // within the code section
  uint64_t bytes = 0;
};

/// The code of all kernels of a module, laid out in the code section.
struct PlacedCode {
  std::vector<PlacedImage> images;
  std::vector<PlacedKernel> kernels;
  std::vector<PlacedStream> streams;
};

/// The plan (runtime/format/plan.fbs) of `module`, which has passed verify-exec: every exec op is
/// one table. `weights`: what the file's weights section is made of; null: it has
/// none.
Result<std::vector<uint8_t>> buildPlan(mlir::ModuleOp module, const PlacedCode &code,
                                       const WeightSource *weights);

} // namespace ingot::codegen
