//===- PlanContext.h - What the parts of a plan's builder share --*- C++ -*-===//
//
// Private to the builder of plans: the tables being written, and where those are that programs
// name.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/PlanBuilder.h"
#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"
#include "runtime/format/Artifact.h"
#include "runtime/support/Status.h"

#include "llvm/ADT/StringMap.h"

namespace ingot::codegen {

template <typename T> using Offsets = std::vector<flatbuffers::Offset<T>>;

struct PlanContext {
  explicit PlanContext(mlir::ModuleOp module) : symbols(module) {}

  flatbuffers::Offset<flatbuffers::String> string(llvm::StringRef text) {
    return fbb.CreateString(text.data(), text.size());
  }
  flatbuffers::Offset<flatbuffers::String> stringOrNull(llvm::StringRef text) {
    return text.empty() ? 0 : string(text);
  }
  uint16_t deviceIndex(llvm::StringRef device) { return devices.lookup(device); }
  /// Keeps the first failure; building goes on with tables that nobody will read.
  void fail(const llvm::Twine &message) {
    if (status.ok())
      status = Status(ExitCode::Internal, message.str());
  }

  mlir::SymbolTable symbols; // of the module
  flatbuffers::FlatBufferBuilder fbb;
  Status status;
  llvm::StringMap<unsigned> devices, kernels; // their indices in the plan, streams' kernels too
  llvm::StringMap<const PlacedStream *> streams;
};

format::DType toDType(mlir::Type type);

/// An attribute of `attributes`, or `otherwise`.
llvm::StringRef getString(mlir::DictionaryAttr attributes, llvm::StringRef key,
                          llvm::StringRef otherwise = "");
int64_t getInteger(mlir::DictionaryAttr attributes, llvm::StringRef key, int64_t otherwise);

/// A tensor map of a kernel's buffer.
flatbuffers::Offset<format::TensorMap> buildTensorMap(PlanContext &plan, exec::KernelOp kernel,
                                                      const TensorMapCode &map);

/// The table of one program (PlanProgram.cpp).
Result<flatbuffers::Offset<format::Program>> buildProgram(PlanContext &plan,
                                                          exec::ProgramOp program);

} // namespace ingot::codegen
