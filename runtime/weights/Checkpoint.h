//===- Checkpoint.h - The tensors of a model folder ---------------*- C++ -*-===//
//
// A folder holds `model.safetensors`, or `model.safetensors.index.json` and the shards it names.
// All files are mapped; nothing is copied. Files are regular and lie in the folder itself: a
// symbolic link may point elsewhere in the folder, or, as the Hugging Face cache lays it out, from
// `snapshots/REVISION/` into the `blobs/` beside `snapshots`.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/weights/Safetensors.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// A tensor of a checkpoint; `bytes` live as long as the checkpoint does.
struct CheckpointTensor {
  std::string_view name;
  const TensorType *type = nullptr;
  std::span<const std::byte> bytes; // row-major, not necessarily aligned
  uint32_t file = 0;                // index into Checkpoint::files()
};

class Checkpoint {
public:
  /// Opens a model folder, or one `.safetensors` file. MalformedInput where it holds no checkpoint,
  /// a pickle only, or files that break a rule.
  static Result<Checkpoint> open(const std::string &path);

  /// The tensor of exactly that name, or null.
  const CheckpointTensor *find(std::string_view name) const;
  /// Sorted by name.
  const std::vector<CheckpointTensor> &tensors() const { return tensors_; }
  /// File names (without the folder), sorted.
  const std::vector<std::string> &files() const { return fileNames_; }
  const std::string &fileOf(const CheckpointTensor &tensor) const {
    return fileNames_[tensor.file];
  }

  /// MalformedInput if a file became shorter and tensors were read that it no longer had.
  Status checkIntact() const;

private:
  Status addFile(const std::string &folder, const std::string &name);
  Status addFolder(const std::string &folder);
  Status addIndexed(const std::string &folder);

  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::vector<std::string> fileNames_;
  std::vector<CheckpointTensor> tensors_;
};

/// Where `name` in `folder` really is, if it is a regular file that the rules above allow.
Result<std::string> resolveModelFile(const std::string &folder, const std::string &name);

} // namespace ingot
