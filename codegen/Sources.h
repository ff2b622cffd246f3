//===- Sources.h - Checkpoint tensors and types, for the runtime -*- C++ -*-===//
#pragma once

#include "dialects/Exec/ExecOps.h"
#include "runtime/format/plan_generated.h"
#include "runtime/weights/WeightSource.h"

namespace ingot::codegen {

/// What `source` asks of a checkpoint.
SourceSpec toSpec(exec::SourceOp source);

/// The element type of a buffer as the runtime calls it.
ElementType toElementType(mlir::Type type);

/// Name, type and checksum of the tensor that `weights` has for `source`; none where weights are
/// not embedded (null) or it has no such tensor, which is for whoever makes the weights to report.
flatbuffers::Offset<format::Stored> buildStored(flatbuffers::FlatBufferBuilder &builder,
                                                exec::SourceOp source, const WeightSource *weights);

} // namespace ingot::codegen
